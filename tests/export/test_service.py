"""The example service with a stub in place of a model: what it refuses, what it survives, whom it lets wait."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import httpx
import pytest

from tests.helpers.commands import free_port
from train.bench.serving import EXAMPLES

STUB = """
import time
class Panic(BaseException): pass
class Labeler:
    family, version = "stub", "0"
    @classmethod
    def load(cls, folder): return cls()
    def label(self, pages):
        for page_id, segments in pages:
            if "panic" in page_id: raise Panic("as a Rust panic in tokenizers: no Exception")
            if "exit" in page_id: raise SystemExit(3)
            if len(segments) > 1000: time.sleep(3)
            yield {"page_id": page_id}
"""


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("stub")
    (folder / "newsparts_runtime.py").write_text(STUB)
    port = free_port()
    command = [sys.executable, "-m", "uvicorn", "service:app", "--app-dir", str(EXAMPLES), "--port", str(port)]
    environment = {"BUNDLE": str(folder), "MAX_BYTES": "2000000", "READ_S": "2", "PYTHONPATH": ""}
    running = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for _ in range(600):
            try:
                httpx.get(f"http://127.0.0.1:{port}/healthz")
                break
            except httpx.TransportError:
                assert running.poll() is None
                time.sleep(0.1)
        yield f"http://127.0.0.1:{port}"
    finally:
        running.kill()
        running.wait()


def _label(url: str, page_id: str, segments: int = 1) -> httpx.Response:
    return httpx.post(f"{url}/label", json={"page_id": page_id, "segments": ["a " * 100] * segments}, timeout=60)


@pytest.mark.parametrize("page_id", ["panic", "exit"])
def test_a_page_that_no_reader_survives_is_500_and_the_next_is_answered(url: str, page_id: str) -> None:
    answers: dict[str, int] = {}
    ids = [f"{page_id}-1", "ok-1", "ok-2", f"{page_id}-2", "ok-3"]
    threads = [threading.Thread(target=lambda i=i: answers.update({i: _label(url, i).status_code})) for i in ids]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == {i: 500 if page_id in i else 200 for i in ids}
    assert httpx.get(f"{url}/healthz").status_code == 200


def test_too_many_bytes_are_refused_before_they_are_parsed(url: str) -> None:
    of_no_length = (b" " * 65536 for _ in range(40))
    with contextlib.suppress(httpx.TransportError):  # closed while we were sending
        assert httpx.post(f"{url}/label", content=of_no_length, timeout=30).status_code == 413
    assert httpx.post(f"{url}/label", content=b"[" * 2_000_001).status_code == 413
    assert _label(url, "ok").json() == {"page_id": "ok"}


def test_a_client_that_does_not_send_is_let_go(url: str) -> None:
    host, port = url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=30) as slow:
        slow.sendall(b"POST /label HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{")
        assert b" 408 " in slow.recv(1000)


def test_others_do_not_wait_for_a_long_page(url: str) -> None:
    started = time.monotonic()
    long = threading.Thread(target=_label, args=(url, "long", 5000))
    long.start()
    time.sleep(0.5)
    assert _label(url, "short").status_code == 200
    assert long.is_alive()
    assert time.monotonic() - started < 3
    long.join()


@pytest.mark.parametrize("body", [b"", b"{", b"[" * 100_000, b'{"segments": "a"}', b"\xff", b"[]"])
def test_what_is_no_page_is_422(url: str, body: bytes) -> None:
    assert httpx.post(f"{url}/label", content=body).status_code == 422
