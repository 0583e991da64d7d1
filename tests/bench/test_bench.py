from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.helpers.pages import make_page
from tests.helpers.paths import ROOT
from train.bench import baseline, compare, growth, run
from train.common.errors import InputError
from train.config.schema import load_config
from train.corpus.training_data import TrainingPages
from train.models.family import page_tags
from train.runtime.text import clean
from train.studies.results import read_records


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
    kept = fast.measured()
    assert (kept.metrics["rate"], kept.intervals["ratio"]) == (8.0, (4.0, 4.0))


def test_a_process_of_its_own_has_its_threads_pinned() -> None:
    assert compare.in_own_process("tests.bench.test_bench", "x", **compare.pinned(3)) == ["x", "3"]
    with pytest.raises(RuntimeError, match="failed"):
        compare.in_own_process("tests.bench.no_such_module")


def test_a_section_leaves_records_and_their_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = [growth.Measurement("check", n, seconds, 100.0, 60.0) for n, seconds in ((1_000, 1.0), (10_000, 5.0))]
    monkeypatch.setattr(growth, "growth", lambda *_: found)
    ((path, text),) = run.report(tmp_path, ["growth"], (), (), tmp_path, 1)
    assert path.read_text() == text
    assert "| check | 1.0 s, 100 MB (+40) | 5.0 s, 100 MB (+40) | 2,000 | 0.70 | " in text
    assert read_records(tmp_path)["bench-growth"][0].metrics["slope"] == 0.7
    with pytest.raises(InputError, match="no trained encoder"):
        list(run.report(tmp_path, ["neighbours"], (), (), tmp_path, 1))
    with pytest.raises(InputError, match="section 'cost'"):
        list(run.report(tmp_path, ["cost"], (), (), tmp_path, 1))


def test_the_plain_pipeline_is_the_same_model() -> None:
    """Else the comparison would be one of apples and pears."""
    from train.models.baseline.family import BaselineFamily

    overrides = ["corpus.path=x", "baseline.stacking_neighbours=0", "baseline.max_iterations=400", "baseline.min_df=1"]
    config = load_config(ROOT / "configs/pages-baseline.yaml", overrides).baseline
    assert config is not None
    train, test = ([make_page(f"{part}{n}", n) for n in range(8)] for part in "ab")
    plain, family = baseline.PlainPipeline(config), BaselineFamily(config, 13)
    plain.fit([[clean(t) for t in page.texts] for page in train], np.concatenate([page_tags(page) for page in train]))
    family.fit(TrainingPages(train), lambda metrics, step: None)
    unseen = [[clean(t) for t in page.texts] for page in test]
    ours = [row.argmax() for page in family.scorer().score_segments(unseen)[0] for row in page]
    assert sum(a == b for a, b in zip(ours, plain.score_segments(unseen).argmax(axis=1), strict=True)) >= 0.98 * len(
        ours
    )


if __name__ == "__main__":
    print(json.dumps([*sys.argv[1:], os.environ["OMP_NUM_THREADS"]]))
