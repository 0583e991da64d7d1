"""A folder with all that the commands under test need."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.conftest import Once
from tests.helpers.cases import ON
from tests.helpers.configs import shrunk
from tests.helpers.pages import make_page
from train.corpus.read import write_pages
from train.registry.versions import register_outcome
from train.training.recipe import fit


@pytest.fixture(scope="session")
def made(once: Once, corpus: Path, backbone: Path, mlflow_template: Path) -> Path:
    """A folder with all that the commands need: corpus, configs, a store, a baseline that was trained and registered;
    tests copy it."""

    def make(folder: Path) -> None:
        shutil.copyfile(mlflow_template, folder / "mlflow.db")
        shutil.copyfile(corpus, folder / "pages.jsonl")
        write_pages(folder / "many.jsonl", [make_page(f"site{n % 9}", n) for n in range(1500)])
        for name, more in (("demo-baseline", ()), ("demo-encoder", ())):
            config = shrunk(name, Path("pages.jsonl"), backbone, Path("out"), *ON, *more)
            (folder / f"{name}.yaml").write_text(config.to_yaml(), encoding="utf-8")
        (folder / "space.yaml").write_text("baseline.C: {low: 0.1, high: 10.0, log: true}\n", encoding="utf-8")
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(folder)
            patch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{folder / 'mlflow.db'}")
            register_outcome(fit(shrunk("demo-baseline", folder / "pages.jsonl", backbone, folder / "trained", *ON)))

    return once("survival", make)
