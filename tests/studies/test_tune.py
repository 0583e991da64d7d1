"""The search: what it may see, that it goes on, what it leaves behind."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.helpers.answers import guessed
from tests.helpers.paths import ROOT
from train.common.errors import InputError
from train.common.signals import Interrupted
from train.config.schema import load_config
from train.corpus.loading import read_corpus, split_corpus
from train.corpus.page import Page
from train.corpus.read import read_pages, write_pages
from train.studies.search.space import read_space
from train.studies.search.tune import SearchResult, SearchSpec, tune
from train.studies.search.workers import open_study
from train.training.crossval import label_unseen
from train.training.scoring import score

BASE = ROOT / "configs/pages-baseline.yaml"
SPACE = "baseline.C: {low: 0.1, high: 10.0, log: true}\nbaseline.neighbour_words: {choices: [0, 500]}\n"
Search = Callable[..., SearchResult]


@pytest.fixture
def search(corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Search:
    """`search(n, overrides…)`: a search over the tiny corpus, whose models are guesses."""
    monkeypatch.setattr("train.training.crossval.label_unseen", guessed)
    space = tmp_path / "space.yaml"
    space.write_text(SPACE)
    small = [
        f"corpus.path={corpus}",
        "baseline.max_words=500",
        "baseline.max_chars=500",
        "baseline.neighbour_words=500",
        "baseline.max_iterations=5",
        "evaluation.bootstrap_samples=20",
        "tracking.enabled=false",
    ]

    def run(
        n: int,
        *overrides: str,
        metric: str = "role/macro_f1",
        output: str = "tune",
        sampler: str = "tpe",
        workers: int = 1,
    ) -> SearchResult:
        return tune(
            SearchSpec(BASE, [*small, *overrides], space, tmp_path / output, n, 2, metric, sampler), workers=workers
        )

    return run


def test_a_search_finds_settings_and_leaves_a_config_that_trains(search: Search, tmp_path: Path) -> None:
    found = search(4)
    assert [trial["number"] for trial in found.trials] == [0, 1, 2, 3]
    assert found.trials[0]["values"] == {"baseline.C": 1.0, "baseline.neighbour_words": 500}, (
        "first the config as it is"
    )
    assert found.start == found.trials[0]["score"]
    complete = [trial for trial in found.trials if trial["state"] == "complete"]
    assert found.best == max(trial["score"] for trial in complete)
    assert load_config(found.path) == found.config
    assert found.config.baseline is not None
    assert found.values["baseline.C"] == found.config.baseline.C
    assert json.loads((tmp_path / "tune/trials.json").read_text())["trials"] == found.trials


def test_a_search_goes_on_where_it_stopped(search: Search, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = search(3)
    trained: list[str] = []
    monkeypatch.setattr("train.training.crossval.label_unseen", lambda *a: trained.append("fold") or guessed(*a))
    assert search(3).trials == whole.trials
    assert not trained
    more = search(4)
    assert more.trials[:3] == whole.trials
    assert 1 <= len(trained) <= 2
    assert more.trials[3]["values"] != more.trials[2]["values"], "a sampler that starts anew draws the same again"


def test_a_trial_that_was_killed_is_asked_again_and_keeps_its_folds(
    search: Search, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = 0

    def killed(*arguments: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == 4:
            raise Interrupted(signal.SIGINT)
        return guessed(*arguments)

    monkeypatch.setattr("train.training.crossval.label_unseen", killed)
    with pytest.raises(Interrupted):
        search(3)
    found = search(3)
    assert len(found.trials) == 3
    assert all(trial["state"] in ("complete", "pruned") for trial in found.trials)
    assert calls <= 4 + 1 + 2, "the second trial's first fold was kept"


def test_a_killed_search_ends_with_as_many_trials_and_the_config_as_it_is(
    search: Search, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = 0

    def killed(*arguments: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls in (1, 9):
            raise Interrupted(signal.SIGTERM)
        return guessed(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr("train.training.crossval.label_unseen", killed)
        for _ in range(2):
            with pytest.raises(Interrupted):
                search(8, sampler="random")
    resumed = search(8, sampler="random")
    assert len(resumed.trials) == 8
    assert {trial["state"] for trial in resumed.trials} == {"complete"}
    assert resumed.start is not None, "the first trial was killed, and asked again"


@pytest.mark.slow
def test_workers_try_as_many_trials_as_one_process(search: Search, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are processes of their own, which train."""
    monkeypatch.setattr("train.training.crossval.label_unseen", label_unseen)
    crowd = search(8, sampler="random", output="crowd", workers=3)
    assert 8 <= len({trial["number"] for trial in crowd.trials}) <= 10, "workers may begin the last one together"
    values = [str(trial["values"]) for trial in crowd.trials]
    assert len(set(values)) == len(values), "no two draw the same"
    assert crowd.start is not None


def test_a_trial_is_scored_on_the_pages_of_all_its_folds(
    search: Search, corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = load_config(BASE, [f"corpus.path={corpus}"])
    split = split_corpus(config, read_corpus(config, tmp_path)[0])
    known = sorted(fact.page_id for part in ("train", "validation") for fact in split.parts[part])
    scored: list[tuple[list[str], float]] = []

    def spy(pages: list[Page], records: list[Any], config: Any) -> Any:
        assert [page.page_id for page in pages] == [record["page_id"] for record in records]
        report = score(pages, records, config)
        scored.append((sorted(page.page_id for page in pages), report.values["role/macro_f1"]))
        return report

    monkeypatch.setattr("train.studies.search.tune.score", spy)
    found = search(1)
    (first, _), (last, value) = scored
    assert last == known, "every page but those of the test part, once"
    assert set(first) < set(last)
    assert found.trials[0]["score"] == value


def test_no_trial_opens_the_test_part(
    search: Search, corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = load_config(BASE, [f"corpus.path={corpus}"])
    unseen = {fact.page_id for fact in split_corpus(config, read_corpus(config, tmp_path)[0]).parts["test"]}
    assert unseen
    seen: set[str] = set()

    def spy(config: Any, parts: dict[str, list[Page]], texts: Any, work: Path) -> Any:
        assert {page.page_id for page in parts["held_out"]} == unseen, (
            "what joins the training pages must know what to stay apart from"
        )
        seen.update(page.page_id for part, pages in parts.items() if part != "held_out" for page in pages)
        return guessed(config, parts, texts, work)

    monkeypatch.setattr("train.training.crossval.label_unseen", spy)
    before = search(2)
    assert seen
    assert not seen & unseen

    # Other labels on the test pages change no score of any trial. The split is saved: it looks at labels to balance
    # roles.
    pages = list(read_pages(corpus))
    split = tmp_path / "split.json"
    split.write_text(json.dumps(split_corpus(config, {"path": pages}).to_json()))
    spoilt = [
        page.with_segments(tuple(replace(s, role="boilerplate", story=None, topic=None) for s in page.segments))
        if page.page_id in unseen
        else page
        for page in pages
    ]
    write_pages(tmp_path / "spoilt.jsonl", spoilt)
    after = search(2, f"corpus.path={tmp_path / 'spoilt.jsonl'}", f"corpus.split_path={split}")
    assert [t["score"] for t in after.trials] == [t["score"] for t in before.trials]


def test_impossible_settings_fail_and_the_search_goes_on(search: Search, tmp_path: Path) -> None:
    (tmp_path / "space.yaml").write_text("baseline.char_ngrams: {choices: [[2, 4], [4, 2]]}\n")
    with pytest.raises(InputError, match="char_ngrams"):
        search(1, "baseline.char_ngrams=[5, 3]")
    found = search(4)
    assert {trial["state"] for trial in found.trials} == {"complete", "failed"}
    assert found.values == {"baseline.char_ngrams": [2, 4]}
    assert yaml.safe_load(found.path.read_text())["baseline"]["char_ngrams"] == [2, 4]


def test_every_trial_is_a_nested_run(search: Search, store: Path) -> None:
    import mlflow

    search(2, "tracking.enabled=true")
    search(3, "tracking.enabled=true")
    runs = mlflow.MlflowClient(f"sqlite:///{store}").search_runs(
        [mlflow.get_experiment_by_name("newsparts").experiment_id]
    )
    parents = [run for run in runs if "mlflow.parentRunId" not in run.data.tags]
    children = [run for run in runs if "mlflow.parentRunId" in run.data.tags]
    assert len(parents) == 1, "a search that goes on is the same run"
    assert len(children) == 3
    assert {run.data.tags["mlflow.parentRunId"] for run in children} == {parents[0].info.run_id}
    assert {run.info.status for run in runs} == {"FINISHED"}
    assert parents[0].data.metrics["tune/best/role/macro_f1"] == max(
        run.data.metrics["tune/role/macro_f1"] for run in children
    )


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("", "instead of ranges"),
        ("baseline.min_df: 3", "baseline.min_df is 3"),
        ("baseline.min_df: {low: 5, high: 1}", "low"),
        ("baseline.min_df: {low: 0, high: 1, log: true}", "low above 0"),
        ("baseline.min_df: {choices: []}", "choices"),
        ("a: [", "not YAML"),
    ],
)
def test_a_bad_space_is_refused(text: str, what: str, tmp_path: Path) -> None:
    path = tmp_path / "space.yaml"
    path.write_text(text)
    with pytest.raises(InputError, match=what):
        read_space(path)


def test_unknown_keys_and_metrics_are_named(search: Search, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="expected: one of role/macro_f1"):
        search(1, metric="accuracy")
    (tmp_path / "space.yaml").write_text("baseline.neighbor_words: {low: 1, high: 5}\n")
    with pytest.raises(InputError, match=r"did you mean 'baseline\.neighbour_words'"):
        search(1)


@pytest.mark.parametrize("name", ["baseline", "encoder"])
def test_the_shipped_spaces_fit_their_configs(name: str) -> None:
    for one in read_space(ROOT / f"configs/tune/{name}.yaml"):
        for value in one.choices or (one.low, one.high):
            load_config(ROOT / f"configs/pages-{name}.yaml", [f"{one.key}={value}"])


def test_mlflows_own_database_is_refused_for_studies(store: Path) -> None:
    before = store.read_bytes()
    with pytest.raises(InputError, match="that database is MLflow's") as caught:
        open_study(f"sqlite:///{store}", "x", seed=1, sampler="tpe")
    assert caught.value.rule == "no-storage"
    assert store.read_bytes() == before


def test_a_key_of_an_older_version_is_searched_under_its_name_of_now(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "space.yaml").write_text("baseline.regularisation: {low: 0.1, high: 1.0}\n")
    assert [one.key for one in read_space(tmp_path / "space.yaml")] == ["baseline.C"]
    assert "baseline.regularisation is called baseline.C now" in " ".join(capsys.readouterr().err.split())
