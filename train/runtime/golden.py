"""Golden pages: pages that lie in a bundle with the answers the model gave when it was exported."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .labeler import Labeler
from .manifest import GOLDEN, BundleError

FILE = GOLDEN

TOLERANCE = 1e-3
"""Of confidences and scores; processors round differently. Labels, stories and topics must be equal."""


def without_model(record: Mapping[str, Any]) -> dict[str, Any]:
    """A record without the model's name, which the exported answers cannot know yet."""
    return {key: value for key, value in record.items() if key != "model"}


def read(folder: Path) -> list[dict[str, Any]]:
    """The golden answers of a bundle; each holds its page's segments too.

    Raises:
        BundleError: There are none.
    """
    try:
        with (folder / FILE).open(encoding="utf-8") as lines:
            pages = [json.loads(line) for line in lines]
        well = bool(pages) and all({"page_id", "segments", "stories"} <= page.keys() for page in pages)
    except (OSError, ValueError, AttributeError, RecursionError) as error:
        raise BundleError(f"{folder / FILE} is not readable ({error!r}). Copy the bundle again.") from None
    if not well:
        raise BundleError(f"{folder / FILE} holds no golden pages. Export the model again.")
    return pages


def differences(labeler: Labeler, folder: Path) -> list[str]:
    """Where a model predicts otherwise than when it was exported, page by page; empty when all is well.

    Args:
        labeler: The bundle's model, loaded.
        folder: The bundle's folder.

    Raises:
        BundleError: The bundle has no golden pages.
    """
    expected = read(folder)
    pages = [(page["page_id"], [segment["text"] for segment in page["segments"]]) for page in expected]
    lines = []
    for record, wanted in zip(labeler.label(pages), expected, strict=True):
        lines += [f"page {wanted['page_id']!r}, {where}" for where in _unlike(without_model(record), wanted, "")]
    return lines


def _unlike(given: Any, wanted: Any, where: str) -> list[str]:
    if isinstance(given, float) and isinstance(wanted, float):
        return [] if abs(given - wanted) <= TOLERANCE else [f"{where}: {given:g}, exported as {wanted:g}"]
    if isinstance(given, dict) and isinstance(wanted, dict) and given.keys() == wanted.keys():
        return [line for key in wanted for line in _unlike(given[key], wanted[key], f"{where}/{key}" if where else key)]
    if isinstance(given, list) and isinstance(wanted, list) and len(given) == len(wanted):
        return [
            line for i, (a, b) in enumerate(zip(given, wanted, strict=True)) for line in _unlike(a, b, f"{where}/{i}")
        ]
    return [] if given == wanted else [f"{where}: {given!r:.80}, exported as {wanted!r:.80}"]
