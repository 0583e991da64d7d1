from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.helpers.commands import train
from tests.helpers.configs import shrunk
from tests.helpers.pages import make_page
from train.corpus.page import Page, Segment
from train.corpus.read import write_pages
from train.drift import compare, known_words, profile, read_reference, thinned
from train.errors import InputError
from train.recipe import fit


@pytest.fixture(scope="module")
def model(corpus: Path, backbone: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return fit(shrunk("demo-baseline", corpus, backbone, tmp_path_factory.mktemp("drift"), "corpus.test_share=0.4")).output


def _written(folder: Path, pages: list[Page]) -> str:
    write_pages(folder / "new.jsonl", [replace(page, segments=tuple(Segment(text) for text in page.texts)) for page in pages])
    return str(folder / "new.jsonl")


def test_pages_of_new_sites_of_the_same_kind_are_no_shift(model: Path, tmp_path: Path) -> None:
    pages = [make_page(f"fresh{s}", n) for s in range(8) for n in range(6)]
    done = train("drift", "--model", str(model), _written(tmp_path, pages), "--output", str(tmp_path / "drift.html"))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "No shift found" in (tmp_path / "drift.html").read_text()


@pytest.mark.parametrize(
    ("feature", "change"),
    [
        ("words a segment", lambda page: replace(page, segments=tuple(s for s in page.segments for _ in range(3) if len(s.text) < 60))),
        (
            "unknown words",
            lambda page: replace(
                page, segments=tuple(replace(s, text=s.text.translate(str.maketrans("aeo", "øåü"))) for s in page.segments)
            ),
        ),
        ("segments a page", lambda page: replace(page, segments=page.segments * 8)),
    ],
)
def test_shifted_pages_are_flagged(model: Path, tmp_path: Path, feature: str, change: Callable[[Page], Page]) -> None:
    pages = [change(make_page(f"<b>{s}", n)) for s in range(8) for n in range(6)]
    done = train("drift", "--model", str(model), _written(tmp_path, pages), "--output", str(tmp_path / "drift.html"))
    assert done.returncode == 1, done.stdout + done.stderr
    shifted = {line.split("  ")[0].strip() for line in done.stdout.splitlines() if " shifted " in line}
    assert feature in shifted
    shown = (tmp_path / "drift.html").read_text()
    assert feature in shown.partition("Shifted: ")[2].partition("</b>")[0]
    assert "<script" not in shown


def test_few_pages_and_bundles_without_a_profile_are_refused(model: Path, tmp_path: Path) -> None:
    done = train(
        "drift", "--model", str(model), _written(tmp_path, [make_page("a", n) for n in range(5)]), "--output", str(tmp_path / "d.html")
    )
    assert (done.returncode, "fewer prove nothing" in done.stderr) == (2, True)
    with pytest.raises(InputError, match="no reference profile"):
        read_reference(tmp_path)


Sizes = list[int]


@pytest.mark.parametrize(
    ("reference", "new", "known"),
    [
        ([4] * 40, [4] * 6, True),
        ([4] * 30, [1] * 100, True),
        ([20] * 20, [1] * 200, False),
        ([4] * 40, [200, *([1] * 9)], True),
        ([1] * 60, [3] * 40, True),
    ],
    ids=["few sites", "more sites than the reference", "sites not known", "one site has nearly all pages", "one page a site"],
)
def test_usual_pages_are_seldom_called_shifted(reference: Sizes, new: Sizes, known: bool) -> None:
    """Sites differ much from each other here: a threshold for independent segments would call nearly every sample shifted."""
    rng = np.random.default_rng(0)

    def records(sizes: Sizes, prefix: str) -> list[tuple[str, dict[str, object]]]:
        found = []
        for s, size in enumerate(sizes):
            habits = rng.dirichlet([1.5, 1.5, 3])
            for _ in range(size):
                roles = rng.choice(["main", "related", "boilerplate"], 40, p=habits)
                segments = [{"text": "some words of text", "role": role, "confidence": 0.97} for role in roles]
                found.append((f"{prefix}-{s}" if prefix else "", {"segments": segments, "stories": []}))
        return found

    words = known_words([["some words of text"]] * 2)
    alarms = 0
    for trial in range(30):
        told = profile(records(reference, "old"), words, ())
        asked = profile(records(new, "new" if known else ""), words, (), told)
        shifts = {shift.feature: shift for shift in compare(told, asked, seed=trial, resamples=100)}
        alarms += shifts["role"].shifted
    assert alarms <= 3


def test_a_reference_of_few_sites_or_of_another_version_is_refused(tmp_path: Path) -> None:
    record = {"segments": [{"text": "a few words", "role": "main", "confidence": 0.5}], "stories": []}
    words = np.zeros(0, np.uint32)
    few = profile([(f"s{i % 3}", record) for i in range(30)], words, ())
    with pytest.raises(InputError, match="a reference of 3 sites"):
        compare(few, profile([("n", record)] * 30, words, (), few))
    (tmp_path / "profile.json").write_text('{"sites": [], "features": {}}')
    with pytest.raises(InputError, match="does not know"):
        type(few).read(tmp_path / "profile.json")


def test_a_thinned_reference_of_many_sites_can_be_compared(tmp_path: Path) -> None:
    record = {"segments": [{"text": "a few words", "role": "main", "confidence": 0.5}], "stories": []}
    words = np.zeros(0, np.uint32)
    many = thinned(profile([(f"s{i}", record) for i in range(2_600)], words, ()))
    assert len(many.sites) == 2_000
    assert not any(shift.shifted for shift in compare(many, profile([("one", record)] * 40, words, (), many), resamples=20))


def test_a_profile_survives_its_file_and_thinning_keeps_every_site(tmp_path: Path) -> None:
    record = {"segments": [{"text": "a few words", "role": "main", "confidence": 0.5}], "stories": [{"story": 0, "topic": "sport"}]}
    found = profile([(f"s{i // 10}", record) for i in range(500)], np.zeros(0, np.uint32), ("business", "sport"))
    found.write(tmp_path / "profile.json")
    json.loads((tmp_path / "profile.json").read_text())
    again = type(found).read(tmp_path / "profile.json")
    assert all((again.counts[name] == rows).all() for name, rows in found.counts.items())
    assert found.counts["topic of the main story"].sum(axis=0).tolist() == [0, 500, 0]
    assert {name: tuple(row) for name, row in again.borders.items()} == {name: tuple(row) for name, row in found.borders.items()}
    assert found.counts["unknown words"].sum(axis=0)[-2] == 500
    few = thinned(found, 100)
    assert len(few.sites) == 100
    assert len(np.unique(few.sites)) == 50


def test_the_profile_of_a_process_is_that_of_another() -> None:
    code = "from train.drift import known_words; print(known_words([['Two words here']] * 2).tolist())"
    outputs = {subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout for _ in range(2)}
    assert len(outputs) == 1
