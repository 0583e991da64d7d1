from __future__ import annotations

from pathlib import Path

import pytest

from tests.helpers.configs import ConfigMaker
from train.common.errors import InputError
from train.common.files import begin_folder, read_json
from train.corpus.page import Page
from train.training.crossval import predict_folds


def test_a_run_killed_while_it_wrote_its_marker_goes_on(
    make_config: ConfigMaker, pages: list[Page], tmp_path: Path
) -> None:
    work = tmp_path / "work"
    work.mkdir()
    (work / ".state.json.host.999999.part").write_text('"half')
    config = make_config("demo-baseline", "baseline.max_iterations=5", "baseline.stacking_neighbours=0")
    first = next(iter(predict_folds(config, pages, "corpus", count=3, work=work)))
    assert first
    assert not list(work.glob("*.part"))


def test_a_folder_of_others_is_left_alone(make_config: ConfigMaker, pages: list[Page], tmp_path: Path) -> None:
    work = tmp_path / "work"
    work.mkdir()
    (work / "thesis.txt").write_text("mine")
    with pytest.raises(InputError, match="not ours"):
        next(iter(predict_folds(make_config("demo-baseline"), pages, "corpus", count=3, work=work)))
    assert (work / "thesis.txt").read_text() == "mine"


def test_a_folder_cleared_halfway_still_says_it_is_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    work = tmp_path / "work"
    begin_folder(work, "old")
    for name in ("a", "b"):
        (work / name).mkdir()

    def killed(path: Path) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("shutil.rmtree", killed)
        with pytest.raises(KeyboardInterrupt):
            begin_folder(work, "new")
    assert read_json(work / "state.json") == "old"
    begin_folder(work, "new")
    assert [path.name for path in work.iterdir()] == ["state.json"]
    (work / "kept").mkdir()
    begin_folder(work, "new")
    assert read_json(work / "state.json") == "new"
    assert (work / "kept").is_dir()
