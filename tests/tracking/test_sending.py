"""What a run tells its store, entry by entry: how each is sent, what is kept for later, and what is nobody's fault but
ours."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import INTERNAL_ERROR, INVALID_PARAMETER_VALUE, RESOURCE_DOES_NOT_EXIST

from train.common.errors import InputError
from train.common.signals import Interrupted
from train.tracking import outbox as outbox_module
from train.tracking import runs as tracking
from train.tracking import senders as sending
from train.tracking.outbox import UNSENT, Away, Entry, Outbox, read_pending
from train.tracking.senders import NOTE, SENDERS, artifact_page, model_of, send
from train.tracking.tracker import MlflowTracker


class _Client:
    """An MLflow client that remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = []

    def __getattr__(self, name: str) -> Callable[..., Any]:
        def asked(*given: Any, **more: Any) -> Any:
            self.asked.append((name, given, more))
            return SimpleNamespace(info=SimpleNamespace(run_id="made"))

        return asked


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> _Client:
    import mlflow

    made = _Client()
    monkeypatch.setattr(mlflow, "MlflowClient", lambda: made)
    return made


def test_metrics_params_and_tags_are_sent_as_one_batch_each(client: _Client) -> None:
    assert send({"op": "metrics", "run": "r", "time": 7, "metrics": {"a": 0.5, "b": 2.0}, "step": 3}) == {}
    assert send({"op": "params", "run": "r", "time": 7, "params": {"seed": "1"}}) == {}
    assert send({"op": "tags", "run": "r", "time": 7, "tags": {"t": "v"}}) == {}
    (_, to_metrics, metrics), (_, to_params, params), (_, to_tags, tags) = client.asked
    assert [name for name, _, _ in client.asked] == ["log_batch"] * 3
    assert to_metrics == to_params == to_tags == ("r",)
    assert [(m.key, m.value, m.timestamp, m.step) for m in metrics["metrics"]] == [("a", 0.5, 7, 3), ("b", 2.0, 7, 3)]
    assert [(p.key, p.value) for p in params["params"]] == [("seed", "1")]
    assert [(t.key, t.value) for t in tags["tags"]] == [("t", "v")]


def test_a_run_is_made_when_it_was_begun_and_ended_when_it_ended(client: _Client) -> None:
    assert send({"op": "run", "run": "ours", "time": 7, "experiment": "e", "tags": {"a": "b"}, "name": "n"}) == {
        "ours": "made"
    }
    assert send({"op": "end", "run": "r", "time": 9, "status": "KILLED"}) == {}
    assert client.asked == [
        ("create_run", ("e",), {"start_time": 7, "tags": {"a": "b"}, "run_name": "n"}),
        ("set_terminated", ("r", "KILLED", 9), {}),
    ]


def test_a_file_goes_into_its_folder_and_a_note_links_to_it(client: _Client, tmp_path: Path) -> None:
    (tmp_path / "x.svg").write_text("x")
    send({"op": "file", "run": "r", "time": 7, "path": str(tmp_path / "x.svg"), "folder": "figures"})
    send(
        {
            "op": "note",
            "run": "r",
            "time": 7,
            "experiment": "e",
            "text": "Good.",
            "links": {"x": "figures/x.svg", "y": "y.html"},
        }
    )
    assert client.asked[0] == ("log_artifact", ("r", str(tmp_path / "x.svg"), "figures"), {})
    links = f"[x]({artifact_page('e', 'r', 'figures/x.svg')}) · [y]({artifact_page('e', 'r', 'y.html')})"
    assert client.asked[1] == ("set_tag", ("r", NOTE, f"Good. {links}"), {})


def test_a_dataset_says_which_part_it_was(client: _Client) -> None:
    told = {"name": "newsparts-test", "digest": "d", "source_type": "local", "source": "s"}
    send({"op": "dataset", "run": "r", "time": 7, "part": "test", "dataset": told})
    ((name, (run, (given,)), _),) = client.asked
    assert (name, run, given.dataset.name, given.dataset.digest) == ("log_inputs", "r", "newsparts-test", "d")
    assert [(tag.key, tag.value) for tag in given.tags] == [("mlflow.data.context", "test")]


@pytest.mark.parametrize("fails", [False, True])
def test_a_model_is_logged_in_its_run_which_goes_on_whatever_happens(
    client: _Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fails: bool
) -> None:
    import mlflow

    from train.export import mlflow_flavor as flavor

    order: list[Any] = []
    monkeypatch.setattr(mlflow, "start_run", lambda run_id: order.append(("start", run_id)))
    monkeypatch.setattr(mlflow, "end_run", lambda status: order.append(("end", status)))

    def log(bundle: Path) -> Any:
        order.append(bundle)
        if fails:
            raise MlflowException("away", error_code=INTERNAL_ERROR)
        return SimpleNamespace(model_id="m-1", model_uri="models:/m-1")

    monkeypatch.setattr(flavor, "log_bundle", log)
    data = {"dataset_name": "newsparts-test", "dataset_digest": "d"}
    entry = {
        "op": "model",
        "run": "r",
        "time": 7,
        "bundle": str(tmp_path),
        "metrics": {"test/f1": 0.5},
        "dataset": data,
    }
    if fails:
        with pytest.raises(Away):
            send(entry)
        assert client.asked == []
    else:
        assert send(entry) == {model_of("r"): "models:/m-1"}
        ((_, (run,), given),) = client.asked
        (metric,) = given["metrics"]
        assert (run, metric.key, metric.value, metric.model_id) == ("r", "test/f1", 0.5, "m-1")
        assert (metric.dataset_name, metric.dataset_digest) == ("newsparts-test", "d")
    assert order == [("start", "r"), tmp_path, ("end", "RUNNING")]


@pytest.mark.parametrize(
    ("error", "later"),
    [
        (MlflowException("the store broke", error_code=INTERNAL_ERROR), True),
        (MlflowException("no such run", error_code=RESOURCE_DOES_NOT_EXIST), True),
        (MlflowException("the run was deleted", error_code=INVALID_PARAMETER_VALUE), True),
        (MlflowException("a bad name", error_code=INVALID_PARAMETER_VALUE), False),
        (ConnectionError("refused"), True),
        (OSError("no space"), True),
    ],
)
def test_what_the_store_does_not_take_now_is_kept_and_what_it_never_takes_is_raised(
    client: _Client, monkeypatch: pytest.MonkeyPatch, error: Exception, later: bool
) -> None:
    def fails(client: Any, entry: Entry) -> None:
        raise error

    monkeypatch.setitem(SENDERS, "tags", fails)
    with pytest.raises(Away if later else MlflowException, match=str(error)):
        send({"op": "tags", "run": "r", "time": 7, "tags": {}})


@pytest.mark.parametrize("name", ["path", "bundle"])
def test_a_file_that_is_gone_before_it_was_sent_is_told(client: _Client, tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError) as caught:
        send({"op": "file", "run": "r", "time": 7, name: str(tmp_path / "gone"), "folder": None})
    assert caught.value.rule == "unsent-gone"
    assert client.asked == []


def test_a_store_that_stays_away_is_asked_after_longer_and_longer_pauses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now, asked = [100.0], list[float]()
    monkeypatch.setattr(outbox_module, "time", SimpleNamespace(monotonic=lambda: now[0]))

    def away(entry: Entry) -> dict[str, str]:
        asked.append(now[0] - 100)
        raise Away("gone")

    box = Outbox(tmp_path / UNSENT, away, "the store")
    for n in range(300):
        box.put({"op": "metrics", "run": "r", "n": n})
        now[0] += 5
    pauses = [b - a for a, b in pairwise(asked)]
    assert pauses == [5, 10, 20, 40, 80, 160, 300, 300, 300]
    assert [entry["n"] for entry in read_pending(tmp_path / UNSENT)] == list(range(300))


def test_what_was_made_is_not_made_again_by_the_next_process(tmp_path: Path) -> None:
    """The store goes away between a run and what is told of it: the file on disk knows the run's name by then."""
    told: list[str] = []

    def send_once(entry: Entry) -> dict[str, str]:
        if entry["op"] == "run":
            told.append(entry["run"])
            return {"ours": "made"}
        raise Away("gone again")

    path = tmp_path / UNSENT
    path.write_text("".join(json.dumps({"op": op, "run": "ours"}) + "\n" for op in ("run", "tags", "end")))
    assert Outbox(path, send_once, "the store").flush() == "gone again"
    assert read_pending(path) == [{"op": "tags", "run": "made"}, {"op": "end", "run": "made"}]
    again = Outbox(path, send_once, "the store")
    assert (again.pending, again.runs()) == (2, {"made"})
    again.flush()
    assert told == ["ours"]


@pytest.fixture
def put(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[Entry]:
    """Entries of a run that is tracked by a store that takes all of them."""
    entries: list[Entry] = []

    def taken(entry: Entry) -> dict[str, str]:
        entries.append(entry)
        return {}

    box = Outbox(tmp_path / UNSENT, taken, "the store")
    monkeypatch.setattr(tracking, "_begin", lambda config, resume, name, folder: (MlflowTracker("r", "e", box), resume))
    monkeypatch.setattr(tracking, "git_state", lambda: {})
    monkeypatch.setattr(tracking, "environment", lambda: {})
    return entries


CONFIG: Any = SimpleNamespace(
    tracking=SimpleNamespace(enabled=True, run_name=None),
    family="baseline",
    flat=lambda: {"seed": 1, "corpus.columns.a[b]": None},
)


@pytest.mark.parametrize(
    ("raised", "status", "told"),
    [
        (None, "FINISHED", None),
        (RuntimeError("broken"), "FAILED", "RuntimeError: broken"),
        (InputError("bad", expected="good", remedy="mend it"), "FAILED", "InputError: "),
        (KeyboardInterrupt(), "KILLED", "KeyboardInterrupt()"),
        (Interrupted(15), "KILLED", "Interrupted('SIGTERM')"),
        (SystemExit(1), "FAILED", "SystemExit: 1"),
    ],
    ids=["nothing", "an error", "a refusal", "Ctrl-C", "a signal", "an exit"],
)
def test_a_run_ends_as_its_block_does(
    put: list[Entry], tmp_path: Path, raised: BaseException | None, status: str, told: str | None
) -> None:
    def block() -> None:
        with tracking.tracked_run(CONFIG, resume=None, fallback_name="x", folder=tmp_path):
            if raised is not None:
                raise raised

    if raised is None:
        block()
    else:
        with pytest.raises(type(raised)):
            block()
    assert [entry["status"] for entry in put if entry["op"] == "end"] == [status]
    assert put[-1]["op"] == "end"
    ended = [entry["tags"]["ended_by"] for entry in put if "ended_by" in entry.get("tags", {})]
    assert ended == [] if told is None else len(ended) == 1 and ended[0].startswith(told)


@pytest.mark.parametrize("resume", [None, "r"])
def test_a_new_run_says_its_settings_and_a_resumed_one_that_it_is_one(
    put: list[Entry], tmp_path: Path, resume: str | None
) -> None:
    with tracking.tracked_run(CONFIG, resume=resume, fallback_name="x", folder=tmp_path):
        pass
    params = [entry["params"] for entry in put if entry["op"] == "params"]
    assert params == ([{"seed": "1", "corpus.columns.a_b_": "None"}] if resume is None else [])
    assert [entry["tags"] for entry in put if "resumed" in entry.get("tags", {})] == (
        [] if resume is None else [{"resumed": "true"}]
    )
    (owner,) = (entry["tags"] for entry in put if "pid" in entry.get("tags", {}))
    assert owner["family"] == "baseline"


def test_metrics_of_the_test_part_go_with_the_model_and_its_dataset(put: list[Entry], tmp_path: Path) -> None:
    with tracking.tracked_run(CONFIG, resume=None, fallback_name="x", folder=tmp_path) as tracker:
        tracker.metrics({"a [b]": 1.0})
        tracker.step_metrics({"loss": 0.5}, 7)
        tracker.model(tmp_path, {"test/f1": 0.5, "validation/f1": 0.25, "test/a&b": 1.0})
    metrics = [(entry["metrics"], entry["step"]) for entry in put if entry["op"] == "metrics"]
    assert metrics == [({"a _b_": 1.0}, 0), ({"loss": 0.5}, 7)]
    (model,) = (entry for entry in put if entry["op"] == "model")
    assert model["metrics"] == {"test/f1": 0.5, "test/a_b": 1.0}
    assert model["bundle"] == str(tmp_path.resolve())


def test_runs_whose_process_is_gone_are_closed_and_no_others(monkeypatch: pytest.MonkeyPatch) -> None:
    gone = {"here 1", "here 2"}
    monkeypatch.setattr(tracking, "owner_is_dead", lambda owner: owner in gone)
    closed: list[tuple[str, str]] = []

    class Runs:
        def search_runs(self, experiments: list[str], query: str, max_results: int) -> list[Any]:
            assert (experiments, query) == (["e"], "attributes.status = 'RUNNING'")
            told = {
                "dead": ("here", "1"),
                "resumed": ("here", "2"),
                "alive": ("here", "3"),
                "elsewhere": ("there", "1"),
                "elsewhere, long ago": ("there", "1"),
            }
            began = {"elsewhere, long ago": time.time() - tracking.LONGEST_RUN_S - 60}
            return [
                SimpleNamespace(
                    info=SimpleNamespace(run_id=run, start_time=int(began.get(run, time.time()) * 1000)),
                    data=SimpleNamespace(tags={"host": host, "pid": pid}),
                )
                for run, (host, pid) in told.items()
            ]

        def set_tag(self, run: str, tag: str, value: str) -> None:
            assert tag == "ended_by"

        def set_terminated(self, run: str, status: str) -> None:
            closed.append((run, status))

    tracking._close_dead_runs(Runs(), "e", but="resumed")
    assert closed == [("dead", "FAILED"), ("elsewhere, long ago", "FAILED")]


def test_warnings_and_loggers_are_as_before_behind_a_quiet_block() -> None:
    import logging

    logger = logging.getLogger("mlflow")
    before = logger.level
    within: list[int] = []

    def fails() -> None:
        with sending.quiet():
            within.append(logger.level)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fails()
    assert within == [logging.CRITICAL]
    assert logger.level == before
