"""The one exception that reaches a user: what was found, what was expected, and what to do."""

from __future__ import annotations

import errno
import os
from pathlib import Path

from train.common.addresses import without_secrets

_FULL = (
    *map(os.strerror, (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)),
    "database or disk is full",
    "disk I/O error",
    "No usable temporary directory",
)
_CLOSED = (
    *map(os.strerror, (errno.EROFS, errno.EACCES, errno.EPERM)),
    "readonly database",
    "unable to open database file",
)


class InputError(Exception):
    """Something the user gave is wrong. The CLI prints it without a traceback and exits with code 2.

    No address in it shows a password.

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
        self.found, self.expected, self.remedy = map(without_secrets, (found, expected, remedy))
        self.path, self.line, self.rule = path, line, rule
        self.record: object = None
        """What was refused, as far as it could be decoded; goes to the quarantine file."""
        super().__init__(str(self))

    def at(self, path: Path | str | None, line: int | None) -> InputError:
        """The same error, placed in a file.

        Args:
            path: The file the error is in, or None.
            line: The 1-based line in that file, or None.
        """
        placed = InputError(
            self.found, expected=self.expected, remedy=self.remedy, path=path, line=line, rule=self.rule
        )
        placed.record = self.record
        return placed

    def about(self, record: object) -> InputError:
        """The same error, with the refused `record` attached to it."""
        self.record = record
        return self

    def __str__(self) -> str:
        where = "" if self.path is None else f"{self.path}:{self.line}: " if self.line else f"{self.path}: "
        return f"{where}{self.found}\n  expected: {self.expected}\n  remedy:   {self.remedy}"


def refusal_of_the_disk(error: BaseException) -> InputError | None:
    """The error to show a user when `error` comes from a disk that is full or may not be written; None when it comes
    from something else.

    Libraries wrap what the system says (MLflow, Arrow, torch), so the whole chain of causes is looked at."""
    seen: list[BaseException] = []
    link: BaseException | None = error
    while link is not None and link not in seen:
        seen.append(link)
        link = link.__cause__ or link.__context__
    file = next((str(one.filename) for one in seen if isinstance(one, OSError) and one.filename is not None), None)
    for one in seen:
        if type(one).__name__ == "RestException":
            continue  # MLflow's server tells of its own disk and rights, or of a user's
        reason = next((words for words in (*_FULL, *_CLOSED) if words in str(one)), None)
        if reason in _FULL:
            return InputError(
                reason,
                expected="room for what is written",
                path=file,
                rule="disk-full",
                remedy="free some, or name a folder elsewhere; then the same command again: it goes on, and what was "
                "whole is whole",
            )
        if reason is not None:
            return InputError(
                reason,
                expected="a path one may read or write",
                remedy="name another, or mend its rights",
                path=file,
                rule="no-rights",
            )
    if isinstance(error, OSError) and file is not None:
        return InputError(
            error.strerror or str(error),
            expected="a path one may read or write",
            remedy="name another",
            path=file,
            rule="bad-path",
        )
    return None
