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
from train.evaluation.metrics import evaluate, gain
from train.evaluation.reliability import reliability
from train.export.bundle import size_mb
from train.registry.behaviour import Behaviour
from train.registry.verdict import Verdict
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
    least_behaviour: Annotated[Number, "share of tests"] = Field(
        description="How much of tests/behaviour must pass. None may fail that the champion passes."
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
class Contestant:
    """A version as the gate sees it.

    Args:
        version: Of the registry.
        bundle: Its bundle's folder.
        labeler: The bundle, loaded.
        corpus_sha256: What it was trained on.
        split_sha256: Of its split.
        signature: Of the MLflow model, as plain values.
        behaviour: How it does in the behavioural tests.
    """

    version: str
    bundle: Path
    labeler: Labeler
    corpus_sha256: str
    split_sha256: str
    signature: Mapping[str, Any]
    behaviour: Behaviour


def judge(
    new: Contestant,
    champion: Contestant | None,
    pages: Sequence[Page],
    gate: Gate,
    label: Callable[[Labeler], list[Any]],
) -> list[Verdict]:
    """What the gate says of a version.

    Args:
        new: The version.
        champion: The one that serves, or None: then absolute minima stand for the comparison.
        pages: Labelled test pages of the new version's split.
        gate: The limits.
        label: Gives `predict`'s records of these pages by a labeler.
    """
    records = label(new.labeler)
    verdicts = [_enough_sites(pages, gate), *_absolute(new, gate)]
    if champion is None:
        return [*_minima(new, pages, records, gate), *verdicts]
    same = (new.corpus_sha256, new.split_sha256) == (champion.corpus_sha256, champion.split_sha256) and "" not in (
        new.corpus_sha256,
        new.split_sha256,
    )
    names = f"{new.corpus_sha256[:12]}/{new.split_sha256[:12]}"
    first = Verdict(
        "same-pages",
        same,
        names,
        f"{champion.corpus_sha256[:12]}/{champion.split_sha256[:12]} (corpus/split of the champion)",
    )
    if not same:
        # The champion may have been trained on these very pages: a comparison would flatter it.
        return [first, *_same_contract(new, champion), *verdicts]
    return [
        first,
        *_better(new, champion, pages, records, label(champion.labeler), gate),
        *_same_contract(new, champion),
        *verdicts,
    ]


def _better(
    new: Contestant, champion: Contestant, pages: Sequence[Page], records: list[Any], others: list[Any], gate: Gate
) -> list[Verdict]:
    settings: dict[str, Any] = {"bootstrap_samples": gate.samples, "confidence": gate.confidence, "seed": gate.seed}
    found = gain(pages, records, others, **settings)
    name = "role/macro_f1"
    difference, (low, high) = found.values[name], found.intervals[name]
    wanted = f"+{gate.least_gain:.3f} or more, and the interval above 0"
    verdicts = [
        Verdict(
            "better",
            difference >= gate.least_gain and low > 0,
            f"{difference:+.3f} ({low:+.3f} to {high:+.3f}) role macro-F1",
            wanted,
        )
    ]
    known_roles, known_topics = scored_classes(pages)
    falls = {role: found.values[f"role/f1/{role}"] for role in known_roles}
    verdicts.append(_no_fall("no-role-falls", falls, gate.max_role_fall))
    topics = {topic: found.values[f"topic/f1/{topic}"] for topic in known_topics}
    if topics:
        verdicts.append(_no_fall("no-topic-falls", topics, gate.max_topic_fall))
    now, before = (reliability(pages, some)["ece"] for some in (records, others))
    verdicts.append(
        Verdict(
            "calibration",
            now <= before + gate.max_ece_rise,
            f"ECE {now:.3f}",
            f"{before + gate.max_ece_rise:.3f} or less (champion {before:.3f})",
        )
    )
    lost = new.behaviour.failed & champion.behaviour.passed
    verdicts.append(Verdict("behaviour-kept", not lost, _listed(lost) or "none lost", "every test the champion passes"))
    return verdicts


def _no_fall(rule: str, changes: Mapping[str, float], most: float) -> Verdict:
    worst = min(changes, key=lambda name: changes[name])
    return Verdict(rule, changes[worst] >= -most, f"{worst} {changes[worst]:+.3f}", f"none below {-most:+.3f}")


def _minima(new: Contestant, pages: Sequence[Page], records: list[Any], gate: Gate) -> list[Verdict]:
    values = evaluate(pages, records, bootstrap_samples=0).values
    macro = values["role/macro_f1"]
    worst = min(scored_classes(pages)[0], key=lambda role: values[f"role/f1/{role}"])
    least, ece = values[f"role/f1/{worst}"], reliability(pages, records)["ece"]
    return [
        Verdict(
            "good-enough",
            macro >= gate.least_role_macro_f1,
            f"role macro-F1 {macro:.3f}",
            f"{gate.least_role_macro_f1:.3f} or more",
        ),
        Verdict(
            "every-role", least >= gate.least_role_f1, f"{worst} F1 {least:.3f}", f"{gate.least_role_f1:.3f} or more"
        ),
        Verdict("calibration", ece <= gate.max_ece, f"ECE {ece:.3f}", f"{gate.max_ece:.3f} or less"),
    ]


def _same_contract(new: Contestant, champion: Contestant) -> list[Verdict]:
    same = new.signature == champion.signature
    missing = sorted(set(champion.labeler.topics) - set(new.labeler.topics))
    return [
        Verdict("signature", same, "the champion's" if same else "another", "what its callers send and read"),
        Verdict(
            "topics",
            not missing,
            f"without {_listed(missing)}" if missing else f"all {len(champion.labeler.topics)}",
            "every topic of the champion",
        ),
    ]


def _enough_sites(pages: Sequence[Page], gate: Gate) -> Verdict:
    found = len({page.site for page in pages})
    return Verdict(
        "test-sites",
        found >= gate.least_sites,
        f"{found} sites",
        f"{gate.least_sites} or more: an interval over few tells nothing",
    )


def _absolute(new: Contestant, gate: Gate) -> list[Verdict]:
    milliseconds, size = page_milliseconds(new.labeler), size_mb(new.bundle)
    failed = new.behaviour.failed
    count = len(failed) + len(new.behaviour.passed)
    share = (count - len(failed)) / max(count, 1)
    told = f"{count - len(failed)} of {count} pass{f', not {_listed(failed)}' if failed else ''}"
    return [
        Verdict(
            "latency",
            milliseconds <= gate.max_page_ms,
            f"{milliseconds:.0f} ms a page of {TIMED_SEGMENTS}",
            f"{gate.max_page_ms:.0f} ms or less",
        ),
        Verdict("size", size <= gate.max_size_mb, f"{size:.1f} MB", f"{gate.max_size_mb:.0f} MB or less"),
        Verdict("behaviour", share >= gate.least_behaviour, told, f"{gate.least_behaviour:.0%} or more"),
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
