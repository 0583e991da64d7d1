from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import ROOT
from train.config import Config
from train.corpus.page import Page
from train.corpus.read import write_pages
from train.recipe import fit

ConfigMaker = Callable[..., Config]
BASELINE = str(ROOT / "configs/demo-baseline.yaml")


def train(*words: str, stdin: str | None = None, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Runs the command line as a user would."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run([sys.executable, "-m", "train", *words], capture_output=True, text=True, input=stdin, cwd=cwd, env=environment)


@pytest.fixture(scope="module")
def model(corpus: Path, backbone: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A trained tiny baseline."""
    from tests.conftest import shrunk

    return fit(shrunk("demo-baseline", corpus, backbone, tmp_path_factory.mktemp("cli"))).output


def test_help_lists_the_verbs() -> None:
    done = train("--help")
    assert done.returncode == 0
    assert all(verb in done.stdout for verb in ("fit", "evaluate", "predict", "show", "check", "compose", "export", "demo"))


def test_fit_evaluate_predict_from_the_shell(corpus: Path, model: Path, tmp_path: Path) -> None:
    done = train(
        "fit", "--config", BASELINE, f"corpus.path={corpus}", f"output={tmp_path / 'model'}", "tracking.enabled=false",
        "evaluation.bootstrap_samples=20", "baseline.max_iterations=5",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "role macro-F1" in done.stdout
    done = train("evaluate", "--model", str(tmp_path / "model"), "--corpus", str(corpus), "--json", str(tmp_path / "scores.json"))
    assert done.returncode == 0, done.stderr
    scores = json.loads((tmp_path / "scores.json").read_text())
    assert {"role/macro_f1", "role/f1/main", "topic/macro_f1", "story/boundary_f1", "n_pages", "n_sites", "corpus_sha256"} <= set(scores)
    assert scores["n_pages"] == 72
    done = train("predict", "--model", str(tmp_path / "model"), str(corpus))
    records = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(records) == 72
    assert records[0]["page_id"] == "sitea-0"


def test_predict_reads_text_and_standard_input(model: Path, tmp_path: Path) -> None:
    page = tmp_path / "my page.txt"
    page.write_text("Headline here\r\n\r\n  A paragraph.  \nLine with a form\x0cfeed\n", encoding="utf-8")
    done = train("predict", "--model", str(model), str(page), "-", stdin="only line")
    first, second = (json.loads(line) for line in done.stdout.splitlines())
    assert first["page_id"] == "my page"
    assert [s["text"] for s in first["segments"]] == ["Headline here", "A paragraph.", "Line with a form\x0cfeed"]
    assert (second["page_id"], len(second["segments"])) == ("stdin", 1)


def test_show_prints_signs_stories_and_topics(model: Path, tmp_path: Path) -> None:
    done = train("show", "--model", str(model), str(ROOT / "configs/demo-page.txt"), "--svg", str(tmp_path / "page.svg"))
    assert done.returncode == 0, done.stderr
    assert "Stories" in done.stdout
    assert any(sign in done.stdout for sign in "█▒")
    assert (tmp_path / "page.svg").read_text().startswith("<svg")


def test_export_gives_a_bundle_that_predicts_alike(model: Path, corpus: Path, tmp_path: Path) -> None:
    assert train("export", "--model", str(model), "--output", str(tmp_path / "bundle")).returncode == 0
    answers = [train("predict", "--model", str(m), str(corpus)).stdout for m in (model, tmp_path / "bundle")]
    assert answers[0] == answers[1] != ""


def test_check_exits_0_on_good_and_2_on_bad_pages(corpus: Path, tmp_path: Path) -> None:
    quarantine = str(tmp_path / "q.jsonl")
    assert train("check", str(corpus), "--quarantine", quarantine).returncode == 0
    bad = tmp_path / "bad.jsonl"
    bad.write_text(corpus.read_text(encoding="utf-8") + "{]\n", encoding="utf-8")
    done = train("check", str(bad), "--quarantine", quarantine)
    assert done.returncode == 2
    assert "73 pages in = 72 kept + 1 quarantined" in done.stdout
    assert json.loads(Path(quarantine).read_text())["rule"] == "bad-json"


def _two_parts(pages: list[Page], tmp_path: Path) -> list[str]:
    for part in ("train", "validation", "test"):
        write_pages(tmp_path / f"{part}.jsonl", pages[:6] if part == "train" else pages[5:12])
    return ["corpus.path=null", *(f"corpus.{part}_path={tmp_path / part}.jsonl" for part in ("train", "validation", "test"))]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "no such file"),
        ("", "no page in it"),
        ('{"page_id": "a", "site": "s", "segments": [{"text": "x", "role": "main"}]}\n{oops\n', "c.jsonl:2: not JSON"),
        ('{"page_id": "a", "site": "s", "segments": [{"text": "x", "role": "headline"}]}\n', "c.jsonl:1: page 'a', segment 0 has role 'headline'"),
        ('{"page_id": "a", "site": "s", "segments": []}\n', "c.jsonl:1: page 'a' has no segments"),
        ('{"page_id": "a", "site": "s", "segments": [{"text": "x", "role": "main"}]}\n', "1 group of sites"),
        (
            "".join(json.dumps({"page_id": f"{i}", "site": f"s{i}", "segments": [{"text": "x", "role": "main"}]}) + "\n" for i in range(9)),
            "every segment of the training pages is 'main'",
        ),
    ],
    ids=["missing", "empty", "bad-json", "unknown-role", "no-segments", "too-small", "one-class"],
)  # fmt: skip
def test_every_error_of_the_corpus_is_clear(tmp_path: Path, content: str | None, message: str) -> None:
    path = tmp_path / "c.jsonl"
    if content is not None:
        path.write_text(content, encoding="utf-8")
    done = train("fit", "--config", BASELINE, f"corpus.path={path}", f"output={tmp_path / 'out'}", "tracking.enabled=false")
    _is_clear(done, message)


def _is_clear(done: subprocess.CompletedProcess[str], message: str) -> None:
    assert done.returncode == 2, done.stderr
    assert message in done.stderr
    assert "expected:" in done.stderr
    assert "remedy:" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_site_in_two_splits_is_clear(pages: list[Page], tmp_path: Path) -> None:
    done = train("fit", "--config", BASELINE, *_two_parts(pages, tmp_path), f"output={tmp_path / 'out'}", "tracking.enabled=false")
    _is_clear(done, "site 'sitea.example' is in train and validation")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("fit", "--config", "none.yaml"), "no such config"),
        (("fit", "--config", BASELINE, "sed=1"), "did you mean 'seed'"),
        (("predict", "--model", "nowhere", "page.txt"), "no such folder"),
        (("predict", "--model", "MODEL", "missing.txt"), "missing.txt: no such file"),
        (("predict", "--model", "MODEL", "page.docx"), "a file named 'page.docx'"),
        (("evaluate", "--model", "MODEL", "--corpus", "gone.jsonl", "--json", "x.json"), "no such file"),
    ],
)
def test_every_error_of_the_command_line_is_clear(model: Path, tmp_path: Path, words: tuple[str, ...], message: str) -> None:
    done = train(*(str(model) if word == "MODEL" else word for word in words), cwd=tmp_path)
    _is_clear(done, message)


def test_a_tampered_bundle_is_refused(model: Path, tmp_path: Path) -> None:
    train("export", "--model", str(model), "--output", str(tmp_path / "bundle"))
    target = tmp_path / "bundle" / "model.skops"
    target.write_bytes(target.read_bytes() + b"x")
    _is_clear(
        train("predict", "--model", str(tmp_path / "bundle"), str(ROOT / "configs/demo-page.txt")), "is not the file that was exported"
    )
