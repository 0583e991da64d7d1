"""`make leakage`: what the parts of a run's split share, and what its test scores are without that."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from train.common.errors import InputError
from train.config.schema import Config
from train.corpus.loading import split_corpus, stream_corpus
from train.corpus.page import Page
from train.corpus.splits.leakage import LeakReport, find_leaks
from train.corpus.splits.split import PARTS, Split
from train.evaluation.metrics import Evaluation
from train.evaluation.model_scores import label_pages
from train.evaluation.subsets import drop_segments
from train.inference.resolve import load_labeler
from train.training.scoring import score


@dataclass(frozen=True)
class Part:
    """The pages of one part of a split, read anew each time they are iterated over.

    Args:
        corpora: Where the pages are, among those of other parts.
        page_ids: The ids of the part's pages.
    """

    corpora: Sequence[Iterable[Page]]
    page_ids: frozenset[str]

    def __iter__(self) -> Iterator[Page]:
        return (page for corpus in self.corpora for page in corpus if page.page_id in self.page_ids)


def look(config: Config, saved_split: Path | None) -> tuple[LeakReport, Split, dict[str, Part]]:
    """Looks for duplicates across the parts of a config's split.

    Args:
        config: Names the corpus and how it is split.
        saved_split: A run's `split.json`, taken instead of splitting anew.

    Returns:
        The duplicates, the split, and part -> its pages.
    """
    if saved_split is not None and config.corpus.path is not None:
        config = replace(
            config, corpus=replace(config.corpus, split_path=str(saved_split), folds=None, split_by="site")
        )
    corpora = stream_corpus(config)
    split = split_corpus(config, corpora)
    files = list(corpora.values())
    parts = {part: Part(files, frozenset(page.page_id for page in split.parts[part])) for part in PARTS}
    return find_leaks(parts), split, parts


def scores(
    model: str, pages: Sequence[Page], leaked: Mapping[str, Sequence[int]], config: Config
) -> tuple[Evaluation, Evaluation]:
    """The scores of a model on test pages, and on the same pages without the leaked segments.

    Args:
        model: A bundle, a run's output folder, or a URI.
        pages: The labelled test pages.
        leaked: Page id -> the indices of its segments that leaked, from 0.
        config: How pages are scored.

    Raises:
        InputError: Every segment leaked.
    """
    labeler = load_labeler(model)
    records = label_pages(labeler, pages, "labelling test pages")
    kept_pages, kept_records = drop_segments(pages, records, leaked)
    if not kept_pages:
        raise InputError(
            "every test segment leaked",
            expected="some that did not",
            remedy="split the corpus again",
            rule="all-leaked",
        )
    return score(pages, records, config), score(kept_pages, kept_records, config)
