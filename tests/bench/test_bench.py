from __future__ import annotations

import numpy as np
import pytest

from tests.helpers.pages import make_page
from tests.helpers.paths import ROOT
from train.bench import baseline, compare
from train.config.schema import load_config
from train.corpus.training_data import TrainingPages
from train.models.family import page_states
from train.runtime.text import clean


def test_contenders_take_turns_and_are_compared_round_by_round(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]
    order: list[str] = []

    def taking(name: str, seconds: float) -> None:
        order.append(name)
        clock[0] += seconds

    monkeypatch.setattr(compare.time, "perf_counter", lambda: clock[0])
    contenders = {"slow": lambda: taking("slow", 4.0), "fast": lambda: taking("fast", 1.0)}
    slow, fast = compare.compare("what", contenders, 8, "pages/s", rounds=3, notes={"fast": "note"})
    assert order == ["slow", "fast", "slow", "fast", "fast", "slow", "slow", "fast"]
    assert (slow.rate, slow.ratio) == (2.0, 1.0)
    assert (fast.rate, fast.ratio, fast.low, fast.high, fast.note) == (8.0, 4.0, 4.0, 4.0, "note")
    assert "| fast | 8.00 pages/s | 4.00 (4.00–4.00) | note |" in compare.table([slow, fast])


def test_the_plain_pipeline_is_the_same_model() -> None:
    """Else the comparison would be one of apples and pears."""
    from train.models.baseline.family import BaselineFamily

    overrides = ["corpus.path=x", "baseline.stacking_neighbours=0", "baseline.max_iterations=400", "baseline.min_df=1"]
    config = load_config(ROOT / "configs/pages-baseline.yaml", overrides).baseline
    assert config is not None
    train, test = ([make_page(f"{part}{n}", n) for n in range(8)] for part in "ab")
    plain, family = baseline.PlainPipeline(config), BaselineFamily(config, 13)
    plain.fit([[clean(t) for t in page.texts] for page in train], np.concatenate([page_states(page) for page in train]))
    family.fit(TrainingPages(train), lambda metrics, step: None)
    unseen = [[clean(t) for t in page.texts] for page in test]
    ours = [row.argmax() for page in family.reader().states(unseen)[0] for row in page]
    assert sum(a == b for a, b in zip(ours, plain.states(unseen).argmax(axis=1), strict=True)) >= 0.98 * len(ours)
