"""Addresses, paths and stores as MLflow takes them, whatever a path or a password holds."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from train.common.addresses import has_password, sqlite_file, sqlite_uri, without_secrets
from train.common.errors import InputError
from train.tracking import plain_paths
from train.tracking.senders import first_line
from train.tracking.store import connect, no_answer


@given(st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1, max_size=12))
def test_a_sqlite_file_is_found_again_by_its_address_whatever_its_folder_is_called(name: str) -> None:
    file = Path("/srv", name, "mlflow.db")
    assert sqlite_file(sqlite_uri(file)) == file
    assert sqlite_file(f"postgresql://host/{len(name)}") is None


@pytest.mark.parametrize("name", ["a%2Fb", "a?b", "a#b c", 'it\'s "x"', "Zürich 50%"])
def test_a_store_is_made_in_any_folder(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import mlflow

    (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path / name)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", sqlite_uri(Path("mlflow.db")))
    experiment = connect()
    assert (tmp_path / name / "mlflow.db").is_file()
    with mlflow.start_run(experiment_id=experiment):
        mlflow.log_text("kept", "a b.txt")
    assert [path.read_text() for path in (tmp_path / name / "mlartifacts").rglob("a b.txt")] == ["kept"]


def test_a_store_in_no_folder_is_told_at_once_by_its_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/a%2Fb/mlflow.db")
    with pytest.raises(InputError, match=r"a/b: no such folder[\s\S]*%25 stands for %"):
        connect()


def test_a_path_with_odd_characters_has_a_plain_link(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plain_paths, "gettempdir", lambda: str(tmp_path))
    odd = tmp_path / "a%2F b#"
    odd.mkdir()
    (odd / "file").write_text("x")
    link = plain_paths.plain_path(odd)
    assert (link / "file").read_text() == "x"
    assert not set("%# ") & set(str(link))
    assert plain_paths.plain_path(odd) == link
    assert plain_paths.plain_path(tmp_path) == tmp_path
    link.parent.chmod(0o777)
    with pytest.raises(InputError, match="no way around"):
        plain_paths.plain_path(odd)


def test_an_experiment_that_was_deleted_is_to_be_restored(store: Path) -> None:
    import mlflow

    number = connect("gone")
    mlflow.MlflowClient().delete_experiment(number)
    with pytest.raises(
        InputError, match=rf"was deleted[\s\S]*--experiment-id {number}[\s\S]*tracking.experiment="
    ) as caught:
        connect("gone")
    assert caught.value.rule == "deleted-experiment"


SECRET = "S3cretPW"


@pytest.mark.parametrize(
    "address",
    [
        f"http://bob:{SECRET}@127.0.0.1:1",
        f"postgresql+psycopg://u:{SECRET}@host:5432/db?sslmode=require",
        f"postgresql://u:p@ss/{SECRET}@host/db",
        f"postgresql://host/db?user=u&password={SECRET}&x=1",
        f"https://{SECRET}@host/mlflow",
        f"mysql://:{SECRET}@host/db",
        f"https://host/x?api_key={SECRET}",
    ],
)
def test_no_message_shows_a_password(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
    error = no_answer(OSError(f"cannot reach '{address}': refused"))
    shown = [str(error), first_line(OSError(f"at {address}")), without_secrets(f"tag: {address!r}, and more")]
    assert SECRET not in "".join(shown)
    assert "more" in shown[2]
    assert has_password(f"--store={address}") or address.startswith(f"https://{SECRET}@")


def test_what_holds_no_password_stays_as_it_is() -> None:
    for text in (
        "sqlite:////a/b.db",
        "https://host:8080/a?b=c",
        "mail a@b.example",
        "postgresql://host/db",
        "https://x/@y",
    ):
        assert without_secrets(text) == text
        assert not has_password(text)
    assert not has_password("postgresql://postgres@127.0.0.1/db"), "a user's name alone"
