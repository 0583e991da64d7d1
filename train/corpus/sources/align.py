"""Which blocks of a page are the main story, when a benchmark gives the story's text alone.

A block of six words or more is main when 70 % of its word 3-grams are in the gold text. A shorter one is main when it is a whole
line of the gold, or when the gold has its words between those of the main blocks around it. Related items are not labelled by
such benchmarks: they come out as boilerplate.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

_WORD = re.compile(r"\w+")
LONG, SHARE, GRAM = 6, 0.7, 3


def main_blocks(texts: Sequence[str], gold: str) -> list[bool]:
    """Whether each block is part of the gold text.

    Args:
        texts: The page's blocks, in page order.
        gold: The main story's text, a paragraph a line where its lines are known.
    """
    gold_words = _WORD.findall(gold.casefold())
    grams = set(zip(*(gold_words[i:] for i in range(GRAM)), strict=False))
    lines = {tuple(words) for line in gold.split("\n") if (words := _WORD.findall(line.casefold()))}
    words = [_WORD.findall(text.casefold()) for text in texts]
    answer = [len(w) >= LONG and _share(w, grams) >= SHARE for w in words]
    long = [i for i, is_main in enumerate(answer) if is_main]
    if not long:
        return [tuple(w) in lines for w in words]
    body = " ".join(gold_words)
    places = _places(words, long, body)
    for i in range(long[0], min(long[-1] + 2, len(texts))):
        if answer[i] or not 0 < len(words[i]) < LONG:
            continue
        before = max(k for k in long if k <= i)
        after = min((k for k in long if k > i), default=None)
        gap = body[places[before][1] : places[after][0] if after is not None else None]
        answer[i] = tuple(words[i]) in lines or f" {' '.join(words[i])} " in f" {gap} "
    return answer


def _share(words: Sequence[str], grams: set[tuple[str, ...]]) -> float:
    own = list(zip(*(words[i:] for i in range(GRAM)), strict=False))
    return sum(gram in grams for gram in own) / len(own)


def _places(words: Sequence[Sequence[str]], long: Sequence[int], body: str) -> dict[int, tuple[int, int]]:
    """Where in the gold each long main block begins and ends, in characters: by its first and last words, searched in page order."""
    answer, position = {}, 0
    for i in long:
        start = body.find(" ".join(words[i][:GRAM]), position)
        start = position if start < 0 else start
        end = body.find(" ".join(words[i][-GRAM:]), start)
        end = start if end < 0 else end + len(" ".join(words[i][-GRAM:]))
        answer[i] = (start, end)
        position = end
    return answer
