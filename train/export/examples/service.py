"""An HTTP service of a bundle alone: POST /label takes a page and gives its record; pages that wait are labelled
together.

First: pip install fastapi uvicorn -r outputs/bundle/requirements.txt
Start: BUNDLE=outputs/bundle uvicorn service:app
"""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, Field

BUNDLE = os.environ.get("BUNDLE", "outputs/bundle")
sys.path.insert(0, BUNDLE)
from newsparts_runtime import Labeler  # noqa: E402

MAX_BATCH = 32
"""Pages that are labelled at once, at most."""


class Page(BaseModel):
    """What a client posts."""

    page_id: str = "page"
    segments: list[str] = Field(max_length=20_000)


async def label_waiting(labeler: Labeler, queue: asyncio.Queue) -> None:
    """Labels with `labeler` what waits in `queue`, pairs of a page and its future, batch by batch, for ever."""
    while True:
        batch = [await queue.get()]
        while len(batch) < MAX_BATCH and not queue.empty():
            batch.append(queue.get_nowait())
        pages = [(page.page_id, page.segments) for page, _ in batch]
        try:
            results = await asyncio.to_thread(lambda pages=pages: list(labeler.label(pages)))
        except Exception as error:
            results = [error] * len(batch)
        for (_, future), result in zip(batch, results, strict=True):
            if not future.done():  # its client may have gone
                (future.set_exception if isinstance(result, Exception) else future.set_result)(result)


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Loads the bundle before the first request, and runs one worker beside the requests."""
    app.state.labeler, app.state.queue = Labeler.load(BUNDLE), asyncio.Queue(maxsize=1000)
    worker = asyncio.create_task(label_waiting(app.state.labeler, app.state.queue))
    yield
    worker.cancel()


app = FastAPI(lifespan=lifespan)


@app.exception_handler(RequestValidationError)
async def refuse(request: Request, error: RequestValidationError) -> JSONResponse:
    """What is no page gets 422 and the reasons of `error`, without its own text; `request` is not looked at."""
    return JSONResponse({"detail": [{"where": part["loc"], "why": part["msg"]} for part in error.errors()]}, 422)


@app.get("/healthz")
def healthz(request: Request) -> dict:
    """The model that serves, and how many pages wait."""
    labeler = request.app.state.labeler
    return {"family": labeler.family, "version": labeler.version, "waiting": request.app.state.queue.qsize()}


@app.post("/label")
async def label(page: Page, request: Request) -> Response:
    """The record of `page`, as `python -m train predict` prints it; it waits in the queue that `request` leads to."""
    future = asyncio.get_running_loop().create_future()
    await request.app.state.queue.put((page, future))
    # json.dumps writes ASCII: a page may hold halves of characters, which are no UTF-8.
    return Response(json.dumps(await future), media_type="application/json")
