from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.helpers.answers import answered
from tests.helpers.configs import ConfigMaker, shrunk
from tests.helpers.pages import make_page
from train.annotation.active_learning import Suggestion, _spread, suggest, write_suggestions
from train.annotation.label_errors import LabelError, label_errors, write_label_errors
from train.common.errors import InputError
from train.corpus.page import Page, Segment
from train.corpus.read import read_pages, write_pages
from train.corpus.sources import label_studio
from train.runtime import Labeler
from train.runtime.text import ROLES, word_count
from train.training.crossval import out_of_fold
from train.training.recipe import fit


def _with_flips(pages: list[Page], share: float) -> tuple[list[Page], set[tuple[str, int]]]:
    """Pages with some labels exchanged, and where."""
    rng, flipped, spoilt = random.Random(5), set(), []
    for page in pages:
        segments = list(page.segments)
        for i, s in enumerate(segments):
            if word_count(s.text) >= 3 and rng.random() < share:
                segments[i] = (
                    replace(s, role="boilerplate", story=None, topic=None)
                    if s.role != "boilerplate"
                    else replace(s, role="main", story=0)
                )
                flipped.add((page.page_id, i))
        spoilt.append(page.with_segments(tuple(segments)))
    return spoilt, flipped


@pytest.fixture(scope="module")
def spoilt(pages: list[Page]) -> tuple[list[Page], set[tuple[str, int]]]:
    return _with_flips(pages, 0.04)


def _sound() -> list[Page]:
    return [make_page(f"site{chr(97 + s)}", n) for s in range(12) for n in range(6)]


@pytest.fixture
def make_config(corpus: Path, tmp_path: Path) -> ConfigMaker:
    """As everywhere, but with a backbone that is not there: the baseline needs none."""
    return lambda name, *overrides: shrunk(name, corpus, tmp_path / "no-backbone", tmp_path, *overrides)


def test_labels_that_unseen_answers_contradict_are_named_the_surest_first(
    spoilt: tuple[list[Page], set[tuple[str, int]]],
) -> None:
    pages, flipped = spoilt
    truth = {page.page_id: page for page in _sound()}
    records = answered([truth[page.page_id] for page in pages], wrong=0.0)
    errors = label_errors(pages, records)
    found = {(e.page_id, e.segment) for e in errors}
    assert found <= flipped
    assert len(found) == len(errors) >= 0.7 * len(flipped)
    by_id = {page.page_id: page for page in pages}
    answers = {record["page_id"]: record["segments"] for record in records}
    qualities = []
    for e in errors:
        page, scores = by_id[e.page_id], answers[e.page_id][e.segment]["scores"]
        assert (e.site, e.text, e.given) == (page.site, page.texts[e.segment], page.segments[e.segment].role)
        assert e.suggested == truth[e.page_id].segments[e.segment].role
        assert e.confidence == pytest.approx(scores[e.suggested], abs=1e-6)
        assert e.quality == pytest.approx(scores[e.given], abs=1e-6)
        assert [*e.before, e.text, *e.after] == page.texts[max(0, e.segment - 2) : e.segment + 3]
        assert len(e.before) == min(2, e.segment)
        qualities.append(e.quality)
    assert qualities == sorted(qualities)


def test_short_segments_are_not_named_and_unnormalised_answers_are_read_as_shares() -> None:
    def segment(words: int, role: str) -> Segment:
        return Segment(" ".join(["word"] * words), role, 0 if role == "main" else None)

    page = Page(
        "p", "s", (*(segment(3, role) for role in ("main", "boilerplate") * 10), segment(2, "main"), segment(3, "main"))
    )
    records = [
        {
            "page_id": "p",
            "segments": [
                {
                    "scores": {"main": 8.0, "related": 0.0, "boilerplate": 2.0}
                    if s.role == "main" and i < 20
                    else {"main": 1.0, "related": 0.0, "boilerplate": 9.0}
                }
                for i, s in enumerate(page.segments)
            ],
        }
    ]
    [error] = label_errors([page], records)
    assert (error.segment, error.given, error.suggested, error.quality, error.confidence) == (
        21,
        "main",
        "boilerplate",
        0.1,
        0.9,
    )
    with pytest.raises(InputError) as caught:
        label_errors(
            [Page("p", "s", (segment(3, "main"), segment(2, "boilerplate")))],
            [{"segments": [records[0]["segments"][0]] * 2}],
        )
    assert caught.value.rule == "one-class"


def test_errors_are_ranked_by_the_share_of_the_given_role_not_by_how_far_another_is_ahead() -> None:
    sound = {role: {other: 0.4 if other == role else 0.3 for other in ROLES} for role in ROLES}
    rows = [(role, sound[role]) for role in ROLES * 10]
    rows += [
        ("main", {"main": 0.15, "related": 0.85, "boilerplate": 0.0}),
        ("main", {"main": 0.1, "related": 0.45, "boilerplate": 0.45 - 1e-9}),
    ]
    stories = {"main": 0, "related": 1}
    page = Page("p", "s", tuple(Segment("three words here", role, stories.get(role)) for role, _ in rows))
    errors = label_errors([page], [{"segments": [{"scores": scores} for _, scores in rows]}])
    assert [(e.segment, e.quality) for e in errors] == [(31, 0.1), (30, 0.15)]


def _error(page_id: str, segment: int) -> LabelError:
    return LabelError(page_id, "s.example", segment, "text", "main", "related", 0.25, 0.5, ("before",), ())


@pytest.mark.parametrize(
    ("most", "suspects"),
    [
        (1, {"b-1": "4: main, perhaps related"}),
        (3, {"b-1": "4: main, perhaps related; 2: main, perhaps related", "a-0": "7: main, perhaps related"}),
        (
            9,
            {
                "b-1": "4: main, perhaps related; 2: main, perhaps related",
                "a-0": "7: main, perhaps related",
                "a-2": "1: main, perhaps related",
            },
        ),
    ],
)
def test_tasks_are_the_pages_of_the_first_errors_and_all_errors_are_listed(
    most: int, suspects: dict[str, str], tmp_path: Path
) -> None:
    pages = [make_page("a", n) for n in range(3)] + [make_page("b", n) for n in range(3)]
    errors = [_error("b-1", 4), _error("a-0", 7), _error("b-1", 2), _error("a-2", 1)]
    listed, tasks, count = write_label_errors(tmp_path, pages, answered(pages), errors, most=most)
    assert [json.loads(line) for line in listed.read_text().splitlines()] == [
        json.loads(json.dumps(e.to_json())) for e in errors
    ]
    written = json.loads(tasks.read_text())
    assert count == len(suspects)
    assert {task["data"]["page_id"]: task["data"]["suspects"] for task in written} == suspects
    assert [task["data"]["page_id"] for task in written] == list(suspects), "the surest first"
    again = {page.page_id: page for page in pages}
    for task in written:
        assert [s["text"] for s in task["data"]["segments"]] == again[task["data"]["page_id"]].texts
    assert 'value="sport"' in (tmp_path / "interface.xml").read_text()


@pytest.mark.slow
def test_exchanged_labels_are_found(
    spoilt: tuple[list[Page], set[tuple[str, int]]], make_config: ConfigMaker, tmp_path: Path
) -> None:
    pages, flipped = spoilt
    assert len(flipped) > 15
    config = make_config("pages-baseline")
    records = out_of_fold(config, pages, "c", count=3, work=tmp_path / "folds")
    assert [r["page_id"] for r in records] == [p.page_id for p in pages]
    errors = label_errors(pages, records)
    first = [(e.page_id, e.segment) for e in errors[: len(flipped)]]
    assert sum(place in flipped for place in first) >= 0.8 * len(flipped)
    assert [e.quality for e in errors] == sorted(e.quality for e in errors)
    one = errors[0]
    assert one.text in pages[[p.page_id for p in pages].index(one.page_id)].texts
    assert one.given != one.suggested

    listed, tasks, count = write_label_errors(tmp_path / "out", pages, records, errors, most=5)
    assert len(listed.read_text().splitlines()) == len(errors)
    written = json.loads(tasks.read_text())
    assert len(written) == count <= 5
    assert written[0]["data"]["page_id"] == errors[0].page_id
    assert f"{errors[0].segment}: {errors[0].given}, perhaps {errors[0].suggested}" in written[0]["data"]["suspects"]
    again = {p.page_id: p for p in read_pages(f"label-studio:{tasks}")}
    for page in pages:
        if page.page_id in again:
            assert [s.role for s in again[page.page_id].segments] == [s.role for s in page.segments]


def test_folds_that_are_done_are_not_done_again(
    pages: list[Page], make_config: ConfigMaker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = make_config("pages-baseline")
    trained: list[str] = []
    tested: list[set[str]] = []

    def label(
        config: Any, parts: Mapping[str, Sequence[Page]], texts: Sequence[Page], work: Path
    ) -> list[dict[str, Any]]:
        trained.append(work.name)
        tested.append({page.page_id for page in parts["test"]})
        return [{"page_id": page.page_id, "made": len(trained)} for page in parts["test"]]

    monkeypatch.setattr("train.training.crossval.label_unseen", label)
    first = out_of_fold(config, pages, "c", count=2, work=tmp_path / "folds")
    assert trained == ["fold-0", "fold-1"]
    assert [record["page_id"] for record in first] == [page.page_id for page in pages]
    assert [{r["page_id"] for r in first if r["made"] == n} for n in (1, 2)] == tested
    (tmp_path / "folds" / "fold-1.jsonl.gz").unlink()
    again = out_of_fold(config, pages, "c", count=2, work=tmp_path / "folds")
    assert trained == ["fold-0", "fold-1", "fold-1"]
    assert again == [{**record, "made": {1: 1, 2: 3}[record["made"]]} for record in first]
    out_of_fold(config, pages, "another corpus", count=2, work=tmp_path / "folds")
    assert trained == ["fold-0", "fold-1", "fold-1", "fold-0", "fold-1"]


@pytest.fixture(scope="module")
def labeler(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Labeler:
    folder = tmp_path_factory.mktemp("quality")
    outcome = fit(shrunk("pages-baseline", corpus, folder / "no-backbone", folder, "baseline.stacking_neighbours=0"))
    return Labeler.load(outcome.output / "bundle")


class Told:
    """Stands in for a model: how sure it is of a segment, by the segment's first word."""

    topics = ("business", "sport")

    def __init__(self, gaps: Mapping[str, float]) -> None:
        self.gaps = gaps

    def label(self, pages: Iterable[tuple[str, Sequence[str]]]) -> Iterator[dict[str, Any]]:
        for page_id, texts in pages:
            segments = []
            for text in texts:
                gap = self.gaps[text.split()[0]]
                scores = {"main": (1 + gap) / 2, "related": (1 - gap) / 2, "boilerplate": 0.0}
                segments.append(
                    {"text": text, "role": "main", "confidence": scores["main"], "scores": scores, "story": 0}
                )
            yield {
                "page_id": page_id,
                "segments": segments,
                "stories": [],
                "model": {"name": "n", "version": "v", "family": "f"},
            }


def _told(gaps: Mapping[str, float]) -> Labeler:
    return cast(Labeler, Told(gaps))


def _page(page_id: str, site: str, *texts: str) -> Page:
    return Page(page_id, f"{site}.example", tuple(Segment(text) for text in texts))


def test_uncertainty_is_the_mean_gap_of_the_two_best_roles_weighted_by_the_root_of_words(tmp_path: Path) -> None:
    write_pages(
        tmp_path / "pool.jsonl",
        [_page("p", "a", "sure", "unsure of these four", "half half half half half half half half half")],
    )
    [found] = suggest(str(tmp_path / "pool.jsonl"), _told({"sure": 1.0, "unsure": 0.0, "half": 0.5}), count=3)
    assert found.uncertainty == pytest.approx((1 * 0 + 2 * 1 + 3 * 0.5) / (1 + 2 + 3))


def test_the_least_sure_pages_are_suggested_each_site_counting_half_each_time(tmp_path: Path) -> None:
    gaps = {"v1": 0.0, "v2": 0.25, "v3": 0.375, "v4": 0.75, "v5": 0.875}
    pool = [
        _page("a1", "a", "v1"),
        _page("a2", "a", "v1 x"),
        _page("a3", "a", "v2"),
        _page("b", "b", "v3"),
        _page("c", "c", "v4"),
        _page("d", "d", "v5"),
    ]
    write_pages(tmp_path / "pool.jsonl", [*pool, _page("nothing", "e"), replace(make_page("f", 1), page_id="labelled")])
    path = str(tmp_path / "pool.jsonl")
    picked = suggest(path, _told(gaps), count=9)
    assert [(s.page_id, s.site, s.uncertainty) for s in picked] == [
        ("a2", "a.example", 1.0),
        ("b", "b.example", 0.625),
        ("a1", "a.example", 1.0),
        ("c", "c.example", 0.25),
        ("a3", "a.example", 0.75),
        ("d", "d.example", 0.125),
    ]
    assert suggest(path, _told(gaps), count=3) == picked[:3]


_PRINTS = st.lists(st.integers(0, 6), max_size=4, unique=True)
_POOL = st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 16), _PRINTS), max_size=9)


@settings(max_examples=100)
@given(_POOL, st.integers(0, 6))
def test_suggestions_are_what_looking_at_every_page_each_time_gives(
    pool: list[tuple[str, int, list[int]]], count: int
) -> None:
    left = [Suggestion(f"p{i}", site, unsure / 16) for i, (site, unsure, _) in enumerate(pool)]
    passages_of = {f"p{i}": np.array(sorted(own), np.uint64) for i, (_, _, own) in enumerate(pool)}
    expected: list[Suggestion] = []
    seen: set[int] = set()
    found = list(_spread(list(left), passages_of, count))
    while left and len(expected) < count:
        picked = Counter(s.site for s in expected)
        best = {
            site: max((s for s in left if s.site == site), key=lambda s: (s.uncertainty, s.page_id))
            for site in {s.site for s in left}
        }
        chosen = min(best.values(), key=lambda s: (-s.uncertainty * 0.5 ** picked[s.site], s.site))
        left.remove(chosen)
        own = passages_of[chosen.page_id].tolist()
        if own and sum(name in seen for name in own) > len(own) / 2:
            continue
        seen.update(own)
        expected.append(chosen)
    assert found == expected


def test_suggested_pages_become_tasks_in_their_order_with_the_answers_that_rank_them(tmp_path: Path) -> None:
    pool = [_page("a", "a", "v2", "v2 more"), _page("b", "b", "v1"), _page("c", "c", "v3")]
    write_pages(tmp_path / "pool.jsonl", pool)
    path, labeler = str(tmp_path / "pool.jsonl"), _told({"v1": 0.0, "v2": 0.25, "v3": 0.5})
    picked = suggest(path, labeler, count=2)
    tasks, count = write_suggestions(tmp_path, path, labeler, picked)
    written = json.loads(tasks.read_text())
    assert count == 2
    assert [(task["data"]["page_id"], task["data"]["uncertainty"]) for task in written] == [("b", 1.0), ("a", 0.75)]
    assert [r["score"] for r in written[1]["predictions"][0]["result"]] == [0.625, 0.625]
    assert all("annotations" not in task for task in written)
    assert 'value="business"' in (tmp_path / "interface.xml").read_text()


def test_near_copies_that_are_passed_over_do_not_count_for_their_site(tmp_path: Path) -> None:
    story = " ".join(f"v{i}" for i in range(60))
    pool = [
        _page("first", "a", f"g0 {story}"),
        _page("copy", "a", f"g1 {story}"),
        _page("third", "a", "g2"),
        _page("other", "b", "g3"),
    ]
    write_pages(tmp_path / "pool.jsonl", pool)
    picked = suggest(str(tmp_path / "pool.jsonl"), _told({"g0": 0.0, "g1": 0.125, "g2": 0.25, "g3": 0.75}), count=4)
    assert [s.page_id for s in picked] == ["first", "third", "other"]


def test_near_copies_of_a_suggested_page_are_passed_over(tmp_path: Path) -> None:
    story = " ".join(f"v{i}" for i in range(60))
    pool = [
        _page("first", "a", f"v9 {story}"),
        _page("copy", "b", f"v0 more words before {story}"),
        _page("other", "c", "v1"),
    ]
    write_pages(tmp_path / "pool.jsonl", pool)
    picked = suggest(str(tmp_path / "pool.jsonl"), _told({"v9": 0.0, "v0": 0.25, "v1": 0.5}), count=3)
    assert [s.page_id for s in picked] == ["first", "other"]


def _unlabelled(page: Page) -> Page:
    return page.with_segments(tuple(Segment(s.text) for s in page.segments))


@pytest.mark.slow
def test_pages_to_label_are_unsure_and_of_many_sites(labeler: Labeler, tmp_path: Path) -> None:
    known = [_unlabelled(make_page(f"site{c}", n)) for c in "abcdef" for n in range(40, 46)]
    rng = random.Random(1)
    words = [w for page in known for text in page.texts for w in text.split()]
    odd = [
        Page(
            f"odd-{i}",
            "odd.example",
            tuple(Segment(" ".join(rng.sample(words, rng.choice((4, 9, 14))))) for _ in range(15)),
        )
        for i in range(8)
    ]
    copies = [replace(odd[0], page_id=f"copy-{i}", site=f"copy{i}.example") for i in range(3)]
    labelled = make_page("sitea", 99)
    write_pages(tmp_path / "pool.jsonl", [*known, *odd, *copies, labelled])
    picked = suggest(str(tmp_path / "pool.jsonl"), labeler, count=10)
    assert len(picked) == 10
    assert picked[0].site in ("odd.example", *(f"copy{i}.example" for i in range(3)))
    assert picked[0].uncertainty > np.median([s.uncertainty for s in picked])
    assert len({s.site for s in picked}) >= 5, "spread over sites"
    assert sum(s.page_id.startswith("copy") or s.page_id == "odd-0" for s in picked) == 1, "one of the copies"
    assert "sitea-99" not in {s.page_id for s in picked}
    assert picked == suggest(str(tmp_path / "pool.jsonl"), labeler, count=10)

    tasks, count = write_suggestions(tmp_path, str(tmp_path / "pool.jsonl"), labeler, picked)
    written = json.loads(tasks.read_text())
    assert [t["data"]["page_id"] for t in written] == [s.page_id for s in picked]
    assert count == 10
    assert "annotations" not in written[0]
    result = written[0]["predictions"][0]["result"]
    assert Counter(r["type"] for r in result)["paragraphlabels"] == len(written[0]["data"]["segments"])
    assert all(0 <= r["score"] <= 1 for r in result if r["type"] == "paragraphlabels")


def test_what_an_annotator_accepts_comes_back_as_labels(tmp_path: Path) -> None:
    page = _unlabelled(make_page("sitea", 50))
    [record] = answered([make_page("sitea", 50)], wrong=0.3)
    assert {s["role"] for s in record["segments"]} == set(ROLES)
    task = label_studio.task(page, record)
    # What Label Studio does when a prediction is submitted unchanged.
    task["id"], task["annotations"] = (
        1,
        [{"id": 5, "completed_by": 1, "was_cancelled": False, "result": task["predictions"][0]["result"]}],
    )
    label_studio.write_tasks(tmp_path / "export.json", [task])
    again = read_pages(f"label-studio:{tmp_path / 'export.json'}")[0]
    assert (again.page_id, again.site) == (page.page_id, page.site)
    assert [s.text for s in again.segments] == page.texts
    assert [(s.role, s.story) for s in again.segments] == [(s["role"], s["story"]) for s in record["segments"]]


def test_a_pool_without_unlabelled_pages_is_told(corpus: Path) -> None:
    with pytest.raises(InputError, match="no unlabelled page"):
        suggest(str(corpus), _told({}), count=3)
