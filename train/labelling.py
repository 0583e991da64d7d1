"""Files in, records out: what `predict`, `show` and `evaluate` share."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice, tee
from pathlib import Path
from typing import Any

from train.corpus.page import Page, Segment
from train.corpus.read import Refusal, scan
from train.errors import InputError
from train.registry import bundle_folder
from train.runtime import BundleError, Labeler
from train.runtime.labeler import BATCH_PAGES
from train.runtime.reading import split_text

STDIN = "-"


def load_labeler(model: str) -> Labeler:
    """Loads a model by folder or URI.

    Raises:
        InputError: There is no such model, or its bundle must not be loaded.
    """
    try:
        return Labeler.load(bundle_folder(model))
    except BundleError as error:
        raise InputError(str(error), expected="a bundle as it was exported", remedy="see above", rule="bad-bundle") from None


def label_known_stories(labeler: Labeler, pages: Iterable[Page]) -> Iterator[dict[str, Any]]:
    """Records of labelled pages that take roles and stories as labelled, and ask the model for the stories' topics alone.

    What topics score then is the topic model by itself; what they score less by `label` is lost where stories are cut wrong.

    Raises:
        InputError: The model knows no topics.
    """
    if not labeler.topics:
        raise InputError(
            "a model without topics",
            expected="one trained on stories or texts with topics",
            remedy="see README, 'Topics'",
            rule="no-topics",
        )
    iterator = iter(pages)
    while batch := list(islice(iterator, BATCH_PAGES)):
        stories = [[segment.story for segment in page.segments] for page in batch]
        for page, numbers, topics in zip(batch, stories, labeler.story_topics([page.texts for page in batch], stories), strict=True):
            answers = []
            for story, row in topics.items():
                where = [i for i, other in enumerate(numbers) if other == story]
                topic, confidence = labeler.topics[int(row.argmax())], float(row.max())
                answers.append({"story": story, "topic": topic, "confidence": confidence, "segments": where})
            segments = [{"text": s.text, "role": s.role, "story": s.story} for s in page.segments]
            yield {"page_id": page.page_id, "segments": segments, "stories": answers}


def label_pairs(labeler: Labeler, pages: Iterable[Page]) -> Iterator[tuple[Page, dict[str, Any]]]:
    """Each page with its record; a batch of pages in memory."""
    shown, read = tee(pages)
    return zip(shown, labeler.label((page.page_id, page.texts) for page in read), strict=True)


def read_texts(files: Sequence[str]) -> Iterator[tuple[str, list[str]]]:
    """Yields `(page_id, segment texts)` of each page of `read_files`."""
    return ((page.page_id, page.texts) for page in read_files(files))


def read_files(files: Sequence[str], *, labels: bool = False) -> Iterator[Page]:
    """Yields the pages of files, labelled or not.

    Args:
        files: `.txt` holds one page, a segment a line, empty lines ignored, named by the file's stem; `-` is such a page on
            standard input; `.jsonl`, `.jsonl.gz` and `.parquet` hold pages, labelled or not.
        labels: Keep labels, which must then be right; they are passed over otherwise.

    Raises:
        InputError: A file is missing, of unknown format, not UTF-8, or holds a line that is no page.
    """
    for name in files:
        path = Path(name)
        if name == STDIN or name.lower().endswith(".txt"):
            yield Page(path.stem if name != STDIN else "stdin", "", tuple(Segment(text, None) for text in _lines(name)))
            continue
        for _, item in scan(path, labelled=False if labels else None):
            if isinstance(item, Refusal):
                raise item.error
            yield item


def _lines(name: str) -> list[str]:
    try:
        text = sys.stdin.read() if name == STDIN else Path(name).read_text(encoding="utf-8-sig")
    except (FileNotFoundError, IsADirectoryError):
        raise InputError(
            "no such file", expected="a page's text, a segment a line", remedy="check the path", path=name, rule="no-file"
        ) from None
    except UnicodeDecodeError as error:
        raise InputError(
            f"bytes that are not UTF-8: {error.reason} at byte {error.start}", expected="UTF-8 text", remedy="save the file as UTF-8",
            path=name, rule="bad-encoding",
        ) from None  # fmt: skip
    return split_text(text)
