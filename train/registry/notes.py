"""What is kept on a version of what the gate decided about it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime
from typing import Any

from train.common.markdown import plain, table
from train.registry.rule_result import RuleResult
from train.tracking.store import REGISTERED_MODEL

LONGEST_FINDING, LONGEST_REASON = 160, 1000
"""Characters kept of what a rule found and of why it was overruled: MLflow's tags are bounded."""


def note_decision(
    client: Any, number: str, decision: str, results: Sequence[RuleResult], *, forced: str | None
) -> None:
    """Writes a version's description and its tags `gate`, `gate.decided`, `gate.verdicts` and `gate.forced`.

    Args:
        client: An `MlflowClient`.
        number: The number of the version.
        decision: `promoted` or `refused`.
        results: The result of each rule.
        forced: Why the version serves although a rule refused it, or None.
    """
    results = [replace(result, found=result.found[:LONGEST_FINDING]) for result in results]
    forced = forced[:LONGEST_REASON] if forced else None
    client.update_model_version(REGISTERED_MODEL, number, _description(decision, results, forced))
    tags = {
        "gate": decision,
        "gate.decided": now(),
        "gate.verdicts": json.dumps([asdict(result) for result in results]),
        **({"gate.forced": forced} if forced else {}),
    }
    for name, value in tags.items():
        client.set_model_version_tag(REGISTERED_MODEL, number, name, value)


def now() -> str:
    """The time in UTC, to the second, as ISO 8601."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def _description(decision: str, results: Sequence[RuleResult], forced: str | None) -> str:
    """Decision and results in Markdown, for MLflow's page of the version."""
    rows = [
        [result.rule, "pass" if result.passed else "**refused**", plain(result.found), plain(result.wanted)]
        for result in results
    ]
    why = f"\nForced: {plain(forced)}" if forced else ""
    return f"{decision} {now()}\n\n{table(['rule', '', 'found', 'wanted'], rows)}{why}"
