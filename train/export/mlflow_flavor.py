"""The bundle as an MLflow model: one pyfunc for both families, models from code, no pickle."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from train.export.bundle import NAME, checked_manifest

EXAMPLE = [
    "Harbour bridge reopens after storm",
    "The bridge over the harbour reopened on Monday, four days after a storm tore away part of its deck.",
    "Related articles",
    "Ferry company adds night sailings",
    "All rights reserved",
]
"""Page of the model's input example: written for this project."""


def log_bundle(bundle: Path) -> Any:
    """Logs a bundle to the active run as model `newsparts`, with signature, input example and pinned requirements.

    Returns:
        MLflow's ModelInfo.
    """
    # The check would ask the package index; the pins come from this very environment.
    os.environ.setdefault("MLFLOW_SKIP_PIP_REQUIREMENTS_CHECK", "true")
    import mlflow
    import pandas as pd

    manifest = checked_manifest(bundle)
    return mlflow.pyfunc.log_model(
        name=NAME,
        python_model=str(Path(__file__).with_name("pyfunc_model.py")),
        artifacts={"bundle": bundle.resolve().as_uri()},  # a path would be read as an address, with its % ? #
        signature=signature(),
        input_example=pd.DataFrame({"segments": [EXAMPLE]}),
        pip_requirements=["mlflow", *(bundle / "requirements.txt").read_text(encoding="utf-8").split()],
        metadata={"bundle.version": manifest["version"], "family": manifest["family"], "schema": manifest["schema"]},
    )


def signature() -> Any:
    """One row a page: `segments` in, its record out."""
    from mlflow.models import ModelSignature
    from mlflow.types.schema import Array, ColSpec, DataType, Object, Property, Schema

    def prop(name: str, kind: Any, *, required: bool = True) -> Property:
        return Property(name, kind, required=required)

    scores = Object([prop(role, DataType.double) for role in ("main", "related", "boilerplate")])
    segment = Object(
        [
            prop("text", DataType.string),
            prop("role", DataType.string),
            prop("confidence", DataType.double),
            prop("scores", scores),
            prop("story", DataType.long, required=False),
        ]
    )
    story = Object(
        [
            prop("story", DataType.long),
            prop("role", DataType.string),
            prop("topic", DataType.string, required=False),
            prop("confidence", DataType.double),
            prop("segments", Array(DataType.long)),
        ]
    )
    model = Object([prop(name, DataType.string) for name in ("name", "version", "family")])
    return ModelSignature(
        inputs=Schema(
            [ColSpec(Array(DataType.string), "segments"), ColSpec(DataType.string, "page_id", required=False)]
        ),
        outputs=Schema(
            [
                ColSpec(DataType.string, "page_id"),
                ColSpec(Array(segment), "segments"),
                ColSpec(Array(story), "stories"),
                ColSpec(model, "model"),
            ]
        ),
    )
