from __future__ import annotations

import importlib.util
import random
from typing import Any

import numpy as np
import pytest

from tests.helpers.optional import need
from tests.helpers.pages import make_page
from tests.helpers.paths import SHARED
from train.common.errors import InputError
from train.corpus.page import Page, Segment
from train.evaluation.metrics import evaluate, paired_difference
from train.evaluation.trivial_baselines import majority_records


def as_record(page: Page) -> dict[str, Any]:
    """A record that agrees with the gold."""
    topics = {s.story: s.topic for s in page.segments if s.story is not None}
    segments = [{"text": s.text, "role": s.role, "story": s.story} for s in page.segments]
    return {
        "page_id": page.page_id,
        "segments": segments,
        "stories": [{"story": k, "topic": t} for k, t in topics.items()],
    }


def noisy(pages: list[Page], share: float, seed: int = 0) -> list[dict[str, Any]]:
    """Records with a share of roles and stories drawn at random."""
    rng = random.Random(seed)
    records = [as_record(page) for page in pages]
    for record in records:
        for segment in record["segments"]:
            if rng.random() < share:
                segment["role"] = rng.choice(("main", "related", "boilerplate"))
                segment["story"] = {"main": 0, "boilerplate": None}.get(segment["role"], rng.randint(1, 3))
    return records


def test_agreement_scores_one(pages: list[Page]) -> None:
    values = evaluate(pages, [as_record(page) for page in pages]).values
    assert values.pop("role/related_leak") == 0
    assert (
        values.pop("topic_teaser/accuracy") == values.pop("topic_teaser/macro_f1") == 0
    )  # no teaser among these pages
    assert set(values.values()) == {1.0}


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 1.0])
def test_scores_agree_with_the_referee(pages: list[Page], share: float) -> None:
    need("referee")
    spec = importlib.util.spec_from_file_location("score_pages", SHARED / "score_pages.py")
    assert spec is not None
    assert spec.loader is not None
    referee = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(referee)
    mixed = [*pages, make_page("lonely", 1, related=0)]
    records = noisy(mixed, share)
    theirs = referee.score([page.to_json() for page in mixed], records)
    ours = evaluate(mixed, records).values
    for role, value in theirs["role_f1"].items():
        assert ours[f"role/f1/{role}"] == pytest.approx(value, abs=1e-4)
    pairs = {
        "role_macro_f1": "role/macro_f1",
        "main_words_f1": "role/main_words_f1",
        "text_precision": "text/precision",
        "text_recall": "text/recall",
        "text_f1": "text/f1",
        "related_leak": "role/related_leak",
        "story_boundary_f1": "story/boundary_f1",
    }
    for name, our_name in pairs.items():
        assert ours[our_name] == pytest.approx(theirs[name], abs=1.01e-4), name


def test_intervals_are_over_sites_and_hold_the_value(pages: list[Page]) -> None:
    records = noisy(pages, 0.2)
    report = evaluate(pages, records, bootstrap_samples=400)
    assert report.n_sites == 12
    for name, (low, high) in report.intervals.items():
        assert low <= report.values[name] <= high
    wrong_at_one = [
        as_record(page) if page.site != pages[0].site else record for page, record in zip(pages, records, strict=True)
    ]
    low, high = evaluate(pages, wrong_at_one, bootstrap_samples=400).intervals["role/macro_f1"]
    assert high == 1, "many a resample is without the one site that is wrong"
    assert low < evaluate(pages, wrong_at_one, bootstrap_samples=0).values["role/macro_f1"]
    one_site = [page for page in pages if page.site == pages[0].site]
    narrow = evaluate(one_site, noisy(one_site, 0.2), bootstrap_samples=50)
    assert all(low == high for low, high in narrow.intervals.values())


def test_a_merged_story_costs_its_topic() -> None:
    page = Page(
        "p",
        "s",
        (
            Segment("long words of the main story " * 5, "main", 0, "sport"),
            Segment("long words of another story " * 6, "related", 1, "business"),
            Segment("long words of a third story " * 5, "related", 2, "sport"),
        ),
    )
    record = as_record(page)
    record["segments"][2]["story"] = 1
    values = evaluate([page], [record], bootstrap_samples=0).values
    assert values["topic/accuracy"] == pytest.approx(2 / 3)
    assert values["story/boundary_f1"] == pytest.approx(0.8)


def test_records_must_match_pages(pages: list[Page]) -> None:
    record = as_record(pages[0])
    with pytest.raises(InputError, match="no record"):
        evaluate(pages[:2], [record])
    record["segments"].pop()
    with pytest.raises(InputError, match="a record of"):
        evaluate(pages[:1], [record])


def test_majority_is_a_floor(pages: list[Page]) -> None:
    values = evaluate(pages, majority_records(pages, pages), bootstrap_samples=0).values
    assert 0 < values["role/macro_f1"] < 0.34


def test_resampling_a_few_at_a_time_changes_nothing() -> None:
    from train.evaluation import bootstrap

    per_site = np.random.default_rng(0).integers(0, 9, (2_500_000, 1))
    for few, samples in ((per_site[:40], 30), (per_site, 3)):
        weights = np.random.default_rng(7).multinomial(len(few), np.full(len(few), 1 / len(few)), size=samples)
        assert (bootstrap.resampled(few, samples, 7) == weights @ few).all()


def test_a_topic_that_no_page_has_is_a_wrong_answer_and_no_crash(pages: list[Page]) -> None:
    """A model may know topics that the test pages lack; `paired_difference` and `evaluate` need not be told of them."""
    gold = [as_record(page) for page in pages]
    other = [{**record, "stories": [{**story, "topic": "weather"} for story in record["stories"]]} for record in gold]
    assert evaluate(pages, other, bootstrap_samples=0).values["topic/accuracy"] == 0
    assert paired_difference(pages, other, gold, bootstrap_samples=10).values["topic/macro_f1"] == -1


def test_topics_are_averaged_over_those_that_the_kind_of_story_has() -> None:
    def page(site: str, topic: str, words: int) -> Page:
        segment = Segment(" ".join(["word"] * words), "main", 0, topic)
        return Page(f"{site}-{topic}", f"{site}.example", (segment,))

    long = [page("a", "sport", 30), page("b", "business", 30)]
    pages = [*long, page("c", "weather", 5)]
    records = [as_record(p) for p in pages]
    records[2]["stories"][0]["topic"] = "sport"
    values = evaluate(pages, records, bootstrap_samples=20).values
    assert values["topic/macro_f1"] == 1, "no long story is about the weather"
    assert values["topic_teaser/macro_f1"] == values["topic_teaser/accuracy"] == 0, "the one teaser is missed"
    intervals = evaluate(
        pages[:2], [records[0], {**records[1], "stories": [{**records[1]["stories"][0], "topic": "sport"}]}]
    ).intervals
    assert intervals["topic/macro_f1"] == (0, 1), "a resample without business is not given its F1"
