"""What a model is trained on: never a page, a site or a passage of what it is judged by, whatever source it comes
from."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.configs import shrunk
from tests.helpers.pages import make_page
from train.common.errors import InputError
from train.common.files import write_json
from train.config.schema import Config
from train.corpus.composed import compose as composed
from train.corpus.loading import (
    corpus_sha256,
    fewer_sites,
    part_of_run,
    parts_of,
    read_corpus,
    read_topic_texts,
    split_corpus,
    splits_of,
    stream_corpus,
)
from train.corpus.page import Page, Segment
from train.corpus.read import write_pages
from train.corpus.splits.near_duplicates import passages
from train.corpus.splits.page_summary import page_summaries, story_passages
from train.corpus.splits.split import folds, split_by_site
from train.corpus.training_data import site_names, training_pages

Make = Callable[..., Config]


@pytest.fixture
def make(corpus: Path, tmp_path: Path) -> Make:
    """A config of the baseline, which needs no backbone."""
    return partial(shrunk, "demo-baseline", corpus, Path("no-backbone"), tmp_path)


def story(name: str, words: int = 45) -> str:
    """Running words that no other name shares."""
    return " ".join(f"{name}{i}" for i in range(words))


def page(name: str, *texts: str, site: str | None = None, lang: str | None = "en", topic: str | None = "sport") -> Page:
    """A page of one story; by default its text and its site are its own."""
    own = texts or (story(name),)
    segments = (Segment("Menu of the day", "boilerplate"), *(Segment(text, "main", 0, topic) for text in own))
    return Page(name, site or f"{name}.example", segments, lang, date="2026-01-02")


def around(copied: str) -> str:
    """A passage in the middle of other words."""
    return f"Photo: N. N. {copied} Join our channel."


def excerpt(copied: str) -> str:
    """The 30 running words from the middle of a story."""
    return " ".join(copied.split()[8:38])


PARTS: dict[str, list[Page]] = {
    "train": [page("trained"), page("trained2"), page("trained3", site="trained.example")],
    "validation": [page("validated"), page("validated2")],
    "test": [page("tested", "A headline", story("tested")), page("tested2")],
    "held_out": [page("kept")],
}
UNSEEN = ("validated", "validated2", "tested", "tested2", "kept")
COPIES = [page(f"copy-of-{name}", story(name)) for name in UNSEEN]
EXCERPTS = [page(f"excerpt-of-{name}", "Something of its own", around(excerpt(story(name)))) for name in UNSEEN]
OWN = [page("fresh"), page("fresh2", story("fresh2", 5)), page("as-trained", around(story("trained")))]


def offered() -> list[Page]:
    """Copies and excerpts of unseen pages among pages that may be learnt from."""
    return [COPIES[0], OWN[0], *EXCERPTS, OWN[1], *COPIES[1:], OWN[2]]


def compose(made: Iterable[Page], asked: list[dict[str, int]] | None = None) -> Callable[..., Iterator[Page]]:
    """Stands in for the composed corpus."""

    def composing(*, seed: int, pages: int) -> Iterator[Page]:
        if asked is not None:
            asked.append({"seed": seed, "pages": pages})
        yield from made

    return composing


def told(capsys: pytest.CaptureFixture[str]) -> str:
    return " ".join(capsys.readouterr().err.split())


def require_unseen(learnt: Iterable[Page], parts: Mapping[str, Sequence[Page]]) -> None:
    """No page, site or passage of what the model is judged by."""
    unseen = [page for part in ("validation", "test", "held_out") for page in parts[part]]
    names = {name for page in unseen for name in site_names(page)}
    held = {int(passage) for page in unseen for passage in story_passages(page)}
    assert held
    for found in learnt:
        assert found.page_id not in {page.page_id for page in unseen}
        assert not names & site_names(found)
        assert not held & {int(passage) for text in found.texts for passage in passages(text)}


def test_the_training_part_alone_is_trained_on_and_validation_is_the_validation_part(make: Make) -> None:
    found = training_pages(make(), PARTS, [])
    assert found.train == PARTS["train"]
    assert found.validation == PARTS["validation"]
    assert found.topic_texts == []
    assert found.auxiliary == []


def test_composed_pages_with_a_passage_of_unseen_pages_are_left_out(
    make: Make, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: list[dict[str, int]] = []
    monkeypatch.setattr(composed, "compose", compose(offered(), asked))
    found = training_pages(make("corpus.composed=13", "corpus.split_seed=77"), PARTS, []).train
    assert asked == [{"seed": 77, "pages": 13}]
    assert found == [*PARTS["train"], *(page.without_topics() for page in OWN)]
    require_unseen(found, PARTS)
    assert "10 composed pages share a passage with validation or test pages and are left out" in told(capsys)


def test_composed_pages_that_share_nothing_are_all_kept_and_nothing_is_told(
    make: Make, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shared = page("menu", story("menu"), "Menu of the day")
    monkeypatch.setattr(composed, "compose", compose([*OWN, shared]))
    assert len(training_pages(make("corpus.composed=4"), PARTS, []).train) == len(PARTS["train"]) + 4
    assert "left out" not in told(capsys)


@pytest.mark.parametrize("part", PARTS)
def test_a_corpus_that_holds_composed_sites_is_not_joined_by_composed_pages(
    make: Make, monkeypatch: pytest.MonkeyPatch, part: str
) -> None:
    monkeypatch.setattr(composed, "compose", compose([page("other", site=PARTS[part][0].site)]))
    with pytest.raises(InputError) as caught:
        training_pages(make("corpus.composed=1"), PARTS, [])
    assert caught.value.rule == "composed-twice"


def test_pages_of_other_corpora_with_a_site_or_a_passage_of_unseen_pages_are_left_out(
    make: Make, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    of_site = [
        replace(page(f"of-{name}"), site=site)
        for name, site in (("a", "tested.example"), ("b", "VALIDATED.example"), ("c", "news.tested2.example"))
    ]
    linked = replace(page("linked"), site="elsewhere", url="https://www.kept.example/x")
    same_name, same_site = replace(page("unlike"), page_id="tested"), page("fresh3", site="fresh.example")
    first, second = tmp_path / "first.jsonl", tmp_path / "second.jsonl"
    write_pages(first, [*of_site, *offered()])
    write_pages(second, [linked, same_name, same_site])
    config = make("baseline.auxiliary_weight=0.5")
    config = replace(config, corpus=replace(config.corpus, auxiliary=(str(first), str(second))))
    found = training_pages(config, PARTS, [])
    assert found.auxiliary == [
        *(replace(page.without_topics(), page_id=f"auxiliary-0/{page.page_id}") for page in OWN),
        replace(same_name.without_topics(), page_id="auxiliary-1/tested"),
        replace(same_site.without_topics(), page_id="auxiliary-1/fresh3"),
    ]
    assert found.train == PARTS["train"], "pages of other corpora have less say"
    require_unseen(found.auxiliary, PARTS)
    assert told(capsys) == (
        "5 pages of 4 sites are learnt from too (corpus.auxiliary); left out are 4 of sites, and 10 with passages, of "
        "validation or test pages"
    )


def test_a_site_is_known_by_its_name_its_domain_and_the_domain_of_its_address_in_any_case() -> None:
    named = replace(page("x", site="News.Tested.example"), url="https://m.Other.example/a")
    assert site_names(named) == {"news.tested.example", "tested.example", "other.example"}
    assert site_names(page("x", site="Harbour Post/EN")) >= {"harbour post/en"}


def test_pages_of_other_corpora_are_read_in_the_wished_languages(
    make: Make, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_pages(tmp_path / "also.jsonl", [page("english"), page("german", lang="de"), page("unknown", lang=None)])
    config = make("baseline.auxiliary_weight=0.5", "corpus.languages=[de]")
    config = replace(config, corpus=replace(config.corpus, auxiliary=(str(tmp_path / "also.jsonl"),)))
    assert [page.page_id for page in training_pages(config, PARTS, []).auxiliary] == ["auxiliary-0/german"]
    assert told(capsys).startswith("1 of 3 pages of ")


def _topic_config(make: Make, tmp_path: Path, rows: Sequence[tuple[str, str]], *overrides: str) -> Config:
    with (tmp_path / "texts.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("text", "topic"), *rows])
    return make(f"topics.path=csv:{tmp_path / 'texts.csv'}", *overrides)


def test_topic_texts_with_a_passage_of_unseen_pages_are_left_out(
    make: Make, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [("\n".join(page.texts[1:]), "sport" if i % 2 else "tech") for i, page in enumerate(offered())]
    config = _topic_config(make, tmp_path, rows)
    found = read_topic_texts(config, tmp_path, PARTS)
    assert [text.texts for text in found] == [page.texts[1:] for page in OWN]
    require_unseen(found, PARTS)
    assert training_pages(config, PARTS, found).topic_texts == found
    assert told(capsys) == (
        "10 topic texts share a passage with validation or test pages and are left out 3 topic texts: sport 2, tech 1"
    )


def test_refused_topic_texts_are_counted_and_kept_aside(
    make: Make, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [("A cup final", "sport"), ("", "sport"), ("A merger", ""), ("A bank", "business")]
    kept_aside = _topic_config(make, tmp_path, rows, "corpus.on_bad_page=quarantine")
    assert [text.texts for text in read_topic_texts(kept_aside, tmp_path, PARTS)] == [["A cup final"], ["A bank"]]
    quarantined = [
        json.loads(line) for line in (tmp_path / "quarantine-topics.jsonl").read_text(encoding="utf-8").splitlines()
    ]
    assert [(row["line"], row["rule"]) for row in quarantined] == [(3, "empty-text"), (4, "no-topic")]
    said = told(capsys)
    assert said.startswith("2 topic texts refused, see ")
    assert said.endswith("2 topic texts: sport 1, business 1")
    with pytest.raises(InputError):
        read_topic_texts(replace(kept_aside, corpus=replace(kept_aside.corpus, on_bad_page="stop")), tmp_path, PARTS)


def test_without_topic_texts_none_are_read(make: Make, tmp_path: Path) -> None:
    assert read_topic_texts(make("topics.path=null"), tmp_path, PARTS) == []


def _damaged(path: Path, pages: Sequence[Page]) -> Path:
    """A corpus of pages, three lines that are none among them."""
    write_pages(path, pages)
    lines = path.read_text(encoding="utf-8").splitlines()
    lines[1:1] = ["{torn", json.dumps({"page_id": "empty", "site": "x.example", "segments": []})]
    lines.append(lines[0])
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def test_every_page_that_is_read_is_kept_or_counted_as_refused(
    make: Make, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = _damaged(
        tmp_path / "own.jsonl", [page("one"), page("two", lang="de"), page("three"), page("four", lang=None)]
    )
    config = make(f"corpus.path={path}", "corpus.on_bad_page=quarantine")
    found, sha256 = read_corpus(config, tmp_path / "out")
    assert [page.page_id for page in found["path"]] == ["one", "two", "three", "four"]
    assert sha256 == corpus_sha256(config)
    quarantined = [
        json.loads(line) for line in (tmp_path / "out/quarantine-path.jsonl").read_text(encoding="utf-8").splitlines()
    ]
    assert [(row["line"], row["rule"]) for row in quarantined] == [
        (2, "bad-json"),
        (3, "no-segments"),
        (7, "duplicate-page"),
    ]
    assert told(capsys).startswith("3 of 7 pages of ")
    with pytest.raises(InputError):
        read_corpus(make(f"corpus.path={path}", "corpus.on_bad_page=stop"), tmp_path / "out")


def test_pages_in_other_languages_are_left_out_and_counted(
    make: Make, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_pages(
        tmp_path / "own.jsonl", [page("one"), page("two", lang="de"), page("three", lang="fr"), page("four", lang=None)]
    )
    config = make(f"corpus.path={tmp_path / 'own.jsonl'}", "corpus.languages=[en,de]")
    assert [page.page_id for page in read_corpus(config, tmp_path)[0]["path"]] == ["one", "two"]
    said = told(capsys)
    assert said.startswith("2 of 4 pages of ")
    assert said.endswith(" are in en, de; the rest is left out")
    with pytest.raises(InputError, match="no page in it; there are None, de, en, fr"):
        read_corpus(make(f"corpus.path={tmp_path / 'own.jsonl'}", "corpus.languages=[it]"), tmp_path)


def test_pages_read_one_by_one_are_those_read_at_once(make: Make, tmp_path: Path) -> None:
    path = _damaged(
        tmp_path / "own.jsonl",
        [page("one"), page("two", lang="de"), page("three", topic="tech"), page("four", lang=None)],
    )
    config = make(
        f"corpus.path={path}", "corpus.on_bad_page=quarantine", "corpus.languages=[en]", "topics.mapping=iptc"
    )
    streamed = stream_corpus(config)["path"]
    assert [page.page_id for page in streamed] == ["one", "three"]
    assert list(streamed) == read_corpus(config, tmp_path)[0]["path"]
    assert [page.segments[1].topic for page in streamed] == ["sport", "science and technology"]
    with pytest.raises(InputError):
        list(stream_corpus(make(f"corpus.path={path}", "corpus.on_bad_page=stop"))["path"])


def test_a_corpus_that_is_read_otherwise_is_another_corpus(make: Make) -> None:
    """Runs, folds and trials go on where the corpus is the same: columns, roles and topics are part of what its labels
    read."""
    told = [
        [],
        ["corpus.columns={body: text}"],
        ["corpus.roles={story: main}"],
        ["corpus.roles={story: related}"],
        ["topics.mapping=iptc"],
        ["corpus.roles={story: main}", "topics.mapping=iptc"],
    ]
    found = [corpus_sha256(make(*some)) for some in told]
    assert len(set(found)) == len(told)
    assert found == [corpus_sha256(make(*some, "corpus.split_seed=77")) for some in told]


def test_the_split_of_a_config_is_made_with_its_shares_seed_and_folds(make: Make, pages: list[Page]) -> None:
    known = list(page_summaries(pages))
    shares = ("corpus.validation_share=0.25", "corpus.test_share=0.375", "corpus.split_seed=5")
    by_site = split_corpus(make(*shares), {"path": pages})
    assert by_site.to_json() == split_by_site(known, validation_share=0.25, test_share=0.375, seed=5).to_json()
    dated = [replace(page, date=f"2026-{ord(page.site[4]) - 96:02d}-{int(page.page_id[-1]) + 1:02d}") for page in pages]
    by_time = split_corpus(make(*shares, "corpus.split_by=time"), {"path": dated})
    expected = split_by_site(list(page_summaries(dated)), validation_share=0.25, test_share=0.375, seed=5, by_time=True)
    assert by_time.to_json() == expected.to_json()
    config = make(*shares, "corpus.folds=4", "corpus.fold=2")
    wanted = [split.to_json() for split in folds(known, count=4, validation_share=0.25, seed=5)]
    assert [split.to_json() for split in splits_of(config, {"path": pages})] == wanted
    assert split_corpus(config, {"path": pages}).to_json() == wanted[2]


def test_given_parts_stay_the_parts_they_were_given_as(make: Make, tmp_path: Path) -> None:
    for part in ("train", "validation", "test"):
        write_pages(tmp_path / f"{part}.jsonl", PARTS[part])
    paths = (f"corpus.{part}_path={tmp_path / part}.jsonl" for part in ("train", "validation", "test"))
    config = make("corpus.path=null", *paths)
    read, _ = read_corpus(config, tmp_path)
    split = split_corpus(config, read)
    assert parts_of(split, read) == {part: PARTS[part] for part in ("train", "validation", "test")}
    crossed = {
        "train": PARTS["train"],
        "validation": PARTS["validation"],
        "test": [page("more", site="validated2.example")],
    }
    with pytest.raises(InputError, match=r"site 'validated2\.example' is in validation and test"):
        split_corpus(config, crossed)


def test_a_part_of_a_run_is_read_as_the_run_split_it(
    make: Make, corpus: Path, pages: list[Page], tmp_path: Path
) -> None:
    config = make("corpus.split_seed=3")
    split = split_corpus(config, {"path": pages})
    run = tmp_path / "run"
    write_json(run / "split.json", split.to_json())
    (run / "config.yaml").write_text(config.to_yaml(), encoding="utf-8")
    chosen = split.select(pages)
    for part in ("train", "validation", "test"):
        assert part_of_run(run, part, sha256=corpus_sha256(config)) == chosen[part]
    for wrong, rule in (
        ({"sha256": "0" * 64}, "other-corpus"),
        ({"part": "held_out"}, "no-part"),
        ({"run": tmp_path}, "no-split"),
    ):
        asked: dict[str, Any] = {"run": run, "part": "test", **wrong}
        with pytest.raises(InputError) as caught:
            part_of_run(**asked)
        assert caught.value.rule == rule


@pytest.mark.parametrize("seed", [0, 1])
def test_fewer_sites_are_among_more_and_the_other_parts_stay_whole(seed: int) -> None:
    train = [make_page(f"s{i}", n, related=1) for n in range(2) for i in range(6)]
    parts = {"train": train, "validation": PARTS["validation"], "test": PARTS["test"]}
    before: set[str] = set()
    for size in range(1, 7):
        fewer = fewer_sites(parts, size=size, seed=seed)
        sites = {page.site for page in fewer["train"]}
        assert len(sites) == size
        assert before <= sites
        assert fewer == {**parts, "train": [page for page in train if page.site in sites]}
        before = sites
    assert fewer_sites(parts, size=0, seed=seed) == parts


def test_which_sites_are_fewer_is_drawn_by_the_seed() -> None:
    parts = {"train": [make_page(f"s{i}", 0, related=0) for i in range(20)]}
    drawn = [[page.site for page in fewer_sites(parts, size=5, seed=seed)["train"]] for seed in (1, 1, 2)]
    assert drawn[0] == drawn[1] != drawn[2]
