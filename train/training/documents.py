"""What a run shows of its model: the report for whoever trained it, the card for whoever gets the bundle."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import train
from train.common.console import waiting
from train.common.environment import environment, git_state
from train.common.files import write_text
from train.evaluation.metrics import Evaluation, by_value, evaluate
from train.export.bundle import CARD, add_documents, requirements
from train.inference.explain import explainer_of
from train.monitoring.profile import write_reference
from train.reports.error_browser import MOST
from train.reports.model_card import ModelCardData, model_card
from train.reports.run_report import ReportData, one_line, write_run_report
from train.training.fingerprint import code_sha256
from train.training.run import ExportedModel, PartScores, Run, RunData, RunScores, TrainedFamily

LINKS = {
    "report": "report.html",
    "errors": "errors.html",
    "pages": "pages.html",
    "model card": CARD,
    "config": "config.yaml",
}
"""What a run's description links to."""
Origin = Mapping[str, str | None]
"""Name -> value of where a model comes from: config, MLflow run, commit and the like; None where it is not known."""


def write_documents(
    run: Run, data: RunData, trained: TrainedFamily, exported: ExportedModel, scores: RunScores
) -> None:
    """Writes and records the report of a run, and the model card and the drift reference of its bundle.

    Args:
        run: The run.
        data: Its pages.
        trained: The fitted family, whose steps the report draws.
        exported: The bundle; its card and its reference are added to it.
        scores: What the model scores.
    """
    origin = _origin(run)
    with waiting("drawing the report"):
        report = _report_data(run, data, trained, exported, scores, origin)
        files, errors = write_run_report(run.output, report)
        for path in files:
            run.tracker.file(path, "figures" if path.parent.name == "figures" else None)
        run.tracker.table(errors[:MOST], run.output / "errors.json")
        run.tracker.describe(one_line(scores.test.evaluation, scores.metrics), LINKS)
    with waiting("describing the model"):
        bundle = exported.bundle
        reference = _write_reference(data, exported, scores)
        write_text(bundle / CARD, model_card(_card_data(run, data, exported, scores, origin)))
        add_documents(bundle, [*reference, bundle / CARD])
        run.tracker.file(bundle / CARD)


def _report_data(
    run: Run, data: RunData, trained: TrainedFamily, exported: ExportedModel, scores: RunScores, origin: Origin
) -> ReportData:
    about = {
        "family": run.config.family,
        "output": str(run.output),
        "corpus sha256": data.corpus_sha256,
        "split sha256": data.split.sha256,
        **origin,
    }
    return ReportData(
        title=f"{run.name} {exported.labeler.version}",
        about=about,
        parts=data.parts,
        records=scores.test.records,
        report=scores.test.evaluation,
        certainty=scores.calibration,
        metrics=scores.metrics,
        steps=trained.steps.read(),
        explainer=explainer_of(exported.labeler),
        samples=run.config.evaluation.bootstrap_samples,
        seed=run.config.seed,
    )


def _write_reference(data: RunData, exported: ExportedModel, scores: RunScores) -> list[Path]:
    """Writes what drift is later compared with: training texts, and the model's records of pages it has not seen."""
    unseen = [
        (page.site, record)
        for part in (scores.validation, scores.test)
        for page, record in zip(part.pages, part.records, strict=True)
    ]
    training_texts = (page.texts for page in data.parts["train"])
    return write_reference(exported.bundle, training_texts, unseen, exported.labeler.topics)


def _card_data(run: Run, data: RunData, exported: ExportedModel, scores: RunScores, origin: Origin) -> ModelCardData:
    labeler = exported.labeler
    return ModelCardData(
        config=run.config,
        name=labeler.name,
        version=labeler.version,
        parts=data.parts,
        corpus_sha256=data.corpus_sha256,
        split_sha256=data.split.sha256,
        topics=labeler.topics,
        report=scores.test.evaluation,
        by_language=_by_language(scores.test),
        certainty=scores.calibration,
        metrics=scores.metrics,
        size_mb=scores.metrics["size/mb"],
        requirements=requirements(run.config.family),
        run=origin,
        date=f"{datetime.now(UTC):%Y-%m-%d}",
    )


def _by_language(test: PartScores) -> dict[str, Evaluation]:
    """The scores of each language; empty where there is one alone."""
    languages = by_value(test.pages, test.records, "lang")
    if len(languages) < 2:
        return {}
    return {language: evaluate(*labelled, bootstrap_samples=0) for language, labelled in languages.items()}


def _origin(run: Run) -> Origin:
    machine, git = environment(), git_state()
    commit = git.get("git.sha")
    changed = " with changes" if git.get("git.dirty") == "true" else ""
    return {
        "config": run.name,
        "MLflow run": run.tracker.run_id,
        "commit": f"{commit}{changed}" if commit else None,
        "code sha256": code_sha256(),
        "newsparts": train.__version__,
        "python": machine["python"],
        "machine": machine["machine"],
    }
