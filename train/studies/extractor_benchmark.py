"""`make beside`: the main text of a model that reads flat text, beside extractors that read the HTML of the same pages.

Corpora of benchmarks give each page's HTML and the text of its main story. Scores are those of the
article-extraction-benchmark: 4-gram shingles, mean precision and recall over pages, F1 of the means. Gold texts of some
benchmarks hold the headline and others do not: lines that say what the page is called are left out on all sides.
"""

from __future__ import annotations

import json
import warnings
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from train.common.console import console, track
from train.common.errors import InputError
from train.common.files import read_json, write_json, write_text
from train.common.markdown import table
from train.config.schema import load_config
from train.corpus.column_mapping import site_of
from train.corpus.read import Corpus
from train.corpus.sources import SOURCES, digest, jsonl, locate
from train.corpus.sources.extracted import without_declaration
from train.corpus.sources.html_blocks import cut, decode, parse
from train.corpus.sources.markup import title_words, words_of
from train.corpus.training_data import learns_also
from train.evaluation.bootstrap import intervals_of, resampled
from train.evaluation.text_overlap import text_events, text_scores
from train.inference.resolve import load_labeler
from train.runtime import Labeler
from train.studies.extractors import EXTRACTORS, Extract, Extractor
from train.studies.tables import note

FLAT, HTML = "flat text", "HTML"


@dataclass(frozen=True, slots=True)
class Read:
    """A page of a benchmark, read.

    Args:
        page_id: Its id.
        site: Of its address; empty when it has none.
        url: Its address.
        texts: Its blocks of text.
        gold: The main story's text, without lines that say what the page is called.
        titles: What it is called, in words.
        events: Of each extractor, `text_events`.
        errors: Of each extractor, the error it raised, which counts as no text; None where it raised none.
    """

    page_id: str
    site: str
    url: str | None
    texts: list[str]
    gold: str
    titles: frozenset[tuple[str, ...]]
    events: Sequence[tuple[float, ...]]
    errors: Sequence[str | None]


class Ours(Protocol):
    """What gives the main text of flat pages."""

    name: str
    unknown: str | None
    """What the table must say of it, as it could not be checked."""

    def left_out(self, page_id: str, url: str | None) -> str | None:
        """Why a page must not be compared; None when it may."""

    def language(self, page_id: str, url: str | None) -> str | None:
        """The page's language, where it is known better than the page itself says."""

    def main_texts(self, pages: Sequence[Read]) -> Iterator[str]:
        """The main story's text of each page, a segment a line."""


class OfModel:
    """A model labels the blocks of each page's HTML; sites that it has learnt from are left out, and pages whose site
    is not known.

    Args:
        model: A run's output folder or its bundle; of another bundle or a URI is not known what it learnt from.

    Raises:
        InputError: There is no such model, or a corpus that it learnt from too is gone.
    """

    def __init__(self, model: str) -> None:
        self.labeler: Labeler = load_labeler(model)
        self.name = f"newsparts, {self.labeler.family} {self.labeler.version}"
        runs = [run for run in (Path(model), Path(model).parent) if (run / "split.json").is_file()]
        self._known = _learnt_from(runs[0]) if runs else None
        self.unknown: str | None = None if runs else "sites that the model learnt from may be among them"

    def left_out(self, page_id: str, url: str | None) -> str | None:
        """See `Ours`."""
        if self._known is None:
            return None
        site = site_of(url or "")
        return (
            "without an address"
            if not site
            else "of sites that the model has learnt from"
            if site in self._known
            else None
        )

    def language(self, page_id: str, url: str | None) -> str | None:
        """See `Ours`."""
        return None

    def main_texts(self, pages: Sequence[Read]) -> Iterator[str]:
        """See `Ours`."""
        for record in self.labeler.label((page.page_id, page.texts) for page in pages):
            yield _main_text(record)


class OfRecords:
    """Records say it, e.g. those of `make crossval`, whose models have not seen the pages' sites.

    Args:
        records: `.jsonl` or `.jsonl.gz` of `predict`'s records.
        pages: The corpus they are of, whose pages are then found by their addresses too.

    Raises:
        InputError: A record is broken or without texts.
    """

    def __init__(self, records: Path, pages: str | None) -> None:
        self.name = f"newsparts, {records}"
        self.unknown: str | None = None
        self._texts: dict[str, str] = {}
        if not records.is_file():
            raise InputError(
                "no such file",
                expected="records, .jsonl or .jsonl.gz",
                remedy="run `make crossval` first",
                path=records,
                rule="no-file",
            )
        for line, record in jsonl.lines(records):
            if isinstance(record, InputError):
                raise record
            told = _told(record)
            if told is None:
                raise InputError(
                    "no record of a page",
                    expected='{"page_id": …, "segments": [{"text": …, "role": …}]}',
                    remedy="name what `predict` or `make crossval` wrote",
                    path=records,
                    line=line,
                    rule="bad-record",
                )
            page_id, text = told
            if page_id in self._texts:
                raise InputError(
                    f"a second record of page {page_id!r}",
                    expected="one a page",
                    remedy="remove one",
                    path=records,
                    line=line,
                    rule="duplicate-page",
                )
            self._texts[page_id] = text
        known = [page for page in Corpus(pages) if page.page_id in self._texts] if pages else []
        self._by_url = {page.url: page.page_id for page in known if page.url}
        self._pages = {page.page_id: page for page in known}

    def left_out(self, page_id: str, url: str | None) -> str | None:
        """See `Ours`."""
        return None if self._id(page_id, url) is not None else "without a record"

    def language(self, page_id: str, url: str | None) -> str | None:
        """See `Ours`."""
        page = self._pages.get(str(self._id(page_id, url)))
        return None if page is None else page.lang

    def main_texts(self, pages: Sequence[Read]) -> Iterator[str]:
        """See `Ours`."""
        for page in pages:
            yield self._texts[str(self._id(page.page_id, page.url))]

    def _id(self, page_id: str, url: str | None) -> str | None:
        """The page of that address; else the one of that id, unless it is known to have another address."""
        if url in self._by_url:
            return self._by_url[str(url)]
        page = self._pages.get(page_id)
        elsewhere = url is not None and page is not None and page.url is not None
        return page_id if page_id in self._texts and not elsewhere else None


def beside(
    corpus: str,
    ours: Ours,
    output: Path,
    *,
    variables: Mapping[str, str],
    language: str | None = None,
    samples: int = 1000,
    confidence: float = 0.95,
    seed: int = 0,
) -> Path:
    """Scores a model and every installed extractor on the same pages, and writes `table.md`, `scores.json` and
    `pages.jsonl`.

    Args:
        corpus: `aeb:FOLDER`, `wcxb:FOLDER` or `cleaneval:FOLDER`.
        ours: What reads flat text.
        output: The folder to write to.
        variables: Of the make command, for the table's note.
        language: Compare the pages of this language alone, two letters; of the corpus of the records, else as the page
            says.
        samples: Bootstrap resamples of sites.
        confidence: Level of the intervals.
        seed: Of the bootstrap.

    Returns:
        The path of the table.

    Raises:
        InputError: The corpus gives no HTML, cannot be read, or no page of it may be compared.
    """
    loaded = _loaded()
    missing = [extractor.name for extractor in EXTRACTORS if extractor not in loaded]
    if missing:
        console.print(f"not installed, left out: {', '.join(missing)} (`make extractors`)", style="yellow")
    if ours.unknown:
        console.print(ours.unknown, style="yellow", markup=False)
    pages, left_out = _read(corpus, ours, list(loaded.values()), None if language is None else language[:2].lower())
    if not pages:
        reasons = ", ".join(f"{count:,} {why}" for why, count in left_out.items())
        raise InputError(
            f"no page to compare: {reasons or 'the corpus is empty'}",
            expected="pages of sites that the model has not seen",
            remedy="name another corpus, or records and the corpus they are of",
            path=corpus,
            rule="empty-corpus",
        )
    answers = track(ours.main_texts(pages), "labelling pages", total=len(pages))
    own = [text_events(page.gold, without_titles(text, page.titles)) for page, text in zip(pages, answers, strict=True)]
    events = np.array([[mine, *page.events] for page, mine in zip(pages, own, strict=True)])
    names = [ours.name, *(f"{extractor.name} {extractor.version}" for extractor in loaded)]
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
            "not_checked": ours.unknown,
            "confidence": confidence,
            "contenders": scores,
        },
    )
    _write_pages(output / "pages.jsonl", pages, names, events)
    facts = [f"{len(pages):,} pages of {n_sites:,} sites", *(f"{count:,} {why}" for why, count in left_out.items())]
    facts += [ours.unknown] if ours.unknown else []
    facts += [f"not installed: {', '.join(missing)}"] if missing else []
    path = output / "table.md"
    write_text(
        path, _table(scores) + "\n" + note("beside", None, (), *facts, f"corpus sha256 `{sha256[:12]}`", **variables)
    )
    return path


def _read(
    corpus: str, ours: Ours, extractors: Sequence[Extract], language: str | None
) -> tuple[list[Read], Counter[str]]:
    source, path = locate(corpus)
    if source.documents is None:
        raise InputError(
            "a corpus without HTML and gold text",
            expected=", ".join(f"{name}:FOLDER" for name, s in SOURCES.items() if s.documents),
            remedy="name the benchmark's own folder",
            path=corpus,
            rule="no-html",
        )
    pages: list[Read] = []
    left_out: Counter[str] = Counter()
    for number, document in track(source.documents(path), "extracting"):
        try:
            if isinstance(document, InputError):
                raise document
            root = parse(document.content)
        except InputError as error:
            console.print(f"page {number}: {error}", style="yellow", markup=False)
            left_out["refused"] += 1
            continue
        html = cut(root)
        url = document.url or html.url
        site = site_of(url) if url else ""
        why = ours.left_out(document.page_id, url)
        if why is not None:
            left_out[why] += 1
            continue
        lang = (ours.language(document.page_id, url) or html.lang or "")[:2].lower()
        if language is not None and lang != language:
            left_out[f"not in {language}"] += 1
            continue
        headings = [] if root is None else [" ".join(element.text_content().split()) for element in root.iter("h1")]
        called = [title for title in (html.title, *headings, *document.titles) if title]
        titles = frozenset(tuple(words) for title in called for words in title_words(title)) - {()}
        gold = without_titles(document.gold, titles)
        content = without_declaration(decode(document.content))
        extracted = [_tried(extract, content, lang) for extract in extractors]
        scored = [text_events(gold, without_titles(text, titles)) for text, _ in extracted]
        errors = [error for _, error in extracted]
        blocks = [block.text for block in html.blocks]
        pages.append(Read(document.page_id, site, url, blocks, gold, titles, scored, errors))
    return pages, left_out


def _loaded() -> dict[Extractor, Extract]:
    """Those extractors that are installed, and whose own requirements are."""
    answer: dict[Extractor, Extract] = {}
    for extractor in EXTRACTORS:
        try:
            if extractor.version is not None:
                answer[extractor] = extractor.load()
        except ImportError:
            continue
    return answer


def _tried(extract: Extract, html: str, lang: str) -> tuple[str, str | None]:
    """What is extracted, and the error that the extractor raised instead."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of dates they do not understand, once a page
            return extract(html, lang), None
    except Exception as error:  # a stranger's parser may raise anything on a broken page: counted, and no text
        return "", f"{type(error).__name__}: {error}"[:300]


def without_titles(text: str, titles: frozenset[tuple[str, ...]]) -> str:
    """A text without the lines that say what the page is called, and nothing else."""
    return "\n".join(line for line in text.split("\n") if tuple(words_of(line)) not in titles)


def _told(record: Any) -> tuple[str, str] | None:
    """The page's id and its main text; None where it is no record of a page."""
    if not (
        isinstance(record, dict) and isinstance(record.get("page_id"), str) and isinstance(record.get("segments"), list)
    ):
        return None
    try:
        return record["page_id"], _main_text(record)
    except (KeyError, TypeError):
        return None


def _main_text(record: Mapping[str, Any]) -> str:
    return "\n".join(segment["text"] for segment in record["segments"] if segment["role"] == "main")


def _learnt_from(run: Path) -> set[str]:
    """The sites that a run chose by or learnt from, `corpus.auxiliary` included; each as it is called and as its
    address' site."""
    parts = read_json(run / "split.json")["parts"]
    sites = {site for part in ("train", "validation") for site in parts[part]["sites"]}
    config = load_config(run / "config.yaml", [])
    if learns_also(config):
        # Of the tested sites nothing is learnt, whatever corpus has pages of them.
        tested = set(parts["test"]["sites"])
        for path in config.corpus.auxiliary:
            sites |= {page.site for page in track(Corpus(path, skip_refused=True), f"sites of {path}")} - tested
    return sites | {site_of(site) for site in sites}


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
    answer = []
    for k in range(events.shape[1]):
        gains = {"gain": again["text/f1"][:, 0] - again["text/f1"][:, k]}
        intervals = intervals_of({name: values[:, k] for name, values in again.items()} | gains, confidence)
        values = {name: float(value[k]) for name, value in whole.items()}
        values["gain"] = float(whole["text/f1"][0] - whole["text/f1"][k])
        answer.append(values | {"intervals": intervals})
    return answer


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
    return table(["", "reads", "precision", "recall", "main text F1 (95 %)", "ours less its, points", "errors"], lines)


def _write_pages(path: Path, pages: Sequence[Read], names: Sequence[str], events: np.ndarray) -> None:
    """Page by page, those first on which the first contender is worst: what each contender scored, and the errors."""
    f1 = text_scores(events)["text/f1"]
    lines: list[str] = []
    for row, page in sorted(zip(f1, pages, strict=True), key=lambda pair: (pair[0][0], pair[1].page_id)):
        scores = {name: round(float(x), 4) for name, x in zip(names, row, strict=True)}
        errors = {name: error for name, error in zip(names[1:], page.errors, strict=True) if error is not None}
        lines.append(json.dumps({"page_id": page.page_id, "url": page.url, "text/f1": scores, "errors": errors}))
    write_text(path, "".join(f"{line}\n" for line in lines))
