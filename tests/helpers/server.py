"""An MLflow server that tests start, kill and start again."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from tests.helpers.commands import free_port
from tests.helpers.paths import ROOT


class Server:
    """An MLflow server with proxied artifacts, that can go and come back.

    Args:
        folder: For its log and artifacts.
        store: URI of its database.
        workers: Processes.
    """

    def __init__(self, folder: Path, store: str, workers: int = 1) -> None:
        self.folder, self.store, self.workers, self.port = folder, store, workers, free_port()
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def uri(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Starts it and waits until it answers."""
        words = [
            "mlflow",
            "server",
            "--backend-store-uri",
            self.store,
            "--workers",
            str(self.workers),
            "--artifacts-destination",
            str(self.folder / "artifacts"),
            "--host",
            "127.0.0.1",
            "--port",
            str(self.port),
        ]
        self.run(words)

    def run(self, words: list[str]) -> None:
        """Starts a module that serves at our address, and waits until it answers."""
        import requests

        path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
        log = (self.folder / "server.log").open("ab")
        environment = {**os.environ, "PATH": path, "PYTHONPATH": str(ROOT)}
        self.process = subprocess.Popen(
            [sys.executable, "-m", *words],
            cwd=self.folder,
            env=environment,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        deadline = time.monotonic() + 120
        while True:
            try:
                if requests.get(f"{self.uri}/health", timeout=2).ok:
                    return
            except requests.RequestException:
                pass
            assert self.process.poll() is None, (self.folder / "server.log").read_text()[-2000:]
            assert time.monotonic() < deadline
            time.sleep(0.2)

    def stop(self) -> None:
        if self.process is not None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            self.process = None
