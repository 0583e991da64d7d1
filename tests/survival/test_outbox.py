"""MLflow goes away while a run talks to it: nothing is lost, and it is told in order when it is back."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.answers import guessed
from tests.helpers.configs import ConfigMaker
from tests.helpers.server import Server
from tests.helpers.toys import QUICK, toy_baseline
from train.common.errors import InputError
from train.models.baseline.family import BaselineFamily
from train.registry.versions import register_outcome, version_of
from train.tracking import outbox as outbox_module
from train.tracking import runs as tracking
from train.tracking.outbox import UNSENT, Away, Entry, Outbox, read_pending
from train.tracking.senders import send
from train.training import documents
from train.training.crossval import cross_validate
from train.training.outcome import read_outcome, send_pending
from train.training.recipe import fit

ON = ("tracking.enabled=true", "tracking.experiment=newsparts")


class _Store:
    """Takes entries while it is there."""

    def __init__(self) -> None:
        self.away = False
        self.asked = 0
        self.told: list[Entry] = []

    def send(self, entry: Entry) -> dict[str, str]:
        self.asked += 1
        if self.away:
            raise Away("gone")
        self.told.append(entry)
        return {entry["run"]: "real"} if entry["op"] == "run" else {}


def _entry(n: int, op: str = "metrics", run: str = "mine") -> Entry:
    return {"op": op, "run": run, "n": n}


def test_what_is_put_while_the_store_is_away_arrives_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox_module, "FIRST_PAUSE_S", 0.0)
    store = _Store()
    box = Outbox(tmp_path / UNSENT, store.send, "the store")
    box.put(_entry(0))
    store.away = True
    for n in (1, 2):
        box.put(_entry(n))
    assert [entry["n"] for entry in read_pending(tmp_path / UNSENT)] == [1, 2]
    store.away = False
    box.put(_entry(3))
    assert [entry["n"] for entry in store.told] == [0, 1, 2, 3]
    assert not (tmp_path / UNSENT).exists()


def test_a_store_that_is_away_is_not_asked_every_time(tmp_path: Path) -> None:
    store = _Store()
    store.away = True
    box = Outbox(tmp_path / UNSENT, store.send, "the store")
    for n in range(50):
        box.put(_entry(n))
    assert store.asked == 1
    assert box.pending == 50


def test_a_run_that_could_not_be_made_gets_its_name_later(tmp_path: Path) -> None:
    store = _Store()
    store.away = True
    first = Outbox(tmp_path / UNSENT, store.send, "the store")
    first.put(_entry(0, "run"))
    first.put(_entry(1))
    store.away = False
    later = Outbox(tmp_path / UNSENT, store.send, "the store")  # another process
    assert later.flush() is None
    assert [(entry["run"], entry["n"]) for entry in store.told] == [("mine", 0), ("real", 1)]
    assert later.names == {"mine": "real"}


def test_what_is_put_as_the_store_comes_back_goes_to_the_run_it_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox_module, "FIRST_PAUSE_S", 0.0)
    store = _Store()
    store.away = True
    box = Outbox(tmp_path / UNSENT, store.send, "the store")
    box.put(_entry(0, "run"))
    store.away = False
    box.put(_entry(1))
    assert [entry["run"] for entry in store.told] == ["mine", "real"]


def test_behind_half_a_line_entries_are_whole(tmp_path: Path) -> None:
    path = tmp_path / UNSENT
    path.write_text(json.dumps(_entry(0)) + "\n" + '{"op": "met', encoding="utf-8")
    store = _Store()
    store.away = True
    box = Outbox(path, store.send, "the store")
    for n in (1, 2):
        box.put(_entry(n))
    assert [entry["n"] for entry in read_pending(path)] == [0, 1, 2]


def test_a_line_that_a_kill_left_half_is_passed_over_and_others_are_told(tmp_path: Path) -> None:
    path = tmp_path / UNSENT
    path.write_text(json.dumps(_entry(0)) + "\n" + '{"op": "met', encoding="utf-8")
    assert [entry["n"] for entry in read_pending(path)] == [0]
    path.write_text("nonsense\n" + json.dumps(_entry(0)) + "\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"unsent.jsonl:1"):
        read_pending(path)


@pytest.fixture
def server(tmp_path: Path, store: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    (tmp_path / "server").mkdir()
    found = Server(tmp_path / "server", f"sqlite:///{store}")
    found.start()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", found.uri)
    yield found
    found.stop()


def _during_training(monkeypatch: pytest.MonkeyPatch, act: Callable[[], None]) -> None:
    """Does something as soon as the baseline has been trained."""
    real = BaselineFamily.fit

    def fitted(self: BaselineFamily, *arguments: Any) -> None:
        real(self, *arguments)
        act()

    monkeypatch.setattr(BaselineFamily, "fit", fitted)


def test_a_store_that_goes_while_training_costs_nothing(
    corpus: Path, store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import mlflow

    away = [False]

    def sometimes(entry: Entry) -> dict[str, str]:
        if away[0]:
            raise Away("gone")
        return send(entry)

    monkeypatch.setattr(tracking, "send", sometimes)
    _during_training(monkeypatch, lambda: away.__setitem__(0, True))
    outcome = toy_baseline(corpus, tmp_path, *ON)
    kept = read_pending(outcome.output / UNSENT)
    assert [entry["op"] for entry in kept].count("model") == 1
    assert kept[-1]["op"] == "end"
    assert outcome.model_uri is None
    client = mlflow.MlflowClient()
    assert client.get_run(str(outcome.run_id)).info.status == "RUNNING"
    with pytest.raises(InputError, match=f"{len(kept)} of {len(kept)} things are still unsent: gone"):
        send_pending(outcome.output)
    assert read_pending(outcome.output / UNSENT) == kept

    away[0] = False
    sent, uri = send_pending(outcome.output)
    assert (sent, read_outcome(outcome.output).model_uri) == (len(kept), uri)
    run = client.get_run(str(outcome.run_id))
    assert run.info.status == "FINISHED"
    assert run.data.metrics["test/role/macro_f1"] == outcome.metrics["test/role/macro_f1"]
    assert not (outcome.output / UNSENT).exists()
    assert register_outcome(read_outcome(outcome.output)).was_new
    with pytest.raises(InputError, match="nothing unsent"):
        send_pending(outcome.output)


@pytest.mark.slow
def test_a_server_that_goes_while_training_costs_nothing(
    make_config: ConfigMaker, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    import mlflow

    config = make_config("demo-baseline", *ON, *QUICK)
    _during_training(monkeypatch, server.stop)
    outcome = fit(config)
    assert outcome.model_uri is None
    assert outcome.run_id is not None
    assert (outcome.output / "bundle" / "bundle.json").is_file()
    kept = read_pending(outcome.output / UNSENT)
    assert {entry["op"] for entry in kept} >= {"metrics", "file", "model", "note", "end"}
    with pytest.raises(InputError, match="does not answer"):
        send_pending(outcome.output)
    with pytest.raises(InputError, match="does not answer"):
        fit(config)  # a clear error, before training

    server.start()
    sent, uri = send_pending(outcome.output)
    assert sent == len(kept)
    assert read_outcome(outcome.output).model_uri == uri
    run = mlflow.MlflowClient().get_run(outcome.run_id)
    assert run.info.status == "FINISHED"
    assert run.data.metrics["test/role/macro_f1"] == outcome.metrics["test/role/macro_f1"]
    assert "report.html" in run.data.tags["mlflow.note.content"]
    assert {file.path for file in mlflow.MlflowClient().list_artifacts(outcome.run_id)} >= {
        "report.html",
        "errors.html",
        "test.json",
    }
    assert register_outcome(read_outcome(outcome.output)).was_new
    assert version_of("challenger") is not None
    assert not (outcome.output / UNSENT).exists()
    with pytest.raises(InputError, match="nothing unsent"):
        send_pending(outcome.output)


@pytest.mark.slow
def test_a_server_that_comes_back_in_time_is_told_by_the_run_itself(
    make_config: ConfigMaker, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    import mlflow

    _during_training(monkeypatch, server.stop)

    def back(*_: Any) -> Any:
        server.start()
        return [], []

    monkeypatch.setattr(documents, "write_run_report", back)
    outcome = fit(make_config("demo-baseline", *ON, *QUICK))
    assert outcome.run_id is not None
    assert mlflow.MlflowClient().get_run(outcome.run_id).info.status == "FINISHED"
    assert not (outcome.output / UNSENT).exists()
    assert outcome.model_uri is not None
    assert read_outcome(outcome.output).model_uri == outcome.model_uri


@pytest.mark.slow
def test_folds_that_no_server_saw_are_made_later(
    make_config: ConfigMaker, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import mlflow

    gone = False

    def label(*given: Any) -> Any:
        """The first model is trained, and the server gone."""
        nonlocal gone
        if not gone:
            server.stop()
        gone = True
        return guessed(*given)

    monkeypatch.setattr("train.training.crossval.label_unseen", label)
    output = tmp_path / "folds"
    cross_validate(make_config("demo-baseline", *ON), "small", output, count=2)
    server.start()
    send_pending(output)
    runs = mlflow.search_runs(experiment_names=["newsparts"], output_format="list")
    (parent,) = (run for run in runs if "mlflow.parentRunId" not in run.data.tags)
    children = [run for run in runs if run.data.tags.get("mlflow.parentRunId") == parent.info.run_id]
    assert sorted(run.info.run_name for run in children) == ["small, fold 1 of 2", "small, fold 2 of 2"]
    assert {run.info.status for run in runs} == {"FINISHED"}
    assert all("crossval/role/macro_f1" in run.data.metrics for run in runs)


def test_another_runs_unsent_things_are_not_overwritten(make_config: ConfigMaker, store: Path) -> None:
    config = make_config("demo-baseline", *ON)
    folder = Path(config.output)
    folder.mkdir()
    (folder / UNSENT).write_text(
        json.dumps({"op": "end", "run": "0" * 32, "time": 1, "status": "FINISHED"}) + "\n", encoding="utf-8"
    )
    with pytest.raises(InputError, match="make send"):
        fit(config)
