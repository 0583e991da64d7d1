"""The topics of stories whose borders are known: what the topic model is worth by itself."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

from train.common.errors import InputError
from train.corpus.page import Page
from train.runtime import Labeler
from train.runtime.labeler import BATCH_PAGES


def label_known_stories(labeler: Labeler, pages: Iterable[Page]) -> Iterator[dict[str, Any]]:
    """Labels the topics alone of pages whose roles and stories are taken as labelled.

    What topics score then is the topic model by itself; what they score less by `label` is lost where stories are cut
    wrong.

    Args:
        labeler: The model, which must know topics.
        pages: Labelled pages, read a batch at a time.

    Yields:
        A record of each page, in order: segments with text, role and story as labelled; stories with topic and
        confidence as predicted.

    Raises:
        InputError: The model knows no topics.
    """
    if not labeler.topics:
        raise InputError(
            "a model without topics",
            expected="one trained on stories or texts with topics",
            remedy="see train/corpus/README.md",
            rule="no-topics",
        )
    iterator = iter(pages)
    while batch := list(islice(iterator, BATCH_PAGES)):
        stories = [[segment.story for segment in page.segments] for page in batch]
        for page, numbers, topics in zip(
            batch, stories, labeler.story_topics([page.texts for page in batch], stories), strict=True
        ):
            story_records = []
            for story, row in topics.items():
                where = [i for i, other in enumerate(numbers) if other == story]
                topic, confidence = labeler.topics[int(row.argmax())], float(row.max())
                story_records.append({"story": story, "topic": topic, "confidence": confidence, "segments": where})
            segments = [{"text": s.text, "role": s.role, "story": s.story} for s in page.segments]
            yield {"page_id": page.page_id, "segments": segments, "stories": story_records}
