"""The pages of a run: read as its config says, hashed, split, and what joins them in training."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from train.common.console import console
from train.common.errors import InputError
from train.common.files import sha256_json
from train.common.generation import finished_run
from train.config.schema import Config, load_config
from train.corpus import topic_texts
from train.corpus.column_mapping import ColumnMapping, in_languages
from train.corpus.page import Page
from train.corpus.quality.check import check_corpus
from train.corpus.read import Corpus, read_pages
from train.corpus.sources import digest
from train.corpus.splits.near_duplicates import passages
from train.corpus.splits.page_summary import page_summaries
from train.corpus.splits.split import PARTS, Split, folds, given_split, read_split, split_by_site
from train.corpus.topic_texts import TopicMapping

HELD_OUT = ("validation", "test", "held_out")
"""Parts of which nothing is learnt; `held_out` is what a search keeps for its end."""


def read_corpus(config: Config, output: Path) -> tuple[dict[str, list[Page]], str]:
    """Reads the corpora of a config, keeps the pages in the wished languages, and hashes the corpora.

    Args:
        config: The resolved config.
        output: The run's folder, for quarantined pages.

    Returns:
        Pages by key (`path`, or the three parts), and the sha256.

    Raises:
        InputError: A corpus cannot be read, or has no page in the wished languages.
    """
    corpus = config.corpus
    pages: dict[str, list[Page]] = {}
    topics = TopicMapping.load(config.topics.mapping)
    for key, path in _corpus_paths(config).items():
        naming = ColumnMapping(corpus.columns, corpus.roles)
        if corpus.on_bad_page == "quarantine":
            kept: list[Page] = []
            report = check_corpus(
                path, quarantine=output / f"quarantine-{key}.jsonl", naming=naming, on_page=kept.append
            )
            if report.errors:
                console.print(
                    f"{sum(report.errors.values())} of {report.lines} pages of {path} refused, see {report.quarantine}"
                )
        else:
            kept = read_pages(path, naming=naming)
        pages[key] = [topics.page(page, path) for page in wished_pages(kept, corpus.languages, path)]
    return pages, corpus_sha256(config)


def stream_corpus(config: Config) -> dict[str, Iterable[Page]]:
    """As `read_corpus`, but pages are read one by one each time they are iterated over, and refused ones are passed
    over or stop it."""
    corpus, topics = config.corpus, TopicMapping.load(config.topics.mapping)
    naming = ColumnMapping(corpus.columns, corpus.roles)
    skip = corpus.on_bad_page == "quarantine"
    return {
        key: _Wished(Corpus(path, naming, skip_refused=skip), corpus.languages, topics, path)
        for key, path in _corpus_paths(config).items()
    }


@dataclass(frozen=True)
class _Wished:
    """Pages in the wished languages, their topics named."""

    pages: Iterable[Page]
    languages: Sequence[str]
    topics: TopicMapping
    path: str

    def __iter__(self) -> Iterator[Page]:
        kept = total = 0
        for page in self.pages:
            total += 1
            if in_languages(page.lang, self.languages):
                kept += 1
                yield self.topics.page(page, self.path)
        _tell(kept, total, self.languages, self.path)


def read_topic_texts(config: Config, output: Path, parts: Mapping[str, Sequence[Page]]) -> list[Page]:
    """The config's topic texts, as pages of one story, without those that share a passage with a validation or test
    page.

    Args:
        config: The resolved config.
        output: The run's folder, for quarantined texts.
        parts: The pages of each part of the split.
    """
    if config.topics.path is None:
        return []
    quarantine = output / "quarantine-topics.jsonl" if config.corpus.on_bad_page == "quarantine" else None
    texts, refused = topic_texts.read_texts(config.topics.path, TopicMapping.load(config.topics.mapping), quarantine)
    if refused:
        console.print(f"{refused:,} topic texts refused, see {quarantine}", style="yellow", markup=False)
    kept = drop_overlapping(texts, parts)
    if len(kept) < len(texts):
        console.print(
            f"{len(texts) - len(kept):,} topic texts share a passage with validation or test pages and are left out",
            style="yellow",
        )
    texts = kept
    counts = topic_texts.count_topics(texts)
    console.print(
        f"{len(texts):,} topic texts: " + ", ".join(f"{topic} {count:,}" for topic, count in counts.most_common(20)),
        markup=False,
    )
    return texts


def held_out_pages(parts: Mapping[str, Sequence[Page]]) -> list[Page]:
    """The validation and test pages of a split: what training must not see."""
    return [page for part in HELD_OUT for page in parts.get(part, ())]


def drop_overlapping(pages: Sequence[Page], parts: Mapping[str, Sequence[Page]]) -> list[Page]:
    """The pages that share no passage with a validation or test page.

    Args:
        pages: The pages to choose from.
        parts: The pages of each part of the split.
    """
    unseen = np.unique(
        np.concatenate(
            [np.empty(0, np.uint64), *(summaries.passages for summaries in page_summaries(held_out_pages(parts)))]
        )
    )
    return [page for page in pages if not np.isin(passages("\n".join(page.texts)), unseen, assume_unique=True).any()]


def wished_pages(pages: list[Page], languages: Sequence[str], path: str) -> list[Page]:
    """The pages in some languages.

    Args:
        pages: The pages to choose from.
        languages: Language codes; none keeps all pages.
        path: The corpus, for messages.

    Raises:
        InputError: No page is in these languages.
    """
    kept = [page for page in pages if in_languages(page.lang, languages)]
    if not kept:
        present = ", ".join(sorted({str(page.lang) for page in pages}))
        raise InputError(
            f"no page in {', '.join(languages)}; there are {present or 'no pages'}",
            expected="pages in corpus.languages",
            remedy="name languages the corpus has, or [] for all",
            path=path,
            rule="no-language",
        )
    _tell(len(kept), len(pages), languages, path)
    return kept


def _tell(kept: int, total: int, languages: Sequence[str], path: str) -> None:
    if kept < total:
        console.print(
            f"{kept:,} of {total:,} pages of {path} are in {', '.join(languages)}; the rest is left out", markup=False
        )


def _corpus_paths(config: Config) -> dict[str, str]:
    corpus = config.corpus
    return {"path": corpus.path} if corpus.path else {part: getattr(corpus, f"{part}_path") for part in PARTS}


def corpus_sha256(config: Config) -> str:
    """sha256 of the corpus file as `sha256sum` prints it; over all that decides what its pages and labels read, where
    that is more: three files, names of columns and roles, a mapping of topics. Which of them are kept is the split's to
    tell."""
    digests = [digest(path) for path in _corpus_paths(config).values()]
    if config.corpus.columns or config.corpus.roles:
        digests.append(sha256_json([config.corpus.columns, config.corpus.roles]))
    if config.topics.mapping:
        digests.append(TopicMapping.load(config.topics.mapping).sha256)
    return digests[0] if len(digests) == 1 else sha256_json(digests)


def split_corpus(config: Config, pages: Mapping[str, Iterable[Page]]) -> Split:
    """The split of a config: the saved one, that of one fold, by site or by time when one corpus was given; else the
    given parts, checked.

    Args:
        config: The resolved config.
        pages: The corpora's pages, as `read_corpus` or `stream_corpus` returns them.
    """
    if "path" not in pages:
        return given_split({part: list(page_summaries(own)) for part, own in pages.items()})
    made = splits_of(config, pages)
    return made[config.corpus.fold if config.corpus.folds is not None else 0]


def splits_of(config: Config, pages: Mapping[str, Iterable[Page]]) -> list[Split]:
    """The splits of all folds of a config; a single split when it has no folds.

    Args:
        config: The resolved config.
        pages: The corpora's pages, as `read_corpus` or `stream_corpus` returns them.

    Raises:
        InputError: There is no page, or the split cannot be made.
    """
    corpus = config.corpus
    if "path" not in pages:
        return [split_corpus(config, pages)]
    summaries = list(page_summaries(pages["path"]))
    if not summaries:
        wished = f" in {', '.join(corpus.languages)}" if corpus.languages else ""
        raise InputError(
            f"no page{wished}",
            expected="labelled pages",
            remedy="check corpus.path and corpus.languages",
            path=corpus.path,
            rule="empty-corpus",
        )
    if corpus.split_path is not None:
        return [read_split(Path(corpus.split_path), summaries)]
    if corpus.folds is not None:
        return folds(summaries, count=corpus.folds, validation_share=corpus.validation_share, seed=corpus.split_seed)
    by_time = corpus.split_by == "time"
    shares = {"validation_share": corpus.validation_share, "test_share": corpus.test_share}
    return [split_by_site(summaries, seed=corpus.split_seed, by_time=by_time, **shares)]


def part_of_run(run: Path, part: str, corpus: str | None = None, *, sha256: str | None = None) -> list[Page]:
    """The pages of one part of the split that a run was trained with, read as the run read them.

    Args:
        run: The run's output folder.
        part: `train`, `validation` or `test`.
        corpus: Where the corpus that the run read lies now; where its config says, when None.
        sha256: What the corpus must be, labels and all; page ids are compared in any case.

    Raises:
        InputError: There is no such part or run, or it is of another corpus.
    """
    if part not in PARTS:
        raise InputError(
            f"part {part!r}", expected=f"one of {', '.join(PARTS)}", remedy="name one of them", rule="no-part"
        )
    run = finished_run(run)
    if not (run / "split.json").is_file():
        raise InputError(
            "no split there",
            expected="the output folder of a run, which holds split.json",
            remedy="name the folder that the run wrote, not its bundle or a URI",
            path=run,
            rule="no-split",
        )
    pages, read_sha256 = read_corpus(
        load_config(run / "config.yaml", [] if corpus is None else [f"corpus.path={corpus}"]), run
    )
    if sha256 is not None and read_sha256 != sha256:
        raise InputError(
            f"another corpus: sha256 {read_sha256[:12]}",
            expected=f"that of the run: {sha256[:12]}",
            remedy="name the very corpus the run was trained on",
            path=corpus,
            rule="other-corpus",
        )
    all_pages = [page for some in pages.values() for page in some]
    return read_split(run / "split.json", list(page_summaries(all_pages))).select(all_pages)[part]


def parts_of(split: Split, pages: Mapping[str, Iterable[Page]]) -> dict[str, list[Page]]:
    """The pages of each part of a `split`; `pages` are as `read_corpus` returns them."""
    return split.select(page for own in pages.values() for page in own)


def fewer_sites(parts: Mapping[str, list[Page]], *, size: int, seed: int) -> dict[str, list[Page]]:
    """The parts, the training part with pages of fewer sites; of two sizes, the smaller one's sites are among the
    larger one's.

    Args:
        parts: The pages of each part.
        size: The number of training sites to keep; 0 keeps all.
        seed: Seeds the draw of sites.
    """
    sites = sorted({page.site for page in parts["train"]})
    random.Random(seed).shuffle(sites)
    kept = set(sites[: size or len(sites)])
    return {**parts, "train": [page for page in parts["train"] if page.site in kept]}


def auxiliary_sha256(config: Config) -> str:
    """Names `corpus.auxiliary`."""
    return sha256_json([digest(path) for path in config.corpus.auxiliary])


def topics_sha256(config: Config) -> str | None:
    """Names the topic texts; None without."""
    return topic_texts.digest(config.topics.path) if config.topics.path else None
