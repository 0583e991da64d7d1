"""`make tune`: looks for better settings with Optuna, on pages outside the test part alone.

The pages of the config's test part are taken away first. What is left is cross-validated by site for every trial, so
that a setting is judged by more sites than one small validation part has; a trial that falls behind after a fold is
pruned.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from train.common.addresses import sqlite_uri
from train.common.console import console
from train.common.errors import InputError
from train.common.files import sha256_json, write_json, write_text
from train.config.schema import Config, load_config
from train.corpus.loading import auxiliary_sha256, parts_of, read_corpus, split_corpus, topics_sha256
from train.corpus.page import Page
from train.runtime.onnx import cores_at_hand
from train.studies.search.space import Range, flow, read_space
from train.studies.search.workers import SAMPLERS, STARTUP, ended, open_study, take_over, work
from train.tracking.runs import joined_run, tracked_run
from train.tracking.tracker import Tracker
from train.training.crossval import TrainingSelection, predict_folds
from train.training.fingerprint import code_sha256
from train.training.scoring import score

INFEASIBLE = "infeasible"
"""The attribute of a trial whose settings give no model; Optuna counts it as pruned, so the sampler avoids its like."""


@dataclass(frozen=True)
class SearchResult:
    """What a search found.

    Args:
        config: The best config, complete.
        path: Where it is written.
        values: Key -> value of the best trial.
        best: Its score.
        start: The score of the config as it was given; None when no trial of it came to its end, as the space does not
            hold it.
        trials: Every trial: `number`, `state`, `score` (None when it failed), `values`.
        importances: Key -> share of the score's variance it explains (fANOVA); empty with too few trials.
    """

    config: Config
    path: Path
    values: dict[str, Any]
    best: float
    start: float | None
    trials: list[dict[str, Any]]
    importances: dict[str, float]


@dataclass(frozen=True)
class SearchSpec:
    """What is searched, and where: the same in every worker.

    Args:
        config_path: The config to start from.
        overrides: `key=value` overrides of it.
        space_path: The search space (`read_space`).
        output: Folder for folds, `best.yaml` and, unless `storage` names another database, the study (`study.db`).
        n: The number of trials in all, those of earlier calls included.
        folds: The number of folds of the cross-validation in each trial.
        metric: The score to maximise, as `make evaluate` names it.
        sampler: `tpe`, which models what has been tried, or `random`, which prunes nothing.
        storage: Database URL of the study; workers on several machines need one they all reach.
    """

    config_path: Path
    overrides: Sequence[str]
    space_path: Path
    output: Path
    n: int = 20
    folds: int = 3
    metric: str = "role/macro_f1"
    sampler: str = "tpe"
    storage: str | None = None


class SearchSession:
    """A search with its pages read and its study open; none of the pages is of the test part.

    Raises:
        InputError: A bad config, space or corpus, or an unknown sampler.
    """

    def __init__(self, search: SearchSpec) -> None:
        import optuna

        optuna.logging.set_verbosity(optuna.logging.ERROR)  # a trial that cannot be is told by us
        if search.sampler not in SAMPLERS:
            raise InputError(
                f"sampler {search.sampler!r}",
                expected=f"one of {', '.join(SAMPLERS)}",
                remedy="name one of them",
                rule="no-sampler",
            )
        self.search = search
        self.config, self.ranges = load_config(search.config_path, search.overrides), read_space(search.space_path)
        for one in self.ranges:
            _apply(search, {one.key: one.choices[0] if one.choices else one.low})
        by_file, self.corpus_sha256 = read_corpus(self.config, search.output)
        self.split = split_corpus(self.config, by_file)
        parts = parts_of(self.split, by_file)
        self.pages = [*parts["train"], *parts["validation"]]
        tested = parts["test"]
        # Nor is anything learnt from their sites or stories that other corpora, topic texts or composed pages have of
        # them.
        self.selection = TrainingSelection(
            f"apart from the test part of {self.split.sha256}", lambda fold: {**fold, "held_out": tested}
        )
        search.output.mkdir(parents=True, exist_ok=True)
        ranges = [str(one) for one in self.ranges]
        settings = [
            self.config.to_dict(),
            ranges,
            self.corpus_sha256,
            auxiliary_sha256(self.config),
            topics_sha256(self.config),
            self.split.sha256,
            code_sha256(),
            search.folds,
            search.metric,
            search.sampler,
        ]
        storage = search.storage or sqlite_uri(search.output / "study.db")
        self.study = open_study(storage, sha256_json(settings)[:16], seed=self.config.seed, sampler=search.sampler)

    def work(self, tracker: Tracker) -> None:
        """Works on trials until there are enough, beside others that do."""
        work(self.study, self.search.n, lambda trial: self._score(trial, tracker))

    def _score(self, trial: Any, tracker: Tracker) -> float:
        import optuna

        values = {one.key: one.suggest(trial) for one in self.ranges}
        state, value = _run(trial, self.search, values, self.pages, self.selection, self.corpus_sha256, tracker)
        if state == "failed":
            trial.set_user_attr(INFEASIBLE, True)
        if state != "complete":
            raise optuna.TrialPruned
        return value


def tune(search: SearchSpec, *, workers: int = 1) -> SearchResult:
    """Searches settings; one MLflow run, with a nested one for every trial.

    The first trial is the config as it is, where the space holds its values. A search that was killed, or is called
    with a larger `n`, goes on with the same study: same config, space, corpus, code, folds, metric and sampler. The
    trial of a worker that was killed is taken over by another.

    Args:
        search: What is searched.
        workers: Processes on this machine that work on it at once.

    Raises:
        InputError: Bad config, space or corpus; an unknown metric; every trial failed; the workers end before the
            search does.
    """
    session = SearchSession(search)
    study, config, output = session.study, session.config, search.output
    take_over(study, own=True)
    if all(trial.state.name == "FAIL" for trial in study.trials):
        flat = config.flat()
        study.enqueue_trial(
            {
                one.key: flow(flat[one.key]) if one.choices else flat[one.key]
                for one in session.ranges
                if one.holds(flat[one.key])
            }
        )
    name = search.config_path.stem
    with tracked_run(
        config, resume=study.user_attrs.get("run_id"), fallback_name=f"tune {name}", folder=output
    ) as tracker:
        study.set_user_attr("run_id", tracker.run_id)
        tracker.tags(
            {
                "config": name,
                "corpus.sha256": session.corpus_sha256,
                "split.sha256": session.split.sha256,
                "tune.metric": search.metric,
            }
        )
        if (done := len(ended(study))) < search.n:
            scored = f"each is scored on {len(session.pages)} pages outside the test part, {search.folds} folds"
            console.print(f"{done} of {search.n} trials are done; {scored}")
            if workers > 1:
                _send_out(search, workers, str(tracker.run_id))
            session.work(tracker)  # alone, or what workers left
        best = _result(study, search, session.ranges)
        write_text(best.path, best.config.to_yaml())
        write_json(
            output / "trials.json",
            {"metric": search.metric, "folds": search.folds, "trials": best.trials, "importances": best.importances},
        )
        tracker.metrics({f"tune/best/{search.metric}": best.best, "tune/trials": float(len(best.trials))})
        for path in (best.path, output / "trials.json", search.space_path):
            tracker.file(path)
        tracker.describe(
            f"Best {search.metric} {best.best:.4f} of {len(best.trials)} trials, {search.folds} folds, pages outside "
            "the test part.",
            {"best config": best.path.name, "trials": "trials.json"},
        )
    return best


def join(search: SearchSpec, number: int, run_id: str) -> None:
    """Works on a search that another process leads.

    Args:
        search: What is searched, as the leader has it.
        number: The worker's number, from 0.
        run_id: The id of the search's MLflow run.
    """
    session = SearchSession(search)
    with joined_run(session.config, run_id, search.output / f"worker-{number}") as tracker:
        session.work(tracker)


def _send_out(search: SearchSpec, workers: int, run_id: str) -> None:
    """Runs workers to their end; what they could not finish is left to the caller. They end with this process."""
    options = {
        "config": search.config_path,
        "space": search.space_path,
        "output": search.output,
        "n": search.n,
        "folds": search.folds,
        "metric": search.metric,
        "sampler": search.sampler,
        "join": run_id,
    }
    given = [f"--{name}={value}" for name, value in options.items() if value is not None]
    command = [sys.executable, "-m", "train", "tune", *search.overrides, *given]
    threads = str(max(1, cores_at_hand() // workers))
    environment = {**os.environ, "OMP_NUM_THREADS": threads, "OPENBLAS_NUM_THREADS": threads}
    if search.storage is not None:
        environment["STORAGE"] = search.storage  # it may hold a password, so it is no word of a command
    running = [subprocess.Popen([*command, "--worker", str(i)], env=environment) for i in range(workers)]
    try:
        while any(
            [worker.poll() is None for worker in running]
        ):  # all are asked: one that was killed must not stay a zombie
            time.sleep(0.2)
    finally:
        for worker in running:
            worker.terminate()
        for worker in running:
            worker.wait()


def _run(
    trial: Any,
    search: SearchSpec,
    values: Mapping[str, Any],
    pages: Sequence[Page],
    selection: TrainingSelection,
    corpus_sha256: str,
    parent: Tracker,
) -> tuple[str, float]:
    """Cross-validates one trial; returns `complete`, `pruned` or `failed`, and the score so far."""
    name = f"trial {trial.number}"
    console.print(
        f"{name}: " + ", ".join(f"{key} {_short(value)}" for key, value in values.items()), markup=False, soft_wrap=True
    )
    value = float("nan")
    state = "failed"
    try:
        config = _apply(search, values)
    except InputError as error:
        console.print(f"{name} cannot be: {error}", markup=False, soft_wrap=True, style="yellow")
        return state, value
    by_id = {page.page_id: page for page in pages}
    folds, metric, work = search.folds, search.metric, search.output / "folds"
    with tracked_run(config, resume=None, fallback_name=name, folder=work, parent=parent) as tracker:
        tracker.tags({"tune.trial": str(trial.number), "corpus.sha256": corpus_sha256})
        records: list[dict[str, Any]] = []
        try:
            # A folder by content: a trial that was killed is asked again, and finds its folds.
            folder = work / sha256_json(dict(values))[:16]
            for step, labelled in enumerate(
                predict_folds(config, pages, corpus_sha256, count=folds, work=folder, selection=selection)
            ):
                records += labelled
                seen = [by_id[record["page_id"]] for record in records]
                scores = score(seen, records, config).values
                if metric not in scores:
                    raise InputError(
                        f"metric {metric!r}",
                        expected=f"one of {', '.join(scores)}",
                        remedy="name one of them",
                        rule="no-metric",
                    )
                value = scores[metric]
                tracker.step_metrics({f"tune/{metric}": value}, step)
                trial.report(value, step)
                state = "complete"
                if step + 1 < folds and trial.should_prune():
                    state = "pruned"
                    break
        except InputError as error:
            if error.rule == "no-metric":
                raise
            state = "failed"
            console.print(f"{name} failed: {error}", markup=False, soft_wrap=True, style="yellow")
        tracker.tags({"tune.state": state})
    console.print(f"{name} {state}" + (f", {metric} {value:.4f}" if state != "failed" else ""), markup=False)
    return state, value


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else flow(value)


def _apply(search: SearchSpec, values: Mapping[str, Any]) -> Config:
    return load_config(
        search.config_path, [*search.overrides, *(f"{key}={flow(value)}" for key, value in values.items())]
    )


def _result(study: Any, search: SearchSpec, ranges: Sequence[Range]) -> SearchResult:
    import optuna

    trials = ended(study)
    output = search.output
    complete = [trial for trial in trials if trial.state == optuna.trial.TrialState.COMPLETE]
    if not complete:
        raise InputError(
            "no trial came to its end",
            expected="at least one",
            remedy="read the messages above, mend the space",
            path=output,
        )

    def values(trial: Any) -> dict[str, Any]:
        return {
            one.key: yaml.safe_load(trial.params[one.key]) if one.choices else trial.params[one.key]
            for one in ranges
            if one.key in trial.params
        }

    as_it_is = load_config(search.config_path, search.overrides)
    start = next((trial for trial in complete if _apply(search, values(trial)) == as_it_is), None)
    # Of equals the config as it is, else by settings: the trials' numbers depend on the workers.
    best = max(complete, key=lambda trial: (trial.value, trial is start, sorted(map(str, trial.params.items()))))
    importances = {}
    if len(complete) > STARTUP and len({trial.value for trial in complete}) > 1:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            importances = dict(optuna.importance.get_param_importances(study))
    rows = [
        {"number": trial.number, "state": _state(trial), "score": _score_so_far(trial), "values": values(trial)}
        for trial in trials
    ]
    named = replace(search, overrides=[*search.overrides, f"output=outputs/{search.config_path.stem}-tuned"])
    tuned = _apply(named, values(best))
    return SearchResult(
        tuned, output / "best.yaml", values(best), float(best.value), start.value if start else None, rows, importances
    )


def _state(trial: Any) -> str:
    """How a trial ended: `complete`, `pruned` or `failed`."""
    return "failed" if trial.user_attrs.get(INFEASIBLE) else str(trial.state.name).lower()


def _score_so_far(trial: Any) -> float | None:
    """The score of a trial; of one that was pruned, over the folds it came to; None of one that failed."""
    if trial.user_attrs.get(INFEASIBLE):
        return None
    return float(trial.value if trial.value is not None else trial.intermediate_values[max(trial.intermediate_values)])
