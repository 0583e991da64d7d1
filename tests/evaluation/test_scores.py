"""Scores by hand, against a second way of counting, and the sites that intervals are over."""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from train.corpus.page import Page, Segment
from train.evaluation.bootstrap import intervals_of, resampled
from train.evaluation.counts import f1_of, scored_classes
from train.evaluation.metrics import Evaluation, by_value, evaluate, paired_difference
from train.evaluation.subsets import drop_segments
from train.evaluation.text_overlap import text_events, text_scores
from train.evaluation.trivial_baselines import majority_records
from train.runtime.text import ROLES

ROLE = {"m": "main", "r": "related", "b": "boilerplate"}


def words(n: int, first: str = "word") -> str:
    """A text of so many words, none twice."""
    return " ".join(f"{first}{i}" for i in range(n))


def page(name: str, *segments: tuple[str, str], site: str = "a.example") -> Page:
    """A page of `(role's first letter and story, text)`."""
    made = []
    for label, text in segments:
        story = {"m": 0, "b": None}.get(label[0], int(label[1:] or 0) or None)
        made.append(Segment(text, ROLE[label[0]], story))
    return Page(name, site, tuple(made))


def said(page_id: str, *labels: str, topics: dict[int, str] | None = None) -> dict[str, Any]:
    """A record of such labels."""
    segments = [
        {"role": ROLE[label[0]], "story": {"m": 0, "b": None}.get(label[0], int(label[1:] or 1))} for label in labels
    ]
    return {
        "page_id": page_id,
        "segments": segments,
        "stories": [{"story": k, "topic": t} for k, t in (topics or {}).items()],
    }


def values(pages: Sequence[Page], records: Sequence[dict[str, Any]]) -> dict[str, float]:
    return evaluate(pages, records, bootstrap_samples=0).values


def test_precision_and_recall_of_the_main_text_by_hand() -> None:
    """Gold are 6 words, which have 3 runs of four; 9 words are answered, which have 6, among them those 3."""
    more = page("p", ("m", words(6, "a")), ("b", words(3, "b")))
    found = values([more], [said("p", "m", "m")])
    assert (found["text/precision"], found["text/recall"]) == (3 / 6, 1.0)
    assert found["text/f1"] == pytest.approx(2 / 3)
    less = page("p", ("m", words(6, "a")), ("m", words(3, "b")))
    found = values([less], [said("p", "m", "b")])
    assert (found["text/precision"], found["text/recall"]) == (1.0, 3 / 6)


def test_text_scores_are_means_over_the_pages_that_have_such_text() -> None:
    """A page where nothing is answered has no precision, one without a main story no recall; a short text is one
    run."""
    pages = [
        page("right", ("m", words(6)), ("b", "c d e")),
        page("silent", ("m", words(6)), ("b", "c d e")),
        page("bare", ("b", words(6)), ("b", "c d e")),
        page("short", ("m", "two words"), ("b", "c d e")),
    ]
    records = [said("right", "m", "b"), said("silent", "b", "b"), said("bare", "m", "b"), said("short", "m", "b")]
    found = values(pages, records)
    assert found["text/precision"] == pytest.approx((1 + 0 + 1) / 3)
    assert found["text/recall"] == pytest.approx((1 + 0 + 1) / 3)
    assert text_events(words(5), words(4)) == (1.0, 1.0, 0.5, 1.0)
    assert text_events("", words(4)) == (0.0, 1.0, 0.0, 0.0)
    assert text_events("A b, C d", "a B c. D") == (1.0, 1.0, 1.0, 1.0), "signs and capitals do not count"
    sums = text_scores(np.array([[1.5, 3.0, 0.5, 2.0], [0.0, 0.0, 0.0, 0.0]]))
    assert {name: value.tolist() for name, value in sums.items()} == {
        "text/precision": [0.5, 0.0],
        "text/recall": [0.25, 0.0],
        "text/f1": [pytest.approx(1 / 3), 0.0],
    }


def test_role_f1_leak_and_words_by_hand() -> None:
    """Segments of three words or more count; F1 of each role, and their plain mean over all three."""
    one = page(
        "p",
        ("m", words(7)),
        ("m", words(4)),
        ("m", "two words"),
        ("r1", words(5)),
        ("r1", words(30)),
        ("r2", words(6)),
        ("b", words(3)),
        ("b", "one"),
    )
    found = values([one], [said("p", "m", "b", "r", "m", "r1", "r2", "r", "m")])
    # main: 1 right, 1 missed, 1 false; related: 2 right, 1 missed, 1 false; boilerplate: none right, 1 missed, 1 false.
    assert found["role/f1/main"] == pytest.approx(2 / 4)
    assert found["role/f1/related"] == pytest.approx(4 / 6)
    assert found["role/f1/boilerplate"] == 0
    assert found["role/macro_f1"] == pytest.approx((2 / 4 + 4 / 6 + 0) / 3)
    assert found["role/related_leak"] == pytest.approx(1 / 3)
    assert found["role/f1/related_body"] == 1, "of 25 words or more"
    # Words of main: 7 right, 4 + 2 missed, 5 + 1 false; here the shortest segments count.
    assert found["role/main_words_f1"] == pytest.approx(2 * 7 / (2 * 7 + 6 + 6))


@pytest.mark.parametrize(("n", "counts"), [(2, False), (3, True)])
def test_segments_of_three_words_count_for_roles_and_shorter_ones_do_not(n: int, counts: bool) -> None:
    one = page("p", ("m", words(4)), ("r1", words(4)), ("r2", words(n)))
    found = values([one], [said("p", "m", "r", "m")])
    assert (found["role/f1/related"] < 1) == counts
    assert found["role/related_leak"] == (0.5 if counts else 0)


@pytest.mark.parametrize(("n", "counts"), [(24, False), (25, True)])
def test_a_related_body_has_25_words(n: int, counts: bool) -> None:
    one = page("p", ("m", words(30)), ("r1", words(30)), ("r1", words(n)))
    assert values([one], [said("p", "m", "r", "b")])["role/f1/related_body"] == pytest.approx(2 / 3 if counts else 1)


def test_leak_is_the_share_of_related_segments_that_are_answered_main() -> None:
    one = page(
        "p", ("m", words(4)), ("m", words(4)), ("r1", words(4)), ("r1", words(4)), ("r2", words(4)), ("b", words(4))
    )
    assert values([one], [said("p", "r", "m", "m", "r", "b", "m")])["role/related_leak"] == pytest.approx(1 / 3)


def test_boundaries_are_counted_where_a_story_begins_on_pages_with_related_items() -> None:
    mixed = page(
        "p", ("m", words(4)), ("r1", words(4)), ("r1", words(4)), ("r2", words(4)), ("b", words(4)), ("m", words(4))
    )
    plain = page("q", ("m", words(4)), ("m", words(4)))
    # Gold begins at 0, 1, 3, 5; answered are 0, 1, 2, 5.
    found = values([mixed, plain], [said("p", "m", "r1", "r2", "r2", "b", "m"), said("q", "m", "r")])
    assert found["story/boundary_f1"] == pytest.approx(2 * 3 / (2 * 3 + 1 + 1))
    missed = values([mixed], [said("p", "m", "r1", "r1", "r1", "b", "b")])
    assert missed["story/boundary_f1"] == pytest.approx(2 * 2 / (2 * 2 + 2))


def test_nothing_to_find_and_nothing_found_is_perfect() -> None:
    assert f1_of(np.array([0, 0, 2]), np.array([0, 1, 1]), np.array([0, 0, 3])).tolist() == [1.0, 0.0, 0.5]


def test_a_topic_is_that_of_the_predicted_story_with_most_of_the_words() -> None:
    def story(*parts: tuple[str, int, str | None]) -> Page:
        return Page(
            "p", "a.example", tuple(Segment(words(n), "related", int(number), topic) for number, n, topic in parts)
        )

    gold = story(("1", 5, "sport"), ("1", 30, None), ("1", 5, None), ("2", 30, "business"), ("3", 10, "sport"))
    answered = [{"role": "related", "story": number} for number in (2, 1, 2, 3, 4)]
    topics = {1: "sport", 2: "business", 3: "sport", 4: "business"}
    record = {
        "page_id": "p",
        "segments": answered,
        "stories": [{"story": number, "topic": topic} for number, topic in topics.items()],
    }
    found = values([gold], [record])
    # Long stories: sport is right, business is answered with sport. The teaser of ten words is wrong, and apart.
    assert found["topic/accuracy"] == pytest.approx(1 / 2)
    assert found["topic/f1/sport"] == pytest.approx(2 / 3)
    assert found["topic/f1/business"] == 0
    assert found["topic/macro_f1"] == pytest.approx(1 / 3)
    assert found["topic_teaser/accuracy"] == 0


def _second_count(pages: Sequence[Page], records: Sequence[dict[str, Any]]) -> dict[str, float]:
    """The scores once more, straight from their definitions."""
    rows = [
        (len(re.findall(r"\w+", s.text)), s, answer)
        for one, record in zip(pages, records, strict=True)
        for s, answer in zip(one.segments, record["segments"], strict=True)
    ]

    def f1(gold: Sequence[Any], answers: Sequence[Any], of: Any, weights: Sequence[int] | None = None) -> float:
        say = weights or [1] * len(gold)
        both = sum(w for g, a, w in zip(gold, answers, say, strict=True) if g == of and a == of)
        either = sum(w * ((g == of) + (a == of)) for g, a, w in zip(gold, answers, say, strict=True))
        return 2 * both / either if either else 1.0

    def f1_of_roles(least: int) -> dict[str, float]:
        kept = [(s.role, answer["role"]) for n, s, answer in rows if n >= least]
        return {role: f1([g for g, _ in kept], [a for _, a in kept], role) for role in ROLES}

    found = {f"role/f1/{role}": value for role, value in f1_of_roles(3).items()}
    found["role/macro_f1"] = sum(found.values()) / 3
    found["role/f1/related_body"] = f1_of_roles(25)["related"]
    found["role/main_words_f1"] = f1(
        [s.role for _, s, _ in rows], [a["role"] for _, _, a in rows], "main", [n for n, _, _ in rows]
    )
    related = [answer["role"] == "main" for n, s, answer in rows if n >= 3 and s.role == "related"]
    found["role/related_leak"] = sum(related) / max(len(related), 1)
    precisions, recalls, borders = [], [], [0, 0, 0]
    for one, record in zip(pages, records, strict=True):
        runs = []
        for mine in ([s.role for s in one.segments], [a["role"] for a in record["segments"]]):
            text = "\n".join(s.text for s, role in zip(one.segments, mine, strict=True) if role == "main")
            told = re.findall(r"\w+", text.lower())
            runs.append(Counter(" ".join(told[i : i + 4]) for i in range(len(told)) if i == 0 or i + 4 <= len(told)))
        shared = sum(min(n, runs[1][run]) for run, n in runs[0].items())
        if runs[1]:
            precisions.append(shared / sum(runs[1].values()))
        if runs[0]:
            recalls.append(shared / sum(runs[0].values()))
        if any(s.story for s in one.segments):
            begun = []
            for stories in ([s.story for s in one.segments], [a["story"] for a in record["segments"]]):
                before = [None, *stories[:-1]]
                begun.append({i for i in range(len(stories)) if stories[i] is not None and stories[i] != before[i]})
            borders = [borders[0] + len(begun[0] & begun[1]), borders[1] + len(begun[0]), borders[2] + len(begun[1])]
    p, r = (sum(some) / max(len(some), 1) for some in (precisions, recalls))
    found |= {"text/precision": p, "text/recall": r, "text/f1": 2 * p * r / (p + r) if p + r else 0.0}
    found["story/boundary_f1"] = 2 * borders[0] / (borders[1] + borders[2]) if borders[1] + borders[2] else 1.0
    return found


def _random_corpus(seed: int) -> tuple[list[Page], list[dict[str, Any]]]:
    rng = random.Random(seed)
    pages, records = [], []
    for i in range(rng.randint(1, 4)):
        labels = [rng.choice(["m", "r1", "r2", "r3", "b"]) for _ in range(rng.randint(1, 8))]
        texts = [" ".join(rng.choice("abcde") for _ in range(rng.choice([1, 2, 3, 4, 9, 24, 25, 30]))) for _ in labels]
        one = page(f"p{i}", *zip(labels, texts, strict=True), site=f"{rng.choice('xyz')}.example")
        pages.append(one)
        records.append(
            said(
                one.page_id, *(label if rng.random() < 0.6 else rng.choice(["m", "r1", "r2", "b"]) for label in labels)
            )
        )
    return pages, records


@settings(max_examples=60)
@given(st.integers(0, 2**32 - 1))
def test_scores_are_what_their_definitions_say(seed: int) -> None:
    pages, records = _random_corpus(seed)
    found = values(pages, records[::-1])
    for name, value in _second_count(pages, records).items():
        assert found[name] == pytest.approx(value), name


def test_an_interval_is_the_middle_of_the_resamples() -> None:
    assert intervals_of({"x": np.arange(1001)}, 0.95)["x"] == pytest.approx((25, 975))
    two = intervals_of({"x": np.arange(1001), "y": -np.arange(1001)}, 0.9)
    assert two == {"x": pytest.approx((50, 950)), "y": pytest.approx((-950, -50))}


def _two_sites() -> tuple[list[Page], list[dict[str, Any]]]:
    """One page of a site where the only related segment is leaked; nine of another, each with one leaked of three."""
    small = [page("s", ("m", words(4)), ("r1", words(4)), site="small.example")]
    large = [page(f"l{i}", ("m", words(4)), *[("r1", words(4))] * 3, site="large.example") for i in range(9)]
    return [*small, *large], [said("s", "m", "m"), *(said(f"l{i}", "m", "m", "r", "r") for i in range(9))]


def test_whole_sites_are_resampled_whatever_pages_they_have() -> None:
    """Of two sites a resample holds one twice in half of the cases, so that the interval runs from one site's leak to
    the other's."""
    pages, records = _two_sites()
    found = evaluate(pages, records, bootstrap_samples=500)
    assert (found.n_pages, found.n_sites, found.confidence) == (10, 2, 0.95)
    assert found.values["role/related_leak"] == pytest.approx(10 / 28)
    assert found.intervals["role/related_leak"] == (pytest.approx(1 / 3), 1.0)
    assert found.intervals["text/recall"] == (1.0, 1.0)


def test_a_resample_adds_the_counts_of_its_sites() -> None:
    """1 and 1000 tell how often each of the two sites was drawn: as many sites as there are."""
    drawn = resampled(np.array([[1.0, 0.0], [1000.0, 1.0]]), 400, 3)
    assert set(drawn[:, 0]) == {2.0, 1001.0, 2000.0}
    assert (drawn[:, 1] == drawn[:, 0] // 1000).all()
    assert (drawn == resampled(np.array([[1.0, 0.0], [1000.0, 1.0]]), 400, 3)).all()
    assert not (drawn == resampled(np.array([[1.0, 0.0], [1000.0, 1.0]]), 400, 4)).all()


def test_intervals_are_those_of_scoring_each_resample_anew() -> None:
    pages, records, seed, samples = [], [], 5, 40
    for site in range(5):
        for i in range(site + 1):
            labels = ["m", "m", "r1", "r2", "b"]
            rng = random.Random(f"{site}/{i}")
            pages.append(
                page(
                    f"{site}-{i}", *((label, words(rng.choice([4, 9, 30]))) for label in labels), site=f"{site}.example"
                )
            )
            records.append(
                said(
                    f"{site}-{i}", *(label if rng.random() < 0.7 else rng.choice(["m", "r1", "b"]) for label in labels)
                )
            )
    drawn = np.random.default_rng(seed).multinomial(5, [0.2] * 5, size=samples)
    scored = []
    for counts in drawn:
        again = [(p, r, k) for p, r in zip(pages, records, strict=True) for k in range(counts[int(p.site[0])])]
        renamed = [Page(f"{p.page_id}/{k}", p.site, p.segments) for p, _, k in again]
        scored.append(
            values(renamed, [{**r, "page_id": p.page_id} for p, (_, r, _) in zip(renamed, again, strict=True)])
        )
    found = evaluate(pages, records, bootstrap_samples=samples, confidence=0.8, seed=seed)
    assert found.confidence == 0.8
    for name, interval in found.intervals.items():
        ordered = [one[name] for one in scored]
        assert interval == pytest.approx(tuple(np.quantile(ordered, [0.1, 0.9]))), name


def test_a_gain_is_ours_less_theirs_with_the_same_sites_drawn_for_both() -> None:
    pages, records = _two_sites()
    right = [said("s", "m", "r"), *(said(f"l{i}", "m", "r", "r", "r") for i in range(9))]
    found = paired_difference(pages, right, records, bootstrap_samples=500)
    assert found.values["role/related_leak"] == pytest.approx(-10 / 28)
    assert found.intervals["role/related_leak"] == (-1.0, pytest.approx(-1 / 3))
    assert (found.n_pages, found.n_sites, found.confidence) == (10, 2, 0.95)
    same = paired_difference(pages, records, records, bootstrap_samples=50)
    assert set(same.values.values()) == {0.0}
    assert set(same.intervals.values()) == {(0.0, 0.0)}
    narrow = paired_difference(pages, right, records, bootstrap_samples=500, confidence=0.1, seed=1).intervals[
        "role/related_leak"
    ]
    assert narrow == (pytest.approx(-10 / 28), pytest.approx(-10 / 28)), "half of the resamples hold each site once"


def test_metrics_are_named_by_part_and_bound() -> None:
    found = Evaluation({"role/macro_f1": 0.5, "text/f1": 0.25}, {"role/macro_f1": (0.4, 0.7)}, 3, 2, 0.95)
    assert found.metrics("test") == {
        "test/role/macro_f1": 0.5,
        "test/text/f1": 0.25,
        "test/role/macro_f1/low": 0.4,
        "test/role/macro_f1/high": 0.7,
    }
    assert found.to_json(model="x") == {
        "role/macro_f1": 0.5,
        "text/f1": 0.25,
        "intervals": {"role/macro_f1": [0.4, 0.7]},
        "confidence": 0.95,
        "n_pages": 3,
        "n_sites": 2,
        "model": "x",
    }
    assert (found.only("role").values, found.only("text").intervals) == ({"role/macro_f1": 0.5}, {})


def test_what_is_left_out_is_scored_nowhere_and_the_rest_as_before() -> None:
    one = page("p", ("m", words(4)), ("r1", words(4)), ("r2", words(4)), ("b", words(4)))
    other = page("q", ("m", words(4)))
    record = said("p", "m", "m", "r2", "b")
    record["stories"] = [{"story": 0, "segments": [0, 1]}, {"story": 2, "segments": [2]}]
    records = [{**said("q", "m"), "stories": [{"story": 0, "segments": [0]}]}, record]
    pages, kept = drop_segments([one, other], records, {"p": [1, 2], "q": [0]})
    assert [p.page_id for p in pages] == ["p"]
    assert [s.role for s in pages[0].segments] == ["main", "boilerplate"]
    assert [s["role"] for s in kept[0]["segments"]] == ["main", "boilerplate"]
    assert kept[0]["stories"] == [{"story": 0, "segments": [0]}]
    pages, kept = drop_segments([one], records, {"p": [0]})
    assert kept[0]["stories"] == [{"story": 0, "segments": [0]}, {"story": 2, "segments": [1]}]


def test_the_commonest_answer_is_that_of_training_segments_of_three_words_and_of_training_stories() -> None:
    def topical(role: str, story: int | None, topic: str | None, n: int) -> Segment:
        return Segment(words(n), role, story, topic)

    train = [
        Page(
            "t",
            "t.example",
            (
                topical("related", 1, "sport", 3),
                topical("related", 2, "sport", 4),
                *[topical("boilerplate", None, None, 2)] * 9,
            ),
        ),
        Page("u", "t.example", (topical("main", 0, "business", 3),)),
        Page("v", "t.example", (topical("related", 1, "business", 3),)),
    ]
    unseen = page("p", ("m", words(4)), ("b", words(4)))
    (record,) = majority_records(train, [unseen])
    assert record["segments"] == [{"role": "related", "story": 1}] * 2
    assert record["stories"] == [{"story": 1, "topic": "business"}], "on two pages; sport is on one"
    assert record["page_id"] == "p"
    (main,) = majority_records([page("x", ("m", words(4)))], [unseen])
    assert main["stories"] == [{"story": 0, "topic": None}]
    (none,) = majority_records([page("x", ("b", words(4)))], [unseen])
    assert (none["stories"], none["segments"][0]) == ([], {"role": "boilerplate", "story": None})


def test_pages_are_parted_by_a_key_with_their_own_records() -> None:
    pages = [
        Page("p", "b.example", (), "de", extra={"source": "x"}),
        Page("q", "a.example", (), None),
        Page("r", "b.example", (), "de", extra={"source": 1}),
    ]
    records = [{"page_id": name} for name in "pqr"]
    found = by_value(pages, records, "lang")
    assert {
        value: [[p.page_id for p in some], [r["page_id"] for r in told]] for value, (some, told) in found.items()
    } == {"de": [["p", "r"], ["p", "r"]], "none": [["q"], ["q"]]}
    assert list(by_value(pages, records, "site")) == ["a.example", "b.example"]
    assert list(by_value(pages, records, "source")) == ["1", "none", "x"]


def test_roles_and_topics_that_pages_have_are_told_by_what_is_scored() -> None:
    one = page("p", ("b", words(3)), ("r1", words(2)), ("m", words(3)))
    long = Page(
        "q", "a.example", (Segment(words(25), "main", 0, "sport"), Segment(words(24), "related", 1, "business"))
    )
    assert scored_classes([one]) == (["main", "boilerplate"], [])
    assert scored_classes([one, long]) == (["main", "related", "boilerplate"], ["sport"])


def test_a_role_that_nobody_labels_and_nothing_predicts_is_named_and_counts_as_the_referee_counts_it() -> None:
    one = page("p", ("m", words(6)), ("b", words(4)), ("r1", "two words"))
    right, wrong = evaluate([one], [said("p", "m", "b", "m")]), evaluate([one], [said("p", "m", "r", "m")])
    assert (right.absent, right.to_json()["absent_roles"]) == (("related",), ["related"])
    assert (right.values["role/f1/related"], right.values["role/macro_f1"]) == (1.0, 1.0)
    assert (wrong.absent, wrong.values["role/f1/related"]) == ((), 0.0)
    assert "absent_roles" not in wrong.to_json()


def test_no_topic_is_told_under_the_name_of_another_ones_bound() -> None:
    values = {"topic/f1/sport": 0.5, "topic/f1/sport/low": 0.75, "topic/f1/sport/low_": 1.0}
    told = Evaluation(values, {"topic/f1/sport": (0.25, 0.625)}, 1, 1, 0.95).metrics("test")
    assert sorted(told.values()) == [0.25, 0.5, 0.625, 0.75, 1.0]
    assert (told["test/topic/f1/sport"], told["test/topic/f1/sport/low"]) == (0.5, 0.25)
