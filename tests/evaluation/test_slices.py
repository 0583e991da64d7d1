from __future__ import annotations

from dataclasses import replace

import pytest

from tests.helpers.answers import answered
from train.corpus.page import Page, Segment
from train.evaluation.metrics import evaluate
from train.evaluation.slices import confusion, predictions_of, site_slices, slice_values, slices
from train.runtime.text import ROLES


def test_the_whole_confusion_gives_the_score_that_evaluate_gives(pages: list[Page]) -> None:
    records = answered(pages)
    answers = predictions_of(pages, records)
    counts = confusion(answers).sum(axis=0)
    assert counts.sum() == sum(len(s.text.split()) >= 3 for page in pages for s in page.segments)
    values = evaluate(pages, records, bootstrap_samples=0).values
    for r, role in enumerate(ROLES):
        assert 2 * counts[r, r] / (counts[r].sum() + counts[:, r].sum()) == pytest.approx(values[f"role/f1/{role}"])
    assert answers.confidence.min() > 0.4


def test_slices_are_scored_as_their_pages_alone_would_be(pages: list[Page]) -> None:
    spoken = [
        replace(page, lang="de" if page.site < "sited" else "en", extra={"source": "a" if i % 2 else "b"})
        for i, page in enumerate(pages)
    ]
    records = answered(spoken)
    answers = predictions_of(spoken, records)
    found = slices(spoken, answers, samples=200)
    assert {one.dimension for one in found} >= {"length", "place", "language", "source"}
    assert set(slice_values(spoken, answers)) == {one.dimension for one in found}
    for lang in ("de", "en"):
        (one,) = [s for s in found if s.dimension == "language" and s.value == lang]
        kept = [(p, r) for p, r in zip(spoken, records, strict=True) if p.lang == lang]
        alone = evaluate([p for p, _ in kept], [r for _, r in kept], bootstrap_samples=0).values
        assert one.macro_f1 == pytest.approx(alone["role/macro_f1"])
        assert one.low <= one.macro_f1 <= one.high
        assert one.few == (lang == "de")
    for dimension in {one.dimension for one in found}:
        assert sum(one.segments for one in found if one.dimension == dimension) == len(answers.gold), (
            "every segment is in one slice"
        )


def test_a_role_that_a_slice_lacks_is_not_scored_there() -> None:
    segments = (Segment("one two three four", "main", 0), Segment("five six seven eight", "boilerplate"))
    related = (*segments, Segment("nine ten eleven twelve thirteen", "related", 1))
    pages = [Page(f"p{i}", f"s{i}.example", related if i % 2 else segments) for i in range(12)]
    answers = predictions_of(pages, answered(pages, wrong=0.0))
    found = {(one.dimension, one.value): one for one in slices(pages, answers, samples=20)}
    assert set(found["related items", "none"].f1) == {"main", "boilerplate"}
    assert set(found["related items", "headlines"].f1) == set(ROLES)
    assert found["related place", "after the story"].macro_f1 == 1


def test_the_worst_site_stands_first(pages: list[Page]) -> None:
    found = site_slices(predictions_of(pages, answered(pages)))
    assert found[0].value == pages[0].site
    assert [one.macro_f1 for one in found] == sorted(one.macro_f1 for one in found)
    assert len(found) == 12
