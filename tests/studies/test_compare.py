from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.helpers.commands import train
from tests.helpers.configs import shrunk
from tests.helpers.toys import QUICK
from train.corpus.page import Page
from train.corpus.read import write_pages
from train.studies.comparison import compare_runs
from train.training.recipe import fit

ALONE = (
    "baseline.neighbours_before=0",
    "baseline.neighbours_after=0",
    "baseline.numbers=false",
    "baseline.max_iterations=1",
    "decoding.weights=[0.0]",
)


@pytest.fixture(scope="module")
def runs(pages: list[Page], tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """A model, and one that reads the segment alone, of pages and in folders whose names and texts would be markup."""
    folder = tmp_path_factory.mktemp("compared")
    hostile = "<script>alert(1)</script> [b]not bold[/b] "
    corpus = folder / "pages.jsonl"
    write_pages(
        corpus, [page.with_segments(tuple(replace(s, text=hostile + s.text) for s in page.segments)) for page in pages]
    )
    made = [shrunk("demo-baseline", corpus, corpus, folder, *QUICK, *changes) for changes in ((), ALONE)]
    return [fit(replace(config, output=str(folder / f"[b]run-{i}"))).output for i, config in enumerate(made)]


def test_runs_are_compared_on_the_same_pages_and_their_texts_stay_texts(runs: list[Path], tmp_path: Path) -> None:
    found = compare_runs(runs, samples=200)
    assert found.names == ["[b]run-0", "[b]run-1"]
    for metrics, scores in zip(found.metrics, found.scores, strict=True):
        assert scores.values["role/macro_f1"] == pytest.approx(metrics["test/role/macro_f1"])
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
    assert "less [b]run-0" in done.stdout
    page = (tmp_path / "compare.html").read_text()
    assert next(iter(found.changes)) in page
    assert "<script" not in page
