"""`make transfer`: trained on one corpus, tested on another; every pair, and all corpora together.

On the diagonal, and where training mixes corpora, the tested corpus is cross-validated. Nothing is learnt from a site
that is tested, nor from a page that shares a passage with a tested one, whichever corpus it comes from.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from train.common.errors import InputError
from train.common.files import begin_folder, sha256_json
from train.config.schema import Config
from train.corpus.loading import corpus_sha256, read_corpus, read_topic_texts
from train.corpus.page import Page
from train.corpus.splits.page_summary import page_summaries
from train.corpus.splits.split import split_by_site
from train.corpus.training_data import site_names
from train.studies.study import Label, Result, Row, Study, cross_validated, run_study
from train.studies.tables import USUAL_FOLDS
from train.tracking.tracker import Tracker
from train.training.crossval import TrainingSelection, label_unseen
from train.training.fingerprint import run_fingerprint

MIXED = "all"
LEAST_PAGES = 10


def transfer(
    config: Config,
    name: str,
    corpora: Mapping[str, str],
    output: Path,
    *,
    count: int = USUAL_FOLDS,
    overrides: Sequence[str] = (),
    save: bool = False,
) -> list[Result]:
    """Scores every pair of corpora, and training on all of them; one MLflow run. Pairs that are done are not done
    again.

    Args:
        config: The model to train.
        name: What the config is called.
        corpora: Name -> corpus, two or more.
        output: The folder for pairs, `transfer.json` and `table.md`.
        count: Folds where training and tested corpus overlap.
        overrides: What the config was overridden with, for the table.
        save: Whether to keep the rows in `configs/results`.

    Returns:
        A row for each pair; its details are `trained on` and `tested on`.

    Raises:
        InputError: Fewer than two corpora, one called `all`, a bad corpus, or one with nothing left to learn from.
    """
    if len(corpora) < 2 or MIXED in corpora:
        raise InputError(
            f"corpora {', '.join(corpora) or 'none'}",
            expected=f"two or more NAME=PATH, none called {MIXED}",
            remedy='CORPORA="ours=a.jsonl theirs=b.jsonl"',
            rule="bad-corpora",
        )
    configs = {key: replace(config, corpus=replace(config.corpus, path=path)) for key, path in corpora.items()}
    pages: dict[str, list[Page]] = {}
    for key, one in configs.items():
        by_file, _ = read_corpus(one, output)
        # An id may be in two corpora; a record must say which it is of.
        pages[key] = [replace(page, page_id=f"{key}/{page.page_id}") for part in by_file.values() for page in part]
    digests = {key: corpus_sha256(one) for key, one in configs.items()}
    rows = []
    for trained in [*corpora, MIXED]:
        for tested in corpora:
            label, state = _pair(configs[tested], pages, digests, trained, tested, count)
            details: dict[str, str | float] = {"trained on": trained, "tested on": tested}
            rows.append(Row(f"{trained}-to-{tested}", configs[tested], pages[tested], label, state, details))

    def tell(results: list[Result], tracker: Tracker) -> None:
        for one in results:
            tracker.metrics(one.scores.metrics(f"transfer/{one.row.name}"))

    variables = {"CORPORA": " ".join(f"{key}={path}" for key, path in corpora.items())}
    save_as = "cross-corpus" if save else None
    study = Study("transfer", f"configs/{name}.yaml", overrides, count, digests, variables, save_as)
    return run_study(study, rows, output, also=tell)


def _pair(
    config: Config, pages: Mapping[str, list[Page]], digests: Mapping[str, str], trained: str, tested: str, count: int
) -> tuple[Label, str]:
    """How the pages of one corpus are labelled by models of another, and the state that names their records."""
    if trained == tested:
        return cross_validated(config, pages[tested], digests[tested], count=count)
    if trained == MIXED:
        others = [page for key, part in pages.items() if key != tested for page in part]

        def mix(parts: dict[str, list[Page]]) -> dict[str, list[Page]]:
            unseen = [*parts["validation"], *parts["test"]]
            return {**parts, "train": [*parts["train"], *_apart(others, unseen)]}

        selection = TrainingSelection(
            f"and {', '.join(sorted(digest for key, digest in digests.items() if key != tested))}", mix
        )
        return cross_validated(config, pages[tested], digests[tested], count=count, selection=selection)
    state = sha256_json([run_fingerprint(config, digests[tested]), digests[trained]])

    def label(folder: Path) -> list[dict[str, Any]]:
        begin_folder(folder, state)
        learnt = _apart(pages[trained], pages[tested])
        if len(learnt) < LEAST_PAGES:
            raise InputError(
                f"{len(learnt)} of {len(pages[trained])} pages of {trained} are of sites and stories that {tested} has "
                "not",
                expected=f"at least {LEAST_PAGES}",
                remedy="give corpora of different sites",
                rule="bad-corpora",
            )
        corpus = config.corpus
        split = split_by_site(
            list(page_summaries(learnt)),
            validation_share=corpus.validation_share,
            test_share=corpus.validation_share,
            seed=corpus.split_seed,
        )
        parts = split.select(learnt)
        # There are enough pages to test on in the other corpus: these may teach.
        parts = {"train": [*parts["train"], *parts["test"]], "validation": parts["validation"], "test": pages[tested]}
        return label_unseen(config, parts, read_topic_texts(config, folder, parts), folder / "model")

    return label, state


def _apart(pages: Sequence[Page], unseen: Sequence[Page]) -> list[Page]:
    """The pages that share neither site nor passage with unseen ones."""
    sites = {name for page in unseen for name in site_names(page)}
    passages = np.unique(
        np.concatenate([np.empty(0, np.uint64), *(facts.passages for facts in page_summaries(unseen))])
    )
    facts = page_summaries(pages)
    return [
        page
        for page, fact in zip(pages, facts, strict=True)
        if not sites & site_names(page) and not np.isin(fact.passages, passages).any()
    ]
