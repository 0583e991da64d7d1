"""`make promote`: a version of the registry goes through the gate, and serves when every rule lets it pass."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Group, RenderableType
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from train.common.console import console, waiting
from train.common.errors import InputError
from train.corpus.loading import part_of_run
from train.corpus.page import Page
from train.evaluation.model_scores import label_pages
from train.inference.resolve import bundle_folder, load_labeler
from train.registry.behaviour import behaviour
from train.registry.champion import ChampionMoved, promote, refuse
from train.registry.gate import Candidate, Gate, judge
from train.registry.rule_result import RuleResult
from train.registry.versions import CHALLENGER, CHAMPION, version, version_of
from train.runtime import Labeler
from train.tracking.senders import first_line
from train.tracking.store import REGISTERED_MODEL

MOST_JUDGED = 5
"""Times that a version is judged again because another became champion meanwhile."""


@dataclass(frozen=True)
class Decision:
    """What the gate decided about a version.

    Args:
        version: The number of the version in the registry.
        previous_champion: The number of the version that served before, or None where none did.
        rule_results: The result of each rule; empty when the version serves already.
        accepted: Whether every rule lets the version pass, or it was forced.
        promoted: Whether the version serves now.
    """

    version: str
    previous_champion: str | None
    rule_results: Sequence[RuleResult]
    accepted: bool
    promoted: bool


def run(
    gate: Gate, *, which: str = CHALLENGER, corpus: str | None = None, dry: bool = False, forced: str | None = None
) -> Decision:
    """Judges a version and promotes it when it passes.

    Args:
        gate: The limits.
        which: Alias or number of the version.
        corpus: Where the corpus of its run lies now; the path in its config by default.
        dry: Say what would happen, change nothing.
        forced: Promote whatever the gate says, and why.

    Raises:
        InputError: There is no such version, or its run or corpus cannot be read.
    """
    for _ in range(MOST_JUDGED):
        try:
            return _decide(gate, which, corpus, dry=dry, forced=forced)
        except ChampionMoved:
            console.print("another version became champion meanwhile; judging against it", style="yellow")
    raise InputError(
        f"the champion moved {MOST_JUDGED} times while this version was judged",
        expected="a champion that stays for a minute",
        rule="champion-moves",
        remedy="promote one after the other",
    )


def _decide(gate: Gate, which: str, corpus: str | None, *, dry: bool, forced: str | None) -> Decision:
    registered, champion = version(which), version_of(CHAMPION)
    champion_number = None if champion is None else str(champion.version)
    if champion_number == str(registered.version):
        return Decision(champion_number, champion_number, [], True, True)
    results = _judge_versions(gate, registered, champion, corpus, forced=forced)
    accepted = all(result.passed for result in results) or forced is not None
    number = str(registered.version)
    if accepted and not dry:
        promote(number, results, against=champion_number, forced=forced)
    elif not dry:
        refuse(number, results)
    return Decision(number, champion_number, results, accepted, accepted and not dry)


def _judge_versions(
    gate: Gate, registered: Any, champion: Any | None, corpus: str | None, *, forced: str | None
) -> list[RuleResult]:
    """What the gate finds of a registered version; where it is forced, missing test pages are a result too."""
    candidate = _candidate(registered)
    rival, unreadable = _champion(champion)
    try:
        pages = _test_pages(registered, corpus)
    except InputError as error:
        if forced is None:
            raise
        return [RuleResult("test-pages", False, error.found, "the pages its run was tested on")]

    def label(labeler: Labeler) -> list[Any]:
        return label_pages(labeler, pages, f"labelling test pages with {labeler.family} {labeler.version}")

    return [*unreadable, *judge(candidate, rival, pages, gate, label)]


def _champion(registered: Any | None) -> tuple[Candidate | None, list[RuleResult]]:
    """The version that serves; or none, with a refusal when there is one that cannot be compared with."""
    if registered is None:
        return None, []
    try:
        return _candidate(registered), []
    except InputError as error:
        if error.rule not in ("bad-bundle", "no-model"):
            raise
        return None, [
            RuleResult(
                "champion-readable", False, f"version {registered.version}: {error.found}", "a champion to compare with"
            )
        ]


def _candidate(registered: Any) -> Candidate:
    import mlflow

    uri = f"models:/{REGISTERED_MODEL}/{registered.version}"
    bundle = bundle_folder(uri)
    labeler = load_labeler(str(bundle), sha256=registered.tags.get("bundle.sha256"))
    signature = mlflow.models.get_model_info(uri).signature
    with waiting(f"testing how version {registered.version} behaves"):
        checked = behaviour(labeler)
    return Candidate(
        version=str(registered.version),
        bundle=bundle,
        labeler=labeler,
        corpus_sha256=registered.tags.get("corpus.sha256", ""),
        split_sha256=registered.tags.get("split.sha256", ""),
        signature=signature.to_dict() if signature else {},
        behaviour=checked,
    )


def _test_pages(registered: Any, corpus: str | None) -> list[Page]:
    """The test pages of the split that a version was trained with, by what its run logged."""
    import mlflow
    from mlflow.exceptions import MlflowException

    with tempfile.TemporaryDirectory() as folder:
        try:
            run_id = (
                registered.run_id
                or mlflow.MlflowClient().get_logged_model(registered.source.removeprefix("models:/")).source_run_id
            )
            for name in ("config.yaml", "split.json"):
                mlflow.artifacts.download_artifacts(run_id=run_id, artifact_path=name, dst_path=folder)
        except (MlflowException, OSError) as error:
            raise InputError(
                f"version {registered.version} has no run with its config and split: {first_line(error)}",
                expected="the run that trained it, in the same store",
                remedy="train it again in this store",
                rule="no-run",
            ) from None
        return part_of_run(Path(folder), "test", corpus, sha256=registered.tags.get("corpus.sha256"))


def gate_view(decision: Decision, *, dry: bool = False) -> RenderableType:
    """What the gate found of a version, rule by rule, and what came of it.

    Args:
        decision: As `run` returned it.
        dry: Whether nothing was changed, and the text tells what would have been.
    """
    if not decision.rule_results:
        return Text(f"version {decision.version} is the champion already", "green")
    against = (
        f"beside the champion, version {decision.previous_champion}"
        if decision.previous_champion
        else "no champion to beat: absolute minima"
    )
    table = Table(
        title=f"Version {decision.version}, {against}",
        title_justify="left",
        title_style="bold",
        box=None,
        pad_edge=False,
    )
    for name in ("rule", "", "found", "wanted"):
        table.add_column(name, header_style="dim", overflow="fold")
    for result in decision.rule_results:
        table.add_row(
            result.rule,
            Text("pass", "green") if result.passed else Text("refused", "bold red"),
            escape(result.found),
            result.wanted,
        )
    refused = sum(not result.passed for result in decision.rule_results)
    return Group(table, Text(), Text(_outcome(decision, refused, dry), "green" if decision.accepted else "bold red"))


def _outcome(decision: Decision, refused: int, dry: bool) -> str:
    """What came of a decision, in a sentence; `refused` rules refuse the version."""
    if dry and decision.accepted:
        return "it would be promoted"
    if dry:
        return f"it would not be promoted: {refused} rules refuse it"
    if decision.promoted:
        return f"it is the champion now{', by force' if refused else ''}"
    return (
        f"not promoted: {refused} rule{'s' if refused > 1 else ''} refuse{'s' if refused == 1 else ''} it; "
        "make promote FORCE='why' lets it serve all the same"
    )
