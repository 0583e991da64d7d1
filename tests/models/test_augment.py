from __future__ import annotations

from collections import Counter
from itertools import groupby

import pytest

from train.corpus.page import Page, Segment
from train.models.augment import Recombiner
from train.models.family import page_states


def test_recombined_pages_keep_the_main_story_and_number_stories_in_order(pages: list[Page]) -> None:
    made = Recombiner(pages, 1)
    for page in pages:
        new = made.page(page)
        assert [s for s in new.segments if s.role == "main"] == [s for s in page.segments if s.role == "main"]
        related = [s.story for s in new.segments if s.role == "related"]
        assert related == sorted(related, key=lambda story: story or 0)
        assert sorted(set(related)) == list(range(1, len(set(related)) + 1))
        assert len(page_states(new)) == len(new.segments)


def test_parts_come_from_several_pages_and_no_word_is_invented(pages: list[Page]) -> None:
    made = Recombiner(pages, 1)
    known = {word for page in pages for s in page.segments for word in s.text.split()}
    mixed = 0
    for page in pages:
        texts = [s.text for s in made.page(page).segments]
        assert {word for text in texts for word in text.split()} <= known
        mixed += bool(Counter(texts) - Counter(page.texts))
    assert mixed > len(pages) / 2


def test_the_same_seed_recombines_alike(pages: list[Page]) -> None:
    first, again, other = (Recombiner(pages, seed).page(pages[0]) for seed in (1, 1, 2))
    assert first == again != other


def _told(name: str, *runs: tuple[str, int]) -> Page:
    """A page of runs of one role; each text says its page, run and place in it."""
    roles = [None, *(role for role, _ in runs), None]
    segments = []
    for i, (role, count) in enumerate(runs):
        place = f"{roles[i]}<{role}>{roles[i + 2]}"
        story = {"main": 0, "boilerplate": None}.get(role, i)
        segments += [Segment(f"{name} {place} {k} of {count}", role, story) for k in range(count)]
    return Page(name, f"{name}.example", tuple(segments))


def test_a_run_is_exchanged_for_a_whole_one_that_stood_between_the_same_neighbours() -> None:
    shape = ("boilerplate", "main", "boilerplate", "main", "related", "boilerplate")
    pages = [_told(f"p{n}", *((role, 1 + (n + i) % 3) for i, role in enumerate(shape))) for n in range(4)]
    made, own, foreign = Recombiner(pages, 1), 0, 0
    for page in [*pages] * 10:
        texts = iter(made.page(page).texts)
        runs = [list(run) for _, run in groupby(texts, key=lambda text: text.split(" ", 2)[:2])]
        places = list(dict.fromkeys(text.split()[1] for text in page.texts))
        assert [run[0].split()[1] for run in runs] == places
        for run in runs:
            assert run == [text for p in pages for text in p.texts if text.split()[:2] == run[0].split()[:2]]
            if "<main>" not in run[0]:
                own, foreign = own + run[0].startswith(f"{page.page_id} "), foreign + (not run[0].startswith(f"{page.page_id} "))
    # Half of the runs are exchanged, a quarter of these for themselves.
    assert foreign / (own + foreign) == pytest.approx(0.5 * 0.75, abs=0.12)


def test_the_heading_above_related_items_is_left_out_now_and_then_and_nothing_else() -> None:
    page = _told("p", ("boilerplate", 2), ("main", 2), ("boilerplate", 2), ("related", 2), ("boilerplate", 2))
    made = Recombiner([page], 1)
    seen = Counter(tuple(made.page(page).texts) for _ in range(200))
    without = tuple(text for text in page.texts if text != "p main<boilerplate>related 1 of 2")
    assert set(seen) == {tuple(page.texts), without}
    assert seen[without] / 200 == pytest.approx(0.5, abs=0.12)
