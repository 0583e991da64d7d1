"""`make benchmark`: the main text of a model that reads flat text, beside extractors that read the HTML of the same
pages.

Corpora of benchmarks give each page's HTML and the text of its main story. Scores are those of the
article-extraction-benchmark: 4-gram shingles, mean precision and recall over pages, F1 of the means. Gold texts of some
benchmarks hold the headline and others do not: lines that say what the page is called are left out on all sides.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from train.common import markdown
from train.common.console import console, track
from train.common.errors import InputError
from train.common.files import write_json, write_text
from train.corpus.sources import digest
from train.evaluation.bootstrap import intervals_of, resampled
from train.evaluation.text_overlap import text_events, text_scores
from train.studies.benchmark_pages import load_extractors, read_benchmark, without_titles
from train.studies.main_texts import BenchmarkPage, MainTexts
from train.studies.results import Measured, save_rows
from train.studies.tables import make_command, note

FLAT, HTML = "flat text", "HTML"


def benchmark(
    corpus: str,
    model: MainTexts,
    output: Path,
    *,
    variables: Mapping[str, str],
    language: str | None = None,
    samples: int = 1000,
    confidence: float = 0.95,
    seed: int = 0,
    save: bool = False,
) -> Path:
    """Scores a model and every installed extractor on the same pages, and writes `table.md`, `scores.json` and
    `pages.jsonl`.

    Args:
        corpus: `aeb:FOLDER`, `wcxb:FOLDER` or `cleaneval:FOLDER`.
        model: What reads flat text.
        output: The folder to write to.
        variables: The variables of the make command, for the table's note.
        language: Compare the pages of this language alone, two letters; of the corpus of the records, else as the page
            says.
        samples: Bootstrap resamples of sites.
        confidence: The level of the intervals.
        seed: The seed of the bootstrap.
        save: Whether to keep the rows in `configs/results`.

    Returns:
        The path of the table.

    Raises:
        InputError: The corpus gives no HTML, cannot be read, or no page of it may be compared.
    """
    loaded, missing = load_extractors()
    if missing:
        console.print(f"not installed, left out: {', '.join(missing)} (`make extractors`)", style="yellow")
    if model.unknown:
        console.print(model.unknown, style="yellow", markup=False)
    pages, left_out = read_benchmark(corpus, model, list(loaded.values()), language)
    if not pages:
        reasons = ", ".join(f"{count:,} {why}" for why, count in left_out.items())
        raise InputError(
            f"no page to compare: {reasons or 'the corpus is empty'}",
            expected="pages of sites that the model has not seen",
            remedy="name another corpus, or records and the corpus they are of",
            path=corpus,
            rule="empty-corpus",
        )
    texts = track(model.main_texts(pages), "labelling pages", total=len(pages))
    own = [text_events(page.gold, without_titles(text, page.titles)) for page, text in zip(pages, texts, strict=True)]
    events = np.array([[mine, *page.events] for page, mine in zip(pages, own, strict=True)])
    names = [model.name, *(f"{extractor.name} {extractor.version}" for extractor in loaded)]
    sites = [page.site or page.page_id for page in pages]
    scores = _scores(events, sites, samples, confidence, seed)
    failed = [0, *(sum(page.errors[k] is not None for page in pages) for k in range(len(loaded)))]
    for name, row, count in zip(names, scores, failed, strict=True):
        row |= {"name": name, "reads": FLAT if row is scores[0] else HTML, "failed": count}
    n_sites, sha256 = len(set(sites)), digest(corpus)
    write_json(
        output / "scores.json",
        {
            "corpus": corpus,
            "corpus_sha256": sha256,
            "n_pages": len(pages),
            "n_sites": n_sites,
            "left_out": dict(left_out),
            "not_installed": missing,
            "not_checked": model.unknown,
            "confidence": confidence,
            "contenders": scores,
        },
    )
    _write_pages(output / "pages.jsonl", pages, names, events)
    facts = [f"{len(pages):,} pages of {n_sites:,} sites", *(f"{count:,} {why}" for why, count in left_out.items())]
    facts += [model.unknown] if model.unknown else []
    facts += [f"not installed: {', '.join(missing)}"] if missing else []
    path, command = output / "table.md", make_command("benchmark", variables=variables)
    write_text(path, _table(scores) + "\n" + note(command, *facts, f"corpus sha256 `{sha256[:12]}`"))
    if save:
        kept = {str(row["name"]): _measured(row, len(pages), n_sites) for row in scores}
        save_rows("extractor-benchmark", kept, command=command, corpus_sha256=sha256)
    return path


def _measured(row: Mapping[str, Any], n_pages: int, n_sites: int) -> Measured:
    """A contender's scores as a record keeps them; how much better the first is, in points."""
    names = ("text/precision", "text/recall", "text/f1")
    metrics = {name: round(row[name], 6) for name in names} | {"gain/text/f1": round(100 * row["gain"], 4)}
    points = [round(100 * bound, 4) for bound in row["intervals"]["gain"]]
    return Measured(
        {"reads": row["reads"], "n_pages": n_pages, "n_sites": n_sites, **metrics},
        {"text/f1": row["intervals"]["text/f1"], "gain/text/f1": points},
    )


def _scores(
    events: np.ndarray, sites: Sequence[str], samples: int, confidence: float, seed: int
) -> list[dict[str, Any]]:
    """Scores of each contender of `events` `[pages, contenders, 4]`, and how much better the first is, with intervals
    over sites."""
    index = {site: i for i, site in enumerate(sorted(set(sites)))}
    per_site = np.zeros((len(index), *events.shape[1:]))
    np.add.at(per_site, [index[site] for site in sites], events)
    drawn = resampled(per_site.reshape(len(index), -1), samples, seed).reshape(samples, *events.shape[1:])
    whole, again = text_scores(per_site.sum(axis=0)), text_scores(drawn)
    scores = []
    for k in range(events.shape[1]):
        gains = {"gain": again["text/f1"][:, 0] - again["text/f1"][:, k]}
        intervals = intervals_of({name: values[:, k] for name, values in again.items()} | gains, confidence)
        values = {name: float(value[k]) for name, value in whole.items()}
        values["gain"] = float(whole["text/f1"][0] - whole["text/f1"][k])
        scores.append(values | {"intervals": intervals})
    return scores


def _table(scores: Sequence[Mapping[str, Any]]) -> str:
    lines = []
    for row in sorted(scores, key=lambda row: -row["text/f1"]):
        (low, high), (least, most) = row["intervals"]["text/f1"], row["intervals"]["gain"]
        gain = "" if row is scores[0] else f"{row['gain'] * 100:+.1f} ({least * 100:+.1f} to {most * 100:+.1f})"
        lines.append(
            [
                row["name"],
                row["reads"],
                f"{row['text/precision']:.3f}",
                f"{row['text/recall']:.3f}",
                f"{row['text/f1']:.3f} ({low:.3f}-{high:.3f})",
                gain,
                str(row["failed"]) if row["reads"] == HTML else "",
            ]
        )
    return markdown.table(
        ["", "reads", "precision", "recall", "main text F1 (95 %)", "ours less its, points", "errors"], lines
    )


def _write_pages(path: Path, pages: Sequence[BenchmarkPage], names: Sequence[str], events: np.ndarray) -> None:
    """Page by page, those first on which the first contender is worst: what each contender scored, and the errors."""
    f1 = text_scores(events)["text/f1"]
    lines: list[str] = []
    for row, page in sorted(zip(f1, pages, strict=True), key=lambda pair: (pair[0][0], pair[1].page_id)):
        scores = {name: round(float(x), 4) for name, x in zip(names, row, strict=True)}
        errors = {name: error for name, error in zip(names[1:], page.errors, strict=True) if error is not None}
        lines.append(json.dumps({"page_id": page.page_id, "url": page.url, "text/f1": scores, "errors": errors}))
    write_text(path, "".join(f"{line}\n" for line in lines))
