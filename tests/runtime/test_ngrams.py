"""The fast way must give what scikit-learn gives: it is the reference in every test here."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.feature_extraction.text import TfidfVectorizer

from tests.helpers.pages import make_page
from train.common.errors import InputError
from train.models.baseline.vocabulary import fit_tfidf
from train.runtime import code_points, ngrams
from train.runtime.ngrams import Vectoriser, term_hashes
from train.runtime.text import clean

KINDS = [("word", (1, 1)), ("word", (1, 2)), ("char_wb", (2, 4)), ("char_wb", (1, 3)), ("char_wb", (4, 5))]
TEXTS = st.lists(
    st.text(st.one_of(st.characters(exclude_categories=[]), st.sampled_from("aAbB_ İΣß'-.1\n")), max_size=30),
    min_size=1,
    max_size=8,
)
PAGE = [clean(s.text) for n in range(6) for s in make_page(f"site{n}", n).segments]


def _reference(analyzer: str, ngram_range: tuple[int, int], **more: object) -> TfidfVectorizer:
    return TfidfVectorizer(analyzer=analyzer, ngram_range=ngram_range, sublinear_tf=True, dtype=np.float32, **more)


@pytest.mark.parametrize(("analyzer", "ngram_range"), KINDS)
@given(texts=TEXTS)
@settings(max_examples=60)
def test_any_text_has_the_rows_of_scikit_learn(analyzer: str, ngram_range: tuple[int, int], texts: list[str]) -> None:
    texts = [clean(text) for text in texts]
    reference = _reference(analyzer, ngram_range)
    try:
        expected = reference.fit_transform([*texts, "some words for every kind"])[: len(texts)]
    except ValueError:  # an empty vocabulary
        return
    found = Vectoriser.of(reference).transform(texts)
    assert np.allclose(found.toarray(), expected.toarray(), atol=1e-6)


@pytest.mark.parametrize(("analyzer", "ngram_range"), KINDS)
def test_batches_and_unknown_terms_change_nothing(
    analyzer: str, ngram_range: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    reference = _reference(analyzer, ngram_range).fit(PAGE[::2])
    expected = reference.transform([*PAGE, "", "a", "new words"])
    monkeypatch.setattr(code_points, "BATCH_CHARS", 100)
    found = Vectoriser.of(reference).transform([*PAGE, "", "a", "new words"])
    assert found.shape == expected.shape
    assert np.allclose(found.toarray(), expected.toarray(), atol=1e-6)
    assert Vectoriser.of(reference).transform([]).shape == (0, expected.shape[1])


@pytest.mark.parametrize(("analyzer", "ngram_range"), KINDS)
@pytest.mark.parametrize("batch_chars", [200, 1_000_000])
def test_a_fitted_vocabulary_is_that_of_scikit_learn(
    analyzer: str, ngram_range: tuple[int, int], batch_chars: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(code_points, "BATCH_CHARS", batch_chars)
    texts = [*PAGE, "Ein-Wort, 2 a b  Wörter: ein-wort"]
    reference = _reference(analyzer, ngram_range, min_df=2).fit(texts)
    found = fit_tfidf(texts, analyzer=analyzer, shortest=ngram_range[0], longest=ngram_range[1], most=10**6, min_df=2)
    assert found.vocabulary_ == reference.vocabulary_
    assert np.allclose(found.idf_, reference.idf_)
    assert np.allclose(found.transform(texts).toarray(), reference.transform(texts).toarray(), atol=1e-6)


def test_the_most_frequent_terms_are_kept() -> None:
    counts = {"common": 9, "frequent": 6, "seldom": 2}
    texts = [word for word, count in counts.items() for _ in range(count)]
    found = fit_tfidf(texts, analyzer="word", shortest=1, longest=1, most=2, min_df=1)
    assert set(found.vocabulary_) == {"common", "frequent"}


def test_hashes_of_many_terms_do_not_collide() -> None:
    terms = [f"{a}{b}" for a in "abcdefghijklmnopqrstuvwxyz0123456789 " for b in range(5000)]
    assert len(np.unique(term_hashes(terms))) == len(terms)


def test_texts_without_words_are_told() -> None:
    with pytest.raises(InputError, match="no word of two letters in 1 or more of 3 texts"):
        fit_tfidf(["a", "", "1"], analyzer="word", shortest=1, longest=2, most=9, min_df=1)


def test_a_vocabulary_without_terms_counts_nothing() -> None:
    reference = _reference("word", (1, 1)).fit(["some words"])
    reference.vocabulary_, reference.idf_ = {}, np.zeros(0)
    assert Vectoriser.of(reference).transform(["some words", ""]).shape == (2, 0)


@pytest.mark.parametrize(
    "setting", [{"analyzer": "char"}, {"ngram_range": (1, 3)}, {"lowercase": False}, {"norm": "l1"}]
)
def test_another_kind_of_vectoriser_is_refused(setting: dict[str, object]) -> None:
    fitted = TfidfVectorizer(**{"sublinear_tf": True, **setting}).fit(PAGE)
    with pytest.raises(ValueError, match="another kind"):
        Vectoriser.of(fitted)


def test_threads_share_the_powers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Servers label in several threads; each page needs powers of its own length."""
    import sys
    from concurrent.futures import ThreadPoolExecutor

    texts = [["word " * n] for n in (3, 40, 500, 3_000, 20_000, 7)]
    expected = [ngrams.word_grams(text, 2).hashes for text in texts]
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(6) as pool:
            for _ in range(40):
                monkeypatch.setattr(ngrams, "_POWERS", ngrams._Powers())
                found = list(pool.map(lambda text: ngrams.word_grams(text, 2).hashes, texts))
                assert all((a == b).all() for a, b in zip(found, expected, strict=True))
    finally:
        sys.setswitchinterval(interval)
