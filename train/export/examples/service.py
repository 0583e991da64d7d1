"""An HTTP service of a bundle alone: POST /label takes a page and gives its record; pages that wait are labelled
together, long ones beside the others.

First: pip install fastapi uvicorn -r outputs/bundle/requirements.txt
Start: BUNDLE=outputs/bundle uvicorn service:app   (BUNDLE_SHA256=, as `make export` prints it, takes no other bundle)

Clients that send their headers slowly are for the proxy before it, which asks for a password too.
"""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI, HTTPException, Request
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, Field, ValidationError

BUNDLE = os.environ.get("BUNDLE", "outputs/bundle")
PIN = {"sha256": os.environ["BUNDLE_SHA256"]} if "BUNDLE_SHA256" in os.environ else {}
sys.path.insert(0, BUNDLE)
from newsparts_runtime import Labeler  # noqa: E402

MAX_BATCH = 32
"""Pages that are labelled at once, at most."""
MAX_BYTES = int(os.environ.get("MAX_BYTES", 16 * 2**20))
"""Of a page that is posted; counted before it is parsed."""
READ_S = float(os.environ.get("READ_S", 30))
"""For how long a client may take to send its page."""
LONG = 200_000
"""Bytes of a page that others do not wait for."""
MAX_WAITING = 1000
"""Pages that wait, of each kind; more are told to come again."""


class Page(BaseModel):
    """What a client posts."""

    page_id: str = "page"
    segments: list[str] = Field(max_length=20_000)


def label_all(labeler: Labeler, pages: list[Page]) -> list[dict | Exception]:
    """The records of `pages` by `labeler`; where they cannot be had together, each by itself or why it has none."""
    try:
        return list(labeler.label([(page.page_id, page.segments) for page in pages]))
    except BaseException as error:  # what goes wrong in Rust (tokenizers) is no Exception
        if len(pages) == 1:
            return [RuntimeError(f"{type(error).__name__}: {error}")]
    return [found for page in pages for found in label_all(labeler, [page])]


async def label_waiting(labeler: Labeler, queue: asyncio.Queue) -> None:
    """Labels with `labeler` what waits in `queue`, pairs of a page and its future, batch by batch, for ever."""
    while True:
        batch = [await queue.get()]
        while len(batch) < MAX_BATCH and not queue.empty():
            batch.append(queue.get_nowait())
        results = await asyncio.to_thread(label_all, labeler, [page for page, _ in batch])
        for (_, future), result in zip(batch, results, strict=True):
            if not future.done():  # its client may have gone
                (future.set_exception if isinstance(result, Exception) else future.set_result)(result)


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Loads the bundle before the first request, and runs two workers: one for long pages, one for others."""
    app.state.labeler = Labeler.load(BUNDLE, **PIN)
    app.state.queues = [asyncio.Queue(maxsize=MAX_WAITING) for _ in range(2)]
    app.state.workers = [asyncio.create_task(label_waiting(app.state.labeler, queue)) for queue in app.state.queues]
    yield
    for worker in app.state.workers:
        worker.cancel()


app = FastAPI(lifespan=lifespan)


async def body_of(request: Request) -> bytes:
    """What a client sends with `request`; refused when it is too long or takes too long."""
    body = bytearray()
    try:
        async with asyncio.timeout(READ_S):
            async for chunk in request.stream():
                body += chunk
                if len(body) > MAX_BYTES:
                    raise HTTPException(413, f"more than {MAX_BYTES:,} bytes; MAX_BYTES sets how many")
    except TimeoutError:
        raise HTTPException(408, f"not sent within {READ_S:g} s; READ_S sets how long") from None
    return bytes(body)


@app.get("/healthz")
def healthz(request: Request) -> JSONResponse:
    """The model that serves, and how many pages wait; 503 where nobody works."""
    state = request.app.state
    told = {"family": state.labeler.family, "version": state.labeler.version}
    waiting = sum(queue.qsize() for queue in state.queues)
    return JSONResponse({**told, "waiting": waiting}, 503 if any(worker.done() for worker in state.workers) else 200)


@app.post("/label")
async def label(request: Request) -> Response:
    """The record of the page in `request`, as `python -m train predict` prints it; what is no page gets 422 and the
    reasons, without its own text."""
    body = await body_of(request)
    try:
        page = Page.model_validate(json.loads(body))
    except ValidationError as error:
        return JSONResponse({"detail": [{"where": part["loc"], "why": part["msg"]} for part in error.errors()]}, 422)
    except (ValueError, RecursionError):
        return JSONResponse({"detail": [{"where": ["body"], "why": "no JSON"}]}, 422)
    future = asyncio.get_running_loop().create_future()
    try:
        request.app.state.queues[len(body) > LONG].put_nowait((page, future))
    except asyncio.QueueFull:
        raise HTTPException(503, "too many pages wait", {"Retry-After": "5"}) from None
    # json.dumps writes ASCII: a page may hold halves of characters, which are no UTF-8.
    return Response(json.dumps(await future), media_type="application/json")
