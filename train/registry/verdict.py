"""What a rule of the gate found."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Verdict:
    """What one rule says.

    Args:
        rule: Its name.
        passed: Whether it lets the model pass.
        found: What was found.
        wanted: What was wanted.
    """

    rule: str
    passed: bool
    found: str
    wanted: str
