from __future__ import annotations

import json
import sys
from collections import Counter
from itertools import combinations
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from tests.helpers import formats
from tests.helpers.optional import need
from tests.helpers.pages import make_page
from tests.helpers.paths import SHARED
from train.common.errors import InputError
from train.corpus.column_mapping import ColumnMapping, site_of
from train.corpus.page import Page
from train.corpus.quality.check import CheckReport, check_corpus
from train.corpus.read import Refusal, read_pages, scan, write_pages
from train.corpus.sources import SOURCES, digest, extracted, label_studio, locate
from train.corpus.sources.align import main_blocks
from train.corpus.sources.cleaneval import read_gold
from train.corpus.sources.extracted import agreed


def check(
    name: str, folder: Path, *, labelled: bool = True
) -> tuple[dict[str, Page], CheckReport, list[dict[str, Any]]]:
    """Kept pages by id, the report, and what was refused."""
    pages: list[Page] = []
    quarantine = folder / "quarantine.jsonl"
    naming = ColumnMapping.parse(*formats.NAMING.get(name, ("", "")))
    corpus = formats.FORMATS[name](folder)
    source, path = locate(corpus)
    report = check_corpus(corpus, quarantine=quarantine, naming=naming, labelled=labelled, on_page=pages.append)
    refused = [json.loads(line) for line in quarantine.read_text().splitlines()] if quarantine.exists() else []
    assert report.read == sum(1 for _ in source.rows(path, naming))
    assert report.read == report.kept + len(refused) + report.passed_over.total()
    assert report.kept == len(pages)
    assert report.errors == Counter(row["rule"] for row in refused)
    assert report.segments == sum(len(page.segments) for page in pages)
    assert report.sites == len({page.site for page in pages})
    assert +report.roles == Counter(s.role for page in pages for s in page.segments if s.role is not None)
    assert report.topics == Counter(s.topic for page in pages for s in page.segments if s.topic is not None)
    return {page.page_id: page for page in pages}, report, refused


READ_AND_KEPT = {
    "jsonl": (3, 3),
    "jsonl.gz": (3, 3),
    "parquet": (3, 3),
    "csv": (8, 3),
    "dataset": (1, 1),
    "label-studio": (8, 4),
    "doccano": (7, 2),
    "prodigy": (5, 1),
    "l3s": (4, 2),
    "aeb": (5, 1),
    "cleaneval": (3, 2),
    "wcxb": (5, 2),
    "wcxb-no-story": (7, 2),
    "fundus": (9, 2),
    "schema-org": (4, 2),
    "extracted": (3, 1),
    "html": (3, 3),
}
"""Pages in each corpus of `formats`, counted by hand, and those that are sound."""


@pytest.mark.parametrize("name", formats.FORMATS)
def test_every_page_of_every_format_is_kept_or_refused(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(extracted, "extractors", lambda: (formats.stand_in_extractor, formats.stand_in_extractor))
    _, report, refused = check(name, tmp_path, labelled=name != "html")
    assert (report.lines, report.kept) == READ_AND_KEPT[name]
    assert len(refused) == report.lines - report.kept


def labels(page: Page) -> list[tuple[str | None, int | None]]:
    return [(s.role, s.story) for s in page.segments]


B, M = ("boilerplate", None), ("main", 0)


@pytest.mark.parametrize("name", ["jsonl", "jsonl.gz", "parquet"])
def test_our_own_formats(name: str, tmp_path: Path) -> None:
    pages, report, _ = check(name, tmp_path)
    assert list(pages.values()) == [make_page("own", n) for n in range(3)]
    assert report.sha256 == digest(tmp_path / f"own.{name}")


def test_doccano(tmp_path: Path) -> None:
    pages, report, refused = check("doccano", tmp_path)
    assert pages["d1"].site == "harbour.example"
    assert pages["d1"].texts == formats.LINES
    assert labels(pages["d1"]) == [B, M, M, B, ("related", 1)]
    assert labels(pages["doccano-2"]) == [B, M, M, B, B]
    assert dict(report.errors) == {"bad-span": 1, "bad-doccano": 2, "unknown-role": 1, "bad-json": 1}
    assert [row["line"] for row in refused] == [3, 4, 5, 6, 7]


def test_prodigy(tmp_path: Path) -> None:
    pages, report, refused = check("prodigy", tmp_path)
    assert labels(pages["p1"]) == [B, M, M, B, ("related", 1)]
    assert dict(report.errors) == {"unknown-role": 1, "not-accepted": 1, "overlapping-labels": 1, "bad-prodigy": 1}
    assert next(row for row in refused if row["rule"] == "unknown-role")["record"]["page_id"] == "p2", (
        "boilerplate was labelled, this was forgotten"
    )


def test_label_studio(tmp_path: Path) -> None:
    pages, report, _ = check("label-studio", tmp_path)
    for n in range(2):
        assert pages[f"a-{n}"].to_json() == make_page("a", n).to_json()
    assert labels(pages["task-7"]) == [B, M, M, B, B]
    assert labels(pages["task-8"]) == [B, M, M, B, B], "offsets are UTF-16 units"
    assert dict(report.errors) == {"not-accepted": 1, "bad-label-studio": 3}


def test_label_studio_takes_the_ground_truth_and_reads_multi_paragraph_regions(tmp_path: Path) -> None:
    task = label_studio.task(make_page("a", 1))
    del task["annotations"]
    region = {"id": "x", "from_name": "role", "to_name": "page", "type": "paragraphlabels"}
    last = len(make_page("a", 1).segments[5].text)
    value = {"start": "3", "end": "5", "startOffset": 0, "endOffset": last, "paragraphlabels": ["related"]}
    number = {**region, "from_name": "story", "type": "number", "value": {**value, "number": 4}}
    task["annotations"] = [
        {"ground_truth": True, "result": [{**region, "value": value}, number]},
        {"ground_truth": False, "result": []},
    ]
    path = tmp_path / "tasks.json"
    path.write_text(json.dumps([task]))
    page = read_pages(f"label-studio:{path}")[0]
    assert [(s.role, s.story) for s in page.segments[2:7]] == [B, *[("related", 4)] * 3, B]


def test_csv(tmp_path: Path) -> None:
    pages, report, refused = check("csv", tmp_path)
    assert labels(pages["c1"]) == [(role, 0 if role == "main" else None) for role in formats.ROLES]
    assert pages["c1"].site == "a.example"
    assert pages["c3"].texts[1] == 'Two\nlines, "quoted"'
    assert labels(pages["c3"]) == [M, ("related", 3)]
    assert dict(report.errors) == {
        "bad-row": 1,
        "split-page": 1,
        "unknown-role": 1,
        "page-mismatch": 1,
        "bad-encoding": 1,
    }
    assert [(row["line"], row["rule"]) for row in refused][:2] == [(7, "bad-row"), (12, "split-page")]
    assert pages["c7"].texts == ["nul\x00 ä"]


@pytest.mark.parametrize("faulty", [some for count in range(4) for some in combinations(range(3), count)], ids=str)
def test_a_page_of_a_table_is_refused_whole_wherever_it_stands(faulty: tuple[int, ...], tmp_path: Path) -> None:
    rows = [
        (n, f"p{n},s.example,main,text {n}.{row}{',more' * (n in faulty and row == 1)}")
        for n in range(3)
        for row in range(3)
    ]
    (tmp_path / "c.csv").write_text("\n".join(["page_id,site,role,text", *(row for _, row in rows)]))
    read = dict(scan(tmp_path / "c.csv", labelled=True))
    assert list(read) == [2, 5, 8], "a page has the line of its first row"
    for n, item in enumerate(read.values()):
        if n in faulty:
            assert isinstance(item, Refusal)
            assert (item.error.rule, item.error.line, item.record["page_id"]) == ("bad-row", 2 + 3 * n + 1, f"p{n}")
        else:
            assert isinstance(item, Page)
            assert (item.page_id, item.texts) == (f"p{n}", [f"text {n}.{row}" for row in range(3)])


def test_csv_without_the_columns_it_needs(tmp_path: Path) -> None:
    (tmp_path / "c.csv").write_text("a,b\n1,2\n")
    with pytest.raises(InputError, match=r"no column page_id and no column text; there are a, b"):
        read_pages(tmp_path / "c.csv")


def test_dataset_with_mapped_columns_and_class_names(tmp_path: Path) -> None:
    pages, report, _ = check("dataset", tmp_path)
    assert labels(pages["h1"]) == [B, M, ("related", None), B, M]
    assert pages["h1"].site == "a.example"
    assert not report.errors


def test_datasets_of_folders_and_of_pages(tmp_path: Path) -> None:
    import datasets

    pages = [make_page("a", n) for n in range(3)]
    folder = tmp_path / "parquet"
    folder.mkdir()
    datasets.Dataset.from_list([page.to_json() for page in pages]).to_parquet(folder / "train-0.parquet")
    assert read_pages(f"dataset:{folder}") == pages
    both = datasets.DatasetDict({"test": datasets.Dataset.from_list([page.to_json() for page in pages])})
    both.save_to_disk(str(tmp_path / "dict"))
    assert read_pages(f"dataset:{tmp_path / 'dict'}#test") == pages
    with pytest.raises(InputError, match="no split 'train'; there are test"):
        read_pages(f"dataset:{tmp_path / 'dict'}")


@pytest.mark.parametrize("name", ["code.py", "archive.tar", "picture.png", "state.pkl"])
def test_a_data_set_of_code_or_archives_is_refused(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(b"import os; os.system('touch hacked')")
    with pytest.raises(InputError) as caught:
        read_pages(f"dataset:{tmp_path}")
    assert caught.value.rule == "no-table"


def test_l3s(tmp_path: Path) -> None:
    pages, report, refused = check("l3s", tmp_path)
    page = pages["aaaa-1"]
    assert page.site == "harbour.co.uk"
    assert [(s.text, s.role, s.story, s.extra.get("sub_label")) for s in page.segments] == [
        ("Menu", "boilerplate", None, None),
        ("Ferry sails again", "main", 0, "headline"),
        ("The night ferry sails again.", "main", 0, "full text"),
        ("Fares stay.", "main", 0, "full text"),
        ("Photo: N. N., for the Harbour Post", "boilerplate", None, "supplemental"),
        ("Boats get dearer", "related", 1, "related"),
        ("in spring", "related", 1, "related"),
        ("More", "boilerplate", None, None),
        ("Bridge closed", "related", 2, "related"),
        ("Nice!", "boilerplate", None, "comment"),
        ("Imprint", "boilerplate", None, "not content"),
    ]
    assert pages["cccc-3"].texts[0] == "Menü"
    assert dict(report.errors) == {"no-segments": 1, "outside-folder": 1}
    assert "secret" not in json.dumps(refused).replace("secret.html", "")


def test_article_extraction_benchmark(tmp_path: Path) -> None:
    pages, report, _ = check("aeb", tmp_path)
    found = {s.text: s.role for s in pages["one"].segments}
    assert [text for text, role in found.items() if role == "main"] == [
        "Ferry sails again",
        "The night ferry sails again from Friday, the council said on Monday evening.",
        "Fares stay.",
        "It will carry cars.",
    ]
    assert found["Fares"] == "boilerplate"
    assert dict(report.errors) == {"no-file": 1, "broken-gzip": 1, "outside-folder": 1, "no-gold": 1}


def test_cleaneval(tmp_path: Path) -> None:
    pages, report, _ = check("cleaneval", tmp_path)
    assert [page.site for page in pages.values()] == ["a.example", "b.example"]
    assert all([s.role for s in page.segments].count("main") == 4 for page in pages.values())
    assert dict(report.errors) == {"no-gold": 1}
    assert read_gold("no address<p>one\n<l>two") == (None, "no address\none\ntwo")


def test_wcxb(tmp_path: Path) -> None:
    pages, report, _ = check("wcxb", tmp_path)
    assert [(page.page_id, page.site) for page in pages.values()] == [
        ("wcxb-dev-0001", "dev.example"),
        ("wcxb-test-0001", "test.example"),
    ]
    told = [(s.text, s.extra["role_source"]) for s in pages["wcxb-dev-0001"].segments if s.role == "main"]
    assert told[0] == ("Ferry sails again", "weak"), "the headline is not in the gold text: markup tells it"
    assert [source for _, source in told[1:]] == ["aligned"] * 3
    assert dict(report.errors) == {"no-gold": 1, "broken-json": 1, "no-type": 1}


def test_pages_without_a_story(tmp_path: Path) -> None:
    pages, report, refused = check("wcxb-no-story", tmp_path)
    told = {name: [s.text for s in page.segments if s.role != "boilerplate"] for name, page in pages.items()}
    assert told == {"wcxb-dev-0004": ["Bridge closed for a year"], "wcxb-dev-0006": []}, "a listing's, no shop's"
    assert dict(report.errors) == {"dubious-type": 1, "no-gold": 1, "running-text": 1, "broken-json": 1, "no-type": 1}
    assert next(row["message"] for row in refused if row["rule"] == "running-text") == "360 words of running text"


def test_fundus(tmp_path: Path) -> None:
    pages, report, refused = check("fundus", tmp_path)
    assert [(page.page_id, page.site, page.date) for page in pages.values()] == [
        ("fundus-gb-Post_2023_01_01", "post.example", "2024-05-03"),
        ("fundus-gb-Post_2024_05_03", "post.example", "2024-05-03"),
    ], "each page is read with the rules of its time"
    main = [s.text for s in pages["fundus-gb-Post_2024_05_03"].segments if s.role == "main"]
    assert main == formats.GOLD.split("\n"), "the title is not in the body: markup tells it"
    assert dict(report.errors) == {"gold-not-shown": 1, "no-gold": 5, "no-file": 1}
    assert "the page shows 0% of its gold" in {row["message"] for row in refused}


def test_pages_that_label_themselves(tmp_path: Path) -> None:
    pages, report, refused = check("schema-org", tmp_path)
    assert set(pages) == {"a.example/item", "a.example/ld"}
    for page in pages.values():
        assert next(s.text for s in page.segments if s.role == "main") == formats.LINES[1]
        assert sum(s.role == "main" for s in page.segments) == 6
    assert [s.text for s in pages["a.example/item"].segments if s.role == "boilerplate"] == [
        "Menu",
        "A ship at the pier, seen from the hill.",
        "Imprint",
    ]
    assert dict(report.errors) == {"no-gold": 2}
    assert sorted(row["message"].partition(";")[0] for row in refused)[1].startswith("no articleBody")


@pytest.mark.parametrize("extractors", ["stand-ins", "trafilatura and readability-lxml"])
def test_pages_that_extractors_label(extractors: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if extractors == "stand-ins":
        monkeypatch.setattr(extracted, "extractors", lambda: (formats.stand_in_extractor, formats.stand_in_extractor))
    else:
        need("extractors")
    pages, report, refused = check("extracted", tmp_path)
    assert list(pages) == ["a.example/story"]
    segments = pages["a.example/story"].segments
    assert [s.role for s in segments if s.text.startswith(formats.LINES[2])] == ["main"] * 5
    assert next(s.role for s in segments if s.text == formats.LINES[1]) == "main", "the headline, told by markup"
    assert next((s.role, s.story) for s in segments if s.text.startswith("Bridge")) == ("related", 1)
    assert {s.role for s in segments if s.text.startswith(("Our", "Home"))} == {"boilerplate"}
    assert {s.extra["role_source"] for s in segments} == {"weak"}
    assert dict(report.errors) == {"no-agreement": 2}
    assert refused[0]["message"] == "extractors agree by 0.00 (F1), on 0 words"


def test_extractors_label_what_both_take_for_the_story() -> None:
    texts = ["word " * 50, "other " * 30, "more " * 10]
    assert agreed(texts, [[True, True, False], [True, True, True]]) == texts[:2]
    with pytest.raises(InputError, match=r"agree by 0\.77 \(F1\), on 50 words"):
        agreed(texts, [[True, True, False], [True, False, False]])
    with pytest.raises(InputError, match="on 30 words"):
        agreed(texts, [[False, True, False]] * 2)
    with pytest.raises(InputError, match=r"agree by 0\.00"):
        agreed([], [[], []])


def test_a_page_an_extractor_stumbles_over_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stumble(html: str) -> str:
        raise RecursionError("too deep for me")

    monkeypatch.setattr(extracted, "extractors", lambda: (stumble, stumble))
    _, report, refused = check("extracted", tmp_path)
    assert dict(report.errors) == {"no-agreement": 3}
    assert {row["message"] for row in refused} == {"an extractor stumbled over it: RecursionError: too deep for me"}


@pytest.mark.parametrize("missing", ["trafilatura", "readability"])
def test_extractors_that_are_not_installed_are_told_of(
    missing: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("trafilatura", "readability"):
        monkeypatch.setitem(sys.modules, name, None if name == missing else ModuleType(name))
    with pytest.raises(InputError, match=rf"{missing} is not installed[\s\S]*run `make extractors`"):
        check("extracted", tmp_path)


def test_unlabelled_html(tmp_path: Path) -> None:
    pages, report, _ = check("html", tmp_path, labelled=False)
    assert [(page.page_id, page.site, len(page.segments)) for page in pages.values()] == [
        ("empty", "", 0),
        ("a.example/one", "a.example", 8),
        ("a.example/two", "a.example", 8),
    ]
    assert not any(page.labelled for page in pages.values() if page.segments)
    assert report.lines == 3


def test_short_gold_lines_count_only_where_they_stand() -> None:
    texts = [
        "Fares stay",
        "The ferry sails again from Friday evening on",
        "Fares stay",
        "and cars go too with all the others",
        "Fares",
    ]
    gold = "The ferry sails again from Friday evening on\nFares stay\nand cars go too with all the others"
    assert main_blocks(texts, gold) == [False, True, True, True, False]
    assert main_blocks(["Nothing", "here"], gold) == [False, False]
    assert main_blocks([], gold) == []


@pytest.mark.parametrize(
    ("url", "site"),
    [
        ("https://www.bbc.co.uk/news", "bbc.co.uk"),
        ("https://WWW.Example.ORG/a", "example.org"),
        ("http://LocalHost/", "localhost"),
        ("http://blog.example.com:80/x", "example.com"),
        ("localhost", "localhost"),
        ("http://127.0.0.1/x", "127.0.0.1"),
        ("", ""),
        ("http://[broken", ""),
        ("ftp://münchen.de/", "münchen.de"),
        ("https://web.archive.org/web/20170203173512/http://www.latimes.com/x", "latimes.com"),
        ("http://web-beta.archive.org/web/2016id_/https://web.archive.org/web/2015/bbc.co.uk/news", "bbc.co.uk"),
        ("https://web.archive.org/web/20170203173512/", "archive.org"),
        ("https://blog.archive.org/web/2017/http://cnn.com", "archive.org"),
        ("https://www-latimes-com.cdn.ampproject.org/v/s/www.latimes.com/x?amp_js_v=0.1", "latimes.com"),
        ("https://cdn.ampproject.org/c/www.latimes.com/x", "latimes.com"),
        ("https://my--site-example-org.cdn.ampproject.org/", "example.org"),
        ("https://0-en--us-latimes-com-0.cdn.ampproject.org/x", "latimes.com"),
        ("https://xn--mnchen-de-q9a.translate.goog/x", "münchen.de"),
        ("https://www.google.co.uk/amp/s/www.latimes.com/x", "latimes.com"),
        ("https://www.google.com/search?q=https://cnn.com", "google.com"),
        ("https://www-latimes-com.translate.goog/x?_x_tr_sl=en", "latimes.com"),
        ("https://translate.google.com/translate?sl=en&u=https%3A%2F%2Fwww.latimes.com%2Fx", "latimes.com"),
        ("https://archive.today/newest/https://www.latimes.com/x", "latimes.com"),
        ("http://archive.is/20260102030405/http://www.latimes.com/x", "latimes.com"),
        ("https://archive.ph/AbC12", "archive.ph"),
        ("https://arquivo.pt/noFrame/replay/20260102030405/http://www.latimes.com/x", "latimes.com"),
        ("https://arquivo.pt/wayback/20260102030405mp_/https://latimes-com.translate.goog/x", "latimes.com"),
        ("https://arquivo.pt/page/search?q=latimes.com", "arquivo.pt"),
        ("https://www.xn--mnchen-3ya.de/", "münchen.de"),
        ("https://MU\u0308NCHEN。DE/", "münchen.de"),
        ("http://xn--e1afmkfd.xn--p1ai/", "пример.рф"),
        ("http://пример.рф/", "пример.рф"),
        ("https://straße.de/", "straße.de"),
        ("https://xn--torn-.de/", "xn--torn-.de"),
    ],
)
def test_the_site_of_an_address(url: str, site: str) -> None:
    assert site_of(url) == site


def test_naming_faults_are_told() -> None:
    with pytest.raises(InputError, match="mapped to 'article'"):
        ColumnMapping.parse("", "text=article")
    with pytest.raises(InputError, match="THEIRS=OURS"):
        ColumnMapping.parse("text", "")


@pytest.mark.parametrize("name", sorted(SOURCES.keys() - {"dataset"}))
def test_every_source_that_needs_a_file_tells_what_is_missing(name: str, tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        locate(f"{name}:{tmp_path / 'nothing'}")
    assert caught.value.rule == "no-file"
    wrong = tmp_path / "wrong"
    if SOURCES[name].folder:
        wrong.write_text("a file")
    else:
        wrong.mkdir()
    with pytest.raises(InputError, match=r"a folder|a file"):
        locate(f"{name}:{wrong}")


def test_a_mistyped_source_names_the_nearest() -> None:
    with pytest.raises(InputError, match=r"did you mean doccano:x\.jsonl"):
        locate("docano:x.jsonl")


def test_a_folder_without_a_source_names_the_sources(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="name its source"):
        locate(tmp_path)


def test_all_pages_of_a_packed_corpus_load(pages: list[Page], tmp_path: Path) -> None:
    for name, some in (("one", pages[:12]), ("other", pages[12:30])):
        write_pages(tmp_path / f"{name}.jsonl.gz", some)
        found: list[Page] = []
        report = check_corpus(tmp_path / f"{name}.jsonl.gz", quarantine=tmp_path / "q.jsonl", on_page=found.append)
        assert (report.kept, report.sites, dict(report.errors)) == (len(some), len({page.site for page in some}), {})
        assert found == some


@pytest.mark.slow
def test_all_shared_pages_load(tmp_path: Path) -> None:
    need("shared")
    sites: Counter[str] = Counter()
    for name, count in (("aeb", 180), ("fundus", 256)):
        found: list[Page] = []
        report = check_corpus(
            SHARED / f"data/pages-{name}.jsonl.gz", quarantine=tmp_path / "q.jsonl", on_page=found.append
        )
        assert (report.kept, dict(report.errors)) == (count, {})
        sites.update({page.site for page in found})
    assert len(sites) == 293
