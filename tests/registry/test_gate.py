from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pandas as pd
import pytest

from tests.helpers.paths import ROOT
from tests.helpers.toys import toy_baseline
from train.common.errors import InputError
from train.config.loader import read_settings
from train.corpus.page import Page, Segment
from train.inference.resolve import load_labeler
from train.registry import champion as champions
from train.registry import gate as gates
from train.registry import mlflow_client, promotion
from train.registry import versions as registry
from train.registry.behaviour import Behaviour
from train.registry.gate import Candidate, Gate, judge
from train.registry.rule_result import RuleResult
from train.runtime import Labeler

TOPICS = ("business", "sport")
TAMPER = ("boilerplate", "main", "related")
TESTS = frozenset(f"check_{i}" for i in range(18))


def _failing(count: int) -> Behaviour:
    failed = frozenset(f"check_{i}" for i in range(count))
    return Behaviour(TESTS - failed, failed)


@pytest.fixture
def gate() -> Gate:
    return replace(read_settings(Gate, ROOT / "configs/registry/gate.yaml"), samples=200)


@pytest.fixture(autouse=True)
def _timed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gates, "page_milliseconds", lambda labeler: getattr(labeler, "milliseconds", 1.0))


def _candidate(folder: Path, **changes: Any) -> Candidate:
    """One that answers with a share of wrong segments, `wrong`, of the role `worst` or of all."""
    (folder / "weights").write_bytes(bytes(1_000_000))
    told = {"topics": TOPICS, "milliseconds": 5.0, "wrong": 0.1, "worst": None, "sure": 0.9, "topic_wrong": 0.0}
    named = {name: changes.pop(name) for name in list(changes) if name in told}
    labeler = cast(Labeler, SimpleNamespace(**{**told, **named}))
    usual: dict[str, Any] = {
        "version": "1",
        "bundle": folder,
        "corpus_sha256": "c",
        "split_sha256": "s",
        "signature": {"in": "segments"},
        "behaviour": Behaviour(TESTS, frozenset()),
    }
    return Candidate(labeler=labeler, **{**usual, **changes})


def _label(pages: list[Page]) -> Callable[[Any], list[Any]]:
    """Records of pages by what a candidate's labeler says of itself: every so many segments wrong, spread over all
    sites."""

    def label(labeler: Any) -> list[Any]:
        records = []
        for number, page in enumerate(pages):
            segments, topics = [], {}
            for i, segment in enumerate(page.segments):
                role = str(segment.role)
                if labeler.worst in (None, role) and (i * 37 + number * 11) % 100 < 100 * labeler.wrong:
                    role = TAMPER[(TAMPER.index(role) + 1) % 3]
                scores = {name: labeler.sure if name == role else (1 - labeler.sure) / 2 for name in TAMPER}
                segments.append({"text": segment.text, "role": role, "scores": scores, "story": segment.story})
                if segment.story is not None:
                    topics[segment.story] = segment.topic
            wrong = number % 10 < 10 * labeler.topic_wrong
            answers = [{"story": s, "topic": "sport" if wrong else t} for s, t in topics.items()]
            records.append({"page_id": page.page_id, "segments": segments, "stories": answers})
        return records

    return label


def _refusing(results: list[RuleResult]) -> set[str]:
    return {result.rule for result in results if not result.passed}


def test_a_better_model_passes_every_rule(gate: Gate, pages: list[Page], tmp_path: Path) -> None:
    champion, new = _candidate(tmp_path, wrong=0.2, sure=0.8), _candidate(tmp_path, wrong=0.1)
    results = judge(new, champion, pages, gate, _label(pages))
    assert _refusing(results) == set()
    rules = [
        "same-pages",
        "better",
        "no-role-falls",
        "no-topic-falls",
        "calibration",
        "behaviour-kept",
        "signature",
        "topics",
        "test-sites",
        "latency",
        "size",
    ]
    assert [result.rule for result in results] == [*rules, "behaviour"]
    first = judge(new, None, pages, gate, _label(pages))
    assert [result.rule for result in first] == [
        "good-enough",
        "every-role",
        "calibration",
        "test-sites",
        "latency",
        "size",
        "behaviour",
    ]
    assert _refusing(first) == set()


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"wrong": 0.21, "sure": 0.8}, "better"),
        ({"wrong": 0.2, "sure": 0.8}, "better"),
        ({"wrong": 0.5, "worst": "related"}, "no-role-falls"),
        ({"topic_wrong": 0.5}, "no-topic-falls"),
        ({"sure": 0.6}, "calibration"),
        ({"behaviour": _failing(1)}, "behaviour-kept"),
        ({"behaviour": _failing(4)}, "behaviour"),
        ({"signature": {"in": "text"}}, "signature"),
        ({"topics": ("sport",)}, "topics"),
        ({"milliseconds": 401.0}, "latency"),
    ],
)
def test_each_rule_refuses(gate: Gate, pages: list[Page], tmp_path: Path, changes: dict[str, Any], rule: str) -> None:
    champion = _candidate(tmp_path, wrong=0.2, sure=0.8)
    found = _refusing(judge(_candidate(tmp_path, **changes), champion, pages, gate, _label(pages)))
    also = {"behaviour": {"behaviour-kept"}, "no-role-falls": {"better", "calibration"}}.get(rule, set())
    assert rule in found
    assert found <= {rule, *also}


@pytest.mark.parametrize(
    ("changes", "rule"), [({"corpus_sha256": "d"}, "same-pages"), ({"split_sha256": "t"}, "same-pages")]
)
def test_other_pages_are_no_comparison(
    gate: Gate, pages: list[Page], tmp_path: Path, changes: dict[str, Any], rule: str
) -> None:
    results = judge(_candidate(tmp_path, **changes), _candidate(tmp_path, wrong=0.2), pages, gate, _label(pages))
    assert _refusing(results) == {rule}
    assert "better" not in {result.rule for result in results}, (
        "a score beside that of a model which may have seen the pages says nothing"
    )


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"wrong": 0.4, "sure": 0.6}, "good-enough"),
        ({"wrong": 0.7, "worst": "related"}, "every-role"),
        ({"sure": 0.5}, "calibration"),
    ],
)
def test_the_first_model_must_be_good_enough(
    gate: Gate, pages: list[Page], tmp_path: Path, changes: dict[str, Any], rule: str
) -> None:
    assert rule in _refusing(judge(_candidate(tmp_path, **changes), None, pages, gate, _label(pages)))


def test_classes_that_no_page_has_are_not_judged(gate: Gate, pages: list[Page], tmp_path: Path) -> None:
    def short(page: Page) -> Page:
        """Without related items, and with a teaser on the weather."""
        kept = tuple(s for s in page.segments if s.role != "related")
        return page.with_segments((*kept, Segment("rain tomorrow", "main", 7, "weather")))

    fewer = [short(page) for page in pages]
    champion, new = _candidate(tmp_path, wrong=0.2, sure=0.8), _candidate(tmp_path, wrong=0.1)
    label = _label(fewer)

    def says_more(labeler: Any) -> list[Any]:
        records = label(labeler)
        if labeler is new.labeler:  # one false related segment, one false answer on the weather
            records[0]["segments"][4]["role"] = "related"
            records[1]["stories"][0]["topic"] = "weather"
        return records

    assert not _refusing(judge(new, champion, fewer, gate, says_more)) & {"no-role-falls", "no-topic-falls"}
    assert "every-role" not in _refusing(judge(new, None, fewer, gate, says_more))


def test_what_does_not_apply_to_the_champion_is_not_lost(gate: Gate, pages: list[Page], tmp_path: Path) -> None:
    skipped = Behaviour(TESTS - {"check_0"}, frozenset())
    champion, new = (
        _candidate(tmp_path, wrong=0.2, sure=0.8, behaviour=skipped),
        _candidate(tmp_path, behaviour=_failing(1)),
    )
    assert _refusing(judge(new, champion, pages, gate, _label(pages))) == set()


def test_few_sites_and_unnamed_corpora_are_no_comparison(gate: Gate, pages: list[Page], tmp_path: Path) -> None:
    champion, new = _candidate(tmp_path, wrong=0.2, sure=0.8), _candidate(tmp_path)
    of_one = [page for page in pages if page.site == pages[0].site]
    assert "test-sites" in _refusing(judge(new, champion, of_one, gate, _label(of_one)))
    assert "test-sites" in _refusing(judge(new, None, of_one, gate, _label(of_one)))
    unnamed = [_candidate(tmp_path, wrong=wrong, corpus_sha256="") for wrong in (0.1, 0.2)]
    assert "same-pages" in _refusing(judge(*unnamed, pages, gate, _label(pages)))


def test_size_has_a_limit(gate: Gate, pages: list[Page], tmp_path: Path) -> None:
    found = judge(_candidate(tmp_path), None, pages, replace(gate, max_size_mb=0.5), _label(pages))
    assert _refusing(found) == {"size"}
    assert next(v for v in found if v.rule == "size").found == "1.0 MB"


WEAK = ("baseline.neighbours_before=0", "baseline.neighbours_after=0", "baseline.numbers=false")
"""Of a model that reads the segment alone."""


@pytest.fixture(scope="module")
def registered(corpus: Path, mlflow_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with two runs of the same pages, the second weak; registered in this order, and the first once more, as
    versions 1 to 3."""
    folder = tmp_path_factory.mktemp("registered")
    shutil.copyfile(mlflow_template, folder / "mlflow.db")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{folder / 'mlflow.db'}")
        on = ("tracking.enabled=true", "tracking.experiment=test")
        strong, weak = (
            toy_baseline(corpus, folder / name, *on, *more) for name, more in (("strong", ()), ("weak", WEAK))
        )
        made = [registry.register_outcome(outcome).version for outcome in (strong, weak)]
        tags = {"corpus.sha256": strong.corpus_sha256, "split.sha256": strong.split_sha256}
        made.append(registry.register(str(strong.model_uri), bundle_version="once more", tags=tags).version)
    assert made == ["1", "2", "3"]
    return folder / "mlflow.db"


@pytest.fixture
def runs(registered: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A store of the test's own, copied from that one."""
    path = tmp_path / "mlflow.db"
    shutil.copyfile(registered, path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{path}")
    monkeypatch.chdir(tmp_path)
    mlflow_client.open_client()
    return path


def test_promote_and_roll_back(
    runs: Path, registered: Path, pages: list[Page], monkeypatch: pytest.MonkeyPatch
) -> None:
    import mlflow

    monkeypatch.setattr(promotion, "behaviour", lambda labeler: _failing(0))
    gate = Gate(0.0, 0.95, 0.02, 0.05, 0.01, 1e6, 300.0, 0.8, 0.2, 0.3, 1.0, 2, 13, 100)
    assert registry.version_of("champion") is None
    with pytest.raises(InputError, match="no version serves"):
        champions.rollback()

    would = promotion.run(gate, which="1", dry=True)
    assert (would.accepted, would.promoted, would.previous_champion) == (True, False, None)
    assert registry.version_of("champion") is None
    assert "gate" not in registry.version("1").tags

    assert promotion.run(gate, which="1").promoted
    assert str(registry.version("champion").version) == "1"
    again = promotion.run(gate, which="1")
    assert (again.promoted, again.rule_results) == (True, [])

    refused = promotion.run(gate, which="2")
    assert (refused.promoted, refused.previous_champion) == (False, "1")
    assert "better" in _refusing(list(refused.rule_results))
    noted = registry.version("2")
    assert noted.tags["gate"] == "refused"
    assert "| better | **refused** |" in noted.description
    assert str(registry.version("champion").version) == "1"

    assert promotion.run(gate, which="2", forced="a test of ours").promoted
    assert registry.version("2").tags["gate.forced"] == "a test of ours"
    assert promotion.run(gate, which="challenger", forced="another").version == "3"
    assert champions.history() == ["1", "2", "3"]
    assert champions.rollback() == ("3", "2")
    assert champions.rollback() == ("2", "1")
    assert str(registry.version("champion").version) == "1"
    with pytest.raises(InputError, match="no version served before"):
        champions.rollback()
    assert "rolled_back" in registry.version("3").tags
    served = mlflow.pyfunc.load_model("models:/newsparts@champion")
    rows = [{"page_id": page.page_id, "segments": page.texts} for page in pages[:3]]
    of_run = load_labeler(str(registered.parent / "strong" / "demo-baseline"))
    assert served.predict(pd.DataFrame(rows)) == list(of_run.label((page.page_id, page.texts) for page in pages[:3]))
    with pytest.raises(InputError, match="no version or alias '9'"):
        promotion.run(gate, which="9")


def test_history_follows_the_alias_whoever_moved_it(runs: Path) -> None:
    import mlflow

    client = mlflow.MlflowClient()
    results = [RuleResult("a|rule", True, "<b>found</b>" * 40, "wanted")]
    client.set_registered_model_alias("newsparts", "champion", "1")  # in the UI, before there was a history
    champions.promote("2", results, against="1")
    assert champions.history() == ["1", "2"]
    assert "<b>" not in registry.version("2").description
    client.set_registered_model_alias("newsparts", "champion", "3")
    assert champions.rollback() == ("3", "2"), "what the alias named served, not what the tag says"
    champions.promote("3", results, against="2", forced="x" * 9000)
    client.delete_model_version("newsparts", "2")
    assert champions.rollback() == ("3", "1"), "a version that was deleted is passed over"
    with pytest.raises(InputError, match="no version served before version 1"):
        champions.rollback()


def test_a_store_that_does_not_answer_is_not_an_empty_one(runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import mlflow
    from mlflow.exceptions import MlflowException

    def down(*given: object, **more: object) -> None:
        raise MlflowException("503", error_code=1)

    monkeypatch.setattr(mlflow.MlflowClient, "get_model_version_by_alias", down)
    monkeypatch.setattr(mlflow.MlflowClient, "get_registered_model", down)
    with pytest.raises(InputError, match="does not answer"):
        registry.version_of("champion")
    with pytest.raises(InputError, match="does not answer"):
        champions.history()


def test_a_model_of_another_store_is_not_registered(store: Path) -> None:
    import mlflow

    with pytest.raises(InputError, match="the store has no model"):
        registry.register("models:/m-0123456789abcdef0123456789abcdef", bundle_version="x")
    assert mlflow.MlflowClient().search_registered_models() == []


def test_other_labels_and_unreadable_champions_do_not_pass(
    runs: Path, corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from train.corpus.read import read_pages, write_pages

    monkeypatch.setattr(promotion, "behaviour", lambda labeler: _failing(0))
    gate = Gate(0.0, 0.95, 0.02, 0.05, 0.01, 1e6, 300.0, 0.8, 0.2, 0.3, 1.0, 2, 13, 100)
    relabelled = [
        page.with_segments(tuple(replace(s, role="boilerplate", story=None) for s in page.segments))
        for page in read_pages(corpus)
    ]
    write_pages(tmp_path / "other.jsonl", relabelled)
    with pytest.raises(InputError, match="another corpus"):
        promotion.run(gate, which="1", corpus=str(tmp_path / "other.jsonl"))
    forced = promotion.run(gate, which="1", corpus=str(tmp_path / "other.jsonl"), forced="it must")
    assert (forced.promoted, _refusing(list(forced.rule_results))) == (True, {"test-pages"})

    inner = promotion.bundle_folder

    def broken(uri: str) -> Path:
        if uri.endswith("/1"):
            raise InputError("schema 2", expected="3", remedy="train again", rule="bad-bundle")
        return inner(uri)

    monkeypatch.setattr(promotion, "bundle_folder", broken)
    found = promotion.run(gate, which="3")
    assert (found.promoted, _refusing(list(found.rule_results)), found.previous_champion) == (
        False,
        {"champion-readable"},
        "1",
    )


@pytest.mark.parametrize("change", ["confidence=2", "samples=0", "seed=-1", "least_gian=1"])
def test_limits_that_make_no_sense_are_refused(change: str) -> None:
    with pytest.raises(InputError, match=r"confidence|samples|seed|least_gain"):
        read_settings(Gate, ROOT / "configs/registry/gate.yaml", [change])


WITHOUT_PYTEST = """
import sys
sys.modules["pytest"] = sys.modules["_pytest"] = None
import train
from train.cli.app import main
print(train.__file__)
sys.exit(main())
"""


def test_promotion_needs_the_installed_package_alone(runs: Path, tmp_path: Path) -> None:
    installed = tmp_path / "site-packages"
    shutil.copytree(ROOT / "train", installed / "train", ignore=shutil.ignore_patterns("__pycache__"))
    gate = shutil.copy(ROOT / "configs/registry/gate.yaml", tmp_path)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    limits = ["least_role_f1=0", "least_role_macro_f1=0", "least_behaviour=0", "max_ece=1", "max_page_ms=100000"]
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_PYTEST, "promote", "--version", "1", "--gate", gate, "least_sites=1", *limits],
        cwd=elsewhere,
        env={**os.environ, "PYTHONPATH": str(installed), "COLUMNS": "200"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.startswith(str(installed)), "the copy runs, not this checkout"
    assert re.search(r"behaviour +pass +\d+ of 1[678] pass", done.stdout)
    assert str(registry.version("champion").version) == "1"
