"""Documents can be read and believed: short, in short sentences, with paths, targets and links that are there, and no
score that no command wrote."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.helpers.paths import ROOT
from tests.project.test_rooms import ROOMS

PATH = re.compile(r"(?<![\w/.-])(?:tests|train|configs|notebooks)/[\w./*-]*[\w*]")
NO_FILES = re.compile(
    r"train/(?:loss|learning_rate|validation_macro_f1|segments_per_second|…)|.*/(?:x|FAMILY|TABLE)\.\w+"
    r"|configs/(?:ablations/(?:demo-encoder|hierarchical)|(?:demo|pages)-ensemble|pages-hierarchical)\.yaml"
)
"""Metrics are named `train/…` too, some paths stand for any, and the log speaks of configs that are gone."""
MAKE = re.compile(r"^ *(?:\w+=\S+ )*make +([a-z][a-z-]*)", re.MULTILINE)
FENCED, SPAN = re.compile(r"^```.*?\n(.*?)^```\n", re.MULTILINE | re.DOTALL), re.compile(r"`([^`]+)`")
RESULTS = re.compile(r"<!-- results:([\w-]+) -->\n.*?<!-- /results -->\n", re.DOTALL)
LINK = re.compile(r"!?\[([^\]]*)\]\(([^)\s]+)\)")
NUMBER = re.compile(r"(?<![\w.-])\d+(?:\.\d+(?![\w.])|(?= ?%))")
VERSIONS = {"3.11"}
"""The least Python: a number that no command measures."""
MOST_BYTES, MOST_LINES, MOST_WORDS = 12_288, 250, 30
PAGE_LINES, PAGES = 80, {"train/corpus/README.md": 2, "train/studies/README.md": 2}
"""Lines of a page, tables of results and pictures aside, and the documents that may have more than one."""
README = ROOT / "README.md"
ROOM_READMES = [
    *(ROOT / folder / "README.md" for folder in ("train", "tests", "notebooks", ".ci")),
    *sorted((ROOT / "train").glob("*/README.md")),
]
WRITTEN = [README, *ROOM_READMES]
"""Documents that are read from end to end; that of configs is made of the schema, lists of data are looked up."""
OTHERS = [ROOT / "configs/README.md", ROOT / "configs/LOG.md"]
OTHERS += [path for path in (ROOT / "train").glob("*/**/README.md") if path not in WRITTEN]


def _name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def _newest_changes() -> str:
    return _text(ROOT / "CHANGELOG.md").split("\n## ")[1]


def _targets_named(text: str) -> list[str]:
    """Targets of the `make` commands in a document's code."""
    return MAKE.findall("\n".join([*FENCED.findall(text), *SPAN.findall(FENCED.sub("", text))]))


def _variables_given(text: str) -> set[str]:
    """Variables of the `make` commands in a document's code, and those that stand alone in a code span."""
    spans = SPAN.findall(FENCED.sub("", text))
    lines = [line for block in FENCED.findall(text) for line in block.replace("\\\n", " ").splitlines()]
    commands = [re.sub(r'"[^"]*"', "", line).partition("#")[0] for line in [*lines, *spans] if MAKE.match(line)]
    alone = [span for span in spans if re.fullmatch(r"[A-Z]+=\S*", span)]
    return set(re.findall(r"(?<![\w.])([A-Z][A-Z_]*)=", "\n".join([*commands, *alone])))


def _prose(text: str) -> Iterator[str]:
    """Paragraphs and items of lists, each in one line; code spans are left, and tables, headings and pictures are
    not."""
    text = re.sub(r"^(?:\||#|!|<!--).*\n", "\n", RESULTS.sub("\n", FENCED.sub("\n", text)), flags=re.MULTILINE)
    for block in re.split(r"\n\s*\n|\n(?= *(?:[-*]|\d+\.) )", text):
        block = re.sub(r"^ *(?:[-*]|\d+\.) +", "", block.strip("\n"))
        if block.strip() and not block.strip().startswith("!["):
            yield " ".join(block.split())


def _sentences(text: str) -> Iterator[str]:
    for block in _prose(text):
        words = LINK.sub(r"\1", SPAN.sub("code", block)).replace("*", "")
        yield from re.split(r"(?<=[.!?])(?<!e\.g\.) +", words)


def _slug(heading: str) -> str:
    """The anchor of a heading, as GitHub makes it."""
    return re.sub(r"[^\w -]", "", heading.strip().lower()).replace(" ", "-")


@pytest.mark.parametrize("path", [*WRITTEN, *OTHERS], ids=_name)
def test_every_path_that_a_document_names_exists(path: Path) -> None:
    named = PATH.findall(_text(path))
    assert sorted(name for name in named if not NO_FILES.fullmatch(name) and not list(ROOT.glob(name))) == []


def test_every_path_that_the_newest_changes_name_exists() -> None:
    named = PATH.findall(_newest_changes())
    assert sorted(name for name in named if not NO_FILES.fullmatch(name) and not list(ROOT.glob(name))) == []


@pytest.mark.parametrize("path", WRITTEN, ids=_name)
def test_every_target_that_a_document_names_is_in_the_makefile(path: Path) -> None:
    targets = set(re.findall(r"^([a-z][a-z-]*):", _text(ROOT / "Makefile"), re.MULTILINE))
    named = set(_targets_named(_text(path)))
    assert sorted(named - targets) == []
    if path == README:
        assert {"demo", "test", "check", "train", "compare", "show", "export"} <= named


@pytest.mark.parametrize("path", WRITTEN, ids=_name)
def test_every_variable_that_a_document_gives_to_make_is_read(path: Path) -> None:
    makefile = _text(ROOT / "Makefile")
    assert sorted(name for name in _variables_given(_text(path)) if not re.search(rf"\b{name}\b", makefile)) == []


@pytest.mark.parametrize("path", [*WRITTEN, *OTHERS], ids=_name)
def test_every_link_between_documents_leads_somewhere(path: Path) -> None:
    lost = []
    for _, link in LINK.findall(FENCED.sub("", _text(path))):
        if re.match(r"\w+:", link):
            continue
        file, _, anchor = link.partition("#")
        target = (path.parent / file).resolve() if file else path
        if not target.exists() or not target.is_relative_to(ROOT):
            lost.append(link)
        elif anchor:
            headings = re.findall(r"^#+ +(.*)$", FENCED.sub("", _text(target)), re.MULTILINE)
            lost += [link] if anchor not in map(_slug, headings) else []
    assert lost == []


def test_the_readme_is_short() -> None:
    assert len(README.read_bytes()) <= MOST_BYTES
    assert len(_text(README).splitlines()) <= MOST_LINES
    assert len(RESULTS.findall(_text(README))) == 1, "one table of results; the others lie in train/studies"
    for span in (span for block in _prose(_text(README)) for span in SPAN.findall(block)):
        assert len(span) <= 40, f"a line of code inside a paragraph: {span}"


@pytest.mark.parametrize("path", ROOM_READMES, ids=_name)
def test_a_room_tells_of_itself_on_a_page(path: Path) -> None:
    lines = re.sub(r"^ *!\[.*\n", "", RESULTS.sub("", _text(path)), flags=re.MULTILINE).splitlines()
    assert len(lines) <= PAGE_LINES * PAGES.get(_name(path), 1)
    assert max(map(len, (line for line in lines if not line.startswith(("|", "  -d"))))) <= 120


@pytest.mark.parametrize("path", WRITTEN, ids=_name)
def test_sentences_are_short(path: Path) -> None:
    long = [s for s in _sentences(_text(path)) if len(re.findall(r"\w[\w'’-]*", s)) > MOST_WORDS]
    assert long == []


@pytest.mark.parametrize("path", WRITTEN, ids=_name)
def test_no_score_is_typed(path: Path) -> None:
    """Decimals and percentages stand in code that shows an output, or in tables that a command renders."""
    numbers = NUMBER.findall(SPAN.sub("", RESULTS.sub("", FENCED.sub("", _text(path)))))
    assert sorted(set(numbers) - VERSIONS) == []


def test_every_room_has_a_page_and_the_house_lists_them_in_order() -> None:
    listed = re.findall(r"^\| \[(\w+)\]\(\1/README\.md\)", _text(ROOT / "train/README.md"), re.MULTILINE)
    assert tuple(listed) == ROOMS
    read_on = {link for _, link in LINK.findall(_text(README)) if link.endswith("README.md")}
    reached = {(ROOT / link).resolve() for link in read_on}
    for path in sorted(reached):
        reached |= {(path.parent / link).resolve() for _, link in LINK.findall(_text(path)) if link.endswith(".md")}
    assert sorted(_name(path) for path in set(ROOM_READMES) - reached) == [], "no link leads there"


@pytest.mark.parametrize("path", [p for p in ROOM_READMES if "train" in p.parts], ids=_name)
def test_every_module_that_a_room_names_lies_in_it(path: Path) -> None:
    """A bare name such as `metrics.py` is a file of the room."""
    spans = SPAN.findall(FENCED.sub("", _text(path)))
    named = {span for span in spans if re.fullmatch(r"(?!test_)\w+\.py", span)}
    assert sorted(name for name in named if not list(path.parent.rglob(name))) == []


def test_a_document_that_code_names_is_there_and_so_is_its_section() -> None:
    sources = [ROOT / "Makefile", *(ROOT / "configs").rglob("*.yaml"), *(ROOT / "train").rglob("*.py")]
    lost = []
    for path in sources:
        for name, section in re.findall(r"(?<![\w/])([\w/]*README(?:\.md)?)(?:, '([^']+)')?", _text(path)):
            document = ROOT / name
            if not document.is_file():
                lost.append(f"{_name(path)}: {name}")
            elif section and not re.search(rf"^#+ {re.escape(section)}$", _text(document), re.MULTILINE):
                lost.append(f"{_name(path)}: {name}, {section!r}")
    assert lost == []


def test_what_the_tests_look_for_is_found_where_it_stands() -> None:
    assert PATH.findall("`tests/a/test_b.py`, (train/c/), configs/tune/*.yaml. ../tests/no and outputs/train/no") == [
        "tests/a/test_b.py",
        "train/c",
        "configs/tune/*.yaml",
    ]
    text = (
        "```bash\nmake demo # x\n  make show  # or make nothing\n```\nOne `make ui` and `HF_HUB_OFFLINE=0 make "
        "train\nCONFIG=x`;\nmake makes, `make` makes, they `make a` make none.\n"
    )
    assert _targets_named(text) == ["demo", "show", "ui", "train", "a"]
    text = '```bash\nmake a X=1 \\\n  SET="y.z=1 W=2" # Q=1\necho V=1\n```\n`KEEP=x` `make b U=` `one T=1`\n'
    assert _variables_given(text) == {"X", "SET", "KEEP", "U"}
    text = "# 0.5\nOne *two*\nthree. Four [five](six.md): 7\n| 0.1 |\n- Eight `nine 0.2`.\n1. Ten!\n```\n0.3\n```\n"
    assert list(_sentences(text)) == ["One two three.", "Four five: 7", "Eight code.", "Ten!"]
    assert NUMBER.findall("0.93 of Python 3.11, 5 %, 12%, v1.2, Apache-2.0, 127.0.0.1, 2.1.2 and 7,013") == [
        "0.93",
        "3.11",
        "5",
        "12",
    ]
    assert _slug("From Python, over HTTP, on Spark") == "from-python-over-http-on-spark"
