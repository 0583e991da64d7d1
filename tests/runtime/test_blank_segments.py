"""What shows nothing changes nothing: a page reads the same with blank segments between the others."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.helpers.configs import FAMILIES
from train.corpus.page import Page
from train.runtime import Labeler

BLANKS = ("", "  ", "\u200b", "\u00ad", "\ufeff\t")


@pytest.mark.parametrize("name", FAMILIES)
def test_blank_segments_change_no_other(trained: Callable[[str], Path], pages: list[Page], name: str) -> None:
    labeler = Labeler.load(trained(name) / "bundle")
    for page in pages[:8]:
        spread = [text for i, own in enumerate(page.texts) for text in (BLANKS[i % len(BLANKS)], own, "")]
        plain, blank = labeler.label([(page.page_id, page.texts), (page.page_id, spread)])
        assert blank["segments"][1::3] == plain["segments"]
        others = [segment for i, segment in enumerate(blank["segments"]) if i % 3 != 1]
        assert {(segment["role"], segment["story"]) for segment in others} == {("boilerplate", None)}
        assert [segment["text"] for segment in blank["segments"]] == spread
        for one, other in zip(plain["stories"], blank["stories"], strict=True):
            assert other == {**one, "segments": [3 * i + 1 for i in one["segments"]]}


def test_a_page_of_blanks_alone_has_no_story(trained: Callable[[str], Path]) -> None:
    (record,) = Labeler.load(trained(FAMILIES[0]) / "bundle").label([("p", BLANKS)])
    assert [segment["role"] for segment in record["segments"]] == ["boilerplate"] * len(BLANKS)
    assert record["stories"] == []
