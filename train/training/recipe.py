"""The whole story of a run, readable top to bottom: load, split, fit, choose, export, score, report, record."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

from train.common.console import console, waiting
from train.common.environment import peak_memory_mb
from train.common.files import write_json, write_text
from train.common.lock import in_use
from train.config.schema import Config
from train.corpus.loading import auxiliary_sha256, parts_of, read_corpus, read_topic_texts, split_corpus, topics_sha256
from train.corpus.quality.check import require_roles
from train.corpus.training_data import training_pages
from train.evaluation.model_scores import label_pages
from train.evaluation.reliability import reliability
from train.export.bundle import size_mb, write_bundle
from train.models.factory import family_of
from train.models.pretrained import SETTINGS, WEIGHTS, warnings_of
from train.models.selection import Chosen, choose
from train.runtime import Labeler
from train.tracking.runs import tracked_run
from train.tracking.step_log import StepLog
from train.training.documents import write_documents
from train.training.fingerprint import code_sha256, run_fingerprint
from train.training.outcome import Outcome
from train.training.resume import WORK, mark_begun, mark_finished, unfinished_run
from train.training.run import ExportedModel, PartScores, Run, RunData, RunScores, TrainedFamily
from train.training.scoring import score


def fit(config: Config, *, name: str | None = None, overrides: Sequence[str] = ()) -> Outcome:
    """Trains one model and leaves it, its scores and its split in `config.output`.

    A run that was killed goes on where it was: same config, corpus and code find the unfinished work in the output
    folder and go on in the same MLflow run. A finished run that is there is read until the new one is whole.

    Args:
        config: The resolved config.
        name: What the config is called, usually its file's stem; the run's tag `config`, and its name unless the config
            gives one. The family by default.
        overrides: What the config was overridden with, `key=value`; they are a part of the run's name.

    Returns:
        What the run left behind.

    Raises:
        InputError: The corpus or the config cannot give a model, or another process works in the folder.
    """
    output = Path(config.output)
    with in_use(output):
        return _fit(config, output, name or config.family, overrides)


def _fit(config: Config, output: Path, name: str, overrides: Sequence[str]) -> Outcome:
    started = time.monotonic()
    data = _load(config, output)
    fingerprint = run_fingerprint(config, data.corpus_sha256)
    resumed, run_id = unfinished_run(output, fingerprint)
    with tracked_run(config, resume=run_id, fallback_name=name, folder=output, changes=_changes(overrides)) as tracker:
        run = Run(config, name, output, tracker)
        mark_begun(output, fingerprint, tracker.run_id)
        _record_inputs(run, data)
        trained = _train(run, data, resumed=resumed)
        chosen = _choose(run, data, trained)
        exported = _export(run, data, trained, chosen)
        scores = _score(run, data, trained, chosen, exported, started=started)
        _record_scores(run, scores)
        write_documents(run, data, trained, exported, scores)
        model_uri = _record_model(run, exported, scores)
        outcome = Outcome(
            output=output,
            metrics=scores.metrics,
            run_id=tracker.run_id,
            model_uri=model_uri,
            version=exported.labeler.version,
            corpus_sha256=data.corpus_sha256,
            split_sha256=data.split.sha256,
        )
        mark_finished(outcome, fingerprint)
    return outcome


def _load(config: Config, output: Path) -> RunData:
    """Reads the corpus and splits it by site; warns of a split that teaches or shows little."""
    pages_by_file, corpus_sha256 = read_corpus(config, output)
    split = split_corpus(config, pages_by_file)
    parts = parts_of(split, pages_by_file)
    require_roles(parts["train"], "training")
    start = config.encoder.pretrained if config.encoder else None
    for warning in [*split.warnings(), *warnings_of(start, (page.site for page in parts["test"]))]:
        console.print(f"warning: {warning}", style="yellow", markup=False)
    return RunData(corpus_sha256, split, parts, read_topic_texts(config, output, parts))


def _record_inputs(run: Run, data: RunData) -> None:
    """Writes and records the config, the split and the hashes that the model depends on."""
    config, tracker = run.config, run.tracker
    write_text(run.output / "config.yaml", config.to_yaml())
    write_json(run.output / "split.json", data.split.to_json())
    tracker.tags(
        {
            "config": run.name,
            "corpus.sha256": data.corpus_sha256,
            "split.sha256": data.split.sha256,
            "code.sha256": code_sha256(),
        }
    )
    if config.corpus.auxiliary:
        tracker.tags({"corpus.auxiliary.sha256": auxiliary_sha256(config)})
    if (topics := topics_sha256(config)) is not None:
        tracker.tags({"topics.sha256": topics})
    tracker.datasets(data.split, config.corpus.path or str(config.corpus.train_path), data.corpus_sha256)
    for file in ("config.yaml", "split.json"):
        tracker.file(run.output / file)


def _train(run: Run, data: RunData, *, resumed: bool) -> TrainedFamily:
    """Fits the family on training pages; a run that goes on keeps its steps."""
    family = family_of(run.config, run.output / WORK)
    started = time.monotonic()
    steps = StepLog(run.output / "steps.jsonl", run.tracker.step_metrics, resumed=resumed)
    pages = training_pages(run.config, data.parts, data.topic_texts)
    family.fit(pages, steps)
    sites = frozenset(page.site for page in (*pages.train, *pages.validation, *pages.auxiliary))
    return TrainedFamily(family, steps, time.monotonic() - started, sites)


def _choose(run: Run, data: RunData, trained: TrainedFamily) -> Chosen:
    """Chooses the decoder and the calibration on validation pages."""
    config, parts = run.config, data.parts
    with waiting("choosing decoder and calibration on validation pages"):
        chosen = choose(
            trained.family.scorer(), parts["train"], parts["validation"], config.decoding, config.calibration
        )
    write_json(run.output / "decoding.json", chosen.tried)
    return chosen


def _export(run: Run, data: RunData, trained: TrainedFamily, chosen: Chosen) -> ExportedModel:
    """Writes the bundle and what another training may start from; loads the model that is scored from the bundle."""
    for name in (SETTINGS, WEIGHTS):
        (run.output / name).unlink(missing_ok=True)  # of an earlier run, which has its own in the folder of its own
    trained.family.keep(run.output, chosen.decoder, chosen.calibration, trained.sites)
    with waiting("writing the bundle and checking it"):
        bundle = write_bundle(
            run.output / "bundle",
            run.config.family,
            chosen.decoder,
            chosen.calibration,
            lambda folder: trained.family.write(folder, data.parts["validation"]),
        )
    return ExportedModel(bundle, Labeler.load(bundle))


def _score(
    run: Run, data: RunData, trained: TrainedFamily, chosen: Chosen, exported: ExportedModel, *, started: float
) -> RunScores:
    """Scores the exported model on validation and test pages.

    Args:
        run: The run.
        data: Its pages.
        trained: The family, for what training cost.
        chosen: The calibration, and its reliability on validation pages.
        exported: The model.
        started: When the run started, by `time.monotonic`.
    """
    costs = {"cost/train_s": trained.seconds, "size/mb": size_mb(exported.bundle)}
    validation = _score_part(run, data, chosen, exported, "validation")
    test = _score_part(run, data, chosen, exported, "test")
    calibration = {
        "calibration": chosen.calibration.to_json(),
        "validation": validation.reliability,
        "test": test.reliability,
    }
    write_json(run.output / "calibration.json", calibration)
    metrics = {
        **costs,
        **validation.evaluation.metrics("validation"),
        **test.evaluation.metrics("test"),
        "cost/segments_per_s": test.segments_per_s,
        **_reliability_metrics("validation", validation),
        **_reliability_metrics("test", test),
        "cost/total_s": time.monotonic() - started,
        "cost/peak_memory_mb": peak_memory_mb(),
    }
    return RunScores(validation, test, calibration, metrics)


def _score_part(run: Run, data: RunData, chosen: Chosen, exported: ExportedModel, part: str) -> PartScores:
    """Scores the model on one part, and writes `validation.json` or `test.json`."""
    pages, labeler = data.parts[part], exported.labeler
    started = time.monotonic()
    records = label_pages(labeler, pages, f"labelling {part} pages")
    seconds = time.monotonic() - started
    evaluation = score(pages, records, run.config)
    model = {"name": labeler.name, "version": labeler.version, "family": labeler.family}
    write_json(
        run.output / f"{part}.json",
        evaluation.to_json(corpus_sha256=data.corpus_sha256, split_sha256=data.split.sha256, model=model),
    )
    if part == "validation":  # the calibration was fitted on these pages, from scores that were not rounded
        of_confidence = chosen.reliability
    else:
        uncalibrated = 1 / chosen.calibration.role_temperature
        of_confidence = {
            "before": reliability(pages, records, temperature=uncalibrated),
            "after": reliability(pages, records),
        }
    return PartScores(pages, records, evaluation, of_confidence, sum(len(page.segments) for page in pages) / seconds)


def _reliability_metrics(part: str, scores: PartScores) -> dict[str, float]:
    before, after = scores.reliability["before"], scores.reliability["after"]
    return {
        f"{part}/role/ece": after["ece"],
        f"{part}/role/ece_uncalibrated": before["ece"],
        f"{part}/role/brier": after["brier"],
        f"{part}/role/brier_uncalibrated": before["brier"],
    }


def _record_scores(run: Run, scores: RunScores) -> None:
    run.tracker.metrics(scores.metrics)
    for file in ("validation.json", "test.json", "decoding.json", "calibration.json"):
        run.tracker.file(run.output / file)


def _record_model(run: Run, exported: ExportedModel, scores: RunScores) -> str | None:
    """Logs the bundle as an MLflow model; returns its URI, or None where there is none (yet)."""
    with waiting("logging the model"):
        return run.tracker.model(exported.bundle, scores.metrics)


def _changes(overrides: Sequence[str]) -> str:
    """Overrides as a run's name tells them: where it is written to and tracked tells nothing of the model."""
    kept = [override.partition("=") for override in overrides if not override.startswith(("output=", "tracking."))]
    return " ".join(f"{key.rpartition('.')[2]}={value}" for key, _, value in kept)[:200]
