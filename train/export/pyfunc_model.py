"""Models from code: MLflow runs this file in the service, where `train` is not installed.

The reading code is the bundle's own copy, so what was measured is what serves.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import sys
from pathlib import Path
from typing import Any

import pandas as pd
from mlflow.exceptions import MlflowException
from mlflow.models import set_model
from mlflow.protos.databricks_pb2 import INVALID_PARAMETER_VALUE
from mlflow.pyfunc import PythonModel


class PageLabeler(PythonModel):  # type: ignore[misc]
    """One row a page: column `segments` (array of strings), optionally `page_id`; answers the record that `predict`
    prints."""

    def load_context(self, context: Any) -> None:
        """Loads the bundle with the bundle's own reading code."""
        folder = Path(context.artifacts["bundle"])
        _require_listed(folder)
        package = folder / "newsparts_runtime"
        # A name of its own for each bundle: two versions can be loaded side by side.
        name = f"newsparts_runtime_{abs(hash(str(folder.resolve()))):x}"
        spec = importlib.util.spec_from_file_location(
            name, package / "__init__.py", submodule_search_locations=[str(package)]
        )
        if spec is None or spec.loader is None:
            raise ImportError(f"{package} holds no reading code; export the bundle again")
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        spec.loader.exec_module(module)
        self.labeler = module.Labeler.load(folder)

    def predict(
        self, context: Any, model_input: pd.DataFrame, params: dict[str, Any] | None = None
    ) -> list[dict[str, Any]]:
        """Labels pages.

        Args:
            context: MLflow's.
            model_input: DataFrame with `segments` and, if wished, `page_id`; else pages are called page-0, page-1, ….
            params: None are known.
        """
        given = model_input["page_id"] if "page_id" in model_input else [None] * len(model_input)
        ids = [f"page-{i}" if _missing(page_id) else page_id for i, page_id in enumerate(given)]
        pages = [list(segments) for segments in model_input["segments"]]
        for i, page_id in enumerate(ids):
            if not isinstance(page_id, str):
                message = f"row {i}: page_id is {page_id!r}; expected a string, or no page_id"
                raise MlflowException(message, error_code=INVALID_PARAMETER_VALUE)  # a server answers 400
        return list(self.labeler.label(zip(ids, pages, strict=True)))


def _require_listed(folder: Path) -> None:
    """Raises an ImportError, before any code of a bundle runs, unless it is what the manifest lists and nothing lies
    beside it."""
    manifest = json.loads((folder / "bundle.json").read_bytes())
    listed = {"bundle.json": "", **manifest["files"], **manifest["documents"]}
    found = {p.relative_to(folder).as_posix(): p for p in folder.rglob("*") if p.is_symlink() or not p.is_dir()}
    changed = [
        name
        for name, path in found.items()
        if name.startswith("newsparts_runtime/") and hashlib.sha256(path.read_bytes()).hexdigest() != listed.get(name)
    ]
    wrong = sorted((found.keys() ^ listed.keys()) | set(changed))
    if wrong:
        raise ImportError(f"{folder / wrong[0]} is not what the bundle lists; copy the bundle again")


def _missing(value: Any) -> bool:
    return value is None or (isinstance(value, float) and value != value)


set_model(PageLabeler())
