"""The whole story of a run, readable top to bottom: read, split, fit, decode, export, evaluate, record."""

from __future__ import annotations

import platform
import shutil
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

import train
from train.config import Config, load_config
from train.corpus import topic_texts
from train.corpus.check import check_corpus, require_roles
from train.corpus.facts import all_facts
from train.corpus.naming import Naming
from train.corpus.overlap import passages
from train.corpus.page import Page
from train.corpus.read import Corpus, read_pages
from train.corpus.sources import composed, digest
from train.corpus.split import PARTS, Split, folds, given_split, read_split, split_by_site
from train.corpus.topic_texts import TopicMapping
from train.errors import InputError
from train.evaluation import Evaluation, evaluate
from train.export.bundle import size_mb, write_bundle
from train.files import read_json, sha256_file, sha256_files, sha256_json, write_json, write_text
from train.models.calibrating import reliability
from train.models.family import Family, choose
from train.progress import console, track, waiting
from train.reports.calibration import write_calibration_page
from train.runtime import BundleError, Labeler
from train.runtime.labeler import read_manifest
from train.tracking import Tracker, has_model, peak_memory_mb, tracked_run

PARITY_PAGES = 8
OUTCOME = "outcome.json"


@dataclass(frozen=True)
class Outcome:
    """What a run left behind.

    Args:
        output: Its folder; usable as `--model`.
        metrics: Contract 7's names -> value.
        run_id: MLflow run, or None when tracking was off.
        model_uri: `models:/m-…`, or None.
        version: The bundle's version.
        corpus_sha256: Of the corpus file (of the three files' hashes, where three were given).
        split_sha256: Of which page is in which part.
    """

    output: Path
    metrics: Mapping[str, float]
    run_id: str | None
    model_uri: str | None
    version: str
    corpus_sha256: str
    split_sha256: str


def fit(config: Config, *, name: str | None = None) -> Outcome:
    """Trains one model and leaves it, its scores and its split in `config.output`.

    Args:
        config: The resolved config.
        name: What the config is called, usually its file's stem; the run's tag `config`, and its name unless the config gives one.

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
    resume = _unfinished_run(output, state)
    name = name or config.family
    with tracked_run(config, resume=resume, fallback_name=name) as tracker:
        write_json(output / "unfinished.json", {"state": state, "run_id": tracker.run_id})
        (output / OUTCOME).unlink(missing_ok=True)
        write_text(output / "config.yaml", config.to_yaml())
        write_json(output / "split.json", split.to_json())
        tracker.tags({"config": name, "corpus.sha256": corpus_hash, "split.sha256": split.sha256, "code.sha256": code_sha256()})
        tracker.datasets(split, config.corpus.path or str(config.corpus.train_path), corpus_hash)
        for file in ("config.yaml", "split.json"):
            tracker.file(output / file)

        family = family_of(config, output / "work")
        fit_started = time.monotonic()
        family.fit(training_pages(config, parts), parts["validation"], tracker.step_metrics, texts)
        train_s = time.monotonic() - fit_started
        with waiting("choosing decoder and calibration on validation pages"):
            chosen = choose(family.reader(), parts["train"], parts["validation"], config.decoding, config.calibration)
        write_json(output / "decoding.json", chosen.tried)

        sample = parts["validation"][:PARITY_PAGES]
        with waiting("writing the bundle and checking it"):
            bundle = write_bundle(
                output / "bundle", config.family, chosen.decoder, chosen.calibration, lambda folder: family.write(folder, sample)
            )
        family.write_weights(output / "weights")
        labeler = Labeler.load(bundle)

        metrics: dict[str, float] = {"cost/train_s": train_s, "size/mb": size_mb(bundle)}
        certainty: dict[str, Any] = {"calibration": chosen.calibration.to_json(), "validation": chosen.reliability}
        for part in ("validation", "test"):
            labelling_started = time.monotonic()
            records = label_pages(labeler, parts[part], f"labelling {part} pages")
            seconds = time.monotonic() - labelling_started
            report = score(labeler.topics, parts[part], records, config)
            metrics |= report.metrics(part)
            details = {"corpus_sha256": corpus_hash, "split_sha256": split.sha256, "model": _named(labeler)}
            write_json(output / f"{part}.json", report.to_json(**details))
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
        write_calibration_page(output / "calibration.html", certainty)
        metrics |= {"cost/total_s": time.monotonic() - started, "cost/peak_memory_mb": peak_memory_mb()}
        _record(tracker, output, metrics)
        with waiting("logging the model"):
            model_uri = tracker.model(bundle, metrics)
        outcome = Outcome(output, metrics, tracker.run_id, model_uri, labeler.version, corpus_hash, split.sha256)
        _finish(outcome, state)
    return outcome


def read_corpus(config: Config, output: Path) -> tuple[dict[str, list[Page]], str]:
    """Reads the corpora of a config, keeps the wished languages, and hashes them.

    Returns:
        Pages by key (`path`, or the three parts), and the sha256.
    """
    corpus = config.corpus
    pages: dict[str, list[Page]] = {}
    topics = TopicMapping.load(config.topics.mapping)
    for key, path in _corpus_paths(config).items():
        naming = Naming(corpus.columns, corpus.roles)
        if corpus.on_bad_page == "quarantine":
            found: list[Page] = []
            report = check_corpus(path, quarantine=output / f"quarantine-{key}.jsonl", naming=naming, on_page=found.append)
            if report.errors:
                console.print(f"{sum(report.errors.values())} of {report.lines} pages of {path} refused, see {report.quarantine}")
        else:
            found = read_pages(path, naming=naming)
        pages[key] = [topics.page(page, path) for page in _in_languages(found, corpus.languages, path)]
    return pages, corpus_sha256(config)


def stream_corpus(config: Config) -> dict[str, Iterable[Page]]:
    """As `read_corpus`, but pages are read one by one each time they are iterated over, and refused ones are passed over or stop it."""
    corpus, topics = config.corpus, TopicMapping.load(config.topics.mapping)
    naming = Naming(corpus.columns, corpus.roles)
    skip = corpus.on_bad_page == "quarantine"
    return {
        key: _Wished(Corpus(path, naming, skip_refused=skip), corpus.languages, topics, path) for key, path in _corpus_paths(config).items()
    }


@dataclass(frozen=True)
class _Wished:
    """Pages in the wished languages, their topics named."""

    pages: Iterable[Page]
    languages: Sequence[str]
    topics: TopicMapping
    path: str

    def __iter__(self) -> Iterator[Page]:
        for page in self.pages:
            if not self.languages or page.lang in self.languages:
                yield self.topics.page(page, self.path)


def read_topic_texts(config: Config, output: Path, parts: Mapping[str, Sequence[Page]]) -> list[Page]:
    """The config's topic texts, without those that share a passage with a validation or test page."""
    if config.topics.path is None:
        return []
    quarantine = output / "quarantine-topics.jsonl" if config.corpus.on_bad_page == "quarantine" else None
    texts, refused = topic_texts.read_texts(config.topics.path, TopicMapping.load(config.topics.mapping), quarantine)
    if refused:
        console.print(f"{refused:,} topic texts refused, see {quarantine}", style="yellow", markup=False)
    kept = _unseen_apart(texts, parts)
    if len(kept) < len(texts):
        console.print(
            f"{len(texts) - len(kept):,} topic texts share a passage with validation or test pages and are left out", style="yellow"
        )
    texts = kept
    counts = topic_texts.count_topics(texts)
    console.print(
        f"{len(texts):,} topic texts: " + ", ".join(f"{topic} {count:,}" for topic, count in counts.most_common(20)), markup=False
    )
    return texts


def _unseen_apart(pages: Sequence[Page], parts: Mapping[str, Sequence[Page]]) -> list[Page]:
    """Pages that share no passage with a validation or test page."""
    unseen = np.unique(
        np.concatenate([np.empty(0, np.uint64), *(p.passages for part in ("validation", "test") for p in all_facts(parts[part]))])
    )
    return [page for page in pages if not np.isin(passages("\n".join(page.texts)), unseen, assume_unique=True).any()]


def _in_languages(pages: list[Page], languages: Sequence[str], path: str) -> list[Page]:
    kept = [page for page in pages if not languages or page.lang in languages]
    if not kept:
        found = ", ".join(sorted({str(page.lang) for page in pages}))
        raise InputError(
            f"no page in {', '.join(languages)}; there are {found or 'no pages'}", expected="pages in corpus.languages",
            remedy="name languages the corpus has, or [] for all", path=path, rule="no-language",
        )  # fmt: skip
    if len(kept) < len(pages):
        console.print(f"{len(kept)} of {len(pages)} pages of {path} are in {', '.join(languages)}; the rest is left out")
    return kept


def _corpus_paths(config: Config) -> dict[str, str]:
    corpus = config.corpus
    return {"path": corpus.path} if corpus.path else {part: getattr(corpus, f"{part}_path") for part in PARTS}


def _bundle_version(folder: Path) -> str | None:
    try:
        return str(read_manifest(folder)["version"])
    except BundleError:
        return None


def corpus_sha256(config: Config) -> str:
    """sha256 of the corpus file as `sha256sum` prints it; over all of them, where parts, topic texts or a mapping are given too."""
    paths = list(_corpus_paths(config).values())
    digests = [digest(path) for path in paths]
    if config.topics.path:
        digests.append(topic_texts.digest(config.topics.path))
    if config.topics.mapping:
        digests.append(TopicMapping.load(config.topics.mapping).sha256)
    return digests[0] if len(digests) == 1 else sha256_json(digests)


def split_corpus(config: Config, pages: Mapping[str, Iterable[Page]]) -> Split:
    """The split of a config: saved, of one fold, by site or by time when one corpus was given, else as given and checked."""
    if "path" not in pages:
        return given_split({part: list(all_facts(found)) for part, found in pages.items()})
    made = splits_of(config, pages)
    return made[config.corpus.fold if config.corpus.folds is not None else 0]


def splits_of(config: Config, pages: Mapping[str, Iterable[Page]]) -> list[Split]:
    """All folds of a config's split; one split when it has no folds."""
    corpus = config.corpus
    if "path" not in pages:
        return [split_corpus(config, pages)]
    facts = list(all_facts(pages["path"]))
    if not facts:
        wished = f" in {', '.join(corpus.languages)}" if corpus.languages else ""
        raise InputError(
            f"no page{wished}", expected="labelled pages",
            remedy="check corpus.path and corpus.languages", path=corpus.path, rule="empty-corpus",
        )  # fmt: skip
    if corpus.split_path is not None:
        return [read_split(Path(corpus.split_path), facts)]
    if corpus.folds is not None:
        return folds(facts, count=corpus.folds, validation_share=corpus.validation_share, seed=corpus.split_seed)
    by_time = corpus.split_by == "time"
    shares = {"validation_share": corpus.validation_share, "test_share": corpus.test_share}
    return [split_by_site(facts, seed=corpus.split_seed, by_time=by_time, **shares)]


def part_of_run(run: Path, part: str, corpus: str) -> list[Page]:
    """The pages of one part of the split that a run was trained with, read as the run read them.

    Args:
        run: The run's output folder.
        part: `train`, `validation` or `test`.
        corpus: Path of the corpus the run read.

    Raises:
        InputError: There is no such part or run, or it is of another corpus.
    """
    if part not in PARTS:
        raise InputError(f"part {part!r}", expected=f"one of {', '.join(PARTS)}", remedy="name one of them", rule="no-part")
    if not (run / "split.json").is_file():
        raise InputError(
            "no split there", expected="the output folder of a run, which holds split.json",
            remedy="name the folder that the run wrote, not its bundle or a URI", path=run, rule="no-split",
        )  # fmt: skip
    pages, _ = read_corpus(load_config(run / "config.yaml", [f"corpus.path={corpus}"]), run)
    found = [page for some in pages.values() for page in some]
    return read_split(run / "split.json", list(all_facts(found))).select(found)[part]


def parts_of(split: Split, pages: Mapping[str, Iterable[Page]]) -> dict[str, list[Page]]:
    """The pages of each part of a split, where `pages` are as `read_corpus` gives them."""
    return split.select(page for found in pages.values() for page in found)


def training_pages(config: Config, parts: Mapping[str, Sequence[Page]]) -> list[Page]:
    """The training part, and `corpus.composed` pages of the embedded corpus without their topics, which are not the corpus' own.

    Raises:
        InputError: The corpus is itself composed: its unseen pages would not be unseen.
    """
    if not config.corpus.composed:
        return list(parts["train"])
    made = list(composed.compose(seed=config.corpus.split_seed, pages=config.corpus.composed))
    known = {page.site for found in parts.values() for page in found} & {page.site for page in made}
    if known:
        raise InputError(
            f"corpus.composed is {config.corpus.composed}, and site {min(known)!r} is in the corpus already",
            expected="a corpus without composed pages", remedy="set corpus.composed to 0", path=config.corpus.path, rule="composed-twice",
        )  # fmt: skip
    apart = _unseen_apart(made, parts)
    if len(apart) < len(made):
        console.print(
            f"{len(made) - len(apart)} composed pages share a passage with validation or test pages and are left out", style="yellow"
        )
    return [*parts["train"], *(page.with_segments(tuple(replace(s, topic=None) for s in page.segments)) for page in apart)]


def family_of(config: Config, work: Path) -> Family:
    """The family a config trains, not fitted yet; `work` is for its windows and checkpoints."""
    if config.family == "baseline":
        from train.models.baseline import BaselineFamily

        assert config.baseline is not None
        return BaselineFamily(config.baseline, config.seed)
    if config.family == "hierarchical":
        from train.models.hierarchical import HierarchicalFamily

        assert config.hierarchical is not None
        return HierarchicalFamily(config.hierarchical, config.seed, work)
    from train.models.encoder import EncoderFamily  # torch and transformers take seconds to import

    assert config.encoder is not None
    return EncoderFamily(config.encoder, config.seed, work)


def label_pages(labeler: Labeler, pages: Sequence[Page], what: str) -> list[dict[str, Any]]:
    """`predict`'s records of pages, under a progress bar that says `what`."""
    return list(labeler.label(track(((page.page_id, page.texts) for page in pages), what, total=len(pages))))


def score(topics: Sequence[str], pages: Sequence[Page], records: Sequence[Mapping[str, Any]], config: Config) -> Evaluation:
    """Scores a model's records against labelled pages, as the config's section `evaluation` says; `topics` are the model's."""
    settings = config.evaluation
    return evaluate(
        pages,
        records,
        topics=topics,
        bootstrap_samples=settings.bootstrap_samples,
        confidence=settings.confidence,
        seed=config.seed,
    )


def _named(labeler: Labeler) -> dict[str, str]:
    return {"name": labeler.name, "version": labeler.version, "family": labeler.family}


def _record(tracker: Tracker, output: Path, metrics: Mapping[str, float]) -> None:
    tracker.metrics(metrics)
    for file in ("validation.json", "test.json", "decoding.json", "calibration.json", "calibration.html"):
        tracker.file(output / file)


def code_sha256() -> str:
    """Hash of the code a model depends on: everything in `train/` but what only shows or steers."""
    root = Path(train.__file__).parent
    steering = {
        "demo.py",
        "__main__.py",
        "command_line.py",
        "data_commands.py",
        "explain.py",
        "study_commands.py",
        "leaks.py",
        "label_quality.py",
        "registry.py",
        "tracking.py",
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
    return sha256_json([settings, corpus_sha256, split, code_sha256(), platform.python_version(), train.__version__])


def _unfinished_run(output: Path, state: str) -> str | None:
    """The MLflow run to go on with; work of another config, corpus or code is thrown away."""
    marker = output / "unfinished.json"
    if marker.is_file():
        found = read_json(marker)
        if found.get("state") == state:
            return found.get("run_id")  # type: ignore[no-any-return]
    shutil.rmtree(output / "work", ignore_errors=True)
    return None


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
    if not (output / OUTCOME).is_file():
        return None
    found: dict[str, Any] = read_json(output / OUTCOME)
    if found.get("state") != run_fingerprint(config, corpus_sha256(config)):
        return None
    if found["version"] != _bundle_version(output / "bundle") or not (found["model_uri"] is None or has_model(found["model_uri"])):
        return None
    names = ("metrics", "run_id", "model_uri", "version", "corpus_sha256", "split_sha256")
    return Outcome(output, **{name: found[name] for name in names})
