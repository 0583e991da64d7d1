"""The baseline beside a plain scikit-learn pipeline with the same features, and beside extractors that read HTML."""

from __future__ import annotations

import html
import importlib.util
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sp
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from train.bench.compare import Row, compare, split_pages
from train.config.schema import BaselineConfig, load_config
from train.corpus.page import Page
from train.corpus.training_data import TrainingPages
from train.models.baseline.family import BaselineFamily
from train.models.family import page_tags
from train.models.linear import fit_linear
from train.models.selection import tags_macro_f1
from train.runtime import Labeler
from train.runtime.baseline import SHAPES, ends, similarity
from train.runtime.decoding import Decoder
from train.runtime.encoder import counted
from train.runtime.features import shifted
from train.runtime.text import clean


class PlainPipeline:
    """The first reading as one would write it with scikit-learn alone: three vectorisers, neighbours' rows stacked,
    logistic regression."""

    def __init__(self, config: BaselineConfig) -> None:
        self.config = config
        common: dict[str, Any] = {"min_df": config.min_df, "sublinear_tf": True, "dtype": np.float32}
        self.words = TfidfVectorizer(ngram_range=(1, 2), max_features=config.max_words, **common)
        self.chars = TfidfVectorizer(
            analyzer="char_wb",
            ngram_range=(config.char_ngrams[0], config.char_ngrams[1]),
            max_features=config.max_chars,
            **common,
        )
        self.around = TfidfVectorizer(max_features=config.neighbour_words, **common)
        self.scaler = StandardScaler()
        self.linear: LogisticRegression | None = None

    def features(self, pages: Sequence[Sequence[str]], *, fit: bool) -> sp.csr_matrix:
        """The same features as those of the baseline (`Baseline.features`), float32.

        Args:
            pages: The texts of each page's segments, cleaned.
            fit: Whether to fit the vectorisers and the scaler to these pages first.

        Returns:
            [number of segments, number of features].
        """
        texts, lengths = list(chain.from_iterable(pages)), [len(page) for page in pages]
        offsets = [*range(-self.config.neighbours_before, 0), *range(1, self.config.neighbours_after + 1)]
        heads = [ends(text) for text in texts]
        words, chars, around = (
            (vectoriser.fit_transform if fit else vectoriser.transform)(of)
            for vectoriser, of in ((self.words, texts), (self.chars, heads), (self.around, texts))
        )
        numbers = np.hstack([np.concatenate([counted(page) for page in pages]), similarity(pages, words)])
        numbers = np.hstack([numbers, *(shifted(numbers[:, :SHAPES], offset, lengths) for offset in offsets)])
        scaled = (self.scaler.fit_transform if fit else self.scaler.transform)(numbers).astype(np.float32)
        blocks = [words, chars, *(shifted(around, offset, lengths) for offset in offsets), sp.csr_matrix(scaled)]
        return sp.hstack(blocks, format="csr", dtype=np.float32)

    def fit(self, pages: Sequence[Sequence[str]], states: np.ndarray) -> None:
        """Trains it.

        Args:
            pages: The texts of each page's segments, cleaned.
            states: The tag of each segment of all pages, [number of segments].
        """
        self.linear = fit_linear(self.features(pages, fit=True), states, self.config.C, self.config.max_iterations, 13)

    def score_segments(self, pages: Sequence[Sequence[str]]) -> np.ndarray:
        """The tag probabilities of the segments of all pages, [number of segments, 4]."""
        assert self.linear is not None, "fit first"
        return np.asarray(self.linear.predict_proba(self.features(pages, fit=False)))


def _score(states: np.ndarray, pages: Sequence[Page]) -> str:
    """The macro-F1 of roles, from the state probabilities of all segments."""
    by_page = np.split(states, np.cumsum([len(page.segments) for page in pages])[:-1])
    return f"role macro-F1 {tags_macro_f1(by_page, pages):.3f}"


def run(corpus: Path, rounds: int) -> list[Row]:
    """Compares training, labelling all pages at once, and a page through from text or HTML to its result.

    Args:
        corpus: Composed pages.
        rounds: The number of rounds that count.
    """
    config = load_config(
        Path("configs/pages-baseline.yaml"), [f"corpus.path={corpus}", "baseline.stacking_neighbours=0"]
    ).baseline
    assert config is not None
    parts = split_pages(corpus)
    train, test = ([page.without_topics() for page in part] for part in (parts["train"][::2], parts["test"]))
    read = [[clean(text) for text in page.texts] for page in train]
    unseen = [[clean(text) for text in page.texts] for page in test]
    states = np.concatenate([page_tags(page) for page in train])
    family, plain = BaselineFamily(config, 13), PlainPipeline(config)
    contenders: dict[str, Callable[[], object]] = {
        "scikit-learn pipeline, same features": lambda: plain.fit(read, states),
        "baseline, one reading": lambda: family.fit(TrainingPages(train), lambda metrics, step: None),
    }
    rows = compare("training", contenders, len(states), "segments/s", rounds=rounds)
    reader, amount = family.scorer(), sum(map(len, unseen))
    answers: dict[str, Callable[[], np.ndarray]] = {
        "scikit-learn pipeline, same features": lambda: plain.score_segments(unseen),
        "baseline, one reading": lambda: np.concatenate(reader.score_segments(unseen)[0]),
    }
    scores = {name: _score(run(), test) for name, run in answers.items()}
    labelling: dict[str, Callable[[], object]] = dict(answers)
    whole = BaselineFamily(replace(config, stacking_neighbours=5), 13)
    whole.fit(TrainingPages(train), lambda metrics, step: None)
    second = whole.scorer()
    labelling["baseline, two readings (as shipped)"] = lambda: second.score_segments(unseen)
    scores["baseline, two readings (as shipped)"] = _score(np.concatenate(second.score_segments(unseen)[0]), test)
    rows += compare("labelling, all pages at once", labelling, amount, "segments/s", rounds=rounds, notes=scores)
    return rows + _extractors(second, test[:40], rounds)


def _extractors(reader: Any, pages: Sequence[Page], rounds: int) -> list[Row]:
    """A page's text through the labeler, and the same page as plain HTML through extractors that are installed."""
    labeler = Labeler(reader, Decoder.from_tags([], weight=0.0), "newsparts", "bench", "baseline", ())
    documents = [_as_html(page) for page in pages]
    contenders: dict[str, Callable[[], object]] = {}
    if importlib.util.find_spec("trafilatura") is not None:
        import trafilatura

        contenders["trafilatura (HTML)"] = lambda: [trafilatura.extract(text) for text in documents]
    contenders["baseline, two readings (text)"] = lambda: [
        next(labeler.label([(page.page_id, page.texts)])) for page in pages
    ]
    if importlib.util.find_spec("readability") is not None:
        from readability import Document

        contenders["readability-lxml (HTML)"] = lambda: [Document(text).summary() for text in documents]
    if importlib.util.find_spec("resiliparse") is not None:
        from resiliparse.extract.html2text import extract_plain_text

        contenders["resiliparse (HTML)"] = lambda: [extract_plain_text(text, main_content=True) for text in documents]
    note = {"baseline, two readings (text)": "labels every segment, stories and confidences"}
    return compare("a page through, one at a time", contenders, len(pages), "pages/s", rounds=rounds, notes=note)


def _as_html(page: Page) -> str:
    """A page as bare HTML: far less mark-up than real pages have, which is in the extractors' favour."""
    body = "\n".join(
        f"<p>{html.escape(s.text)}</p>" if len(s.text) > 80 else f"<div><a href='#'>{html.escape(s.text)}</a></div>"
        for s in page.segments
    )
    return f"<!DOCTYPE html><html><head><title>{html.escape(page.page_id)}</title></head><body>{body}</body></html>"


if __name__ == "__main__":
    print(json.dumps([asdict(row) for row in run(Path(sys.argv[1]), int(sys.argv[2]))]))
