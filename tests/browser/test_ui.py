from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.optional import need
from train.runtime.scorer import FAMILIES

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def runs(looked_at: str) -> dict[str, Any]:
    """The newest run of the baseline and of the encoder in the store."""
    import mlflow

    client = mlflow.MlflowClient(tracking_uri=looked_at)
    experiment = client.get_experiment_by_name("newsparts")
    assert experiment is not None
    found = client.search_runs(
        [experiment.experiment_id], "attributes.status = 'FINISHED' and tags.`mlflow.note.content` LIKE 'Role%'"
    )
    return {str(run.info.run_name).partition(",")[0]: run for run in reversed(found)}


@pytest.fixture
def page(chromium: Any) -> Any:
    opened = chromium.new_page(viewport={"width": 1700, "height": 1000})
    opened.set_default_timeout(30_000)
    yield opened
    opened.close()


def _artifact(ui: str, run: Any, path: str) -> str:
    return f"{ui.partition('#')[0]}#/experiments/{run.info.experiment_id}/runs/{run.info.run_id}/artifacts/{path}?workflowType=machine_learning"


def test_the_table_of_runs_shows_both_with_their_scores_the_best_on_top(
    page: Any, ui: str, runs: dict[str, Any], screenshots: Path
) -> None:
    page.goto(ui)
    for name in ("demo-baseline", "demo-encoder"):
        page.get_by_text(name).first.wait_for()
    page.get_by_text("test/role/macro_f1").first.wait_for()
    page.screenshot(path=str(screenshots / "ui-runs.png"))
    text = page.locator("main, #root").first.inner_text()
    assert "cost/train_s" in text, "the columns that the shared view names"
    best = max(("demo-baseline", "demo-encoder"), key=lambda name: runs[name].data.metrics["test/role/macro_f1"])
    other = next(name for name in ("demo-baseline", "demo-encoder") if name != best)
    if runs[best].data.metrics["test/role/macro_f1"] > runs[other].data.metrics["test/role/macro_f1"]:
        assert page.get_by_text(best).first.bounding_box()["y"] < page.get_by_text(other).first.bounding_box()["y"]


def test_the_compare_page_lays_both_over_each_other(
    page: Any, ui: str, runs: dict[str, Any], screenshots: Path
) -> None:
    wanted = [runs[name] for name in ("demo-baseline", "demo-encoder")]
    ids, experiments = json.dumps([run.info.run_id for run in wanted]), json.dumps([wanted[0].info.experiment_id])
    page.goto(
        f"{ui.partition('#')[0]}#/compare-runs?runs={ids}&experiments={experiments}&workflowType=machine_learning"
    )
    for name in ("demo-baseline", "demo-encoder", "test/role/f1/related"):
        page.get_by_text(name).first.wait_for()
    page.screenshot(path=str(screenshots / "ui-compare.png"), full_page=True)
    shared = set(wanted[0].data.metrics) & set(wanted[1].data.metrics)
    for name in (
        "test/role/macro_f1",
        "test/topic/macro_f1",
        "test/role/ece",
        "cost/train_s",
        "cost/segments_per_s",
        "size/mb",
    ):
        assert name in shared, "the same names in both families"
    sections = [{name.partition(".")[0] for name in run.data.params} for run in wanted]
    common = [{name for name in run.data.params if name.partition(".")[0] not in FAMILIES} for run in wanted]
    assert sections[0] == sections[1] >= {"family", *FAMILIES}
    assert common[0] == common[1], "but for the families' own sections, the same settings stand beside each other"


@pytest.mark.parametrize("name", ["demo-baseline", "demo-encoder"])
def test_every_report_of_a_run_opens_in_the_artifact_pane(
    page: Any, ui: str, runs: dict[str, Any], name: str, screenshots: Path
) -> None:
    run = runs[name]
    page.goto(
        f"{ui.partition('#')[0]}#/experiments/{run.info.experiment_id}/runs/{run.info.run_id}?workflowType=machine_learning"
    )
    page.get_by_text("Role macro-F1").first.wait_for()
    page.screenshot(path=str(screenshots / f"ui-run-{name}.png"))
    with page.context.expect_page() as opened:
        page.get_by_role("link", name="report", exact=True).click()  # the description's own link
    opened.value.frame_locator("iframe").get_by_text("How to call it").first.wait_for(state="attached")
    opened.value.screenshot(path=str(screenshots / f"ui-report-{name}.png"))
    opened.value.close()
    for file, says in (("pages.html", ".seg"), ("errors.html", ".filters"), ("comparison/compare.html", "table")):
        page.goto("about:blank")
        page.goto(_artifact(ui, run, file))
        page.frame_locator("iframe").locator(says).first.wait_for(state="attached")
        page.screenshot(path=str(screenshots / f"ui-{Path(file).stem}-{name}.png"))
    page.goto("about:blank")
    page.goto(_artifact(ui, run, "MODEL_CARD.md"))
    page.get_by_text("Scores on unseen sites").first.wait_for()
    page.goto("about:blank")
    page.goto(_artifact(ui, run, "figures/confusion.svg"))
    page.locator("img[alt*='confusion'], img[src^='blob:']").first.wait_for()
    page.screenshot(path=str(screenshots / f"ui-confusion-{name}.png"))


def test_the_error_browser_works_inside_the_artifact_pane(page: Any, ui: str, runs: dict[str, Any]) -> None:
    worst = min(("demo-baseline", "demo-encoder"), key=lambda name: runs[name].data.metrics["test/role/macro_f1"])
    page.goto(_artifact(ui, runs[worst], "errors.html"))
    frame = page.frame_locator("iframe")
    frame.locator(".filters").wait_for(state="attached")
    count = frame.locator("#count")
    whole = count.inner_text()
    option = frame.locator("select[name=pair] option").nth(1)
    frame.locator("select[name=pair]").select_option(str(option.get_attribute("value")))
    assert count.inner_text().partition(" of ")[0] == option.inner_text().rpartition("(")[2].rstrip(")").replace(
        ",", ""
    )
    frame.locator("button[type=reset]").click()
    frame.locator("#next").click()
    assert whole.partition(" of ")[2] in count.inner_text()


def test_the_store_is_that_of_a_demo_where_one_is_named(runs: dict[str, Any]) -> None:
    need("demo runs")
    assert {run.data.params["corpus.path"].rpartition("/")[2] for run in runs.values()} == {"composed.jsonl.gz"}
