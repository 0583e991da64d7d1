"""The model registry: a bundle that a run logged becomes a version of `newsparts`, and aliases say which is tried and
which serves."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from contextlib import redirect_stderr
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from io import StringIO
from typing import TYPE_CHECKING, Any

from train.common.errors import InputError
from train.common.markdown import plain, table
from train.tracking.senders import first_line
from train.tracking.store import REGISTERED_MODEL, connect, has_model

if TYPE_CHECKING:
    from train.registry.rule_result import RuleResult
    from train.training.outcome import Outcome
from train.registry.lock import locked

CHAMPION, CHALLENGER = "champion", "challenger"
HISTORY = "champion.history"
"""Tag of the registered model: versions that served, the present one last."""
LONGEST_FINDING, LONGEST_REASON = 160, 1000
"""Characters kept of what a rule found and of why it was overruled: MLflow's tags are bounded."""


@dataclass(frozen=True)
class Registered:
    """A registered version.

    Args:
        name: Of the registered model.
        version: Its number.
        uri: By the alias it was given.
        was_new: Whether it was not a version already.
    """

    name: str
    version: str
    uri: str
    was_new: bool


class ChampionMoved(Exception):
    """Another version became champion since the gate compared with the one before."""


def register(
    model_uri: str, *, bundle_version: str, tags: dict[str, str] | None = None, alias: str = CHALLENGER
) -> Registered:
    """Registers a logged model and points the alias at it; a bundle that is a version already is not registered again.

    Args:
        model_uri: `models:/m-…` as logging returned it.
        bundle_version: The bundle's version; kept as tag `bundle.version`.
        tags: Further tags of the version, e.g. `corpus.sha256` and `split.sha256`.
        alias: The alias to move.

    Raises:
        InputError: The store has no such model.
    """
    if not has_model(model_uri):
        raise InputError(
            f"the store has no model {model_uri}",
            expected="the store the run was tracked in",
            rule="no-model",
            remedy="set MLFLOW_TRACKING_URI as it was in training, or train it again",
        )
    client = _client()
    import mlflow

    known = None
    with locked(client):
        if _found(lambda client: client.get_registered_model(REGISTERED_MODEL)) is None:
            client.create_registered_model(
                REGISTERED_MODEL, description="Labels the segments of news pages, and each story's topic."
            )
        else:
            versions = client.search_model_versions(f"name = '{REGISTERED_MODEL}'")
            known = next((v for v in versions if v.tags.get("bundle.version") == bundle_version), None)
        with redirect_stderr(StringIO()):  # it would say that the model exists, as it should
            made = known or mlflow.register_model(
                model_uri, REGISTERED_MODEL, tags={"bundle.version": bundle_version, **(tags or {})}
            )
        client.set_registered_model_alias(REGISTERED_MODEL, alias, made.version)
    return Registered(REGISTERED_MODEL, str(made.version), f"models:/{REGISTERED_MODEL}@{alias}", known is None)


def register_outcome(outcome: Outcome) -> Registered:
    """Registers the model that a tracked run logged, as challenger."""
    tags = {"corpus.sha256": outcome.corpus_sha256, "split.sha256": outcome.split_sha256, "run": str(outcome.run_id)}
    return register(str(outcome.model_uri), bundle_version=outcome.version, tags=tags)


def version_of(alias: str) -> Any | None:
    """The version an alias names, or None."""
    return _found(lambda client: client.get_model_version_by_alias(REGISTERED_MODEL, alias))


def version(number: str) -> Any:
    """A version by its number, or by its alias.

    Raises:
        InputError: There is none.
    """
    found = version_of(number)
    if found is None and number.isdigit():
        found = _found(lambda client: client.get_model_version(REGISTERED_MODEL, number))
    if found is None:
        raise InputError(
            f"no version or alias {number!r} of {REGISTERED_MODEL}",
            expected="a registered version",
            rule="no-version",
            remedy="make register MODEL=outputs/… makes one and calls it challenger; make ui lists them",
        )
    return found


def promote(number: str, results: Sequence[RuleResult], *, against: str | None, forced: str | None = None) -> None:
    """Makes a version the champion, and keeps on it why.

    Args:
        number: Of the version.
        results: What the gate said.
        against: The champion it was judged against, or None where there was none.
        forced: Why it serves although a rule refused it.

    Raises:
        ChampionMoved: Another is champion by now; nothing was changed.
    """
    client = _client()
    with locked(client):
        before = version_of(CHAMPION)
        if (None if before is None else str(before.version)) != against:
            raise ChampionMoved
        _note(client, number, "promoted", results, forced)
        served = history()
        if before is not None and str(before.version) not in served[-1:]:
            served.append(str(before.version))  # the alias was moved by other hands
        # The alias first: history is told from it, and a kill between the two loses nothing.
        client.set_registered_model_alias(REGISTERED_MODEL, CHAMPION, number)
        client.set_registered_model_tag(
            REGISTERED_MODEL, HISTORY, json.dumps([*(v for v in served if v != number), number])
        )


def refuse(number: str, results: Sequence[RuleResult]) -> None:
    """Keeps on a version why it does not serve."""
    _note(_client(), number, "refused", results, None)


def rollback() -> tuple[str, str]:
    """Makes the version that served before the champion again.

    Returns:
        The version that served till now, and the one that serves again.

    Raises:
        InputError: None served before.
    """
    client = _client()
    with locked(client):
        return _roll_back(client)


def _roll_back(client: Any) -> tuple[str, str]:
    present = version_of(CHAMPION)
    if present is None:
        raise InputError("no version serves", expected="a champion", remedy="make promote makes one", rule="no-history")
    gone = str(present.version)
    served = history()
    kept = served[: served.index(gone)] if gone in served else served
    while kept and _found(lambda client: client.get_model_version(REGISTERED_MODEL, kept[-1])) is None:
        kept.pop()  # it was deleted
    if not kept:
        raise InputError(
            f"no version served before version {gone}, or none that is left",
            expected="a champion before the champion",
            remedy="make promote VERSION=… makes another one",
            rule="no-history",
        )
    client.set_registered_model_alias(REGISTERED_MODEL, CHAMPION, kept[-1])
    client.set_registered_model_tag(REGISTERED_MODEL, HISTORY, json.dumps(kept))
    client.set_model_version_tag(REGISTERED_MODEL, gone, "rolled_back", _now())
    return gone, kept[-1]


def history() -> list[str]:
    """Versions that served, in order; the champion is the last."""
    model = _found(lambda client: client.get_registered_model(REGISTERED_MODEL))
    return [] if model is None else [str(v) for v in json.loads(model.tags.get(HISTORY, "[]"))]


def _found(ask: Callable[[Any], Any]) -> Any | None:
    """What the registry answers, or None when the thing is not there.

    Raises:
        InputError: The store does not answer, which is not the same.
    """
    from mlflow.exceptions import MlflowException

    try:
        return ask(_client())
    except MlflowException as error:
        if error.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE", "NOT_FOUND"):
            return None
        raise InputError(
            f"MLflow's registry does not answer: {first_line(error)}",
            expected="a reachable store",
            remedy="try again, or mend MLFLOW_TRACKING_URI",
            rule="no-mlflow",
        ) from None


def _note(client: Any, number: str, decision: str, results: Sequence[RuleResult], forced: str | None) -> None:
    short = [replace(v, found=v.found[:LONGEST_FINDING]) for v in results]
    rows = [[v.rule, "pass" if v.passed else "**refused**", plain(v.found), plain(v.wanted)] for v in short]
    forced = forced[:LONGEST_REASON] if forced else None
    why = f"\nForced: {plain(forced)}" if forced else ""
    description = f"{decision} {_now()}\n\n{table(['rule', '', 'found', 'wanted'], rows)}{why}"
    client.update_model_version(REGISTERED_MODEL, number, description)
    tags = {"gate": decision, "gate.decided": _now(), "gate.verdicts": json.dumps([asdict(v) for v in short])}
    for name, value in {**tags, **({"gate.forced": forced} if forced else {})}.items():
        client.set_model_version_tag(REGISTERED_MODEL, number, name, value)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _client() -> Any:
    connect()
    import mlflow

    return mlflow.MlflowClient()
