"""The model registry: a bundle that a run logged becomes a version of `newsparts`, and an alias says which one serves."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from train.errors import InputError
from train.tracking import REGISTERED_MODEL, connect

CHAMPION = "champion"


@dataclass(frozen=True)
class Registered:
    """A registered version."""

    name: str
    version: str
    uri: str
    was_new: bool


def register(model_uri: str, *, bundle_version: str, alias: str = CHAMPION) -> Registered:
    """Registers a logged model and points the alias at it; a bundle that is a version already is not registered again.

    Args:
        model_uri: `models:/m-…` as logging returned it.
        bundle_version: The bundle's version; kept as tag `bundle.version`.
        alias: The alias to move.
    """
    connect()
    import mlflow
    from mlflow.exceptions import MlflowException

    client = mlflow.MlflowClient()
    known = None
    try:
        client.get_registered_model(REGISTERED_MODEL)
        versions = client.search_model_versions(f"name = '{REGISTERED_MODEL}'")
        known = next((v for v in versions if v.tags.get("bundle.version") == bundle_version), None)
    except MlflowException:
        client.create_registered_model(REGISTERED_MODEL, description="Labels the segments of news pages, and each story's topic.")
    made = known or mlflow.register_model(model_uri, REGISTERED_MODEL, tags={"bundle.version": bundle_version})
    client.set_registered_model_alias(REGISTERED_MODEL, alias, made.version)
    return Registered(REGISTERED_MODEL, str(made.version), f"models:/{REGISTERED_MODEL}@{alias}", known is None)


def bundle_folder(model: str) -> Path:
    """The bundle of a model: a bundle folder, a run's output folder, or any `models:/` or `runs:/` URI.

    Raises:
        InputError: There is no such model.
    """
    if ":/" not in model:
        for folder in (Path(model), Path(model) / "bundle"):
            if (folder / "bundle.json").is_file():
                return folder
        raise InputError(
            "no bundle there" if Path(model).is_dir() else "no such folder",
            expected="a bundle, the output folder of a finished `fit`, or a URI like models:/newsparts@champion",
            remedy="train with `make train CONFIG=…` first, or check the path",
            path=model,
            rule="no-model",
        )
    connect()
    import mlflow
    from mlflow.exceptions import MlflowException

    try:
        folder = Path(mlflow.artifacts.download_artifacts(artifact_uri=model))
    except (MlflowException, OSError) as error:
        raise InputError(
            f"MLflow has no model {model!r}: {str(error).splitlines()[0][:200]}",
            expected="a registered or logged model",
            remedy="`make demo` registers models:/newsparts@champion; `make ui` lists what there is",
            rule="no-model",
        ) from None
    return folder / "artifacts" / "bundle"
