"""The encoders at work, with networks that are told: what is averaged, and what goes where."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer, models, pre_tokenizers

from train.runtime import encoder, hierarchical
from train.runtime.captions import captions
from train.runtime.decoding import BEGINS, BOILERPLATE, GOES_ON, MAIN, softmax
from train.runtime.encoder import Encoder
from train.runtime.hierarchical import Hierarchical, SegmentPlan, counted
from train.runtime.reading import numbers
from train.runtime.windows import WindowPlan, collate, pack, spans

PLAN = WindowPlan(tokens=10, overlap=0.5, head=6, tail=2, marker=1, closing=2, pad=0)
WORDS = 50


def _tokenizer() -> Tokenizer:
    vocabulary = {"[PAD]": 0, "[M]": 1, "[E]": 2, "[UNK]": 3, **{f"w{i}": i + 4 for i in range(WORDS)}}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    return tokenizer


class Forward:
    """A network whose logits are drawn for each token of each window; the same window always has the same."""

    def __init__(self) -> None:
        self.batches: list[np.ndarray] = []

    @staticmethod
    def of_window(ids: Sequence[int]) -> np.ndarray:
        """Three roles, begins, two topics; `[length, 6]`."""
        return np.random.default_rng([len(ids), *map(int, ids)]).normal(size=(len(ids), 6)) * 2

    def __call__(self, batch: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        ids, mask = batch["input_ids"], batch["attention_mask"].sum(axis=1)
        self.batches.append(ids)
        found = np.full((*ids.shape, 6), np.nan)
        for row, length in enumerate(mask):
            found[row, :length] = self.of_window(ids[row, :length])
        return {"role_logits": found[..., :3], "begins_logits": found[..., 3], "topic_logits": found[..., 4:]}


def _expected(page: Sequence[str]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """States, topics, and windows that hold each segment, by the words' own numbers."""
    ids = [[int(word[1:]) + 4 for word in text.split()] for text in page]
    states, topics, seen = np.zeros((len(page), 4)), np.zeros((len(page), 2)), np.zeros((len(page), 1))
    for first, last in spans([len(text) + 1 for text in ids], PLAN):
        window = [token for text in ids[first:last] for token in (PLAN.marker, *text)] + [PLAN.closing]
        logits = Forward.of_window(window)
        at = 0
        for i in range(first, last):
            main, related, boilerplate = softmax(logits[at, :3])
            begins = 1 / (1 + np.exp(-logits[at, 3]))
            states[i] += [main, boilerplate, related * begins, related * (1 - begins)]
            topics[i] += logits[at, 4:]
            seen[i] += 1
            at += 1 + len(ids[i])
    return states / seen, topics / seen, seen.ravel()


PAGES = [
    ["w0 w1 w2", "w3", "w4 w5", "w6", "w7 w8", "w9", "w10 w11 w12"],
    [],
    ["w20"],
    ["w30 w31", "w32", "w33 w34 w35 w36", "w37 w38", "w39"],
]


@pytest.mark.parametrize("page_by_page", [False, True])
def test_where_windows_overlap_their_mean_is_taken(page_by_page: bool) -> None:
    forward = Forward()
    states, topics = Encoder(forward, _tokenizer(), PLAN, ("business", "sport"), page_by_page).states(PAGES)
    assert topics is not None
    seen = []
    for page, own, own_topics in zip(PAGES, states, topics, strict=True):
        expected, expected_topics, windows = _expected(page)
        seen += windows.tolist()
        assert own == pytest.approx(expected)
        assert own_topics == pytest.approx(expected_topics)
        assert own.sum(axis=1) == pytest.approx(np.ones(len(page)))
    assert {1, 2} <= set(seen), "some segments are in one window, some in two"
    assert (len(forward.batches) >= 3) == page_by_page


def test_the_mean_of_two_windows_by_hand() -> None:
    """The second segment is in both windows: main 0.8 and 0.4, then the share of a beginning story 0.5 and 0.75 of related."""
    plan = WindowPlan(tokens=6, overlap=0.5, head=6, tail=2, marker=1, closing=2, pad=0)
    page = ["w0", "w1", "w2"]
    first, second = ([window.first, len(window.markers)] for window in pack([page], _tokenizer(), plan))
    assert (first, second) == ([0, 2], [1, 2])

    def forward(batch: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        begun = batch["input_ids"][:, 1] == 4  # the window that begins with the first segment
        roles = np.where(begun[:, None], [0.8, 0.1, 0.1], [0.4, 0.4, 0.2])
        begins = np.where(begun, 0.0, np.log(3.0))
        shape = batch["input_ids"].shape
        return {
            "role_logits": np.broadcast_to(np.log(roles)[:, None], (*shape, 3)),
            "begins_logits": np.broadcast_to(begins[:, None], shape),
        }

    states, topics = Encoder(forward, _tokenizer(), plan, ()).states([page])
    assert topics is None
    assert states[0][0] == pytest.approx([0.8, 0.1, 0.05, 0.05])
    assert states[0][1] == pytest.approx([0.6, 0.15, 0.175, 0.075])
    assert states[0][2] == pytest.approx([0.4, 0.2, 0.3, 0.1])
    assert [MAIN, BOILERPLATE, BEGINS, GOES_ON] == [0, 1, 2, 3]


def test_pages_share_batches_unless_each_is_to_be_read_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encoder, "BATCH_TOKENS", 40)
    words_of = [{int(word[1:]) + 4 for text in page for word in text.split()} for page in PAGES]
    most = []
    for page_by_page in (False, True):
        forward = Forward()
        Encoder(forward, _tokenizer(), PLAN, (), page_by_page).states(PAGES)
        assert all(ids.size <= 40 for ids in forward.batches)
        most.append(max(sum(bool(words & set(ids.ravel().tolist())) for words in words_of) for ids in forward.batches))
    assert most[0] > 1
    assert most[1] == 1


@given(st.lists(st.integers(1, 9), min_size=1, max_size=40), st.sampled_from([0.0, 0.25, 0.5]))
def test_windows_are_as_full_and_overlap_as_much_as_the_plan_lets_them(costs: list[int], overlap: float) -> None:
    plan = WindowPlan(tokens=20, overlap=overlap, head=6, tail=2, marker=1, closing=2, pad=0)
    found = list(spans(costs, plan))
    for (first, last), (again, _) in pairwise(found):
        assert sum(costs[first : last + 1]) + 1 > plan.tokens, "one more segment has no room"
        shared = sum(costs[again:last])
        assert shared <= overlap * plan.tokens
        assert again - 1 == first or shared + costs[again - 1] > overlap * plan.tokens, "one more segment would be too much"


def test_a_batch_has_numbers_and_marks_where_its_markers_are() -> None:
    page = ["w0 w1", "w2", "w3 w4 w5"]
    windows = list(pack([page], _tokenizer(), WindowPlan(9, 0.0, 6, 2, marker=1, closing=2, pad=0)))
    assert [window.first for window in windows] == [0, 2]
    batch = collate(windows, PLAN)
    told = numbers(page)
    assert batch["input_ids"].tolist() == [[1, 4, 5, 1, 6, 2], [1, 7, 8, 9, 2, 0]]
    assert batch["attention_mask"].tolist() == [[1, 1, 1, 1, 1, 1], [1, 1, 1, 1, 1, 0]]
    assert batch["is_marker"].tolist() == [[1, 0, 0, 1, 0, 0], [1, 0, 0, 0, 0, 0]]
    expected = np.zeros_like(batch["numbers"])
    expected[0, 0], expected[0, 3], expected[1, 0] = told
    assert (batch["numbers"] == expected).all()


def test_a_longer_segment_keeps_its_head_and_its_tail() -> None:
    plan = SegmentPlan(head=3, tail=2, opening=1, closing=2, pad=0)
    texts = ["w0", "w0 w1 w2 w3 w4", "w0 w1 w2 w3 w4 w5", ""]
    assert plan.ids(texts, _tokenizer()) == [[1, 4, 2], [1, 4, 5, 6, 7, 8, 2], [1, 4, 5, 6, 8, 9, 2], [1, 2]]
    headed = SegmentPlan(head=2, tail=0, opening=1, closing=2, pad=0)
    assert headed.ids(["w0 w1 w2"], _tokenizer()) == [[1, 4, 5, 2]]


def test_every_segment_has_the_vector_of_its_own_text_and_the_numbers_of_its_own_page(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hierarchical, "BATCH_TOKENS", 12)
    embedded: list[list[int]] = []

    def embed(ids: np.ndarray, mask: np.ndarray) -> np.ndarray:
        embedded.extend(row[: int(own.sum())].tolist() for row, own in zip(ids, mask, strict=True))
        return np.stack([(ids * mask).sum(axis=1), mask.sum(axis=1)], axis=1).astype(np.float32)

    told: list[tuple[np.ndarray, np.ndarray]] = []

    def read(vectors: np.ndarray, page_numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        told.append((vectors, page_numbers))
        return np.hstack([vectors, vectors]).astype(np.float32), vectors[:, ::-1]

    pages = [["w5 w6", "w1", "w1", "w2 w3 w4"], [], ["w1", "w9"]]
    plan = SegmentPlan(head=6, tail=2, opening=1, closing=2, pad=0)
    states, topics = Hierarchical(embed, read, _tokenizer(), plan, ("business", "sport")).states(pages)
    assert topics is not None
    assert len(embedded) == len({text for page in pages for text in page}), "each text is read once"
    assert [len(page) for page in states] == [len(page) for page in topics] == [4, 0, 2]
    for page, own, own_topics in zip(pages, states, topics, strict=True):
        sums = [[1 + 2 + sum(int(word[1:]) + 4 for word in text.split()), 2 + len(text.split())] for text in page]
        assert own[:, :2].tolist() == sums
        assert own_topics[:, ::-1].tolist() == sums
    for page, (_, page_numbers) in zip([page for page in pages if page], told, strict=True):
        assert (page_numbers == np.hstack([numbers(page), captions(page)])).all()
        assert (page_numbers == counted(page)).all()
    assert Hierarchical(embed, read, _tokenizer(), plan, ()).states(pages)[1] is None
