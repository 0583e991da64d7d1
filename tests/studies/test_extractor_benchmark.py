"""A model beside extractors: the same pages, the same gold text, the same rules for all; nothing that was learnt from
is compared."""

from __future__ import annotations

import gzip
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from tests.helpers import formats
from tests.helpers.configs import shrunk
from tests.helpers.optional import need
from tests.helpers.pages import make_page
from tests.helpers.paths import ROOT
from tests.helpers.toys import QUICK
from tests.helpers.two_sites import LARGE, SMALL
from train.cli.app import application
from train.common.errors import InputError
from train.common.files import read_json, write_json
from train.config.schema import load_config
from train.corpus.page import Page, Segment
from train.corpus.read import write_pages
from train.corpus.sources import jsonl
from train.evaluation.text_overlap import text_events, text_scores
from train.studies import benchmark_pages, main_texts
from train.studies import extractor_benchmark as module
from train.studies.benchmark_pages import without_titles
from train.studies.extractor_benchmark import benchmark as compare
from train.studies.extractors import EXTRACTORS, Extractor
from train.studies.main_texts import ModelTexts, RecordTexts
from train.training.recipe import fit

BODY = "The night ferry sails again from Friday, the council said on Monday evening."
TWO = "Fares stay as they are, a spokeswoman said, until the new year at the least."


def benchmark(folder: Path, *sites: str) -> str:
    """A benchmark in the layout of aeb: a page a site."""
    (folder / "html").mkdir(parents=True)
    page = (
        '<html lang="en-GB"><head><title>Ferry sails again | Harbour Post</title></head><body><nav><a>Home</a> '
        "<a>Sport</a></nav>"
        f"<h1>Ferry sails again</h1><p>{BODY}</p><p>{TWO}</p><p>All rights reserved by the publisher of this "
        "page.</p></body></html>"
    )
    truth: dict[str, Any] = {}
    for i, site in enumerate(sites):
        (folder / "html" / f"page{i}.html.gz").write_bytes(gzip.compress(page.encode()))
        truth[f"page{i}"] = {
            "articleBody": f"Ferry sails again\n{BODY}\n{TWO}" if i else f"{BODY}\n{TWO}",
            "url": f"https://www.{site}/{i}" if site else None,
        }
    (folder / "ground-truth.json").write_text(json.dumps(truth))
    return f"aeb:{folder}"


def records(path: Path, *main: list[str]) -> Path:
    """Records whose pages are called otherwise than the benchmark calls them."""
    jsonl.write(
        path,
        [
            {
                "page_id": f"p{i}",
                "segments": [
                    {"text": "Home", "role": "boilerplate"},
                    *({"text": text, "role": "main"} for text in texts),
                ],
            }
            for i, texts in enumerate(main)
        ],
    )
    return path


def corpus_of(path: Path, *sites: str) -> str:
    """The corpus that `records` are of."""
    write_pages(
        path,
        [
            Page(f"p{i}", site, (Segment("x", "main", 0),), "de" if i else "en", None, f"https://www.{site}/{i}")
            for i, site in enumerate(sites)
        ],
    )
    return str(path)


@pytest.fixture(scope="module")
def run(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run's folder; nobody writes into it."""
    return fit(shrunk("pages-baseline", corpus, corpus, tmp_path_factory.mktemp("beside"), *QUICK)).output


@pytest.fixture
def contenders(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """Three extractors of our own, and one that is not there; what they were given."""
    given: list[tuple[str, str]] = []

    def all_of_it(html: str, lang: str) -> str:
        given.append((html[:5], lang))
        return f"FERRY sails again\n{BODY}\n{TWO}"

    def stumbles(html: str, lang: str) -> str:
        raise RecursionError("too deep")

    makers = {
        "all of it": lambda _: all_of_it,
        "half": lambda _: lambda html, lang: BODY,
        "stumbles": lambda _: stumbles,
    }
    found = [Extractor(name, "numpy", "numpy", maker) for name, maker in makers.items()]
    monkeypatch.setattr(
        benchmark_pages, "EXTRACTORS", (*found, Extractor("absent", "no-such-package", "nothing", lambda _: stumbles))
    )
    return given


def test_all_are_scored_alike_and_the_headline_counts_for_nobody(
    contenders: list[tuple[str, str]], tmp_path: Path
) -> None:
    sites = ["a.example", "b.example", "c.example"]
    ours = RecordTexts(
        records(
            tmp_path / "r.jsonl.gz",
            ["Ferry sails again", BODY, TWO],
            [BODY, TWO],
            [BODY, "All rights reserved by the publisher of this page."],
        ),
        corpus_of(tmp_path / "c.jsonl", *sites),
    )
    table = compare(
        benchmark(tmp_path / "aeb", *sites, "d.example"),
        ours,
        tmp_path / "out",
        variables={"CORPUS": "aeb:x"},
        samples=50,
    )
    found = read_json(tmp_path / "out" / "scores.json")
    scores = {row["name"].split(" numpy")[0].split(" 2.")[0]: row for row in found["contenders"]}
    assert (found["n_pages"], found["n_sites"], found["left_out"], found["not_installed"]) == (
        3,
        3,
        {"without a record": 1},
        ["absent"],
    )
    assert scores["all of it"]["text/f1"] == 1
    assert scores["half"]["text/precision"] == 1
    assert scores["half"]["text/recall"] == pytest.approx(text_events(f"{BODY}\n{TWO}", BODY)[2])
    assert (scores["stumbles"]["text/f1"], scores["stumbles"]["failed"]) == (0, 3)
    first = found["contenders"][0]
    assert first["reads"] == "flat text"
    assert first["text/precision"] == pytest.approx(
        (2 + text_events(f"{BODY}\n{TWO}", f"{BODY}\nAll rights reserved by the publisher of this page.")[0]) / 3
    )
    assert first["gain"] == 0
    assert scores["all of it"]["gain"] == pytest.approx(first["text/f1"] - 1)
    low, high = scores["all of it"]["intervals"]["gain"]
    assert low <= scores["all of it"]["gain"] <= high <= 0
    assert contenders == [("<html", "en"), ("<html", "de"), ("<html", "de")]
    text = table.read_text()
    assert "1 without a record, not installed: absent, corpus sha256" in text
    assert text.index("all of it") < text.index(str(first["name"])) < text.index("half")
    pages = [json.loads(line) for line in (tmp_path / "out" / "pages.jsonl").read_text().splitlines()]
    assert pages[0]["page_id"] == "page2"
    assert [*pages[0]["errors"].values()] == ["RecursionError: too deep"]


EVENTS = np.array(
    [
        [
            [0.25, 1, 0.5, 1],
            [0.75, 1, 0.75, 1],
            [0.0, 0, 0.0, 1],
        ],  # the small site's page: precision and recall of three contenders
        *([[0.75, 1, 0.5, 1], [0.5, 1, 0.25, 1], [0.5, 1, 1.0, 1]] for _ in range(9)),  # the large site's
    ]
)


def _by_hand(small: int, large: int) -> list[dict[str, float]]:
    """Each contender's scores where the sites are drawn so often."""
    answer: list[dict[str, float]] = []
    for k in range(3):
        p, p_n, r, r_n = (small * EVENTS[0, k, i] + large * 9 * EVENTS[1, k, i] for i in range(4))
        precision, recall = p / max(p_n, 1), r / max(r_n, 1)
        f1 = 2 * precision * recall / (precision + recall) if precision + recall else 0.0
        answer.append({"text/precision": precision, "text/recall": recall, "text/f1": f1})
    return [{**row, "gain": answer[0]["text/f1"] - row["text/f1"]} for row in answer]


@pytest.mark.parametrize(("confidence", "drawn"), [(0.9, [(2, 0), (0, 2)]), (0.4, [(1, 1)])])
def test_intervals_are_over_sites_however_many_pages_they_have(confidence: float, drawn: list[tuple[int, int]]) -> None:
    """Of two sites, a quarter of resamples has one twice, a quarter the other twice, and half of them both."""
    found = module._scores(EVENTS, [SMALL, *[LARGE] * 9], 1_000, confidence, seed=3)
    outcomes = [_by_hand(*times) for times in drawn]
    for k, row in enumerate(found):
        for name, value in _by_hand(1, 1)[k].items():
            ends = [outcome[k][name] for outcome in outcomes]
            assert row[name] == pytest.approx(value)
            assert row["intervals"][name] == pytest.approx((min(ends), max(ends))), (k, name)


def test_the_order_of_pages_and_the_names_of_sites_change_no_score() -> None:
    sites = [SMALL, *[LARGE] * 9]
    order = [3, 0, 7, 1, 2, 9, 4, 8, 5, 6]
    one = module._scores(EVENTS, sites, 50, 0.9, seed=1)
    assert module._scores(EVENTS[order], [sites[i] for i in order], 50, 0.9, seed=1) == one


def test_the_table_has_the_best_on_top_and_ours_less_each() -> None:
    rows = [
        {**row, "name": name, "reads": reads, "failed": failed}
        for row, name, reads, failed in zip(
            module._scores(EVENTS, [SMALL, *[LARGE] * 9], 1_000, 0.9, seed=3),
            ("ours", "x", "y"),
            ("flat text", "HTML", "HTML"),
            (0, 4, 0),
            strict=True,
        )
    ]
    lines = [[cell.strip() for cell in line.split("|")[1:-1]] for line in module._table(rows).splitlines()[2:]]
    assert [line[0] for line in lines] == ["y", "ours", "x"]
    ours, x, y = lines[1], lines[2], lines[0]
    assert (ours[1], ours[5], ours[6]) == ("flat text", "", "")
    for line, k, failed in ((x, 1, "4"), (y, 2, "0")):
        value, ends = _by_hand(1, 1)[k]["gain"], sorted(_by_hand(*times)[k]["gain"] for times in ((2, 0), (0, 2)))
        assert line[5] == f"{100 * value:+.1f} ({100 * ends[0]:+.1f} to {100 * ends[1]:+.1f})"
        assert (line[1], line[6]) == ("HTML", failed)


def test_pages_of_one_language(contenders: list[tuple[str, str]], tmp_path: Path) -> None:
    """The corpus of the records knows better than a page that calls itself English."""
    sites = ["a.example", "b.example"]
    ours = RecordTexts(records(tmp_path / "r.jsonl", [BODY], [BODY]), corpus_of(tmp_path / "c.jsonl", *sites))
    compare(benchmark(tmp_path / "aeb", *sites), ours, tmp_path / "out", variables={}, language="de", samples=10)
    found = read_json(tmp_path / "out" / "scores.json")
    assert (found["n_pages"], found["left_out"]) == (1, {"not in de": 1})


def test_sites_that_a_model_learnt_from_are_left_out(
    contenders: list[tuple[str, str]], run: Path, tmp_path: Path
) -> None:
    parts = read_json(run / "split.json")["parts"]
    known, tested = parts["train"]["sites"][0], parts["test"]["sites"][0]
    corpus = benchmark(tmp_path / "aeb", known, tested, parts["validation"]["sites"][0], "unheard-of.example")
    compare(corpus, ModelTexts(str(run)), tmp_path / "out", variables={}, samples=10)
    found = read_json(tmp_path / "out" / "scores.json")
    assert (found["n_pages"], found["left_out"]) == (2, {"of sites that the model has learnt from": 2})
    assert found["contenders"][0]["name"].startswith("newsparts, baseline ")
    with pytest.raises(InputError, match="no page to compare: 1 without an address"):
        compare(benchmark(tmp_path / "nowhere", ""), ModelTexts(str(run)), tmp_path / "none", variables={})
    with pytest.raises(InputError, match="no page to compare: 1 of sites that the model has learnt from"):
        compare(benchmark(tmp_path / "all", known), ModelTexts(str(run)), tmp_path / "none", variables={})


@pytest.mark.parametrize("weight", [0, 1])
def test_what_was_learnt_from_counts_corpora_that_joined_and_sites_by_their_address(
    tmp_path: Path, weight: int
) -> None:
    run = tmp_path / "run"
    parts = {
        "train": {"sites": ["www.a.example"]},
        "validation": {"sites": ["b.example"]},
        "test": {"sites": ["c.example"]},
    }
    write_json(run / "split.json", {"parts": parts})
    also = tmp_path / "also.jsonl"
    write_pages(also, [make_page("c", 1), make_page("d", 1)])
    given = [f"corpus.auxiliary=[{also}]", f"baseline.auxiliary_weight={weight}"]
    (run / "config.yaml").write_text(load_config(ROOT / "configs/pages-baseline.yaml", given).to_yaml())
    expected = {"www.a.example", "a.example", "b.example", *(["d.example"] if weight else [])}
    assert main_texts._learnt_from(run) == expected, "tested sites were left out of corpus.auxiliary"


def test_the_table_tells_of_a_model_that_does_not_say_what_it_learnt_from(
    contenders: list[tuple[str, str]], run: Path, tmp_path: Path
) -> None:
    assert ModelTexts(str(run / "bundle")).unknown is None
    alone = shutil.copytree(run / "bundle", tmp_path / "elsewhere" / "bundle")
    table = compare(
        benchmark(tmp_path / "aeb", "a.example", ""), ModelTexts(str(alone)), tmp_path / "out", variables={}, samples=10
    )
    assert "2 pages of 2 sites, sites that the model learnt from may be among them, not installed" in table.read_text()


def test_an_address_says_more_than_an_id(tmp_path: Path) -> None:
    """Benchmarks count their pages: an equal id may be of another corpus' page."""
    path = tmp_path / "c.jsonl"
    told = {"page0": "https://www.b.example/9", "x": "https://www.a.example/0", "page1": None}
    write_pages(
        path, [Page(name, "s.example", (Segment("y", "main", 0),), "en", None, url) for name, url in told.items()]
    )
    jsonl.write(
        tmp_path / "r.jsonl", [{"page_id": name, "segments": [{"text": f"of {name}", "role": "main"}]} for name in told]
    )
    ours = RecordTexts(tmp_path / "r.jsonl", str(path))
    assert [ours._id("page0", url) for url in ("https://www.a.example/0", "https://www.z.example/1", None)] == [
        "x",
        None,
        "page0",
    ]
    assert ours._id("page1", "https://www.z.example/1") == "page1"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--model", "m", "--records", "r"], "both a model and records"),
        ([], "neither model nor records"),
        (["--records", "{folder}/broken.jsonl"], "no record of a page"),
        (["--records", "{folder}/torn.jsonl"], "not JSON"),
        (["--records", "{folder}/twice.jsonl"], "a second record of page 'p0'"),
        (["--records", "{folder}/null.jsonl"], "no record of a page"),
        (["--records", "{folder}/absent.jsonl"], "no such file"),
        (["--records", "{folder}/sound.jsonl"], "no page to compare: 1 without a record"),
        (["--records", "{folder}/sound.jsonl", "--corpus", "html:{folder}"], "a corpus without HTML and gold text"),
    ],
)
def test_bad_calls_are_told(contenders: list[tuple[str, str]], tmp_path: Path, arguments: list[str], told: str) -> None:
    (tmp_path / "broken.jsonl").write_text('{"page_id": "a", "segments": [{"role": "main"}]}\n')
    (tmp_path / "torn.jsonl").write_text('{"page_id"\n')
    records(tmp_path / "sound.jsonl", [BODY])
    (tmp_path / "twice.jsonl").write_text((tmp_path / "sound.jsonl").read_text() * 2)
    (tmp_path / "null.jsonl").write_text('{"page_id": null, "segments": []}\n')
    given = [argument.format(folder=tmp_path) for argument in arguments]
    corpus = [] if "--corpus" in given else ["--corpus", benchmark(tmp_path / "aeb", "a.example")]
    outcome = CliRunner().invoke(application(), ["benchmark", *corpus, *given, "--output", str(tmp_path / "out")])
    error = outcome.exception
    assert isinstance(error, InputError)
    assert told in str(error)


def test_lines_that_name_the_page_are_left_out_whole_lines_only() -> None:
    titles = frozenset([("ferry", "sails", "again")])
    assert (
        without_titles("Ferry sails again!\nFerry sails again, says council\nMore", titles)
        == "Ferry sails again, says council\nMore"
    )


def test_events_add_up_to_the_scores_of_evaluate() -> None:
    found = text_scores(np.sum([text_events(BODY, BODY), text_events(BODY, ""), text_events("", BODY)], axis=0))
    assert [round(float(value), 4) for value in found.values()] == [0.5, 0.5, 0.5]


def test_an_extractor_whose_requirements_are_missing_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    broken = Extractor("broken", "numpy", "no_such_module", lambda _: lambda html, lang: "")
    sound = Extractor("sound", "numpy", "numpy", lambda _: lambda html, lang: "")
    monkeypatch.setattr(benchmark_pages, "EXTRACTORS", (broken, sound))
    assert list(benchmark_pages.load_extractors()[0]) == [sound]


def test_goose_reads_a_page_that_declares_another_encoding() -> None:
    goose = next(extractor for extractor in EXTRACTORS if extractor.name == "goose3")
    if goose.version is None:
        need("every extractor")
    body = "".join(f"<p>{BODY} {TWO} “Löyly”, she said, and that was that for the day.</p>" for _ in range(5))
    found = goose.load()(
        f'<html><head><meta charset="iso-8859-1"></head><body><article>{body}</article></body></html>', "en"
    )
    assert "“Löyly”" in found


@pytest.mark.parametrize("extractor", EXTRACTORS, ids=lambda extractor: extractor.name)
@pytest.mark.filterwarnings("ignore")
def test_every_extractor_that_is_installed_finds_the_story(extractor: Extractor) -> None:
    if extractor.version is None:
        need("every extractor")
    paragraphs = [
        f"Paragraph {i}: the council of the harbour town said on Monday that the night ferry would sail again, and "
        "that the fares "
        f"of the crossing would stay as they are for the whole of the {season}, which a spokeswoman of the company "
        "said she was glad of."
        for i, season in enumerate(["spring", "summer", "autumn", "winter", "year", "decade"])
    ]
    body = "".join(f"<p>{text}</p>" for text in paragraphs)
    menu = "".join(f'<li><a href="/{i}">Section {i}</a></li>' for i in range(30))
    html = (
        '<html lang="en"><head><title>Ferry sails '
        f"again</title></head><body><nav><ul>{menu}</ul></nav><main><article><h1>Ferry sails again</h1>"
        f"{body}</article></main><footer><ul>{menu}</ul></footer></body></html>"
    )
    found = extractor.load()(html, "en")
    assert all(text in " ".join(found.split()) for text in paragraphs)
    assert "Section 7" not in found


def test_sources_give_the_documents_that_their_pages_are_made_of(tmp_path: Path) -> None:
    from train.corpus.column_mapping import ColumnMapping
    from train.corpus.sources import locate

    for name in ("aeb", "wcxb", "cleaneval"):
        source, path = locate(formats.FORMATS[name](tmp_path))
        assert source.documents is not None
        rows, documents = list(source.rows(path, ColumnMapping())), list(source.documents(path))
        assert len(documents) >= 2
        made = [(n, d if isinstance(d, InputError) else d.record(ColumnMapping())) for n, d in documents]
        assert [(n, str(r) if isinstance(r, InputError) else r) for n, r in rows] == [
            (n, str(r) if isinstance(r, InputError) else r) for n, r in made
        ]
