from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import pytest

from tests.helpers.configs import ConfigMaker, shrunk
from tests.helpers.pages import make_page
from train.common.errors import InputError
from train.config.schema import Config
from train.corpus.loading import auxiliary_sha256, corpus_sha256
from train.corpus.read import write_pages
from train.corpus.training_data import training_pages
from train.training.fingerprint import run_fingerprint


@pytest.fixture
def make_config(corpus: Path, tmp_path: Path) -> ConfigMaker:
    """As everywhere, but with a backbone that is not there: nothing is trained here."""
    return lambda name, *overrides: shrunk(name, corpus, tmp_path / "no-backbone", tmp_path, *overrides)


PARTS = {"train": [make_page("one", 1)], "validation": [make_page("two", 2)], "test": [make_page("three", 3)]}


def with_also(config: Config, *paths: Path) -> Config:
    return replace(config, corpus=replace(config.corpus, auxiliary=tuple(map(str, paths))))


def test_other_corpora_are_learnt_from_too(make_config: ConfigMaker, tmp_path: Path) -> None:
    config = make_config("demo-baseline", "baseline.auxiliary_weight=0.5")
    own = [make_page("four", 4), make_page("two", 5), make_page("one", 6)]
    copy = replace(make_page("five", 7), segments=PARTS["test"][0].segments)
    write_pages(tmp_path / "also.jsonl", [*own, copy])
    (tmp_path / "more.jsonl").write_text('{"page_id": "torn"\n')
    write_pages(tmp_path / "least.jsonl", [make_page("six", 8)])
    asked = with_also(config, tmp_path / "also.jsonl", tmp_path / "least.jsonl")
    found = training_pages(asked, PARTS, []).auxiliary
    assert [(page.page_id.partition("/")[0], page.site) for page in found] == [
        ("auxiliary-0", "four.example"),
        ("auxiliary-0", "one.example"),
        ("auxiliary-1", "six.example"),
    ]
    with pytest.raises(InputError):
        training_pages(with_also(config, tmp_path / "more.jsonl"), PARTS, [])


def test_other_corpora_teach_no_topics_and_stay_apart_however_a_site_is_spelled(
    make_config: ConfigMaker, tmp_path: Path
) -> None:
    config = make_config("demo-baseline", "baseline.auxiliary_weight=0.5")
    spelled = replace(make_page("shouted", 9), site="WWW.Three.example")
    kept_back = replace(make_page("four", 4), page_id="kept back")
    write_pages(
        tmp_path / "also.jsonl", [spelled, replace(make_page("four", 12), page_id="another"), make_page("five", 5)]
    )
    parts = PARTS | {"held_out": [kept_back]}
    found = training_pages(with_also(config, tmp_path / "also.jsonl"), parts, []).auxiliary
    assert [page.site for page in found] == ["five.example"]
    assert {segment.topic for segment in found[0].segments} == {None}
    assert make_page("five", 5).segments != found[0].segments, "it had topics"


def test_refused_pages_are_counted_and_kept_aside(
    make_config: ConfigMaker, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = make_config("demo-baseline", "baseline.auxiliary_weight=0.5")
    write_pages(tmp_path / "also.jsonl", [make_page("four", 4)])
    with (tmp_path / "also.jsonl").open("a") as file:
        file.write('{"page_id": "torn", "site": "x.example", "segments": []}\n')
    assert len(training_pages(with_also(config, tmp_path / "also.jsonl"), PARTS, []).auxiliary) == 1
    assert "1 of 2 pages" in " ".join(capsys.readouterr().err.split())
    assert "torn" in (Path(config.output) / "quarantine-auxiliary-0.jsonl").read_text()


def test_a_run_knows_what_it_learnt_from(make_config: ConfigMaker, tmp_path: Path) -> None:
    config = make_config("demo-baseline", "baseline.auxiliary_weight=0.5")
    asked = with_also(config, tmp_path / "also.jsonl")
    seen = set()
    for n in (4, 5):
        write_pages(tmp_path / "also.jsonl", [make_page("four", n)])
        seen.add((auxiliary_sha256(asked), run_fingerprint(asked, "corpus")))
    assert len(seen) == 2, "other pages under the same name are another run"


def test_a_corpus_is_named_by_what_its_pages_are(make_config: ConfigMaker, tmp_path: Path) -> None:
    config = make_config("demo-baseline")
    assert corpus_sha256(config) == hashlib.sha256(Path(str(config.corpus.path)).read_bytes()).hexdigest()
    renamed = replace(config, corpus=replace(config.corpus, roles={"related": "boilerplate"}))
    assert corpus_sha256(renamed) != corpus_sha256(config), "other labels"
    (tmp_path / "texts.csv").write_text("text,topic\na story,sport\n")
    taught = replace(config, topics=replace(config.topics, path=f"csv:{tmp_path / 'texts.csv'}"))
    assert corpus_sha256(taught) == corpus_sha256(config), "the same pages, whatever else teaches topics"
    seen = {run_fingerprint(config, "c"), run_fingerprint(taught, "c")}
    (tmp_path / "texts.csv").write_text("text,topic\na story,business\n")
    assert len(seen | {run_fingerprint(taught, "c")}) == 3


def test_corpora_that_no_family_learns_from_are_told(
    make_config: ConfigMaker, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = with_also(make_config("demo-baseline", "baseline.auxiliary_weight=0"), tmp_path / "nothing.jsonl")
    assert training_pages(asked, PARTS, []).auxiliary == []
    assert "baseline.auxiliary_weight is 0" in " ".join(capsys.readouterr().err.split())


def test_a_run_knows_its_backbone_by_content(make_config: ConfigMaker, tmp_path: Path) -> None:
    own = tmp_path / "own"
    own.mkdir()
    for name in ("config.json", "tokenizer.json", "model.safetensors"):
        (own / name).write_text("{}")
    config = make_config("pages-encoder", f"encoder.backbone={own}")
    seen = {run_fingerprint(config, "corpus")}
    for name in ("tokenizer.json", "model.safetensors"):
        with (own / name).open("ab") as file:
            file.write(b" ")
        seen.add(run_fingerprint(config, "corpus"))
    assert len(seen) == 3, "tuned or mended in place, it is another one"
