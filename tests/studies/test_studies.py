"""Ablations, transfer between corpora and learning curves on toy pages: what is learnt from what, and what is kept."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.answers import guessed
from tests.helpers.configs import shrunk
from tests.helpers.pages import make_page
from tests.helpers.paths import ROOT
from train.common.errors import InputError
from train.config.schema import Config, load_config
from train.corpus.page import Page, Segment
from train.corpus.read import write_pages
from train.evaluation.metrics import Evaluation, evaluate, paired_difference
from train.evaluation.trivial_baselines import rule_records
from train.reports.figures import growth, reliability
from train.studies.ablation import ablate, read_plan
from train.studies.cross_corpus import _apart, transfer
from train.studies.learning_curve import PowerLaw, curve, power_law
from train.studies.study import Result, Row

FEW = (
    "baseline.max_iterations=5",
    "baseline.max_words=500",
    "baseline.max_chars=500",
    "evaluation.bootstrap_samples=50",
    "tracking.enabled=false",
)


@pytest.fixture
def make_config(corpus: Path, tmp_path: Path) -> Callable[..., Config]:
    """`make_config("pages-baseline", "seed=1")`: as everywhere, without a backbone, which no baseline reads."""
    return lambda name, *overrides: shrunk(name, corpus, corpus, tmp_path, *overrides)


@pytest.fixture
def spy(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, set[str]]]:
    """What each model saw: part -> sites. It guesses, and none is trained."""
    seen: list[dict[str, set[str]]] = []

    def label(config: Config, parts: dict[str, list[Page]], texts: Any, work: Path) -> Any:
        seen.append({part: {page.site for page in pages} for part, pages in parts.items()})
        return guessed(config, parts, texts, work)

    monkeypatch.setattr("train.training.crossval.label_unseen", label)
    monkeypatch.setattr("train.studies.cross_corpus.label_unseen", label)
    return seen


PLAN = (
    f"base: {ROOT}/configs/pages-baseline.yaml\nrows:\n  whole: []\n"
    "  segment alone: [baseline.stacking_neighbours=0, baseline.neighbours_before=0, baseline.neighbours_after=0, "
    "baseline.numbers=false,"
    " 'decoding.weights=[0.0]']\n"
)


@pytest.mark.slow
def test_an_ablation_shows_what_the_place_of_a_segment_is_worth(corpus: Path, tmp_path: Path) -> None:
    (tmp_path / "plan.yaml").write_text(PLAN)
    whole, alone, majority, _ = ablate(
        tmp_path / "plan.yaml", [f"corpus.path={corpus}", *FEW], tmp_path / "out", count=2
    )
    assert alone.difference is not None
    low, high = alone.difference.intervals["role/macro_f1"]
    assert low <= alone.difference.values["role/macro_f1"] <= high < 0, (
        "on these pages only the place tells related bodies from the story"
    )
    assert (
        majority.scores.values["role/macro_f1"]
        < alone.scores.values["role/macro_f1"]
        < whole.scores.values["role/macro_f1"]
    )


def test_an_ablation_compares_every_row_with_the_first_and_keeps_what_is_done(
    corpus: Path, tmp_path: Path, spy: list[dict[str, set[str]]], pages: list[Page]
) -> None:
    plan = tmp_path / "plan.yaml"
    plan.write_text(PLAN)
    rows = ablate(plan, [f"corpus.path={corpus}", *FEW], tmp_path / "out", count=2)
    assert [one.row.name for one in rows] == ["whole", "segment alone", "majority role", "hand rule"]
    assert len(spy) == 4
    assert all(not sites["train"] & sites["test"] for sites in spy)
    assert rows[0].difference is None
    alone = rows[1]
    assert alone.difference is not None
    assert alone.difference.values["role/macro_f1"] == pytest.approx(
        alone.scores.values["role/macro_f1"] - rows[0].scores.values["role/macro_f1"]
    )
    assert rows[2].scores.values["role/macro_f1"] < alone.scores.values["role/macro_f1"]

    again = ablate(plan, [f"corpus.path={corpus}", *FEW], tmp_path / "out", count=2)
    assert len(spy) == 4, "rows that are done are not done again"
    assert [row.scores for row in again] == [row.scores for row in rows]
    table = (tmp_path / "out/table.md").read_text()
    assert "| segment alone |" in table
    assert f"{len(pages)} pages of 12 sites" in table
    assert 'FOLDS="2"`' in table, "the command makes this table again"
    ablate(plan, [f"corpus.path={corpus}", *FEW], tmp_path / "out", count=3)
    assert len(spy) == 4 + 6, "other folds are other rows"
    with pytest.raises(InputError, match="no row 'x'"):
        ablate(plan, [], tmp_path / "out", only="x")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "base: a.yaml",
        "base: a.yaml\nrows: {a: b}",
        "base: a.yaml\nrows: {a: [b]}",
        "base: a\nrows: {hand rule: []}",
    ],
)
def test_a_bad_plan_is_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "plan.yaml").write_text(text)
    with pytest.raises(InputError) as caught:
        read_plan(tmp_path / "plan.yaml")
    assert caught.value.rule == "bad-plan"


@pytest.mark.parametrize("path", sorted((ROOT / "configs/ablations").glob("*.yaml")), ids=lambda path: path.stem)
def test_the_shipped_ablations_change_what_they_say(path: Path) -> None:
    base, rows = read_plan(path)
    configs = [load_config(base, own) for own in rows.values()]
    assert len({config.to_yaml() for config in configs}) == len(configs)


def test_transfer_learns_nothing_of_sites_and_stories_it_is_tested_on(
    make_config: Callable[..., Config], tmp_path: Path, spy: list[dict[str, set[str]]]
) -> None:
    ours = [make_page(f"site{c}", n) for c in "abcdef" for n in range(4)]
    theirs = [make_page(f"site{c}", n) for c in "fghijklm" for n in range(4)]
    # A site of its own that shows a story of ours.
    copy = ours[0].with_segments(ours[0].segments)
    theirs.append(replace(copy, page_id="copy", site="copycat.example"))
    paths = {}
    for name, pages in (("ours", ours), ("theirs", theirs)):
        paths[name] = str(tmp_path / f"{name}.jsonl")
        write_pages(Path(paths[name]), pages)
    config = make_config("pages-baseline", *FEW)
    cells = transfer(config, "pages-baseline", paths, tmp_path / "out", count=2)
    assert [tuple(c.row.details.values()) for c in cells] == [
        (a, b) for a in ("ours", "theirs", "all") for b in ("ours", "theirs")
    ]
    assert len(spy) == 2 + 1 + 1 + 2 + 2 + 2
    for sites in spy:
        assert not (sites["train"] | sites["validation"]) & sites["test"]
        assert not sites["train"] & sites["validation"], "what decides is not learnt from"
    from_theirs = next(
        s
        for s in spy
        if "sitea.example" in s["test"] and "siteg.example" in s["train"] and "siteb.example" in s["test"]
    )
    assert "copycat.example" not in from_theirs["train"] | from_theirs["validation"]
    assert "sitef.example" not in from_theirs["train"] | from_theirs["validation"]
    assert {c.row.details["tested on"]: c.scores.n_pages for c in cells} == {"ours": len(ours), "theirs": len(theirs)}

    before = len(spy)
    assert [c.scores for c in transfer(config, "pages-baseline", paths, tmp_path / "out", count=2)] == [
        c.scores for c in cells
    ]
    assert len(spy) == before
    with pytest.raises(InputError, match="two or more"):
        transfer(config, "pages-baseline", {"ours": paths["ours"]}, tmp_path / "out")


@pytest.mark.parametrize(
    ("site", "words", "kept"),
    [
        ("other.example", "of another story", True),
        ("tested.example", "of another story", False),
        ("www.tested.example", "of another story", False),
        ("other.example", "of the tested story", False),
    ],
    ids=["another site and story", "the tested site", "the same by its address", "the tested story"],
)
def test_pages_of_a_tested_site_or_story_are_not_learnt_from(site: str, words: str, kept: bool) -> None:
    def page(name: str, site: str, words: str) -> Page:
        text = " ".join(f"Sentence {i} {words} goes on for a good while until it ends, as all do." for i in range(12))
        return Page(name, site, (Segment(text, "main", 0),), "en", None, f"https://{site}/{name}")

    given = [page("a", site, words), page("b", "third.example", "of a third story")]
    found = _apart(given, [page("t", "tested.example", "of the tested story")])
    assert [one.page_id for one in found] == (["a", "b"] if kept else ["b"])


def test_what_a_killed_pair_left_is_not_taken_for_anothers(
    make_config: Callable[..., Config], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = {}
    for name, sites in (("ours", "abcdef"), ("theirs", "ghijkl")):
        paths[name] = str(tmp_path / f"{name}.jsonl")
        write_pages(Path(paths[name]), [make_page(f"site{c}", n) for c in sites for n in range(4)])
    found: list[bool] = []

    def killed(config: Config, parts: Any, texts: Any, work: Path) -> Any:
        found.append((work / "member-0.safetensors").exists())
        work.mkdir(exist_ok=True)
        (work / "member-0.safetensors").write_text("half a model")
        raise KeyboardInterrupt

    monkeypatch.setattr("train.studies.cross_corpus.label_unseen", killed)
    for seed in (1, 1, 2):
        config = make_config("pages-baseline", *FEW, f"seed={seed}")
        with pytest.raises(KeyboardInterrupt):
            transfer(config, "pages-baseline", paths, tmp_path / "out", count=2)
    assert found == [False, True, False], "gone on from, unless the config is another one"


@pytest.mark.usefixtures("spy")
def test_a_row_killed_between_records_and_state_is_done_again(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = tmp_path / "plan.yaml"
    plan.write_text(f"base: {ROOT}/configs/pages-baseline.yaml\nrows:\n  whole: []\n")
    first = ablate(plan, [f"corpus.path={corpus}", *FEW], tmp_path / "out", count=2)
    kept = (tmp_path / "out/whole/records.jsonl.gz").read_bytes()

    def killed(config: Config, *arguments: Any, work: Path, **more: Any) -> Any:
        (work.parent / "records.jsonl.gz").write_bytes(b"another config's")
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("train.studies.study.out_of_fold", killed)
        with pytest.raises(KeyboardInterrupt):
            ablate(plan, [f"corpus.path={corpus}", *FEW, "seed=2"], tmp_path / "out", count=2)
    again = ablate(plan, [f"corpus.path={corpus}", *FEW], tmp_path / "out", count=2)
    assert again[0].scores == first[0].scores
    assert len((tmp_path / "out/whole/records.jsonl.gz").read_bytes()) == len(kept)


def test_a_curve_adds_sites_to_the_same_unseen_pages(
    make_config: Callable[..., Config], tmp_path: Path, spy: list[dict[str, set[str]]], pages: list[Page]
) -> None:
    config = make_config("pages-baseline", *FEW)
    points = curve(config, "pages-baseline", tmp_path / "curve", sizes=(0, 1, 2), count=2)
    sites = [float(point.row.details["sites"]) for point in points]
    assert sites[:2] == [1, 2]
    assert sites[2] > 2
    assert [point.difference is None for point in points] == [True, False, False], "less the size before"
    assert {point.scores.n_pages for point in points} == {len(pages)}
    for fold in range(2):
        one, two, every = spy[fold], spy[2 + fold], spy[4 + fold]
        assert one["test"] == two["test"] == every["test"]
        assert one["validation"] == every["validation"]
        assert one["train"] < two["train"] < every["train"]
    before = len(spy)
    again = curve(config, "pages-baseline", tmp_path / "curve", sizes=(0, 1, 2), count=2)
    assert [(p.row.details, p.scores) for p in again] == [(p.row.details, p.scores) for p in points]
    assert len(spy) == before
    saved = json.loads((tmp_path / "curve/curve.json").read_text())
    assert [row["sites"] for row in saved["rows"]] == sites
    assert "<svg" in (tmp_path / "curve/curve.html").read_text()
    with pytest.raises(InputError, match="sizes"):
        curve(config, "x", tmp_path / "curve", sizes=(3, 3))


def test_a_power_law_is_found_again() -> None:
    row = Row("x", load_config(ROOT / "configs/pages-baseline.yaml"), [], lambda folder: [])

    def point(sites: int) -> Result:
        scores = Evaluation({"text/f1": 1 - 0.8 * sites**-0.4}, {}, 1, 1, 0.95)
        return Result(replace(row, details={"sites": sites}), scores, None, 0.0)

    law = power_law([point(n) for n in (10, 20, 40, 80)], "text/f1")
    assert law is not None
    assert law.exponent == pytest.approx(0.4)
    assert law.sites_for(1 - 0.8 * 500**-0.4) == pytest.approx(500)
    assert PowerLaw(0.2, 0.0).sites_for(0.9) == float("inf")
    assert power_law([point(10), point(20)], "text/f1") is None


def test_gain_is_paired_by_site(pages: list[Page]) -> None:
    """Where both models err alike, their difference is sure though each score is not."""
    right = [
        {"page_id": p.page_id, "segments": [{"role": s.role, "story": s.story} for s in p.segments], "stories": []}
        for p in pages
    ]
    hard = sorted({p.site for p in pages})[::2]
    spoilt = [
        {**record, "segments": [{"role": "boilerplate", "story": None}] * len(p.segments)} if p.site in hard else record
        for p, record in zip(pages, right, strict=True)
    ]
    one_worse = [
        {
            **record,
            "segments": [
                {"role": "boilerplate", "story": None},
                *record["segments"][1:-2],
                *[{"role": "main", "story": 0}] * 2,
            ],
        }
        for record in spoilt
    ]
    difference = paired_difference(pages, spoilt, one_worse, bootstrap_samples=200)
    apart = evaluate(pages, spoilt, bootstrap_samples=200)
    width = {name: high - low for name, (low, high) in difference.intervals.items()}
    low, high = apart.intervals["role/macro_f1"]
    assert width["role/macro_f1"] < (high - low) / 2
    assert difference.intervals["role/macro_f1"][0] > 0
    assert all(value == 0 for value in paired_difference(pages, spoilt, spoilt, bootstrap_samples=20).values.values())


def test_the_hand_rule_reads_an_obvious_page() -> None:
    long = (
        "Officials said the new bridge would open to traffic in the spring, after two years of work on its "
        "foundations and towers."
    )
    rows = [
        ("Home", "boilerplate"),
        ("Bridge to open in the spring", "main"),
        (long, "main"),
        ("Share", "boilerplate"),
        (long, "main"),
        ("Related articles", "boilerplate"),
        ("Tunnel closed for repairs until next week", "related"),
        ("About us", "boilerplate"),
    ]
    page = Page("p", "s.example", tuple(Segment(text, role) for text, role in rows))
    record = rule_records([page])[0]
    assert [s["role"] for s in record["segments"]] == [role for _, role in rows]
    assert [s["story"] for s in record["segments"]] == [None, 0, 0, None, 0, None, 1, None]
    assert (
        rule_records([Page("q", "s.example", (Segment("Home", "boilerplate"),))])[0]["segments"][0]["role"]
        == "boilerplate"
    )


def test_figures_say_in_words_what_they_show() -> None:
    text = growth(
        [10, 20], {"text F1": [(0.7, 0.9, 0.8), (0.8, 0.95, 0.9)]}, "Scores & sites", along="sites", up="score"
    ).svg
    assert 'aria-label="Scores &amp; sites: text F1 from 0.800 to 0.900"' in text
    assert "<svg" in reliability({"before": [(0.5, 0.4, 10)], "after": [(0.45, 0.4, 10)]}, "Roles").svg
