"""What studies and comparisons call an interval over sites is one: a site counts once, however many pages it has."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from markupsafe import Markup

from tests.helpers.configs import shrunk
from tests.helpers.paths import ROOT
from tests.helpers.two_sites import LARGE, SMALL, SURE, read_as, two_sites
from train.common.errors import InputError
from train.config.schema import Config
from train.corpus.page import Page
from train.corpus.read import write_pages
from train.evaluation.metrics import Evaluation
from train.reports.comparison import Change
from train.reports.figures import Drawing
from train.studies import ablation as ablate
from train.studies import comparison as compare
from train.studies import cross_corpus as transfer
from train.studies import leakage_effect as leaks
from train.studies import learning_curve as curve
from train.studies import study
from train.studies.comparison import compare_runs
from train.training.outcome import Outcome

MACRO = "role/macro_f1"


@pytest.fixture
def pages() -> list[Page]:
    return two_sites()


@pytest.fixture
def config(pages: list[Page], tmp_path: Path) -> Config:
    corpus = tmp_path / "two.jsonl"
    write_pages(corpus, pages)
    return shrunk(
        "demo-baseline", corpus, corpus, tmp_path, f"evaluation.confidence={SURE}", "evaluation.bootstrap_samples=400"
    )


def _require_over_sites(scores: Evaluation, *, of_small: float, of_large: float) -> None:
    """Right on one site, wrong on the other: the interval ends at the score of each alone."""
    low, high = sorted((of_small, of_large))
    assert scores.intervals[MACRO] == pytest.approx((low, high))
    assert low < scores.values[MACRO] < high or low == high == scores.values[MACRO]
    assert (scores.n_pages, scores.n_sites, scores.confidence) == (10, 2, SURE)


def _outcome(folder: Path, **changes: str) -> Outcome:
    told: dict[str, Any] = {"corpus_sha256": "c", "split_sha256": "s", **changes}
    return Outcome(folder, {}, None, None, "v", **told)


@pytest.fixture
def runs(pages: list[Page], monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Folders of runs that nobody trained: the first right on the large site, the second on the small one, the third on
    both."""
    right = {"large": LARGE, "small": SMALL, "both": ""}
    monkeypatch.setattr(compare, "read_outcome", _outcome)

    def part(folder: Path, name: str, corpus: str | None, *, sha256: str) -> list[Page]:
        """Of the first run, its test pages, of the corpus they were trained with."""
        return pages if (name, corpus, sha256) == ("test", None, "c") and folder.name != "small" else []

    monkeypatch.setattr(compare, "part_of_run", part)
    monkeypatch.setattr(compare, "load_labeler", lambda folder: SimpleNamespace(name=Path(folder).name, version="v"))
    monkeypatch.setattr(
        compare, "label_pages", lambda labeler, given, what: read_as(given, right_on=right[labeler.name])
    )
    return [Path("x/large"), Path("x/small"), Path("x/both")]


def test_runs_are_compared_over_sites_each_with_the_first(runs: list[Path], pages: list[Page]) -> None:
    found = compare_runs(runs, samples=400)
    assert (found.names, found.n_pages, found.n_sites) == (["large", "small", "both"], 10, 2)
    large, small, both = found.scores
    for scores, ends in ((large, (0.0, 1.0)), (small, (0.0, 1.0)), (both, (1.0, 1.0))):
        assert scores.intervals[MACRO] == pytest.approx(ends)
    assert large.values[MACRO] > 0.5 > small.values[MACRO]
    less_small, less_both = found.gains
    assert less_small.values[MACRO] == pytest.approx(small.values[MACRO] - large.values[MACRO])
    assert less_small.intervals[MACRO] == pytest.approx((-1.0, 1.0))
    assert less_both.values[MACRO] == pytest.approx(1 - large.values[MACRO])
    assert less_both.intervals[MACRO] == pytest.approx((0.0, 1.0))
    assert {page: len(changes) for page, changes in found.changes.items()} == {
        page.page_id: len(page.segments) for page in pages
    }
    first = pages[0].segments[0]
    assert found.changes[pages[0].page_id][0] == Change(
        first.text, str(first.role), ("main", "boilerplate", "boilerplate")
    )
    assert compare_runs(runs[:1] * 2, samples=10).changes == {}


def test_the_page_with_most_changes_comes_first(
    runs: list[Path], pages: list[Page], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Alike everywhere but on so many segments of each page."""
    changed = {page.page_id: n % 4 for n, page in enumerate(pages)}

    def label(labeler: Any, given: list[Page], what: str) -> list[dict[str, Any]]:
        records = read_as(given, right_on="")
        for record in records if labeler.name == "small" else ():
            for segment in record["segments"][: changed[record["page_id"]]]:
                segment["role"] = "related"
        return records

    monkeypatch.setattr(compare, "label_pages", label)
    found = compare_runs(runs[:2], samples=10)
    assert {page: len(changes) for page, changes in found.changes.items()} == {
        page: n for page, n in changed.items() if n
    }
    assert [len(changes) for changes in found.changes.values()] == [3, 3, 2, 2, 1, 1, 1]


def test_runs_that_are_called_alike_are_told_apart_by_their_folders(runs: list[Path]) -> None:
    assert compare_runs([Path("a/large"), Path("b/large"), Path("c/small")], samples=5).names == [
        "a/large",
        "b/large",
        "small",
    ]


@pytest.mark.parametrize("changes", [{"corpus_sha256": "d"}, {"split_sha256": "t"}])
def test_runs_of_another_corpus_or_split_are_refused(
    runs: list[Path], monkeypatch: pytest.MonkeyPatch, changes: dict[str, str]
) -> None:
    monkeypatch.setattr(
        compare, "read_outcome", lambda folder: _outcome(folder, **(changes if folder.name == "both" else {}))
    )
    assert compare_runs(runs[:2], samples=5)
    with pytest.raises(InputError) as caught:
        compare_runs(runs, samples=5)
    assert caught.value.rule == "other-pages"
    with pytest.raises(InputError, match="1 run"):
        compare_runs(runs[:1])


def test_points_of_a_curve_have_intervals_over_sites(
    config: Config, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    asked: list[str] = []

    def label(
        config: Config, pages: list[Page], corpus_sha256: str, *, count: int, work: Path, selection: Any
    ) -> list[dict[str, Any]]:
        asked.append(work.parent.name)
        return read_as(pages, right_on={"sites-1": SMALL, "sites-2": LARGE}.get(work.parent.name, ""))

    fold = SimpleNamespace(select=lambda pages: dict.fromkeys(("train", "validation", "test"), pages))
    monkeypatch.setattr(curve, "fold_splits", lambda _, pages, count: [fold])
    monkeypatch.setattr(study, "out_of_fold", label)
    monkeypatch.setattr(curve, "_picture", lambda points: Drawing("", "", Markup("")))
    one, two, every = curve.curve(config, "x", tmp_path / "curve", sizes=(0, 2, 1), count=2)
    assert asked == ["sites-1", "sites-2", "sites-all"]
    _require_over_sites(one.scores, of_small=1, of_large=0)
    _require_over_sites(two.scores, of_small=0, of_large=1)
    _require_over_sites(every.scores, of_small=1, of_large=1)
    assert [point.row.details["sites"] for point in (one, two, every)] == [1, 2, 2]
    assert [point.row.details["pages"] for point in (two, every)] == [10, 10]


def test_pairs_of_corpora_have_intervals_over_the_tested_ones_sites(
    config: Config, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    right = {("a", "b"): SMALL, ("b", "a"): LARGE}
    monkeypatch.setattr(
        transfer,
        "_pair",
        lambda config, pages, digests, trained, tested, *_: (
            lambda _: read_as(pages[tested], right_on=right.get((trained, tested), "")),
            f"{trained} {tested}",
        ),
    )
    path = str(config.corpus.path)
    cells = {
        tuple(cell.row.details.values()): cell.scores
        for cell in transfer.transfer(config, "x", {"a": path, "b": path}, tmp_path / "t")
    }
    assert list(cells) == [("a", "a"), ("a", "b"), ("b", "a"), ("b", "b"), ("all", "a"), ("all", "b")]
    for pair, scores in cells.items():
        _require_over_sites(scores, of_small=float(pair != ("b", "a")), of_large=float(pair != ("a", "b")))


def test_rows_of_an_ablation_are_less_the_first_over_sites(
    config: Config, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    right = {"whole": LARGE, "less": SMALL, "more": ""}
    plan = tmp_path / "plan.yaml"
    plan.write_text(f"base: {ROOT}/configs/demo-baseline.yaml\nrows: {{whole: [], less: [seed=1], more: [seed=2]}}\n")
    pages = two_sites()
    monkeypatch.setattr(study, "out_of_fold", lambda *_, work, **__: read_as(pages, right_on=right[work.parent.name]))
    monkeypatch.setattr(ablate, "_majority", lambda *_: read_as(pages, right_on="nobody"))
    monkeypatch.setattr(ablate, "rule_records", lambda _: read_as(pages, right_on=SMALL))
    given = [f"corpus.path={config.corpus.path}", f"evaluation.confidence={SURE}", "evaluation.bootstrap_samples=400"]
    rows = ablate.ablate(plan, given, tmp_path / "out", count=2)
    assert [one.row.name for one in rows] == ["whole", "less", "more", "majority role", "hand rule"]
    assert [one.minutes > 0 for one in rows] == [True, True, True, False, False]
    whole, *others = rows
    assert whole.difference is None
    _require_over_sites(whole.scores, of_small=0, of_large=1)
    for row, ends in zip(others, [(1, -1), (1, 0), (0, -1), (1, -1)], strict=True):
        assert row.difference is not None
        _require_over_sites(row.difference, of_small=ends[0], of_large=ends[1])
        assert row.difference.values[MACRO] == pytest.approx(row.scores.values[MACRO] - whole.scores.values[MACRO])
    alone = ablate.ablate(plan, given, tmp_path / "out", count=2, only="more")
    assert [one.row.name for one in alone] == ["whole", "more", "majority role", "hand rule"]
    assert alone[1].difference == rows[2].difference
    low, high = rows[2].difference.intervals[MACRO] if rows[2].difference else (0, 0)
    value = rows[2].difference.values[MACRO] if rows[2].difference else 0
    assert rows[2].change == f"{100 * value:+.1f} ({100 * low:+.1f} to {100 * high:+.1f})"


def _leaked(monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[Evaluation, Evaluation]]:
    monkeypatch.setattr(leaks, "load_labeler", lambda model: model)
    monkeypatch.setattr(leaks, "label_pages", lambda model, pages, what: read_as(pages, right_on=model))
    return leaks.scores


def test_scores_without_leaks_leave_out_the_leaked_segments_alone(
    config: Config, pages: list[Page], monkeypatch: pytest.MonkeyPatch
) -> None:
    scores = _leaked(monkeypatch)
    small = pages[0]
    whole, kept = scores(LARGE, pages, {}, config)
    assert whole == kept
    _require_over_sites(whole, of_small=0, of_large=1)
    whole, kept = scores(LARGE, pages, {small.page_id: range(len(small.segments))}, config)
    assert (whole.n_pages, kept.n_pages, kept.n_sites) == (10, 9, 1)
    assert whole.values[MACRO] < kept.values[MACRO] == 1
    story = [i for i, segment in enumerate(small.segments) if segment.role == "main"]
    _, kept = scores(SMALL, pages[:1], {small.page_id: story}, config)
    assert kept.values["role/f1/main"] == 1, "nothing to find, and nothing found"
    with pytest.raises(InputError, match="every test segment leaked"):
        scores(LARGE, pages, {page.page_id: range(len(page.segments)) for page in pages}, config)


def test_a_part_is_its_pages_of_all_corpora_and_can_be_read_again(pages: list[Page]) -> None:
    part = leaks.Part([pages[:3], pages[5:]], frozenset({pages[1].page_id, pages[4].page_id, pages[9].page_id}))
    assert [page.page_id for page in part] == [page.page_id for page in part] == [pages[1].page_id, pages[9].page_id]


def test_leaks_are_looked_for_across_the_parts_of_the_saved_split(
    config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Config] = []
    monkeypatch.setattr(leaks, "stream_corpus", lambda config: {"path": two_sites()})
    fact = SimpleNamespace(page_id="large-3")
    split = SimpleNamespace(parts={"train": [], "validation": [], "test": [fact]})
    monkeypatch.setattr(leaks, "split_corpus", lambda config, corpora: asked.append(config) or split)
    monkeypatch.setattr(
        leaks, "find_leaks", lambda parts: {part: [page.page_id for page in pages] for part, pages in parts.items()}
    )
    by_time = replace(config, corpus=replace(config.corpus, split_by="time"))
    report, found, parts = leaks.look(by_time, Path("run/split.json"))
    assert report == {"train": [], "validation": [], "test": ["large-3"]}
    assert found is split
    assert set(parts) == {"train", "validation", "test"}
    leaks.look(by_time, None)
    saved, own = asked
    assert (saved.corpus.split_path, saved.corpus.split_by, saved.corpus.folds) == ("run/split.json", "site", None)
    assert own == by_time
