"""The queue of what a run sends to a store that may be away: sent at once, or kept on disk in order and sent later."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from train.common.console import console
from train.common.errors import InputError
from train.common.files import write_text

UNSENT = "unsent.jsonl"
"""In a run's output folder: the entries that wait for the store, a JSON object a line."""
FIRST_PAUSE_S, LONGEST_PAUSE_S = 5.0, 300.0
"""Between two tries while the store is away; each is twice the one before."""
Entry = dict[str, Any]
"""`op` names a sender, `run` the run; the rest are its arguments."""


class Away(Exception):
    """The store does not answer, or does not take it; it may later."""


class Outbox:
    """Entries on their way to the store, in the order they were put.

    Args:
        path: The file for entries that wait.
        send: Sends one entry, or raises `Away`. Returns the names of what it made, which later entries use: ours -> the
            store's.
        where: The store's name in messages.
    """

    def __init__(self, path: Path, send: Callable[[Entry], dict[str, str]], where: str) -> None:
        self.path, self.where = path, where
        self.names: dict[str, str] = {}
        """What sent entries made: the name it was put under -> the store's."""
        self._send = send
        self._pending = read_pending(path)
        self._torn = path.is_file() and not path.read_bytes().endswith(b"\n")
        self._pause, self._next_try = FIRST_PAUSE_S, 0.0

    @property
    def pending(self) -> int:
        """How many entries wait."""
        return len(self._pending)

    def runs(self) -> set[str]:
        """The runs that entries wait for."""
        return {str(entry["run"]) for entry in self._pending}

    def put(self, entry: Entry) -> None:
        """Sends an entry after those that wait; keeps it when the store is away."""
        if self._pending and (time.monotonic() < self._next_try or self.flush() is not None):
            return self._keep(entry)
        entry = self._named(entry)  # what waited may have made its run
        try:
            self.names |= self._send(entry)
        except Away as error:
            console.print(
                f"{self.where} does not take what this run tells it ({error}); the run goes on, and keeps it in "
                f"{self.path}",
                style="yellow",
                markup=False,
                soft_wrap=True,
            )
            self._wait(FIRST_PAUSE_S)
            self._keep(entry)

    def _keep(self, entry: Entry) -> None:
        self._pending.append(entry)
        if self._torn:  # behind half a line, this one would be no entry either
            return self._write()
        self._torn = True  # until the line is whole
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(entry) + "\n")
            file.flush()
            os.fsync(file.fileno())
        self._torn = False

    def flush(self) -> str | None:
        """Sends what waits; returns why not all of it could be sent, or None."""
        why = None
        sent = 0
        while self._pending and why is None:
            try:
                names = self._send(self._pending[0])
            except Away as error:
                why = str(error)
                continue
            self._pending.pop(0)
            sent += 1
            if names:  # what was made must not be made twice, whatever happens next
                self.names |= names
                self._pending = [self._named(entry) for entry in self._pending]
                self._write()
        if sent:
            self._write()
        self._wait(min(2 * self._pause, LONGEST_PAUSE_S) if why else FIRST_PAUSE_S)
        return why

    def _named(self, entry: Entry) -> Entry:
        """The entry, its run by the store's name where there is one."""
        return {**entry, "run": self.names.get(entry["run"], entry["run"])}

    def _wait(self, pause: float) -> None:
        self._pause = pause
        self._next_try = time.monotonic() + pause

    def _write(self) -> None:
        if self._pending:
            write_text(self.path, "".join(json.dumps(entry) + "\n" for entry in self._pending))
        else:
            self.path.unlink(missing_ok=True)
        self._torn = False


def read_pending(path: Path) -> list[Entry]:
    """The entries of a file; a last line that a kill left half is passed over. None where there is no file.

    Raises:
        InputError: Something else is in the file.
    """
    if not path.is_file():
        return []
    entries: list[Entry] = []
    lines = path.read_bytes().splitlines(keepends=True)
    for number, line in enumerate(lines, start=1):
        try:
            entry = json.loads(line)
            entries.append({**entry, "op": entry["op"], "run": entry["run"]})
        except (ValueError, TypeError, KeyError):
            if number == len(lines) and not line.endswith(b"\n"):
                break
            raise InputError(
                "no entry of an outbox",
                expected="what a run keeps for its store",
                remedy="move the file away; its run then lacks what is in it",
                path=path,
                line=number,
                rule="bad-unsent",
            ) from None
    return entries
