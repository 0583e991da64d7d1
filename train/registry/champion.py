"""Which version serves: the alias `champion`, and the versions that had it before."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from train.common.errors import InputError
from train.registry import mlflow_client
from train.registry.lock import locked
from train.registry.notes import note_decision, now
from train.registry.rule_result import RuleResult
from train.registry.versions import CHAMPION, version_of
from train.tracking.store import REGISTERED_MODEL

HISTORY = "champion.history"
"""Tag of the registered model: the versions that served, the present one last."""


class ChampionMoved(Exception):
    """Another version became champion since the gate compared with the one before."""


def promote(number: str, results: Sequence[RuleResult], *, against: str | None, forced: str | None = None) -> None:
    """Makes a version the champion, and keeps on it why.

    Args:
        number: The number of the version.
        results: The result of each rule of the gate.
        against: The number of the champion it was judged against, or None where there was none.
        forced: Why it serves although a rule refused it; None, the default, when none did.

    Raises:
        ChampionMoved: Another is champion by now; nothing was changed.
    """
    client = mlflow_client.open_client()
    with locked(client):
        before = version_of(CHAMPION)
        if (None if before is None else str(before.version)) != against:
            raise ChampionMoved
        note_decision(client, number, "promoted", results, forced=forced)
        served = history()
        if before is not None and str(before.version) not in served[-1:]:
            served.append(str(before.version))  # the alias was moved by other hands
        # The alias first: history is told from it, and a kill between the two loses nothing.
        client.set_registered_model_alias(REGISTERED_MODEL, CHAMPION, number)
        client.set_registered_model_tag(
            REGISTERED_MODEL, HISTORY, json.dumps([*(v for v in served if v != number), number])
        )


def refuse(number: str, results: Sequence[RuleResult]) -> None:
    """Keeps on a version why it does not serve.

    Args:
        number: The number of the version.
        results: The result of each rule of the gate.
    """
    note_decision(mlflow_client.open_client(), number, "refused", results, forced=None)


def rollback() -> tuple[str, str]:
    """Makes the version that served before the champion again.

    Returns:
        The version that served till now, and the one that serves again.

    Raises:
        InputError: None served before.
    """
    client = mlflow_client.open_client()
    with locked(client):
        return _roll_back(client)


def _roll_back(client: Any) -> tuple[str, str]:
    champion = version_of(CHAMPION)
    if champion is None:
        raise InputError("no version serves", expected="a champion", remedy="make promote makes one", rule="no-history")
    replaced = str(champion.version)
    served = history()
    earlier = served[: served.index(replaced)] if replaced in served else served
    while earlier and mlflow_client.ask(lambda client: client.get_model_version(REGISTERED_MODEL, earlier[-1])) is None:
        earlier.pop()  # it was deleted
    if not earlier:
        raise InputError(
            f"no version served before version {replaced}, or none that is left",
            expected="a champion before the champion",
            remedy="make promote VERSION=… makes another one",
            rule="no-history",
        )
    client.set_registered_model_alias(REGISTERED_MODEL, CHAMPION, earlier[-1])
    client.set_registered_model_tag(REGISTERED_MODEL, HISTORY, json.dumps(earlier))
    client.set_model_version_tag(REGISTERED_MODEL, replaced, "rolled_back", now())
    return replaced, earlier[-1]


def history() -> list[str]:
    """Versions that served, in order; the champion is the last."""
    model = mlflow_client.ask(lambda client: client.get_registered_model(REGISTERED_MODEL))
    return [] if model is None else [str(v) for v in json.loads(model.tags.get(HISTORY, "[]"))]
