"""`make tune`: looks for better settings with Optuna, on pages outside the test part alone.

The pages of the config's test part are taken away first. What is left is cross-validated by site for every trial, so that a
setting is judged by more sites than one small validation part has; a trial that falls behind after a fold is pruned.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from train.config import Config, load_config
from train.corpus.page import Page
from train.crossval import label_folds
from train.errors import InputError
from train.files import sha256_json, write_json, write_text
from train.progress import console
from train.recipe import code_sha256, score
from train.run_pages import parts_of, read_corpus, split_corpus
from train.tracking import Tracker, tracked_run

_STATES = {"complete": "COMPLETE", "pruned": "PRUNED", "failed": "FAIL"}
"""Ours -> Optuna's."""
STARTUP = 6
"""Trials drawn at random before the sampler models them, and before any is pruned."""
_KEYS = ({"choices"}, {"low", "high"}, {"low", "high", "log"}, {"low", "high", "step"})


@dataclass(frozen=True)
class Range:
    """What one key may be.

    Args:
        key: Dotted key of the config.
        choices: The values to choose from, or None.
        low: Least value, whole or not.
        high: Largest value, included.
        log: Whether small values are tried as often as large ones.
        step: Distance of neighbouring values, or None.
    """

    key: str
    choices: tuple[Any, ...] | None = None
    low: float | int = 0
    high: float | int = 0
    log: bool = False
    step: float | int | None = None

    def suggest(self, trial: Any) -> Any:
        """The value of this key in an Optuna trial."""
        if self.choices is not None:
            # Optuna stores numbers, strings and booleans; a list of a config goes in as YAML.
            return yaml.safe_load(trial.suggest_categorical(self.key, [_flow(choice) for choice in self.choices]))
        if isinstance(self.low, int) and isinstance(self.high, int):
            return trial.suggest_int(self.key, self.low, self.high, step=int(self.step or 1), log=self.log)
        return trial.suggest_float(self.key, self.low, self.high, step=self.step, log=self.log)


@dataclass(frozen=True)
class Tuned:
    """What a search found.

    Args:
        config: The best config, complete.
        path: Where it is written.
        values: Key -> value of the best trial.
        best: Its score.
        start: The score of the config as it was given (the first trial).
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


def read_space(path: Path) -> list[Range]:
    """Reads a search space: a YAML mapping of dotted keys to `{low, high}` (and `log: true` or `step`) or `{choices: […]}`.

    Raises:
        InputError: No such file, or something else in it.
    """
    try:
        found = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(
            "no such search space", expected="a YAML file", remedy="take one of configs/tune/*.yaml", path=path, rule="no-space"
        ) from None
    except (UnicodeDecodeError, yaml.YAMLError) as error:
        raise InputError(f"not YAML: {error}", expected="YAML", remedy="mind indentation and quotes", path=path, rule="bad-space") from None
    if not isinstance(found, dict) or not found:
        raise InputError(
            f"{type(found).__name__} instead of ranges", expected="dotted.key: {low: 1, high: 5}", remedy="see configs/tune/baseline.yaml",
            path=path, rule="bad-space",
        )  # fmt: skip
    ranges = []
    for key, value in found.items():
        wrong = not isinstance(value, dict) or set(value) not in _KEYS
        if not wrong and "choices" in value:
            wrong = not isinstance(value["choices"], list) or not value["choices"]
        elif not wrong:
            numbers = [value["low"], value["high"], value.get("step", 1)]
            wrong = not all(isinstance(n, int | float) and not isinstance(n, bool) for n in numbers) or value["low"] >= value["high"]
            wrong = wrong or (value.get("log", False) and value["low"] <= 0)
        if wrong:
            raise InputError(
                f"{key} is {value!r}",
                expected="{choices: [a, b]}, {low: 1, high: 5}, {low: 0.1, high: 10.0, log: true} (low above 0) or {low: 0, high: 1, step: 0.1}",
                remedy="mend the range", path=path, rule="bad-space",
            )  # fmt: skip
        known: dict[str, Any] = {name: tuple(v) if name == "choices" else v for name, v in value.items()}
        ranges.append(Range(str(key), **known))
    return ranges


def tune(
    config_path: Path,
    overrides: Sequence[str],
    space_path: Path,
    output: Path,
    *,
    n: int,
    folds: int = 3,
    metric: str = "role/macro_f1",
) -> Tuned:
    """Searches settings; one MLflow run, with a nested one for every trial.

    The first trial is the config as it is, where the space holds its values. A search that was killed, or is called with a
    larger `n`, goes on with the same study: same config, space, corpus, code, folds and metric. One process at a time: a second one
    would take the running trial of the first for one that was killed.

    Args:
        config_path: The config to start from.
        overrides: `key=value` overrides of it.
        space_path: The search space (`read_space`).
        output: Folder for the study (`study.db`), folds and `best.yaml`.
        n: So many trials in all, those of earlier calls included.
        folds: Of the cross-validation in each trial.
        metric: The score to maximise, as `make evaluate` names it.

    Raises:
        InputError: Bad config, space or corpus; an unknown metric; every trial failed.
    """
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    config, ranges = load_config(config_path, overrides), read_space(space_path)
    for one in ranges:
        _apply(config_path, overrides, {one.key: one.choices[0] if one.choices else one.low})
    by_file, corpus_sha256 = read_corpus(config, output)
    split = split_corpus(config, by_file)
    parts = parts_of(split, by_file)
    pages = [*parts["train"], *parts["validation"]]
    del by_file, parts  # nothing below can read a test page
    output.mkdir(parents=True, exist_ok=True)
    settings = [config.to_dict(), [str(one) for one in ranges], corpus_sha256, split.sha256, code_sha256(), folds, metric]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        storage = f"sqlite:///{output / 'study.db'}"
        study = optuna.create_study(storage=storage, study_name=sha256_json(settings)[:16], direction="maximize", load_if_exists=True)
        _mend(study)
        # A sampler that starts again from its seed would draw the same trials again.
        study.sampler = optuna.samplers.TPESampler(seed=config.seed + len(study.trials), n_startup_trials=STARTUP)
        study.pruner = optuna.pruners.MedianPruner(n_startup_trials=STARTUP)
    if not study.trials:
        flat = config.flat()
        study.enqueue_trial(
            {one.key: _flow(flat[one.key]) if one.choices else flat[one.key] for one in ranges if _holds(one, flat[one.key])}
        )
    with tracked_run(config, resume=study.user_attrs.get("run_id"), fallback_name=f"tune {config_path.stem}", folder=output) as tracker:
        study.set_user_attr("run_id", tracker.run_id)
        tracker.tags({"config": config_path.stem, "corpus.sha256": corpus_sha256, "split.sha256": split.sha256, "tune.metric": metric})
        if _done(study) < n:
            console.print(
                f"{_done(study)} of {n} trials are done; each is scored on {len(pages)} pages outside the test part, {folds} folds"
            )
        while _done(study) < n:
            trial = study.ask()
            values = {one.key: one.suggest(trial) for one in ranges}
            state, value = _run(trial, config_path, overrides, values, pages, corpus_sha256, output / "folds", folds, metric, tracker)
            study.tell(trial, value if state == "complete" else None, state=optuna.trial.TrialState[_STATES[state]])
        found = _found(study, config_path, overrides, ranges, output)
        write_text(found.path, found.config.to_yaml())
        write_json(output / "trials.json", {"metric": metric, "folds": folds, "trials": found.trials, "importances": found.importances})
        tracker.metrics({f"tune/best/{metric}": found.best, "tune/trials": float(len(found.trials))})
        for path in (found.path, output / "trials.json", space_path):
            tracker.file(path)
        tracker.describe(
            f"Best {metric} {found.best:.4f} of {len(found.trials)} trials, {folds} folds, pages outside the test part.",
            {"best config": found.path.name, "trials": "trials.json"},
        )
    return found


def _run(
    trial: Any,
    config_path: Path,
    overrides: Sequence[str],
    values: Mapping[str, Any],
    pages: Sequence[Page],
    corpus_sha256: str,
    work: Path,
    folds: int,
    metric: str,
    parent: Tracker,
) -> tuple[str, float]:
    """Cross-validates one trial; returns `complete`, `pruned` or `failed`, and the score so far."""
    name = f"trial {trial.number}"
    console.print(f"{name}: " + ", ".join(f"{key} {_short(value)}" for key, value in values.items()), markup=False, soft_wrap=True)
    value = float("nan")
    state = "failed"
    try:
        config = _apply(config_path, overrides, values)
    except InputError as error:
        console.print(f"{name} cannot be: {error}", markup=False, soft_wrap=True, style="yellow")
        return state, value
    by_id = {page.page_id: page for page in pages}
    with tracked_run(config, resume=None, fallback_name=name, folder=work, parent=parent) as tracker:
        tracker.tags({"tune.trial": str(trial.number), "corpus.sha256": corpus_sha256})
        records: list[dict[str, Any]] = []
        try:
            # A folder by content: a trial that was killed is asked again, and finds its folds.
            folder = work / sha256_json(dict(values))[:16]
            for step, found in enumerate(label_folds(config, pages, corpus_sha256, count=folds, work=folder)):
                records += found
                seen = [by_id[record["page_id"]] for record in records]
                scores = score(seen, records, config).values
                if metric not in scores:
                    raise InputError(
                        f"metric {metric!r}", expected=f"one of {', '.join(scores)}", remedy="name one of them", rule="no-metric"
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


def _done(study: Any) -> int:
    return sum(trial.state.is_finished() and not trial.user_attrs.get("killed") for trial in study.trials)


def _mend(study: Any) -> None:
    """Trials of a process that was killed did not fail: they are asked again."""
    import optuna

    for trial in study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.RUNNING,)):
        study._storage.set_trial_user_attr(trial._trial_id, "killed", True)
        study.tell(trial.number, state=optuna.trial.TrialState.FAIL)
        study.enqueue_trial(trial.params)


def _holds(one: Range, value: Any) -> bool:
    return value in one.choices if one.choices is not None else value is not None and one.low <= value <= one.high


def _flow(value: Any) -> str:
    """A value as one line of YAML, as overrides take it."""
    return yaml.safe_dump(list(value) if isinstance(value, tuple) else value, default_flow_style=True).removesuffix("...\n").strip()


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else _flow(value)


def _apply(config_path: Path, overrides: Sequence[str], values: Mapping[str, Any]) -> Config:
    return load_config(config_path, [*overrides, *(f"{key}={_flow(value)}" for key, value in values.items())])


def _found(study: Any, config_path: Path, overrides: Sequence[str], ranges: Sequence[Range], output: Path) -> Tuned:
    import optuna

    trials = [trial for trial in study.get_trials(deepcopy=False) if not trial.user_attrs.get("killed") and trial.state.is_finished()]
    complete = [trial for trial in trials if trial.state == optuna.trial.TrialState.COMPLETE]
    if not complete:
        raise InputError("no trial came to its end", expected="at least one", remedy="read the messages above, mend the space", path=output)
    best = max(complete, key=lambda trial: trial.value)

    def values(trial: Any) -> dict[str, Any]:
        return {
            one.key: yaml.safe_load(trial.params[one.key]) if one.choices else trial.params[one.key]
            for one in ranges
            if one.key in trial.params
        }

    importances = {}
    if len(complete) > STARTUP and len({trial.value for trial in complete}) > 1:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            importances = dict(optuna.importance.get_param_importances(study))
    names = {theirs: ours for ours, theirs in _STATES.items()}
    rows = [{"number": t.number, "state": names[t.state.name], "score": t.value, "values": values(t)} for t in trials]
    for row, trial in zip(rows, trials, strict=True):
        if trial.state == optuna.trial.TrialState.PRUNED:
            row["score"] = trial.intermediate_values[max(trial.intermediate_values)]
    tuned = _apply(config_path, [*overrides, f"output=outputs/{config_path.stem}-tuned"], values(best))
    start = next((t.value for t in complete if t.number == 0), None)
    return Tuned(tuned, output / "best.yaml", values(best), float(best.value), start, rows, importances)
