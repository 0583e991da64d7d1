from __future__ import annotations

from collections import Counter

from train.corpus.page import Page
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
