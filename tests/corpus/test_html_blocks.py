from __future__ import annotations

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tests.helpers.html_frames import LOSSES, PARAGRAPHS, STORY
from train.common.errors import InputError
from train.corpus.sources.html_blocks import LARGEST, read_html


def texts(html: str | bytes) -> list[str]:
    return [block.text for block in read_html(html.encode() if isinstance(html, str) else html).blocks]


@pytest.mark.parametrize(
    ("html", "expected"),
    [
        ("<p>One <b>bo</b>ld <a href=x>link</a>.</p><p>Two", ["One bold link.", "Two"]),
        ("<ul><li>Home<li>News</ul>tail", ["Home", "News", "tail"]),
        ("one<br>line<br><br>two", ["one line", "two"]),
        ("<p>a<br> \n <br>b</p>", ["a", "b"]),
        ("<script>x</script><style>y</style><noscript>z</noscript><p>seen</p><template>t</template>", ["seen"]),
        (
            '<p hidden>h</p><p style="color:red; Display : NONE">h</p><span style="visibility:hidden">h</span><p>seen',
            ["seen"],
        ),
        ("<select><option>Aargau<option>Bern</select><p>seen", ["seen"]),
        ("<div>a<div>b</div>c</div>", ["a", "b", "c"]),
        ("<span>in <p>para</p> tail</span>", ["in", "para", "tail"]),
        ("<table><tr><td>x<td>y</table>", ["x", "y"]),
        ("<p>a&nbsp;&amp;&#8217;b <!-- no --></p>", ["a &\u2019b"]),
        ("<p>unclosed <b>bold <i>both<p>next", ["unclosed bold both", "next"]),
        ("<title>Only a title</title>", []),
        ("", []),
        ("   \n", []),
        ("no tag at all", ["no tag at all"]),
        ("<p>nul\x00byte</p><p>after", ["nul byte", "after"]),
        ("<p>\u00adsoft</p>", ["\u00adsoft"]),
        ("<p>x<img alt=y>z</p>", ["x z"]),
        ("<svg><text>drawn</text></svg><p>seen", ["seen"]),
    ],
)
def test_blocks_are_what_a_reader_sees(html: str, expected: list[str]) -> None:
    assert texts(html) == expected


@pytest.mark.parametrize("paragraphs", [5_000, pytest.param(140_000, marks=pytest.mark.slow, id="five megabytes")])
def test_a_large_page_is_read_whole(paragraphs: int) -> None:
    html = "<html><body>" + "<p>Some words <b>in</b> a paragraph</p>" * paragraphs
    assert len(texts(html)) == paragraphs


@pytest.mark.parametrize("tag", ["div", "b", "table><tr><td", "blockquote"])
def test_text_that_nests_too_deeply_is_refused_not_lost(tag: str) -> None:
    assert texts(f"<{tag}>" * 300 + "inside" + "<p>after")[0] == "inside"
    assert tag == "b" or texts(f"<{tag}>" * 5_000 + "inside") == ["inside"]
    with pytest.raises(InputError) as caught:
        texts(f"<{tag}>" * 100_000 + "inside")
    assert caught.value.rule == "too-deep"


def test_a_page_beyond_measure_is_refused() -> None:
    with pytest.raises(InputError) as caught:
        read_html(b"x" * (LARGEST + 1))
    assert caught.value.rule == "too-large"


def test_the_head_tells_title_language_and_address() -> None:
    page = read_html(
        b'<html lang="de-CH"><title> Ein\n Titel </title><link rel=canonical href="https://a.example/x"><body>t'
    )
    assert (page.title, page.lang, page.url) == ("Ein Titel", "de-CH", "https://a.example/x")
    assert read_html(b'<meta property="og:url" content="https://b.example/">t').url == "https://b.example/"
    assert read_html(b'<link rel=canonical href="javascript:x">t').url is None


def test_the_innermost_mark_counts_and_a_block_has_that_of_most_characters() -> None:
    html = (
        b"<div class=a>aaaa<span class=b>bb<i>bbb</i></span></div><p>none</p><div class=a><p class=b>only b</p></div>"
    )
    blocks = read_html(html, lambda element: element.get("class")).blocks
    assert [(block.mark, dict(block.marks)) for block in blocks] == [
        ("b", {"a": 4, "b": 5}),
        (None, {None: 4}),
        ("b", {"b": 5}),
    ]


@pytest.mark.parametrize("frame", LOSSES.values(), ids=LOSSES)
def test_a_story_is_read_however_the_page_is_built(frame: str) -> None:
    read = [text for text in texts(frame.format(PARAGRAPHS)) if text != "Menu"]
    assert read == STORY


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(sorted(LOSSES)), st.sampled_from(sorted(LOSSES)))
def test_a_story_is_read_in_any_two_of_them(outer: str, inner: str) -> None:
    assume((outer, inner) != ("an unclosed svg", "a comment in noscript"))  # a comment there, which nothing ends
    read = " ".join(texts(LOSSES[outer].format(LOSSES[inner].format(PARAGRAPHS))))
    assert all(text in read for text in STORY)


@pytest.mark.parametrize(
    "fallback",
    [
        "<video src=a>No film for you.</video>",
        "<audio>No sound.</audio>",
        "<canvas>No drawing.</canvas>",
        "<dialog><p>Subscribe now, it is free of charge for the first months, and then ends by itself</p></dialog>",
        "<noscript>Please switch scripts on in your browser, as this page and its comments need them.</noscript>",
        "<template><p>A line of a list that scripts fill</p></template>",
        "<div popover>A tip</div>",
        "<iframe src=a>No frames.</iframe>",
        "<ruby><rp>(</rp></ruby>",
    ],
)
def test_what_nobody_sees_is_no_block(fallback: str) -> None:
    assert texts(f"{PARAGRAPHS}{fallback}<footer>Imprint</footer>") == [*STORY, "Imprint"]


@pytest.mark.parametrize(
    "html",
    [
        "<ul><li>" * 100_000,
        "<p " + " ".join(f"a{i}" for i in range(80_000)) + ">x",
        "".join(f"<html a{i}>" for i in range(80_000)),
        "".join(f"<b id={i}>" for i in range(10_000)) + "<p>x" * 10_000,
        "<div><!-- </div> -->" * 100_000,
        "<svg><style><g></style>" * 100_000,
        "<noscript><div></noscript>" * 100_000,
    ],
    ids=lambda html: html[:20],
)
def test_a_page_that_would_take_minutes_is_refused(html: str) -> None:
    with pytest.raises(InputError) as caught:
        texts(html)
    assert caught.value.rule == "too-deep"
