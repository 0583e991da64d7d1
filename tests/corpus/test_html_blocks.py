from __future__ import annotations

import pytest

from train.common.errors import InputError
from train.corpus.sources.html_blocks import LARGEST, decode, read_html


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


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("<p>Käse".encode(), "<p>Käse"),
        ("<p>Käse".encode("cp1252"), "<p>Käse"),
        ("<meta charset=iso-8859-1><p>“Käse”".encode("cp1252"), "<meta charset=iso-8859-1><p>“Käse”"),
        ("<meta charset='windows-1251'>Мир".encode("cp1251"), "<meta charset='windows-1251'>Мир"),
        (
            b'<meta http-equiv="Content-Type" content="text/html; charset=Shift_JIS">' + "日本".encode("shift_jis"),
            "日本",
        ),
        (b"\xef\xbb\xbf<p>bom", "<p>bom"),
        ("<p>wide".encode("utf-16"), "<p>wide"),
        (b"<meta charset=utf-8><p>K\xe4se", "<p>Käse"),
        ("<meta charset=utf-8><p>Käse für Zürich".encode() + b" cut \xe2\x80", "Käse für Zürich cut \ufffd"),
        (b"<meta charset=zlib><p>x", "<p>x"),
        (b"<meta charset=unicode_escape>\\x41", "\\x41"),
        (b"<meta charset=nonsense><p>x", "<p>x"),
    ],
)
def test_encodings_are_those_of_the_web(content: bytes, expected: str) -> None:
    assert decode(content).endswith(expected)


@pytest.mark.parametrize("paragraphs", [5_000, pytest.param(140_000, marks=pytest.mark.slow, id="five megabytes")])
def test_a_large_page_is_read_whole(paragraphs: int) -> None:
    html = "<html><body>" + "<p>Some words <b>in</b> a paragraph</p>" * paragraphs
    assert len(texts(html)) == paragraphs


@pytest.mark.parametrize("tag", ["div", "b", "table><tr><td", "blockquote"])
def test_text_that_nests_too_deeply_is_refused_not_lost(tag: str) -> None:
    assert texts(f"<{tag}>" * 300 + "inside" + "<p>after")[0] == "inside"
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
