"""A team on one server: two engineers train and promote at the same time, on PostgreSQL where it is installed."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import mlflow
import pytest

from tests.helpers.commands import free_port
from tests.helpers.configs import ConfigMaker
from tests.helpers.optional import PARTS, need
from tests.helpers.paths import ROOT
from tests.helpers.server import Server
from tests.helpers.survival_rows import SLOW, add_row
from tests.helpers.toys import toy_baseline
from train.common.files import read_json
from train.registry import lock, mlflow_client
from train.registry.champion import ChampionMoved, history, promote
from train.registry.lock import LOCK
from train.registry.rule_result import RuleResult
from train.registry.versions import CHAMPION, register, version_of

ENGINEER = """
import sys
from pathlib import Path
from train.config.schema import load_config
from train.training.recipe import fit
from train.registry.champion import ChampionMoved, promote
from train.registry.versions import register_outcome, version_of
from train.registry.rule_result import RuleResult
from train.studies.search.tune import SearchSpec, tune

path, storage = Path(sys.argv[1]), sys.argv[3] or None
tuned = tune(SearchSpec(path, (), path.with_name("space.yaml"), path.with_suffix(".tuned"), 3, 2, "role/macro_f1", "random", storage))
print("tuned", len(tuned.trials), flush=True)
outcome = fit(load_config(Path(sys.argv[1])))
for turn in range(int(sys.argv[2])):
    made = register_outcome(outcome)
    while True:
        present = version_of("champion")
        if present is not None and str(present.version) == made.version:
            break
        try:
            promote(made.version, [RuleResult("test", True, sys.argv[1], "any")], against=None if present is None else str(present.version))
            print("promoted over", None if present is None else present.version, flush=True)
            break
        except ChampionMoved:
            print("moved", flush=True)
"""


def _postgres() -> Path | None:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    return found[-1].parent if found else None


@pytest.mark.slow
def test_the_databases_below_are_those_that_teams_have() -> None:
    need("postgresql")


@pytest.fixture
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URI of an empty PostgreSQL database, which root starts; of SQLite where there is no PostgreSQL."""
    if not PARTS["postgresql"].present():
        yield f"sqlite:///{tmp_path_factory.mktemp('database') / 'team.db'}"
        return
    programs = _postgres()
    assert programs is not None
    port = free_port()
    home = Path("/tmp") / f"newsparts-postgres-{os.getpid()}"
    home.mkdir()
    shutil.chown(home, "postgres")

    def as_postgres(*words: str) -> None:
        subprocess.run(
            words, check=True, cwd="/", stdout=subprocess.DEVNULL, user="postgres", group="postgres", extra_groups=[]
        )

    as_postgres(str(programs / "initdb"), "-D", str(home / "data"), "-A", "trust", "-U", "postgres")
    start = ("-D", str(home / "data"), "-o", f"-p {port} -k {home} -h 127.0.0.1", "-l", str(home / "log"))
    as_postgres(str(programs / "pg_ctl"), *start, "-w", "start")
    yield f"postgresql://postgres@127.0.0.1:{port}/postgres"
    as_postgres(str(programs / "pg_ctl"), "-D", str(home / "data"), "-m", "immediate", "stop")
    shutil.rmtree(home)


def _another(database: str) -> str:
    """The URI of another, empty database on the same server: Optuna's tables and MLflow's do not go together."""
    import psycopg

    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("CREATE DATABASE studies")
    return f"{database.rpartition('/')[0]}/studies"


@pytest.mark.slow
def test_two_engineers_at_once_lose_no_update(
    make_config: ConfigMaker, tmp_path: Path, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    started = time.monotonic()
    (tmp_path / "server").mkdir()
    server = Server(tmp_path / "server", database, workers=2)
    server.start()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server.uri)
    turns = 12 if SLOW else 3
    (tmp_path / "space.yaml").write_text("baseline.C: {low: 0.1, high: 10.0, log: true}\n", encoding="utf-8")
    storage = _another(database) if database.startswith("postgresql") else ""
    try:
        running = []
        for engineer in range(2):
            on = ("tracking.enabled=true", "tracking.experiment=newsparts")
            config = make_config(
                "demo-baseline", *on, f"seed={engineer}", f"output={tmp_path / f'engineer-{engineer}'}"
            )
            (tmp_path / f"{engineer}.yaml").write_text(config.to_yaml(), encoding="utf-8")
            words = [sys.executable, "-c", ENGINEER, str(tmp_path / f"{engineer}.yaml"), str(turns), storage]
            environment = {**os.environ, "PYTHONPATH": str(ROOT)}
            running.append(
                subprocess.Popen(words, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            )
        told = []
        for one in running:
            out, errors = one.communicate(timeout=400)
            assert one.returncode == 0, errors[-3000:]
            told.append(out.splitlines())
        assert all("tuned 3" in lines for lines in told)
        client = mlflow.MlflowClient(server.uri)
        runs = list(client.search_runs([experiment.experiment_id for experiment in client.search_experiments()]))
        assert {run.info.status for run in runs} == {"FINISHED"}
        parents = [run.data.tags.get("mlflow.parentRunId") for run in runs]
        assert sum(parent is not None for parent in parents) == 6
        assert len({parent for parent in parents if parent}) == 2
        versions = {str(v.version): v for v in mlflow_client.open_client().search_model_versions("name = 'newsparts'")}
        assert len(versions) == 2, "a bundle was registered twice"
        champion = version_of(CHAMPION)
        assert champion is not None
        served = history()
        assert served[-1] == str(champion.version)
        assert set(served) == set(versions), "a version that served is missing in the history"
        # Each promotion went over the champion that it was judged against: both engineers' steps make one chain.
        steps = [line.rpartition(" ")[2] for lines in told for line in lines if line.startswith("promoted")]
        assert steps.count("None") == 1
        for number in versions:
            over = steps.count(number)  # times it was replaced
            became = sum(line.startswith("promoted") for line in told[_engineer(versions[number], tmp_path)])
            assert became - over == (1 if number == str(champion.version) else 0)
        assert all(model.name != LOCK for model in mlflow_client.open_client().search_registered_models())
    finally:
        server.stop()
    kind = database.partition(":")[0]
    moved = sum(line == "moved" for lines in told for line in lines)
    add_row(
        f"two engineers on one server ({kind})",
        "tune, fit, register, promote",
        f"{len(steps)} promotions, {moved} judged again",
        time.monotonic() - started,
    )


def _engineer(version: Any, folder: Path) -> int:
    """Whose run made a version."""
    runs = [read_json(folder / f"engineer-{engineer}" / "outcome.json")["version"] for engineer in range(2)]
    return runs.index(version.tags["bundle.version"])


def test_a_version_judged_against_another_champion_is_not_promoted(
    corpus: Path, store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from train.registry.versions import register_outcome

    outcome = toy_baseline(corpus, tmp_path, "tracking.enabled=true", "tracking.experiment=newsparts")
    results = [RuleResult("x", True, "a", "b")]
    one = register_outcome(outcome).version
    promote(one, results, against=None)
    two = register(str(outcome.model_uri), bundle_version="other").version
    with pytest.raises(ChampionMoved):
        promote(two, results, against=None)
    assert json.dumps(history()) == f'["{one}"]'

    # The lock of a client that was killed does not last.
    gone = subprocess.run(
        [sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, text=True, check=True
    )
    client = mlflow_client.open_client()
    client.create_registered_model(LOCK, {"owner": f"{os.uname().nodename} {gone.stdout.strip()}", "token": "its"})
    promote(two, results, against=one)
    assert history() == [one, two]
    # Nor that of another machine, whose clock tells nothing; and what another took over is not ours to let go.
    monkeypatch.setattr(lock, "LONGEST_LOCK_S", 1.0)
    client.create_registered_model(LOCK, {"owner": "elsewhere 1", "token": "theirs"})
    with lock.locked(client):
        client.set_registered_model_tag(LOCK, "token", "another's")
    assert client.get_registered_model(LOCK).tags["token"] == "another's"


@pytest.mark.slow
def test_the_teams_server_asks_for_a_password(
    make_config: ConfigMaker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import requests

    from train.tracking.runs import tracked_run

    server = Server(tmp_path, "")
    uri = server.uri
    try:
        server.run(["train", "server", "--folder", "server", "--port", str(server.port), "--workers", "1"])
        asked = f"{uri}/api/2.0/mlflow/experiments/search?max_results=1"
        assert requests.get(asked, timeout=30).status_code == 401
        secret = tmp_path / "server" / "admin-password"
        assert secret.stat().st_mode & 0o077 == 0
        assert requests.get(asked, timeout=30, auth=("admin", "password1234")).status_code == 401
        monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
        monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", "admin")
        monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", secret.read_text())
        (tmp_path / "note.txt").write_text("through the server")
        with tracked_run(
            make_config("demo-baseline", "tracking.enabled=true"), resume=None, fallback_name="x", folder=tmp_path
        ) as tracker:
            tracker.file(tmp_path / "note.txt")
        run = mlflow.MlflowClient().get_run(str(tracker.run_id))
        assert run.info.status == "FINISHED"
        assert run.info.artifact_uri.startswith("mlflow-artifacts:")
        assert not (tmp_path / "unsent.jsonl").exists()
    finally:
        server.stop()


@pytest.mark.slow
def test_a_killed_workers_trial_is_taken_over(corpus: Path, tmp_path: Path, database: str) -> None:
    import optuna
    import psutil
    from sqlalchemy.exc import IntegrityError, ProgrammingError

    started = time.monotonic()
    (tmp_path / "space.yaml").write_text("baseline.C: {low: 0.1, high: 10.0, log: true}\n", encoding="utf-8")
    small = [
        f"corpus.path={corpus}",
        "baseline.max_words=500",
        "baseline.max_chars=500",
        "baseline.neighbour_words=500",
        "baseline.max_iterations=5",
        "evaluation.bootstrap_samples=20",
        "tracking.enabled=false",
    ]

    def words(output: str, *more: str) -> list[str]:
        search = [
            "--space",
            str(tmp_path / "space.yaml"),
            "--output",
            str(tmp_path / output),
            "--n",
            "8",
            "--folds",
            "2",
            "--sampler",
            "random",
        ]
        return [
            sys.executable,
            "-m",
            "train",
            "tune",
            "--config",
            str(ROOT / "configs/pages-baseline.yaml"),
            *small,
            *search,
            *more,
        ]

    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    leader = subprocess.Popen(
        words("crowd", "--workers", "2", "--storage", database), env=environment, stderr=subprocess.PIPE, text=True
    )
    victim: int | None = None
    deadline = time.monotonic() + 120
    while victim is None and time.monotonic() < deadline and leader.poll() is None:
        try:
            names = optuna.get_all_study_names(database) if (tmp_path / "crowd").is_dir() else []
        except (IntegrityError, ProgrammingError):
            names = []  # the leader makes the database's tables in this very moment
        for name in names:
            for trial in optuna.load_study(study_name=name, storage=database).get_trials(
                states=(optuna.trial.TrialState.RUNNING,)
            ):
                pid = int(str(trial.user_attrs.get("owner", "x 0")).rpartition(" ")[2])
                if pid and pid != leader.pid and psutil.pid_exists(pid):
                    victim = pid
        time.sleep(0.02)
    assert victim is not None, "no worker was met at work"
    os.kill(victim, signal.SIGKILL)
    _, errors = leader.communicate(timeout=300)
    assert leader.returncode == 0, errors[-3000:]

    trials = read_json(tmp_path / "crowd" / "trials.json")["trials"]
    assert 8 <= len(trials) <= 9, "the two workers may begin the last one together"
    assert {trial["state"] for trial in trials} == {"complete"}
    (study,) = optuna.get_all_study_summaries(database)
    killed = [
        trial
        for trial in optuna.load_study(study_name=study.study_name, storage=database).get_trials()
        if trial.state == optuna.trial.TrialState.FAIL
    ]
    assert len(killed) == 1
    asked = killed[0].params.get("baseline.regularisation")
    assert asked is None or asked in [trial["values"]["baseline.regularisation"] for trial in trials]
    add_row(
        f"a worker killed ({database.partition(':')[0]} storage)",
        "tune WORKERS=2",
        f"{len(trials)} trials, that of the killed worker among them",
        time.monotonic() - started,
    )
