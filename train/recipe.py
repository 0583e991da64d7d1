"""The whole story of a run, readable top to bottom: read, split, fit, decode, export, evaluate, record."""

from __future__ import annotations

import platform
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import train
from train import tracking
from train.config import Config
from train.corpus.check import require_roles
from train.corpus.page import Page
from train.drift import write_reference
from train.evaluation import Evaluation, by_value, evaluate
from train.explain import explainer_of
from train.export.bundle import CARD, add_documents, requirements, size_mb, write_bundle
from train.files import read_json, sha256_file, sha256_files, sha256_json, write_json, write_text
from train.interrupt import signals_wait
from train.machine import environment, git_state, peak_memory_mb
from train.models.backbone_files import backbone_content
from train.models.calibrating import reliability
from train.models.family import Family, Log, choose, role_macro_f1
from train.progress import console, track, waiting
from train.reports.error_browser import MOST
from train.reports.model_card import Facts, model_card
from train.reports.run_report import Told, one_line, write_run_report
from train.run_pages import (
    also_sha256,
    corpus_sha256,
    fewer_sites,
    parts_of,
    read_corpus,
    read_topic_texts,
    split_corpus,
    topics_sha256,
    training_pages,
)
from train.runtime import BundleError, Labeler
from train.runtime.labeler import read_manifest
from train.step_log import StepLog
from train.tracking import Tracker, has_model, tracked_run

OUTCOME = "outcome.json"
CURVE = "learning_curve/validation/role/macro_f1"
LINKS = {"report": "report.html", "errors": "errors.html", "pages": "pages.html", "model card": CARD, "config": "config.yaml"}
"""What a run's description links to."""


@dataclass(frozen=True)
class Outcome:
    """What a run left behind.

    Args:
        output: Its folder; usable as `--model`.
        metrics: Contract 7's names -> value.
        run_id: MLflow run, or None when tracking was off.
        model_uri: `models:/m-…`, or None.
        version: The bundle's version.
        corpus_sha256: `run_pages.corpus_sha256`.
        split_sha256: Of which page is in which part.
    """

    output: Path
    metrics: Mapping[str, float]
    run_id: str | None
    model_uri: str | None
    version: str
    corpus_sha256: str
    split_sha256: str


def fit(config: Config, *, name: str | None = None, overrides: Sequence[str] = ()) -> Outcome:
    """Trains one model and leaves it, its scores and its split in `config.output`.

    Args:
        config: The resolved config.
        name: What the config is called, usually its file's stem; the run's tag `config`, and its name unless the config gives one.
        overrides: What it was overridden with, `key=value`; the run's name says them.

    A run that was killed goes on where it was: same config, corpus and code find the unfinished work in the output folder
    and go on in the same MLflow run. A finished output folder is overwritten.

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
        tracker.tags({"config": name, "corpus.sha256": corpus_hash, "split.sha256": split.sha256, "code.sha256": code_sha256()})
        if config.corpus.also:
            tracker.tags({"corpus.also.sha256": also_sha256(config)})
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
        _learning_curve(config, parts, texts, family, steps, output / "work" / "curve")
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
            metrics |= {f"{part}/role/ece": found["after"]["ece"], f"{part}/role/ece_uncalibrated": found["before"]["ece"]}
            metrics |= {f"{part}/role/brier": found["after"]["brier"], f"{part}/role/brier_uncalibrated": found["before"]["brier"]}
        write_json(output / "calibration.json", certainty)
        metrics |= {"cost/total_s": time.monotonic() - started, "cost/peak_memory_mb": peak_memory_mb()}
        _record(tracker, output, metrics)
        with waiting("drawing the report"):
            origin = _origin(tracker, name)
            about = {"family": config.family, "output": str(output), "corpus sha256": corpus_hash, "split sha256": split.sha256, **origin}
            settings = config.evaluation
            told = Told(
                f"{name} {labeler.version}", about, parts, records, report, certainty, metrics, steps.read(), explainer_of(labeler),
                settings.bootstrap_samples, config.seed,
            )  # fmt: skip
            drawn, errors = write_run_report(output, told)
            for path in drawn:
                tracker.file(path, "figures" if path.parent.name == "figures" else None)
            tracker.table(errors[:MOST], output / "errors.json")
            tracker.describe(one_line(report, metrics), LINKS)
        with waiting("describing the model"):
            reference = write_reference(bundle, (page.texts for page in parts["train"]), unseen, labeler.topics)
            languages = by_value(parts["test"], records, "lang")
            facts = Facts(
                config, labeler.name, labeler.version, parts, corpus_hash, split.sha256, labeler.topics, report,
                {lang: evaluate(*some, bootstrap_samples=0) for lang, some in languages.items() if len(languages) > 1},
                certainty, metrics, metrics["size/mb"], requirements(config.family), origin, f"{datetime.now(UTC):%Y-%m-%d}",
            )  # fmt: skip
            write_text(bundle / CARD, model_card(facts))
            add_documents(bundle, [*reference, bundle / CARD])
            tracker.file(bundle / CARD)
        with waiting("logging the model"):
            model_uri = tracker.model(bundle, metrics)
        outcome = Outcome(output, metrics, tracker.run_id, model_uri, labeler.version, corpus_hash, split.sha256)
        _finish(outcome, state)
    return outcome


def bundle_version(folder: Path) -> str | None:
    """The version of the bundle in a folder; None where there is none that can be read."""
    try:
        return str(read_manifest(folder)["version"])
    except BundleError:
        return None


def family_of(config: Config, work: Path) -> Family:
    """The family a config trains, not fitted yet; `work` is for what is done of it."""
    if config.family == "baseline":
        from train.models.baseline import BaselineFamily

        assert config.baseline is not None
        return BaselineFamily(config.baseline, config.seed)
    # torch and transformers take seconds to import
    with signals_wait():
        from train.models.encoder import EncoderFamily

    assert config.encoder is not None
    return EncoderFamily(config.encoder, config.seed, work)


def label_pages(labeler: Labeler, pages: Sequence[Page], what: str) -> list[dict[str, Any]]:
    """`predict`'s records of pages, under a progress bar that says `what`."""
    return list(labeler.label(track(((page.page_id, page.texts) for page in pages), what, total=len(pages))))


def score(pages: Sequence[Page], records: Sequence[Mapping[str, Any]], config: Config) -> Evaluation:
    """Scores a model's records against labelled pages, as the config's section `evaluation` says."""
    settings = config.evaluation
    return evaluate(
        pages,
        records,
        bootstrap_samples=settings.bootstrap_samples,
        confidence=settings.confidence,
        seed=config.seed,
    )


def _named(labeler: Labeler) -> dict[str, str]:
    return {"name": labeler.name, "version": labeler.version, "family": labeler.family}


def _origin(tracker: Tracker, name: str) -> dict[str, str | None]:
    """Where a model comes from, for its card."""
    machine = environment()
    git = git_state()
    commit = git.get("git.sha")
    changed = " with changes" if git.get("git.dirty") == "true" else ""
    return {
        "config": name, "MLflow run": tracker.run_id, "commit": f"{commit}{changed}" if commit else None, "code sha256": code_sha256(),
        "newsparts": train.__version__, "python": machine["python"], "machine": machine["machine"],
    }  # fmt: skip


def _record(tracker: Tracker, output: Path, metrics: Mapping[str, float]) -> None:
    tracker.metrics(metrics)
    for file in ("validation.json", "test.json", "decoding.json", "calibration.json"):
        tracker.file(output / file)


def code_sha256() -> str:
    """Hash of the code a model depends on: everything in `train/` but what only shows or steers."""
    root = Path(train.__file__).parent
    steering = {
        "demo.py",
        "__main__.py",
        "command_line.py",
        "registry_commands.py",
        "service_commands.py",
        "data_commands.py",
        "explain.py",
        "study_commands.py",
        "leaks.py",
        "label_quality.py",
        "registry.py",
        "gate.py",
        "promote.py",
        "bulk.py",
        "compare.py",
        "tracking.py",
        "machine.py",
        "sending.py",
        "outbox.py",
        "progress.py",
    }
    files = [
        p
        for p in root.rglob("*")
        if p.suffix in (".py", ".yaml") and p.name not in steering and not {"bench", "reports", "studies"} & set(p.relative_to(root).parts)
    ]
    return sha256_files(files, root)


def run_fingerprint(config: Config, corpus_sha256: str) -> str:
    """Names everything a run's result depends on, so that a finished or unfinished one is recognised."""
    settings = config.to_dict()
    settings.pop("tracking")
    saved = config.corpus.split_path
    split = sha256_file(Path(saved)) if saved is not None and Path(saved).is_file() else None
    section = settings[config.family]
    backbone = backbone_content(section["backbone"]) if "backbone" in section else None
    libraries = {name: version for name, version in environment().items() if name.startswith("version.")}
    told = [
        settings,
        corpus_sha256,
        split,
        also_sha256(config),
        topics_sha256(config),
        backbone,
        code_sha256(),
        libraries,
        platform.python_version(),
        train.__version__,
    ]
    return sha256_json(told)


def _changes(overrides: Sequence[str]) -> str:
    """Overrides as a run's name tells them: where it is written to and tracked tells nothing of the model."""
    said = [override.partition("=") for override in overrides if not override.startswith(("output=", "tracking."))]
    return " ".join(f"{key.rpartition('.')[2]}={value}" for key, _, value in said)[:200]


def _learning_curve(config: Config, parts: Mapping[str, list[Page]], texts: Sequence[Page], whole: Family, log: Log, work: Path) -> None:
    """Trains on shares of the training sites too, and logs validation scores by number of sites; the last point is the run's model."""
    shares = config.evaluation.learning_curve
    if not shares:
        return
    sites = len({page.site for page in parts["train"]})
    roles = _roles(parts["train"])
    for size in sorted({max(2, round(share * sites)) for share in shares}):
        fewer = fewer_sites(parts, size=size, seed=config.seed)
        if size >= sites or _roles(fewer["train"]) != roles:
            continue  # few sites may not show every role
        console.print(f"learning curve: {size} of {sites} training sites")
        family = family_of(config, work / str(size))
        try:
            family.fit(training_pages(config, fewer, texts), lambda metrics, step: None)
        except ValueError as error:  # a role on one site alone is missing where a family holds sites out
            console.print(f"learning curve: {size} sites teach no model and are left out: {error}", style="yellow", markup=False)
            continue
        log({CURVE: role_macro_f1(family.reader(), parts["validation"])}, size)
    log({CURVE: role_macro_f1(whole.reader(), parts["validation"])}, sites)


def _roles(pages: Sequence[Page]) -> set[str | None]:
    return {segment.role for page in pages for segment in page.segments}


def _unfinished_run(output: Path, state: str) -> tuple[bool, str | None]:
    """Whether there is work to go on with, and its MLflow run; work of another config, corpus or code is thrown away."""
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
    """The outcome in `config.output`, when it is of this very config, corpus and code, its bundle is whole and MLflow has its model."""
    output = Path(config.output)
    if not (output / OUTCOME).is_file() or read_json(output / OUTCOME).get("state") != run_fingerprint(config, corpus_sha256(config)):
        return None
    found = read_outcome(output)
    if found.version != bundle_version(output / "bundle") or not (found.model_uri is None or has_model(found.model_uri)):
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


def run_corpus_sha256(output: Path) -> str | None:
    """The sha256 of the corpus that the finished run in a folder read; None where there is no such run."""
    return read_outcome(output).corpus_sha256 if (output / OUTCOME).is_file() else None


def read_outcome(output: Path) -> Outcome:
    """The outcome of a finished run, by its output folder.

    Raises:
        InputError: There is no finished run in it.
    """
    found: dict[str, Any] = read_json(output / OUTCOME)
    names = ("metrics", "run_id", "model_uri", "version", "corpus_sha256", "split_sha256")
    return Outcome(output, **{name: found[name] for name in names})
