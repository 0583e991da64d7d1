"""The one exception that reaches a user: what was found, what was expected, and what to do."""

from __future__ import annotations

from pathlib import Path


class InputError(Exception):
    """Something the user gave is wrong. The CLI prints it without a traceback and exits with code 2.

    Args:
        found: What is there, in the user's terms.
        expected: What should have been there.
        remedy: What the user can do about it.
        path: The file it is in, if any.
        line: The 1-based line in that file, if known.
        rule: A short stable name for reports and quarantine files, e.g. `bad-json`.
    """

    def __init__(
        self,
        found: str,
        *,
        expected: str,
        remedy: str,
        path: Path | str | None = None,
        line: int | None = None,
        rule: str = "bad-input",
    ) -> None:
        self.found, self.expected, self.remedy = found, expected, remedy
        self.path, self.line, self.rule = path, line, rule
        self.record: object = None
        """What was refused, as far as it could be decoded; goes to the quarantine file."""
        super().__init__(str(self))

    def at(self, path: Path | str | None, line: int | None) -> InputError:
        """The same error, placed in a file."""
        placed = InputError(self.found, expected=self.expected, remedy=self.remedy, path=path, line=line, rule=self.rule)
        placed.record = self.record
        return placed

    def about(self, record: object) -> InputError:
        """The same error, with what was refused."""
        self.record = record
        return self

    def __str__(self) -> str:
        where = "" if self.path is None else f"{self.path}:{self.line}: " if self.line else f"{self.path}: "
        return f"{where}{self.found}\n  expected: {self.expected}\n  remedy:   {self.remedy}"
