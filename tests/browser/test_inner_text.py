"""The blocks of a page hold what a browser shows of it."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from tests.helpers.html_frames import LOSSES, PARAGRAPHS, STORY
from train.corpus.sources.html_blocks import read_html

INNER_TEXT = "html => { document.documentElement.innerHTML = html; return document.body.innerText; }"
"""The page as it is before its scripts run: those set as inner HTML never do."""
SHOWN = {
    "inline tags": "<p>One <b>bo</b>ld <a href=x>link</a>.</p><p>Two",
    "lists and tables": "<ul><li>Home<li>News</ul><table><caption>c<tr><td>x<td>y</table><dl><dt>t<dd>d</dl>",
    "misnested": "<p><b>one<p>two</b> three<div>four</p>five",
    "fallbacks": f"{PARAGRAPHS}<video>v</video><audio>a</audio><canvas>c</canvas><dialog>d</dialog><object>o</object>",
    "hidden": f"{PARAGRAPHS}<div hidden>h</div><p style='display:none'>h</p><p style='visibility:hidden'>h</p>",
    "foster parents": "<table>before<tr>stray<td>cell</table>after",
    "rubies": "<ruby>漢<rp>(</rp><rt>kan</rt><rp>)</rp></ruby>",
}


@pytest.mark.parametrize("html", [*SHOWN.values(), *(LOSSES[name].format(PARAGRAPHS) for name in LOSSES)])
def test_what_a_browser_shows_is_in_the_blocks(chromium: Any, html: str) -> None:
    page = chromium.new_page()
    shown = page.evaluate(INNER_TEXT, html)
    page.close()
    read = [block.text for block in read_html(f"<meta charset=utf-8>{html}".encode()).blocks]
    missing = Counter("".join(shown.split())) - Counter("".join("".join(read).split()))
    assert not missing or "<select>" in html
    assert html in SHOWN.values() or all(text in read for text in STORY), "what scripts would show is read as well"
