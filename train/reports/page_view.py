"""A labelled page as a reader sees it: segments coloured and signed by role, stories boxed with their topic, confidence
as shade."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

from train.corpus.page import Page
from train.inference.explain import Explainer
from train.reports.html import SIGNS, clipped, escape, link, write_page
from train.runtime.text import ROLES

SHOWN_CHARS = 4000
MOST_PAGES = 100
STYLE = """
.view { border: 1px solid var(--line); border-radius: 8px; padding: .8rem 1rem; margin: 1rem 0; max-width: 860px; }
.legend span { margin-right: 1.2rem; white-space: nowrap; }
.story { border: 2px solid var(--role); border-radius: 8px; margin: .5rem 0; padding: .3rem .6rem; }
.story > h3 { font-size: .82rem; margin: 0 0 .2rem; color: var(--role); font-weight: 600; }
.role-main { --role: var(--main); } .role-related { --role: var(--related); } .role-boilerplate { --role: var(--boilerplate); }
.seg { position: relative; display: grid; grid-template-columns: 1.3rem 1fr auto; gap: .3rem; margin: .15rem 0; padding: .15rem .3rem;
  border-left: 4px solid var(--role); background: color-mix(in srgb, var(--role) calc(var(--sure) * 18%), transparent); }
.seg.role-boilerplate .text { font-size: .92rem; } .seg .sign { color: var(--role); } .seg .text { overflow-wrap: anywhere; }
.seg .sure { font-size: .78rem; font-variant-numeric: tabular-nums; } .seg .gold { font-size: .78rem; }
.seg .tip { display: none; position: absolute; right: 0; top: 100%; z-index: 1; max-width: 30rem; padding: .5rem .7rem; font-size: .82rem;
  background: var(--bg); color: var(--fg); border: 1px solid var(--line); border-radius: 6px; box-shadow: 0 2px 10px rgb(0 0 0 / .25); }
.seg:hover .tip, .seg:focus .tip { display: block; } .seg:focus { outline: 2px solid var(--link); }
.tip dl { display: grid; grid-template-columns: auto auto; gap: 0 .8rem; margin: 0; } .tip dd { margin: 0; text-align: right; }
"""


@dataclass(frozen=True)
class View:
    """What is shown of a page.

    Args:
        record: `predict`'s.
        gold: The page with its labels, when it has some.
        why: For each segment, what decided its first reading: features and how much each speaks for it; None where a
            model cannot say.
    """

    record: Mapping[str, Any]
    gold: Page | None = None
    why: Sequence[Sequence[tuple[str, float]]] | None = None


def view_of(record: Mapping[str, Any], page: Page, explainer: Explainer | None) -> View:
    """The view of a page with what decided each segment, where the model can say."""
    return View(record, page, [reason.features for reason in explainer.why(page.texts, 4)] if explainer else None)


def write_view(path: Path, title: str, views: Iterable[View], *, note: str = "") -> None:
    """Writes pages below each other as one static page, `MOST_PAGES` at most; `note` says in a line what they are."""
    parts = [f"<p>{escape(note)}</p>" if note else "", legend()]
    for i, view in enumerate(views):
        if i == MOST_PAGES:
            parts.append(f"<p>Only the first {MOST_PAGES} pages are shown.</p>")
            break
        parts.append(page_html(view))
    write_page(path, title, parts, style=STYLE)


def legend() -> str:
    """What signs, boxes and shades mean."""
    roles = "".join(
        f'<span class="role-{role}"><span style="color: var(--role)">{SIGNS[role]}</span> {role}</span>'
        for role in ROLES
    )
    return (
        f'<p class="legend">{roles}<span>box: a story</span><span>shade and number: confidence</span><span>✗ '
        "labelled otherwise</span></p>"
    )


def page_html(view: View) -> str:
    """One page as an element."""
    record, gold = view.record, view.gold
    labelled = gold is not None and gold.labelled
    stories = {story["story"]: story for story in record["stories"]}
    rows = [(segment["story"], i, segment) for i, segment in enumerate(record["segments"])]
    body, seen = [], set()
    for story, some in groupby(rows, key=lambda row: row[0]):
        inner = "".join(segment_html(view, i, segment) for _, i, segment in some)
        if story is None:
            body.append(inner)
        else:
            heading = _heading(stories.get(story), story, again=story in seen)
            role = "main" if story == 0 else "related"
            body.append(
                f'<section class="story role-{role}" '
                f'aria-label="{escape(heading)}"><h3>{escape(heading)}</h3>{inner}</section>'
            )
            seen.add(story)
    wrong = (
        sum(s.role != a["role"] for s, a in zip(gold.segments, record["segments"], strict=True))
        if labelled and gold is not None
        else 0
    )
    told = f"{len(record['segments']):,} segments, {len(stories):,} stories" + (
        f", {wrong:,} not as labelled" if labelled else ""
    )
    model = record["model"]
    by = f"{model['name']} {model['version']} ({model['family']})"
    name = link(None if gold is None else gold.url, str(record["page_id"]))
    return (
        f'<article class="view"><h2>{name}</h2><p class="dim">{escape(told)}; by '
        f"{escape(by)}</p>{''.join(body)}</article>"
    )


def _heading(story: Mapping[str, Any] | None, number: int, *, again: bool) -> str:
    name = "main story" if number == 0 else f"related story {number}"
    if again:
        return f"{name}, continued"
    topic = "" if story is None or story["topic"] is None else f" · {story['topic']} {story['confidence']:.2f}"
    return f"{name}{topic}"


def segment_html(view: View, place: int, segment: Mapping[str, Any], *, chosen: bool = False) -> str:
    """One segment of a page; `chosen` marks the one that is meant among its neighbours."""
    role, sure = str(segment["role"]), float(segment["confidence"])
    text = clipped(segment["text"], SHOWN_CHARS)
    gold = view.gold.segments[place] if view.gold is not None else None
    wrong = gold is not None and gold.role is not None and gold.role != role
    mark = f' <span class="gold bad">✗ labelled {escape(gold.role)}</span>' if wrong and gold is not None else ""
    return (
        f'<div class="seg role-{escape(role)}{" wrong" if wrong else ""}{" chosen" if chosen else ""}" style="--sure: '
        f'{sure:.3f}" tabindex="0" role="group" '
        f'aria-label="{escape(role)}, confidence {sure:.2f}">'
        f'<span class="sign" aria-hidden="true">{SIGNS[role]}</span><span class="text">{escape(text)}{mark}</span>'
        f'<span class="sure">{sure:.2f}</span>{_tip(view, place, segment)}</div>'
    )


def _tip(view: View, place: int, segment: Mapping[str, Any]) -> str:
    rows = [(role, f"{segment['scores'][role]:.3f}") for role in ROLES]
    gold = view.gold.segments[place] if view.gold is not None else None
    if gold is not None and gold.role is not None:
        story = "" if gold.story is None else f", story {gold.story}"
        topic = "" if gold.topic is None else f", {gold.topic}"
        rows.append(("labelled", f"{gold.role}{story}{topic}"))
    if segment.get("story") is not None:
        rows.append(("story", str(segment["story"])))
    if view.why is not None:
        rows += [(f"why: {name}", f"{value:+.2f}") for name, value in view.why[place]]
    listed = "".join(f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in rows)
    return f'<div class="tip"><dl>{listed}</dl></div>'
