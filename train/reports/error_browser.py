"""All errors of a run on one static page: filtered by role pair, site, slice and confidence, each among its neighbours
on the page."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from train.annotation.label_errors import label_errors
from train.corpus.page import Page
from train.evaluation.slices import Answers, slice_values
from train.inference.explain import Explainer
from train.reports.html import escape, link, write_page
from train.reports.page_view import STYLE as PAGE_STYLE
from train.reports.page_view import View, segment_html, view_of
from train.runtime.text import ROLES

NEIGHBOURS = 3
MOST = 1500
"""So many errors are on the page at most, the most confident ones: a browser must open it at once."""
STYLE = (
    PAGE_STYLE
    + """
.filters { position: sticky; top: 0; z-index: 2; background: var(--bg); border-bottom: 1px solid var(--line); padding: .6rem 0; display: flex;
  flex-wrap: wrap; gap: .4rem 1rem; align-items: end; }
.filters label { display: flex; flex-direction: column; font-size: .8rem; color: var(--dim); } .filters label.row { flex-direction: row; gap: .3rem; align-items: center; }
.filters select, .filters input, .filters button { font: inherit; font-size: .9rem; color: var(--fg); background: var(--soft); border: 1px solid var(--line);
  border-radius: 5px; padding: .15rem .4rem; max-width: 15rem; }
.filters input[type=number] { width: 5rem; } .filters output { font-weight: 600; }
.error { border: 1px solid var(--line); border-radius: 8px; padding: .5rem .8rem; margin: .8rem 0; scroll-margin-top: 9rem; }
.error.current { outline: 3px solid var(--link); } .error h2 { font-size: 1rem; margin: 0 0 .3rem; border: 0; }
.error .seg:not(.chosen) .sign { opacity: .7; } .error .seg.chosen { border: 2px solid var(--bad); border-left-width: 6px; }
.tag { font-size: .76rem; border: 1px solid var(--line); border-radius: 9px; padding: 0 .5rem; margin-right: .3rem; color: var(--dim); white-space: nowrap; }
.tag.doubt { color: var(--bad); border-color: var(--bad); font-weight: 600; }
[hidden] { display: none !important; }
"""
)
SCRIPT = """
(() => {
  const cards = [...document.querySelectorAll('.error')], form = document.querySelector('.filters');
  const count = document.querySelector('#count'), none = document.querySelector('#none');
  let shown = cards, at = -1;
  const fits = (card, wanted) => wanted.every(([name, value]) => {
    if (name === 'least') return +card.dataset.sure >= +value;
    if (name === 'most') return +card.dataset.sure <= +value;
    if (name === 'slice') return card.dataset.slices.split('\\n').includes(value);
    return card.dataset[name] === value;
  });
  const filter = () => {
    const wanted = [...new FormData(form)].filter(([, value]) => value !== '');
    shown = cards.filter(card => { const fit = fits(card, wanted); card.hidden = !fit; return fit; });
    count.textContent = `${shown.length} of ${cards.length}`;
    none.hidden = shown.length > 0;
    mark(-1);
  };
  const mark = place => {
    if (shown[at]) shown[at].classList.remove('current');
    document.querySelectorAll('.error.current').forEach(card => card.classList.remove('current'));
    at = place;
    if (!shown[at]) return;
    shown[at].classList.add('current');
    shown[at].scrollIntoView({block: 'start'});
    shown[at].focus({preventScroll: true});
    count.textContent = `${at + 1}: ${shown.length} of ${cards.length}`;
  };
  const step = by => mark(Math.max(0, Math.min(shown.length - 1, at + by)));
  form.addEventListener('input', filter);
  form.addEventListener('submit', event => event.preventDefault());
  form.addEventListener('reset', () => setTimeout(filter));
  document.querySelector('#next').addEventListener('click', () => step(1));
  document.querySelector('#previous').addEventListener('click', () => step(-1));
  document.addEventListener('keydown', event => {
    if (event.ctrlKey || event.metaKey || event.altKey || (event.target.tagName === 'SELECT' || event.target.type === 'number')) return;
    if (event.key === 'j' || event.key === 'n') step(1);
    if (event.key === 'k' || event.key === 'p') step(-1);
  });
  filter();
})();
"""


def errors_of(pages: Sequence[Page], records: Sequence[Mapping[str, Any]], answers: Answers) -> list[dict[str, Any]]:
    """Segments that were not read as labelled, the most confident mistake first.

    Each is `{"page_id", "site", "segment", "text", "labelled", "read_as", "confidence", "doubtful"}`, and the value of
    each slice; `doubtful`: confident learning takes the label for a probable error.
    """
    values = slice_values(pages, answers)
    wrong = np.flatnonzero(answers.gold != answers.predicted)
    sure = answers.confidence
    doubted: set[tuple[str, int]] = set()
    if len(wrong) and len(np.unique(answers.gold)) > 1:
        doubted = {(error.page_id, error.segment) for error in label_errors(pages, records)}
    found = []
    for row in wrong[np.argsort(-sure[wrong], kind="stable")]:
        page, i = pages[answers.page[row]], int(answers.segment[row])
        found.append(
            {
                "page_id": page.page_id,
                "site": page.site,
                "segment": i,
                "text": page.segments[i].text,
                "labelled": ROLES[answers.gold[row]],
                "read_as": ROLES[answers.predicted[row]],
                "confidence": round(float(sure[row]), 4),
                "doubtful": (page.page_id, i) in doubted,
                **{f"slice: {name}": str(column[row]) for name, column in values.items()},
            }
        )
    return found


def write_error_browser(
    path: Path,
    errors: Sequence[Mapping[str, Any]],
    pages: Sequence[Page],
    records: Sequence[Mapping[str, Any]],
    explainer: Explainer | None,
    *,
    scored: int,
) -> None:
    """Writes errors as `errors_of` finds them, `MOST` at most, as a page that needs no server; `scored` segments they
    are of."""
    shown = errors[:MOST]
    wanted = {error["page_id"] for error in shown}
    views = {
        page.page_id: view_of(record, page, explainer)
        for page, record in zip(pages, records, strict=True)
        if page.page_id in wanted
    }
    cards = [_card(error, views[error["page_id"]]) for error in shown]
    doubtful = sum(error["doubtful"] for error in errors)
    told = (
        f"{len(errors):,} of {scored:,} segments of {len({e['page_id'] for e in errors}):,} pages are not read as "
        "labelled, the most confident mistake first"
        + (f"; the first {MOST:,} are shown" if len(errors) > MOST else "")
        + f". In {doubtful:,} the model is as sure as where it is right, so that the label may be wrong as well "
        "(confident learning: label doubtful). Keys: j next, k previous; point at a segment for its scores."
    )
    parts = [f"<p>{escape(told)}</p>", _filters(shown), '<p id="none" hidden>No error fits.</p>', *cards]
    write_page(path, "Errors", parts, style=STYLE, script=SCRIPT)


def _card(error: Mapping[str, Any], view: View) -> str:
    i, segments = error["segment"], view.record["segments"]
    tags = {name.removeprefix("slice: "): value for name, value in error.items() if name.startswith("slice: ")}
    around = range(max(0, i - NEIGHBOURS), min(len(segments), i + NEIGHBOURS + 1))
    pair = _pair(error)
    data = {
        "pair": pair,
        "site": error["site"],
        "sure": f"{error['confidence']:.4f}",
        "doubt": "1" if error["doubtful"] else "0",
        "slices": "\n".join(f"{name}: {value}" for name, value in tags.items()),
    }
    attributes = " ".join(f'data-{name}="{escape(value)}"' for name, value in data.items())
    doubt = '<span class="tag doubt">label doubtful</span>' if error["doubtful"] else ""
    listed = "".join(f'<span class="tag">{escape(name)}: {escape(value)}</span>' for name, value in tags.items())
    heading = (
        f"{escape(pair)} {error['confidence']:.2f} · "
        f"{link(view.gold.url if view.gold else None, error['page_id'])} · {escape(error['site'])} · segment {i + 1} "
        f"of {len(segments)}"
    )
    rows = "".join(segment_html(view, k, segments[k], chosen=k == i) for k in around)
    return f'<article class="error" tabindex="-1" {attributes}><h2>{heading}</h2><p>{doubt}{listed}</p>{rows}</article>'


def _pair(error: Mapping[str, Any]) -> str:
    return f"{error['labelled']} read as {error['read_as']}"


def _filters(errors: Sequence[Mapping[str, Any]]) -> str:
    pairs = Counter(map(_pair, errors))
    sites = Counter(str(error["site"]) for error in errors)
    values = Counter(
        f"{name.removeprefix('slice: ')}: {value}"
        for error in errors
        for name, value in error.items()
        if name.startswith("slice: ")
    )
    by_dimension = sorted(values.items(), key=lambda item: (item[0].partition(":")[0], -item[1]))
    return (
        '<form class="filters" aria-label="Filters">'
        + _select("roles", "pair", pairs.most_common())
        + _select("site", "site", sites.most_common())
        + _select("slice", "slice", by_dimension)
        + '<label>confidence from<input type="number" name="least" min="0" max="1" step="0.05"></label>'
        + '<label>to<input type="number" name="most" min="0" max="1" step="0.05"></label>'
        + '<label class="row"><input type="checkbox" name="doubt" value="1">label doubtful</label>'
        + '<button type="reset">all</button><button type="button" id="previous">previous (k)</button><button '
        'type="button" id="next">next (j)</button>' + '<output id="count"></output></form>'
    )


def _select(title: str, name: str, values: Sequence[tuple[str, int]]) -> str:
    options = "".join(f'<option value="{escape(value)}">{escape(value)} ({n:,})</option>' for value, n in values)
    return f'<label>{escape(title)}<select name="{name}"><option value="">all</option>{options}</select></label>'
