"""A trained page network as a folder of weights: small, whole, and the start of another training."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from tests.helpers.configs import ConfigMaker
from tests.helpers.paths import ROOT
from train.common.errors import InputError
from train.common.files import read_json, write_json
from train.config.schema import load_config
from train.corpus.page import Page
from train.corpus.training_data import TrainingPages
from train.models.encoder.family import EncoderFamily
from train.models.encoder.page_reader import PageReader
from train.models.factory import family_of
from train.models.pretrained import DEFAULT, SETTINGS, WEIGHTS, folder_of, warnings_of
from train.models.selection import role_macro_f1
from train.runtime import Labeler
from train.training.recipe import fit


@pytest.fixture
def run(trained: Callable[[str], Path]) -> Path:
    """A finished run of the encoder."""
    return trained("pages-encoder")


def _answers(run: Path, pages: list[Page]) -> list[list[str]]:
    records = Labeler.load(run / "bundle").label((page.page_id, page.texts) for page in pages)
    return [[segment["role"] for segment in record["segments"]] for record in records]


def test_a_run_leaves_its_page_reader_and_a_family_of_it_reads_as_the_bundle_does(run: Path, pages: list[Page]) -> None:
    reader = PageReader.load(str(run))
    family = EncoderFamily.of(reader)
    labeler = Labeler(family.scorer(), reader.decoder, "", "", "encoder", (), reader.calibration)
    roles = [
        [segment["role"] for segment in record["segments"]]
        for record in labeler.label((page.page_id, page.texts) for page in pages)
    ]
    assert roles == _answers(run, pages)
    parts = read_json(run / "split.json")["parts"]
    assert reader.sites == {*parts["train"]["sites"], *parts["validation"]["sites"]}


def test_weights_are_rounded_by_half_a_step_of_their_row(run: Path, tmp_path: Path) -> None:
    reader = PageReader.load(str(run))
    torch.manual_seed(0)
    exact = {name: torch.randn_like(tensor) if tensor.dim() == 2 else tensor for name, tensor in reader.tensors.items()}
    replace(reader, tensors=exact).save(tmp_path)
    again = PageReader.load(str(tmp_path))
    assert again.tensors.keys() == exact.keys()
    for name, tensor in exact.items():
        step = tensor.abs().amax(dim=-1, keepdim=True) / (127 if name.startswith("upper.") else 1000)
        assert bool(((again.tensors[name] - tensor).abs() <= step / 2 + 1e-6).all()), name
    stored = (tmp_path / WEIGHTS).stat().st_size
    assert stored < 0.6 * sum(4 * tensor.numel() for tensor in exact.values())


def test_training_starts_from_the_page_reader(
    make_config: ConfigMaker, run: Path, pages: list[Page], tmp_path: Path
) -> None:
    def after_an_epoch(*overrides: str) -> float:
        config = make_config("pages-encoder", "encoder.epochs=1", "encoder.fine_tune_epochs=1", *overrides)
        family = family_of(config, tmp_path / "work")
        family.fit(TrainingPages(pages[:3]), lambda metrics, step: None)
        shutil.rmtree(tmp_path / "work")
        return role_macro_f1(family.scorer(), pages[3:30])

    assert after_an_epoch(f"encoder.pretrained={run}") > after_an_epoch() + 0.1


def test_another_shape_or_backbone_is_refused_by_its_key(make_config: ConfigMaker, run: Path, tmp_path: Path) -> None:
    for override, key in (("encoder.width=16", "width"), ("encoder.head_tokens=9", "head_tokens")):
        config = make_config("pages-encoder", f"encoder.pretrained={run}", override).encoder
        assert config is not None
        with pytest.raises(InputError, match=rf"(?s)encoder\.{key} is .*encoder\.pretrained to null"):
            PageReader.load(str(run)).start(torch.nn.Module(), config)  # type: ignore[arg-type]
    other = make_config("pages-encoder", f"encoder.pretrained={run}").encoder
    assert other is not None
    with pytest.raises(InputError, match="another one than the page reader was trained on"):
        replace(PageReader.load(str(run)), backbone="0" * 64).start(torch.nn.Module(), other)  # type: ignore[arg-type]


@pytest.mark.parametrize("damage", ["missing", "weights", "settings", "half"])
def test_a_broken_page_reader_is_refused_with_a_remedy(run: Path, tmp_path: Path, damage: str) -> None:
    folder = tmp_path / "reader"
    folder.mkdir()
    for name in (WEIGHTS, SETTINGS):
        shutil.copy(run / name, folder / name)
    if damage == "missing":
        (folder / SETTINGS).unlink()
    elif damage == "settings":
        write_json(folder / SETTINGS, {**read_json(folder / SETTINGS), "encoder": {"width": 3}})
    else:
        content = (folder / WEIGHTS).read_bytes()
        (folder / WEIGHTS).write_bytes(content[:-9] if damage == "half" else content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(InputError, match=r"set encoder\.pretrained to"):
        PageReader.load(str(folder))


@pytest.mark.skipif(not (folder_of(DEFAULT) / WEIGHTS).is_file(), reason="no weights in this checkout")
def test_the_one_of_the_package_is_small_and_fits_the_shipped_configs() -> None:
    assert (folder_of(DEFAULT) / WEIGHTS).stat().st_size <= 8e6
    reader = PageReader.load(DEFAULT)
    network = EncoderFamily.of(reader).network
    assert network is not None
    for name in ("demo-encoder", "pages-encoder"):
        config = load_config(ROOT / f"configs/{name}.yaml").encoder
        assert config is not None
        reader.start(network, config)


def test_scored_sites_that_the_page_reader_knows_are_told(run: Path) -> None:
    known = sorted(PageReader.load(str(run)).sites)
    (warning,) = warnings_of(str(run), [*known[:2], "unseen.example"])
    assert (
        f"2 of the 3 sites that are scored were learnt from by the pretrained page reader, such as {known[0]}"
        in warning
    )
    assert warnings_of(str(run), ["unseen.example"]) == warnings_of(None, known) == []


def test_a_run_that_leaves_no_page_reader_leaves_none_of_an_earlier_one(
    make_config: ConfigMaker, run: Path, tmp_path: Path
) -> None:
    config = make_config("demo-baseline", f"output={tmp_path / 'out'}")
    (tmp_path / "out").mkdir()
    for name in (WEIGHTS, SETTINGS):
        shutil.copy(run / name, tmp_path / "out" / name)
    fit(config)
    with pytest.raises(InputError, match="no page reader there"):
        PageReader.load(str(tmp_path / "out"))
