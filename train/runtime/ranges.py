"""The range of every value of a bundle's manifest that an answer depends on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from .text import ROLES

MOST_NEIGHBOURS = 1_000
MOST_TOKENS = 100_000
MOST_TOPICS = 100_000
_Range = tuple[str, Any, type, float, float]
"""The name of a value, the value, its kind, the least and the most it may be."""


def out_of_range(manifest: Mapping[str, Any]) -> str | None:
    """The first value that is of another kind or beyond its range, in words; None where there is none.

    Args:
        manifest: A manifest of this schema and of a family that there is, its numbers finite.
    """
    try:
        for name, value, kind, least, most in _ranges(manifest):
            # bool is an int to Python, and no number here.
            well = isinstance(value, kind if kind is not float else (float, int)) and (
                kind is bool or not isinstance(value, bool)
            )
            size = len(value) if well and kind in (str, list) else value
            if not well or not least <= size <= most:
                return f"{name} is {value!r:.80}, expected {_kind(kind)} from {least:g} to {most:g}"
        topics = manifest["topics"]
        if len(set(topics)) != len(topics):
            return "topics twice"
        if set(dict(manifest.get("calibration") or {"thresholds": {}})["thresholds"]) - set(ROLES):
            return "thresholds of roles that are none"
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        return f"too little or something else ({error!r})"
    return None


def _kind(kind: type) -> str:
    return {float: "a number", int: "a whole number", bool: "true or false,", str: "a text of a length"}.get(
        kind, "a list of a length"
    )


def _ranges(manifest: Mapping[str, Any]) -> Iterator[_Range]:
    yield "name", manifest["name"], str, 1, 1_000
    yield "topics", manifest["topics"], list, 0, MOST_TOPICS
    for topic in manifest["topics"]:
        yield "a topic", topic, str, 0, 10_000
    yield "topic_word_limit", manifest.get("topic_word_limit", 1), int, 1, 1_000_000
    yield from _of_decoder(manifest["decoder"])
    calibration = manifest.get("calibration")
    if calibration is not None:
        for name in ("role_temperature", "topic_temperature"):
            yield name, calibration[name], float, 1e-3, 1e3
        for role, least in calibration["thresholds"].items():
            if least is not None:
                yield f"the threshold of {role}", least, float, 0, 2  # older bundles hold 2.0 where no answer is sure
    if manifest["family"] == "baseline":
        settings = {"captions": False, **manifest["baseline"]}
        for name in ("before", "after", "reach"):
            yield name, settings.pop(name), int, 0, MOST_NEIGHBOURS
        for name in ("numbers", "captions"):
            yield name, settings.pop(name), bool, 0, 1
        yield "other settings of the baseline", list(settings), list, 0, 0
    else:
        settings = dict(manifest["segments"])
        yield "head", settings.pop("head"), int, 1, MOST_TOKENS
        yield "tail", settings.pop("tail"), int, 0, MOST_TOKENS
        for name in ("opening", "closing", "pad"):
            yield f"the {name} token", settings.pop(name), int, 0, 2**31 - 1
        yield "other settings of segments", list(settings), list, 0, 0


def _of_decoder(decoder: Mapping[str, Any]) -> Iterator[_Range]:
    rows = decoder["log_transition"]
    for name, row in (
        ("log_start", decoder["log_start"]),
        ("log_prior", decoder["log_prior"]),
        *(("log_transition", row) for row in rows),
    ):
        yield name, row, list, 4, 4
        for value in row:
            yield f"a value of {name}", value, float, -1e3, 1e-6  # logarithms of probabilities, rounded
    yield "log_transition", rows, list, 4, 4
    for name in ("weight", "prior_weight"):
        yield name, decoder[name], float, 0, 1e3
