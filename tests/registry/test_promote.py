"""Promotion as a whole: look, judge, then move, and again where another became champion meanwhile."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from tests.helpers.paths import ROOT
from train.common.errors import InputError
from train.config.loader import read_settings
from train.corpus.page import Page
from train.registry import promotion
from train.registry.champion import ChampionMoved
from train.registry.gate import Gate
from train.registry.promotion import MOST_JUDGED, Decision
from train.registry.rule_result import RuleResult

PASS, REFUSED = RuleResult("better", True, "", ""), RuleResult("size", False, "", "")


@dataclass
class Scene:
    """What a promotion meets, and what it does.

    Args:
        champion: The version that serves, or None.
        results: Of the gate.
        moves: Champions that others promote, one each time a version is judged.
        broken: Versions whose bundles cannot be read, and the rule that says so.
        no_pages: The test pages cannot be read.
        done: What was done, in order.
    """

    champion: str | None = "1"
    results: Sequence[RuleResult] = (PASS,)
    moves: list[str] = field(default_factory=list)
    broken: dict[str, str] = field(default_factory=dict)
    no_pages: bool = False
    done: list[Any] = field(default_factory=list)


@pytest.fixture
def scene(monkeypatch: pytest.MonkeyPatch) -> Scene:
    made = Scene()

    def version(which: str) -> Any:
        return SimpleNamespace(version={"challenger": "2", "champion": made.champion}.get(which, which))

    def candidate(found: Any) -> Any:
        if found.version in made.broken:
            raise InputError(
                "it is broken", expected="a sound one", remedy="train again", rule=made.broken[found.version]
            )
        return SimpleNamespace(version=found.version, labeler=None)

    def pages(found: Any, corpus: str | None) -> list[Page]:
        made.done.append(("read pages", found.version, corpus))
        if made.no_pages:
            raise InputError("another corpus", expected="the one", remedy="name it", rule="other-corpus")
        return []

    def judge(new: Any, champion: Any, pages: list[Page], gate: Gate, label: Any) -> list[RuleResult]:
        made.done.append(("judge", new.version, None if champion is None else champion.version))
        if made.moves:
            made.champion = made.moves.pop(0)
        return list(made.results)

    def promote(number: str, results: Sequence[RuleResult], *, against: str | None, forced: str | None = None) -> None:
        if made.champion != against:
            raise ChampionMoved
        made.done.append(("promote", number, against, [v.rule for v in results], forced))
        made.champion = number

    monkeypatch.setattr(promotion, "version", version)
    monkeypatch.setattr(promotion, "version_of", lambda alias: None if made.champion is None else version(alias))
    monkeypatch.setattr(promotion, "_candidate", candidate)
    monkeypatch.setattr(promotion, "_test_pages", pages)
    monkeypatch.setattr(promotion, "judge", judge)
    monkeypatch.setattr(promotion, "promote", promote)
    monkeypatch.setattr(
        promotion, "refuse", lambda number, results: made.done.append(("refuse", number, [v.rule for v in results]))
    )
    return made


GATE = read_settings(Gate, ROOT / "configs/registry/gate.yaml")


def test_a_version_that_passes_is_promoted_over_the_champion_it_was_judged_against(scene: Scene) -> None:
    assert promotion.run(GATE) == Decision("2", "1", [PASS], True, True)
    assert scene.done == [("read pages", "2", None), ("judge", "2", "1"), ("promote", "2", "1", ["better"], None)]


def test_the_first_version_is_judged_against_none(scene: Scene) -> None:
    scene.champion = None
    assert promotion.run(GATE, which="3", corpus="here.jsonl") == Decision("3", None, [PASS], True, True)
    assert scene.done == [
        ("read pages", "3", "here.jsonl"),
        ("judge", "3", None),
        ("promote", "3", None, ["better"], None),
    ]


@pytest.mark.parametrize("results", [[REFUSED], [PASS, REFUSED], [REFUSED, PASS]])
def test_one_rule_that_refuses_is_enough_and_is_noted(scene: Scene, results: list[RuleResult]) -> None:
    scene.results = results
    assert promotion.run(GATE) == Decision("2", "1", results, False, False)
    assert scene.done[2:] == [("refuse", "2", [result.rule for result in results])]
    assert scene.champion == "1"


def test_what_is_forced_is_promoted_with_why_and_with_what_was_refused(scene: Scene) -> None:
    scene.results = [REFUSED]
    assert promotion.run(GATE, forced="it must") == Decision("2", "1", [REFUSED], True, True)
    assert scene.done[2:] == [("promote", "2", "1", ["size"], "it must")]


@pytest.mark.parametrize(
    ("results", "forced", "passed"), [([PASS], None, True), ([REFUSED], None, False), ([REFUSED], "it must", True)]
)
def test_a_dry_run_judges_and_changes_nothing(
    scene: Scene, results: list[RuleResult], forced: str | None, passed: bool
) -> None:
    scene.results = results
    assert promotion.run(GATE, dry=True, forced=forced) == Decision("2", "1", results, passed, False)
    assert [what[0] for what in scene.done] == ["read pages", "judge"]


def test_the_champion_is_not_judged_against_itself(scene: Scene) -> None:
    assert promotion.run(GATE, which="1") == Decision("1", "1", [], True, True)
    assert scene.done == []


def test_who_was_overtaken_is_judged_against_the_new_champion(scene: Scene) -> None:
    scene.moves = ["3", "4"]
    assert promotion.run(GATE) == Decision("2", "4", [PASS], True, True)
    assert [what for what in scene.done if what[0] != "read pages"] == [
        ("judge", "2", "1"),
        ("judge", "2", "3"),
        ("judge", "2", "4"),
        ("promote", "2", "4", ["better"], None),
    ]


def test_who_is_overtaken_all_the_time_is_told(scene: Scene) -> None:
    scene.moves = [str(number) for number in range(10, 30)]
    with pytest.raises(InputError) as caught:
        promotion.run(GATE)
    assert caught.value.rule == "champion-moves"
    assert len([what for what in scene.done if what[0] == "judge"]) == MOST_JUDGED
    assert not [what for what in scene.done if what[0] in ("promote", "refuse")]


@pytest.mark.parametrize("rule", ["bad-bundle", "no-model"])
def test_a_champion_that_cannot_be_read_refuses_what_is_not_forced(scene: Scene, rule: str) -> None:
    scene.broken = {"1": rule}
    found = promotion.run(GATE)
    assert [(result.rule, result.passed) for result in found.rule_results] == [
        ("champion-readable", False),
        ("better", True),
    ]
    assert (found.accepted, found.promoted, found.previous_champion) == (False, False, "1")
    assert ("judge", "2", None) in scene.done
    assert promotion.run(GATE, forced="it is gone").promoted
    assert scene.done[-1] == ("promote", "2", "1", ["champion-readable", "better"], "it is gone")


@pytest.mark.parametrize(
    "broken", [{"1": "no-mlflow"}, {"2": "bad-bundle"}], ids=["the store is away", "the version itself"]
)
def test_other_things_that_cannot_be_read_are_errors(scene: Scene, broken: dict[str, str]) -> None:
    scene.broken = broken
    with pytest.raises(InputError, match="it is broken"):
        promotion.run(GATE, forced="it must")
    assert not [what for what in scene.done if what[0] in ("promote", "refuse")]


def test_pages_that_cannot_be_read_are_an_error_and_a_refusal_where_it_is_forced(scene: Scene) -> None:
    scene.no_pages = True
    with pytest.raises(InputError, match="another corpus"):
        promotion.run(GATE)
    found = promotion.run(GATE, forced="it must")
    assert [(result.rule, result.passed) for result in found.rule_results] == [("test-pages", False)]
    assert scene.done[-1] == ("promote", "2", "1", ["test-pages"], "it must")


def test_a_candidate_is_its_versions_own_bundle_and_names_its_corpus_and_split(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    import mlflow

    folders = {"models:/newsparts/7": tmp_path / "seven"}
    monkeypatch.setattr(promotion, "bundle_folder", lambda uri: folders[uri])
    monkeypatch.setattr(promotion, "load_labeler", lambda folder, sha256: f"labeler of {Path(folder).name} {sha256}")
    monkeypatch.setattr(promotion, "behaviour", lambda labeler: f"behaviour of {labeler}")
    signature = SimpleNamespace(to_dict=lambda: {"inputs": "x"})
    monkeypatch.setattr(
        mlflow.models, "get_model_info", lambda uri: SimpleNamespace(signature=signature if uri in folders else None)
    )
    tags = {"corpus.sha256": "c", "split.sha256": "s", "bundle.sha256": "b"}
    found = promotion._candidate(SimpleNamespace(version=7, tags=tags))
    assert (found.version, found.bundle, found.labeler, found.behaviour) == (
        "7",
        tmp_path / "seven",
        "labeler of seven b",
        "behaviour of labeler of seven b",
    )
    assert (found.corpus_sha256, found.split_sha256, found.signature) == ("c", "s", {"inputs": "x"})
    bare = promotion._candidate(SimpleNamespace(version=7, tags={}))
    assert (bare.corpus_sha256, bare.split_sha256) == ("", ""), "a corpus that is not named is no common one"


def test_test_pages_are_those_of_the_run_that_made_the_version(monkeypatch: pytest.MonkeyPatch) -> None:
    import mlflow

    fetched: list[tuple[str, str]] = []
    monkeypatch.setattr(
        mlflow.artifacts,
        "download_artifacts",
        lambda run_id, artifact_path, dst_path: fetched.append((run_id, artifact_path)),
    )
    asked: list[tuple[Any, ...]] = []
    monkeypatch.setattr(
        promotion, "part_of_run", lambda folder, part, corpus, sha256: asked.append((part, corpus, sha256)) or ["page"]
    )
    registered = SimpleNamespace(version="7", run_id="r7", source="models:/m-7", tags={"corpus.sha256": "c"})
    assert promotion._test_pages(registered, "here.jsonl") == cast(list[Page], ["page"])
    assert fetched == [("r7", "config.yaml"), ("r7", "split.json")]
    assert asked == [("test", "here.jsonl", "c")]

    def gone(**_: Any) -> None:
        raise OSError("no such run")

    monkeypatch.setattr(mlflow.artifacts, "download_artifacts", gone)
    with pytest.raises(InputError) as caught:
        promotion._test_pages(registered, None)
    assert caught.value.rule == "no-run"
