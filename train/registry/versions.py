"""Versions of the registered model: a bundle that a run logged becomes a version of `newsparts`, and aliases name the
one that is tried and the one that serves."""

from __future__ import annotations

from contextlib import redirect_stderr
from dataclasses import dataclass
from io import StringIO
from typing import TYPE_CHECKING, Any

from train.common.errors import InputError
from train.common.files import sha256_file
from train.registry import mlflow_client
from train.registry.lock import locked
from train.runtime.manifest import MANIFEST
from train.tracking.store import REGISTERED_MODEL, has_model

if TYPE_CHECKING:
    from train.training.outcome import Outcome

CHAMPION, CHALLENGER = "champion", "challenger"
"""Aliases of the version that serves, and of the one that is tried."""


@dataclass(frozen=True)
class Registered:
    """A registered version.

    Args:
        name: The name of the registered model.
        version: The number of the version.
        uri: The URI that names it by the alias it was given, `models:/newsparts@challenger`.
        was_new: Whether it was made now; False for a bundle that was a version already.
    """

    name: str
    version: str
    uri: str
    was_new: bool


def register(
    model_uri: str, *, bundle_version: str, tags: dict[str, str] | None = None, alias: str = CHALLENGER
) -> Registered:
    """Registers a logged model and points the alias at it; a bundle that is a version already is not registered again.

    Args:
        model_uri: `models:/m-…` as logging returned it.
        bundle_version: The bundle's version; kept as tag `bundle.version`.
        tags: Further tags of the version, e.g. `corpus.sha256` and `split.sha256`.
        alias: The alias that is moved to it; `challenger` by default.

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
    client = mlflow_client.open_client()
    import mlflow

    known = None
    with locked(client):
        if mlflow_client.ask(lambda client: client.get_registered_model(REGISTERED_MODEL)) is None:
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
    """Registers the model that a tracked run logged, as challenger; the sha256 of its manifest pins it there."""
    tags = {"corpus.sha256": outcome.corpus_sha256, "split.sha256": outcome.split_sha256, "run": str(outcome.run_id)}
    tags["bundle.sha256"] = sha256_file(outcome.output / "bundle" / MANIFEST)
    return register(str(outcome.model_uri), bundle_version=outcome.version, tags=tags)


def version_of(alias: str) -> Any | None:
    """The version (an MLflow `ModelVersion`) that an alias names, or None."""
    return mlflow_client.ask(lambda client: client.get_model_version_by_alias(REGISTERED_MODEL, alias))


def version(number: str) -> Any:
    """A version (an MLflow `ModelVersion`).

    Args:
        number: Its number, or an alias of it.

    Raises:
        InputError: There is none.
    """
    registered = version_of(number)
    if registered is None and number.isdigit():
        registered = mlflow_client.ask(lambda client: client.get_model_version(REGISTERED_MODEL, number))
    if registered is None:
        raise InputError(
            f"no version or alias {number!r} of {REGISTERED_MODEL}",
            expected="a registered version",
            rule="no-version",
            remedy="make register MODEL=outputs/… makes one and calls it challenger; make ui lists them",
        )
    return registered
