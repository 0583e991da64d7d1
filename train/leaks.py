"""`make leakage`: what the parts of a run's split share, and what its test scores are without that."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from train.config import Config
from train.corpus.leakage import LeakReport, find_leaks
from train.corpus.page import Page
from train.corpus.split import Split
from train.evaluation import Evaluation, without
from train.labelling import load_labeler
from train.recipe import label_pages, parts_of, read_corpus, score, split_corpus


def look(config: Config, saved_split: Path | None) -> tuple[LeakReport, Split, dict[str, list[Page]]]:
    """Looks for duplicates across the parts of a config's split.

    Args:
        config: Names the corpus and how it is split.
        saved_split: A run's `split.json`, taken instead of splitting anew.

    Returns:
        What was found, the split, and the pages of its parts.
    """
    if saved_split is not None and config.corpus.path is not None:
        config = replace(config, corpus=replace(config.corpus, split_path=str(saved_split), folds=None))
    pages, _ = read_corpus(config, Path(config.output))
    split = split_corpus(config, pages)
    parts = parts_of(split, pages)
    return find_leaks(parts), split, parts


def scores(model: str, pages: Sequence[Page], leaked: Mapping[str, Sequence[int]], config: Config) -> tuple[Evaluation, Evaluation]:
    """Scores of a model on test pages, and on the same pages without the leaked segments."""
    labeler = load_labeler(model)
    records = label_pages(labeler, pages, "labelling test pages")
    kept_pages, kept_records = without(pages, records, leaked)
    return score(labeler.topics, pages, records, config), score(labeler.topics, kept_pages, kept_records, config)
