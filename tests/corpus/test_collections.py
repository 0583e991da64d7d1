"""Public collections, fetched from small repositories on this machine that stand in for theirs by git's `insteadOf`."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.helpers import formats
from train.cli import data
from train.common.errors import InputError
from train.corpus.collections import conversion, repository
from train.corpus.collections.table import Table, read_table
from train.corpus.read import read_pages
from train.corpus.sources import extracted

HOST = "https://forge.example/them"
LINE = {
    "paths": ["/html/", "/ground-truth.json"],
    "licence": "MIT",
    "importer": "aeb",
    "labels": "the body of each article",
    "caveat": "Made up for a test.",
}
AGREED = {"paths": ["*.html", "*.html.gz"], "importer": "extracted"}
GOLD = {"one": {"articleBody": formats.GOLD, "url": "https://a.example/x"}}


def story(site: str, words: str = "pier", size: int = 9000) -> bytes:
    """A page of a site on which extractors find a story."""
    text = "".join(
        f"<p>The night ferry sails again, part {n} of the report on the {words}, in full length here.</p>"
        for n in range(9)
    )
    head = f'<link rel="canonical" href="https://{site}/ferry"><title>Ferry</title><style>{"x" * size}</style>'
    return f"<html><head>{head}</head><body><p>Menu</p><article><h1>Ferry</h1>{text}</article></body></html>".encode()


def commit(folder: Path, files: Mapping[str, bytes]) -> str:
    """Commits files in a repository, which is made if there is none; returns the commit."""

    def git(*words: str) -> str:
        return subprocess.run(
            ["git", "-C", str(folder), *words], check=True, capture_output=True, text=True
        ).stdout.strip()

    folder.mkdir(parents=True, exist_ok=True)
    git("init", "--quiet")
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    git("add", "--all")
    git("commit", "--quiet", "--message=pages")
    return git("rev-parse", "HEAD")


@pytest.fixture(autouse=True)
def mirror(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of repositories that git takes for their host; the user's own settings of git are not read."""
    settings = tmp_path / "gitconfig"
    settings.write_text(
        f'[url "file://{tmp_path}/mirror/"]\n insteadOf = {HOST}/\n'
        "[user]\n name = N. N.\n email = n@forge.example\n[uploadpack]\n allowFilter = true\n"
        f'[filter "run"]\n smudge = "touch {tmp_path}/ran; cat"\n'
    )
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(settings))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    monkeypatch.setattr(extracted, "extractors", lambda: (formats.stand_in_extractor, formats.stand_in_extractor))
    monkeypatch.setattr(conversion, "version", lambda name: "1")
    return tmp_path / "mirror"


@pytest.fixture
def table(tmp_path: Path) -> Callable[..., Table]:
    """Writes a table of `name=(commit, what differs from LINE)` and reads it."""

    def write(**lines: tuple[str, Mapping[str, Any]]) -> Table:
        entries = {
            name: {**LINE, "repository": f"{HOST}/{name}", "commit": at, **other} for name, (at, other) in lines.items()
        }
        (tmp_path / "table.yaml").write_text(yaml.safe_dump(entries, sort_keys=False))
        return read_table(tmp_path / "table.yaml")

    return write


def aeb(mirror: Path, **files: bytes) -> str:
    """Commits a repository `labelled`, of one page with its gold text."""
    page = {"html/one.html.gz": gzip.compress(formats.HTML.encode()), "ground-truth.json": json.dumps(GOLD).encode()}
    return commit(mirror / "labelled", {**page, "README.md": b"Pages.", **files})


def fetch(table: Table, folder: Path, *names: str) -> dict[str, dict[str, Any]]:
    return {name: made for name, made, _ in conversion.fetch(table, names, folder)}


def test_the_shipped_table() -> None:
    shipped = read_table()
    assert shipped.chosen(["pismo", "all"]) == list(shipped.collections)
    assert shipped.chosen(["pismo", "aeb"]) == ["aeb", "pismo"], "in the table's order"
    assert [name for name, one in shipped.collections.items() if not one.pretraining] == ["newspaper4k"]
    assert all(one.repository.startswith("https://github.com/") for one in shipped.collections.values())


def test_an_unknown_name_is_told_the_nearest() -> None:
    with pytest.raises(InputError, match=r"the collection 'fundu'[\s\S]*did you mean fundus\?"):
        read_table().chosen(["aeb", "fundu"])


@pytest.mark.parametrize(
    ("other", "says"),
    [
        ({"commit": "main"}, "labelled.commit: String should match"),
        ({"repository": "ext::sh -c touch"}, "labelled.repository"),
        ({"repository": "https://me:secret@forge.example/them/labelled"}, "labelled.repository"),
        ({"importer": "aeb2"}, "labelled.importer: 'aeb2', which is no source"),
        ({"folder": "../else"}, "labelled.folder"),
        ({"paths": []}, "labelled.paths"),
        ({"license": "MIT"}, "labelled.license: Unexpected"),
    ],
)
def test_a_table_with_a_fault_is_refused(other: dict[str, Any], says: str, table: Callable[..., Table]) -> None:
    with pytest.raises(InputError, match=says):
        table(labelled=("0" * 40, other))


@pytest.mark.parametrize("text", ["a: [", "- a", "a: 1"])
def test_what_is_no_table_is_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "table.yaml").write_text(text)
    with pytest.raises(InputError, match="expected: name: "):
        read_table(tmp_path / "table.yaml")
    with pytest.raises(InputError, match="no-such"):
        read_table(tmp_path / "no-such.yaml")


def test_every_page_is_kept_refused_or_passed_over(
    mirror: Path, tmp_path: Path, table: Callable[..., Table], capsys: pytest.CaptureFixture[str]
) -> None:
    at = commit(
        mirror / "crawl",
        {
            "a/story.html": story("a.example"),
            "b/copy.html.gz": gzip.compress(story("a.example")),
            "b/archived.html": story("web.archive.org/web/2020/https://b.example", "bridge"),
            "b/expected.html": story("c.example"),
            "b/nowhere.html": story("c.example").replace(b"canonical", b"other"),
            "c/torn.html.gz": gzip.compress(story("c.example"))[:99],
            "c/small.html": b"<p>Small</p>",
            "c/labelled.html": (labelled := story("d.example")),
            "script.js": b"run()",
        },
    )
    first = aeb(mirror, **{"html/two.html.gz": gzip.compress(labelled)})
    table(labelled=(first, {}), crawl=(at, AGREED | {"licence": "none stated"}))
    folder = tmp_path / "collections"
    data.collections(["fetch", "all"], folder=folder, table=tmp_path / "table.yaml")
    said = capsys.readouterr().out
    assert "labelled: 2 read = 1 kept + 0 refused + 1 passed over (left to another importer 1); 1 sites\n" in said
    assert (
        "crawl: 8 read = 2 kept + 2 refused (broken-gzip 1, no-site 1) + 4 passed over (named expected 1, "
        "same content as an earlier page 2, under 8 kB 1); 2 sites\n  licence none stated, "
    ) in said
    assert "Made up for a test." in said
    pages = read_pages(folder / "crawl.jsonl.gz")
    assert sorted(page.site for page in pages) == ["a.example", "b.example"], "an archived page is of its own site"
    made = json.loads((folder / "crawl.json").read_text())
    assert (made["read"], made["collection"]["commit"], made["roles"]["main"]) == (8, at, 18)
    data.collections([], folder=folder, table=tmp_path / "table.yaml")
    assert [line.split()[3] for line in capsys.readouterr().out.splitlines() if "crawl" in line] == ["2"]


def test_a_second_call_redoes_nothing(mirror: Path, tmp_path: Path, table: Callable[..., Table]) -> None:
    known = table(labelled=(aeb(mirror), {}))
    fetch(known, tmp_path / "out", "all")
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*")}
    os.rename(mirror, tmp_path / "away")
    assert [new for _, _, new in conversion.fetch(known, ["labelled"], tmp_path / "out")] == [False]
    assert before == {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*")}
    (tmp_path / "out" / "labelled.jsonl.gz").write_bytes(b"spoilt")
    assert fetch(known, tmp_path / "out", "all")["labelled"]["kept"] == 1, "from the files that are there"


def test_only_the_named_paths_of_the_pinned_commit_are_fetched(
    mirror: Path, tmp_path: Path, table: Callable[..., Table]
) -> None:
    first = aeb(mirror)
    commit(mirror / "labelled", {"ground-truth.json": b"{}", "html/later.html.gz": b""})
    fetch(table(labelled=(first, {})), tmp_path / "out", "all")
    files = tmp_path / "out" / "repositories" / "them+labelled" / "files"
    assert sorted(path.name for path in files.rglob("*")) == ["ground-truth.json", "html", "one.html.gz"]


def test_a_mirror_without_filters_is_fetched_whole(
    mirror: Path, tmp_path: Path, table: Callable[..., Table], monkeypatch: pytest.MonkeyPatch
) -> None:
    known = table(labelled=(aeb(mirror), {}))
    settings = Path(os.environ["GIT_CONFIG_GLOBAL"])
    settings.write_text(settings.read_text().replace("allowFilter = true", "allowFilter = false"))
    assert fetch(known, tmp_path / "out", "all")["labelled"]["kept"] == 1


def test_a_changed_table_fetches_anew(mirror: Path, tmp_path: Path, table: Callable[..., Table]) -> None:
    first = fetch(table(labelled=(aeb(mirror), {})), tmp_path / "out", "all")
    other = {"ground-truth.json": json.dumps({"one": {**GOLD["one"], "url": "https://b.example/y"}}).encode()}
    changed = table(labelled=(commit(mirror / "labelled", other), {}))
    assert conversion.provenance(changed, "labelled", tmp_path / "out") is None, "what is there is of another line"
    second = fetch(changed, tmp_path / "out", "all")
    assert first["labelled"]["sha256"] != second["labelled"]["sha256"]
    assert [page.site for page in read_pages(tmp_path / "out" / "labelled.jsonl.gz")] == ["b.example"]


def test_a_collection_fetched_later_takes_its_pages_from_those_after_it(
    mirror: Path, tmp_path: Path, table: Callable[..., Table]
) -> None:
    one = commit(mirror / "one", {"a.html": story("a.example")})
    two = commit(mirror / "two", {"b.html": story("a.example"), "c.html": story("c.example")})
    known = table(one=(one, AGREED), two=(two, AGREED))
    assert fetch(known, tmp_path / "out", "two")["two"]["kept"] == 2
    assert [made["kept"] for made in fetch(known, tmp_path / "out", "all").values()] == [1, 1]
    only = table(two=(two, AGREED))
    assert fetch(only, tmp_path / "out", "two")["two"]["kept"] == 2


def test_a_collection_of_pages_that_are_all_elsewhere_is_empty(
    mirror: Path, tmp_path: Path, table: Callable[..., Table]
) -> None:
    at = [commit(mirror / name, {"a.html": story("a.example")}) for name in ("one", "two")]
    made = fetch(table(one=(at[0], AGREED), two=(at[1], AGREED)), tmp_path / "out", "all")["two"]
    assert (made["read"], made["kept"], made["passed_over"]) == (1, 0, {"same content as an earlier page": 1})
    assert gzip.decompress((tmp_path / "out" / "two.jsonl.gz").read_bytes()) == b""


@pytest.mark.parametrize(("at", "name"), [("0" * 40, "labelled"), (None, "gone")])
def test_a_commit_that_is_not_there_is_told(
    at: str | None, name: str, mirror: Path, tmp_path: Path, table: Callable[..., Table]
) -> None:
    known = table(**{name: (at or aeb(mirror), {})})
    with pytest.raises(InputError, match=rf"git fetch: [\s\S]*of {HOST}/{name}[\s\S]*insteadOf") as told:
        fetch(known, tmp_path / "out", "all")
    assert told.value.rule == "not-fetched"
    assert not list((tmp_path / "out").glob("*.jsonl.gz"))


def test_links_lead_nowhere_and_nothing_is_run(mirror: Path, tmp_path: Path, table: Callable[..., Table]) -> None:
    (tmp_path / "secret.html").write_bytes(story("secret.example", "secret"))
    (mirror / "crawl").mkdir(parents=True)
    (mirror / "crawl" / "link.html").symlink_to(tmp_path / "secret.html")
    (mirror / "crawl" / "folder").symlink_to(tmp_path)
    page = story("a.example").replace(b"<p>", b"\r\n<p>")
    at = commit(mirror / "crawl", {"a.html": page, ".gitattributes": b"*.html filter=run text eol=lf\n"})
    (tmp_path / "ran").unlink(missing_ok=True)  # committing it may run a filter, fetching it does not
    made = fetch(table(crawl=(at, {**AGREED, "paths": ["/*"]})), tmp_path / "out", "all")["crawl"]
    assert (made["read"], made["kept"], made["passed_over"]) == (2, 1, {"under 8 kB": 1})
    assert not (tmp_path / "ran").exists()
    assert all("secret" not in page.site for page in read_pages(tmp_path / "out" / "crawl.jsonl.gz"))


@pytest.mark.parametrize("at", ["fetch", "checkout", "check", "write"])
def test_what_was_killed_goes_on(
    at: str, mirror: Path, tmp_path: Path, table: Callable[..., Table], monkeypatch: pytest.MonkeyPatch
) -> None:
    known = table(labelled=(aeb(mirror), {}), crawl=(commit(mirror / "crawl", {"a.html": story("a.example")}), AGREED))
    whole = fetch(known, tmp_path / "whole", "all")
    git, check, write = repository._git, conversion.check_corpus, conversion.write_json

    def killed_git(folder: Path, collection: Any, *words: str) -> None:
        git(folder, collection, *words)
        if words[0] == at and collection.importer == "extracted":
            raise KeyboardInterrupt

    def killed_check(corpus: str, **outputs: Any) -> Any:
        if at == "check" and "extracted" in corpus:
            raise KeyboardInterrupt
        return check(corpus, **outputs)

    def killed_write(path: Path, value: Any) -> None:
        if at == "write" and path.name == "crawl.json":
            raise KeyboardInterrupt
        write(path, value)

    with monkeypatch.context() as patch:
        patch.setattr(repository, "_git", killed_git)
        patch.setattr(conversion, "check_corpus", killed_check)
        patch.setattr(conversion, "write_json", killed_write)
        with pytest.raises(KeyboardInterrupt):
            fetch(known, tmp_path / "out", "all")
    assert conversion.provenance(known, "crawl", tmp_path / "out") is None
    went_on = list(conversion.fetch(known, ["all"], tmp_path / "out"))
    assert [(name, new) for name, _, new in went_on] == [("labelled", False), ("crawl", True)]
    assert {name: made for name, made, _ in went_on} == whole
    assert not list((tmp_path / "out").rglob("*.part"))


def test_no_git_and_no_extractors_are_told(
    mirror: Path, tmp_path: Path, table: Callable[..., Table], monkeypatch: pytest.MonkeyPatch
) -> None:
    known = table(labelled=(aeb(mirror), {}), crawl=("0" * 40, AGREED))

    def missing() -> Any:
        raise InputError("trafilatura is not installed", expected="it", remedy="run `make extractors`")

    monkeypatch.setattr(extracted, "extractors", missing)
    with pytest.raises(InputError, match="run `make extractors`"):
        fetch(known, tmp_path / "out", "all")
    assert not (tmp_path / "out").exists(), "said before anything is fetched"
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(InputError, match=r"git is not installed[\s\S]*install git"):
        fetch(known, tmp_path / "out", "labelled")


def test_another_word_than_fetch_is_told() -> None:
    for words in (["fetch"], ["get", "aeb"]):
        with pytest.raises(InputError, match="python -m train collections fetch all"):
            data.collections(words)
