"""Names as MLflow takes them, whatever a topic holds."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from train.tracking.tracker import safe_names


@given(st.sets(st.one_of(st.text("ab/. _-:?\n", max_size=8), st.text(max_size=300)), max_size=6))
def test_every_topic_has_a_metric_of_its_own_that_mlflow_takes(topics: set[str]) -> None:
    from mlflow.utils.validation import MAX_ENTITY_KEY_LENGTH, _validate_metric_name

    told = safe_names({f"test/topic/f1/{topic}": topic for topic in topics})
    assert sorted(told.values()) == sorted(topics)
    for name in told:
        _validate_metric_name(name)
        assert len(name) <= MAX_ENTITY_KEY_LENGTH


def test_names_that_mlflow_takes_stay_and_others_are_told_apart() -> None:
    names = ["a/b c", "tech//science", "x/", "..", "economy, business"]
    assert list(safe_names(dict.fromkeys(names))) == ["a/b c", "tech/_/science", "x/_", "__", "economy_ business"]
    assert "a_" in safe_names({"a_": 0, "a?": 1, "a!": 2})
