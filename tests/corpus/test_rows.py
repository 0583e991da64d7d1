"""Tables, lines of JSON and folders: each row, line and file is kept, refused or counted as passed over."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.helpers.html_frames import PARAGRAPHS, STORY
from train.common.errors import InputError
from train.corpus.column_mapping import ColumnMapping, in_languages, site_of
from train.corpus.page import Page, parse_page
from train.corpus.quality.check import CheckReport, check_corpus
from train.corpus.read import read_pages
from train.corpus.sources.csv_table import split_tabs


def check(path: Path | str, folder: Path, *, labelled: bool = True) -> tuple[list[Page], CheckReport]:
    pages: list[Page] = []
    report = check_corpus(path, quarantine=folder / "q.jsonl", labelled=labelled, on_page=pages.append)
    assert report.read == report.kept + report.errors.total() + report.passed_over.total()
    return pages, report


def test_a_quote_that_nobody_closes_swallows_no_row(tmp_path: Path) -> None:
    rows = [
        "page_id\ttext\trole",
        'a\t"We sailed at dawn\tmain',
        'a\tand came home late."\tmain',
        "",
        "b\tMenu\tboilerplate",
    ]
    (tmp_path / "rows.tsv").write_text("\n".join(rows) + "\n")
    pages, report = check(tmp_path / "rows.tsv", tmp_path, labelled=False)
    assert [page.texts for page in pages] == [['"We sailed at dawn', 'and came home late."'], ["Menu"]]
    assert dict(report.passed_over) == {"blank line": 1}
    rows = ["page_id,text,role", 'a,"We sailed at dawn,main', 'a,and came home late.",main', "b,Menu,boilerplate"]
    (tmp_path / "rows.csv").write_text("\n".join(rows) + "\n")
    pages, report = check(tmp_path / "rows.csv", tmp_path, labelled=False)
    assert [page.page_id for page in pages] == ["b"]
    assert dict(report.errors) == {"bad-row": 1}


CELL = st.text(st.sampled_from('ab"\n '), max_size=8)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.lists(CELL, min_size=2, max_size=2), min_size=1, max_size=5), st.booleans())
def test_tabs_part_what_was_written(rows: list[list[str]], quoted: bool) -> None:
    def written(cell: str) -> str:
        return f'"{cell.replace(chr(34), chr(34) * 2)}"' if quoted else cell.replace("\n", " ")

    text = "".join("\t".join(map(written, row)) + "\n" for row in rows)
    read = [cells for _, cells in split_tabs(text.splitlines(keepends=True))]
    if quoted:
        assert read == rows
    else:
        joined = [word for cells in read for word in "\t".join(cells).replace('"', "").split()]
        assert joined == text.replace('"', "").split(), "nothing is lost but quotes"


@pytest.mark.parametrize(
    ("header", "columns"), [("page_id,text,text", ""), ("page_id,body,content", "body=text content=text")]
)
def test_a_repeated_column_is_refused(header: str, columns: str, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text(f"{header}\na,one,two\n")
    with pytest.raises(InputError) as caught:
        read_pages(tmp_path / "t.csv", labelled=False, naming=ColumnMapping.parse(columns, ""))
    assert caught.value.rule == "repeated-column"


@pytest.mark.parametrize(
    ("story", "number"), [(1, 1), (1.0, 1), ("2", 2), ("3.0", 3), ("", None), (float("nan"), None)]
)
def test_a_story_is_a_whole_number_however_it_is_written(story: object, number: int | None) -> None:
    record = {"page_id": "a", "site": "a.example", "segments": [{"text": "t", "role": "related", "story": story}]}
    assert parse_page(record, labelled=True).segments[0].story == number


@pytest.mark.parametrize("story", [True, 0.5, "one", [1], 1e99, float("inf")])
def test_another_story_is_refused(story: object) -> None:
    record = {"page_id": "a", "site": "a.example", "segments": [{"text": "t", "role": "related", "story": story}]}
    with pytest.raises(InputError) as caught:
        parse_page(record, labelled=True)
    assert caught.value.rule == "bad-story"


def test_what_is_kept_can_be_read_again(tmp_path: Path) -> None:
    lines = ['{"page_id":"a","site":"a.example","rank":-1e999,"segments":[{"text":"t","role":"main"}]}', "", "  "]
    (tmp_path / "p.jsonl").write_text("\n".join(lines))
    kept = tmp_path / "kept.jsonl"
    report = check_corpus(tmp_path / "p.jsonl", quarantine=tmp_path / "q.jsonl", keep=kept)
    assert (report.kept, dict(report.passed_over)) == (1, {"blank line": 2})
    assert read_pages(kept) == read_pages(tmp_path / "p.jsonl")
    json.loads(kept.read_text(), parse_constant=lambda name: pytest.fail(name))


def test_a_folder_of_pages_is_read_whatever_their_names(tmp_path: Path) -> None:
    pages = tmp_path / "pages"
    for name in ("a.HTML", "b.php", "c.shtml", "index.html?id=7", "news/12345", "d.aspx"):
        (pages / name).parent.mkdir(exist_ok=True, parents=True)
        (pages / name).write_text(f"<!doctype html><title>{name}</title>{PARAGRAPHS}")
    others = {"style.css": "p { color: red }", "data.json": "{}", "feed.xml": "<?xml version='1.0'?><rss></rss>"}
    for name, text in (others | {"picture.svg": "<svg></svg>", ".hidden": "x", "README": "plain words"}).items():
        (pages / name).write_text(text)
    read, report = check(f"html:{pages}", tmp_path, labelled=False)
    assert len(read) == 6
    assert all(page.texts == STORY for page in read)
    assert report.passed_over == {f"{s} file": 1 for s in (".css", ".json", ".xml", ".svg", "hidden")} | {
        "file that is not HTML": 1
    }


@pytest.mark.parametrize(
    ("html", "broken"),
    [
        (f"<body>{PARAGRAPHS}</body>", False),
        ("<body></body>", True),
        ("<body><div id=app>Loading</div><script>" + "x = 'The story is here';" * 200 + "</script>", True),
        ("<body><nav><a>Home</a></nav><script type=application/json>" + '"words of it" ' * 9000 + "</script>", True),
        (f"<body>{PARAGRAPHS * 6}<script>" + "x" * 900_000 + "</script>", False),
    ],
)
def test_a_page_with_hardly_any_text_for_its_size_is_told(html: str, broken: bool, tmp_path: Path) -> None:
    (tmp_path / "pages").mkdir()
    (tmp_path / "pages" / "p.html").write_text(html)
    _, report = check(f"html:{tmp_path / 'pages'}", tmp_path, labelled=False)
    assert ("no-text" in report.warnings) == broken


BODY = " ".join(STORY) + " " + " ".join(f"Its {i} lamps are lit at dusk by the keeper of the locks." for i in range(6))
PARTS = "".join(f"<p>{part.strip()}.</p>" for part in BODY.split(".") if part.strip())


def _schema_page(*scripts: str, body: str = PARTS) -> str:
    tags = "".join(f"<script type='application/ld+json'>{script}</script>" for script in scripts)
    link = "<link rel=canonical href=https://a.example/x>"
    return f"<html><head>{link}{tags}</head><body><nav>Menu</nav><article>{body}</article><footer>Imprint</footer>"


def _article(body: str) -> str:
    return json.dumps({"@type": "NewsArticle", "articleBody": body})


OTHER = "Another story of a market hall that burnt down in the night before the fair of the town. " * 30


@pytest.mark.parametrize(
    ("html", "found"),
    [
        (_schema_page(_article(BODY)), None),
        (_schema_page(f"//<![CDATA[\n{_article(BODY)}\n//]]>"), None),
        (_schema_page(f"<!--\n{_article(BODY)}\n-->"), None),
        (_schema_page(f"/*<![CDATA[*/{_article(BODY)};/*]]>*/"), None),
        (_schema_page(_article(OTHER), _article(BODY)), None),
        (_schema_page(f"[{_article(BODY)},{_article(OTHER)}]"), None),
        (_schema_page(_article(OTHER)), "stand on the page"),
        (_schema_page('{"articleBody": "a" "b"}'), "broken JSON-LD"),
        (
            _schema_page(_article(BODY), body=PARTS + "<p>" + "</p><p>".join([OTHER[:88] + "Yes."] * 4) + "</p>"),
            "is cut",
        ),
        (_schema_page(_article(BODY), body=f"<div>{BODY} {OTHER[:88]}</div>"), "is cut"),
    ],
)
def test_the_body_that_stands_on_the_page_is_main(html: str, found: str | None, tmp_path: Path) -> None:
    (tmp_path / "pages").mkdir()
    (tmp_path / "pages" / "p.html").write_text(html)
    pages, report = check(f"schema-org:{tmp_path / 'pages'}", tmp_path)
    if found is None:
        assert {s.role for s in pages[0].segments[1:-1]} == {"main"}
    else:
        assert found in report.examples["no-gold"]


@pytest.mark.parametrize(
    "url",
    [
        "https://www-my--paper-org.cdn.ampproject.org/c/s/www.my-paper.org/a",
        "https://www-my--paper-org.cdn.ampproject.org/",
        "https://www-my--paper-org.translate.goog/a?_x_tr_sl=de",
        "https://translate.google.com/translate?sl=de&u=https%3A%2F%2Fmy-paper.org%2Fa",
        "https://www.google.com/amp/s/www.my-paper.org/a",
        "https://arquivo.pt/noFrame/replay/20160101mp_/http://www.my-paper.org/a",
        "https://archive.today/2020.01.02-030405/https://www.my-paper.org/a",
        "https://archive.ph/https://my-paper.org/a",
        "https://wayback.archive-it.org/1234/20160101000000/http://my-paper.org/",
        "https://webcache.googleusercontent.com/search?q=cache:abcdefghijkl:www.my-paper.org/a",
    ],
)
def test_a_copy_is_of_the_site_it_was_taken_from(url: str) -> None:
    assert site_of(url) == "my-paper.org"


def test_a_host_has_one_name_in_unicode_and_in_punycode() -> None:
    names = ("https://xn--brcke-lva.example.de/x", "https://brücke.example.de", "https://XN--BRCKE-LVA.de", "brücke.de")
    assert [site_of(name) for name in names] == ["example.de", "example.de", "brücke.de", "brücke.de"]
    assert ColumnMapping().page({"site": "xn--brcke-lva.de"})["site"] == "brücke.de"


def test_a_language_is_one_however_it_is_spelled() -> None:
    assert all(in_languages(code, ["en"]) for code in ("en", "EN", "en-US", "en_GB", " en ", "en_US.UTF-8"))
    assert not any(in_languages(code, ["en"]) for code in (None, "", "de", "eng-x", "enm"))
    assert in_languages("en_us", ["de", "EN-US"])
    assert not in_languages("en", ["en-US"])
