"""What a family is trained on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

from train.common.console import console
from train.common.errors import InputError
from train.config.schema import Config
from train.corpus.column_mapping import site_of
from train.corpus.composed import compose as composed
from train.corpus.loading import auxiliary_sha256, drop_overlapping, held_out_pages, wished_pages
from train.corpus.page import Page
from train.corpus.quality.check import check_corpus
from train.corpus.topic_texts import TopicMapping


@dataclass(frozen=True)
class TrainingPages:
    """The pages a family may see.

    Args:
        train: Labelled pages like those it will be tested on.
        validation: Labelled pages to stop early by; never learnt from.
        topic_texts: Loose texts as pages of one story, which teach topics alone.
        auxiliary: Pages of other corpora, often weakly labelled: a family learns roles from them as its config
            says, with less say than from `train`.
    """

    train: Sequence[Page]
    validation: Sequence[Page] = ()
    topic_texts: Sequence[Page] = ()
    auxiliary: Sequence[Page] = ()


_SETTINGS = {"baseline": "auxiliary_weight", "encoder": "auxiliary_epochs"}
"""The setting of each family that says how much it makes of `corpus.auxiliary`."""


def training_pages(config: Config, parts: Mapping[str, Sequence[Page]], topic_texts: Sequence[Page]) -> TrainingPages:
    """What a config's family is trained on: the training part, and what joins it.

    Args:
        config: The resolved config.
        parts: The pages of each part of the split.
        topic_texts: Loose texts that teach topics, as `read_topic_texts` returns them.

    Raises:
        InputError: The corpus is itself composed and `corpus.composed` is given, or a corpus of `corpus.auxiliary`
            cannot be read.
    """
    train = [*parts["train"], *_composed_pages(config, parts)]
    return TrainingPages(train, parts["validation"], topic_texts, _auxiliary_pages(config, parts))


def _composed_pages(config: Config, parts: Mapping[str, Sequence[Page]]) -> list[Page]:
    """`corpus.composed` pages of the embedded corpus without their topics, which are not the corpus' own.

    Raises:
        InputError: The corpus is itself composed: its unseen pages would not be unseen.
    """
    if not config.corpus.composed:
        return []
    made = list(composed.compose(seed=config.corpus.split_seed, pages=config.corpus.composed))
    sites = {page.site for page in made}
    known = {p.site for pages in parts.values() for p in pages if p.site in sites or "composed" in p.extra}
    if known:
        raise InputError(
            f"corpus.composed is {config.corpus.composed}, and site {min(known)!r} of the corpus is composed already",
            expected="a corpus without composed pages",
            remedy="set corpus.composed to 0",
            path=config.corpus.path,
            rule="composed-twice",
        )
    apart = drop_overlapping(made, parts)
    if len(apart) < len(made):
        console.print(
            f"{len(made) - len(apart)} composed pages share a passage with validation or test pages and are left out",
            style="yellow",
        )
    return [page.without_topics() for page in apart]


def _auxiliary_pages(config: Config, parts: Mapping[str, Sequence[Page]]) -> list[Page]:
    """The pages of `corpus.auxiliary`, without topics, and without those of a site, or with a passage, of the
    validation and test parts.

    Raises:
        InputError: One of the corpora is not there, or holds no page in the wished languages.
    """
    if not config.corpus.auxiliary:
        return []
    if not learns_from_auxiliary(config):
        setting = f"{config.family}.{_SETTINGS[config.family]}"
        console.print(f"corpus.auxiliary is given, but nothing is learnt from it: {setting} is 0", style="yellow")
        return []
    pages = _read_auxiliary(
        config.corpus.auxiliary,
        auxiliary_sha256(config),
        config.corpus.languages,
        config.topics.mapping,
        Path(config.output),
    )
    unseen = {name for page in held_out_pages(parts) for name in site_names(page)}
    others = [page for page in pages if not unseen & site_names(page)]
    apart = drop_overlapping(others, parts)
    console.print(
        f"{len(apart):,} pages of {len({page.site for page in apart}):,} sites are learnt from too (corpus.auxiliary); "
        "left out are "
        f"{len(pages) - len(others)} of sites, and {len(others) - len(apart)} with passages, of validation or test "
        "pages"
    )
    return apart


@lru_cache(maxsize=100_000)
def _site_names(site: str, url: str) -> frozenset[str]:
    return frozenset(name.casefold() for name in (site, site_of(site), site_of(url)) if name)


def site_names(page: Page) -> frozenset[str]:
    """What a page's site may be called: two corpora may spell it in two ways."""
    return _site_names(page.site, page.url or "")


def learns_from_auxiliary(config: Config) -> bool:
    """Whether the config's family learns from `corpus.auxiliary`."""
    return bool(getattr(getattr(config, config.family), _SETTINGS[config.family]))


@lru_cache(maxsize=1)
def _read_auxiliary(
    also: tuple[str, ...], sha256: str, languages: tuple[str, ...], mapping: str | None, output: Path
) -> list[Page]:
    """The pages of `corpus.auxiliary`, read once for all folds while `sha256` is the same. Refused ones go to
    quarantine whatever the config says: among pages that nobody labelled by hand there are always some."""
    topics, kept = TopicMapping.load(mapping), []
    for number, path in enumerate(also):
        pages: list[Page] = []
        report = check_corpus(path, quarantine=output / f"quarantine-auxiliary-{number}.jsonl", on_page=pages.append)
        if report.errors:
            console.print(
                f"{sum(report.errors.values())} of {report.lines} pages of {path} refused, see {report.quarantine}"
            )
        kept += [
            # They teach roles: topics that the corpus has not would be one family's alone.
            replace(topics.page(page, path).without_topics(), page_id=f"auxiliary-{number}/{page.page_id}")
            for page in wished_pages(pages, languages, path)
        ]
    return kept
