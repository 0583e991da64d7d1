"""How processes end: signals that ask for it become an exception, so that everything open is closed; and whether one
has."""

from __future__ import annotations

import os
import platform
import signal
import threading
import time
from collections.abc import Hashable, Iterator, MutableMapping
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import TypeVar

K = TypeVar("K", bound=Hashable)
_ENDING = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)
"""Signals that ask a process to end."""


class Interrupted(BaseException):
    """A signal asked the process to end.

    Args:
        number: The signal.
    """

    def __init__(self, number: int) -> None:
        self.number = number
        super().__init__(signal.Signals(number).name)


@contextmanager
def signals_raise() -> Iterator[None]:
    """Within the block, SIGTERM, SIGHUP and SIGINT raise Interrupted (in the main thread; elsewhere nothing changes).

    Python drops what is raised in a finaliser, or in a callback that a C library calls: then it is raised at the end of
    the block.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    received: list[int] = []

    def interrupt(number: int, frame: FrameType | None) -> None:
        received.append(number)
        raise Interrupted(number)

    before = {number: signal.signal(number, interrupt) for number in _ENDING}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if received:
        raise Interrupted(received[0])


@contextmanager
def signals_wait() -> Iterator[None]:
    """Within the block, signals that end the process wait: an exception in the middle of an extension module's import
    would abort it."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _ENDING)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def process_id() -> str:
    """Names this process among those of all machines, for `owner_is_dead`."""
    return f"{platform.node()} {os.getpid()}"


def owner_is_dead(owner: str) -> bool:
    """Whether a process that named itself by `process_id` was on this machine and is no more; of other machines nobody
    knows."""
    host, _, pid = owner.rpartition(" ")
    return host == platform.node() and not alive(int(pid))


def stale_for(since: MutableMapping[K, float], key: K) -> float:
    """For how many seconds this process has seen something, by its own clock: that of another machine tells nothing.

    Args:
        since: When what was first seen; kept between calls.
        key: What is seen now.
    """
    now = time.monotonic()
    return now - since.setdefault(key, now)


def alive(pid: int) -> bool:
    """Whether there is such a process on this machine."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    with suppress(
        OSError
    ):  # one that has ended and was not waited for, as in containers whose first process waits for none
        return Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()[
            0
        ] not in ("Z", "X")
    return pid > 0
