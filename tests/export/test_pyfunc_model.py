"""What the service calls, called here: which page ids are taken, which are named, and which are refused as the caller's
mistake."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mlflow.exceptions import MlflowException

from train.common.files import sha256_file, write_json
from train.tracking.senders import quiet


class _Echo:
    """A labeler that answers what it was given."""

    def __init__(self) -> None:
        self.given: list[tuple[Any, list[str]]] = []

    def label(self, pages: Iterator[tuple[Any, Sequence[str]]]) -> Iterator[dict[str, Any]]:
        for page_id, texts in pages:
            self.given.append((page_id, list(texts)))
            yield {"page_id": page_id, "segments": list(texts)}


def _bare() -> Any:
    with quiet():  # MLflow warns of its own types as it is imported
        from train.export.pyfunc_model import PageLabeler
    return PageLabeler()


def _model() -> Any:
    model = _bare()
    model.labeler = _Echo()
    return model


def _frame(ids: Sequence[Any]) -> pd.DataFrame:
    """Pages of those ids, whose one segment tells their place."""
    return pd.DataFrame(
        {"page_id": pd.Series(list(ids), dtype=object), "segments": [[f"text {i}"] for i in range(len(ids))]}
    )


def _ids(ids: Sequence[Any]) -> list[str]:
    records = _model().predict(None, _frame(ids))
    assert [record["segments"] for record in records] == [[f"text {i}"] for i in range(len(ids))], (
        "in the order they came"
    )
    return [record["page_id"] for record in records]


def test_page_ids_are_answered_as_they_were_given() -> None:
    assert _ids(["a", "", "0", "page-9", "ünï \ud800", " b "]) == ["a", "", "0", "page-9", "ünï \ud800", " b "]


def test_pages_of_the_same_id_are_all_answered() -> None:
    assert _ids(["a", "a", "b", "a"]) == ["a", "a", "b", "a"]


@pytest.mark.parametrize("missing", [None, float("nan"), np.nan, np.float64("nan")])
def test_a_page_without_an_id_is_called_by_its_row(missing: Any) -> None:
    assert _ids([missing, "a", missing]) == ["page-0", "a", "page-2"]


def test_pages_without_the_column_are_called_by_their_rows_whatever_the_frame_calls_them() -> None:
    frame = _frame(["x", "y", "z"]).drop(columns="page_id")
    frame.index = [7, 7, 9]
    assert [record["page_id"] for record in _model().predict(None, frame)] == ["page-0", "page-1", "page-2"]


WRONG = [
    5,
    0,
    1.5,
    True,
    False,
    b"a",
    ["a"],
    ("a",),
    {"id": "a"},
    np.int64(3),
    np.float64(0.5),
    float("inf"),
    np.str_("a").encode(),
    pd.Timestamp(0),
]


@pytest.mark.parametrize("wrong", WRONG, ids=repr)
@pytest.mark.parametrize("row", [0, 2])
def test_another_kind_of_id_is_the_callers_mistake_and_names_its_row(wrong: Any, row: int) -> None:
    ids: list[Any] = ["a", "b", "c"]
    ids[row] = wrong
    model = _model()
    with pytest.raises(MlflowException) as caught:
        model.predict(None, _frame(ids))
    assert caught.value.get_http_status_code() == 400
    assert f"row {row}: page_id is {wrong!r}; expected a string" in str(caught.value)
    assert model.labeler.given == [], "nothing is labelled of what is answered with an error"


@given(
    ids=st.lists(
        st.one_of(
            st.text(max_size=4), st.none(), st.integers(), st.booleans(), st.lists(st.text(max_size=1), max_size=2)
        ),
        max_size=6,
    )
)
def test_ids_are_texts_or_missing_or_refused(ids: list[Any]) -> None:
    bad = [i for i, page_id in enumerate(ids) if page_id is not None and not isinstance(page_id, str)]
    if not bad:
        assert _ids(ids) == [f"page-{i}" if page_id is None else page_id for i, page_id in enumerate(ids)]
    else:
        with pytest.raises(MlflowException, match=f"^row {bad[0]}: ") as caught:
            _ids(ids)
        assert caught.value.get_http_status_code() == 400


def test_arrays_of_texts_are_pages_too() -> None:
    frame = pd.DataFrame({"segments": [np.array(["a", "b"], dtype=object), ["c"], np.array([], dtype=object)]})
    assert [record["segments"] for record in _model().predict(None, frame)] == [["a", "b"], ["c"], []]


CODE = """
from .answers import SAYS
class Labeler:
    @classmethod
    def load(cls, folder):
        return cls()
    def label(self, pages):
        return [{"page_id": page_id, "says": SAYS} for page_id, _ in pages]
"""


def test_a_bundle_is_read_by_its_own_code_beside_others(tmp_path: Path) -> None:
    models = []
    for name in ("old", "new"):
        package = tmp_path / name / "newsparts_runtime"
        package.mkdir(parents=True)
        (package / "__init__.py").write_text(CODE)
        (package / "answers.py").write_text(f"SAYS = {name!r}\n")
        (package / "__pycache__").touch()
        files = {f"newsparts_runtime/{path.name}": sha256_file(path) for path in package.iterdir()}
        write_json(tmp_path / name / "bundle.json", {"files": files, "documents": {}})
        model = _bare()
        model.load_context(SimpleNamespace(artifacts={"bundle": str(tmp_path / name)}))
        models.append(model)
    assert [model.predict(None, _frame(["a"])) for model in models] == [
        [{"page_id": "a", "says": name}] for name in ("old", "new")
    ]
