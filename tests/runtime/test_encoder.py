"""The encoder at work, with networks that are told: what is read once, and what goes where."""

from __future__ import annotations

import numpy as np
import pytest
from tokenizers import Tokenizer, models, pre_tokenizers

from train.runtime import encoder
from train.runtime.captions import captions
from train.runtime.encoder import Encoder, SegmentPlan, counted
from train.runtime.page_features import numeric_features

WORDS = 50


def _tokenizer() -> Tokenizer:
    vocabulary = {"[PAD]": 0, "[M]": 1, "[E]": 2, "[UNK]": 3, **{f"w{i}": i + 4 for i in range(WORDS)}}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    return tokenizer


def test_a_longer_segment_keeps_its_head_and_its_tail() -> None:
    plan = SegmentPlan(head=3, tail=2, opening=1, closing=2, pad=0)
    texts = ["w0", "w0 w1 w2 w3 w4", "w0 w1 w2 w3 w4 w5", ""]
    assert plan.ids(texts, _tokenizer()) == [[1, 4, 2], [1, 4, 5, 6, 7, 8, 2], [1, 4, 5, 6, 8, 9, 2], [1, 2]]
    headed = SegmentPlan(head=2, tail=0, opening=1, closing=2, pad=0)
    assert headed.ids(["w0 w1 w2"], _tokenizer()) == [[1, 4, 5, 2]]


def test_every_segment_has_the_vector_of_its_own_text_and_the_numbers_of_its_own_page(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(encoder, "BATCH_TOKENS", 12)
    embedded: list[list[int]] = []

    def embed(ids: np.ndarray, mask: np.ndarray) -> np.ndarray:
        embedded.extend(row[: int(own.sum())].tolist() for row, own in zip(ids, mask, strict=True))
        sums, lengths = (ids * mask).sum(axis=1), mask.sum(axis=1)
        return np.stack([sums, lengths, lengths, sums], axis=1).astype(np.float32)

    told: list[tuple[np.ndarray, np.ndarray]] = []

    def read(vectors: np.ndarray, page_numbers: np.ndarray) -> np.ndarray:
        told.append((vectors, page_numbers))
        return np.hstack([vectors, vectors]).astype(np.float32)

    pages = [["w5 w6", "w1", "w1", "w2 w3 w4"], [], ["w1", "w9"]]
    plan = SegmentPlan(head=6, tail=2, opening=1, closing=2, pad=0)
    states, topics = Encoder(embed, read, _tokenizer(), plan, ("business", "sport")).score_segments(pages)
    assert topics is not None
    assert len(embedded) == len({text for page in pages for text in page}), "each text is read once"
    assert [len(page) for page in states] == [len(page) for page in topics] == [4, 0, 2]
    for page, own, own_topics in zip(pages, states, topics, strict=True):
        sums = [[1 + 2 + sum(int(word[1:]) + 4 for word in text.split()), 2 + len(text.split())] for text in page]
        assert own[:, :2].tolist() == sums
        assert own_topics[:, ::-1].tolist() == sums
    for page, (_, page_numbers) in zip([page for page in pages if page], told, strict=True):
        assert (page_numbers == np.hstack([numeric_features(page), captions(page)])).all()
        assert (page_numbers == counted(page)).all()
    assert Encoder(embed, read, _tokenizer(), plan, ()).score_segments(pages)[1] is None


def test_pages_share_batches_unless_each_is_to_be_read_by_itself() -> None:
    pages = [["w0 w1", "w2"], [], ["w3", "w4 w5"], ["w6", "w7"]]
    words_of = [{int(word[1:]) + 4 for text in page for word in text.split()} for page in pages]
    most, found = [], []
    for page_by_page in (False, True):
        batches: list[set[int]] = []

        def embed(ids: np.ndarray, mask: np.ndarray, batches: list[set[int]] = batches) -> np.ndarray:
            batches.append(set(ids.ravel().tolist()))
            return np.tile((ids * mask).sum(axis=1, keepdims=True).astype(np.float32), 2)

        def read(vectors: np.ndarray, page_numbers: np.ndarray) -> np.ndarray:
            return np.tile(vectors, 4)

        plan = SegmentPlan(head=6, tail=2, opening=1, closing=2, pad=0)
        found.append(Encoder(embed, read, _tokenizer(), plan, ("sport",), page_by_page).score_segments(pages))
        most.append(max(sum(bool(words & batch) for words in words_of) for batch in batches))
    assert most[0] == 3
    assert most[1] == 1
    for alone, among in zip(*found, strict=True):
        assert alone is not None
        assert among is not None
        assert [rows.tolist() for rows in alone] == [rows.tolist() for rows in among]
