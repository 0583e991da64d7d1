"""Fitting a `TfidfVectorizer`'s vocabulary with `train.runtime.ngrams`: the same terms, without a Python string for
every n-gram."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer

from train.common.errors import InputError
from train.runtime.code_points import batches
from train.runtime.ngrams import Grams, counted, grams_of

_WORD = re.compile(r"\w\w+")


def fit_tfidf(
    texts: Sequence[str], *, analyzer: str, shortest: int, longest: int, most: int, min_df: int
) -> TfidfVectorizer:
    """What `TfidfVectorizer(sublinear_tf=True, …).fit(texts)` gives, but for the order of columns and which of equally
    frequent terms are kept.

    Args:
        texts: The texts to fit on.
        analyzer: `word` or `char_wb`.
        shortest: Length of the shortest n-gram; for words always 1.
        longest: Length of the longest n-gram; for words at most 2.
        most: The size of the vocabulary: the most frequent n-grams are kept.
        min_df: Leave out n-grams that fewer texts have.

    Raises:
        InputError: None is in so many texts.
    """
    hashes, totals, texts_with = np.zeros(0, np.uint64), np.zeros(0, np.int64), np.zeros(0, np.int64)
    seen: list[Grams] = []
    for batch in batches(texts):
        grams, of_text = grams_of(batch, analyzer, shortest, longest)
        distinct, first, columns = np.unique(grams.hashes, return_index=True, return_inverse=True)
        seen.append(Grams(first, distinct, grams.starts[first], grams.ends[first], grams.codes))
        counts = counted(len(batch), grams, of_text, columns, len(distinct))
        merged = np.union1d(hashes, distinct)
        old, new = np.searchsorted(merged, hashes), np.searchsorted(merged, distinct)
        grown = np.zeros((2, len(merged)), np.int64)
        grown[0, old], grown[1, old] = totals, texts_with
        grown[0, new] += np.asarray(counts.sum(axis=0), np.int64).ravel()
        grown[1, new] += np.bincount(counts.indices, minlength=counts.shape[1])
        hashes, (totals, texts_with) = merged, grown
    frequent = np.flatnonzero(texts_with >= min_df)
    if not len(frequent):
        raise InputError(
            f"no {'word of two letters' if analyzer == 'word' else 'run of letters'} in {min_df} or more of "
            f"{len(texts):,} texts",
            expected="texts that share words",
            remedy="train on more pages, or lower baseline.min_df",
            rule="no-words",
        )
    chosen = np.sort(frequent[np.lexsort((hashes[frequent], -totals[frequent]))[:most]])
    terms = _terms(hashes[chosen], seen, analyzer)
    order = np.argsort(np.array(terms, dtype=object))
    fitted = TfidfVectorizer(
        analyzer=analyzer,
        ngram_range=(shortest, longest),
        min_df=min_df,
        max_features=most,
        sublinear_tf=True,
        dtype=np.float32,
    )
    fitted.vocabulary_ = {terms[i]: column for column, i in enumerate(order)}
    fitted.fixed_vocabulary_ = False
    fitted.idf_ = (np.log((1 + len(texts)) / (1 + texts_with[chosen][order])) + 1).astype(np.float32)
    return fitted


def _terms(hashes: np.ndarray, seen: Sequence[Grams], analyzer: str) -> list[str]:
    """The n-grams of some hashes as strings, from the first batch that had each."""
    terms: dict[int, str] = {}
    missing = np.ones(len(hashes), bool)
    for grams in seen:
        at = np.minimum(np.searchsorted(grams.hashes, hashes), len(grams.hashes) - 1)
        for i in np.flatnonzero(missing & (grams.hashes[at] == hashes)).tolist():
            text = grams.codes[grams.starts[at[i]] : grams.ends[at[i]]].tobytes().decode("utf-32-le", "surrogatepass")
            # Between two words there may be more than a space: signs, and words of one letter.
            terms[i] = " ".join(_WORD.findall(text)) if analyzer == "word" else text
            missing[i] = False
    return [terms[i] for i in range(len(hashes))]
