"""Bytes with the faults that files have."""

from __future__ import annotations

import random

JUNK = [
    b"\x00",
    b"\xff\xfe",
    b"\xc3",
    b'"',
    b"{",
    b"]",
    b"<",
    b"</p>",
    b"<span class='x-nc-sel4'>",
    b"&#x0;",
    b"\n",
    b"\r",
    b",",
    b"1e999",
    b"-1",
    b"NaN",
    b"9" * 400,
    b"null",
    b"\\ud800",
    "\u202e\U0001f600".encode(),
    b"../../etc/passwd",
    b"<div>" * 40,
    b"<!--",
    b"<![CDATA[",
    b"\x1f\x8b",
]


def damaged(content: bytes, rng: random.Random) -> bytes:
    """The bytes with one to four faults of the kinds that files have."""
    for _ in range(rng.randint(1, 4)):
        at, end = sorted(rng.randrange(len(content) + 1) for _ in range(2))
        end = min(end, at + rng.choice((1, 3, 20, 200)))
        kind = rng.randrange(7)
        if kind == 0:
            content = content[:at]
        elif kind == 1:
            content = content[:at] + rng.choice(JUNK) + content[at:]
        elif kind == 2:
            content = content[:at] + content[end:]
        elif kind == 3:
            content = content[:end] + content[at:end] * rng.randint(1, 5) + content[end:]
        elif kind == 4:
            content = content[:at] + rng.choice(JUNK) + content[end:]
        elif kind == 5 and content:
            at = min(at, len(content) - 1)
            content = content[:at] + bytes([content[at] ^ (1 << rng.randrange(8))]) + content[at + 1 :]
        else:
            content = content[:at] + rng.randbytes(rng.randint(1, 12)) + content[at:]
    return content
