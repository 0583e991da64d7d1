from __future__ import annotations

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from tests.helpers.commands import free_port
from tests.helpers.paths import ROOT

NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))


@pytest.mark.slow
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
@pytest.mark.filterwarnings("ignore")
def test_notebooks_run_top_to_bottom(
    path: Path, corpus: Path, runs_store: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import mlflow

    client = mlflow.MlflowClient(tracking_uri=runs_store)
    run = client.search_runs(
        [str(client.get_experiment_by_name("newsparts").experiment_id)], "tags.family = 'baseline'"
    )[0]
    monkeypatch.setenv("NEWSPARTS_CORPUS", str(corpus))
    monkeypatch.setenv("NEWSPARTS_RUN", run.data.params["output"])
    monkeypatch.setenv("NEWSPARTS_MODEL", f"models:/{run.outputs.model_outputs[0].model_id}")
    monkeypatch.setenv("NEWSPARTS_PORT", str(free_port()))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", runs_store)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    notebook = nbformat.read(path, as_version=4)
    (tmp_path / "notebooks").mkdir()
    NotebookClient(
        notebook, timeout=120, kernel_name="python3", resources={"metadata": {"path": str(tmp_path / "notebooks")}}
    ).execute()


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebooks_are_committed_without_outputs_and_compile(path: Path) -> None:
    notebook = nbformat.read(path, as_version=4)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert code
    for cell in code:
        assert not cell.outputs
        assert cell.execution_count is None
        compile(cell.source, path.name, "exec")
