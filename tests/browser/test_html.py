from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.helpers.answers import answered
from train.corpus.page import Page
from train.evaluation.slices import predictions_of
from train.reports.error_browser import errors_of, write_error_browser
from train.reports.page_view import View, write_view

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_hostile_text_stays_inert_and_every_page_is_accessible(
    chromium: Any, hostile_html: list[Path], screenshots: Path, scheme: str
) -> None:
    from axe_playwright_python.sync_playwright import Axe

    for path in hostile_html:
        page = chromium.new_page(color_scheme=scheme, viewport={"width": 1200, "height": 900})
        dialogs: list[str] = []
        asked: list[str] = []
        page.on("dialog", lambda dialog, seen=dialogs: seen.append(dialog.message))
        page.on("request", lambda request, seen=asked: seen.append(request.url))
        page.goto(path.as_uri())
        for element in page.locator("summary, .seg, a").all()[:40]:
            element.hover(force=True)
        page.screenshot(path=str(screenshots / f"hostile-{path.stem}-{scheme}.png"))
        assert page.evaluate("window.broken") is None, path.name
        assert not dialogs
        assert asked == [path.as_uri()], "nothing is loaded"
        assert path.stem not in ("report", "corpus") or page.locator("svg.drawn path").count() > 20, "figures are drawn"
        assert page.locator("main img, main iframe, main script, main object, main link").count() == 0
        assert all(str(link).startswith("http") for link in page.evaluate("[...document.links].map(link => link.href)"))
        found = Axe().run(page).response["violations"]
        serious = [
            (v["id"], v["nodes"][0]["html"][:200], v["nodes"][0]["failureSummary"][:300])
            for v in found
            if v["impact"] in ("serious", "critical")
        ]
        assert not serious, (path.name, serious)
        page.close()


def test_errors_are_filtered_and_walked_through_by_keys(
    chromium: Any, pages: list[Page], tmp_path: Path, screenshots: Path
) -> None:
    records = answered(pages)
    answers = predictions_of(pages, records)
    errors = errors_of(pages, records, answers)
    write_error_browser(tmp_path / "errors.html", errors, pages, records, None, scored=len(answers.gold))
    page = chromium.new_page(viewport={"width": 1200, "height": 900})
    page.goto((tmp_path / "errors.html").as_uri())
    shown = page.locator(".error:visible")
    assert shown.count() == len(errors)

    page.select_option("select[name=pair]", "related read as main")
    wanted = [e for e in errors if (e["labelled"], e["read_as"]) == ("related", "main")]
    assert shown.count() == len(wanted) > 1
    assert page.locator("#count").inner_text() == f"{len(wanted)} of {len(errors)}"
    page.fill("input[name=least]", "0.55")
    sure = [e for e in wanted if e["confidence"] >= 0.55]
    assert 0 < shown.count() == len(sure) < len(wanted)

    page.keyboard.press("Tab")  # out of the field: letters are keys there
    page.locator("h1").click()
    page.keyboard.press("j")
    page.keyboard.press("j")
    page.keyboard.press("k")
    current = page.locator(".error.current")
    assert current.count() == 1
    assert current.locator("h2").inner_text().startswith("related read as main")
    assert current.get_attribute("data-site") == sure[0]["site"]
    page.screenshot(path=str(screenshots / "errors-filtered.png"))

    page.click("button[type=reset]")
    page.wait_for_function(f"document.querySelector('#count').textContent === '{len(errors)} of {len(errors)}'")
    page.select_option("select[name=site]", pages[0].site)
    assert shown.count() == sum(e["site"] == pages[0].site for e in errors)
    page.fill("input[name=least]", "0.99")
    assert page.locator("#none").is_visible()
    page.click("button[type=reset]")
    option = page.locator("select[name=slice] option").nth(1)
    page.select_option("select[name=slice]", option.get_attribute("value"))
    assert str(shown.count()) == option.inner_text().rpartition("(")[2].rstrip(")")


def test_a_page_view_shows_scores_when_pointed_at(
    chromium: Any, corpus: Path, backbone: Path, pages: list[Page], tmp_path: Path, screenshots: Path
) -> None:
    write_view(
        tmp_path / "view.html",
        "Pages",
        [
            View(r, p, [[("a feature", 1.0)]] * len(p.segments))
            for p, r in zip(pages[:2], answered(pages[:2]), strict=True)
        ],
    )
    page = chromium.new_page(viewport={"width": 1000, "height": 900})
    page.goto((tmp_path / "view.html").as_uri())
    segments = page.locator(".seg")
    assert segments.count() == sum(len(p.segments) for p in pages[:2])
    for role in ("main", "related", "boilerplate"):
        assert page.locator(f".seg.role-{role}").count() > 0
    assert page.locator(".story.role-main h3").first.inner_text().startswith("main story · sport")
    tip = segments.nth(3).locator(".tip")
    assert not tip.is_visible()
    segments.nth(3).hover()
    assert tip.is_visible()
    assert "why: a feature" in tip.inner_text()
    segments.nth(5).focus()
    page.mouse.move(0, 0)
    assert segments.nth(5).locator(".tip").is_visible(), "by keyboard too"
    page.screenshot(path=str(screenshots / "page-view.png"))
