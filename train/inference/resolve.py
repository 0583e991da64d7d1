"""From the name of a model, a folder or an MLflow URI, to the model, loaded."""

from __future__ import annotations

from pathlib import Path

from train.common.errors import InputError
from train.common.generation import finished_run
from train.runtime import BundleError, Labeler
from train.tracking.senders import first_line
from train.tracking.store import connect


def load_labeler(model: str, *, sha256: str | None = None) -> Labeler:
    """Loads a model by folder or URI.

    Args:
        model: The folder or URI.
        sha256: What the sha256 of its bundle's manifest must be; None takes any.

    Raises:
        InputError: There is no such model, or its bundle must not be loaded.
    """
    try:
        return Labeler.load(bundle_folder(model), sha256=sha256)
    except BundleError as error:
        raise InputError(
            str(error), expected="a bundle as it was exported", remedy="see above", rule="bad-bundle"
        ) from None


def bundle_folder(model: str) -> Path:
    """The bundle of a model: a bundle folder, a run's output folder, or any `models:/` or `runs:/` URI.

    Raises:
        InputError: There is no such model.
    """
    if ":/" not in model:
        for folder in (Path(model), finished_run(Path(model)) / "bundle"):
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
            f"MLflow has no model {model!r}: {first_line(error)}",
            expected="a registered or logged model",
            remedy="`make demo` registers models:/newsparts@champion; `make ui` lists what there is",
            rule="no-model",
        ) from None
    return folder / "artifacts" / "bundle"
