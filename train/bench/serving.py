"""Servers under load: many clients at once for some seconds; what they got, how fast, and whether anything was lost."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from train.common.environment import ROOT
from train.corpus.page import Page
from train.corpus.read import read_pages
from train.studies.results import Measured

CLIENTS, SECONDS = 50, 10.0
STARTING_S = 120
EXAMPLES = ROOT / "train/export/examples"
"""Files that show how a model is called, each tried by a test."""


@dataclass
class Load:
    """What clients saw.

    Args:
        seconds: The time that each answer took.
        wrong: What came back instead of the page's own record.
        wall_s: The time from the first request to the last answer.
    """

    seconds: list[float] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    wall_s: float = 0.0

    def summary(self) -> str:
        """In words."""
        p50, p99 = (1000 * np.percentile(self.seconds, q) for q in (50, 99))
        return f"p50 {p50:.0f} ms, p99 {p99:.0f} ms, {len(self.seconds):,} asked, {len(self.wrong)} lost or wrong"


def free_port() -> int:
    """A port nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@contextmanager
def server(command: Sequence[str], health: str, *, environment: Mapping[str, str], cwd: Path) -> Iterator[None]:
    """Runs a server until the block ends.

    Args:
        command: The program that serves, and its arguments.
        health: An address; the block begins when it answers with status 200.
        environment: Variables of the server's environment, besides those of this process.
        cwd: The folder that the server runs in.

    Raises:
        RuntimeError: It does not answer in 120 seconds, or ends.
    """
    with tempfile.TemporaryFile() as log:
        running = subprocess.Popen(
            command, env={**os.environ, **environment}, cwd=cwd, stdout=log, stderr=log, start_new_session=True
        )
        try:
            deadline = time.monotonic() + STARTING_S
            while not _answers(health):
                if running.poll() is not None or time.monotonic() > deadline:
                    log.seek(0)
                    raise RuntimeError(
                        f"{' '.join(command)} does not answer: {log.read()[-2000:].decode(errors='replace')}"
                    )
                time.sleep(0.1)
            yield
        finally:
            # The whole group: MLflow's server is a child of the command.
            with suppress(ProcessLookupError):
                os.killpg(running.pid, 15)
            try:
                running.wait(20)
            except subprocess.TimeoutExpired:
                with suppress(ProcessLookupError):
                    os.killpg(running.pid, 9)


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def post(url: str, value: Any, *, timeout: float = 120) -> Any:
    """Posts JSON and reads JSON.

    Args:
        url: The address to post to.
        value: What is posted.
        timeout: How long to wait for the answer, in seconds.
    """
    request = urllib.request.Request(url, json.dumps(value).encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=timeout) as answer:
        return json.load(answer)


def hammer(
    pages: Sequence[Page], ask: Callable[[Page], Any], *, clients: int = CLIENTS, seconds: float = SECONDS
) -> Load:
    """Asks for one page after the other, from many threads.

    Args:
        pages: The pages that are asked for in turn.
        ask: Asks a server for a page, and returns the page's record.
        clients: The number of threads.
        seconds: How long each of them goes on asking.
    """
    load, lock, started = Load(), threading.Lock(), time.perf_counter()

    def client(number: int) -> None:
        while time.perf_counter() - started < seconds:
            page = pages[number % len(pages)]
            number += clients
            begun, wrong = time.perf_counter(), None
            try:
                record = ask(page)
                if record["page_id"] != page.page_id or [s["text"] for s in record["segments"]] != page.texts:
                    wrong = f"another page: {record['page_id']}"
            except Exception as error:
                wrong = repr(error)
            with lock:
                load.seconds.append(time.perf_counter() - begun)
                if wrong is not None:
                    load.wrong.append(wrong)

    threads = [threading.Thread(target=client, args=(number,)) for number in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    load.wall_s = time.perf_counter() - started
    return load


def ask_mlflow(url: str) -> Callable[[Page], Any]:
    """Asks `mlflow models serve`."""
    return lambda page: post(url, {"dataframe_records": [{"page_id": page.page_id, "segments": page.texts}]})[
        "predictions"
    ][0]


def ask_service(url: str) -> Callable[[Page], Any]:
    """Asks the service of `train/export/examples`."""
    return lambda page: post(url, {"page_id": page.page_id, "segments": page.texts})


@contextmanager
def mlflow_server(model: str) -> Iterator[str]:
    """`make serve` on a free port; gives the address to post to."""
    port = free_port()
    command = [sys.executable, "-m", "train", "serve", "--model", model, "--port", str(port)]
    with server(command, f"http://127.0.0.1:{port}/ping", environment={"PYTHONPATH": str(ROOT)}, cwd=ROOT):
        yield f"http://127.0.0.1:{port}/invocations"


@contextmanager
def example_service(bundle: Path) -> Iterator[str]:
    """The service of `train/export/examples` on a free port; gives the address to post to."""
    port = free_port()
    command = [sys.executable, "-m", "uvicorn", "service:app", "--app-dir", str(EXAMPLES)]
    command += ["--port", str(port), "--log-level", "warning"]
    with server(
        command, f"http://127.0.0.1:{port}/healthz", environment={"BUNDLE": str(bundle.resolve())}, cwd=EXAMPLES
    ):
        yield f"http://127.0.0.1:{port}/label"


def serving(corpus: Path, model: str, bundle: Path, *, seconds: float = SECONDS) -> dict[str, Measured]:
    """Both servers with the same model, one after the other, clients on the same machine.

    Args:
        corpus: Composed pages, which clients ask for.
        model: The URI that `mlflow models serve` serves.
        bundle: The same model's bundle.
        seconds: How long clients ask each server.

    Returns:
        Server -> what its clients saw, as a record keeps it.
    """
    pages = read_pages(corpus)[:200]
    contenders = {
        "mlflow models serve": (mlflow_server(model), ask_mlflow),
        "the service of the examples: the bundle alone, micro-batches": (example_service(bundle), ask_service),
    }
    section, rows = f"serving, {CLIENTS} clients", {}
    for name, (start, ask) in contenders.items():
        with start as url:
            hammer(pages, ask(url), seconds=1.0)
            load = hammer(pages, ask(url), seconds=seconds)
        rate = len(load.seconds) / load.wall_s
        rows[f"{section}: {name}"] = Measured(
            {"section": section, "rate": rate, "unit": "pages/s", "lost": len(load.wrong), "note": load.summary()}
        )
    return rows
