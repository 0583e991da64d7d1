"""Each check of behaviour fails the model that misbehaves in its way, and no other."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, cast

import pytest

from train.registry.behaviour import (
    CHECKS,
    FOOTER,
    HEADING,
    HEADLINE,
    HOSTILE,
    KNOWN_WEAKNESSES,
    MENU,
    RELATED,
    STORY,
    SUMMARIES,
    DoesNotApply,
    Misbehaviour,
    behaviour,
)
from train.runtime import Labeler
from train.runtime.text import ROLES, clean

Wrong = Callable[[Sequence[str], int], str | None]
"""A page's texts and a segment's index -> the wrong role that a model gives it, or None."""
WEAKNESS = "summaries_that_repeat_their_headline"


def _right(text: str) -> str:
    known = " ".join(clean(text).split()).casefold()
    if known in {line.casefold() for line in (HEADLINE, *STORY)}:
        return "main"
    return "boilerplate" if known in {t.casefold() for t in (*MENU, HEADING, *FOOTER, *HOSTILE.values())} else "related"


class Scripted:
    """Labels the pages of the checks right, but where it is told not to.

    Args:
        wrong: The wrong role of a segment, or None.
        related: Maps whether the page has the heading, and how many pages are labelled at once, to the score of
            `related` of its related segments.
    """

    def __init__(
        self, wrong: Wrong = lambda texts, i: None, related: Callable[[bool, int], float] = lambda heading, n: 0.8
    ) -> None:
        self.wrong, self.related = wrong, related

    def label(self, pages: Iterable[tuple[str, Sequence[str]]]) -> Iterator[dict[str, Any]]:
        """The parts of `predict`'s records that checks look at."""
        given = list(pages)
        for page_id, texts in given:
            segments = []
            for i, text in enumerate(texts):
                role = self.wrong(texts, i) or _right(text)
                score = self.related(HEADING in texts, len(given)) if role == "related" else 0.1
                scores = dict.fromkeys(ROLES, (1 - score) / 2) | {"related": score}
                segments.append({"text": text, "role": role, "scores": scores})
            yield {"page_id": page_id, "segments": segments}


def _failed(
    wrong: Wrong = lambda texts, i: None,
    related: Callable[[bool, int], float] = lambda heading, n: 0.9 if heading else 0.8,
) -> set[str]:
    """The names of the checks that a model fails; it passes all others but a known weakness."""
    checked = behaviour(cast(Labeler, Scripted(wrong, related)))
    assert checked.passed | checked.failed | KNOWN_WEAKNESSES.keys() == CHECKS.keys()
    assert not checked.passed & checked.failed
    return set(checked.failed)


def test_a_model_that_reads_the_pages_right_passes_every_check() -> None:
    checked = behaviour(cast(Labeler, Scripted(related=lambda heading, n: 0.9 if heading else 0.8)))
    assert checked.passed == CHECKS.keys(), "a known weakness that a model has not is a pass"
    assert len(CHECKS) == 18


ON_PAGES_WITH: dict[str, tuple[str, str]] = {
    "menu_of_another_site": ("Politics", "related"),
    "unseen_names_of_sources": ("Zquvlom Gazette", "related"),
    **{f"hostile_text ({attempt})": (text, "boilerplate") for attempt, text in HOSTILE.items()},
}
"""Check -> a text of its page, and the role it gives to the whole story there."""


@pytest.mark.parametrize("name", ON_PAGES_WITH)
def test_a_model_that_a_text_misleads_about_the_story_fails_the_check_of_that_text(name: str) -> None:
    text, role = ON_PAGES_WITH[name]
    assert _failed(lambda texts, i: role if text in texts and texts[i] in STORY else None) == {name}


@pytest.mark.parametrize(
    ("name", "mark"), [("changed_spaces", "  \t"), ("space_at_the_ends", "\u00a0"), ("unseen_characters", "\u200b")]
)
def test_a_model_that_looks_at_space_fails_the_check_of_it(name: str, mark: str) -> None:
    assert _failed(lambda texts, i: "related" if mark in texts[i] and _right(texts[i]) == "main" else None) == {name}


@pytest.mark.parametrize(
    ("name", "wrong", "where"),
    [
        ("story_in_lower_case", "related", lambda text: text in {line.lower() for line in STORY}),
        (WEAKNESS, "main", lambda text: "in a turn of events" in text),
        ("related_items_with_summaries", "main", lambda text: text in SUMMARIES),
    ],
)
def test_a_model_that_misreads_a_kind_of_text_fails_the_check_of_it(
    name: str, wrong: str, where: Callable[[str], bool]
) -> None:
    assert _failed(lambda texts, i: wrong if where(texts[i]) else None) == {name} - KNOWN_WEAKNESSES.keys()


@pytest.mark.parametrize(("part", "wrong"), [(MENU, "main"), (STORY, "related"), (RELATED, "main"), (FOOTER, "main")])
def test_every_part_of_an_obvious_page_must_be_read_right(part: tuple[str, ...], wrong: str) -> None:
    assert "obvious_page" in _failed(lambda texts, i: wrong if texts[i] == part[0] else None)


def test_a_story_without_related_items_must_be_read_whole() -> None:
    alone = _failed(lambda texts, i: "related" if texts[i] == STORY[2] and RELATED[0] not in texts else None)
    assert alone == {"page_without_related_items"}


@pytest.mark.parametrize("spare", [0, 1])
def test_where_a_model_may_waver_one_segment_may_be_wrong_and_not_two(spare: int) -> None:
    lower = tuple(text.lower() for text in STORY)

    def wavers(texts: Sequence[str], i: int) -> str | None:
        menus_alone = not {*STORY} & {*texts}
        if texts[i] in lower[: 1 + spare] or (SUMMARIES[0] in texts and texts[i] in STORY[: 1 + spare]):
            return "related"
        if "Politics" in texts and texts[i] in RELATED[: 1 + spare]:
            return "boilerplate"
        return "main" if menus_alone and texts[i] in FOOTER[: 1 + spare] and len(texts) > len(MENU) else None

    wavering = {"story_in_lower_case", "related_items_with_summaries", "menu_of_another_site", "page_of_menus_alone"}
    assert _failed(wavers) - {"heading_raises_related"} == (wavering if spare else set())


def test_scores_that_depend_on_other_pages_fail() -> None:
    assert _failed(related=lambda heading, n: 0.9 - 0.01 * n if heading else 0.8) == {"company_of_other_pages"}
    assert _failed(related=lambda heading, n: 0.9 - 0.00001 * n if heading else 0.8) == set()
    assert _failed(related=lambda heading, n: float("nan") if n > 1 else 0.8 + heading / 10) == {
        "company_of_other_pages"
    }


@pytest.mark.parametrize("below", [0.7, 0.8])
def test_a_heading_that_does_not_raise_what_is_below_it_fails(below: float) -> None:
    assert _failed(related=lambda heading, n: below if heading else 0.8) == {"heading_raises_related"}


def test_a_check_that_does_not_apply_is_neither_passed_nor_failed() -> None:
    sure = cast(Labeler, Scripted(related=lambda heading, n: 0.009 if heading else 0.0))
    checked = behaviour(sure)
    assert checked.passed == CHECKS.keys() - {"heading_raises_related"}
    assert checked.failed == frozenset()
    with pytest.raises(DoesNotApply, match="rounding decides"):
        CHECKS["heading_raises_related"](sure)


def test_a_model_that_breaks_on_a_page_fails_its_check() -> None:
    def breaks(texts: Sequence[str], i: int) -> str | None:
        if HOSTILE["json"] in texts or any("in a turn of events" in text for text in texts):
            raise ValueError("an index out of range")
        return None

    assert _failed(breaks) == {"hostile_text (json)", WEAKNESS}, "a known weakness is a wrong role, not an error"


def test_a_failure_names_the_segments_that_are_wrong() -> None:
    model = cast(Labeler, Scripted(lambda texts, i: "main" if texts[i] == FOOTER[1] else None))
    with pytest.raises(Misbehaviour, match=r"expected boilerplate or related, found main: Privacy policy$"):
        CHECKS["obvious_page"](model)
    attacked = cast(
        Labeler, Scripted(lambda texts, i: "main" if HOSTILE["tags"] in texts and texts[i] == MENU[0] else None)
    )
    with pytest.raises(Misbehaviour, match=r"at most, found boilerplate -> main: Home$"):
        CHECKS["hostile_text (tags)"](attacked)
