"""Pages and tiny models made in memory: no network, no outside data."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ["HF_HOME"] = tempfile.mkdtemp(prefix="newsparts-tests-")

import pytest
from filelock import FileLock
from hypothesis import settings

from tests.helpers.configs import ConfigMaker, shrunk
from tests.helpers.figures import figures
from tests.helpers.optional import untested
from tests.helpers.pages import make_page, mislabelled
from train.corpus.page import Page
from train.corpus.read import write_pages

# Machines are noisy: no example fails for its time; and every run draws the same examples.
settings.register_profile("newsparts", deadline=None, derandomize=True)
settings.load_profile("newsparts")

Once = Callable[[str, Callable[[Path], object]], Path]


@pytest.fixture(scope="session", autouse=True)
def _caches() -> Iterator[None]:
    """Caches of the tests go with them."""
    yield
    shutil.rmtree(os.environ["HF_HOME"], ignore_errors=True)


FIGURES_LOOKED_AT = frozenset({"reports", "browser", "notebooks"})
"""Rooms whose tests look at figures."""


@pytest.fixture(scope="session", autouse=True)
def _blank_figures() -> Iterator[None]:
    """Reports are written everywhere, with blank figures: session fixtures that are looked at draw theirs."""
    with figures(drawn=False):
        yield


@pytest.fixture(scope="module", autouse=True)
def _figures(request: pytest.FixtureRequest, _blank_figures: None) -> Iterator[None]:
    with figures(drawn=request.path.parent.name in FIGURES_LOOKED_AT):
        yield


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--model` names the model that tests/behaviour tests."""
    parser.addoption(
        "--model",
        default=None,
        help="model folder or URI for tests/behaviour; default: a small one trained on the spot",
    )


@pytest.hookimpl(trylast=True)
def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """The last lines: which claims were not tested here, and the command that would."""
    reasons = [
        str(report.longrepr[2]).removeprefix("Skipped: ") for report in terminalreporter.stats.get("skipped", [])
    ]
    for line in untested(reasons, slow_left_out="not slow" in config.option.markexpr):
        terminalreporter.write_line(line)


@pytest.fixture(scope="session")
def pages() -> list[Page]:
    """72 pages of 12 sites."""
    return [make_page(f"site{chr(97 + s)}", n) for s in range(12) for n in range(6)]


@pytest.fixture(scope="session")
def once(tmp_path_factory: pytest.TempPathFactory) -> Once:
    """`once("name", make)`: a folder that `make` fills, by the first of all workers that asks; the others wait for it.
    Read only."""
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base

    def folder(name: str, make: Callable[[Path], object]) -> Path:
        path = shared / "once" / name
        path.parent.mkdir(exist_ok=True)
        with FileLock(f"{path}.lock"):
            if not path.with_suffix(".done").exists():
                shutil.rmtree(path, ignore_errors=True)  # of a worker that failed
                path.mkdir()
                make(path)
                path.with_suffix(".done").touch()
        return path

    return folder


@pytest.fixture(scope="session")
def corpus(pages: list[Page], once: Once) -> Path:
    """The pages as a file."""
    return once("corpus", lambda folder: write_pages(folder / "pages.jsonl", pages)) / "pages.jsonl"


@pytest.fixture(scope="session")
def backbone(pages: list[Page], once: Once) -> Path:
    """A tiny random BERT with a vocabulary of the pages' words, as a Hub folder."""

    def make(folder: Path) -> None:
        import torch
        from transformers import BertConfig, BertModel, BertTokenizer

        words = sorted(
            {word.lower() for page in pages for s in page.segments for word in s.text.replace(".", " . ").split()}
        )
        vocabulary = {word: i for i, word in enumerate(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *words])}
        BertTokenizer(vocab=vocabulary).save_pretrained(folder)
        torch.manual_seed(0)
        sizes = {
            "hidden_size": 32,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "intermediate_size": 64,
            "max_position_embeddings": 128,
        }
        BertModel(BertConfig(vocab_size=len(vocabulary), **sizes)).save_pretrained(folder)

    return once("backbone", make)


@pytest.fixture(scope="session")
def trained(corpus: Path, backbone: Path, once: Once) -> Callable[[str], Path]:
    """`trained("demo-baseline")`: the output folder of a shipped config, shrunk, trained once for the whole run. Read
    only: who changes it copies it."""

    def output(name: str) -> Path:
        from train.training.recipe import fit

        return once(f"trained-{name}", lambda folder: fit(shrunk(name, corpus, backbone, folder), name=name)) / name

    return output


@pytest.fixture
def make_config(corpus: Path, backbone: Path, tmp_path: Path) -> ConfigMaker:
    """`make_config("demo-encoder", "encoder.epochs=2")`: a shrunk config that writes to the test's own folder."""
    return lambda name, *overrides: shrunk(name, corpus, backbone, tmp_path, *overrides)


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mlflow_template: Path) -> Path:
    """An MLflow store of the test's own; copied from one that is migrated already, which saves seconds a test."""
    path = tmp_path / "mlflow.db"
    shutil.copyfile(mlflow_template, path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{path}")
    monkeypatch.chdir(tmp_path)
    return path


@pytest.fixture(scope="session")
def mlflow_template(once: Once) -> Path:
    """A migrated, empty MLflow database."""

    def make(folder: Path) -> None:
        import mlflow

        mlflow.MlflowClient(f"sqlite:///{folder / 'mlflow.db'}").search_experiments()

    return once("mlflow", make) / "mlflow.db"


@pytest.fixture(scope="session")
def runs_store(
    pages: list[Page], backbone: Path, mlflow_template: Path, tmp_path_factory: pytest.TempPathFactory
) -> str:
    """The URI of a store with a run of the baseline and one of the encoder, compared."""
    from train.reports.comparison import write_comparison
    from train.studies.comparison import attach_comparison, compare_runs
    from train.training.recipe import fit

    folder = tmp_path_factory.mktemp("runs")
    store = f"sqlite:///{folder / 'mlflow.db'}"
    corpus = folder / "pages.jsonl"
    write_pages(corpus, [mislabelled(page) if i % 3 else page for i, page in enumerate(pages)])
    (folder / "mlflow.db").write_bytes(mlflow_template.read_bytes())
    on = ("tracking.enabled=true", "tracking.experiment=newsparts")
    with pytest.MonkeyPatch.context() as patch, figures(drawn=True):
        patch.setenv("MLFLOW_TRACKING_URI", store)
        made = [
            fit(shrunk("demo-baseline", corpus, backbone, folder, *on, "baseline.max_iterations=5")),
            fit(shrunk("demo-encoder", corpus, backbone, folder, *on)),
        ]
        compared = compare_runs([outcome.output for outcome in made], samples=50)
        write_comparison(folder / "compare.html", compared)
        assert attach_comparison(folder / "compare.html", compared) == 2
    return store
