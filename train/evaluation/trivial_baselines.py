"""What costs nothing and must be beaten: the commonest role, and a hand-made rule."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from typing import Any

from train.corpus.page import Page
from train.evaluation.counts import MIN_WORDS
from train.runtime.page_features import LONG_WORDS
from train.runtime.text import ROLES, clean, word_count

HEADING = re.compile(
    r"^(related|more (from|on|in|about|news|stories|like)\b|read (more|next|also)|also read|recommended|most "
    r"(read|popular|viewed)|popular"
    r"|trending|latest|top stories|other (news|stories)|you (may|might)( also)? like|don.t miss|up next|editor.?s.? "
    r"picks?|what to read next"
    r"|see also|around the web|sponsored|promoted|from the web"
    r"|mehr (zum|zu|aus|von)|das könnte|lesen sie auch|auch interessant|meistgelesen|weitere (artikel|themen))",
    re.IGNORECASE,
)
HEADING_WORDS, HEADLINE_WORDS, GAP = 8, 5, 12


def rule_records(pages: Sequence[Page]) -> list[dict[str, Any]]:
    """The records of a hand-made rule: the run of long text is the story; after the words "Related…", lines of five
    words or more are related.

    The main story reaches from the first segment of 20 words to the last one that is followed by no gap of more than 12
    short segments; short segments inside are boilerplate, the longest line right before it is its headline. Below a
    short line such as "Related articles" everything of five words or more is related, one story a line."""
    return [_record(page) for page in pages]


def _record(page: Page) -> dict[str, Any]:
    texts = [clean(text) for text in page.texts]
    words = [word_count(text) for text in texts]
    headings = [i for i, text in enumerate(texts) if words[i] <= HEADING_WORDS and HEADING.match(text)]
    long = [i for i, n in enumerate(words) if n >= LONG_WORDS]
    end = next((i for i in headings if long and i > long[0]), len(texts))
    body: list[int] = []
    for i in long:
        if i >= end or (body and i - body[-1] > GAP):
            break
        body.append(i)
    if body:
        above = range(max(0, body[0] - GAP), body[0])
        headline = max(above, key=lambda i: words[i] if words[i] >= HEADLINE_WORDS else -1, default=None)
        if headline is not None and words[headline] >= HEADLINE_WORDS:
            body.insert(0, headline)
    main = set(body)
    segments: list[dict[str, Any]] = []
    stories = 0
    below = False
    for i, n in enumerate(words):
        below = below or i in headings
        if i in main:
            segments.append({"role": ROLES[0], "story": 0})
        elif below and i not in headings and n >= HEADLINE_WORDS:
            stories += 1
            segments.append({"role": ROLES[1], "story": stories})
        else:
            segments.append({"role": ROLES[2], "story": None})
    return {"page_id": page.page_id, "segments": segments, "stories": []}


def majority_records(train: Sequence[Page], pages: Sequence[Page]) -> list[dict[str, Any]]:
    """The records of a model that always predicts the commonest role, and topic, of the training segments.

    Args:
        train: The labelled pages whose segments are counted.
        pages: The pages to label.
    """
    role = Counter(s.role for page in train for s in page.segments if word_count(s.text) >= MIN_WORDS).most_common(1)[
        0
    ][0]
    topics = Counter(
        page_topic for page in train for page_topic in {s.topic for s in page.segments if s.topic is not None}
    )
    topic = topics.most_common(1)[0][0] if topics else None
    story = {"main": 0, "related": 1}.get(str(role))
    stories = [] if story is None else [{"story": story, "topic": topic}]
    return [
        {
            "page_id": page.page_id,
            "segments": [{"role": role, "story": story} for _ in page.segments],
            "stories": stories,
        }
        for page in pages
    ]
