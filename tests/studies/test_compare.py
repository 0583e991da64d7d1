from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.helpers.commands import train
from tests.helpers.configs import ConfigMaker
from train.compare import compare_runs
from train.corpus.read import read_pages, write_pages
from train.errors import InputError
from train.recipe import fit

ALONE = ["baseline.neighbours_before=0", "baseline.neighbours_after=0", "baseline.numbers=false", "baseline.second_reading=0"]


@pytest.fixture
def runs(make_config: ConfigMaker, tmp_path: Path) -> list[Path]:
    """A model, and one that reads the segment alone."""
    made = [replace(make_config("demo-baseline", *changes), output=str(tmp_path / f"run-{i}")) for i, changes in enumerate(([], ALONE))]
    return [fit(config).output for config in made]


def test_runs_are_compared_on_the_same_pages(runs: list[Path], tmp_path: Path) -> None:
    found = compare_runs(runs, samples=200)
    assert found.names == ["run-0", "run-1"]
    for outcome, scores in zip(found.outcomes, found.scores, strict=True):
        assert scores.values["role/macro_f1"] == pytest.approx(outcome.metrics["test/role/macro_f1"])
    (gained,) = found.gains
    ours, theirs = (scores.values["role/macro_f1"] for scores in found.scores)
    assert gained.values["role/macro_f1"] == pytest.approx(theirs - ours)
    low, high = gained.intervals["role/macro_f1"]
    assert low <= gained.values["role/macro_f1"] <= high
    counts = [len(changes) for changes in found.changes.values()]
    assert counts == sorted(counts, reverse=True)
    assert counts[0] > 0
    assert all(len(set(change.roles)) == 2 for changes in found.changes.values() for change in changes)

    done = train("compare", *map(str, runs), "--html", str(tmp_path / "compare.html"))
    assert done.returncode == 0, done.stderr
    assert "less run-0" in done.stdout
    page = (tmp_path / "compare.html").read_text()
    assert next(iter(found.changes)) in page
    assert "<script" not in page


def test_text_of_pages_stays_text(make_config: ConfigMaker, corpus: Path, tmp_path: Path) -> None:
    hostile = "<script>alert(1)</script> [b]not bold[/b] "
    pages = [page.with_segments(tuple(replace(s, text=hostile + s.text) for s in page.segments)) for page in read_pages(corpus)]
    write_pages(tmp_path / "hostile.jsonl", pages)
    overrides = [f"corpus.path={tmp_path / 'hostile.jsonl'}"]
    folders = [
        fit(replace(make_config("demo-baseline", *overrides, *more), output=str(tmp_path / f"[b]{i}"))).output
        for i, more in enumerate(([], ALONE))
    ]
    done = train("compare", *map(str, folders), "--html", str(tmp_path / "compare.html"))
    assert done.returncode == 0, done.stderr
    assert "<script" not in (tmp_path / "compare.html").read_text()


def test_runs_of_other_pages_are_not_compared(runs: list[Path], make_config: ConfigMaker, tmp_path: Path) -> None:
    other = fit(replace(make_config("demo-baseline", "corpus.split_seed=5"), output=str(tmp_path / "other"))).output
    with pytest.raises(InputError, match="corpus/split"):
        compare_runs([runs[0], other])
    with pytest.raises(InputError, match="1 run"):
        compare_runs(runs[:1])
