"""Pages and tiny models made in memory: no network, no outside data."""

from __future__ import annotations

import os
import random
import shutil
import socket
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ["HF_HOME"] = tempfile.mkdtemp(prefix="newsparts-tests-")

import pytest
from hypothesis import settings

from train.config import Config, load_config
from train.corpus.page import Page, Segment
from train.corpus.read import write_pages

# Machines are noisy: no example fails for its time; CI draws the same examples every time.
settings.register_profile("newsparts", deadline=None, derandomize="CI" in os.environ)
settings.load_profile("newsparts")


@pytest.fixture(scope="session", autouse=True)
def _caches() -> Iterator[None]:
    """Caches of the tests go with them."""
    yield
    shutil.rmtree(os.environ["HF_HOME"], ignore_errors=True)


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--model` names the model that tests/behaviour tests."""
    parser.addoption("--model", default=None, help="model folder or URI for tests/behaviour; default: a small one trained on the spot")


ROOT = Path(__file__).resolve().parents[1]
SHARED = ROOT.parent / "shared"

WORDS = {
    "sport": ["match", "goal", "striker", "league", "coach", "referee", "stadium", "season", "penalty", "keeper", "cup", "fixture"],
    "business": ["profit", "shares", "market", "bank", "turnover", "investor", "merger", "tariff", "export", "dividend", "loan", "budget"],
}
PLAIN = [
    "the",
    "a",
    "of",
    "and",
    "in",
    "said",
    "after",
    "while",
    "about",
    "again",
    "people",
    "city",
    "week",
    "year",
    "many",
    "first",
    "later",
    "would",
    "could",
]


def sentence(rng: random.Random, topic: str, words: int = 14) -> str:
    """A sentence about a topic, of no meaning."""
    picked = [rng.choice(WORDS[topic] if rng.random() < 0.4 else PLAIN) for _ in range(words)]
    return " ".join(picked).capitalize() + "."


def make_page(site: str, number: int, *, related: int = 2) -> Page:
    """A page of a site: menu, headline, story, related items, footer. The same arguments give the same page."""
    rng = random.Random(f"{site}/{number}")
    main, *others = (rng.choice(sorted(WORDS)) for _ in range(related + 1))
    segments = [Segment(f"{site} {name}", "boilerplate") for name in ("Home", "News", "Login")]
    segments.append(Segment(sentence(rng, main, 6).rstrip("."), "main", 0, main))
    segments += [Segment(" ".join(sentence(rng, main) for _ in range(2)), "main", 0, main) for _ in range(4)]
    segments.append(Segment("Advertisement", "boilerplate"))
    segments.append(Segment(f"More from {site}", "boilerplate"))
    for story, topic in enumerate(others, start=1):
        segments.append(Segment(sentence(rng, topic, 6).rstrip("."), "related", story, topic))
        segments.append(Segment(" ".join(sentence(rng, topic) for _ in range(3)), "related", story, topic))
    segments += [Segment("Contact us", "boilerplate"), Segment(f"© {site}, all rights reserved", "boilerplate")]
    return Page(f"{site}-{number}", f"{site}.example", tuple(segments), "en", f"Title {number}", None, "2026-01-02")


@pytest.fixture(scope="session")
def pages() -> list[Page]:
    """72 pages of 12 sites."""
    return [make_page(f"site{chr(97 + s)}", n) for s in range(12) for n in range(6)]


@pytest.fixture(scope="session")
def corpus(pages: list[Page], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The pages as a file."""
    path = tmp_path_factory.mktemp("corpus") / "pages.jsonl"
    write_pages(path, pages)
    return path


@pytest.fixture(scope="session")
def backbone(pages: list[Page], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny random BERT with a vocabulary of the pages' words, as a Hub folder."""
    import torch
    from transformers import BertConfig, BertModel, BertTokenizer

    folder = tmp_path_factory.mktemp("backbone")
    words = sorted({word.lower() for page in pages for s in page.segments for word in s.text.replace(".", " . ").split()})
    vocabulary = {word: i for i, word in enumerate(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *words])}
    BertTokenizer(vocab=vocabulary).save_pretrained(folder)
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(vocabulary),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=128,
    )
    BertModel(config).save_pretrained(folder)
    return folder


ConfigMaker = Callable[..., Config]


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def shrunk(name: str, corpus: Path, backbone: Path, folder: Path, *overrides: str) -> Config:
    """A shipped config shrunk to the tiny corpus and the tiny backbone."""
    families = load_config(ROOT / f"configs/{name}.yaml").members
    small = [
        f"corpus.path={corpus}",
        "corpus.languages=[]",
        "corpus.composed=0",
        f"output={folder / name}",
        "evaluation.bootstrap_samples=50",
        "tracking.enabled=false",
    ]
    if "encoder" in families:
        small += [
            f"encoder.backbone={backbone}", "encoder.layers=null", "encoder.window_tokens=96", "encoder.epochs=3", "encoder.batch_windows=4",
            "encoder.learning_rate=0.002", "encoder.head_learning_rate=0.005", "encoder.freeze_embeddings=false",
        ]  # fmt: skip
    if "hierarchical" in families:
        small += [
            f"hierarchical.backbone={backbone}", "hierarchical.layers=null", "hierarchical.role_layers=null", "hierarchical.width=32", "hierarchical.depth=1", "hierarchical.members=2", "hierarchical.epochs=12",
            "hierarchical.batch_pieces=4", "hierarchical.learning_rate=0.01", "hierarchical.dropout=0.1", "hierarchical.int8=false",
        ]  # fmt: skip
    if "baseline" in families:
        small += ["baseline.max_words=2000", "baseline.max_chars=2000", "baseline.max_iterations=40"]
    return load_config(ROOT / f"configs/{name}.yaml", [*small, *overrides])


ConfigMaker = Callable[..., Config]


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
def mlflow_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated, empty MLflow database."""
    import mlflow

    path = tmp_path_factory.mktemp("mlflow") / "mlflow.db"
    mlflow.set_tracking_uri(f"sqlite:///{path}")
    mlflow.MlflowClient().search_experiments()
    return path


def _mislabelled(page: Page) -> Page:
    """A page with two labels that no model can guess."""
    odd = (
        replace(page.segments[-1], role="main", story=0, topic=page.segments[4].topic),
        replace(page.segments[5], role="boilerplate", story=None, topic=None),
    )
    return page.with_segments((*page.segments[:5], odd[1], *page.segments[6:-1], odd[0]))


@pytest.fixture(scope="session")
def runs_store(pages: list[Page], backbone: Path, mlflow_template: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The URI of a store with a run of the baseline and one of the encoder, compared."""
    from train.compare import compare_runs
    from train.recipe import fit
    from train.reports.compare_report import attach_comparison, write_comparison

    folder = tmp_path_factory.mktemp("runs")
    store = f"sqlite:///{folder / 'mlflow.db'}"
    corpus = folder / "pages.jsonl"
    write_pages(corpus, [_mislabelled(page) if i % 3 else page for i, page in enumerate(pages)])
    (folder / "mlflow.db").write_bytes(mlflow_template.read_bytes())
    on = ("tracking.enabled=true", "tracking.experiment=newsparts")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_URI", store)
        made = [
            fit(shrunk("demo-baseline", corpus, backbone, folder, *on, "baseline.max_iterations=5", "evaluation.learning_curve=[0.5]")),
            fit(shrunk("demo-encoder", corpus, backbone, folder, *on)),
        ]
        compared = compare_runs([outcome.output for outcome in made], samples=50)
        write_comparison(folder / "compare.html", compared)
        assert attach_comparison(folder / "compare.html", compared) == 2
    return store
