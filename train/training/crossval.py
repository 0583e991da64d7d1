"""Cross-validation by site: every page is labelled by a model that has seen neither its site nor its stories."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from train.common.console import console
from train.common.errors import InputError
from train.common.files import begin_folder, sha256_json, write_json
from train.common.lock import in_use
from train.config.schema import Config
from train.corpus.loading import read_corpus, read_topic_texts
from train.corpus.page import Page
from train.corpus.sources import jsonl
from train.corpus.splits.page_summary import page_summaries
from train.corpus.splits.split import Split, folds
from train.corpus.training_data import training_pages
from train.evaluation.metrics import Evaluation, by_value
from train.evaluation.model_scores import label_pages
from train.evaluation.reliability import reliability
from train.models.factory import family_of
from train.models.pretrained import warnings_of
from train.models.selection import choose
from train.reports.run_report import one_line
from train.runtime import Labeler
from train.tracking.runs import tracked_run
from train.tracking.tracker import Tracker
from train.training.fingerprint import code_sha256, run_fingerprint
from train.training.scoring import score


@dataclass(frozen=True)
class TrainingSelection:
    """Which pages the models of a cross-validation are trained on, when it is not just the pages of the other folds.

    Args:
        name: Identifies the selection: folds that were made with another one are not reused.
        parts: Maps a fold's `train`, `validation` and `test` pages to those to train, validate and predict with. A part
            `held_out` may hold further pages: nothing is learnt from what stands on their sites or shares their
            passages.
    """

    name: str
    parts: Callable[[dict[str, list[Page]]], dict[str, list[Page]]]


def fold_splits(config: Config, pages: Sequence[Page], count: int) -> list[Split]:
    """The split of each fold of a cross-validation by site.

    Args:
        config: Says how large the validation part is, and the seed.
        pages: Labelled pages.
        count: The number of folds.

    Raises:
        InputError: There are fewer groups of sites than folds.
    """
    corpus, summaries = config.corpus, list(page_summaries(pages))
    return folds(summaries, count=count, validation_share=corpus.validation_share, seed=corpus.split_seed)


def folds_fingerprint(config: Config, corpus_sha256: str, count: int, selection: TrainingSelection | None) -> str:
    """Names all that the records of a cross-validation depend on.

    Args:
        config: The model that is trained.
        corpus_sha256: Names the corpus.
        count: The number of folds.
        selection: The training selection; None for the pages of the other folds.
    """
    return sha256_json([run_fingerprint(config, corpus_sha256), count, selection.name if selection else None])


def predict_folds(
    config: Config,
    pages: Sequence[Page],
    corpus_sha256: str,
    *,
    count: int,
    work: Path,
    selection: TrainingSelection | None = None,
) -> Iterator[list[dict[str, Any]]]:
    """Yields, fold by fold, the records of its test pages, by a model that has seen neither them nor their sites.

    A fold that is done is kept in `work`: a killed run goes on with the next one.

    Args:
        config: The model to train; its decoder is chosen on each fold's validation pages.
        pages: Labelled pages.
        corpus_sha256: Names the corpus, to recognise folds that are done.
        count: The number of folds, 2 or more.
        work: The folder for folds; those of another config, corpus, selection or code are deleted.
        selection: Which pages to train on; those of the other folds by default.

    Raises:
        InputError: There are fewer groups of sites than folds, fewer than two folds, a page id twice, or `work` holds
            other files.
    """
    if count < 2:
        raise InputError(f"{count} folds", expected="at least 2", remedy="name more folds", rule="bad-folds")
    if len({page.page_id for page in pages}) < len(pages):
        raise InputError(
            "a page id in more than one file",
            expected="ids that are unique over all parts",
            remedy="rename them",
            rule="duplicate-page",
        )
    begin_folder(work, folds_fingerprint(config, corpus_sha256, count, selection))
    for i, split in enumerate(fold_splits(config, pages, count)):
        path = work / f"fold-{i}.jsonl.gz"
        if not path.is_file():
            console.print(f"fold {i + 1} of {count}")
            parts = split.select(pages)
            if selection is not None:
                parts = selection.parts(parts)
            texts = read_topic_texts(config, work, parts)
            jsonl.write(path, label_unseen(config, parts, texts, work / f"fold-{i}"))
        yield list(_read(path))


def out_of_fold(
    config: Config,
    pages: Sequence[Page],
    corpus_sha256: str,
    *,
    count: int,
    work: Path,
    selection: TrainingSelection | None = None,
) -> list[dict[str, Any]]:
    """The records of `predict_folds`, which takes the same arguments, in the order of `pages`.

    Args:
        config: The model to train.
        pages: Labelled pages.
        corpus_sha256: Names the corpus, to recognise folds that are done.
        count: The number of folds, 2 or more.
        work: The folder for folds.
        selection: Which pages to train on; those of the other folds by default.
    """
    return _in_order(pages, predict_folds(config, pages, corpus_sha256, count=count, work=work, selection=selection))


def _in_order(pages: Sequence[Page], folds: Iterable[list[dict[str, Any]]]) -> list[dict[str, Any]]:
    by_id = {record["page_id"]: record for records in folds for record in records}
    return [by_id[page.page_id] for page in pages]


def _tracked_folds(
    config: Config, name: str, pages: Sequence[Page], corpus_sha256: str, *, count: int, work: Path, tracker: Tracker
) -> Iterator[list[dict[str, Any]]]:
    """The records of `predict_folds`, each fold a child of the MLflow run."""
    by_id = {page.page_id: page for page in pages}
    predictions = predict_folds(config, pages, corpus_sha256, count=count, work=work)
    for i in range(count):
        with tracked_run(
            config, resume=None, fallback_name=f"{name}, fold {i + 1} of {count}", folder=work, parent=tracker
        ) as fold:
            fold.tags({"config": name, "corpus.sha256": corpus_sha256, "fold": str(i)})
            records = next(predictions)
            fold.metrics(score([by_id[record["page_id"]] for record in records], records, config).metrics("crossval"))
        yield records


@dataclass(frozen=True)
class CrossValidation:
    """The result of a cross-validation.

    Args:
        records: Out-of-fold records, in the order of the corpus.
        whole: Scores over all pages, with intervals over sites.
        slices: Scores of the pages of each value of the key they are sliced by; empty without a key.
        reliability: How well confidence tells accuracy (`train.evaluation.reliability.reliability`).
    """

    records: list[dict[str, Any]]
    whole: Evaluation
    slices: dict[str, Evaluation]
    reliability: dict[str, Any]

    @property
    def metrics(self) -> dict[str, float]:
        """The run's metrics, by their names in MLflow."""
        calibration = {f"crossval/role/{name}": self.reliability[name] for name in ("ece", "brier")}
        return self.whole.metrics("crossval") | calibration

    def to_json(self, **details: Any) -> dict[str, Any]:
        """The content of `crossval.json`: scores, slices, reliability, and `details` that name the run."""
        slices = {value: scores.to_json() for value, scores in self.slices.items()}
        return self.whole.to_json(**details, slices=slices, reliability=self.reliability)


def cross_validate(
    config: Config, name: str, output: Path, *, count: int, slice_by: str | None = None
) -> CrossValidation:
    """Scores a config on every page of its corpus by models that have not seen the page's site; one MLflow run.

    Args:
        config: The model to train.
        name: What the config is called: the run's name unless the config gives one.
        output: The folder for folds, records and scores.
        count: The number of folds, 2 or more.
        slice_by: A key of pages (`lang`, or one that came with the corpus, e.g. `source`) whose values get scores of
            their own too; None by default.

    Raises:
        InputError: The corpus is missing, or has fewer groups of sites than folds.
    """
    by_file, corpus_sha256 = read_corpus(config, output)
    pages = [page for file_pages in by_file.values() for page in file_pages]
    start = config.encoder.pretrained if config.encoder else None
    for warning in warnings_of(start, (page.site for page in pages)):
        console.print(f"warning: {warning}", style="yellow", markup=False)
    whole_name = f"{name}, {count} folds"
    with in_use(output), tracked_run(config, resume=None, fallback_name=whole_name, folder=output) as tracker:
        tracker.tags(
            {"config": name, "corpus.sha256": corpus_sha256, "folds": str(count), "code.sha256": code_sha256()}
        )
        started = time.monotonic()
        records = _in_order(
            pages,
            _tracked_folds(config, name, pages, corpus_sha256, count=count, work=output / "folds", tracker=tracker),
        )
        result = _scored(config, pages, records, slice_by)
        jsonl.write(output / "records.jsonl.gz", records)
        details = {"corpus_sha256": corpus_sha256, "folds": count, "config": name}
        write_json(output / "crossval.json", result.to_json(**details))
        tracker.metrics(result.metrics | {"cost/total_s": time.monotonic() - started})
        tracker.file(output / "crossval.json")
        tracker.describe(f"{count} folds by site. {one_line(result.whole, {})}", {"scores": "crossval.json"})
    return result


def _scored(
    config: Config, pages: Sequence[Page], records: list[dict[str, Any]], slice_by: str | None
) -> CrossValidation:
    by_slice = by_value(pages, records, slice_by) if slice_by else {}
    return CrossValidation(
        records=records,
        whole=score(pages, records, config),
        slices={value: score(*labelled, config) for value, labelled in by_slice.items()},
        reliability=reliability(pages, records),
    )


def _read(path: Path) -> Iterator[dict[str, Any]]:
    for line, record in jsonl.lines(path):
        if isinstance(record, InputError):
            raise InputError(
                "a broken fold", expected="what an earlier run wrote", remedy=f"delete {path}", path=path, line=line
            )
        yield record


def label_unseen(
    config: Config, parts: Mapping[str, list[Page]], texts: Sequence[Page], work: Path
) -> list[dict[str, Any]]:
    """Records of test pages by a model trained on `train`, its decoder and calibration chosen on `validation`.

    Args:
        config: The model to train.
        parts: `train`, `validation` and `test` pages; `held_out` pages too, where there are some.
        texts: Topic texts that the model learns topics from too.
        work: The folder for what is done of the model; deleted at the end.
    """
    family = family_of(config, work)
    family.fit(training_pages(config, parts, texts), lambda metrics, step: None)
    reader = family.scorer()
    chosen = choose(reader, parts["train"], parts["validation"], config.decoding, config.calibration)
    labeler = Labeler(
        reader, chosen.decoder, "newsparts", "out-of-fold", config.family, tuple(reader.topics), chosen.calibration
    )
    records = label_pages(labeler, parts["test"], "labelling pages of unseen sites")
    shutil.rmtree(work, ignore_errors=True)
    return records
