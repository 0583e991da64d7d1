"""A bundle of each schema that was ever shipped loads and answers as it did, or is refused with a remedy; never
anything between."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.helpers.configs import shrunk
from tests.helpers.toys import QUICK, toy_baseline
from train.common.errors import InputError
from train.common.files import write_json
from train.corpus.quality.check import check_corpus
from train.inference.resolve import load_labeler
from train.runtime import BundleError, Labeler, golden
from train.runtime.manifest import SCHEMA, read_manifest, version_of
from train.training.resume import finished

FROZEN = {int(path.stem.rpartition("-")[2]): path for path in Path(__file__).parent.glob("frozen-bundle-schema-*.zip")}


@pytest.fixture(params=sorted(FROZEN), ids=lambda schema: f"schema {schema}")
def frozen(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A bundle as it was exported once; never exported anew."""
    with zipfile.ZipFile(FROZEN[request.param]) as archive:
        archive.extractall(tmp_path / "bundle")
    return tmp_path / "bundle"


def test_the_present_schema_is_frozen() -> None:
    assert SCHEMA in FROZEN, "freeze a bundle of the new schema beside the older ones"


def test_a_frozen_bundle_answers_as_it_did_or_is_refused(frozen: Path) -> None:
    schema = json.loads((frozen / "bundle.json").read_text())["schema"]
    if schema != SCHEMA:
        with pytest.raises(BundleError, match=r"schema .* Export the model again"):
            Labeler.load(frozen)
        return
    assert golden.differences(Labeler.load(frozen), frozen) == []


def test_a_frozen_bundle_answers_by_its_own_reading_code(frozen: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "newsparts_runtime", "--check"],
        cwd=frozen,
        env={"PYTHONPATH": str(frozen), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("schema", [SCHEMA - 1, SCHEMA + 1, None, "3"])
def test_another_schema_is_refused_with_a_remedy(frozen: Path, schema: object) -> None:
    manifest = json.loads((frozen / "bundle.json").read_text())
    manifest["schema"] = schema
    manifest["version"] = version_of(manifest)
    (frozen / "bundle.json").write_text(json.dumps(manifest))
    with pytest.raises(BundleError, match="Export the model again"):
        read_manifest(frozen)


def test_a_page_of_the_first_day_is_still_read(tmp_path: Path) -> None:
    """Contract 1, as the first version wrote it: keys that came later are absent, unknown ones are kept."""
    segments = [
        {"text": "Harbour bridge reopens", "role": "main", "story": 0, "topic": None},
        {
            "text": "The bridge over the harbour reopened on Monday after a storm.",
            "role": "main",
            "story": 0,
            "topic": None,
            "note": "kept",
        },
        {"text": "Ferry adds night sailings", "role": "related", "story": 1, "topic": None},
        {"text": "All rights reserved", "role": "boilerplate", "story": None, "topic": None},
    ]
    page = {
        "page_id": "a-1",
        "site": "a.example",
        "lang": "en",
        "title": None,
        "url": None,
        "date": None,
        "segments": segments,
    }
    path = tmp_path / "pages.jsonl"
    path.write_text(json.dumps(page) + "\n", encoding="utf-8")
    report = check_corpus(str(path), quarantine=tmp_path / "q.jsonl", keep=tmp_path / "kept.jsonl")
    assert (report.lines, report.kept) == (1, 1)
    kept = json.loads((tmp_path / "kept.jsonl").read_text(encoding="utf-8"))
    assert kept["segments"][2]["text"] == "Ferry adds night sailings"


def _renamed(bundle: Path, **changes: object) -> Path:
    """A bundle whose manifest says something else, as if it had been exported so."""
    manifest = {**json.loads((bundle / "bundle.json").read_text()), **changes}
    (bundle / "bundle.json").write_text(json.dumps({**manifest, "version": version_of(manifest)}))
    return bundle


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"family": "encoder", "windows": {"tokens": 448, "overlap": 0.25}}, "the packed encoder, which is gone"),
        ({"family": "hierarchical", "segments": {}}, "a hierarchical encoder, which is gone"),
        (
            {"family": "ensemble", "members": {"baseline": {}, "hierarchical": {}}, "shares": None},
            "an ensemble, which is gone",
        ),
    ],
)
def test_a_bundle_of_what_is_gone_is_refused_with_what_to_run(
    frozen: Path, changes: dict[str, object], what: str
) -> None:
    bundle = _renamed(frozen, **changes)
    with pytest.raises(
        BundleError,
        match=rf"{what}\. Train anew: `make train CONFIG=configs/pages-encoder\.yaml .*`, then `make export`",
    ):
        Labeler.load(bundle)
    with pytest.raises(InputError, match=what):
        load_labeler(str(bundle))


@pytest.mark.parametrize("family", ["oracle", "", None, 3, ["encoder"]])
def test_a_bundle_of_a_family_that_never_was_is_refused(frozen: Path, family: object) -> None:
    with pytest.raises(BundleError, match="this runtime reads baseline and encoder"):
        Labeler.load(_renamed(frozen, family=family))


@pytest.mark.parametrize("unfinished", [True, False])
def test_a_run_of_what_is_gone_in_the_folder_does_not_keep_a_model_from_being_trained(
    frozen: Path, corpus: Path, tmp_path: Path, unfinished: bool
) -> None:
    output = tmp_path / "demo-baseline"
    frozen.rename(output.parent / "old")
    (output / "work" / "checkpoints").mkdir(parents=True)
    _renamed(tmp_path / "old", family="ensemble", members={"encoder": {}}).rename(output / "bundle")
    (output / "config.yaml").write_text("family: ensemble\nencoder: {window_tokens: 448}\n")
    write_json(
        output / ("unfinished.json" if unfinished else "outcome.json"),
        {"state": "of then", "run_id": None, "version": "0", "model_uri": None},
    )
    config = shrunk("demo-baseline", corpus, Path("none"), tmp_path, *QUICK)
    assert finished(config) is None
    outcome = toy_baseline(corpus, tmp_path)
    assert outcome.output == output
    assert finished(config) is not None
    assert Labeler.load(output / "bundle").family == "baseline"
    assert not (output / "work").exists()
