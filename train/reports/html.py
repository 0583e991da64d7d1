"""Static HTML that works offline: one style for light and dark, every text escaped, nothing loaded, no script but our
own by its hash."""

from __future__ import annotations

import base64
import hashlib
import html
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from train.common.files import write_text

SIGNS = {"main": "█", "related": "▒", "boilerplate": "·", None: "?"}
"""Sign of each role, so that colour is not needed to tell it."""
SHOWN_CHARS = 600
_UNFIT = re.compile("[\\x00-\\x08\\x0b-\\x1f\\x7f-\\x9f\\ud800-\\udfff\\ufffe\\uffff\\u202a-\\u202e\\u2066-\\u2069]")
"""Controls, halves of characters, and marks that turn the direction of what follows."""
STYLE = """
:root { color-scheme: light dark; --fg: #1c1f23; --bg: #ffffff; --soft: #f1f3f5; --line: #d5d9de; --dim: #5f6770;
  --main: #1b7f45; --related: #8f5b00; --boilerplate: #626a74; --bad: #b3261e; --link: #0b62b8; }
@media (prefers-color-scheme: dark) { :root { --fg: #e3e6ea; --bg: #14171a; --soft: #1f2428; --line: #363d44; --dim: #98a1ab;
  --main: #5fce8f; --related: #e8b04b; --boilerplate: #98a1ab; --bad: #ff8a80; --link: #7db8f0; } }
* { box-sizing: border-box; }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--fg); background: var(--bg); max-width: 1100px; margin: 0 auto; padding: 1.5rem; }
h1 { font-size: 1.6rem; } h2 { font-size: 1.25rem; margin-top: 2.5rem; border-bottom: 1px solid var(--line); }
table { border-collapse: collapse; margin: .6rem 0; } th, td { text-align: left; padding: .2rem .8rem .2rem 0; vertical-align: top; }
th { color: var(--dim); font-weight: 600; } td { overflow-wrap: anywhere; min-width: 3.5rem; } td.n { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
a { color: var(--link); } .dim { color: var(--dim); } .bad { color: var(--bad); } code { overflow-wrap: anywhere; }
.figures { display: grid; grid-template-columns: repeat(auto-fill, minmax(460px, 1fr)); gap: 1.4rem; align-items: start; } figure { margin: 0; }
figure svg { width: 100%; height: auto; } figcaption { font-weight: 600; }
details { border: 1px solid var(--line); border-radius: 6px; margin: .6rem 0; padding: .4rem .8rem; } summary { cursor: pointer; }
.page { display: grid; grid-template-columns: 1.2rem 6.2rem 2rem 1fr; column-gap: .5rem; font-size: .92rem; }
.page > * { padding: .1rem 0; overflow-wrap: anywhere; } .page .main { color: var(--main); } .page .related { color: var(--related); }
.page .boilerplate { color: var(--boilerplate); } .page b { font-weight: 600; }
"""


def clipped(text: Any, most: int) -> str:
    """A text in one line, of so many characters at most, and how many there are."""
    line = " ".join(str(text).split())
    return line if len(line) <= most else f"{line[:most]} … ({len(line):,} characters)"


def escape(value: Any) -> str:
    """Text for HTML; characters that no page may hold are replaced."""
    return html.escape(_UNFIT.sub("\ufffd", str(value)))


def write_page(path: Path, title: str, parts: Iterable[str], *, style: str = "", script: str = "") -> None:
    """Writes a page of HTML parts, whole or not at all. Its policy forbids every address, and every script but the one
    given.

    Args:
        path: The file.
        title: Its title and first heading.
        parts: HTML, in order.
        style: CSS of this page, after the common one.
        script: JavaScript of this page, ours: it runs by its hash, which no text of a page can have.
    """
    allowed = (
        f"; script-src 'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'" if script else ""
    )
    policy = f"default-src 'none'; style-src 'unsafe-inline'; img-src data:{allowed}"
    head = (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><meta http-equiv="Content-Security-Policy" '
        f'content="{policy}">'
        '<meta name="viewport" '
        f'content="width=device-width"><title>{escape(title)}</title><style>{STYLE}{style}</style></head><body><main>'
    )
    end = f"</main>{f'<script>{script}</script>' if script else ''}</body></html>\n"
    write_text(path, "\n".join([head, f"<h1>{escape(title)}</h1>", *parts, end]))


def link(address: str | None, text: str) -> str:
    """A link when the address is one of the web; a text otherwise: a page's address may be any string."""
    if address is None or not re.match(r"https?://[^\s]+$", address, re.IGNORECASE):
        return escape(text)
    return f'<a href="{escape(address)}" rel="noreferrer noopener">{escape(text)}</a>'


def table(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """A table; numbers stand right."""
    heads = "".join(f'<th scope="col">{escape(name)}</th>' if name else "<td></td>" for name in header)
    cells = [f"<table><thead><tr>{heads}</tr></thead><tbody>" if any(header) else "<table><tbody>"]
    for row in rows:
        cells.append("<tr>" + "".join(_cell(value) for value in row) + "</tr>")
    return "".join([*cells, "</tbody></table>"])


def _cell(value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return f"<td>{escape(value)}</td>"
    return f'<td class="n">{value:,}</td>' if isinstance(value, int) else f'<td class="n">{value:.3f}</td>'


def listing(segments: Sequence[Mapping[str, Any]]) -> str:
    """A page as a coloured listing: sign, role, story and text of each segment; topics stand where a story begins.

    Args:
        segments: `{"text", "role", "story", "topic"}`, as on disk; labels may be missing.
    """
    rows, told = [], set()
    for segment in segments:
        role, story, topic = (segment.get(key) for key in ("role", "story", "topic"))
        text = clipped(segment["text"], SHOWN_CHARS)
        topical = ""
        if topic is not None and story not in told:
            told.add(story)
            topical = f" <b>[{escape(topic)}]</b>"
        style = escape(role or "")
        number = "" if story is None else str(story)
        rows.append(
            f'<span class="{style}">{SIGNS.get(role, "?")}</span><span '
            f'class="{style}">{escape(role or "unlabelled")}</span>'
            f'<span class="{style}">{escape(number)}</span><span class="{style}">{escape(text)}{topical}</span>'
        )
    return f'<div class="page">{"".join(rows)}</div>'
