"""One change of the registry at a time, also between machines."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any
from uuid import uuid4

from train.common.errors import InputError
from train.common.signals import owner_is_dead, process_id, stale_for
from train.tracking.store import REGISTERED_MODEL

LOCK = f"{REGISTERED_MODEL}.lock"
"""A registered model that is there while aliases move: making it is the one thing of MLflow's registry that only one
client can do."""
LONGEST_LOCK_S = 60.0
"""A lock that is seen longer is of a client that was killed; moving aliases takes a second."""


@contextmanager
def locked(client: Any) -> Iterator[None]:
    """Within the block, no other client of this project moves an alias or makes a version.

    Args:
        client: An `MlflowClient`.

    Raises:
        InputError: Others hold the lock for longer than they may.
    """
    from mlflow.exceptions import MlflowException

    deadline = time.monotonic() + 3 * LONGEST_LOCK_S
    token, seen = uuid4().hex, dict[str, float]()

    def is_abandoned(tags: Mapping[str, str]) -> bool:
        return owner_is_dead(tags.get("owner", "")) or stale_for(seen, tags.get("token", "")) > LONGEST_LOCK_S

    while True:
        try:
            client.create_registered_model(LOCK, {"owner": process_id(), "token": token}, "Held while aliases move.")
            break
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise
        if time.monotonic() > deadline:
            raise InputError(
                f"the registry is locked by {LOCK}",
                expected="a lock that is let go within a minute",
                rule="locked",
                remedy="see who moves aliases all the time; or delete that registered model",
            )
        with suppress(MlflowException):
            _unlock(client, is_abandoned)
        time.sleep(0.1)
    try:
        yield
    finally:
        _unlock(client, lambda tags: tags.get("token") == token)  # another may have taken ours for a killed one's


def _unlock(client: Any, when: Callable[[Mapping[str, str]], bool]) -> None:
    """Deletes the lock, when `when` answers True for its tags."""
    from mlflow.exceptions import MlflowException

    try:
        if when(client.get_registered_model(LOCK).tags):
            client.delete_registered_model(LOCK)
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":  # it was let go
            raise
