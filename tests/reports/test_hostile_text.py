"""Texts that try to be code: whatever pages, runs and corpora are called, what we write has the tags and attributes it
is made of."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.answers import answered
from tests.helpers.html_tags import tags_of
from tests.helpers.pages import make_page
from train.corpus.page import Page
from train.corpus.read import write_pages
from train.evaluation.metrics import COSTS, evaluate, paired_difference
from train.evaluation.reliability import reliability
from train.evaluation.slices import predictions_of
from train.monitoring.drift import Shift
from train.reports.comparison import Change, Compared, write_comparison
from train.reports.corpus_report import corpus_report
from train.reports.drift import write_drift_page
from train.reports.error_browser import errors_of, write_error_browser
from train.reports.html import fragment, write_page
from train.reports.page_view import View, write_view
from train.reports.run_report import ReportData, write_run_report

ATTACKS = (
    'x" onmouseover="y"><b onclick=z>',
    "x' onfocus='y'><i onclick=z>\"",
    '--></style></title><script>"y</script>',
    '"><img src=x onerror=y>',
    '&quot; onfocus=&#x22;y"<u>',
)
"""Each ends an attribute, and opens a tag."""
NAMES = ("one", "two", "three", "four", "five")
Spelling = Callable[[int], str]


def _attack(i: int) -> str:
    return ATTACKS[i % len(ATTACKS)]


def _name(i: int) -> str:
    return NAMES[i % len(NAMES)]


def _pages(called: Spelling) -> list[Page]:
    """Ten pages of five sites, everything on them called by a spelling."""
    pages = []
    for n in range(10):
        page = make_page(f"site{n % 5}", n)
        segments = tuple(
            replace(
                s,
                text=f"{called(i)} {s.text}",
                topic=None if s.topic is None else called(["sport", "business"].index(s.topic)),
            )
            for i, s in enumerate(page.segments)
        )
        pages.append(
            replace(
                page,
                page_id=f"{called(n)} {n}",
                site=f"{called(n % 5)} {n % 5}",
                lang=called(n % 5),
                title=called(n),
                date=called(n),
                url=f"https://a.example/{called(n)}",
                segments=segments,
                extra={called(2): called(n % 2)},
            )
        )
    return pages


def _records(pages: list[Page], called: Spelling) -> list[dict[str, Any]]:
    records = answered(pages)
    for n, record in enumerate(records):
        record["model"] = {"name": called(0), "version": called(1), "family": called(2)}
        for story in record["stories"]:
            story["topic"] = called(n)
    return records


def _compared(pages: list[Page], records: list[dict[str, Any]], called: Spelling) -> Compared:
    others = answered(pages, wrong=0.5, seed=1)
    scores = [evaluate(pages, some, bootstrap_samples=20) for some in (records, others)]
    costs = {metric: 2.0 for metric in COSTS}
    changes = {page.page_id: [Change(page.segments[0].text, "main", ("main", "related"))] for page in pages}
    names = [called(0), called(1)]
    return Compared(
        names,
        [costs, costs],
        [None, None],
        scores,
        [paired_difference(pages, others, records, bootstrap_samples=20)],
        changes,
        len(pages),
        5,
    )


def _data(pages: list[Page], records: list[dict[str, Any]], called: Spelling) -> ReportData:
    known = reliability(pages, records)
    certainty = {
        "calibration": {
            "role_temperature": 1.0,
            "topic_temperature": 1.0,
            "thresholds": {called(0): 0.5, called(1): None},
        },
        **{part: {"before": known, "after": known} for part in ("validation", "test")},
    }
    parts = {called(3): pages, "test": pages}
    about = {called(0): called(1), "output": called(2)}
    steps = {f"train/{called(0)}": [(1, 0.5), (2, 0.4)]}
    return ReportData(
        title=called(4),
        about=about,
        parts=parts,
        records=records,
        report=evaluate(pages, records, bootstrap_samples=20),
        certainty=certainty,
        metrics={"cost/train_s": 1.0},
        steps=steps,
        explainer=None,
        samples=10,
        seed=0,
    )


def _error_browser(folder: Path, called: Spelling) -> Path:
    pages = _pages(called)
    records = _records(pages, called)
    answers = predictions_of(pages, records)
    write_error_browser(
        folder / "x.html", errors_of(pages, records, answers), pages, records, None, scored=len(answers.gold)
    )
    return folder / "x.html"


def _page_view(folder: Path, called: Spelling) -> Path:
    pages = _pages(called)
    views = [
        View(r, p, [[(called(3), 1.0)] for _ in p.segments])
        for p, r in zip(pages, _records(pages, called), strict=True)
    ]
    write_view(folder / "x.html", called(0), views, note=called(1))
    return folder / "x.html"


def _corpus_report(folder: Path, called: Spelling) -> Path:
    pages = _pages(called)
    corpus = folder / f"{called(0).replace('/', '')}.jsonl"
    write_pages(corpus, [*pages, replace(pages[0], page_id="copy")])
    corpus_report(str(corpus), folder / "x.html", quarantine=folder / "q.jsonl")
    return folder / "x.html"


def _compare_report(folder: Path, called: Spelling) -> Path:
    pages = _pages(called)
    write_comparison(folder / "x.html", _compared(pages, _records(pages, called), called))
    return folder / "x.html"


def _drift_report(folder: Path, called: Spelling) -> Path:
    shifts = [
        Shift(called(i), 0.3, 0.2, 0.1, True, (called(i), called(i + 1)), (0.5, 0.5), (0.1, 0.9)) for i in range(5)
    ]
    write_drift_page(folder / "x.html", shifts, model=called(0), corpus=called(1), pages=1, sites=1)
    return folder / "x.html"


def _run_report(folder: Path, called: Spelling) -> Path:
    pages = _pages(called)
    write_run_report(folder, _data(pages, _records(pages, called), called))
    return folder / "report.html"


WRITERS: dict[str, Callable[[Path, Spelling], Path]] = {
    "errors": _error_browser,
    "pages": _page_view,
    "corpus": _corpus_report,
    "compare": _compare_report,
    "drift": _drift_report,
    "report": _run_report,
}


@pytest.fixture(scope="module", params=WRITERS)
def spelt(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """A page of each kind whose texts try to be code, and the same with plain ones."""
    found = []
    for called in (_attack, _name):
        folder = tmp_path_factory.mktemp(called.__name__)
        found.append(WRITERS[request.param](folder, called).read_text(encoding="utf-8"))
    return found[0], found[1]


def _shape(html: str) -> set[tuple[str, str]]:
    """Every tag, and every attribute of a tag, that a page uses."""
    return {(tag, name) for tag, attributes in tags_of(html) for name in ("", *attributes)}


def test_texts_that_try_to_be_code_add_no_tag_and_no_attribute(spelt: tuple[str, str]) -> None:
    hostile, plain = map(_shape, spelt)
    assert not hostile - plain
    assert not {name for _, name in plain if name.startswith("on")}
    assert not {tag for tag, _ in plain} & {"img", "iframe", "object", "embed", "link", "base"}


def test_no_text_is_escaped_twice(spelt: tuple[str, str]) -> None:
    hostile, _ = spelt
    assert "&amp;quot;" in hostile, "the one text that holds a reference of HTML itself"
    assert not re.search("&amp;(lt|gt|#34|#39);", hostile)


def test_a_cell_a_link_a_listing_and_a_title_keep_their_text_as_text(tmp_path: Path) -> None:
    for attack in ATTACKS:
        write_page(tmp_path / "x.html", attack, [fragment("table", [attack], [[attack]])])
        page = (tmp_path / "x.html").read_text()
        assert {tag for tag, _ in tags_of(page)} <= {
            "html",
            "head",
            "meta",
            "title",
            "style",
            "body",
            "main",
            "h1",
            "table",
            "thead",
            "tbody",
            "tr",
            "th",
            "td",
        }
        ((tag, attributes),) = tags_of(fragment("link", f"https://a.example/{attack.replace(' ', '')}", attack))
        assert (tag, attributes["href"]) == ("a", f"https://a.example/{attack.replace(' ', '')}")
        assert set(attributes) == {"href", "rel"}
        rows = tags_of(fragment("listing", [{"text": attack, "role": attack, "story": attack, "topic": attack}]))
        assert [name for name, _ in rows] == ["div", "span", "span", "span", "span", "b"]
        assert {value for _, attributes in rows[1:5] for value in attributes.values()} == {attack}


@pytest.mark.parametrize(
    "address",
    [
        "javascript:alert(1)",
        "data:text/html,x",
        "//a.example",
        "https://a.example/ x",
        "ftp://a.example",
        " https://a.example",
        None,
    ],
)
def test_an_address_that_is_none_of_the_web_is_no_link(address: str | None) -> None:
    assert fragment("link", address, "a page") == "a page"


def test_labels_of_a_segment_stay_text(pages: list[Page]) -> None:
    segment = answered(pages)[0]["segments"][0]
    for attack in ATTACKS:
        gold = replace(pages[0], segments=(replace(pages[0].segments[0], role=attack, topic=attack),))
        tags = tags_of(fragment("segment", View({}, gold, [[(attack, 1.0)]]), 0, segment, of="view.html"))
        assert {name for _, attributes in tags for name in attributes} <= {
            "class",
            "style",
            "tabindex",
            "role",
            "aria-label",
            "aria-hidden",
        }
        assert {tag for tag, _ in tags} == {"div", "span", "dl", "dt", "dd"}
