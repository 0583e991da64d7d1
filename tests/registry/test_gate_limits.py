"""Every limit of the gate: what meets it exactly passes, what is just beyond does not."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from tests.helpers.paths import ROOT
from tests.helpers.two_sites import LARGE, SMALL, read_as, two_sites
from train.config.loader import read_settings
from train.corpus.page import Page
from train.evaluation.metrics import Evaluation
from train.registry import gate as gates
from train.registry.behaviour import Behaviour
from train.registry.gate import Candidate, Gate, judge
from train.registry.rule_result import RuleResult
from train.runtime import Labeler

STEP = 1 / 1024
"""Exact in binary, as are the limits: what meets a limit meets it to the last bit."""
LIMITS = Gate(
    least_gain=0.125,
    confidence=0.9,
    max_role_fall=0.25,
    max_topic_fall=0.5,
    max_ece_rise=0.125,
    max_page_ms=100.0,
    max_size_mb=8.0,
    least_behaviour=0.75,
    least_role_f1=0.25,
    least_role_macro_f1=0.5,
    max_ece=0.25,
    least_sites=2,
    seed=1,
    samples=400,
)


@dataclass
class Found:
    """What measuring finds.

    Args:
        gains: Of the new version over the champion.
        low: Lower end of the interval of its macro-F1's gain.
        values: Scores of the new version.
        ece: Of the new version, and of the champion.
        milliseconds: Of a page.
        megabytes: Of the bundle.
        asked: Levels, samples and seeds that intervals were asked for.
    """

    gains: dict[str, float] = field(
        default_factory=lambda: {
            "role/macro_f1": 0.125,
            "role/f1/main": -0.25,
            "role/f1/related": 0.5,
            "role/f1/boilerplate": 0.0,
            "topic/f1/sport": -0.5,
            "topic/f1/business": 0.0,
        }
    )
    low: float = STEP
    values: dict[str, float] = field(
        default_factory=lambda: {
            "role/macro_f1": 0.5,
            "role/f1/main": 0.25,
            "role/f1/related": 0.5,
            "role/f1/boilerplate": 1.0,
        }
    )
    ece: tuple[float, float] = (0.25, 0.125)
    milliseconds: float = 100.0
    megabytes: float = 8.0
    asked: list[dict[str, Any]] = field(default_factory=list)


@pytest.fixture
def found(monkeypatch: pytest.MonkeyPatch) -> Found:
    made = Found()

    def paired_difference(pages: Sequence[Page], ours: str, theirs: str, **settings: Any) -> Evaluation:
        assert (ours, theirs) == ("new", "champion"), "how much better the new one is"
        made.asked.append(settings)
        return Evaluation(made.gains, {"role/macro_f1": (made.low, 1.0)}, 10, 2, 0.9)

    def evaluate(pages: Sequence[Page], records: str, **settings: Any) -> Evaluation:
        assert records == "new"
        return Evaluation(made.values, {}, 10, 2, 0.9)

    monkeypatch.setattr(gates, "paired_difference", paired_difference)
    monkeypatch.setattr(gates, "evaluate", evaluate)
    monkeypatch.setattr(gates, "reliability", lambda pages, records: {"ece": made.ece[records == "champion"]})
    monkeypatch.setattr(
        gates, "scored_classes", lambda pages: (["main", "related", "boilerplate"], ["sport", "business"])
    )
    monkeypatch.setattr(gates, "page_milliseconds", lambda labeler: made.milliseconds if labeler.name == "new" else 0.0)
    monkeypatch.setattr(gates, "size_mb", lambda bundle: made.megabytes if bundle.name == "new" else 0.0)
    return made


def _candidate(name: str, **changes: Any) -> Candidate:
    tests = frozenset("abcd")
    behaved = Behaviour(tests - {"a"}, frozenset("a")) if name == "new" else Behaviour(frozenset("bcd"), frozenset())
    usual: dict[str, Any] = {
        "version": name,
        "bundle": Path(name),
        "labeler": cast(Labeler, SimpleNamespace(name=name, topics=("sport", "business"))),
        "corpus_sha256": "c",
        "split_sha256": "s",
        "signature": {"in": "x"},
        "behaviour": behaved,
    }
    return Candidate(**{**usual, **changes})


def _refusals(
    *, first: bool = False, gate: Gate = LIMITS, new: Candidate | None = None, pages: list[Page] | None = None
) -> set[str]:
    champion = None if first else _candidate("champion")
    results = judge(
        new or _candidate("new"),
        champion,
        two_sites() if pages is None else pages,
        gate,
        lambda labeler: cast(Any, labeler.name),
    )
    return {result.rule for result in results if not result.passed}


def test_what_meets_every_limit_exactly_passes(found: Found) -> None:
    assert _refusals() == set()
    assert _refusals(first=True) == set()
    assert found.asked == [{"bootstrap_samples": 400, "confidence": 0.9, "seed": 1}]


def _beyond(**changes: Any) -> Callable[[Found], None]:
    def act(found: Found) -> None:
        for name, value in changes.items():
            setattr(found, name, {**getattr(found, name), **value} if isinstance(value, dict) else value)

    return act


@pytest.mark.parametrize(
    ("beyond", "rule"),
    [
        (_beyond(gains={"role/macro_f1": 0.125 - STEP}), "better"),
        (_beyond(low=0.0), "better"),
        (_beyond(low=-STEP), "better"),
        (_beyond(gains={"role/f1/main": -0.25 - STEP}), "no-role-falls"),
        (_beyond(gains={"role/f1/boilerplate": -0.25 - STEP}), "no-role-falls"),
        (_beyond(gains={"topic/f1/sport": -0.5 - STEP}), "no-topic-falls"),
        (_beyond(gains={"topic/f1/business": -0.5 - STEP}), "no-topic-falls"),
        (_beyond(ece=(0.25 + STEP, 0.125)), "calibration"),
        (_beyond(ece=(0.25, 0.125 - STEP)), "calibration"),
        (_beyond(milliseconds=100.0 + STEP), "latency"),
        (_beyond(megabytes=8.0 + STEP), "size"),
    ],
)
def test_what_is_beyond_a_limit_is_refused_by_its_rule_alone(
    found: Found, beyond: Callable[[Found], None], rule: str
) -> None:
    beyond(found)
    assert _refusals() == {rule}


@pytest.mark.parametrize(
    ("beyond", "rule"),
    [
        (_beyond(values={"role/macro_f1": 0.5 - STEP}), "good-enough"),
        (_beyond(values={"role/f1/main": 0.25 - STEP}), "every-role"),
        (_beyond(values={"role/f1/boilerplate": 0.25 - STEP}), "every-role"),
        (_beyond(ece=(0.25 + STEP, 0.0)), "calibration"),
        (_beyond(milliseconds=100.0 + STEP), "latency"),
        (_beyond(megabytes=8.0 + STEP), "size"),
    ],
)
def test_the_first_model_has_limits_of_its_own(found: Found, beyond: Callable[[Found], None], rule: str) -> None:
    beyond(found)
    assert _refusals(first=True) == {rule}


def test_what_does_not_concern_the_first_model_or_a_later_one_does_not_refuse_it(found: Found) -> None:
    found.values = dict.fromkeys(found.values, 0.0)
    assert _refusals() == set(), "a later one is compared"
    found.gains, found.low = dict.fromkeys(found.gains, -1.0), -1.0
    found.values = dict.fromkeys(found.values, 1.0)
    assert _refusals(first=True) == set(), "there is nothing to compare the first with"


def test_sites_are_counted_and_not_pages(found: Found) -> None:
    assert _refusals(pages=two_sites()[1:]) == {"test-sites"}
    assert _refusals(pages=two_sites()[1:], first=True) == {"test-sites"}
    assert _refusals(pages=two_sites()[:2]) == set()


@pytest.mark.parametrize(
    ("behaved", "refused"),
    [
        (Behaviour(frozenset("bcd"), frozenset("a")), set()),
        (Behaviour(frozenset("acd"), frozenset("b")), {"behaviour-kept"}),
        (Behaviour(frozenset("bc"), frozenset("ad")), {"behaviour-kept", "behaviour"}),
        (Behaviour(frozenset("bcd"), frozenset("ae")), {"behaviour"}),
        (Behaviour(frozenset("bcdefgh"), frozenset("ai")), set()),
        (Behaviour(frozenset(), frozenset()), {"behaviour"}),
    ],
)
def test_three_of_four_tests_pass_and_none_that_the_champion_passes_is_lost(
    found: Found, behaved: Behaviour, refused: set[str]
) -> None:
    assert _refusals(new=_candidate("new", behaviour=behaved)) == refused


@pytest.mark.parametrize(
    ("changes", "refused"),
    [
        ({"signature": {"in": "y"}}, {"signature"}),
        ({"labeler": SimpleNamespace(name="new", topics=("sport",))}, {"topics"}),
        ({"labeler": SimpleNamespace(name="new", topics=("weather", "business", "sport"))}, set()),
        ({"corpus_sha256": "d"}, {"same-pages"}),
        ({"split_sha256": "t"}, {"same-pages"}),
        ({"corpus_sha256": "d", "signature": {"in": "y"}}, {"same-pages", "signature"}),
    ],
)
def test_callers_of_the_champion_find_what_they_send_and_read(
    found: Found, changes: dict[str, Any], refused: set[str]
) -> None:
    assert _refusals(new=_candidate("new", **changes)) == refused
    if "same-pages" in refused:
        assert found.asked == [], "nothing is compared on pages that the champion may have learnt from"


@pytest.mark.parametrize("unnamed", ["corpus_sha256", "split_sha256"])
def test_what_neither_of_them_names_is_not_the_same(found: Found, unnamed: str) -> None:
    results = judge(
        _candidate("new", **{unnamed: ""}),
        _candidate("champion", **{unnamed: ""}),
        two_sites(),
        LIMITS,
        lambda labeler: cast(Any, labeler.name),
    )
    assert not results[0].passed
    assert results[0].rule == "same-pages"


def test_a_gain_has_an_interval_over_sites_however_many_pages_they_have(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Better on the nine pages of one site, worse on the one page of the other: of two sites that proves nothing."""
    monkeypatch.setattr(gates, "page_milliseconds", lambda labeler: 0.0)
    pages = two_sites()
    right = {"new": LARGE, "champion": SMALL}
    results = judge(
        _candidate("new", bundle=tmp_path),
        _candidate("champion"),
        pages,
        LIMITS,
        lambda labeler: read_as(pages, right_on=right[labeler.name]),
    )
    (better,) = (result for result in results if result.rule == "better")
    assert not better.passed
    assert better.found.endswith("(-1.000 to +1.000) role macro-F1")
    assert better.found.startswith("+0.")


def test_a_page_takes_the_median_of_what_is_timed_and_the_first_runs_do_not_count(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Three runs that warm up, then so many fast ones and fewer slow ones."""
    took = iter([9.0, 9.0, 9.0, *[0.25] * 13, *[4.0] * 12])
    now = [0.0]
    given: list[list[str]] = []

    class Timed:
        def label(self, pages: Sequence[tuple[str, list[str]]]) -> Iterator[str]:
            given.extend(page for _, page in pages)
            now[0] += next(took)
            yield "record"

    monkeypatch.setattr(gates, "time", SimpleNamespace(perf_counter=lambda: now[0]))
    assert gates.page_milliseconds(cast(Labeler, Timed())) == 250.0
    assert next(took, None) is None
    assert {len(page) for page in given} == {40}


@pytest.mark.parametrize("change", [{"confidence": 0.0}, {"confidence": 1.0}, {"samples": 0}, {"seed": -1}])
def test_a_gate_that_makes_no_sense_is_none(change: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="Input should be"):
        replace(LIMITS, **change)


def test_the_shipped_gate_asks_for_95_percent_and_for_some_sites() -> None:
    shipped = read_settings(Gate, ROOT / "configs/registry/gate.yaml")
    assert shipped.confidence == 0.95
    assert shipped.least_sites > 1
    assert 0 <= shipped.least_gain < 0.05
    assert shipped.least_role_macro_f1 > shipped.least_role_f1 > 0


def test_a_result_is_told_with_what_was_found_and_what_was_wanted(found: Found) -> None:
    results = {
        v.rule: v
        for v in judge(
            _candidate("new"), _candidate("champion"), two_sites(), LIMITS, lambda labeler: cast(Any, labeler.name)
        )
    }
    assert results["better"] == RuleResult(
        "better", True, "+0.125 (+0.001 to +1.000) role macro-F1", "+0.125 or more, and the interval above 0"
    )
    assert results["no-role-falls"].found == "main -0.250"
    assert results["no-topic-falls"].found == "sport -0.500"
    assert results["calibration"].found == "ECE 0.250"
    assert results["calibration"].wanted == "0.250 or less (champion 0.125)"
    assert (results["latency"].found, results["size"].found) == ("100 ms a page of 40", "8.0 MB")
    assert results["behaviour"].found == "3 of 4 pass, not a"
    assert results["test-sites"].found == "2 sites"
