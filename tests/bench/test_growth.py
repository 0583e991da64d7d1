"""What the bench says of growth is computed from its rows."""

from __future__ import annotations

from train.bench.growth import Measurement, table, verdict


def _rows(step: str, seconds: tuple[float, ...], peaks: tuple[float, ...]) -> list[Measurement]:
    return [
        Measurement(step, 10**i, s, mb, 50.0) for i, (s, mb) in enumerate(zip(seconds, peaks, strict=True), start=3)
    ]


def test_the_verdict_names_the_steepest_step_and_how_labelling_grows() -> None:
    rows = [
        *_rows("check", (1.0, 5.0, 25.0), (100.0, 100.0, 100.0)),
        *_rows("label", (0.5, 5.0, 50.0), (300.0, 310.0, 330.0)),
    ]
    assert (
        verdict(rows)
        == "largest slope of time 1.00 (label); label's peak memory 1.10 times as large for 100 times the segments."
    )
    steeper = [*rows, *_rows("split", (1.0, 100.0, 10_000.0), (60.0, 60.0, 60.0))]
    assert verdict(steeper).startswith("largest slope of time 2.00 (split); ")
    assert table(steeper).endswith(f"\n\n{verdict(steeper)}\n")


def test_one_size_has_no_verdict() -> None:
    rows = _rows("label", (0.5,), (300.0,))
    assert verdict(rows) == ""
    assert table(rows).endswith("| nan |\n")
    assert verdict([*rows, *_rows("check", (1.0, 10.0), (100.0, 100.0))]) == "largest slope of time 1.00 (check)."
