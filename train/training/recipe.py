"""The whole story of a run, readable top to bottom: read, split, fit, decode, export, evaluate, record."""

from __future__ import annotations

import shutil
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import train
from train.common.console import console, waiting
from train.common.environment import environment, git_state, peak_memory_mb
from train.common.files import read_json, write_json, write_text
from train.config.schema import Config
from train.corpus.loading import (
    also_sha256,
    corpus_sha256,
    parts_of,
    read_corpus,
    read_topic_texts,
    split_corpus,
    topics_sha256,
)
from train.corpus.quality.check import require_roles
from train.corpus.training_data import training_pages
from train.evaluation.metrics import by_value, evaluate
from train.evaluation.reliability import reliability
from train.export.bundle import CARD, add_documents, requirements, size_mb, write_bundle
from train.inference.explain import explainer_of
from train.models.factory import family_of
from train.models.selection import choose
from train.monitoring.profile import write_reference
from train.reports.error_browser import MOST
from train.reports.model_card import Facts, model_card
from train.reports.run_report import Told, one_line, write_run_report
from train.runtime import Labeler
from train.tracking import runs as tracking
from train.tracking.runs import tracked_run
from train.tracking.step_log import StepLog
from train.tracking.store import has_model
from train.tracking.tracker import Tracker
from train.training.fingerprint import code_sha256, run_fingerprint
from train.training.outcome import OUTCOME, Outcome, bundle_version, read_outcome
from train.training.scoring import label_pages, score

LINKS = {
    "report": "report.html",
    "errors": "errors.html",
    "pages": "pages.html",
    "model card": CARD,
    "config": "config.yaml",
}
"""What a run's description links to."""


def fit(config: Config, *, name: str | None = None, overrides: Sequence[str] = ()) -> Outcome:
    """Trains one model and leaves it, its scores and its split in `config.output`.

    Args:
        config: The resolved config.
        name: What the config is called, usually its file's stem; the run's tag `config`, and its name unless the config
            gives one.
        overrides: What it was overridden with, `key=value`; the run's name says them.

    A run that was killed goes on where it was: same config, corpus and code find the unfinished work in the output
    folder and go on in the same MLflow run. A finished output folder is overwritten.

    Raises:
        InputError: The corpus or the config cannot give a model.
    """
    started = time.monotonic()
    output = Path(config.output)
    pages_by_file, corpus_hash = read_corpus(config, output)
    split = split_corpus(config, pages_by_file)
    parts = parts_of(split, pages_by_file)
    require_roles(parts["train"], "training")
    for warning in split.warnings():
        console.print(f"warning: {warning}", style="yellow", markup=False)
    texts = read_topic_texts(config, output, parts)
    state = run_fingerprint(config, corpus_hash)
    resumed, resume = _unfinished_run(output, state)
    name = name or config.family
    with tracked_run(config, resume=resume, fallback_name=name, folder=output, changes=_changes(overrides)) as tracker:
        write_json(output / "unfinished.json", {"state": state, "run_id": tracker.run_id})
        (output / OUTCOME).unlink(missing_ok=True)
        write_text(output / "config.yaml", config.to_yaml())
        write_json(output / "split.json", split.to_json())
        tracker.tags(
            {"config": name, "corpus.sha256": corpus_hash, "split.sha256": split.sha256, "code.sha256": code_sha256()}
        )
        if config.corpus.auxiliary:
            tracker.tags({"corpus.auxiliary.sha256": also_sha256(config)})
        if (digest := topics_sha256(config)) is not None:
            tracker.tags({"topics.sha256": digest})
        tracker.datasets(split, config.corpus.path or str(config.corpus.train_path), corpus_hash)
        for file in ("config.yaml", "split.json"):
            tracker.file(output / file)

        family = family_of(config, output / "work")
        fit_started = time.monotonic()
        steps = StepLog(output / "steps.jsonl", tracker.step_metrics, resumed=resumed)
        family.fit(training_pages(config, parts, texts), steps)
        train_s = time.monotonic() - fit_started
        with waiting("choosing decoder and calibration on validation pages"):
            chosen = choose(family.reader(), parts["train"], parts["validation"], config.decoding, config.calibration)
        write_json(output / "decoding.json", chosen.tried)

        with waiting("writing the bundle and checking it"):
            bundle = write_bundle(
                output / "bundle",
                config.family,
                chosen.decoder,
                chosen.calibration,
                lambda folder: family.write(folder, parts["validation"]),
            )
        labeler = Labeler.load(bundle)

        metrics: dict[str, float] = {"cost/train_s": train_s, "size/mb": size_mb(bundle)}
        certainty: dict[str, Any] = {"calibration": chosen.calibration.to_json(), "validation": chosen.reliability}
        unseen: list[tuple[str, dict[str, Any]]] = []
        for part in ("validation", "test"):
            labelling_started = time.monotonic()
            records = label_pages(labeler, parts[part], f"labelling {part} pages")
            seconds = time.monotonic() - labelling_started
            report = score(parts[part], records, config)
            metrics |= report.metrics(part)
            details = {"corpus_sha256": corpus_hash, "split_sha256": split.sha256, "model": _named(labeler)}
            write_json(output / f"{part}.json", report.to_json(**details))
            unseen += [(page.site, record) for page, record in zip(parts[part], records, strict=True)]
            if part == "test":
                undone = 1 / chosen.calibration.role_temperature
                before, after = reliability(parts[part], records, temperature=undone), reliability(parts[part], records)
                certainty[part] = {"before": before, "after": after}
                metrics["cost/segments_per_s"] = sum(len(p.segments) for p in parts[part]) / seconds
        for part in ("validation", "test"):
            found = certainty[part]
            metrics |= {
                f"{part}/role/ece": found["after"]["ece"],
                f"{part}/role/ece_uncalibrated": found["before"]["ece"],
            }
            metrics |= {
                f"{part}/role/brier": found["after"]["brier"],
                f"{part}/role/brier_uncalibrated": found["before"]["brier"],
            }
        write_json(output / "calibration.json", certainty)
        metrics |= {"cost/total_s": time.monotonic() - started, "cost/peak_memory_mb": peak_memory_mb()}
        _record(tracker, output, metrics)
        with waiting("drawing the report"):
            origin = _origin(tracker, name)
            about = {
                "family": config.family,
                "output": str(output),
                "corpus sha256": corpus_hash,
                "split sha256": split.sha256,
                **origin,
            }
            settings = config.evaluation
            told = Told(
                f"{name} {labeler.version}",
                about,
                parts,
                records,
                report,
                certainty,
                metrics,
                steps.read(),
                explainer_of(labeler),
                settings.bootstrap_samples,
                config.seed,
            )
            drawn, errors = write_run_report(output, told)
            for path in drawn:
                tracker.file(path, "figures" if path.parent.name == "figures" else None)
            tracker.table(errors[:MOST], output / "errors.json")
            tracker.describe(one_line(report, metrics), LINKS)
        with waiting("describing the model"):
            reference = write_reference(bundle, (page.texts for page in parts["train"]), unseen, labeler.topics)
            languages = by_value(parts["test"], records, "lang")
            facts = Facts(
                config,
                labeler.name,
                labeler.version,
                parts,
                corpus_hash,
                split.sha256,
                labeler.topics,
                report,
                {lang: evaluate(*some, bootstrap_samples=0) for lang, some in languages.items() if len(languages) > 1},
                certainty,
                metrics,
                metrics["size/mb"],
                requirements(config.family),
                origin,
                f"{datetime.now(UTC):%Y-%m-%d}",
            )
            write_text(bundle / CARD, model_card(facts))
            add_documents(bundle, [*reference, bundle / CARD])
            tracker.file(bundle / CARD)
        with waiting("logging the model"):
            model_uri = tracker.model(bundle, metrics)
        outcome = Outcome(output, metrics, tracker.run_id, model_uri, labeler.version, corpus_hash, split.sha256)
        _finish(outcome, state)
    return outcome


def _named(labeler: Labeler) -> dict[str, str]:
    return {"name": labeler.name, "version": labeler.version, "family": labeler.family}


def _origin(tracker: Tracker, name: str) -> dict[str, str | None]:
    """Where a model comes from, for its card."""
    machine = environment()
    git = git_state()
    commit = git.get("git.sha")
    changed = " with changes" if git.get("git.dirty") == "true" else ""
    return {
        "config": name,
        "MLflow run": tracker.run_id,
        "commit": f"{commit}{changed}" if commit else None,
        "code sha256": code_sha256(),
        "newsparts": train.__version__,
        "python": machine["python"],
        "machine": machine["machine"],
    }


def _record(tracker: Tracker, output: Path, metrics: Mapping[str, float]) -> None:
    tracker.metrics(metrics)
    for file in ("validation.json", "test.json", "decoding.json", "calibration.json"):
        tracker.file(output / file)


def _changes(overrides: Sequence[str]) -> str:
    """Overrides as a run's name tells them: where it is written to and tracked tells nothing of the model."""
    said = [override.partition("=") for override in overrides if not override.startswith(("output=", "tracking."))]
    return " ".join(f"{key.rpartition('.')[2]}={value}" for key, _, value in said)[:200]


def _unfinished_run(output: Path, state: str) -> tuple[bool, str | None]:
    """Whether there is work to go on with, and its MLflow run; work of another config, corpus or code is thrown
    away."""
    marker = output / "unfinished.json"
    if marker.is_file():
        found = read_json(marker)
        if found.get("state") == state:
            return True, found.get("run_id")
    shutil.rmtree(output / "work", ignore_errors=True)
    return False, None


def _finish(outcome: Outcome, state: str) -> None:
    output = outcome.output
    write_json(
        output / OUTCOME,
        {
            "state": state,
            "finished": datetime.now(UTC).isoformat(timespec="seconds"),
            "run_id": outcome.run_id,
            "model_uri": outcome.model_uri,
            "version": outcome.version,
            "corpus_sha256": outcome.corpus_sha256,
            "split_sha256": outcome.split_sha256,
            "metrics": dict(outcome.metrics),
        },
    )
    (output / "unfinished.json").unlink(missing_ok=True)
    shutil.rmtree(output / "work", ignore_errors=True)


def finished(config: Config) -> Outcome | None:
    """The outcome in `config.output`, when it is of this very config, corpus and code, its bundle is whole and MLflow
    has its model."""
    output = Path(config.output)
    if not (output / OUTCOME).is_file() or read_json(output / OUTCOME).get("state") != run_fingerprint(
        config, corpus_sha256(config)
    ):
        return None
    found = read_outcome(output)
    if found.version != bundle_version(output / "bundle") or not (
        found.model_uri is None or has_model(found.model_uri)
    ):
        return None
    return found


def send_kept(output: Path) -> tuple[int, str | None]:
    """Sends what a run's folder keeps for a store that was away (also a search's, or a cross-validation's).

    Returns:
        How many things were sent, and the URI of the run's model when it was among them.

    Raises:
        InputError: Nothing is kept there, or the store is still away.
    """
    sent, models = tracking.send_kept(output)
    if not (output / OUTCOME).is_file():
        return sent, None
    told = read_json(output / OUTCOME)
    uri = models.get(told["run_id"])
    if uri is not None:
        write_json(output / OUTCOME, {**told, "model_uri": uri})
    return sent, uri
