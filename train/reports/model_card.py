"""The model card in a bundle: what the run knows of the model, for whoever gets it without the run. What is not known
is left out.

After Mitchell et al. 2019, Model Cards for Model Reporting; the header is the Hugging Face Hub's.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import yaml
from markupsafe import Markup

from train.common.markdown import plain, table
from train.config.schema import Config
from train.corpus.page import Page
from train.evaluation.metrics import Evaluation
from train.reports.html import templates_that

LEAST_PAGES = 5
"""A language with fewer test pages gets no row."""
_SCORES = {
    "role/macro_f1": "role macro-F1",
    "role/f1/main": "F1 of main",
    "role/f1/related": "F1 of related",
    "role/f1/boilerplate": "F1 of boilerplate",
    "role/main_words_f1": "words of the main story, F1",
    "text/f1": "text of the main story, F1 (4-grams)",
    "role/related_leak": "related segments put into the main story",
    "story/boundary_f1": "where related stories begin, F1",
    "topic/macro_f1": "topic macro-F1",
    "topic/accuracy": "topic accuracy",
}


@dataclass(frozen=True, kw_only=True)
class ModelCardData:
    """What a card is made of.

    Args:
        config: The run's config.
        name: The model's name.
        version: The bundle's version.
        parts: Part of the split -> its pages.
        corpus_sha256: Hash of the corpus.
        split_sha256: Hash of the split.
        topics: The topics that the model tells apart; empty when it tells none.
        report: Scores of the test part.
        by_language: Language -> scores of its test pages.
        certainty: `calibration` (temperatures, thresholds) and `test` with `before` and `after` calibration.
        metrics: The run's metrics, for what training cost.
        size_mb: Size of the bundle's weights and code, in MB.
        requirements: The packages that a service installs.
        run: Run id, commit and the like, as far as known.
        date: Day of training, YYYY-MM-DD.
    """

    config: Config
    name: str
    version: str
    parts: Mapping[str, Sequence[Page]]
    corpus_sha256: str
    split_sha256: str
    topics: Sequence[str]
    report: Evaluation
    by_language: Mapping[str, Evaluation]
    certainty: Mapping[str, Any]
    metrics: Mapping[str, float]
    size_mb: float
    requirements: Sequence[str]
    run: Mapping[str, str | None]
    date: str


def model_card(data: ModelCardData) -> str:
    """The card as Markdown, with a YAML header."""
    pages = [page for part in data.parts.values() for page in part]
    templates = templates_that(_escaped, keep_trailing_newline=True)
    templates.filters["code"] = _code
    return templates.get_template("model_card.md").render(
        vars(data),
        family=data.config.family,
        composed_pages=data.config.corpus.composed,
        auxiliary=data.config.corpus.auxiliary,
        topic_texts=data.config.topics.path,
        precision=data.config.calibration.precision,
        header=Markup(yaml.safe_dump(_header(data), allow_unicode=True, sort_keys=False)),
        pages_by_language=Counter(str(page.lang) for page in pages if page.lang).most_common(),
        trained_languages=sorted({page.lang for page in data.parts["train"] if page.lang}),
        composed=any("composed" in page.extra for page in pages),
        parts_table=_table(["part", "pages", "sites", "segments"], map(_counts, data.parts.items())),
        scores_table=_table(["", "score", "interval"], _score_rows(data.report)),
        languages_table=_languages(data.by_language),
        origin=[(name, value) for name, value in data.run.items() if value],
    )


def _escaped(value: Any) -> str:
    """A value as the card takes it: text that came with the data opens no mark-up; Markdown of ours stays as it is."""
    return value if isinstance(value, Markup) else plain(str(value))


def _code(value: str) -> Markup:
    """Text in a code span, in which no mark-up but the span's end counts."""
    return Markup(f"`{' '.join(value.replace('`', chr(39)).split())}`")


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> Markup:
    return Markup(table(header, [list(map(plain, row)) for row in rows]).rstrip())


def _counts(part: tuple[str, Sequence[Page]]) -> list[str]:
    name, pages = part
    sites, segments = {page.site for page in pages}, sum(len(page.segments) for page in pages)
    return [name, f"{len(pages):,}", f"{len(sites):,}", f"{segments:,}"]


def _score_rows(report: Evaluation) -> list[list[str]]:
    rows = []
    for metric, name in _SCORES.items():
        if metric in report.values:
            low, high = report.intervals.get(metric, (None, None))
            rows.append([name, f"{report.values[metric]:.3f}", "" if low is None else f"{low:.3f} to {high:.3f}"])
    return rows


def _languages(scores: Mapping[str, Evaluation]) -> Markup | None:
    """Scores by language, where there are several with test pages enough."""
    shown = {lang: own for lang, own in scores.items() if own.n_pages >= LEAST_PAGES}
    metrics = ("role/macro_f1", "role/main_words_f1")
    rows = [
        [lang, str(own.n_pages), str(own.n_sites), *(f"{own.values[metric]:.3f}" for metric in metrics)]
        for lang, own in shown.items()
    ]
    return _table(["language", "pages", "sites", "role macro-F1", "words F1"], rows) if len(rows) > 1 else None


def _header(data: ModelCardData) -> dict[str, Any]:
    """What the Hugging Face Hub reads of a model."""
    languages = {str(page.lang) for page in data.parts["train"] if re.fullmatch("[a-z]{2,3}", page.lang or "")}
    metric = {"type": "f1", "name": "role macro-F1", "value": round(data.report.values["role/macro_f1"], 4)}
    result = {
        "task": {"type": "text-classification", "name": "role of each segment of a page"},
        "dataset": {"type": "newsparts", "name": f"test pages of {data.report.n_sites:,} unseen sites"},
        "metrics": [metric],
    }
    return {
        **({"language": sorted(languages)} if languages else {}),
        "library_name": "newsparts",
        "pipeline_tag": "text-classification",
        "tags": ["news", "web-pages", "boilerplate-removal"],
        "model-index": [{"name": data.name, "results": [result]}],
    }
