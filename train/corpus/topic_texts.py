"""Loose texts with a topic: what teaches the topic head besides the corpus' own stories.

A set is named `KIND:PATH`. A text becomes a page whose segments have a topic and no role: roles are not learnt from it.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from train.common.errors import InputError
from train.common.files import digest_of, sha256_file, sha256_json, written_aside
from train.corpus.page import Page, Segment
from train.corpus.read import Refusal
from train.corpus.sources import hub
from train.corpus.sources.csv_table import split_commas
from train.corpus.sources.encodings import bad_text, decode, open_table
from train.corpus.sources.html_blocks import files, read_within
from train.corpus.sources.table_folder import names_for_numbers

IPTC = Path(__file__).with_name("iptc-media-topics.yaml")
_AG_TOPICS = {"1": "World", "2": "Sports", "3": "Business", "4": "Sci/Tech"}
_HEADER = re.compile(r"\A[A-Za-z][\w-]*:")
_TEXT_COLUMNS, _TOPIC_COLUMNS = ("text", "content", "article", "description"), ("topic", "label", "category", "class")


@dataclass(frozen=True)
class TopicMapping:
    """Names topics by one list, whatever the sets call them.

    Args:
        names: Label, code or name, casefolded -> name; empty keeps every label as it is.
        sha256: The sha256 of the file; empty without one.
        path: The file, for messages.
    """

    names: Mapping[str, str]
    sha256: str = ""
    path: str = ""

    @staticmethod
    def load(path: str | None) -> TopicMapping:
        """Reads a mapping file, `iptc` being the 17 IPTC Media Topics that come with the project; None keeps labels as
        they are.

        Raises:
            InputError: The file is missing, is no such mapping, or gives one label to two topics.
        """
        if path is None:
            return TopicMapping({})
        path = str(IPTC) if path == "iptc" else path
        try:
            loaded = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
            topics = [
                (str(t["name"]), [str(t["code"]), str(t["name"]), *map(str, t.get("labels") or ())])
                for t in loaded["topics"]
            ]
        except FileNotFoundError:
            raise InputError(
                "no such file", expected="a topic mapping", remedy="check topics.mapping", path=path, rule="no-file"
            ) from None
        except (yaml.YAMLError, KeyError, TypeError, AttributeError, UnicodeDecodeError) as error:
            raise InputError(
                f"no topic mapping: {error!r}"[:200],
                expected="topics: [{code, name, labels: [...]}]",
                remedy="see train/corpus/iptc-media-topics.yaml",
                path=path,
                rule="bad-mapping",
            ) from None
        names: dict[str, str] = {}
        for name, labels in topics:
            for label in labels:
                if names.setdefault(label.casefold(), name) != name:
                    raise InputError(
                        f"the label {label!r} is {names[label.casefold()]!r} and {name!r}",
                        expected="every label once",
                        remedy="delete one",
                        path=path,
                        rule="bad-mapping",
                    )
        return TopicMapping(names, sha256_file(Path(path)), path)

    def name(self, label: str) -> str:
        """The topic's name.

        Raises:
            InputError: The mapping has no such label.
        """
        if not self.names:
            return label
        try:
            return self.names[label.strip().casefold()]
        except KeyError:
            raise InputError(
                f"the topic {label!r}",
                expected=f"a code, name or label of {self.path}",
                remedy="add it to a topic's labels there",
                rule="unknown-topic",
            ) from None

    def page(self, page: Page, path: str) -> Page:
        """The page with its topics named by the mapping.

        Args:
            page: A page, its topics as the corpus names them.
            path: The corpus, for messages.

        Raises:
            InputError: The mapping lacks one of its topics.
        """
        if not self.names:
            return page
        try:
            named = (Segment(s.text, s.role, s.story, s.topic and self.name(s.topic), s.extra) for s in page.segments)
            return page.with_segments(tuple(named))
        except InputError as error:
            raise InputError(
                f"page {page.page_id!r} has {error.found}",
                expected=error.expected,
                remedy=error.remedy,
                path=path,
                rule=error.rule,
            ) from None


def _text_page(text_id: str, topic: str, paragraphs: list[str], mapping: TopicMapping) -> Page:
    if not topic.strip():
        raise InputError(
            f"text {text_id!r} has no topic",
            expected="a topic",
            remedy="name it, or leave the text out",
            rule="no-topic",
        )
    segments = [" ".join(p.split()) for p in paragraphs]
    kept = tuple(Segment(text, None, 0, mapping.name(topic)) for text in segments if text)
    if not kept:
        raise InputError(f"text {text_id!r} is empty", expected="a text", remedy="leave it out", rule="empty-text")
    return Page(text_id, "", kept)


def as_labelled(text: Page) -> Page:
    """A topic text as a labelled page that is nothing but its story, on a site of its own: so that intervals are over
    texts."""
    return replace(text, site=text.page_id, segments=tuple(replace(segment, role="main") for segment in text.segments))


def _ag_news(path: Path) -> Iterator[tuple[int, Any]]:
    """AG News as published: `class,title,description` with classes 1 to 4, with or without a header."""
    for line, row in _rows(path):
        if isinstance(row, InputError):
            yield line, row
        elif line > 1 or row[0].strip().isdigit():
            if len(row) != 3 or row[0].strip() not in _AG_TOPICS:
                yield line, _bad_row(f"the row {str(row)[:80]}", "class 1-4, title, description", "correct it")
            else:
                yield line, (f"ag-news-{line}", _AG_TOPICS[row[0].strip()], [row[1], *row[2].split("\\")])


def _table(path: Path) -> Iterator[tuple[int, Any]]:
    """Any CSV with a header that names a text and a topic column."""
    rows = _rows(path)
    first = next(rows, (0, []))[1]
    if isinstance(first, InputError):
        raise first.at(path, 1)
    header = [name.strip().casefold() for name in first]
    text, topic = _columns(header, path)
    for line, row in rows:
        if not isinstance(row, InputError) and len(row) != len(header):
            row = _bad_row(f"{len(row)} cells", f"{len(header)}, as in the header", "quote cells")
        if isinstance(row, InputError):
            yield line, row
        else:
            yield line, (f"{path.stem}-{line}", row[header.index(topic)], row[header.index(text)].split("\n"))


def _rows(path: Path) -> Iterator[tuple[int, list[str] | InputError]]:
    """The rows of a CSV file that are not blank, and what is refused in their place."""
    with path.open("rb") as raw:
        text = open_table(raw)
        try:
            for line, row in split_commas(text):
                wrong = next(filter(None, (bad_text(cell, text.encoding) for cell in row)), None)
                if wrong is not None:
                    yield line, InputError(wrong, expected="UTF-8 text", remedy="save as UTF-8", rule="bad-encoding")
                elif row:
                    yield line, row
        except InputError as error:
            raise error.at(path, error.line) from None


def _bad_row(found: str, expected: str, remedy: str) -> InputError:
    return InputError(found, expected=expected, remedy=remedy, rule="bad-row")


def _columns(names: list[str], path: Path) -> tuple[str, str]:
    chosen = [next((name for name in wanted if name in names), None) for wanted in (_TEXT_COLUMNS, _TOPIC_COLUMNS)]
    if chosen[0] is None or chosen[1] is None:
        raise InputError(
            f"the columns {', '.join(names) or 'none'}",
            expected=f"one of {', '.join(_TEXT_COLUMNS)} and one of {', '.join(_TOPIC_COLUMNS)}",
            remedy="rename the columns",
            path=path,
            rule="no-column",
        )
    return chosen[0], chosen[1]


def _folders(path: Path) -> Iterator[tuple[int, Any]]:
    """A folder a topic, a file a text, as the BBC News sets come; bytes that are not UTF-8 are read as Windows-1252."""
    for number, file in enumerate(_topic_files(path), start=1):
        try:
            yield number, (_name(file, path), file.parent.name, decode(read_within(file, path)).split("\n"))
        except InputError as error:
            yield number, error.at(file, None)


def _newsgroups(path: Path) -> Iterator[tuple[int, Any]]:
    """20 newsgroups: a folder a group, a message a file; the header is left out, its subject kept as the title."""
    for number, file in enumerate(_topic_files(path), start=1):
        try:
            text = decode(read_within(file, path))
        except InputError as error:
            yield number, error.at(file, None)
            continue
        head, _, body = text.replace("\r\n", "\n").partition("\n\n")
        if not _HEADER.match(head):
            head, body = "", text
        subject = next(
            (line.partition(":")[2] for line in head.split("\n") if line.casefold().startswith("subject:")), ""
        )
        yield (
            number,
            (
                _name(file, path),
                file.parent.name,
                [re.sub(r"^(\s*re:)+", "", subject, flags=re.I), *body.split("\n\n")],
            ),
        )


def _topic_files(path: Path) -> Iterator[Path]:
    for file in files(path, ("",)):
        if file.parent != path and file.name.casefold() != "readme.txt":
            yield file


def _name(file: Path, root: Path) -> str:
    return file.relative_to(root).as_posix()


def _dataset(path: Path) -> Iterator[tuple[int, Any]]:
    """A Hugging Face data set with a text and a topic column; class numbers become their names."""
    try:
        data = hub.open_table(path)
        text, topic = _columns(data.column_names or list(next(iter(data), {})), path)
        for number, row in enumerate(data, start=1):
            named = names_for_numbers(row, data.features)
            yield number, (f"{path.name}-{number}", _topic(named[topic]), str(named[text] or "").split("\n"))
    except InputError:
        raise
    except Exception as error:
        raise InputError(
            f"the data set cannot be read: {type(error).__name__}: {error}"[:300],
            expected="a data set of tables",
            remedy="check the id; a Hub id needs network",
            path=path,
            rule="broken-dataset",
        ) from None


def _topic(value: Any) -> str:
    """A topic's name; a class number without a name, such as -1 for 'unlabelled', is none."""
    return (
        value
        if isinstance(value, str)
        else ""
        if value is None or isinstance(value, float) or value == -1
        else str(value)
    )


KINDS: dict[str, tuple[Callable[[Path], Iterator[tuple[int, Any]]], bool | None]] = {
    "ag-news": (_ag_news, False),
    "csv": (_table, False),
    "folders": (_folders, True),
    "newsgroups": (_newsgroups, True),
    "dataset": (_dataset, None),
}
"""Kind -> (its reader, whether its path is a folder; None: either)."""


def _locate(named: str) -> tuple[Callable[[Path], Iterator[tuple[int, Any]]], Path]:
    kind, colon, rest = named.partition(":")
    if not colon or kind not in KINDS:
        raise InputError(
            f"topic texts {named!r}",
            expected=f"KIND:PATH with one of {', '.join(KINDS)}",
            remedy="e.g. ag-news:train.csv or folders:bbc",
            rule="unknown-format",
        )
    read, folder = KINDS[kind]
    path = Path(rest)
    if folder is not None and not (path.is_dir() if folder else path.is_file()):
        raise InputError(
            "no such folder" if folder else "no such file",
            expected=f"what {kind} is",
            remedy="check it",
            path=path,
            rule="no-file",
        )
    return read, path


def digest(named: str) -> str:
    """The sha256 that names a set of texts."""
    _, path = _locate(named)
    return sha256_json(hub.fingerprint(path)) if named.startswith("dataset:") else digest_of(path)


def scan_texts(named: str, mapping: TopicMapping) -> Iterator[tuple[int, Page | Refusal]]:
    """Streams a set of texts: `(line or file number, page or refusal)`.

    Args:
        named: `ag-news:FILE`, `csv:FILE`, `folders:FOLDER`, `newsgroups:FOLDER` or `dataset:ID`.
        mapping: Names the topics.

    Raises:
        InputError: It is missing or broken as a whole.
    """
    read, path = _locate(named)
    for line, item in read(path):
        try:
            if isinstance(item, InputError):
                raise item
            text_id, topic, paragraphs = item
            yield line, _text_page(text_id, topic, paragraphs, mapping)
        except InputError as error:
            yield (
                line,
                Refusal(error.at(error.path or path, line), None if isinstance(item, InputError) else list(item)),
            )


def read_texts(named: str, mapping: TopicMapping, quarantine: Path | None = None) -> tuple[list[Page], int]:
    """All texts of a set, and how many were refused.

    Args:
        named: As for `scan_texts`.
        mapping: As for `scan_texts`.
        quarantine: Where refused texts go; None stops at the first.

    Raises:
        InputError: There is none, or one is refused and `quarantine` is None.
    """
    pages: list[Page] = []
    refused: list[bytes] = []
    for line, item in scan_texts(named, mapping):
        if isinstance(item, Page):
            pages.append(item)
        elif quarantine is None:
            raise item.error
        else:
            refused.append(item.row(line))
    if refused and quarantine is not None:
        with written_aside(quarantine) as aside:
            aside.write_bytes(b"".join(refused))
    if not pages:
        raise InputError(
            f"no text in it ({len(refused)} refused)",
            expected="texts with topics",
            remedy="check kind and path",
            path=named,
            rule="empty-corpus",
        )
    return pages, len(refused)


def count_topics(pages: list[Page]) -> Counter[str]:
    """Texts by topic."""
    return Counter(str(page.segments[0].topic) for page in pages)
