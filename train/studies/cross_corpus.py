"""`make transfer`: trained on one corpus, tested on another; every pair, and all corpora together.

On the diagonal, and where training mixes corpora, the tested corpus is cross-validated. Nothing is learnt from a site
that is tested, nor from a page that shares a passage with a tested one, whichever corpus it comes from.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from train.common.console import console
from train.common.errors import InputError
from train.common.files import begin_folder, sha256_json, write_json, write_text
from train.common.markdown import table
from train.config.schema import Config
from train.corpus.loading import corpus_sha256, read_corpus, read_topic_texts
from train.corpus.page import Page
from train.corpus.sources import jsonl
from train.corpus.splits.page_summary import all_facts
from train.corpus.splits.split import split_by_site
from train.corpus.training_data import site_names
from train.evaluation.metrics import KEY_METRICS, Evaluation, evaluate
from train.studies.tables import USUAL_FOLDS, cells, folds_said, note
from train.tracking.runs import tracked_run
from train.training.crossval import Lesson, label_unseen, out_of_fold
from train.training.fingerprint import run_fingerprint

MIXED = "all"
LEAST_PAGES = 10


@dataclass(frozen=True)
class Cell:
    """One pair.

    Args:
        trained_on: Name of a corpus, or `all`.
        tested_on: Name of a corpus.
        scores: On all its pages.
    """

    trained_on: str
    tested_on: str
    scores: Evaluation


def transfer(
    config: Config,
    name: str,
    corpora: Mapping[str, str],
    output: Path,
    *,
    count: int = USUAL_FOLDS,
    overrides: Sequence[str] = (),
) -> list[Cell]:
    """Scores every pair of corpora, and training on all of them; one MLflow run. Pairs that are done are not done
    again.

    Args:
        config: The model to train.
        name: What the config is called.
        corpora: Name -> corpus, two or more.
        output: Folder for pairs, `transfer.json` and `table.md`.
        count: Folds where training and tested corpus overlap.
        overrides: What the config was overridden with, for the table.

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
        found, _ = read_corpus(one, output)
        # An id may be in two corpora; a record must say which it is of.
        pages[key] = [replace(page, page_id=f"{key}/{page.page_id}") for part in found.values() for page in part]
    digests = {key: corpus_sha256(one) for key, one in configs.items()}
    cells_: list[Cell] = []
    with tracked_run(config, resume=None, fallback_name=f"transfer {name}", folder=output) as tracker:
        for trained in [*corpora, MIXED]:
            for tested in corpora:
                work = output / f"{trained}-to-{tested}"
                records = _pair(configs[tested], pages, digests, trained, tested, work, count)
                scores = evaluate(
                    pages[tested],
                    records,
                    bootstrap_samples=config.evaluation.bootstrap_samples,
                    confidence=config.evaluation.confidence,
                    seed=config.seed,
                )
                cells_.append(Cell(trained, tested, scores))
                tracker.metrics(scores.metrics(f"transfer/{trained}-to-{tested}"))
        found_json = [{"trained_on": c.trained_on, "tested_on": c.tested_on, **c.scores.to_json()} for c in cells_]
        write_json(output / "transfer.json", {"config": name, "corpora": digests, "pairs": found_json})
        given = " ".join(f"{key}={path}" for key, path in corpora.items())
        hashes = ", ".join(f"{key} `{value[:12]}`" for key, value in digests.items())
        said = note(
            "transfer",
            f"configs/{name}.yaml",
            overrides,
            f"corpus sha256 {hashes}",
            CORPORA=given,
            FOLDS=folds_said(count),
        )
        write_text(output / "table.md", f"{markdown(cells_)}\n{said}")
        for file in ("transfer.json", "table.md"):
            tracker.file(output / file)
    return cells_


def _pair(
    config: Config,
    pages: Mapping[str, list[Page]],
    digests: Mapping[str, str],
    trained: str,
    tested: str,
    work: Path,
    count: int,
) -> list[dict[str, Any]]:
    console.print(f"trained on {trained}, tested on {tested}", markup=False)
    if trained == tested:
        return out_of_fold(config, pages[tested], digests[tested], count=count, work=work)
    if trained == MIXED:
        others = [page for key, found in pages.items() if key != tested for page in found]

        def mix(parts: dict[str, list[Page]]) -> dict[str, list[Page]]:
            unseen = [*parts["validation"], *parts["test"]]
            return {**parts, "train": [*parts["train"], *_apart(others, unseen)]}

        lesson = Lesson(f"and {', '.join(sorted(digest for key, digest in digests.items() if key != tested))}", mix)
        return out_of_fold(config, pages[tested], digests[tested], count=count, work=work, lesson=lesson)
    begin_folder(work, sha256_json([run_fingerprint(config, digests[tested]), digests[trained]]))
    path = work / "records.jsonl.gz"
    if path.is_file():
        return [record for _, record in jsonl.lines(path) if isinstance(record, dict)]
    learnt = _apart(pages[trained], pages[tested])
    if len(learnt) < LEAST_PAGES:
        raise InputError(
            f"{len(learnt)} of {len(pages[trained])} pages of {trained} are of sites and stories that {tested} has not",
            expected=f"at least {LEAST_PAGES}",
            remedy="give corpora of different sites",
            rule="bad-corpora",
        )
    corpus = config.corpus
    split = split_by_site(
        list(all_facts(learnt)),
        validation_share=corpus.validation_share,
        test_share=corpus.validation_share,
        seed=corpus.split_seed,
    )
    parts = split.select(learnt)
    # There are enough pages to test on in the other corpus: these may teach.
    parts = {"train": [*parts["train"], *parts["test"]], "validation": parts["validation"], "test": pages[tested]}
    records = label_unseen(config, parts, read_topic_texts(config, work, parts), work / "model")
    jsonl.write(path, records)
    return records


def _apart(pages: Sequence[Page], unseen: Sequence[Page]) -> list[Page]:
    """The pages that share neither site nor passage with unseen ones."""
    sites = {name for page in unseen for name in site_names(page)}
    passages = np.unique(np.concatenate([np.empty(0, np.uint64), *(facts.passages for facts in all_facts(unseen))]))
    facts = all_facts(pages)
    return [
        page
        for page, fact in zip(pages, facts, strict=True)
        if not sites & site_names(page) and not np.isin(fact.passages, passages).any()
    ]


def markdown(found: Sequence[Cell]) -> str:
    """The pairs as a Markdown table."""
    header = ["trained on", "tested on", *KEY_METRICS.values()]
    return table(header, [[cell.trained_on, cell.tested_on, *cells(cell.scores)] for cell in found])
