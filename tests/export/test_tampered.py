"""Bundles that somebody changed, with hashes to match: refused, or answering with probabilities; none of their code
runs."""

from __future__ import annotations

import copy
import json
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.helpers.configs import FAMILIES
from train.common.files import read_json, sha256_file
from train.export.mlflow_flavor import EXAMPLE
from train.runtime import BundleError, Labeler
from train.runtime.alone import planted
from train.runtime.manifest import MANIFEST, read_manifest, version_of
from train.tracking.senders import quiet

BASELINE = FAMILIES[0]


@pytest.fixture(params=FAMILIES)
def bundle(request: pytest.FixtureRequest, trained: Callable[[str], Path], tmp_path: Path) -> Path:
    """A bundle to tamper with."""
    return Path(shutil.copytree(trained(request.param) / "bundle", tmp_path / "bundle"))


@pytest.fixture
def baseline(trained: Callable[[str], Path], tmp_path: Path) -> Path:
    """The same of the baseline alone."""
    return Path(shutil.copytree(trained("demo-baseline") / "bundle", tmp_path / "bundle"))


def _sealed(bundle: Path, manifest: dict[str, Any] | None = None) -> Path:
    """The bundle, every hash and the version as its content has them."""
    told = manifest or read_json(bundle / MANIFEST)
    for part in ("files", "documents"):
        if isinstance(told.get(part), dict):
            known = {name: sha256_file(bundle / name) for name in told[part] if (bundle / name).is_file()}
            told[part] = {**told[part], **known}
    (bundle / MANIFEST).write_text(json.dumps({**told, "version": version_of(told)}), encoding="utf-8")
    return bundle


def _leaves(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The place of every value in nested objects, of the first two in lists."""
    inner = value.items() if isinstance(value, dict) else enumerate(value[:2]) if isinstance(value, list) else ()
    for key, one in inner:
        yield (*path, key)
        yield from _leaves(one, (*path, key))


FOR_PEOPLE = ("documents", "files", "parity", "states", "int8")
VALUES = [None, "x", -1, 0, 1e6, 1e308, 10**400, [], {}, True, float("nan"), float("inf")]


def test_no_value_of_a_manifest_breaks_what_is_answered(bundle: Path) -> None:
    """But hashes, and what is told to people alone."""
    manifest = read_json(bundle / MANIFEST)
    refused = answered = 0
    for path in _leaves({key: value for key, value in manifest.items() if key not in FOR_PEOPLE}):
        for value in VALUES:
            changed = copy.deepcopy(manifest)
            place = changed
            for key in path[:-1]:
                place = place[key]
            if place[path[-1]] == value:
                continue
            place[path[-1]] = value
            (bundle / MANIFEST).write_text(json.dumps({**changed, "version": version_of(changed)}))
            try:
                (record,) = Labeler.load(bundle).label([("p", EXAMPLE)])
            except BundleError:
                refused += 1
                continue
            answered += 1
            for segment in record["segments"]:
                assert sum(segment["scores"].values()) == pytest.approx(1, abs=1e-4), (path, value)
    assert refused > 150
    assert answered < refused / 4


@pytest.mark.parametrize("literal", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_what_is_no_number_is_refused_wherever_it_stands(baseline: Path, literal: str) -> None:
    text = (baseline / MANIFEST).read_text().replace('"prior_weight"', f'"beside": {literal}, "prior_weight"')
    (baseline / MANIFEST).write_text(text)
    with pytest.raises(BundleError, match="is not a bundle manifest"):
        read_manifest(baseline)


@pytest.mark.parametrize(
    "name",
    ["numpy.py", "newsparts_runtime/labeler.abi3.so", "newsparts_runtime/labeler/__init__.py", ".hidden", "w.onnx"],
)
def test_a_file_that_is_not_listed_is_refused(baseline: Path, name: str) -> None:
    (baseline / name).parent.mkdir(exist_ok=True)
    (baseline / name).write_text("raise SystemExit('it ran')")
    with pytest.raises(BundleError, match="is not listed in"):
        read_manifest(baseline)


def test_a_link_to_a_folder_is_a_file_that_is_not_listed(baseline: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (baseline / "numpy").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(BundleError, match="numpy is not listed"):
        read_manifest(baseline)
    assert planted(str(baseline / "newsparts_runtime")) == [str(baseline / "numpy")]


def _load_by_own_code(bundle: Path) -> subprocess.CompletedProcess[str]:
    code = "from newsparts_runtime import Labeler"
    environment = {**os.environ, "PYTHONPATH": str(bundle)}
    return subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)


@pytest.mark.parametrize("name", ["numpy.py", "newsparts_runtime/labeler/__init__.py"])
def test_a_module_beside_or_in_the_reading_code_does_not_run(baseline: Path, tmp_path: Path, name: str) -> None:
    (baseline / name).parent.mkdir(exist_ok=True)
    (baseline / name).write_text(f"open({str(tmp_path / 'ran')!r}, 'w').close()\n")
    done = _load_by_own_code(baseline)
    assert (done.returncode, "is no part of the bundle" in done.stderr) == (1, True)
    assert not (tmp_path / "ran").exists()


def test_python_writes_nothing_into_a_bundle_and_leaves_it_closed(baseline: Path) -> None:
    assert _load_by_own_code(baseline).returncode == 0
    assert Labeler.load(baseline).version == read_json(baseline / MANIFEST)["version"]


@pytest.mark.parametrize("absent", ["model.skops", "trees.npz", "newsparts_runtime/__init__.py", "golden.jsonl"])
def test_what_a_bundle_cannot_be_without_must_be_listed(baseline: Path, absent: str) -> None:
    manifest = read_json(baseline / MANIFEST)
    for part in ("files", "documents"):
        manifest[part].pop(absent, None)
    (baseline / absent).unlink()
    with pytest.raises(BundleError, match=f"does not list {absent}"):
        read_manifest(_sealed(baseline, manifest))


def test_a_bundle_that_lists_nothing_is_refused(bundle: Path) -> None:
    with pytest.raises(BundleError, match="does not list"):
        read_manifest(_sealed(bundle, {**read_json(bundle / MANIFEST), "files": {}, "documents": {}}))


def test_only_the_bundle_that_was_meant_is_taken(baseline: Path) -> None:
    digest = sha256_file(baseline / MANIFEST)
    assert Labeler.load(baseline, sha256=digest.upper()).family == "baseline"
    manifest = read_json(baseline / MANIFEST)
    manifest["calibration"]["role_temperature"] += 0.25
    _sealed(baseline, manifest)
    assert Labeler.load(baseline).family == "baseline"
    with pytest.raises(BundleError, match=f"not {digest}: another bundle"):
        Labeler.load(baseline, sha256=digest)


def test_weights_that_are_cut_or_garbled_are_refused(bundle: Path) -> None:
    for name in ("model.skops", "trees.npz", "segments.onnx", "page.onnx", "tokenizer.json"):
        path = bundle / name
        if not path.is_file():
            continue
        whole = path.read_bytes()
        for content in (b"", b"{}", whole[: len(whole) // 2], whole[:-1], whole[1:], b"PK\x03\x04" + whole[4:200]):
            path.write_bytes(content)
            with pytest.raises(BundleError):
                Labeler.load(_sealed(bundle))
        path.write_bytes(whole)
    Labeler.load(_sealed(bundle))


def test_an_archive_that_unpacks_to_much_is_not_unpacked(baseline: Path) -> None:
    for name in ("model.skops", "trees.npz"):
        whole = (baseline / name).read_bytes()
        with zipfile.ZipFile(baseline / name, "a", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("more.npy", bytes(64 * 2**20))
        with pytest.raises(BundleError, match="unpacks to more than twice its size"):
            Labeler.load(_sealed(baseline))
        (baseline / name).write_bytes(whole)


@pytest.mark.parametrize("number", [np.nan, np.inf])
def test_weights_that_are_no_numbers_are_refused(baseline: Path, number: float) -> None:
    import skops.io

    parts = skops.io.load(baseline / "model.skops", trusted=[])
    parts["linear"].coef_[0, -1] = number
    skops.io.dump(parts, baseline / "model.skops")
    with pytest.raises(BundleError, match="not finite"):
        Labeler.load(_sealed(baseline))


def test_weights_of_another_file_do_not_count(trained: Callable[[str], Path], tmp_path: Path) -> None:
    import onnx

    bundle = Path(shutil.copytree(trained(FAMILIES[-1]) / "bundle", tmp_path / "bundle"))
    model = onnx.load(bundle / "page.onnx")
    onnx.save(model, bundle / "page.onnx", save_as_external_data=True, location="w.bin", size_threshold=0)
    manifest = read_json(bundle / MANIFEST)
    manifest["files"]["w.bin"] = ""
    with pytest.raises(BundleError, match="weights from another file"):
        Labeler.load(_sealed(bundle, manifest))


def test_what_a_library_raises_of_its_own_kind_is_a_bundle_error(
    baseline: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from train.runtime.baseline import Baseline

    class PanicException(BaseException):
        pass

    def fails(error: BaseException) -> Any:
        def load(folder: Path, manifest: object) -> None:
            raise error

        return load

    for error in (PanicException("in Rust"), MemoryError(), RecursionError(), ImportError("no such module")):
        monkeypatch.setattr(Baseline, "load", fails(error))
        with pytest.raises(BundleError, match=type(error).__name__):
            Labeler.load(baseline)
    for passed in (KeyboardInterrupt(), ModuleNotFoundError("no skops", name="skops.io")):
        monkeypatch.setattr(Baseline, "load", fails(passed))
        with pytest.raises(type(passed)):
            Labeler.load(baseline)


def test_mlflow_runs_no_code_that_is_not_listed(baseline: Path, tmp_path: Path) -> None:
    from types import SimpleNamespace

    with quiet():  # MLflow warns of its own types as it is imported
        from train.export.pyfunc_model import PageLabeler

    code = baseline / "newsparts_runtime" / "__init__.py"
    whole = code.read_text()
    for path, text in ((code, f"open({str(tmp_path / 'ran')!r}, 'w').close()\n{whole}"), (baseline / "numpy.py", "")):
        path.write_text(text)
        with pytest.raises(ImportError, match="is not what the bundle lists"):
            PageLabeler().load_context(SimpleNamespace(artifacts={"bundle": str(baseline)}))
        code.write_text(whole)
    assert not (tmp_path / "ran").exists()
