"""Which int8 weights are kept: the limits as they ship, at each side of each."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from train.common.files import read_json
from train.corpus.page import Page, Segment
from train.models import quantize
from train.models.quantize import Int8, judge, keep_int8

PAGES = [
    Page(f"p{i}", "a.example", tuple(Segment(f" page {i} segment {k} ", "main", 0) for k in range(20)))
    for i in range(50)
]
"""1,000 segments."""


class Told:
    """A reader that says main, but boilerplate of its first `odd` segments; its macro-F1 stands in the column of a
    third state."""

    topics: tuple[str, ...] = ()

    def __init__(self, score: float = 0.5, odd: int = 0) -> None:
        self.score, self.odd = score, odd
        self.asked: list[list[list[str]]] = []

    def score_segments(self, pages: Sequence[Sequence[str]]) -> tuple[list[np.ndarray], None]:
        self.asked.append([list(page) for page in pages])
        rows = np.tile([2.0, 1.0, self.score, 0.0], (sum(map(len, pages)), 1))
        rows[: self.odd, 0] = 0.0
        return list(np.split(rows, np.cumsum([len(page) for page in pages])[:-1])), None


@pytest.fixture
def scored(monkeypatch: pytest.MonkeyPatch) -> list[list[Page]]:
    """The pages of each scoring, and readers that are scored as they say."""
    told: list[list[Page]] = []

    def score(states: list[np.ndarray], pages: Sequence[Page]) -> float:
        told.append(list(pages))
        return float(states[0][0, 2])

    monkeypatch.setattr(quantize, "tags_macro_f1", score)
    return told


@pytest.mark.usefixtures("scored")
@pytest.mark.parametrize(
    ("exact", "small", "odd", "speed", "kept"),
    [
        (0.003, 0.0, 0, 2.0, True),
        (0.0031, 0.0, 0, 2.0, False),
        (0.5, 0.9, 0, 2.0, True),
        (0.9, 0.5, 0, 2.0, False),
        (0.5, 0.5, 10, 2.0, True),
        (0.5, 0.5, 11, 2.0, False),
        (0.5, 0.5, 0, 1.1, True),
        (0.5, 0.5, 0, 1.09, False),
        (0.5, 0.5, 0, 0.5, False),
        (0.003, 0.0, 10, 1.1, True),
    ],
)
def test_int8_weights_are_kept_a_tenth_faster_99_percent_alike_and_at_most_3_thousandths_worse(
    monkeypatch: pytest.MonkeyPatch, exact: float, small: float, odd: int, speed: float, kept: bool
) -> None:
    monkeypatch.setattr(quantize, "_speed", lambda readers, pages: speed)
    found = judge(Told(exact), Told(odd=500), Told(small, odd), PAGES)
    assert found == Int8(kept, 50, pytest.approx(small - exact), pytest.approx(1 - odd / 1000), speed)


def test_the_first_sixty_pages_are_judged_and_eight_of_them_timed_cleaned(
    monkeypatch: pytest.MonkeyPatch, scored: list[list[Page]]
) -> None:
    timed: list[tuple[dict[str, Any], list[list[str]]]] = []

    def speed(readers: dict[str, Any], pages: list[list[str]]) -> float:
        timed.append((readers, pages))
        return 1.0

    monkeypatch.setattr(quantize, "_speed", speed)
    exact, plain, small = Told(), Told(), Told()
    pages = [*PAGES, *PAGES[:20]]
    assert judge(exact, plain, small, pages).pages == 60
    texts = [[text.strip() for text in page.texts] for page in pages[:60]]
    assert scored == [pages[:60]] * 2
    assert (exact.asked, small.asked, plain.asked) == ([texts], [texts], [])
    assert timed == [({"plain": plain, "int8": small}, texts[:8])]


def test_speed_is_the_median_of_three_rounds_by_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = SimpleNamespace(now=0.0)
    turns: list[str] = []

    class Timed:
        def __init__(self, name: str, *seconds: float) -> None:
            self.name, self.seconds = name, iter(seconds)

        def score_segments(self, pages: Sequence[Sequence[str]]) -> None:
            turns.append(self.name)
            clock.now += next(self.seconds)

    monkeypatch.setattr(quantize.time, "perf_counter", lambda: clock.now)
    readers = {"plain": Timed("plain", 3.0, 3.0, 50.0), "int8": Timed("int8", 2.0, 1.0, 1.0)}
    assert quantize._speed(cast(Any, readers), []) == pytest.approx(3.0)
    assert turns == ["plain", "int8"] * 3


@pytest.mark.parametrize("kept", [True, False])
def test_a_network_that_is_not_kept_is_removed_and_what_was_found_is_written(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, kept: bool
) -> None:
    def quantized(path: Path) -> Path:
        assert path == tmp_path / "model.onnx"
        target = path.with_name("model.int8.onnx")
        target.write_bytes(b"small")
        return target

    def judged(*given: Any) -> Int8:
        assert given == ("exact", "float32", "int8", PAGES)
        return Int8(kept, 50, 0.0, 1.0, 1.2)

    (tmp_path / "model.onnx").write_bytes(b"large")
    monkeypatch.setattr(quantize, "quantized", quantized)
    monkeypatch.setattr(quantize, "judge", judged)
    load = {True: "int8", False: "float32"}.__getitem__
    assert keep_int8(tmp_path, "model.onnx", cast(Any, load), cast(Any, "exact"), PAGES) is kept
    assert (tmp_path / "model.int8.onnx").is_file() is kept
    assert (tmp_path / "model.onnx").is_file()
    assert read_json(tmp_path / "int8.json") == {
        "kept": kept,
        "pages": 50,
        "macro_f1_change": 0.0,
        "agreement": 1.0,
        "speed": 1.2,
    }
