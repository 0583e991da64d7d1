"""A real browser (Debian's chromium by Playwright), and what it opens: pages made from hostile text, MLflow's UI on
runs of both families.

`NEWSPARTS_RUNS` names a store with the runs of a demo to look at instead of small ones trained here; screenshots go to
`NEWSPARTS_SCREENSHOTS`.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.commands import free_port
from tests.helpers.configs import shrunk
from tests.helpers.figures import figures
from tests.helpers.optional import CHROMIUM, need
from tests.helpers.pages import make_page
from tests.helpers.paths import ROOT
from train.corpus.page import Page
from train.corpus.read import write_pages
from train.monitoring.drift import Shift
from train.reports.comparison import write_comparison
from train.reports.corpus_report import corpus_report
from train.reports.drift import write_drift_page
from train.studies.comparison import compare_runs
from train.training.recipe import fit

HOSTILE = [
    "<script>window.broken = 1</script>",
    '<img src=x onerror="window.broken = 2">',
    "\"><svg onload='window.broken = 3'>",
    "</style></script><script>window.broken = 4</script>",
    "javascript:window.broken=5",
    "\ud800\u202e\x00 ]]> <!-- {{7*7}} ${7*7}",
]


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    """The browser."""
    need("chromium")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=str(CHROMIUM), args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        )
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def screenshots() -> Path:
    """Where pictures of what the tests saw are kept."""
    folder = Path(os.environ.get("NEWSPARTS_SCREENSHOTS", ROOT / "outputs" / "screenshots"))
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def hostile_page(site: int, number: int) -> Page:
    """A page whose every text tries to be code."""
    page = make_page(f"site{site}", number)
    evil = HOSTILE[number % len(HOSTILE)]
    segments = tuple(
        replace(s, text=f"{HOSTILE[i % len(HOSTILE)]} {s.text}", topic=f"{s.topic} {evil}" if s.topic else None)
        for i, s in enumerate(page.segments)
    )
    return replace(
        page,
        page_id=f"{evil} {site}-{number}",
        site=f"site{site}.example{HOSTILE[1]}",
        lang=HOSTILE[0] if number % 2 else HOSTILE[2],
        title=evil,
        url=f"javascript:window.broken={number}"
        if number % 2
        else f'https://site{site}.example/"onmouseover="window.broken=6',
        segments=segments,
        extra={"source": HOSTILE[site % 2]},
    )


@pytest.fixture(scope="session")
def hostile_html(backbone: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Every kind of HTML page we write, made from hostile pages."""
    with figures(drawn=True):
        return _hostile_html(backbone, tmp_path_factory)


def _hostile_html(backbone: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("hostile")
    write_pages(folder / "pages.jsonl", [hostile_page(site, number) for site in range(12) for number in range(6)])
    few = ["baseline.max_iterations=5"]
    runs = []
    for i, more in enumerate(([], ["baseline.numbers=false", "baseline.stacking_neighbours=0"])):
        config = shrunk("demo-baseline", folder / "pages.jsonl", backbone, folder, *few, *more)
        runs.append(fit(replace(config, output=str(folder / f"run {i} <b>"))).output)
    write_comparison(folder / "compare.html", compare_runs(runs, samples=50))
    corpus_report(str(folder / "pages.jsonl"), folder / "corpus.html", quarantine=folder / "q.jsonl")
    shift = Shift(HOSTILE[0], 0.3, 0.2, 0.1, True, (HOSTILE[0], HOSTILE[1]), (0.5, 0.5), (0.1, 0.9))
    write_drift_page(folder / "drift.html", [shift], model=HOSTILE[0], corpus=HOSTILE[1], pages=1, sites=1)
    return [
        *(runs[0] / f"{name}.html" for name in ("report", "errors", "pages")),
        *(folder / f"{name}.html" for name in ("compare", "corpus", "drift")),
    ]


@pytest.fixture(scope="session")
def looked_at(request: pytest.FixtureRequest) -> str:
    """The URI of the store to look at."""
    return os.environ.get("NEWSPARTS_RUNS") or str(request.getfixturevalue("runs_store"))


@pytest.fixture(scope="session")
def ui(looked_at: str) -> Iterator[str]:
    """The address that `make ui` tells, once it answers."""
    port = free_port()
    command = [
        "make",
        "-o",
        ".venv/.ready",
        "ui",
        f"PORT={port}",
        f"RUN={sys.executable} -m train",
    ]  # -o: what runs the tests is set up
    inherited = {name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS")}
    environment = {**inherited, "MLFLOW_TRACKING_URI": looked_at, "PYTHONPATH": str(ROOT), "COLUMNS": "500"}
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    )
    assert process.stdout is not None
    try:
        told = next(
            line for line in process.stdout if "http://127.0.0.1" in line
        )  # a make within a make tells its folder first
        address = told[told.index("http") :].strip()
        deadline = time.monotonic() + 90
        while True:
            try:
                urllib.request.urlopen(address.partition("#")[0], timeout=5)
                break
            except OSError:
                assert time.monotonic() < deadline, "MLflow did not answer in 90 s"
                assert process.poll() is None, "make ui ended"
                time.sleep(0.5)
        yield address
    finally:
        os.killpg(process.pid, 15)
        process.wait(timeout=30)
