"""What gives the main text of a benchmark's flat pages: a model, or records that a model made before."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from train.common.console import track
from train.common.errors import InputError
from train.common.files import read_json
from train.common.generation import finished_run
from train.config.schema import load_config
from train.corpus.column_mapping import site_of
from train.corpus.read import Corpus
from train.corpus.sources import jsonl
from train.corpus.training_data import learns_from_auxiliary
from train.inference.resolve import PRETRAINED, load_labeler
from train.models.pretrained import DEFAULT, SETTINGS, sites_of
from train.runtime import Labeler
from train.training.outcome import require_of_run


@dataclass(frozen=True, slots=True)
class BenchmarkPage:
    """A page of a benchmark.

    Args:
        page_id: Its id.
        site: The site of its address; empty when it has none.
        url: Its address.
        texts: Its blocks of text.
        gold: The main story's text, without lines that say what the page is called.
        titles: What it is called, in words.
        events: The counts that each extractor's text adds to its scores (`text_events`).
        errors: The error that each extractor raised, which counts as no text; None where it raised none.
    """

    page_id: str
    site: str
    url: str | None
    texts: list[str]
    gold: str
    titles: frozenset[tuple[str, ...]]
    events: Sequence[tuple[float, ...]]
    errors: Sequence[str | None]


class MainTexts(Protocol):
    """What gives the main text of flat pages."""

    name: str
    unknown: str | None
    """What the table must say of it, as it could not be checked."""

    def left_out(self, page_id: str, url: str | None) -> str | None:
        """Why a page must not be compared; None when it may.

        Args:
            page_id: The page's id in the benchmark.
            url: Its address; None when it has none.
        """

    def language(self, page_id: str, url: str | None) -> str | None:
        """The page's language, where it is known better than the page itself says; else None.

        Args:
            page_id: The page's id in the benchmark.
            url: Its address; None when it has none.
        """

    def main_texts(self, pages: Sequence[BenchmarkPage]) -> Iterator[str]:
        """The main story's text of each page, a segment a line."""


class ModelTexts(MainTexts):
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
        runs = [finished_run(run) for run in (Path(model), Path(model).parent) if (run / "split.json").is_file()]
        if runs:
            require_of_run(runs[0], self.labeler.version)
        if model == PRETRAINED:
            self._known: frozenset[str] | None = sites_of(DEFAULT)
        else:
            self._known = _learnt_from(runs[0]) if runs else None
        checked = self._known is not None
        self.unknown: str | None = None if checked else "sites that the model learnt from may be among them"

    def left_out(self, page_id: str, url: str | None) -> str | None:
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
        return None

    def main_texts(self, pages: Sequence[BenchmarkPage]) -> Iterator[str]:
        for record in self.labeler.label((page.page_id, page.texts) for page in pages):
            yield _main_text(record)


class RecordTexts(MainTexts):
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
            parsed = _page_and_text(record)
            if parsed is None:
                raise InputError(
                    "no record of a page",
                    expected='{"page_id": …, "segments": [{"text": …, "role": …}]}',
                    remedy="name what `predict` or `make crossval` wrote",
                    path=records,
                    line=line,
                    rule="bad-record",
                )
            page_id, text = parsed
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
        return None if self._id(page_id, url) is not None else "without a record"

    def language(self, page_id: str, url: str | None) -> str | None:
        page = self._pages.get(str(self._id(page_id, url)))
        return None if page is None else page.lang

    def main_texts(self, pages: Sequence[BenchmarkPage]) -> Iterator[str]:
        for page in pages:
            yield self._texts[str(self._id(page.page_id, page.url))]

    def _id(self, page_id: str, url: str | None) -> str | None:
        """The page of that address; else the one of that id, unless it is known to have another address."""
        if url in self._by_url:
            return self._by_url[str(url)]
        page = self._pages.get(page_id)
        elsewhere = url is not None and page is not None and page.url is not None
        return page_id if page_id in self._texts and not elsewhere else None


def _page_and_text(record: Any) -> tuple[str, str] | None:
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


def _learnt_from(run: Path) -> frozenset[str]:
    """The sites that a run chose by or learnt from, those of `corpus.auxiliary` and of its pretrained page reader
    included; each as it is called and as its address' site."""
    parts = read_json(run / "split.json")["parts"]
    sites = {site for part in ("train", "validation") for site in parts[part]["sites"]}
    config = load_config(run / "config.yaml", [])
    if config.encoder is not None:
        sites |= sites_of(str(run) if (run / SETTINGS).is_file() else config.encoder.pretrained)
    if learns_from_auxiliary(config):
        # Of the tested sites nothing is learnt, whatever corpus has pages of them.
        tested = set(parts["test"]["sites"])
        for path in config.corpus.auxiliary:
            sites |= {page.site for page in track(Corpus(path, skip_refused=True), f"sites of {path}")} - tested
    return frozenset(sites | {site_of(site) for site in sites})
