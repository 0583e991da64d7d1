"""The gate before a model serves: named rules, each with what was found and what was wanted; nothing is promoted on a
feeling."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pydantic.dataclasses
from pydantic import Field

from train.config.fields import COMPLETE, Number, Whole
from train.corpus.page import Page
from train.evaluation.counts import scored_classes
from train.evaluation.metrics import evaluate, paired_difference
from train.evaluation.reliability import reliability
from train.export.bundle import size_mb
from train.registry.behaviour import Behaviour
from train.registry.rule_result import RuleResult
from train.runtime import Labeler

TIMED_SEGMENTS, TIMED_RUNS = 40, 25


@pydantic.dataclasses.dataclass(frozen=True, config=COMPLETE)
class Gate:
    """The limits of the gate, on scores of the test pages: unseen sites."""

    least_gain: Annotated[Number, "role macro-F1"] = Field(
        description="The least gain over the champion on the same pages; its interval must lie above 0, too. The "
        "interval is that of the paired difference, over sites."
    )
    confidence: Number = Field(gt=0, lt=1, description="The level of that interval.")
    max_role_fall: Annotated[Number, "F1"] = Field(description="The most that a role's F1 may fall.")
    max_topic_fall: Annotated[Number, "F1"] = Field(description="The most that a topic's F1 may fall.")
    max_ece_rise: Annotated[Number, "ECE"] = Field(
        description="The most that the expected calibration error of roles may rise."
    )
    max_page_ms: Annotated[Number, "milliseconds"] = Field(
        description="The most that a page of 40 segments may take. The median on this machine; a busy one takes "
        "several times as long."
    )
    max_size_mb: Annotated[Number, "MB"] = Field(description="The largest bundle.")
    least_behaviour: Annotated[Number, "share of checks"] = Field(
        description="How many of the checks of behaviour must pass. None may fail that the champion passes."
    )
    least_role_f1: Annotated[Number, "F1"] = Field(description="The least F1 of each role, for the first champion.")
    least_role_macro_f1: Annotated[Number, "macro-F1"] = Field(
        description="The least role macro-F1, for the first champion."
    )
    max_ece: Annotated[Number, "ECE"] = Field(
        description="The largest expected calibration error of roles, for the first champion."
    )
    least_sites: Annotated[Whole, "sites"] = Field(
        description="The fewest sites of the test pages: an interval over fewer tells nothing."
    )
    seed: Whole = Field(ge=0, description="The seed of the bootstrap.")
    samples: Annotated[Whole, "resamples"] = Field(ge=1, description="The resamples of sites.")


@dataclass(frozen=True)
class Candidate:
    """A version as the gate sees it; the champion is seen alike.

    Args:
        version: Its number in the registry.
        bundle: The folder of its bundle.
        labeler: The bundle, loaded.
        corpus_sha256: The hash of the corpus it was trained on; empty where it is not known.
        split_sha256: The hash of the split of that corpus; empty where it is not known.
        signature: The signature of its MLflow model, as plain values.
        behaviour: The checks of behaviour that it passes and fails.
    """

    version: str
    bundle: Path
    labeler: Labeler
    corpus_sha256: str
    split_sha256: str
    signature: Mapping[str, Any]
    behaviour: Behaviour

    @property
    def pages_id(self) -> str:
        """Names the corpus and the split, for messages."""
        return f"{self.corpus_sha256[:12]}/{self.split_sha256[:12]}"


def judge(
    candidate: Candidate,
    champion: Candidate | None,
    pages: Sequence[Page],
    gate: Gate,
    label: Callable[[Labeler], list[Any]],
) -> list[RuleResult]:
    """The result of every rule of the gate for a version.

    Args:
        candidate: The version.
        champion: The version that serves, or None: then absolute minima stand for the comparison.
        pages: Labelled test pages of the candidate's split.
        gate: The limits.
        label: Returns `predict`'s records of these pages by a labeler.
    """
    records = label(candidate.labeler)
    alone = [_enough_sites(pages, gate), *_absolute(candidate, gate)]
    if champion is None:
        return [*_minima(pages, records, gate), *alone]
    same_pages = _same_pages(candidate, champion)
    contract = _same_contract(candidate, champion)
    if not same_pages.passed:
        # The champion may have been trained on these very pages: a comparison would flatter it.
        return [same_pages, *contract, *alone]
    compared = _better(candidate, champion, pages, records, label(champion.labeler), gate)
    return [same_pages, *compared, *contract, *alone]


def _same_pages(candidate: Candidate, champion: Candidate) -> RuleResult:
    of_candidate = candidate.corpus_sha256, candidate.split_sha256
    same = "" not in of_candidate and of_candidate == (champion.corpus_sha256, champion.split_sha256)
    return RuleResult("same-pages", same, candidate.pages_id, f"{champion.pages_id} (corpus/split of the champion)")


def _better(
    candidate: Candidate,
    champion: Candidate,
    pages: Sequence[Page],
    records: list[Any],
    champion_records: list[Any],
    gate: Gate,
) -> list[RuleResult]:
    """Rules that compare a version with the champion on the same test pages."""
    settings: dict[str, Any] = {"bootstrap_samples": gate.samples, "confidence": gate.confidence, "seed": gate.seed}
    difference = paired_difference(pages, records, champion_records, **settings)
    macro_f1, (low, high) = difference.values["role/macro_f1"], difference.intervals["role/macro_f1"]
    results = [
        RuleResult(
            "better",
            macro_f1 >= gate.least_gain and low > 0,
            f"{macro_f1:+.3f} ({low:+.3f} to {high:+.3f}) role macro-F1",
            f"+{gate.least_gain:.3f} or more, and the interval above 0",
        )
    ]
    scored_roles, scored_topics = scored_classes(pages)
    roles = {role: difference.values[f"role/f1/{role}"] for role in scored_roles}
    results.append(_no_fall("no-role-falls", roles, gate.max_role_fall))
    topics = {topic: difference.values[f"topic/f1/{topic}"] for topic in scored_topics}
    if topics:
        results.append(_no_fall("no-topic-falls", topics, gate.max_topic_fall))
    ece, champion_ece = (reliability(pages, answers)["ece"] for answers in (records, champion_records))
    results.append(
        RuleResult(
            "calibration",
            ece <= champion_ece + gate.max_ece_rise,
            f"ECE {ece:.3f}",
            f"{champion_ece + gate.max_ece_rise:.3f} or less (champion {champion_ece:.3f})",
        )
    )
    lost = candidate.behaviour.failed & champion.behaviour.passed
    results.append(
        RuleResult("behaviour-kept", not lost, _listed(lost) or "none lost", "every check the champion passes")
    )
    return results


def _no_fall(rule: str, changes: Mapping[str, float], most: float) -> RuleResult:
    worst = min(changes, key=lambda name: changes[name])
    return RuleResult(rule, changes[worst] >= -most, f"{worst} {changes[worst]:+.3f}", f"none below {-most:+.3f}")


def _minima(pages: Sequence[Page], records: list[Any], gate: Gate) -> list[RuleResult]:
    """What the first version must reach, without a champion to compare with."""
    values = evaluate(pages, records, bootstrap_samples=0).values
    macro = values["role/macro_f1"]
    worst = min(scored_classes(pages)[0], key=lambda role: values[f"role/f1/{role}"])
    least, ece = values[f"role/f1/{worst}"], reliability(pages, records)["ece"]
    return [
        RuleResult(
            "good-enough",
            macro >= gate.least_role_macro_f1,
            f"role macro-F1 {macro:.3f}",
            f"{gate.least_role_macro_f1:.3f} or more",
        ),
        RuleResult(
            "every-role", least >= gate.least_role_f1, f"{worst} F1 {least:.3f}", f"{gate.least_role_f1:.3f} or more"
        ),
        RuleResult("calibration", ece <= gate.max_ece, f"ECE {ece:.3f}", f"{gate.max_ece:.3f} or less"),
    ]


def _same_contract(candidate: Candidate, champion: Candidate) -> list[RuleResult]:
    same = candidate.signature == champion.signature
    missing = sorted(set(champion.labeler.topics) - set(candidate.labeler.topics))
    return [
        RuleResult("signature", same, "the champion's" if same else "another", "what its callers send and read"),
        RuleResult(
            "topics",
            not missing,
            f"without {_listed(missing)}" if missing else f"all {len(champion.labeler.topics)}",
            "every topic of the champion",
        ),
    ]


def _enough_sites(pages: Sequence[Page], gate: Gate) -> RuleResult:
    count = len({page.site for page in pages})
    return RuleResult(
        "test-sites",
        count >= gate.least_sites,
        f"{count} sites",
        f"{gate.least_sites} or more: an interval over few tells nothing",
    )


def _absolute(candidate: Candidate, gate: Gate) -> list[RuleResult]:
    milliseconds, size = page_milliseconds(candidate.labeler), size_mb(candidate.bundle)
    failed, passed = candidate.behaviour.failed, len(candidate.behaviour.passed)
    count = passed + len(failed)
    behaves = passed / max(count, 1)
    counted = f"{passed} of {count} pass{f', not {_listed(failed)}' if failed else ''}"
    return [
        RuleResult(
            "latency",
            milliseconds <= gate.max_page_ms,
            f"{milliseconds:.0f} ms a page of {TIMED_SEGMENTS}",
            f"{gate.max_page_ms:.0f} ms or less",
        ),
        RuleResult("size", size <= gate.max_size_mb, f"{size:.1f} MB", f"{gate.max_size_mb:.0f} MB or less"),
        RuleResult("behaviour", behaves >= gate.least_behaviour, counted, f"{gate.least_behaviour:.0%} or more"),
    ]


def _listed(names: Sequence[str] | frozenset[str], most: int = 3) -> str:
    shown = sorted(names)[:most]
    return ", ".join(shown) + (f" and {len(names) - most} more" if len(names) > most else "")


def page_milliseconds(labeler: Labeler) -> float:
    """Median time a page of 40 segments takes, in milliseconds."""
    from train.export.golden import PAGES

    page = PAGES["long-page"][:TIMED_SEGMENTS]
    seconds = []
    for _ in range(TIMED_RUNS + 3):
        started = time.perf_counter()
        next(labeler.label([("timed", page)]))
        seconds.append(time.perf_counter() - started)
    return float(np.median(seconds[3:])) * 1000
