"""Work that was begun is gone on with by the same work alone: another config, corpus, split or code begins anew and
finds nothing."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.configs import shrunk
from tests.helpers.paths import ROOT
from train.common.errors import InputError
from train.common.files import read_json, write_json
from train.config.schema import Config
from train.corpus.page import Page
from train.corpus.read import write_pages
from train.studies.search import tune
from train.tracking.step_log import StepLog
from train.tracking.tracker import Tracker
from train.training import crossval, fingerprint, outcome, recipe, resume
from train.training.crossval import TrainingSelection, predict_folds
from train.training.outcome import Outcome
from train.training.recipe import fit

ON = ("tracking.enabled=true", "tracking.experiment=test")


@pytest.fixture
def config(corpus: Path, tmp_path: Path) -> Callable[..., Config]:
    """`config("seed=1")`: the demo's baseline on the tiny corpus, overridden."""
    return lambda *overrides: shrunk("demo-baseline", corpus, corpus, tmp_path, *overrides)


def _begun(output: Path, state: str, **told: Any) -> Path:
    """A folder that a killed run left; returns a file of its work."""
    left = output / "work" / "network-0.safetensors"
    left.parent.mkdir(parents=True)
    left.write_text("half a model")
    write_json(output / "unfinished.json", {"state": state, **told})
    return left


def test_the_work_of_the_same_state_is_kept_with_its_run(tmp_path: Path) -> None:
    left = _begun(tmp_path, "this", run_id="r1")
    assert resume.unfinished_run(tmp_path, "this") == (True, "r1")
    assert left.read_text() == "half a model"


def test_the_work_of_a_run_that_was_not_tracked_is_kept_without_one(tmp_path: Path) -> None:
    left = _begun(tmp_path, "this", run_id=None)
    assert resume.unfinished_run(tmp_path, "this") == (True, None)
    assert left.is_file()


@pytest.mark.parametrize("state", ["another", "", "thi", "this "])
def test_the_work_of_another_state_is_thrown_away_and_its_run_left_alone(tmp_path: Path, state: str) -> None:
    _begun(tmp_path, state, run_id="r1")
    assert resume.unfinished_run(tmp_path, "this") == (False, None)
    assert not (tmp_path / "work").exists()


def test_work_that_nobody_claims_is_thrown_away(tmp_path: Path) -> None:
    _begun(tmp_path, "this", run_id="r1")
    (tmp_path / "unfinished.json").unlink()
    assert resume.unfinished_run(tmp_path, "this") == (False, None)
    assert not (tmp_path / "work").exists()
    assert resume.unfinished_run(tmp_path, "this") == (False, None), "nothing there is nothing begun"


class Killed(BaseException):
    """As if the process had been killed."""


@pytest.fixture
def killed_in_training(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Every `fit` dies in training and leaves a checkpoint; what each found in its folder."""
    found: list[dict[str, Any]] = []

    class Dies:
        def __init__(self, work: Path) -> None:
            self.work = work

        def fit(self, pages: Any, log: StepLog) -> None:
            marker = read_json(self.work.parent / "unfinished.json")
            kept = sorted(path.name for path in self.work.iterdir()) if self.work.is_dir() else []
            found.append(
                {"kept": kept, "run": marker["run_id"], "steps": [step for step, _ in log.read().get("loss", ())]}
            )
            self.work.mkdir(parents=True, exist_ok=True)
            (self.work / f"checkpoint-{len(found)}").write_text("half a model")
            log({"loss": 1.0}, len(found))
            raise Killed

    monkeypatch.setattr(recipe, "family_of", lambda config, work: Dies(work))
    return found


def _dies(config: Config) -> None:
    with pytest.raises(Killed):
        fit(config)


def test_a_run_goes_on_with_its_own_work_and_steps_in_its_own_mlflow_run(
    config: Callable[..., Config], store: Path, killed_in_training: list[dict[str, Any]]
) -> None:
    for overrides in ((), (), ("seed=99",), ("seed=99",), ()):
        _dies(config(*ON, *overrides))
    first, again, other, other_again, anew = killed_in_training
    assert [one["kept"] for one in killed_in_training] == [[], ["checkpoint-1"], [], ["checkpoint-3"], []]
    assert [one["steps"] for one in killed_in_training] == [[], [1], [], [3], []]
    assert first["run"] == again["run"]
    assert other["run"] == other_again["run"]
    assert len({first["run"], other["run"], anew["run"]}) == 3

    import mlflow

    client = mlflow.MlflowClient(os.environ["MLFLOW_TRACKING_URI"])
    runs = {run.info.run_id: run for run in client.search_runs([client.get_experiment_by_name("test").experiment_id])}
    assert set(runs) == {first["run"], other["run"], anew["run"]}
    assert {run_id for run_id, run in runs.items() if run.data.tags.get("resumed") == "true"} == {
        first["run"],
        other["run"],
    }
    assert {run_id: run.data.params["seed"] for run_id, run in runs.items()} == {
        first["run"]: "13",
        other["run"]: "99",
        anew["run"]: "13",
    }


def test_another_corpus_in_the_same_place_is_other_work(
    config: Callable[..., Config], killed_in_training: list[dict[str, Any]], pages: list[Page], tmp_path: Path
) -> None:
    path = tmp_path / "mine.jsonl"
    for some in (pages, pages, pages[:-1]):
        write_pages(path, some)
        _dies(config(f"corpus.path={path}"))
    assert [one["kept"] for one in killed_in_training] == [[], ["checkpoint-1"], []]


def test_a_run_is_known_by_all_that_its_result_depends_on(
    config: Callable[..., Config], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    split = tmp_path / "split.json"
    split.write_text("{}")
    base = config(f"corpus.split_path={split}")
    known = fingerprint.run_fingerprint(base, "corpus")
    assert fingerprint.run_fingerprint(config(f"corpus.split_path={split}"), "corpus") == known
    assert (
        fingerprint.run_fingerprint(
            config(f"corpus.split_path={split}", "tracking.enabled=true", "tracking.run_name=x"), "corpus"
        )
        == known
    )
    others = [fingerprint.run_fingerprint(base, "another corpus")]
    changes = [
        "seed=1",
        "baseline.C=2",
        "corpus.split_seed=1",
        "decoding.weights=[0.5]",
        "calibration.precision=0.5",
        "evaluation.confidence=0.9",
    ]
    others += [
        fingerprint.run_fingerprint(config(f"corpus.split_path={split}", change), "corpus") for change in changes
    ]
    split.write_text('{"other": 1}')
    others.append(fingerprint.run_fingerprint(base, "corpus"))
    split.write_text("{}")
    for name, value in (
        ("code_sha256", lambda: "other"),
        ("auxiliary_sha256", lambda config: "other"),
        ("topics_sha256", lambda config: "other"),
        ("environment", lambda: {"version.torch": "0"}),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(fingerprint, name, value)
            others.append(fingerprint.run_fingerprint(base, "corpus"))
    assert len({known, *others}) == 1 + len(others)
    environment = fingerprint.environment()
    monkeypatch.setattr(fingerprint, "environment", lambda: {**environment, "machine": "another"})
    assert fingerprint.run_fingerprint(base, "corpus") == known, "the same libraries on another machine"


def test_a_backbone_is_known_by_its_content(corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content = {"a": "1", "b": "2"}
    monkeypatch.setattr(fingerprint, "backbone_content", lambda name: content[name])
    config = shrunk("demo-encoder", corpus, corpus, tmp_path)
    assert config.encoder is not None
    one = replace(config, encoder=replace(config.encoder, backbone="a"))
    before = fingerprint.run_fingerprint(one, "corpus")
    content["a"] = "3"
    assert fingerprint.run_fingerprint(one, "corpus") != before


def _outcome(output: Path, **changes: Any) -> Outcome:
    told: dict[str, Any] = {
        "metrics": {"x": 0.5},
        "run_id": "r",
        "model_uri": None,
        "version": "v1",
        "corpus_sha256": "c",
        "split_sha256": "s",
        **changes,
    }
    return Outcome(output, **told)


def test_what_a_finished_run_leaves_is_its_outcome_and_no_work(tmp_path: Path) -> None:
    _begun(tmp_path, "state", run_id="r")
    told = _outcome(tmp_path, model_uri="models:/m-1")
    resume.mark_finished(told, "state")
    assert outcome.read_outcome(tmp_path) == told
    assert read_json(tmp_path / "outcome.json")["state"] == "state"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["outcome.json"]
    assert outcome.run_corpus_sha256(tmp_path) == "c"
    assert outcome.run_corpus_sha256(tmp_path / "none") is None


@pytest.mark.parametrize(
    ("change", "taken"),
    [
        ("nothing", True),
        ("its model is in the store", True),
        ("another config", False),
        ("another corpus", False),
        ("no outcome", False),
        ("another bundle", False),
        ("no bundle", False),
        ("its model is gone", False),
    ],
)
def test_a_finished_run_is_taken_while_it_is_of_this_config_and_whole(
    config: Callable[..., Config], monkeypatch: pytest.MonkeyPatch, change: str, taken: bool
) -> None:
    mine = config()
    output = Path(mine.output)
    corpus = ["corpus"]
    monkeypatch.setattr(resume, "corpus_sha256", lambda config: corpus[0])
    version: list[str | None] = ["v1"]
    monkeypatch.setattr(
        resume, "bundle_version", lambda folder: version[0] if folder == output / "bundle" else "elsewhere"
    )
    monkeypatch.setattr(resume, "has_model", lambda uri: uri == "models:/m-there")
    uri = {"its model is in the store": "models:/m-there", "its model is gone": "models:/m-gone"}.get(change)
    told = _outcome(output, model_uri=uri)
    resume.mark_finished(told, fingerprint.run_fingerprint(mine, "corpus"))
    if change == "no outcome":
        (output / "outcome.json").unlink()
    corpus[0] = "another" if change == "another corpus" else "corpus"
    version[0] = {"another bundle": "v2", "no bundle": None}.get(change, "v1")
    found = resume.finished(config("seed=99") if change == "another config" else mine)
    assert found == (told if taken else None)


@pytest.fixture
def folds(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, ...]]:
    """Pages of each fold that a model was trained for; no model is."""
    made: list[tuple[str, ...]] = []

    def label(config: Config, parts: Mapping[str, list[Page]], texts: Any, work: Path) -> list[dict[str, Any]]:
        made.append(tuple(page.page_id for page in parts["test"]))
        return [{"page_id": page.page_id, "made": len(made)} for page in parts["test"]]

    monkeypatch.setattr(crossval, "label_unseen", label)
    return made


def test_folds_are_kept_for_the_same_work_alone(
    config: Callable[..., Config], folds: list[tuple[str, ...]], pages: list[Page], tmp_path: Path
) -> None:
    work = tmp_path / "folds"

    def made(*overrides: str, corpus: str = "c", count: int = 2, selection: TrainingSelection | None = None) -> int:
        """How many models a cross-validation trained; every page has one record of them."""
        before = len(folds)
        found = [
            record
            for fold in predict_folds(config(*overrides), pages, corpus, count=count, work=work, selection=selection)
            for record in fold
        ]
        assert sorted(record["page_id"] for record in found) == sorted(page.page_id for page in pages)
        if len(folds) > before:
            assert {record["made"] for record in found} == set(range(before + 1, len(folds) + 1)), (
                "no record of other work"
            )
        return len(folds) - before

    assert made() == 2
    assert made() == 0
    assert made("seed=99") == 2
    assert made() == 2, "what was of another config was thrown away"
    assert made(corpus="d") == 2
    assert made(corpus="d", count=3) == 3
    assert made(corpus="d", count=2) == 2
    selection = TrainingSelection("fewer", lambda parts: parts)
    assert made(corpus="d", selection=selection) == 2
    assert made(corpus="d", selection=selection) == 0
    assert made(corpus="d", selection=TrainingSelection("others", lambda parts: parts)) == 2
    assert made(corpus="d") == 2


def test_a_fold_that_was_not_ended_is_made_again_and_those_before_it_are_not(
    config: Callable[..., Config], folds: list[tuple[str, ...]], pages: list[Page], tmp_path: Path
) -> None:
    first = next(iter(predict_folds(config(), pages, "c", count=3, work=tmp_path / "folds")))
    assert len(folds) == 1
    whole = list(predict_folds(config(), pages, "c", count=3, work=tmp_path / "folds"))
    assert len(folds) == 3
    assert whole[0] == first
    assert [len(fold) for fold in whole] == [len(ids) for ids in folds]


def test_a_page_in_two_files_and_a_single_fold_are_refused(
    config: Callable[..., Config], pages: list[Page], tmp_path: Path
) -> None:
    for given, count, rule in (([*pages, pages[0]], 2, "duplicate-page"), (pages, 1, "bad-folds")):
        with pytest.raises(InputError) as caught:
            next(iter(predict_folds(config(), given, "c", count=count, work=tmp_path / "folds")))
        assert caught.value.rule == rule
        assert not (tmp_path / "folds").exists()


def test_records_come_in_the_order_of_the_pages(
    config: Callable[..., Config], folds: list[tuple[str, ...]], pages: list[Page], tmp_path: Path
) -> None:
    found = crossval.out_of_fold(config(), pages, "c", count=3, work=tmp_path / "folds")
    assert [record["page_id"] for record in found] == [page.page_id for page in pages]


def test_a_search_is_known_by_all_that_its_trials_depend_on(
    pages: list[Page], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    named: list[str] = []
    monkeypatch.setattr(tune, "open_study", lambda storage, name, **more: named.append(name))
    corpus, space, other_space = tmp_path / "corpus.jsonl", tmp_path / "space.yaml", tmp_path / "other.yaml"
    write_pages(corpus, pages)
    space.write_text("baseline.C: {low: 0.1, high: 10.0}\n")
    other_space.write_text("baseline.C: {low: 0.1, high: 9.0}\n")
    usual = tune.SearchSpec(
        ROOT / "configs/demo-baseline.yaml",
        [f"corpus.path={corpus}"],
        space,
        tmp_path / "out",
        5,
        2,
        "role/macro_f1",
        "tpe",
    )
    same = [
        usual,
        replace(usual, n=9),
        replace(usual, output=tmp_path / "elsewhere"),
        replace(usual, storage="sqlite:///x.db"),
    ]
    others = [
        replace(usual, overrides=[*usual.overrides, "seed=1"]),
        replace(usual, space_path=other_space),
        replace(usual, folds=3),
        replace(usual, metric="text/f1"),
        replace(usual, sampler="random"),
    ]
    for search in (*same, *others):
        tune.SearchSession(search)
    first = pages[0].segments[4]
    reworded = pages[0].with_segments(
        tuple(replace(s, text=s.text + " Indeed.") if s is first else s for s in pages[0].segments)
    )
    write_pages(corpus, [reworded, *pages[1:]])
    tune.SearchSession(usual)
    for name in ("auxiliary_sha256", "topics_sha256", "code_sha256"):
        monkeypatch.setattr(tune, name, lambda *_: "another")
        tune.SearchSession(usual)
    assert len(set(named[: len(same)])) == 1
    assert len(set(named)) == 1 + len(others) + 1 + 3


def test_a_search_that_goes_on_goes_on_in_its_run(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The study knows its MLflow run; another study has one of its own."""
    asked: list[str | None] = []

    class Ends(Exception):
        pass

    class Run(Tracker):
        run_id: str | None = "r1"

    def tracked(config: Config, *, resume: str | None, **more: Any) -> Any:
        asked.append(resume)
        return nullcontext(Run())

    monkeypatch.setattr(tune, "tracked_run", tracked)
    monkeypatch.setattr(tune.SearchSession, "work", lambda *_: (_ for _ in ()).throw(Ends))
    space = tmp_path / "space.yaml"
    space.write_text("baseline.C: {low: 0.1, high: 10.0}\n")
    usual = tune.SearchSpec(
        ROOT / "configs/demo-baseline.yaml", [f"corpus.path={corpus}"], space, tmp_path / "out", 5, 2
    )
    for search in (usual, usual, replace(usual, folds=3)):
        with pytest.raises(Ends):
            tune.tune(search)
    assert asked == [None, "r1", None]
