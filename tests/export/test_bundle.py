from __future__ import annotations

import json
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.helpers.configs import FAMILIES, ConfigMaker
from tests.helpers.pages import make_page
from train.common.errors import InputError
from train.common.files import read_json, write_json
from train.corpus.training_data import TrainingPages
from train.export import golden as golden_pages
from train.export.bundle import add_documents, copy_bundle
from train.export.mlflow_flavor import EXAMPLE
from train.inference.resolve import load_labeler
from train.models.onnx_export import ParityError, compare
from train.registry.versions import register
from train.runtime import BundleError, Labeler
from train.runtime.manifest import version_of
from train.training.outcome import Outcome, read_outcome
from train.training.recipe import fit

PICKLES = {".pkl", ".pickle", ".joblib", ".pt", ".pth", ".bin"}


@pytest.fixture(scope="module", params=FAMILIES)
def outcome(request: pytest.FixtureRequest, trained: Callable[[str], Path]) -> Outcome:
    return read_outcome(trained(request.param))


def test_a_bundle_labels_in_a_process_without_this_repository(outcome: Outcome, tmp_path: Path) -> None:
    bundle = tmp_path / "bundle"
    copy_bundle(outcome.output / "bundle", bundle)
    absent = [] if outcome.output.name == "demo-baseline" else ["scipy", "sklearn", "skops"]
    code = (
        "import sys, json; sys.path.insert(0, sys.argv[1])\n"
        "class NotInstalled:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name in {'torch', 'transformers', 'mlflow', 'train', 'datasets', 'pandas', "
        "*json.loads(sys.argv[3])}: raise ModuleNotFoundError(name)\n"
        "sys.meta_path.insert(0, NotInstalled())\n"
        "from newsparts_runtime import Labeler\n"
        "print(json.dumps(next(Labeler.load(sys.argv[1]).label([('p', json.loads(sys.argv[2]))]))))\n"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-c", code, str(bundle), json.dumps(EXAMPLE), json.dumps(absent)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == next(iter(load_labeler(str(outcome.output)).label([("p", EXAMPLE)])))


def test_a_bundle_holds_no_pickle_and_lists_every_file(outcome: Outcome) -> None:
    bundle = outcome.output / "bundle"
    found = {p.relative_to(bundle).as_posix() for p in bundle.rglob("*") if p.is_file()}
    manifest = read_json(bundle / "bundle.json")
    assert found == {"bundle.json", *manifest["files"], *manifest["documents"]}
    assert manifest["topic_word_limit"] == Labeler.load(bundle).topic_word_limit > 1, (
        "without it, segments would count alike"
    )
    assert set(manifest["documents"]) == {"MODEL_CARD.md", "golden.jsonl", "known-words.npy", "profile.json"}
    for name, content in _contents(bundle):
        assert Path(name).suffix not in PICKLES
        assert content[:2] not in (b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05"), name
        assert not content.startswith(b"\x93NUMPY") or b"'|O'" not in content[:200], f"{name} holds objects"
    lines = (bundle / "requirements.txt").read_text().split()
    assert all("==" in line for line in lines)
    assert ("scipy" in str(lines)) == (outcome.output.name == "demo-baseline")


def _contents(folder: Path) -> Iterator[tuple[str, bytes]]:
    """Every file, and what lies in archives."""
    for path in folder.rglob("*"):
        if path.is_file():
            yield path.name, path.read_bytes()
            if zipfile.is_zipfile(path):
                with zipfile.ZipFile(path) as archive:
                    yield from ((name, archive.read(name)) for name in archive.namelist())


def test_the_bundle_checks_itself_from_the_shell(outcome: Outcome, tmp_path: Path) -> None:
    bundle = tmp_path / "bundle"
    copy_bundle(outcome.output / "bundle", bundle)

    def run(*arguments: str, given: str = "") -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "newsparts_runtime", *arguments]
        return subprocess.run(
            command,
            cwd=tmp_path,
            env={"PYTHONPATH": str(bundle), "OMP_NUM_THREADS": "1"},
            capture_output=True,
            text=True,
            input=given,
        )

    done = run("--check")
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    assert f"{len(golden_pages.PAGES)} golden pages are labelled as exported" in done.stderr
    text = "A headline\n\n  The first paragraph.  \r\nRelated articles\x0cstill the same line\n"
    done = run("-", given=text)
    record = json.loads(done.stdout)
    assert [s["text"] for s in record["segments"]] == [
        "A headline",
        "The first paragraph.",
        "Related articles\x0cstill the same line",
    ]
    assert record == load_labeler(str(bundle)).label_text(text, "stdin")
    assert run("absent.txt").returncode == 2

    lines = (bundle / "golden.jsonl").read_text().splitlines()
    page = json.loads(lines[0])
    page["segments"][0]["role"] = "main" if page["segments"][0]["role"] != "main" else "related"
    (bundle / "golden.jsonl").write_text("\n".join([json.dumps(page), *lines[1:]]) + "\n")
    assert "sha256 differs" in run("--check").stderr, "documents are checked as well"
    add_documents(bundle, [bundle / "golden.jsonl"])
    done = run("--check")
    assert (done.returncode, "page 'plain', segments/0/role" in done.stderr) == (1, True)


def test_documents_do_not_name_the_version_but_code_and_weights_do(outcome: Outcome, tmp_path: Path) -> None:
    manifest = read_json(outcome.output / "bundle" / "bundle.json")
    assert version_of({**manifest, "documents": {}}) == manifest["version"] == outcome.version
    assert version_of({**manifest, "files": {}}) != manifest["version"]
    card = (outcome.output / "bundle" / "MODEL_CARD.md").read_text()
    assert manifest["version"] in card
    assert outcome.split_sha256 in card
    assert "None" not in card
    assert f"{outcome.metrics['test/role/macro_f1']:.3f}" in card


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"schema": 99}, "schema 99"),
        ({"roles": ["related", "main", "boilerplate"]}, "orders roles"),
        ({"decoder": {}}, "changed after export"),
    ],
)
def test_a_changed_manifest_is_refused(
    outcome: Outcome, tmp_path: Path, change: dict[str, object], message: str
) -> None:
    copy_bundle(outcome.output / "bundle", tmp_path / "b")
    manifest = read_json(tmp_path / "b" / "bundle.json")
    write_json(tmp_path / "b" / "bundle.json", {**manifest, **change})
    with pytest.raises(BundleError, match=message):
        Labeler.load(tmp_path / "b")


def test_a_path_out_of_the_bundle_is_refused(outcome: Outcome, tmp_path: Path) -> None:
    copy_bundle(outcome.output / "bundle", tmp_path / "b")
    manifest = read_json(tmp_path / "b" / "bundle.json")
    manifest["files"]["../outside"] = "0" * 64
    write_json(tmp_path / "b" / "bundle.json", {**manifest, "version": version_of(manifest)})
    with pytest.raises(BundleError, match="outside the bundle"):
        Labeler.load(tmp_path / "b")


def test_a_document_cannot_stand_for_a_weight(outcome: Outcome, tmp_path: Path) -> None:
    copy_bundle(outcome.output / "bundle", tmp_path / "b")
    code = tmp_path / "b" / "newsparts_runtime" / "decoding.py"
    code.write_text(code.read_text() + "# changed\n")
    add_documents(tmp_path / "b", [code])
    with pytest.raises(BundleError, match="twice"):
        Labeler.load(tmp_path / "b")


def test_a_link_to_a_bundle_stays_a_link(outcome: Outcome, tmp_path: Path) -> None:
    copy_bundle(outcome.output / "bundle", tmp_path / "real")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    for _ in range(2):
        copy_bundle(outcome.output / "bundle", tmp_path / "link")
        assert (tmp_path / "link").is_symlink()
    assert Labeler.load(tmp_path / "link").version == outcome.version
    (tmp_path / "real").rename(tmp_path / ".real.old")  # killed between two renames
    (tmp_path / ".real.new").mkdir()  # and while it was copied
    copy_bundle(outcome.output / "bundle", tmp_path / "real")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["link", "real"]
    assert Labeler.load(tmp_path / "link").version == outcome.version


def test_one_string_is_no_list_of_segments(outcome: Outcome) -> None:
    with pytest.raises(TypeError, match="label_text"):
        next(Labeler.load(outcome.output / "bundle").label([("p", "a string")]))


def test_a_link_out_of_the_bundle_is_refused(outcome: Outcome, tmp_path: Path) -> None:
    copy_bundle(outcome.output / "bundle", tmp_path / "b")
    shutil.move(tmp_path / "b" / "requirements.txt", tmp_path / "outside.txt")
    (tmp_path / "b" / "requirements.txt").symlink_to(tmp_path / "outside.txt")
    with pytest.raises(BundleError, match="outside the bundle"):
        Labeler.load(tmp_path / "b")


@pytest.mark.parametrize(
    "texts",
    [
        [],
        ["one"],
        ["word " * 200_000],
        [f"line {i} of many" for i in range(10_000)],
        ["\ud800", "\x00", "\u202e" * 50, "🌉" * 9],
    ],
)
def test_any_page_has_an_answer(outcome: Outcome, texts: list[str]) -> None:
    (record,) = Labeler.load(outcome.output / "bundle").label([("page", texts)])
    assert [segment["text"] for segment in record["segments"]] == texts
    told = [i for story in record["stories"] for i in story["segments"]]
    assert sorted(told) == [i for i, segment in enumerate(record["segments"]) if segment["story"] is not None]
    for segment in record["segments"]:
        assert sum(segment["scores"].values()) == pytest.approx(1, abs=1e-4)
        assert segment["confidence"] == max(segment["scores"].values())


def test_export_never_overwrites_what_is_no_bundle(outcome: Outcome, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")
    with pytest.raises(InputError, match="not a bundle"):
        copy_bundle(outcome.output / "bundle", tmp_path / "mine")
    assert (tmp_path / "mine" / "thesis.txt").read_text() == "years of work"
    assert [p.name for p in tmp_path.iterdir()] == ["mine"]


def test_onnx_answers_as_torch_and_a_difference_stops_the_export(make_config: ConfigMaker, pages: object) -> None:
    from train.corpus.read import read_pages
    from train.models.encoder.family import EncoderFamily

    config = make_config("pages-encoder", "encoder.epochs=3")
    assert config.encoder is not None
    family = EncoderFamily(config.encoder, 1, Path(config.output) / "work")
    some = read_pages(Path(str(config.corpus.path)))[:20]
    family.fit(TrainingPages(some), lambda metrics, step: None)
    folder = Path(config.output) / "weights"
    folder.mkdir(parents=True)
    manifest = family.write(folder, some[:5])
    assert manifest["parity"]["agreement"] == 1.0
    assert manifest["parity"]["max_difference"] < 1e-4

    reader, other = family.scorer(), family.scorer()
    inner = other.read
    other.read = lambda vectors, numbers: inner(vectors, numbers) + 0.1 * np.arange(4)
    with pytest.raises(ParityError, match="differs from torch by up to"):
        compare(reader, other, [page.texts for page in some])


@pytest.mark.parametrize("name", FAMILIES)
def test_pyfunc_answers_the_record_that_predict_prints(make_config: ConfigMaker, store: Path, name: str) -> None:
    import mlflow
    import pandas as pd

    outcome = fit(make_config(name, "tracking.enabled=true", "tracking.experiment=test"))
    made = register(str(outcome.model_uri), bundle_version=outcome.version)
    pages = [make_page("asked", n) for n in range(3)]
    frame = pd.DataFrame({"segments": [page.texts for page in pages], "page_id": [page.page_id for page in pages]})
    model = mlflow.pyfunc.load_model(made.uri)
    for file, content in _contents(Path(mlflow.artifacts.download_artifacts(artifact_uri=made.uri))):
        assert Path(file).suffix not in PICKLES
        assert content[:2] not in (b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05"), file
    by_pyfunc = model.predict(frame)
    assert by_pyfunc == list(load_labeler(made.uri).label((page.page_id, page.texts) for page in pages))
    assert [r["page_id"] for r in model.predict(frame[["segments"]])] == ["page-0", "page-1", "page-2"]
    with pytest.raises(Exception, match="segments"):
        model.predict(pd.DataFrame({"text": ["no such column"]}))
    again = register(str(outcome.model_uri), bundle_version=outcome.version)
    assert (again.version, again.was_new) == (made.version, False)


def test_the_pyfunc_loads_without_the_repository(make_config: ConfigMaker, store: Path, tmp_path: Path) -> None:
    import mlflow

    outcome = fit(make_config("demo-baseline", "tracking.enabled=true", "tracking.experiment=test"))
    folder = tmp_path / "served"
    shutil.copytree(mlflow.artifacts.download_artifacts(artifact_uri=str(outcome.model_uri)), folder)
    code = (
        "import sys; sys.modules['train'] = None\n"
        "import mlflow, pandas\n"
        "answer = mlflow.pyfunc.load_model(sys.argv[1]).predict(pandas.DataFrame({'segments': [['A headline', 'A "
        "text.']]}))\n"
        "print(answer[0]['segments'][0]['role'])\n"
    )
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code, str(folder)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() in ("main", "related", "boilerplate")
