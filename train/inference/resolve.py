"""From the name of a model, a folder or an MLflow URI, to the model, loaded."""

from __future__ import annotations

import re
from pathlib import Path

from train.common.addresses import without_secrets
from train.common.errors import InputError
from train.common.generation import finished_run
from train.export.pretrained import pretrained_bundle
from train.runtime import BundleError, Labeler
from train.tracking.senders import first_line
from train.tracking.store import connect

_SCHEMES = ("models:/", "runs:/", "mlflow-artifacts:/")
PRETRAINED = "pretrained"
"""The name of the model that comes with the package."""


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
    """The bundle of a model: a bundle folder, a run's output folder, a URI of the store that runs are tracked in, or
    `pretrained`.

    Of an MLflow model only the bundle's data is loaded, by our own code. MLflow itself runs the code of a model that it
    loads (models from code), as `serve` does.

    Raises:
        InputError: There is no such model, or the URI is of another place: nothing is asked of it.
    """
    if is_folder(model):
        for folder in _places(Path(model)):
            if (folder / "bundle.json").is_file():
                return folder
        if model == PRETRAINED:
            return pretrained_bundle()
        raise InputError(
            "no bundle there" if Path(model).is_dir() else "no such folder",
            expected="a bundle, the output folder of a finished `fit`, or a URI like models:/newsparts@champion",
            remedy="train with `make train CONFIG=…` first, or check the path",
            path=model,
            rule="no-model",
        )
    if not re.match(r"(models|runs|mlflow-artifacts):/(?!/)", model):
        raise InputError(
            f"a model of {model.partition(':')[0]!r}",
            expected=f"a folder, or one of the store of MLFLOW_TRACKING_URI: {', '.join(_SCHEMES)}",
            remedy="copy the bundle to a folder and name that, or register the model",
            path=without_secrets(model),
            rule="foreign-model",
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
    return next((place for place in _places(folder) if (place / "bundle.json").is_file()), folder)


def is_folder(model: str) -> bool:
    """Whether a model is named by its folder, not by a URI; a folder that is there is one, whatever it is called."""
    return Path(model).is_dir() or not re.match(r"[A-Za-z][A-Za-z0-9+.-]*:", model)


def _places(folder: Path) -> tuple[Path, ...]:
    """Where the bundle is in a folder: it may be the folder, a run's output or an MLflow model."""
    return folder, finished_run(folder) / "bundle", folder / "artifacts" / "bundle"
