"""`make demo`, small: every step is done and told, the better model serves, and a second run trains nothing."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from tests.helpers.paths import ROOT
from train import demo
from train.config.schema import Config
from train.inference.resolve import load_labeler
from train.registry import promotion
from train.registry.behaviour import Behaviour
from train.registry.versions import version_of
from train.studies import real_pages
from train.training.outcome import Outcome, read_outcome

STEPS = [
    "corpus",
    "check",
    "split",
    "train and evaluate",
    "register the better one",
    "export",
    "on real pages",
    "label configs/demo-page.txt",
]


@pytest.fixture
def size(backbone: Path, tmp_path: Path, store: Path, monkeypatch: pytest.MonkeyPatch) -> demo.Size:
    """A tenth of the pages, a tiny backbone, a gate that lets weak models pass; behavioural tests have tests of their
    own."""
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(real_pages, "fetch", lambda folder: "no network in tests")
    monkeypatch.setattr(promotion, "behaviour", lambda labeler: Behaviour(frozenset({"check_a"}), frozenset()))
    weak = ["evaluation.bootstrap_samples=20"]
    return demo.Size(
        pages=78,
        folder=tmp_path / "outputs",
        overrides={
            "baseline": [*weak, "baseline.max_iterations=10", "baseline.max_words=2000", "baseline.max_chars=2000"],
            "encoder": [
                *weak,
                f"encoder.backbone={backbone}",
                "encoder.pretrained=null",
                "encoder.layers=1",
                "encoder.page_layers=1",
                "encoder.epochs=2",
            ],
        },
        gate=["least_role_f1=0", "least_role_macro_f1=0", "max_ece=1", "max_page_ms=10000", "samples=20"],
    )


def _run(size: demo.Size) -> str:
    out = io.StringIO()
    demo.run(Console(file=out, width=150), size)
    return out.getvalue()


def test_the_demo_tells_and_does_every_step_and_a_second_run_trains_nothing(
    size: demo.Size, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    told = _run(size)
    at = [told.index(f"{number}. {step}") for number, step in enumerate(STEPS, start=1)]
    assert at == sorted(at)
    assert told.count(": training (") == 2
    assert "78 pages in = 78 kept" in told
    assert "pages of different parts that share a story: 0" in told

    runs = {name: read_outcome(size.folder / file) for name, file in demo.CONFIGS.items()}
    best = max(demo.CONFIGS, key=lambda name: runs[name].metrics["validation/role/macro_f1"])
    champion = version_of("champion")
    assert champion is not None
    assert champion.tags["bundle.version"] == runs[best].version, "validation pages chose, not test pages"
    exported = load_labeler(str(size.folder / "bundle"))
    assert exported.version == runs[best].version
    assert (size.folder / "compare.html").is_file()
    for row in ("majority class", *demo.CONFIGS):
        assert f"| {row} |" in (size.folder / "demo-table.md").read_text()
    (record,) = exported.label([("demo-page", (ROOT / demo.PAGE).read_text().split("\n"))])
    assert json.loads(json.dumps(record))["segments"]

    trained: list[str] = []
    monkeypatch.setattr(demo, "fit", _spy(trained))
    again = _run(size)
    assert trained == []
    assert again.count(": unchanged (") == 2
    assert "composed.jsonl.gz, sha256" in again
    assert " unchanged\n" in again.partition("2. check")[0]
    assert (version := version_of("champion")) is not None
    assert version.version == champion.version

    changed = replace(
        size, overrides={**size.overrides, "encoder": [*size.overrides["encoder"], "encoder.learning_rate=0.003"]}
    )
    with pytest.raises(_Stopped):
        _run(changed)
    assert trained == ["demo-encoder"], "what its config did not change is not trained again"


class _Stopped(Exception):
    """A training that a test does not want to wait for."""


def _spy(trained: list[str]) -> Callable[..., Outcome]:
    def fit(config: Config, *, name: str, overrides: object) -> Outcome:
        trained.append(name)
        raise _Stopped

    return fit


def test_the_short_demo_is_the_same_chain_in_a_folder_of_its_own() -> None:
    short = demo.SHORT
    assert short.pages < demo.FULL.pages
    assert short.folder != demo.FULL.folder
    configs = {name: demo._config(file, short) for name, file in demo.CONFIGS.items()}
    assert {Path(config.output).parent for config in configs.values()} == {short.folder}
    assert {config.corpus.path for config in configs.values()} == {str(short.folder / "composed.jsonl.gz")}
    assert {name: config.family for name, config in configs.items()} == {
        name: demo._config(file, demo.FULL).family for name, file in demo.CONFIGS.items()
    }
