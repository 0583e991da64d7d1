"""Training pages teach, validation pages choose, test pages are labelled: seen from a family that answers at random."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from tests.helpers.configs import shrunk
from tests.helpers.pages import make_page
from train.common.files import read_json
from train.config.schema import Config
from train.corpus.page import Page
from train.corpus.read import write_pages
from train.corpus.splits.split import PARTS
from train.corpus.training_data import TrainingPages
from train.evaluation.metrics import evaluate
from train.evaluation.reliability import reliability
from train.models import selection
from train.models.family import Log
from train.models.selection import Chosen
from train.runtime import Labeler
from train.runtime.calibration import Calibration
from train.runtime.decoding import Decoder
from train.training import crossval, documents, recipe
from train.training.crossval import cross_validate, label_unseen, predict_folds
from train.training.outcome import Outcome
from train.training.scoring import score


class Guess:
    """A reader that says of each text what a draw by its words says; the draw changes from family to family."""

    topics = ("business", "sport")

    def __init__(self, draw: int) -> None:
        self.draw = draw

    def score_segments(self, pages: Sequence[Sequence[str]]) -> tuple[list[np.ndarray], list[np.ndarray] | None]:
        drawn = [
            [np.random.default_rng([zlib.crc32(text.encode()), self.draw]).dirichlet([0.4] * 6) for text in page]
            for page in pages
        ]
        rows = [np.array(page).reshape(-1, 6) for page in drawn]
        return [page[:, :4] / page[:, :4].sum(axis=1, keepdims=True) for page in rows], [
            np.log(page[:, 4:] + 1e-3) for page in rows
        ]


@dataclass
class GuessFamily:
    """Learns nothing, and keeps what it was shown."""

    reading: Guess
    shown: list[TrainingPages] = field(default_factory=list)
    samples: list[list[str]] = field(default_factory=list)

    def fit(self, pages: TrainingPages, log: Log) -> None:
        self.shown.append(pages)
        log({"train/loss": 1.0}, 1)

    def scorer(self) -> Guess:
        return self.reading

    def write(self, folder: Path, sample: Sequence[Page]) -> dict[str, Any]:
        self.samples.append(ids(sample))
        return {}

    def keep(self, folder: Path, decoder: Decoder, calibration: Calibration, sites: frozenset[str]) -> None:
        pass


def ids(pages: Sequence[Page]) -> list[str]:
    return [page.page_id for page in pages]


@dataclass
class Seen:
    """What was shown to whom: page ids, in the order of calls."""

    families: list[GuessFamily] = field(default_factory=list)
    chosen: list[tuple[list[str], list[str], Chosen]] = field(default_factory=list)
    calibrated: list[list[str]] = field(default_factory=list)


@pytest.fixture
def few(tmp_path: Path) -> list[Page]:
    """36 pages of 12 sites, in a file too."""
    pages = [make_page(f"site{chr(97 + s)}", n) for s in range(12) for n in range(3)]
    write_pages(tmp_path / "few.jsonl", pages)
    return pages


@pytest.fixture
def config(few: list[Page], tmp_path: Path) -> Config:
    return shrunk("pages-baseline", tmp_path / "few.jsonl", tmp_path, tmp_path)


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> Seen:
    """Families that guess, and ears at whatever chooses."""
    told = Seen()

    def family_of(config: Config, work: Path) -> GuessFamily:
        told.families.append(GuessFamily(Guess(len(told.families))))
        return told.families[-1]

    def choose(reader: Any, train: Sequence[Page], validation: Sequence[Page], *settings: Any) -> Chosen:
        chosen = selection.choose(reader, train, validation, *settings)
        told.chosen.append((ids(train), ids(validation), chosen))
        return chosen

    calibrate = selection.calibrate

    def heard_calibrate(
        labeler: Labeler, pages: Sequence[Page], readings: Sequence[Any], *, precision: float
    ) -> Calibration:
        told.calibrated.append(ids(pages))
        return calibrate(labeler, pages, readings, precision=precision)

    for module in (recipe, crossval):
        monkeypatch.setattr(module, "family_of", family_of)
        monkeypatch.setattr(module, "choose", choose)
    monkeypatch.setattr(selection, "calibrate", heard_calibrate)
    return told


@pytest.fixture
def run(config: Config, seen: Seen, monkeypatch: pytest.MonkeyPatch) -> tuple[Outcome, Labeler]:
    """A run of the guessing family, without a bundle's files and drawings; and its labeler."""
    made: list[Labeler] = []

    def write_bundle(
        folder: Path, family: str, decoder: Decoder, calibration: Calibration, write: Callable[[Path], dict[str, Any]]
    ) -> Path:
        folder.mkdir(parents=True)
        write(folder)
        reader = seen.families[0].reading
        made.append(Labeler(reader, decoder, "newsparts", "guess", family, reader.topics, calibration))
        return folder

    monkeypatch.setattr(recipe, "write_bundle", write_bundle)
    monkeypatch.setattr(recipe, "Labeler", SimpleNamespace(load=lambda folder: made[0]))
    monkeypatch.setattr(documents, "write_run_report", lambda output, told: ([], []))
    monkeypatch.setattr(documents, "write_reference", lambda *given: [])
    monkeypatch.setattr(documents, "add_documents", lambda bundle, files: None)
    monkeypatch.setattr(documents, "model_card", lambda facts: "")
    return recipe.fit(config), made[0]


def _parts(output: Path) -> dict[str, list[str]]:
    parts: dict[str, Any] = read_json(output / "split.json")["parts"]
    return {part: parts[part]["page_ids"] for part in PARTS}


def test_a_run_learns_from_training_pages_and_chooses_by_validation_pages(
    run: tuple[Outcome, Labeler], seen: Seen
) -> None:
    parts = _parts(run[0].output)
    assert sum(map(len, parts.values())) == len({page_id for part in parts.values() for page_id in part}) == 36
    assert min(map(len, parts.values())) > 2
    (shown,) = seen.families[0].shown
    assert (ids(shown.train), ids(shown.validation)) == (parts["train"], parts["validation"])
    (chosen,) = seen.chosen
    assert chosen[:2] == (parts["train"], parts["validation"])
    assert seen.calibrated == [parts["validation"]]
    assert seen.families[0].samples == [parts["validation"]], "exports are compared on validation pages"


def test_metrics_of_a_part_are_scores_of_its_pages(
    run: tuple[Outcome, Labeler], few: list[Page], config: Config
) -> None:
    outcome, labeler = run
    found: dict[str, float] = {}
    for part, named in _parts(outcome.output).items():
        if part == "train":
            continue
        own = [page for page in few if page.page_id in named]
        report = score(own, list(labeler.label((page.page_id, page.texts) for page in own)), config)
        assert {name: outcome.metrics[name] for name in report.metrics(part)} == report.metrics(part)
        told = read_json(outcome.output / f"{part}.json")
        assert told["role/macro_f1"] == pytest.approx(report.values["role/macro_f1"], abs=1e-6)
        assert (told["n_pages"], told["n_sites"]) == (len(own), len({page.site for page in own}))
        found[part] = report.values["role/macro_f1"]
    assert found["validation"] != found["test"], "guesses differ, or the parts could not be told apart"


def test_before_is_without_the_temperature_and_after_with_it_on_each_part(
    run: tuple[Outcome, Labeler], few: list[Page]
) -> None:
    outcome, labeler = run
    certainty = read_json(outcome.output / "calibration.json")
    assert labeler.calibration.role_temperature > 1.1, "a guess is too sure of itself"
    cold = Labeler(labeler.scorer, labeler.decoder, "", "", "", labeler.topics)
    for part, named in _parts(outcome.output).items():
        if part == "train":
            continue
        own = [page for page in few if page.page_id in named]
        before, after = (
            reliability(own, list(some.label((page.page_id, page.texts) for page in own))) for some in (cold, labeler)
        )
        assert before["ece"] > after["ece"] + 0.02
        for name in ("ece", "brier"):
            assert certainty[part]["before"][name] == pytest.approx(before[name], abs=1e-3)
            assert certainty[part]["after"][name] == pytest.approx(after[name], abs=1e-3)
            assert outcome.metrics[f"{part}/role/{name}"] == pytest.approx(after[name], abs=1e-3)
            assert outcome.metrics[f"{part}/role/{name}_uncalibrated"] == pytest.approx(before[name], abs=1e-3)


def test_an_unseen_page_is_labelled_by_what_training_and_validation_pages_chose(
    config: Config, seen: Seen, few: list[Page], tmp_path: Path
) -> None:
    parts = {"train": few[:15], "validation": few[15:24], "test": few[24:]}
    records = label_unseen(config, parts, [], tmp_path / "work")
    (shown,) = seen.families[0].shown
    assert (ids(shown.train), ids(shown.validation)) == (ids(few[:15]), ids(few[15:24]))
    ((train, validation, chosen),) = seen.chosen
    assert (train, validation, seen.calibrated) == (ids(few[:15]), ids(few[15:24]), [ids(few[15:24])])
    assert [record["page_id"] for record in records] == ids(few[24:])
    reader = seen.families[0].reading
    labeler = Labeler(
        reader, chosen.decoder, "newsparts", "out-of-fold", config.family, reader.topics, chosen.calibration
    )
    assert records == list(labeler.label((page.page_id, page.texts) for page in few[24:]))


def test_every_fold_is_labelled_by_a_model_that_saw_none_of_its_sites(
    config: Config, seen: Seen, few: list[Page], tmp_path: Path
) -> None:
    labelled = list(predict_folds(config, few, "corpus", count=3, work=tmp_path / "folds"))
    site = {page.page_id: page.site for page in few}
    assert sorted(record["page_id"] for fold in labelled for record in fold) == sorted(site)
    assert len(labelled) == len(seen.families) == len(seen.chosen) == 3
    for records, family, (train, validation, _) in zip(labelled, seen.families, seen.chosen, strict=True):
        (shown,) = family.shown
        tested = {record["page_id"] for record in records}
        assert (ids(shown.train), ids(shown.validation)) == (train, validation)
        assert tested | set(train) | set(validation) == set(site), "no page is without use"
        sites: Mapping[str, set[str]] = {
            name: {site[page_id] for page_id in some}
            for name, some in (("test", tested), ("train", set(train)), ("validation", set(validation)))
        }
        assert all(sites.values())
        assert not sites["test"] & sites["train"]
        assert not sites["test"] & sites["validation"]
        assert not sites["train"] & sites["validation"]
        assert len(family.shown) == 1


def test_a_cross_validation_is_scored_on_every_page_by_its_own_record(
    config: Config, seen: Seen, few: list[Page], tmp_path: Path
) -> None:
    found = cross_validate(config, "guess", tmp_path / "crossval", count=3, slice_by="site")
    assert [record["page_id"] for record in found.records] == ids(few)
    again = evaluate(
        few, found.records, bootstrap_samples=50, confidence=config.evaluation.confidence, seed=config.seed
    )
    assert (found.whole.values, found.whole.intervals) == (again.values, again.intervals)
    assert found.reliability["ece"] == reliability(few, found.records)["ece"]
    one = few[0].site
    alone = [(page, record) for page, record in zip(few, found.records, strict=True) if page.site == one]
    assert (
        found.slices[one].values == evaluate([p for p, _ in alone], [r for _, r in alone], bootstrap_samples=0).values
    )
