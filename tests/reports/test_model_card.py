"""What a model's card says of a model, made of data given by hand."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
import yaml
from markdown_it import MarkdownIt

from tests.helpers.pages import make_page
from tests.helpers.paths import ROOT
from train.config.schema import load_config
from train.corpus.page import Page
from train.evaluation.metrics import Evaluation
from train.reports.model_card import LEAST_PAGES, ModelCardData, model_card


def _pages(site: str, lang: str | None, count: int) -> list[Page]:
    return [replace(make_page(site, n), lang=lang) for n in range(count)]


def _scores(f1: float, pages: int, sites: int) -> Evaluation:
    return Evaluation(
        {"role/macro_f1": f1, "role/main_words_f1": f1}, {"role/macro_f1": (f1 - 0.1, f1 + 0.1)}, pages, sites, 0.9
    )


@pytest.fixture
def data() -> ModelCardData:
    parts = {
        "train": [*_pages("a", "en", 3), *_pages("b", "de", 2), *_pages("c", None, 1)],
        "validation": _pages("d", "fr", 2),
        "test": [*_pages("e", "en", 4), *_pages("f", "es", 1)],
    }
    certainty = {
        "calibration": {"thresholds": {"main": 0.5, "related": 0.75, "boilerplate": None}},
        "test": {"before": {"ece": 0.25}, "after": {"ece": 0.125, "brier": 0.0625, "coverage": {"50%": 0.875}}},
    }
    languages = {
        "en": _scores(0.7, LEAST_PAGES, 2),
        "es": _scores(0.3, LEAST_PAGES - 1, 1),
        "it": _scores(0.6, LEAST_PAGES + 1, 3),
    }
    config = load_config(ROOT / "configs" / "pages-baseline.yaml", [])
    return ModelCardData(
        config=config,
        name="newsparts",
        version="1",
        parts=parts,
        corpus_sha256="c" * 64,
        split_sha256="s" * 64,
        topics=(),
        report=_scores(0.8, 5, 2),
        by_language=languages,
        certainty=certainty,
        metrics={},
        size_mb=1.0,
        requirements=("numpy",),
        run={},
        date="2026-01-02",
    )


def test_languages_that_were_trained_on_are_told_and_no_others(data: ModelCardData) -> None:
    assert "It has seen pages in de, en; of others nothing is known." in model_card(data)


def test_pages_and_sites_are_counted_part_by_part(data: ModelCardData) -> None:
    card = model_card(data)
    for part, pages, sites in (("train", 6, 3), ("validation", 2, 1), ("test", 5, 2)):
        assert f"| {part} | {pages} | {sites} | {sum(len(page.segments) for page in data.parts[part])} |" in card
    assert "Languages (pages): en 7, de 2, fr 2, es 1." in card


def test_scores_stand_with_their_interval_and_languages_of_few_pages_have_none(data: ModelCardData) -> None:
    card = model_card(data)
    assert "5 test pages of 2 sites; 90% interval over sites." in card
    assert "| role macro-F1 | 0.800 | 0.700 to 0.900 |" in card
    assert "| en | 5 | 2 | 0.700 | 0.700 |" in card
    assert "| it | 6 | 3 | 0.600 | 0.600 |" in card
    assert "| es |" not in card


def test_a_threshold_that_nothing_reaches_is_always_unsure(data: ModelCardData) -> None:
    card = model_card(data)
    assert "roles on test pages 0.125 (0.250 before calibration), Brier score 0.062" in card
    assert "main 0.50, related 0.75, boilerplate always." in card


def test_the_header_is_what_the_hub_reads(data: ModelCardData) -> None:
    _, header, _ = model_card(data).split("---\n", 2)
    told = yaml.safe_load(header)
    assert (told["language"], told["library_name"]) == (["de", "en"], "newsparts")
    ((result,),) = (model["results"] for model in told["model-index"])
    assert result["metrics"] == [{"type": "f1", "name": "role macro-F1", "value": 0.8}]


def test_text_that_came_with_the_data_opens_no_markup(data: ModelCardData) -> None:
    evil = "<b>x</b> [x](https://a.example) | `x` **x**"
    pages = [replace(page, lang=evil) for page in data.parts["train"]]
    by_language = {**data.by_language, evil: _scores(0.6, LEAST_PAGES, 3)}
    config = replace(
        data.config,
        corpus=replace(data.config.corpus, auxiliary=(evil,)),
        topics=replace(data.config.topics, path=evil),
    )
    card = model_card(
        replace(
            data,
            config=config,
            topics=(evil,),
            parts={**data.parts, "train": pages},
            by_language=by_language,
            run={evil: evil},
        )
    )
    html = MarkdownIt("commonmark").enable("table").render(card.split("---\n", 2)[2])
    assert not {"<b>", "<a", "<strong>"} & set(re.findall(r"<\w+>?", html))
    assert html.count("&lt;b&gt;x&lt;/b&gt;") >= 6
    assert html.count("<table>") == 3
