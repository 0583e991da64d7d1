"""A small corpus in every format that is read, ugly cases among the sound ones. Texts are ours."""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.helpers.pages import make_page
from train.corpus.page import Page
from train.corpus.read import write_pages
from train.corpus.sources import label_studio

LINES = [
    "Harbour Post",
    "Ferry sails again",
    "The night ferry sails again from Friday, the council said.",
    "Read also",
    "Boats get dearer",
]
ROLES = ["boilerplate", "main", "main", "boilerplate", "related"]
TEXT = "\n".join(LINES)
GOLD = (
    "Ferry sails again\nThe night ferry sails again from Friday, the council said on Monday evening.\nFares "
    "stay.\nIt will carry cars."
)
HTML = """<html lang="en"><head><title>Ferry</title></head><body><nav><a>Home</a></nav>
<h1>Ferry sails again</h1><p>The night ferry sails <b>again</b> from Friday, the council said on Monday evening.</p><p>Advertisement</p>
<p>Fares stay.</p><p>It will carry cars.</p><aside><p>Boats get dearer in spring, a maker of boats says.</p></aside><p>Fares</p></body></html>"""
TEASER = '<ul><li><a href="/2024/bridge-closed-for-a-year.html">Bridge closed for a year</a></li></ul>'
ANNOTATED = """<html><body><p>Menu</p><span class="x-nc-sel1"><h1>Ferry sails again</h1></span>
<div><span class="x-nc-sel2"><p>The night ferry sails again.</p><p>Fares <span class="x-nc-sel2">stay</span>.</p>
<p>Photo: <span class="x-nc-sel3">N. N., for the Harbour Post</span></p></span></div>
<span class="x-nc-sel4"><p>Boats get dearer</p><p>in spring</p></span><p>More</p><span class="x-nc-sel4">Bridge closed</span>
<span class="x-nc-sel5"><p>Nice!</p></span><span class="x-nc-sel0"><p>Imprint</p></span></body>"""


def offsets(*lines: int) -> tuple[int, int]:
    """Where lines stand in TEXT."""
    starts = [sum(len(line) + 1 for line in LINES[:i]) for i in range(len(LINES))]
    return starts[lines[0]], starts[lines[-1]] + len(LINES[lines[-1]])


def jsonl(path: Path, *records: Any) -> Path:
    path.write_text("".join((r if isinstance(r, str) else json.dumps(r)) + "\n" for r in records), encoding="utf-8")
    return path


def doccano(folder: Path) -> str:
    meta = {"page_id": "d1", "url": "https://www.harbour.example/a", "lang": "en"}
    label = [[*offsets(1, 2), "main"], [*offsets(4), "related"]]
    entities = [{"id": 1, "label": "MAIN", "start_offset": offsets(1, 2)[0], "end_offset": offsets(1, 2)[1]}]
    records = [
        {"id": 1, "text": TEXT, "label": label, **meta},
        {"id": 2, "text": TEXT, "entities": entities, "relations": [], "Comments": [], "site": "b.example"},
        {"id": 3, "text": TEXT, "labels": [[0, 10_000, "main"]], "site": "b.example"},
        {"id": 4, "text": TEXT, "label": ["sport"], "site": "b.example"},
        {"id": 5, "text": TEXT, "label": [], "site": "b.example"},
        {"id": 6, "site": "b.example"},
        "{broken",
    ]
    return f"doccano:{jsonl(folder / 'doccano.jsonl', *records)}"


def prodigy(folder: Path) -> str:
    def spans(*wanted: tuple[tuple[int, int], str]) -> list[dict[str, Any]]:
        return [{"start": s, "end": e, "token_start": 0, "token_end": 1, "label": label} for (s, e), label in wanted]

    meta = {"page_id": "p1", "site": "a.example"}
    every = spans(*((offsets(i), role) for i, role in enumerate(ROLES)))
    records = [
        {"text": TEXT, "spans": every, "meta": meta, "answer": "accept", "_input_hash": 11, "_task_hash": 12},
        {"text": TEXT, "spans": every[:-1], "meta": {**meta, "page_id": "p2"}, "answer": "accept"},
        {"text": TEXT, "spans": every, "meta": {**meta, "page_id": "p3"}, "answer": "ignore"},
        {"text": TEXT, "spans": [*every, *spans((offsets(4), "main"))], "meta": {**meta, "page_id": "p4"}},
        {"text": TEXT, "options": [{"id": 1, "text": "sport"}], "accept": [1]},
    ]
    return f"prodigy:{jsonl(folder / 'prodigy.jsonl', *records)}"


def studio(folder: Path) -> str:
    start, end = offsets(1, 2)
    region = {"id": "r1", "from_name": "label", "to_name": "text", "type": "labels", "origin": "manual"}
    text_task = {
        "id": 7,
        "data": {"text": TEXT, "site": "a.example"},
        "annotations": [
            {"id": 1, "was_cancelled": True, "result": []},
            {
                "id": 2,
                "was_cancelled": False,
                "result": [
                    {**region, "value": {"start": start, "end": end, "text": TEXT[start:end], "labels": ["main"]}}
                ],
            },
        ],
        "predictions": [],
    }
    smile = "\U0001f600 " + TEXT
    shifted = {**text_task, "id": 8, "data": {"text": smile, "site": "a.example"}}
    value = {
        "start": start + 3,
        "end": end + 3,
        "text": TEXT[start:end],
        "labels": ["main"],
    }  # UTF-16 units, as a browser counts
    shifted["annotations"] = [{"result": [{**region, "value": value}]}]
    tasks: list[Any] = [label_studio.task(make_page("a", n)) for n in range(2)]
    tasks += [
        text_task,
        shifted,
        {"id": 9, "data": {"text": TEXT, "site": "a.example"}, "annotations": [{"was_cancelled": True, "result": []}]},
    ]
    tasks += [{"id": 10, "data": {"image": "x.jpg"}, "annotations": []}, {"id": 11, "text": "a JSON-MIN task"}, 5]
    path = folder / "studio.json"
    path.write_text(json.dumps(tasks), encoding="utf-8")
    return f"label-studio:{path}"


def csv(folder: Path) -> str:
    rows = [
        "page,url,content,role,story",
        *(f'c1,https://a.example/1,"{t}",{r},' for t, r in zip(LINES, ROLES, strict=True)),
    ]
    rows += ["c2,https://b.example/1,Short,main,0", "c2,https://b.example/1,too,many,cells,here"]
    rows += ["c3,https://b.example/1,One,main,0.0", 'c3,https://b.example/1,"Two\nlines, ""quoted""",related,3']
    rows += [
        "c1,https://a.example/1,again,main,0",
        "c4,https://b.example/1,a,headline,0",
        "c5,https://b.example/1,a,main,0",
        "c5,https://c.example/1,b,main,0",
    ]
    path = folder / "rows.csv"
    path.write_bytes(
        "\n".join(rows).encode()
        + b"\nc6,https://b.example/1,K\xe4se,main,0\nc7,https://b.example/1,nul\x00 \xc3\xa4,main,0\n"
    )
    return str(path)


def l3s(folder: Path) -> str:
    root = folder / "L3S-GN1"
    (root / "annotated").mkdir(parents=True)
    (root / "annotated" / "aaaa-1.html").write_text(ANNOTATED, encoding="utf-8")
    (root / "annotated" / "bbbb-2.html").write_text("", encoding="utf-8")
    (root / "annotated" / "cccc-3.html").write_bytes(ANNOTATED.replace("Menu", "Menü").encode("cp1252"))
    (root / "url-mapping.txt").write_text(
        "<urn:uuid:aaaa-1> http://news.harbour.co.uk/1\nnonsense\n<urn:uuid:cccc-3> http://b.example/1\n"
    )
    (folder / "secret.html").write_text("<p>secret")
    (root / "annotated" / "dddd-4.html").symlink_to(folder / "secret.html")
    return f"l3s:{root}"


def aeb(folder: Path) -> str:
    root = folder / "aeb"
    (root / "html").mkdir(parents=True)
    (root / "html" / "one.html.gz").write_bytes(gzip.compress(HTML.encode()))
    (root / "html" / "torn.html.gz").write_bytes(gzip.compress(HTML.encode())[:40])
    (folder / "outside.html").write_text(HTML)
    gold = {"articleBody": GOLD, "url": "https://a.example/x", "version": "1.0.0"}
    truth = {
        "one": gold,
        "missing": gold,
        "torn": gold,
        "../../outside": gold,
        "nogold": {"url": "https://a.example/y"},
    }
    (root / "ground-truth.json").write_text(json.dumps(truth))
    return f"aeb:{root}"


def cleaneval(folder: Path) -> str:
    root = folder / "cleaneval"
    for part in ("input", "GoldStandard"):
        (root / part).mkdir(parents=True)
    (root / "input" / "1.html").write_text(f'<text id="1" title="t" encoding="utf-8">{HTML}</text>')
    (root / "input" / "2.html").write_text(HTML)
    (root / "input" / "3.html").write_text(HTML)
    gold = "<h>" + GOLD.replace("\n", "\n\n<p>")
    (root / "GoldStandard" / "1.txt").write_text(f"URL: http://a.example/1\n\n{gold}")
    (root / "GoldStandard" / "2-cleaned.txt").write_text(f"  URL: http://b.example/1\n{gold}")
    return f"cleaneval:{root}"


def wcxb(folder: Path) -> str:
    root = folder / "wcxb"
    for part in ("dev/html", "dev/ground-truth", "test/html", "test/ground-truth"):
        (root / part).mkdir(parents=True)
    truth = {"title": "Ferry sails again", "main_content": GOLD.partition("\n")[2]}

    def write(split: str, name: str, kind: str, gold: Any) -> None:
        page = HTML if kind == "article" else HTML.replace("</body>", f"{TEASER}</body>")
        (root / split / "html" / f"{name}.html.gz").write_bytes(gzip.compress(page.encode()))
        record = {
            "url": f"https://{split}.example/{name}",
            "_internal": {"page_type": {"primary": kind}},
            "ground_truth": gold,
        }
        (root / split / "ground-truth" / f"{name}.json").write_text(json.dumps(record))

    write("dev", "0001", "article", truth)
    write("dev", "0002", "forum", truth)
    write("dev", "0003", "article", {"title": None})
    write("dev", "0004", "listing", truth)
    write("dev", "0006", "collection", truth)
    write("dev", "0005", "product", {"main_content": "\n".join([GOLD, "This boat is a good boat. " * 60])})
    write("test", "0001", "article", truth)
    (root / "test" / "ground-truth" / "0009.json").write_text("{torn")
    (root / "test" / "ground-truth" / "0010.json").write_text(json.dumps({"_internal": "x", "ground_truth": truth}))
    return f"wcxb:{root}"


def wcxb_no_story(folder: Path) -> str:
    return wcxb(folder).replace("wcxb:", "wcxb-no-story:", 1)


def fundus(folder: Path) -> str:
    root = folder / "fundus"
    (root / "gb").mkdir(parents=True)
    headline, *body = GOLD.split("\n")
    sections = [{"headline": [], "paragraphs": body[:2]}, {"headline": [], "paragraphs": body[2:]}]
    gold = {
        "title": headline,
        "publishing_date": "2024-05-03 12:00:00+00:00",
        "body": {"summary": [], "sections": sections},
    }
    other = {**gold, "body": {"summary": ["The lighthouse was sold to a baker."], "sections": []}}
    html = gzip.compress(HTML.encode())
    for name, truth in {
        "Post": {"V2": gold, "V1": other, "V1_1": gold},  # only the order of time says which page is whose
        "Torn": {"V1": {**gold, "body": {"sections": []}}},
        "Mute": {"V1": {**gold, "body": {"summary": [" "], "sections": []}}},
        "More": {"V1": gold, "V1_1": gold},
        "List": [gold],
    }.items():
        (root / "gb" / f"{name}.json").write_text(json.dumps(truth))
    for name in ("Post_2020_01_01", "Post_2023_01_01", "Post_2024_05_03", "Torn_2024_05_03", "Mute_2024_05_03"):
        (root / "gb" / f"{name}.html.gz").write_bytes(html)
    for name in ("More_2024_05_03", "List_2024_05_03", "Lone_2024_05_03", "undated"):
        (root / "gb" / f"{name}.html.gz").write_bytes(html)
    about = {f"Post_{day}.html.gz": {"url": f"https://post.example/{day}"} for day in ("2023_01_01", "2024_05_03")}
    (root / "gb" / "meta.info").write_text(json.dumps(about))
    return f"fundus:{root}"


def schema_org(folder: Path) -> str:
    root = folder / "crawl"
    (root / "a.example").mkdir(parents=True)
    paragraphs = [
        f"{LINES[2]} Part {word} of the report is about fares, cars and the {word} pier."
        for word in ("one", "two", "three", "four", "five")
    ]
    body = "".join(f"<p>{text}</p>" for text in paragraphs)
    told = json.dumps({"@graph": [{"@type": "NewsArticle", "headline": LINES[1], "articleBody": body}]})
    page = (
        f"<html><head><title>{LINES[1]} | "
        f"{LINES[0]}</title>%s</head><body><nav><p>Menu</p></nav><h1>{LINES[1]}</h1>%s</body></html>"
    )
    ld = f'<script type="application/ld+json">{{broken</script><script type="application/ld+json">{told}</script>'
    (root / "a.example" / "ld.html").write_text(page % (ld, body))
    apart = "<figure><p>A ship at the pier, seen from the hill.</p></figure>"
    (root / "a.example" / "item.html").write_text(
        page % ("", f'<div itemprop="articleBody">{body}{apart}</div><p>Imprint</p>')
    )
    (root / "a.example" / "silent.html").write_text(page % ("", body))
    (root / "a.example" / "short.html").write_text(page % ("", f'<div itemprop="articleBody"><p>{LINES[2]}</p></div>'))
    return f"schema-org:{root}"


def extracted(folder: Path) -> str:
    root = folder / "crawl"
    (root / "a.example").mkdir(parents=True)
    story = "".join(
        f"<p>{LINES[2]} Part {word} of the report is about fares, cars, and how the {word} pier was mended while "
        "nobody looked.</p>"
        for word in ("one", "two", "three", "four", "five")
    )
    about = "".join(
        f"<p>Our {word} office answers questions about this site, its cookies, its prices, and its terms of use.</p>"
        for word in ("first", "second", "third")
    )
    head = f"<head><title>{LINES[1]} | {LINES[0]}</title></head>"
    top = '<header><nav><ul><li><a href="/">Home</a></li><li><a href="/sport">Sport</a></li></ul></nav></header>'
    card = (
        '<aside class="related-stories"><article><a href="/2026/11/bridge-closed-for-repairs"><h3>Bridge closed '
        "for repairs until spring</h3></a></article></aside>"
    )
    article = f"<article><h1>{LINES[1]}</h1>{story}</article>"
    (root / "a.example" / "story.html").write_text(
        "<?xml version='1.0' encoding='latin-1'?><html "
        f"lang=en>{head}<body>{top}{article}{card}<footer>{about}</footer></body></html>"
    )
    (root / "a.example" / "menu.html").write_text(f"<html>{head}<body>{top}{card}</body></html>")
    (root / "a.example" / "empty.html").write_text("")
    return f"extracted:{root}"


def stand_in_extractor(page: str) -> str:
    """What an extractor of HTML takes for the story: the paragraphs of the last article with a top heading."""
    stories = re.findall(r"<article><h1>.*?</article>", page, re.DOTALL)
    return "\n".join(re.findall(r"<p>(.*?)</p>", stories[-1], re.DOTALL)) if stories else ""


def html(folder: Path) -> str:
    root = folder / "pages"
    (root / "a.example").mkdir(parents=True)
    (root / "a.example" / "one.html").write_text(HTML)
    (root / "a.example" / "two.htm.gz").write_bytes(gzip.compress(HTML.encode()))
    (root / "empty.html").write_bytes(b"")
    (root / "notes.txt").write_text("not a page")
    return f"html:{root}"


def dataset(folder: Path) -> str:
    import datasets

    rows = [{"page": "h1", "domain": "a.example", "body": t, "label": i % 3} for i, t in enumerate(LINES)]
    features = datasets.Features(
        {
            "page": datasets.Value("string"),
            "domain": datasets.Value("string"),
            "body": datasets.Value("string"),
            "label": datasets.ClassLabel(names=["junk", "article", "teaser"]),
        }
    )
    datasets.Dataset.from_list(rows, features=features).save_to_disk(str(folder / "set"))
    return f"dataset:{folder / 'set'}"


def own(suffix: str) -> Callable[[Path], str]:
    def write(folder: Path) -> str:
        pages: list[Page] = [make_page("own", n) for n in range(3)]
        write_pages(folder / f"own{suffix}", pages)
        return str(folder / f"own{suffix}")

    return write


FORMATS: dict[str, Callable[[Path], str]] = {
    "jsonl": own(".jsonl"),
    "jsonl.gz": own(".jsonl.gz"),
    "parquet": own(".parquet"),
    "csv": csv,
    "dataset": dataset,
    "label-studio": studio,
    "doccano": doccano,
    "prodigy": prodigy,
    "l3s": l3s,
    "aeb": aeb,
    "cleaneval": cleaneval,
    "wcxb": wcxb,
    "wcxb-no-story": wcxb_no_story,
    "fundus": fundus,
    "schema-org": schema_org,
    "extracted": extracted,
    "html": html,
}
"""Format -> writes it below a folder and returns the corpus' name."""
NAMING: dict[str, tuple[str, str]] = {
    "csv": ("page=page_id content=text", ""),
    "dataset": ("page=page_id domain=site body=text label=role", "junk=boilerplate article=main teaser=related"),
}
"""Columns and roles of the formats that need them."""
