"""One process at a time in a folder or a file: what is in use is in use."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from train.common.errors import InputError
from train.common.signals import process_id


@contextmanager
def in_use(path: Path, *, wait_s: float = 0.0) -> Iterator[None]:
    """Within the block, no other process of this project works at a path.

    The lock is the system's, on a file beside the path: it goes with its process, however that ends. The file says who
    holds it.

    Args:
        path: A folder or file, which need not be there.
        wait_s: For how many seconds another may go on holding it; 0 by default.

    Raises:
        InputError: Another holds it.
    """
    path = path.resolve()
    path.parent.mkdir(parents=True, exist_ok=True)
    file = path.with_name(f".{path.name}.lock")
    lock = FileLock(file)
    try:
        lock.acquire(timeout=wait_s)
    except Timeout:
        host, _, pid = (file.read_text(encoding="utf-8") if file.is_file() else "").rpartition(" ")
        raise InputError(
            f"in use by process {pid} on {host}" if pid else "in use by another process",
            expected="what no other process is working at",
            remedy="wait for it to end, stop it, or name another",
            path=path,
            rule="in-use",
        ) from None
    try:
        file.write_text(process_id(), encoding="utf-8")
        yield
    finally:
        file.unlink(missing_ok=True)  # while it is held: who waits for it sees that it is gone, and makes it anew
        lock.release()
