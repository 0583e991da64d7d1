from __future__ import annotations

import os
import platform
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.answers import guessed
from tests.helpers.configs import ConfigMaker
from tests.helpers.paths import ROOT
from tests.helpers.toys import QUICK
from train.common.files import read_json
from train.config.schema import Config
from train.tracking.outbox import Outbox
from train.tracking.runs import tracked_run
from train.tracking.store import attach, connect
from train.training.crossval import cross_validate
from train.training.recipe import fit

ON = ("tracking.enabled=true", "tracking.experiment=test")


def _runs() -> list[Any]:
    import mlflow

    client = mlflow.MlflowClient(tracking_uri=os.environ["MLFLOW_TRACKING_URI"])
    return list(client.search_runs([e.experiment_id for e in client.search_experiments()]))


def test_a_run_says_what_it_read_made_and_cost(make_config: ConfigMaker, store: Path) -> None:
    import mlflow

    config = make_config("demo-baseline", *ON, "baseline.stacking_neighbours=0")
    outcome = fit(
        config, name="demo-baseline", overrides=["seed=13", f"output={store}", "tracking.enabled=true", "baseline.c=2"]
    )
    client = mlflow.MlflowClient()
    run = client.get_run(str(outcome.run_id))
    assert run.info.status == "FINISHED"
    assert run.data.params["baseline.neighbours_before"] == "3"
    assert len(run.data.params) == len(config.flat())
    assert run.data.tags["corpus.sha256"] == outcome.corpus_sha256
    assert run.data.tags["split.sha256"] == outcome.split_sha256
    assert {"git.sha", "git.dirty", "family", "config", "python", "version.scikit-learn"} <= set(run.data.tags)
    assert {
        "test/role/macro_f1",
        "test/role/macro_f1/low",
        "validation/role/macro_f1",
        "cost/train_s",
        "cost/peak_memory_mb",
        "size/mb",
    } <= set(run.data.metrics)
    assert {i.dataset.name for i in run.inputs.dataset_inputs} == {
        "newsparts-train",
        "newsparts-validation",
        "newsparts-test",
    }
    artifacts = {item.path for item in client.list_artifacts(run.info.run_id)}
    assert {
        "config.yaml",
        "split.json",
        "test.json",
        "validation.json",
        "decoding.json",
        "calibration.json",
        "slices.json",
    } <= artifacts
    assert {"report.html", "errors.html", "pages.html", "MODEL_CARD.md", "figures"} <= artifacts
    assert run.info.run_name == "demo-baseline, seed=13 c=2", "the name says what changed in the model"
    note = run.data.tags["mlflow.note.content"]
    assert note.startswith(f"Role macro-F1 {outcome.metrics['test/role/macro_f1']:.3f} (")
    assert f"runs/{run.info.run_id}/artifacts/report.html" in note
    assert [point.step for point in client.get_metric_history(run.info.run_id, "train/iterations")] == [0]

    model = mlflow.get_logged_model(str(outcome.model_uri).removeprefix("models:/"))
    assert {m.key: m.value for m in model.metrics}["test/role/macro_f1"] == outcome.metrics["test/role/macro_f1"]
    info = mlflow.models.get_model_info(str(outcome.model_uri))
    assert info.signature.inputs.input_names() == ["segments", "page_id"]
    assert info.saved_input_example_info is not None


def test_names_of_topics_and_columns_that_mlflow_does_not_take(make_config: ConfigMaker, store: Path) -> None:
    import mlflow

    outcome = fit(
        make_config("demo-baseline", *ON, *QUICK, "topics.mapping=iptc", "corpus.columns={'my [text]': text}")
    )
    run = mlflow.MlflowClient().get_run(str(outcome.run_id))
    assert "test/topic/f1/economy_ business and finance" in run.data.metrics
    assert run.data.params["corpus.columns.my _text_"] == "text"


def test_folds_are_children_of_their_cross_validation(
    make_config: ConfigMaker, store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("train.training.crossval.label_unseen", guessed)
    found = cross_validate(make_config("demo-baseline", *ON), "demo-baseline", tmp_path / "crossval", count=2)
    runs = _runs()
    (parent,) = [run for run in runs if "mlflow.parentRunId" not in run.data.tags]
    children = [run for run in runs if run.data.tags.get("mlflow.parentRunId") == parent.info.run_id]
    assert sorted(run.data.tags["fold"] for run in children) == ["0", "1"]
    assert all("crossval/role/macro_f1" in run.data.metrics for run in children)
    assert parent.data.metrics["crossval/role/macro_f1"] == pytest.approx(found.whole.values["role/macro_f1"])
    assert parent.data.tags["mlflow.note.content"].startswith("2 folds by site. Role macro-F1")


def test_a_page_is_added_to_a_run_once_and_to_no_deleted_one(
    make_config: ConfigMaker, store: Path, tmp_path: Path
) -> None:
    import mlflow

    with tracked_run(make_config("demo-baseline", *ON), resume=None, fallback_name="x", folder=tmp_path) as tracker:
        for _ in range(2):  # a run that was killed does so again
            tracker.table([{"text": "half \ud800", "n": 1}], tmp_path / "errors.json")
        tracker.describe("Result.", {"report": "report.html"})
    run_id = str(tracker.run_id)
    page = tmp_path / "compare.html"
    page.write_text("<p>")
    assert attach(run_id, page, "comparison", "first")
    assert attach(run_id, page, "comparison", "second")
    client = mlflow.MlflowClient()
    note = client.get_run(run_id).data.tags["mlflow.note.content"]
    assert note.startswith("Result. [report](#/experiments/")
    assert "second ([comparison](" in note
    assert "first" not in note
    assert (
        len(read_json(Path(mlflow.artifacts.download_artifacts(run_id=run_id, artifact_path="errors.json")))["data"])
        == 1
    )
    client.delete_run(run_id)
    assert not attach(run_id, page, "comparison", "third")
    assert not attach("0" * 32, page, "comparison", "fourth")


def test_an_experiment_that_another_process_makes_first_is_taken(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import mlflow

    look = mlflow.get_experiment_by_name
    made: list[str] = []

    def too_early(name: str) -> Any:
        if made:
            return look(name)
        made.append(mlflow.create_experiment(name))
        return None

    monkeypatch.setattr(mlflow, "get_experiment_by_name", too_early)
    assert connect("made-at-once") == made[0]
    tags = mlflow.get_experiment(made[0]).tags
    assert tags["mlflow.experiment.primaryMetric.name"] == "test/role/macro_f1", (
        "what the other process did not set is added"
    )


def test_an_exception_ends_the_run_as_failed(make_config: ConfigMaker, store: Path, tmp_path: Path) -> None:
    with (
        pytest.raises(RuntimeError),
        tracked_run(make_config("demo-baseline", *ON), resume=None, fallback_name="x", folder=tmp_path),
    ):
        raise RuntimeError("broken")
    (run,) = _runs()
    assert run.info.status == "FAILED"
    assert "broken" in run.data.tags["ended_by"]


def test_a_run_whose_process_is_gone_is_closed_by_the_next(
    make_config: ConfigMaker, store: Path, tmp_path: Path
) -> None:
    import mlflow

    config = make_config("demo-baseline", *ON)
    with tracked_run(config, resume=None, fallback_name="dead", folder=tmp_path) as tracker:
        dead = str(tracker.run_id)
    client = mlflow.MlflowClient()
    gone = subprocess.run(
        [sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, text=True, check=True
    )
    client.update_run(dead, status="RUNNING")
    client.set_tag(dead, "pid", gone.stdout.strip())
    with tracked_run(config, resume=None, fallback_name="alive", folder=tmp_path):
        pass
    assert {run.info.run_id: run.info.status for run in _runs()}[dead] == "FAILED"


def test_a_child_run_says_whose_it_is_as_it_is_made(
    make_config: ConfigMaker, store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A kill right after it was made left it RUNNING for ever: nobody knew whose it was."""
    told: list[dict[str, Any]] = []
    put = Outbox.put
    monkeypatch.setattr(Outbox, "put", lambda outbox, entry: (told.append(entry), put(outbox, entry))[1])
    config = make_config("demo-baseline", *ON)
    with tracked_run(config, resume=None, fallback_name="parent", folder=tmp_path) as parent:
        told.clear()
        with tracked_run(config, resume=None, fallback_name="child", folder=tmp_path, parent=parent):
            pass
    assert told[0]["op"] == "run"
    assert (
        told[0]["tags"].items()
        >= {"host": platform.node(), "pid": str(os.getpid()), "mlflow.parentRunId": parent.run_id}.items()
    )


def _start(config: Config, tmp_path: Path, store: Path) -> subprocess.Popen[str]:
    path = tmp_path / "run.yaml"
    path.write_text(config.to_yaml(), encoding="utf-8")
    environment = {**os.environ, "MLFLOW_TRACKING_URI": f"sqlite:///{store}", "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "train", "fit", "--config", str(path)]
    return subprocess.Popen(
        command, cwd=tmp_path, env=environment, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True
    )


def _wait_for_a_network(config: Config, process: subprocess.Popen[str]) -> Path:
    """Waits until the first stage of training is done; its file."""
    first = Path(config.output) / "work" / "network.safetensors"
    deadline = time.monotonic() + 120
    while not first.is_file():
        assert process.poll() is None, process.stderr.read() if process.stderr else ""
        assert time.monotonic() < deadline, "no network in two minutes"
        time.sleep(0.05)
    return first


@pytest.mark.slow
def test_a_killed_run_goes_on_in_the_same_mlflow_run(make_config: ConfigMaker, store: Path, tmp_path: Path) -> None:
    undisturbed = fit(make_config("demo-encoder", "encoder.fine_tune_epochs=20", f"output={tmp_path / 'whole'}"))
    config = make_config("demo-encoder", *ON, "encoder.fine_tune_epochs=20")
    process = _start(config, tmp_path, store)
    first = _wait_for_a_network(config, process)
    process.kill()
    process.wait()
    (run,) = _runs()
    assert run.info.status == "RUNNING"  # killed outright, it could not say so

    # A checkpoint that was being written when the process died is none.
    (first.parent / ".checkpoint.safetensors.another.9999.part").write_bytes(first.read_bytes()[:100])
    resumed = fit(config)
    (run,) = _runs()
    assert run.info.run_id == resumed.run_id
    assert run.info.status == "FINISHED"
    assert run.data.tags["resumed"] == "true"
    for name, value in undisturbed.metrics.items():
        if name.startswith(("test/", "validation/")):
            assert resumed.metrics[name] == pytest.approx(value, abs=0.02), name
    assert not (Path(config.output) / "unfinished.json").exists()


@pytest.mark.slow
def test_a_signal_ends_the_run_as_killed_and_keeps_the_trained_network(
    make_config: ConfigMaker, store: Path, tmp_path: Path
) -> None:
    config = make_config("demo-encoder", *ON, "encoder.fine_tune_epochs=500")
    process = _start(config, tmp_path, store)
    first = _wait_for_a_network(config, process)
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 128 + signal.SIGTERM
    assert "stopped by SIGTERM" in errors
    assert "Traceback" not in errors
    (run,) = _runs()
    assert run.info.status == "KILLED"
    assert read_json(Path(config.output) / "unfinished.json")["run_id"] == run.info.run_id
    assert first.is_file()
