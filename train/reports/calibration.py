"""How sure a model may be, as one page: reliability before and after temperature, accuracy of the surest answers, thresholds."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from train.reports.figures import reliability
from train.reports.html import table, write_page


def write_calibration_page(path: Path, certainty: Mapping[str, Any]) -> None:
    """Writes what `calibration.json` says as HTML.

    Args:
        path: The page.
        certainty: `calibration` (temperatures and thresholds), and `validation` and `test`, each with `before` and `after`: what
            `train.models.calibrating.reliability` answers.
    """
    chosen = certainty["calibration"]
    settings = [("role temperature", chosen["role_temperature"]), ("topic temperature", chosen["topic_temperature"])]
    settings += [(f"unsure below, {role}", value) for role, value in chosen["thresholds"].items()]
    parts = ["<p>Chosen on validation pages; confidence of roles, segments of three words or more.</p>", table(["", ""], settings)]
    for part in ("validation", "test"):
        found = certainty[part]
        bins = {name: found[name]["bins"] for name in ("before", "after")}
        parts.append(f"<h2>{part}</h2>")
        parts.append(f'<div class="figures">{reliability(bins, f"{part}: share that is right, by confidence")}')
        scores = [[name, found[name]["ece"], found[name]["brier"]] for name in ("before", "after")]
        coverage = [[share, value] for share, value in found["after"]["coverage"].items()]
        parts.append(f"<div>{table(['temperature', 'ECE', 'Brier'], scores)}{table(['the surest', 'are right'], coverage)}</div></div>")
    write_page(path, "Calibration", parts)
