"""Real servers on this machine: `make serve` (mlflow models serve) and the examples' service, asked by many and asked
badly."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.helpers.configs import shrunk
from tests.helpers.paths import ROOT
from train.bench.serving import EXAMPLES, ask_mlflow, ask_service, example_service, hammer, mlflow_server, post
from train.corpus.page import Page
from train.export.golden import PAGES
from train.inference.resolve import load_labeler
from train.registry.versions import register
from train.runtime import Labeler, golden
from train.training.outcome import Outcome
from train.training.recipe import fit

SECONDS = 4.0


@pytest.fixture(scope="module")
def outcome(
    corpus: Path, backbone: Path, tmp_path_factory: pytest.TempPathFactory, mlflow_template: Path
) -> Iterator[Outcome]:
    """A tiny baseline that is the champion of a store of its own."""
    folder = tmp_path_factory.mktemp("served")
    shutil.copyfile(mlflow_template, folder / "mlflow.db")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{folder / 'mlflow.db'}")
        patch.chdir(folder)
        made = fit(
            shrunk("demo-baseline", corpus, backbone, folder, "tracking.enabled=true", "tracking.experiment=test")
        )
        register(str(made.model_uri), bundle_version=made.version, alias="champion")
        yield made


@pytest.fixture(scope="module")
def labeler(outcome: Outcome) -> Labeler:
    return load_labeler(str(outcome.output))


@pytest.fixture(scope="module")
def invocations(outcome: Outcome) -> Iterator[str]:
    with mlflow_server("models:/newsparts@champion") as url:
        yield url


@pytest.fixture(scope="module")
def service(outcome: Outcome) -> Iterator[str]:
    with example_service(outcome.output / "bundle") as url:
        yield url


@pytest.mark.slow
def test_golden_pages_are_answered_alike_by_bundle_pyfunc_and_server(
    invocations: str, outcome: Outcome, labeler: Labeler
) -> None:
    import mlflow
    import pandas as pd

    rows = [{"page_id": name, "segments": page} for name, page in PAGES.items()]
    by_server = [golden.without_model(r) for r in post(invocations, {"dataframe_records": rows})["predictions"]]
    exported = golden.read(outcome.output / "bundle")
    assert by_server == exported
    by_pyfunc = mlflow.pyfunc.load_model("models:/newsparts@champion").predict(pd.DataFrame(rows))
    assert [golden.without_model(r) for r in by_pyfunc] == exported
    assert golden.differences(labeler, outcome.output / "bundle") == []


BAD: dict[str, bytes] = {
    "no JSON": b"{not json",
    "nothing": b"",
    "a list": b"[1]",
    "no known key": b'{"pages": []}',
    "two keys": b'{"dataframe_records": [], "inputs": []}',
    "no rows": b'{"dataframe_records": []}',
    "no column": b'{"dataframe_records": [{"text": ["a"]}]}',
    "null": b'{"dataframe_records": [{"segments": null}]}',
    "NaN": b'{"dataframe_records": [{"segments": NaN}]}',
    "one string": b'{"dataframe_records": [{"segments": "one string"}]}',
    "numbers": b'{"dataframe_records": [{"segments": [1, 2]}]}',
    "lists in lists": b'{"dataframe_records": [{"segments": [["a"]]}]}',
    "half a character": b'{"dataframe_records": [{"segments": ["\\ud800"]}]}',
    "no UTF-8": b'{"dataframe_records": [{"segments": ["\xff\xfe"]}]}',
    "a numbered page": b'{"dataframe_records": [{"segments": ["a"], "page_id": 5}]}',
    "one page of two is bad": b'{"dataframe_records": [{"segments": ["a"]}, {"segments": 7}]}',
}


@pytest.mark.slow
@pytest.mark.parametrize("body", BAD.values(), ids=BAD.keys())
def test_what_is_no_page_gets_400_and_a_reason(invocations: str, body: bytes) -> None:
    answer = httpx.post(invocations, content=body, headers={"Content-Type": "application/json"})
    assert 400 <= answer.status_code < 500, answer.text
    assert len(answer.json()["message"]) > 20


@pytest.mark.slow
def test_other_kinds_of_content_get_4xx(invocations: str) -> None:
    for kind, body in (
        ("text/csv", b"segments\na\n"),
        ("application/xml", b"<a/>"),
        ("application/json; charset=latin-1", b"{}"),
    ):
        assert 400 <= httpx.post(invocations, content=body, headers={"Content-Type": kind}).status_code < 500
    assert (
        post(invocations, {"dataframe_records": [{"segments": ["still", "there"]}]})["predictions"][0]["page_id"]
        == "page-0"
    )


@pytest.mark.slow
def test_the_documents_call_the_server(invocations: str, labeler: Labeler) -> None:
    """By copy and paste, but for the port."""
    readme = (ROOT / "train/export/README.md").read_text(encoding="utf-8")
    command = re.search(r"curl -s http://127.*?\n\n?(?=```)", readme, re.DOTALL)
    assert command is not None
    done = subprocess.run(
        ["bash", "-c", command.group().replace("http://127.0.0.1:5001/invocations", invocations)],
        capture_output=True,
        text=True,
        check=True,
    )
    (record,) = json.loads(done.stdout)["predictions"]
    texts = ["A headline", "The first paragraph of a story …", "Related articles"]
    assert record == next(labeler.label([("my-page", texts)]))

    page = ROOT / "configs/demo-page.txt"
    done = subprocess.run(
        [sys.executable, str(EXAMPLES / "client.py"), str(page)],
        env={**os.environ, "URL": invocations},
        capture_output=True,
        text=True,
        check=True,
    )
    labelled = labeler.label_text(page.read_text(encoding="utf-8"))
    assert done.stdout.splitlines() == [s["text"] for s in labelled["segments"] if s["role"] == "main"]


def test_the_example_labels_from_python(outcome: Outcome, tmp_path: Path) -> None:
    (tmp_path / "outputs").mkdir()
    (tmp_path / "outputs/bundle").symlink_to(outcome.output / "bundle")
    done = subprocess.run(
        [sys.executable, "-I", str(EXAMPLES / "label.py")], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    first, *rest = done.stdout.splitlines()
    assert "'A headline'" in first
    assert rest == ["page-1 2", "page-2 0"]


def test_the_readme_labels_from_python(outcome: Outcome, tmp_path: Path) -> None:
    """By copy and paste."""
    (code,) = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    (tmp_path / "outputs").mkdir()
    (tmp_path / "outputs/bundle").symlink_to(outcome.output / "bundle")
    shutil.copyfile(ROOT / "configs/demo-page.txt", tmp_path / "page.txt")
    done = subprocess.run([sys.executable, "-I", "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.split()[0] in {"main", "related", "boilerplate"}


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["mlflow", "service"])
def test_fifty_clients_lose_nothing(request: pytest.FixtureRequest, pages: list[Page], kind: str) -> None:
    url = request.getfixturevalue("invocations" if kind == "mlflow" else "service")
    found = hammer(pages, (ask_mlflow if kind == "mlflow" else ask_service)(url), seconds=SECONDS)
    assert found.wrong == []
    assert len(found.seconds) >= 50
    assert found.wall_s < SECONDS + 60


def test_the_service_answers_as_the_bundle_and_refuses_what_is_no_page(
    service: str, pages: list[Page], labeler: Labeler
) -> None:
    for page in pages[:5]:
        assert post(service, {"page_id": page.page_id, "segments": page.texts}) == next(
            labeler.label([(page.page_id, page.texts)])
        )
    assert post(service, {"segments": []})["segments"] == []
    told = httpx.get(service.replace("/label", "/healthz")).json()
    assert (told["family"], told["version"], told["waiting"]) == ("baseline", labeler.version, 0)
    wrong: list[Any] = [
        {"segments": "text"},
        {"segments": [1]},
        {"segments": ["a", None]},
        {"segments": [{"text": "a"}]},
        {"segments": None},
        {},
        [],
        {"segments": ["a"] * 20_001},
        {"segments": [], "page_id": 3},
    ]
    for value in wrong:
        assert httpx.post(service, json=value).status_code == 422
    assert post(service, {"segments": ["\ud800"], "page_id": "\udfff"})["segments"][0]["text"] == "\ud800"
    for body in (b"", b"{", b'{"segments": NaN}', b"[" * 100_000, b'{"segments": ["\xff"]}'):
        assert 400 <= httpx.post(service, content=body, headers={"Content-Type": "application/json"}).status_code < 500


@pytest.mark.slow
def test_a_server_of_no_model_is_refused_before_it_starts(outcome: Outcome) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "train", "serve", "--model", "models:/newsparts@nobody"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2
    assert "MLflow has no model" in done.stderr
    done = subprocess.run(
        [sys.executable, "-m", "train", "serve", "--model", str(outcome.output)],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert (done.returncode, "expected: a URI" in done.stderr) == (2, True)
    with pytest.raises(urllib.error.URLError):
        urllib.request.urlopen("http://127.0.0.1:1/", timeout=1)
