"""Asking MLflow's registry: a thing that is not there is no error, a store that does not answer is one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from train.common.errors import InputError
from train.tracking.senders import first_line
from train.tracking.store import connect


def open_client() -> Any:
    """An `MlflowClient` of the store that runs are tracked in.

    Raises:
        InputError: The store does not answer.
    """
    connect()
    import mlflow

    return mlflow.MlflowClient()


def ask(question: Callable[[Any], Any]) -> Any | None:
    """Asks the registry for a thing.

    Args:
        question: Takes the client and returns what it answers.

    Returns:
        The answer, or None when the thing is not there.

    Raises:
        InputError: The store does not answer, which is not the same.
    """
    from mlflow.exceptions import MlflowException

    try:
        return question(open_client())
    except MlflowException as error:
        if error.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE", "NOT_FOUND"):
            return None
        raise InputError(
            f"MLflow's registry does not answer: {first_line(error)}",
            expected="a reachable store",
            remedy="try again, or mend MLFLOW_TRACKING_URI",
            rule="no-mlflow",
        ) from None
