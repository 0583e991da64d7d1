from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.helpers.commands import require_clear, train, train_process
from tests.helpers.paths import ROOT
from train.corpus.page import Page
from train.corpus.read import write_pages
from train.export.bundle import add_documents, copy_bundle

BASELINE = str(ROOT / "configs/demo-baseline.yaml")


@pytest.fixture(scope="module")
def model(trained: Callable[[str], Path]) -> Path:
    """A trained tiny baseline."""
    return trained("demo-baseline")


def test_help_lists_the_verbs() -> None:
    done = train_process("--help")
    assert done.returncode == 0
    assert all(
        verb in done.stdout for verb in ("fit", "evaluate", "predict", "show", "check", "compose", "export", "demo")
    )


def test_fit_evaluate_predict_from_the_shell(corpus: Path, model: Path, tmp_path: Path) -> None:
    done = train(
        "fit",
        "--config",
        BASELINE,
        f"corpus.path={corpus}",
        f"output={tmp_path / 'model'}",
        "tracking.enabled=false",
        "evaluation.bootstrap_samples=20",
        "baseline.max_iterations=5",
    )
    assert done.returncode == 0, done.stderr
    assert "role macro-F1" in done.stdout
    done = train(
        "evaluate", "--model", str(tmp_path / "model"), "--corpus", str(corpus), "--json", str(tmp_path / "scores.json")
    )
    assert done.returncode == 0, done.stderr
    scores = json.loads((tmp_path / "scores.json").read_text())
    assert {
        "role/macro_f1",
        "role/f1/main",
        "topic/macro_f1",
        "story/boundary_f1",
        "n_pages",
        "n_sites",
        "corpus_sha256",
    } <= set(scores)
    assert scores["n_pages"] == 72
    _test_part_by_site(corpus, tmp_path)
    done = train("predict", "--model", str(tmp_path / "model"), str(corpus))
    records = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(records) == 72
    assert records[0]["page_id"] == "sitea-0"


def _test_part_by_site(corpus: Path, tmp_path: Path) -> None:
    asked = (
        "evaluate",
        "--model",
        str(tmp_path / "model"),
        "--corpus",
        str(corpus),
        "--json",
        str(tmp_path / "part.json"),
        "--slice",
        "site",
    )
    done = train(*asked, "--part", "test")
    assert done.returncode == 0, done.stderr
    scores, of_run = (
        json.loads(path.read_text()) for path in (tmp_path / "part.json", tmp_path / "model" / "test.json")
    )
    assert scores["role/macro_f1"] == of_run["role/macro_f1"]
    test = json.loads((tmp_path / "model" / "split.json").read_text())["parts"]["test"]
    assert set(scores["slices"]) == set(test["sites"])
    assert sum(found["n_pages"] for found in scores["slices"].values()) == scores["n_pages"] == len(test["page_ids"])
    done = train(*asked, "--part", "test", "--known-stories")
    assert done.returncode == 0, done.stderr
    known = json.loads((tmp_path / "part.json").read_text())
    assert known["topic/accuracy"] >= of_run["topic/accuracy"]
    assert "role/macro_f1" not in known, "roles were given, not read"
    texts = tmp_path / "texts.csv"
    texts.write_text(
        "text,topic\nThe striker and the keeper left the stadium,sport\nThe bank and its investor fear the "
        "tariff,business\n"
    )
    done = train("topics", f"csv:{texts}", "--model", str(tmp_path / "model"))
    assert "topics of 2 texts by baseline" in done.stdout
    bundle = str(tmp_path / "model" / "bundle")
    require_clear(
        train("evaluate", "--model", bundle, "--corpus", str(corpus), "--json", "x.json", "--part", "test"),
        "no split there",
    )
    require_clear(train(*asked, "--part", "tset"), "part 'tset'")


def test_predict_reads_text_and_standard_input(model: Path, tmp_path: Path) -> None:
    page = tmp_path / "my page.txt"
    page.write_text("Headline here\r\n\r\n  A paragraph.  \nLine with a form\x0cfeed\n", encoding="utf-8")
    done = train("predict", "--model", str(model), str(page), "-", stdin="only line")
    first, second = (json.loads(line) for line in done.stdout.splitlines())
    assert first["page_id"] == "my page"
    assert [s["text"] for s in first["segments"]] == ["Headline here", "A paragraph.", "Line with a form\x0cfeed"]
    assert (second["page_id"], len(second["segments"])) == ("stdin", 1)


def test_show_prints_signs_stories_and_topics(model: Path, tmp_path: Path) -> None:
    done = train(
        "show", "--model", str(model), str(ROOT / "configs/demo-page.txt"), "--svg", str(tmp_path / "page.svg")
    )
    assert done.returncode == 0, done.stderr
    assert "Stories" in done.stdout
    assert any(sign in done.stdout for sign in "█▒")
    assert (tmp_path / "page.svg").read_text().startswith("<svg")


def test_export_gives_a_bundle_that_predicts_alike(model: Path, corpus: Path, tmp_path: Path) -> None:
    assert train("export", "--model", str(model), "--output", str(tmp_path / "bundle")).returncode == 0
    answers = [train("predict", "--model", str(m), str(corpus)).stdout for m in (model, tmp_path / "bundle")]
    assert answers[0] == answers[1] != ""


def test_export_refuses_a_model_that_answers_otherwise_here(model: Path, tmp_path: Path) -> None:
    """As int8 weights may on another processor."""
    bundle = tmp_path / "there"
    copy_bundle(model / "bundle", bundle)
    first, *rest = (bundle / "golden.jsonl").read_text().splitlines()
    page = json.loads(first)
    page["segments"][1]["confidence"] -= 0.2
    (bundle / "golden.jsonl").write_text("\n".join([json.dumps(page), *rest]) + "\n")
    add_documents(bundle, [bundle / "golden.jsonl"])
    done = train("export", "--model", str(bundle), "--output", str(tmp_path / "here"))
    assert done.returncode == 2
    assert (
        "1 answers on golden pages are not those of its training, first page 'plain', segments/1/confidence"
        in done.stderr.replace("\n", " ")
    )
    assert not (tmp_path / "here").exists()


def test_check_exits_0_on_good_and_2_on_bad_pages(corpus: Path, tmp_path: Path) -> None:
    quarantine = str(tmp_path / "q.jsonl")
    assert train("check", str(corpus), "--quarantine", quarantine).returncode == 0
    bad = tmp_path / "bad.jsonl"
    bad.write_text(corpus.read_text(encoding="utf-8") + "{]\n", encoding="utf-8")
    done = train("check", str(bad), "--quarantine", quarantine)
    assert done.returncode == 2
    assert "73 pages in = 72 kept + 1 quarantined" in done.stdout
    assert json.loads(Path(quarantine).read_text())["rule"] == "bad-json"


def test_check_converts_what_another_tool_labelled(tmp_path: Path) -> None:
    rows = [
        "id,url,block,kind",
        "1,https://a.example/1,Ferry sails again,article",
        "1,https://a.example/1,Boats get dearer,teaser",
    ]
    (tmp_path / "blocks.csv").write_text("\n".join([*rows, "2,https://a.example/2,Buy a boat,advert"]))
    columns = ("--columns", "id=page_id block=text kind=role")
    done = train(
        "check",
        "blocks.csv",
        *columns,
        "--roles",
        "article=main teaser=related",
        "--keep",
        "ours.jsonl",
        "--json",
        "-",
        cwd=tmp_path,
    )
    assert done.returncode == 2, done.stderr
    report = json.loads(done.stdout)
    assert (report["lines"], report["kept"], report["errors"]) == (2, 1, {"unknown-role": 1})
    page = json.loads((tmp_path / "ours.jsonl").read_text())
    assert (page["site"], [s["role"] for s in page["segments"]]) == ("a.example", ["main", "related"])
    roles = "article=main teaser=related advert=boilerplate"
    assert train("check", "blocks.csv", *columns, "--roles", roles, cwd=tmp_path).returncode == 0


def test_sources_and_topics_are_listed(tmp_path: Path) -> None:
    done = train("sources")
    assert all(name in done.stdout for name in ("label-studio", "l3s", "cleaneval", "ag-news", "newsgroups"))
    (tmp_path / "ag.csv").write_text('"3","Oil dearer","Oil rose."\n"2","Cup final","They won."\n"7","x","y"\n')
    done = train("topics", "ag-news:ag.csv", "--mapping", "iptc", cwd=tmp_path)
    assert done.returncode == 2
    assert "1 economy, business and finance" in done.stdout
    assert "3 texts in = 2 kept + 1 quarantined" in done.stdout


def test_split_saves_and_leakage_looks(corpus: Path, model: Path, tmp_path: Path) -> None:
    done = train("split", "--config", BASELINE, f"corpus.path={corpus}", "--output", "split.json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "pages of different parts that share a story: 0" in done.stdout
    saved = json.loads((tmp_path / "split.json").read_text())
    assert sum(len(part["page_ids"]) for part in saved["parts"].values()) == 72
    done = train(
        "split", "--config", BASELINE, f"corpus.path={corpus}", "corpus.folds=3", "--output", "fold.json", cwd=tmp_path
    )
    assert [(tmp_path / f"fold-{i}.json").is_file() for i in range(4)] == [True, True, True, False]
    done = train("leakage", "--model", str(model), "--json", "leaks.json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "role/macro_f1" in done.stdout
    found = json.loads((tmp_path / "leaks.json").read_text())
    assert found["pages_sharing_stories"] == 0
    assert {row["role"] for row in found["rows"]} == {"main", "related", "boilerplate"}
    assert found["test_with"].keys() == found["test_without"].keys()
    assert train("leakage", "--config", BASELINE, f"corpus.path={corpus}", cwd=tmp_path).returncode == 0


def test_report_label_errors_suggest_and_label_studio(corpus: Path, model: Path, tmp_path: Path) -> None:
    done = train("corpus-report", str(corpus), "--output", "report.html", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "report.html").read_text().startswith("<!doctype html>")
    done = train("corpus-statistics", str(corpus), "--json", "figures.json", cwd=tmp_path)
    assert "segments before the main story" in done.stdout, done.stderr
    assert json.loads((tmp_path / "figures.json").read_text())[str(corpus)]["no_story"] == [0]
    assert train("corpus-statistics", str(corpus), "--language", "xx", cwd=tmp_path).returncode == 2
    few = [
        f"corpus.path={corpus}",
        "baseline.max_words=500",
        "baseline.max_chars=500",
        "baseline.max_iterations=5",
        "baseline.stacking_neighbours=0",
    ]
    done = train("label-errors", "--config", BASELINE, *few, "--output", "errors", "--folds", "2", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "errors/interface.xml").is_file()
    done = train("label-studio", str(corpus), "--output", "studio", "--model", str(model), cwd=tmp_path)
    assert "72 tasks" in done.stdout, done.stderr
    done = train("check", "label-studio:studio/tasks.json", "--keep", "again.jsonl", cwd=tmp_path)
    assert done.returncode == 0, done.stdout
    assert (tmp_path / "again.jsonl").read_bytes() == corpus.read_bytes(), (
        "there and back is the same corpus, byte for byte"
    )
    html = tmp_path / "html"
    html.mkdir()
    for i in range(3):
        (html / f"{i}.html").write_text(
            f"<nav>Home</nav><h1>Story {i}</h1><p>It rained in town number {i} on Monday.</p>"
        )
    (html / "deep.html").write_text("<div>" * 50_000 + "too deep")
    done = train(
        "suggest", "--model", str(model), "--corpus", "html:html", "--n", "2", "--output", "next", cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    assert len(json.loads((tmp_path / "next/tasks.json").read_text())) == 2
    assert "1 of 4 pages refused" in done.stdout
    assert json.loads((tmp_path / "next/quarantine.jsonl").read_text())["rule"] == "too-deep"


@pytest.mark.slow
def test_bench_measures_each_step_in_its_own_process(tmp_path: Path) -> None:
    asked = ("bench", "--section", "growth", "--segments", "100", "--folder", str(tmp_path))
    done = train(*asked, *(word for step in ("check", "split", "train", "label") for word in ("--step", step)))
    assert done.returncode == 0, done.stderr
    rows = json.loads((tmp_path / "bench-growth.json").read_text())
    assert {row["row"] for row in rows} >= {"check", "split", "train", "label"}
    assert all(row["command"] == "make bench SECTIONS=growth" and row["metrics"] for row in rows)
    assert "| check |" in (tmp_path / "bench-growth.md").read_text()


def test_bench_names_what_it_does_not_know(tmp_path: Path) -> None:
    asked = ("bench", "--section", "growth", "--segments", "100", "--folder", str(tmp_path))
    require_clear(train(*asked, "--step", "chec"), "step 'chec'")
    require_clear(train("bench", "--section", "encoder"), "section 'encoder'")
    require_clear(
        train("bench", "--section", "neighbours", "--model", "nothing", "--folder", str(tmp_path)), "no trained encoder"
    )


def _two_parts(pages: list[Page], tmp_path: Path) -> list[str]:
    for part in ("train", "validation", "test"):
        write_pages(tmp_path / f"{part}.jsonl", pages[:6] if part == "train" else pages[5:12])
    return [
        "corpus.path=null",
        *(f"corpus.{part}_path={tmp_path / part}.jsonl" for part in ("train", "validation", "test")),
    ]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "no such file"),
        ("", "no page in it"),
        ('{"page_id": "a", "site": "s", "segments": [{"text": "x", "role": "main"}]}\n{oops\n', "c.jsonl:2: not JSON"),
        (
            '{"page_id": "a", "site": "s", "segments": [{"text": "x", "role": "headline"}]}\n',
            "c.jsonl:1: page 'a', segment 0 has role 'headline'",
        ),
        ('{"page_id": "a", "site": "s", "segments": []}\n', "c.jsonl:1: page 'a' has no segments"),
        ('{"page_id": "a", "site": "s", "segments": [{"text": "x", "role": "main"}]}\n', "1 group of sites"),
        (
            "".join(
                json.dumps({"page_id": f"{i}", "site": f"s{i}", "segments": [{"text": "x", "role": "main"}]}) + "\n"
                for i in range(9)
            ),
            "every segment of the training pages is 'main'",
        ),
    ],
    ids=["missing", "empty", "bad-json", "unknown-role", "no-segments", "too-small", "one-class"],
)
def test_every_error_of_the_corpus_is_clear(tmp_path: Path, content: str | None, message: str) -> None:
    path = tmp_path / "c.jsonl"
    if content is not None:
        path.write_text(content, encoding="utf-8")
    done = train(
        "fit", "--config", BASELINE, f"corpus.path={path}", f"output={tmp_path / 'out'}", "tracking.enabled=false"
    )
    require_clear(done, message)


def test_a_site_in_two_splits_is_clear(pages: list[Page], tmp_path: Path) -> None:
    done = train(
        "fit",
        "--config",
        BASELINE,
        *_two_parts(pages, tmp_path),
        f"output={tmp_path / 'out'}",
        "tracking.enabled=false",
    )
    require_clear(done, "site 'sitea.example' is in train and validation")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("fit", "--config", "none.yaml"), "no such config"),
        (("fit", "--config", BASELINE, "sed=1"), "did you mean 'seed'"),
        (("predict", "--model", "nowhere", "page.txt"), "no such folder"),
        (("predict", "--model", "MODEL", "missing.txt"), "missing.txt: no such file"),
        (("predict", "--model", "MODEL", "page.docx"), "a file named 'page.docx'"),
        (("evaluate", "--model", "MODEL", "--corpus", "gone.jsonl", "--json", "x.json"), "no such file"),
    ],
)
def test_every_error_of_the_command_line_is_clear(
    model: Path, tmp_path: Path, words: tuple[str, ...], message: str
) -> None:
    done = train(*(str(model) if word == "MODEL" else word for word in words), cwd=tmp_path)
    require_clear(done, message)


def test_a_tampered_bundle_is_refused(model: Path, tmp_path: Path) -> None:
    train("export", "--model", str(model), "--output", str(tmp_path / "bundle"))
    target = tmp_path / "bundle" / "model.skops"
    target.write_bytes(target.read_bytes() + b"x")
    require_clear(
        train("predict", "--model", str(tmp_path / "bundle"), str(ROOT / "configs/demo-page.txt")),
        "is not the file that was exported",
    )
