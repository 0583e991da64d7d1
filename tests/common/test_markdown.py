"""Markdown that we write, as a reader of CommonMark with tables takes it apart."""

from __future__ import annotations

from markdown_it import MarkdownIt

from train.common.markdown import plain, table

HOSTILE = ("a|b", "<b>x</b>", "[x](https://a.example)", "`x`", "two\nlines", "**x**", "\\|", "&amp;")


def _cells(markdown: str) -> list[str]:
    """The text of each cell, as HTML."""
    tokens = MarkdownIt("commonmark").enable("table").parse(markdown)
    return [
        "".join(child.content if child.type.startswith("text") else f"<{child.type}>" for child in token.children or ())
        for token in tokens
        if token.type == "inline"
    ]


def test_a_table_has_its_cells_and_ends_its_last_line() -> None:
    written = table(["", "score"], [["role", "0.5"], ["", ""]])
    assert written == "|  | score |\n|---|---|\n| role | 0.5 |\n|  |  |\n"
    assert _cells(written) == ["", "score", "role", "0.5", "", ""]
    assert table(["a"], []) == "| a |\n|---|\n"


def test_text_that_came_with_the_data_stays_text_in_its_cell() -> None:
    written = table(["one", "two"], [[plain(text), "next"] for text in HOSTILE])
    assert _cells(written)[2::2] == [" ".join(text.split()) for text in HOSTILE]
    assert _cells(written)[3::2] == ["next"] * len(HOSTILE)
