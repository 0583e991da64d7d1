from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.helpers.configs import shrunk
from tests.helpers.pages import make_page
from tests.helpers.toys import QUICK
from train.inference.explain import explainer_of, feature_names, top_features
from train.runtime import Labeler
from train.runtime.text import clean
from train.training.recipe import fit


@pytest.fixture(scope="module")
def labeler(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Labeler:
    outcome = fit(shrunk("pages-baseline", corpus, corpus, tmp_path_factory.mktemp("explained"), *QUICK))
    return Labeler.load(outcome.output / "bundle")


def test_every_column_has_a_name(labeler: Labeler) -> None:
    names = feature_names(labeler.scorer)  # type: ignore[arg-type]
    assert len(names) == labeler.scorer.linear.coef_.shape[1]  # type: ignore[union-attr]
    assert len(set(names)) == len(names)


def test_contributions_add_up_to_the_log_odds(labeler: Labeler) -> None:
    texts = make_page("unseen", 1).texts
    explainer = explainer_of(labeler)
    assert explainer is not None
    reasons = explainer.why(texts, count=10**6)
    (states,), _ = labeler.scorer.score_segments([[clean(text) for text in texts]])
    linear = labeler.scorer.linear  # type: ignore[union-attr]
    for reason, row in zip(reasons, states, strict=True):
        first, second = np.argsort(-row)[:2]
        assert reason.probability == pytest.approx(row[first], abs=1e-5)
        intercepts = (
            linear.intercept_[list(linear.classes_).index(first)]
            - linear.intercept_[list(linear.classes_).index(second)]
        )
        assert sum(value for _, value in reason.features) + intercepts == pytest.approx(
            np.log(row[first] / row[second]), abs=1e-3
        )


def test_what_a_site_writes_over_related_items_speaks_for_them(labeler: Labeler) -> None:
    found = top_features(labeler.scorer, 40)  # type: ignore[arg-type]
    assert set(found) == {"main", "boilerplate", "related-begins", "related-goes-on"}
    before = [name for name, _ in found["related-begins"] if " at -" in name]
    assert any("more" in name or "from" in name for name in before)
    for rows in found.values():
        assert [weight for _, weight in rows] == sorted((weight for _, weight in rows), reverse=True)
