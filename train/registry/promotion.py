"""`make promote`: a version of the registry goes through the gate, and serves when every rule lets it pass."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Group, RenderableType
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from train.common.console import console, waiting
from train.common.errors import InputError
from train.corpus.loading import part_of_run
from train.corpus.page import Page
from train.inference.resolve import bundle_folder, load_labeler
from train.registry.behaviour import behaviour
from train.registry.gate import Contestant, Gate, judge
from train.registry.verdict import Verdict
from train.registry.versions import CHALLENGER, CHAMPION, ChampionMoved, promote, refuse, version, version_of
from train.runtime import Labeler
from train.tracking.senders import first_line
from train.tracking.store import REGISTERED_MODEL
from train.training.scoring import label_pages

if TYPE_CHECKING:
    pass

MOST_JUDGED = 5
"""Times that a version is judged again because another became champion meanwhile."""


@dataclass(frozen=True)
class Decision:
    """What came of it.

    Args:
        version: Of the registry.
        champion: The version that served before, or None.
        verdicts: Of each rule; empty when the version serves already.
        passed: Whether every rule lets it pass, or it was forced.
        promoted: Whether it serves now.
    """

    version: str
    champion: str | None
    verdicts: Sequence[Verdict]
    passed: bool
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
            return _run(gate, which, corpus, dry=dry, forced=forced)
        except ChampionMoved:
            console.print("another version became champion meanwhile; judging against it", style="yellow")
    raise InputError(
        f"the champion moved {MOST_JUDGED} times while this version was judged",
        expected="a champion that stays for a minute",
        rule="champion-moves",
        remedy="promote one after the other",
    )


def _run(gate: Gate, which: str, corpus: str | None, *, dry: bool, forced: str | None) -> Decision:
    found, present = version(which), version_of(CHAMPION)
    if present is not None and present.version == found.version:
        return Decision(str(found.version), str(found.version), [], True, True)
    new = _contestant(found)
    champion, unreadable = _champion(present)
    try:
        pages = _test_pages(found, corpus)
    except InputError as error:
        if forced is None:
            raise
        verdicts = [Verdict("test-pages", False, error.found, "the pages its run was tested on")]
    else:

        def label(labeler: Labeler) -> list[Any]:
            return label_pages(labeler, pages, f"labelling test pages with {labeler.family} {labeler.version}")

        verdicts = [*unreadable, *judge(new, champion, pages, gate, label)]
    passed = all(verdict.passed for verdict in verdicts) or forced is not None
    if not dry:
        if passed:
            promote(new.version, verdicts, against=None if present is None else str(present.version), forced=forced)
        else:
            refuse(new.version, verdicts)
    return Decision(
        new.version, str(present.version) if present is not None else None, verdicts, passed, passed and not dry
    )


def _champion(present: Any | None) -> tuple[Contestant | None, list[Verdict]]:
    """The version that serves; or none, with a refusal when there is one that cannot be compared with."""
    if present is None:
        return None, []
    try:
        return _contestant(present), []
    except InputError as error:
        if error.rule not in ("bad-bundle", "no-model"):
            raise
        return None, [
            Verdict(
                "champion-readable", False, f"version {present.version}: {error.found}", "a champion to compare with"
            )
        ]


def _contestant(registered: Any) -> Contestant:
    import mlflow

    uri = f"models:/{REGISTERED_MODEL}/{registered.version}"
    bundle = bundle_folder(uri)
    labeler = load_labeler(str(bundle))
    signature = mlflow.models.get_model_info(uri).signature
    with waiting(f"testing how version {registered.version} behaves"):
        behaved = behaviour(bundle)
    tags = registered.tags
    return Contestant(
        str(registered.version),
        bundle,
        labeler,
        tags.get("corpus.sha256", ""),
        tags.get("split.sha256", ""),
        signature.to_dict() if signature else {},
        behaved,
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
    """What the gate said of a version, rule by rule, and what came of it."""
    if not decision.verdicts:
        return Text(f"version {decision.version} is the champion already", "green")
    against = (
        f"beside the champion, version {decision.champion}"
        if decision.champion
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
    for verdict in decision.verdicts:
        table.add_row(
            verdict.rule,
            Text("pass", "green") if verdict.passed else Text("refused", "bold red"),
            escape(verdict.found),
            verdict.wanted,
        )
    refused = sum(not verdict.passed for verdict in decision.verdicts)
    if dry:
        said = "it would be promoted" if decision.passed else f"it would not be promoted: {refused} rules refuse it"
    elif decision.promoted:
        said = f"it is the champion now{', by force' if refused else ''}"
    else:
        said = f"not promoted: {refused} rule{'s' if refused > 1 else ''} refuse{'s' if refused == 1 else ''} it"
        said += "; make promote FORCE='why' lets it serve all the same"
    return Group(table, Text(), Text(said, "green" if decision.passed else "bold red"))
