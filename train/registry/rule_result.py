"""The result of a rule of the gate."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class RuleResult:
    """The result of one rule.

    Args:
        rule: The name of the rule, e.g. `no-role-falls`.
        passed: Whether the rule lets the version pass.
        found: What was found, in words and with its number.
        wanted: What was wanted, in the same form.
    """

    rule: str
    passed: bool
    found: str
    wanted: str
