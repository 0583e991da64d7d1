"""What a model's card says of a model, made of facts given by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.helpers.pages import make_page
from tests.helpers.paths import ROOT
from train.config.schema import load_config
from train.corpus.page import Page
from train.evaluation.metrics import Evaluation
from train.reports.model_card import LEAST_PAGES, Facts, model_card


def _pages(site: str, lang: str | None, count: int) -> list[Page]:
    return [replace(make_page(site, n), lang=lang) for n in range(count)]


def _scores(f1: float, pages: int, sites: int) -> Evaluation:
    return Evaluation(
        {"role/macro_f1": f1, "role/main_words_f1": f1}, {"role/macro_f1": (f1 - 0.1, f1 + 0.1)}, pages, sites, 0.9
    )


@pytest.fixture
def facts() -> Facts:
    parts = {
        "train": [*_pages("a", "en", 3), *_pages("b", "de", 2), *_pages("c", None, 1)],
        "validation": _pages("d", "fr", 2),
        "test": [*_pages("e", "en", 4), *_pages("f", "es", 1)],
    }
    certainty = {
        "calibration": {"thresholds": {"main": 0.5, "related": 0.75, "boilerplate": 2.0}},
        "test": {"before": {"ece": 0.25}, "after": {"ece": 0.125, "brier": 0.0625, "coverage": {"50%": 0.875}}},
    }
    languages = {
        "en": _scores(0.7, LEAST_PAGES, 2),
        "es": _scores(0.3, LEAST_PAGES - 1, 1),
        "it": _scores(0.6, LEAST_PAGES + 1, 3),
    }
    config = load_config(ROOT / "configs" / "pages-baseline.yaml", [])
    return Facts(
        config,
        "newsparts",
        "1",
        parts,
        "c" * 64,
        "s" * 64,
        (),
        _scores(0.8, 5, 2),
        languages,
        certainty,
        {},
        1.0,
        ("numpy",),
        {},
        "2026-01-02",
    )


def test_languages_that_were_trained_on_are_told_and_no_others(facts: Facts) -> None:
    assert "It has seen pages in de, en; of others nothing is known." in model_card(facts)


def test_pages_and_sites_are_counted_part_by_part(facts: Facts) -> None:
    card = model_card(facts)
    for part, pages, sites in (("train", 6, 3), ("validation", 2, 1), ("test", 5, 2)):
        assert f"| {part} | {pages} | {sites} | {sum(len(page.segments) for page in facts.parts[part])} |" in card
    assert "Languages (pages): en 7, de 2, fr 2, es 1." in card


def test_scores_stand_with_their_interval_and_languages_of_few_pages_have_none(facts: Facts) -> None:
    card = model_card(facts)
    assert "5 test pages of 2 sites; 90% interval over sites." in card
    assert "| role macro-F1 | 0.800 | 0.700 to 0.900 |" in card
    assert "| en | 5 | 2 | 0.700 | 0.700 |" in card
    assert "| it | 6 | 3 | 0.600 | 0.600 |" in card
    assert "| es |" not in card


def test_a_threshold_that_nothing_reaches_is_always_unsure(facts: Facts) -> None:
    card = model_card(facts)
    assert "roles on test pages 0.125 (0.250 before calibration), Brier score 0.062" in card
    assert "main 0.50, related 0.75, boilerplate always." in card
