from __future__ import annotations

from pathlib import Path

import pytest

from train.common.errors import InputError
from train.inference import resolve


@pytest.mark.parametrize(
    "model",
    [
        "https://user:S3cretPW@models.example/x",
        "http://127.0.0.1:1/x",
        "s3://bucket/model",
        "file:///tmp/model",
        "dbfs:/model",
        "models://profile@databricks/x",
        "mlflow-artifacts://models.example/x",
        "RUNS:/0/model",
    ],
)
def test_a_model_of_another_place_is_refused_before_anything_is_asked(
    model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resolve, "connect", lambda: pytest.fail("asked"))
    with pytest.raises(InputError, match="a model of ") as caught:
        resolve.bundle_folder(model)
    assert caught.value.rule == "foreign-model"
    assert "S3cretPW" not in str(caught.value)


def test_a_folder_is_one_whatever_it_is_called_and_wherever_in_it_the_bundle_lies(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for place in ("a:/b", "run/bundle", "model/artifacts/bundle"):
        Path(place).mkdir(parents=True)
        (Path(place) / "bundle.json").write_text("{}")
    assert resolve.bundle_folder("a:/b") == Path("a:/b")
    assert resolve.bundle_folder("run") == Path("run/bundle")
    assert resolve.bundle_folder("model") == Path("model/artifacts/bundle")
    with pytest.raises(InputError, match="no such folder"):
        resolve.bundle_folder("nowhere")


@pytest.mark.parametrize(
    "uri", ["models:/newsparts@champion", "runs:/0a/model", "mlflow-artifacts:/1/0a/artifacts/model"]
)
def test_models_of_the_store_are_asked_for(uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import mlflow

    (tmp_path / "artifacts/bundle").mkdir(parents=True)
    (tmp_path / "artifacts/bundle/bundle.json").write_text("{}")
    monkeypatch.setattr(resolve, "connect", lambda: "1")
    monkeypatch.setattr(mlflow.artifacts, "download_artifacts", lambda artifact_uri: str(tmp_path))
    assert resolve.bundle_folder(uri) == tmp_path / "artifacts/bundle"
