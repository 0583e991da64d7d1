from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from tests.helpers.commands import train
from tests.helpers.pages import make_page
from tests.helpers.toys import toy_baseline
from train.common.errors import InputError
from train.corpus.page import Page, Segment
from train.corpus.read import write_pages
from train.monitoring import drift
from train.monitoring.drift import compare
from train.monitoring.profile import Profile, known_words, profile, read_reference, thinned, write_reference
from train.runtime.text import ROLES

NO_WORDS = np.zeros(0, np.uint32)


@pytest.fixture(scope="module")
def model(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return toy_baseline(corpus, tmp_path_factory.mktemp("drift"), "corpus.test_share=0.4").output


@pytest.fixture
def few_samples(monkeypatch: pytest.MonkeyPatch) -> None:
    """Resamples enough for what is far from the bound."""
    monkeypatch.setattr(drift, "compare", partial(compare, resamples=60))


def _written(folder: Path, pages: list[Page]) -> str:
    write_pages(
        folder / "new.jsonl", [replace(page, segments=tuple(Segment(text) for text in page.texts)) for page in pages]
    )
    return str(folder / "new.jsonl")


@pytest.mark.usefixtures("few_samples")
def test_pages_of_new_sites_of_the_same_kind_are_no_shift(model: Path, tmp_path: Path) -> None:
    pages = [make_page(f"fresh{s}", n) for s in range(8) for n in range(6)]
    done = train("drift", "--model", str(model), _written(tmp_path, pages), "--output", str(tmp_path / "drift.html"))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "No shift found" in (tmp_path / "drift.html").read_text()


@pytest.mark.usefixtures("few_samples")
@pytest.mark.parametrize(
    ("feature", "change"),
    [
        (
            "words a segment",
            lambda page: replace(page, segments=tuple(s for s in page.segments for _ in range(3) if len(s.text) < 60)),
        ),
        (
            "unknown words",
            lambda page: replace(
                page,
                segments=tuple(replace(s, text=s.text.translate(str.maketrans("aeo", "øåü"))) for s in page.segments),
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
        "drift",
        "--model",
        str(model),
        _written(tmp_path, [make_page("a", n) for n in range(5)]),
        "--output",
        str(tmp_path / "d.html"),
    )
    assert (done.returncode, "fewer prove nothing" in done.stderr) == (2, True)
    with pytest.raises(InputError, match="no reference profile"):
        read_reference(tmp_path)


def test_a_reference_of_few_sites_or_of_another_version_is_refused(tmp_path: Path) -> None:
    record = {"segments": [{"text": "a few words", "role": "main", "confidence": 0.5}], "stories": []}
    few = profile([(f"s{i % 5}", record) for i in range(30)], NO_WORDS, ())
    new = profile([("n", record)] * 30, NO_WORDS, (), few)
    with pytest.raises(InputError, match="a reference of 5 sites"):
        compare(few, new)
    enough = profile([(f"s{i % 6}", record) for i in range(30)], NO_WORDS, ())
    assert compare(enough, new, resamples=1)
    with pytest.raises(InputError, match="does not know"):
        compare(profile([(f"s{i}", record) for i in range(30)], NO_WORDS, ("sport",)), new)
    (tmp_path / "profile.json").write_text('{"sites": [], "features": {}}')
    with pytest.raises(InputError, match="does not know"):
        Profile.read(tmp_path / "profile.json")


def test_a_thinned_reference_of_many_sites_can_be_compared() -> None:
    record = {"segments": [{"text": "a few words", "role": "main", "confidence": 0.5}], "stories": []}
    many = thinned(profile([(f"s{i}", record) for i in range(2_600)], NO_WORDS, ()))
    assert len(many.sites) == 2_000
    assert not any(
        shift.shifted for shift in compare(many, profile([("one", record)] * 40, NO_WORDS, (), many), resamples=20)
    )


def test_a_profile_survives_its_file_and_thinning_keeps_every_site(tmp_path: Path) -> None:
    record = {
        "segments": [{"text": "a few words", "role": "main", "confidence": 0.5}],
        "stories": [{"story": 0, "topic": "sport"}],
    }
    found = profile([(f"s{i // 10}", record) for i in range(500)], NO_WORDS, ("business", "sport"))
    found.write(tmp_path / "profile.json")
    json.loads((tmp_path / "profile.json").read_text())
    again = type(found).read(tmp_path / "profile.json")
    assert all((again.counts[name] == rows).all() for name, rows in found.counts.items())
    assert again.sites.tolist() == found.sites.tolist()
    assert found.counts["topic of the main story"].sum(axis=0).tolist() == [0, 500, 0]
    assert {name: tuple(row) for name, row in again.borders.items()} == {
        name: tuple(row) for name, row in found.borders.items()
    }
    assert found.counts["unknown words"].sum(axis=0)[-2] == 500
    few = thinned(found, 100)
    assert len(few.sites) == 100
    assert len(np.unique(few.sites)) == 50


def _record(*segments: tuple[str, str, float], topics: Sequence[tuple[int, str]] = ()) -> dict[str, Any]:
    return {
        "segments": [{"text": text, "role": role, "confidence": sure} for text, role, sure in segments],
        "stories": [{"story": story, "topic": topic} for story, topic in topics],
    }


def test_a_profile_counts_what_each_page_shows() -> None:
    words = known_words([["Ferry sails", "again"], ["the ferry", "SAILS on"], ["alone"]])
    assert len(words) == 2, "words of two pages or more: ferry and sails"
    pages = [
        (
            "a",
            _record(
                ("Ferry sails home", "main", 0.96), ("Menu", "boilerplate", 0.4), topics=[(1, "business"), (0, "sport")]
            ),
        ),
        ("b", _record(("one two three four five six", "main", 0.99), ("ferry", "main", 0.6), topics=[(0, "business")])),
        ("", _record(("Menu", "boilerplate", 0.55), ("More on this", "related", 0.85))),
        ("a", _record()),
    ]
    found = profile(pages, words, ("business", "sport"))
    assert found.sites.tolist() == [0, 1, -1, 0]
    assert found.counts["role"].tolist() == [[1, 0, 1], [2, 0, 0], [0, 1, 1], [0, 0, 0]]
    assert found.counts["topic of the main story"].tolist() == [[0, 1, 0], [1, 0, 0], [0, 0, 1], [0, 0, 1]]
    assert list(found.labels["topic of the main story"]) == ["business", "sport", "no main story"]
    # Borders 2, 3, 6, …: one word is below the first, three are at the second, six at the third.
    assert found.counts["words a segment"][:, :4].tolist() == [[1, 0, 1, 0], [1, 0, 0, 1], [1, 0, 1, 0], [0, 0, 0, 0]]
    assert list(found.labels["words a segment"])[:3] == ["below 2", "2 to 3", "3 to 6"]
    # Borders 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99: one that is met belongs to the bin above it.
    sure = [[1, 0, 0, 0, 0, 0, 1, 0], [0, 0, 1, 0, 0, 0, 0, 1], [0, 1, 0, 0, 1, 0, 0, 0], [0] * 8]
    assert found.counts["confidence"].tolist() == sure

    def values(name: str, *expected: float) -> None:
        """Each page is in the bin that its value lies in."""
        bins = [list(np.flatnonzero(row)) for row in found.counts[name]]
        assert bins == [[int(np.searchsorted(found.borders[name], value, side="right"))] for value in expected], name

    values("segments a page", 2, 2, 2, 0)
    values("words of the main story", 3, 7, 0, 0)
    unknown = [np.flatnonzero(row).tolist() for row in found.counts["unknown words"]]
    borders = found.borders["unknown words"]
    assert unknown[:3] == [
        [int(np.searchsorted(borders, value, side="right"))] for value in (1 - 2 / 4, 1 - 1 / 7, 1.0)
    ]
    assert unknown[3] == [], "a page without words tells nothing of them"


def test_a_page_feature_has_a_fifth_of_the_reference_in_each_bin_and_none_outside() -> None:
    pages = [(f"s{n}", _record(*[("some words", "main", 0.9)] * n)) for n in range(1, 101)]
    found = profile(pages, NO_WORDS, ())
    assert found.counts["segments a page"].sum(axis=0).tolist() == [0, 20, 20, 20, 20, 20, 0]
    new = profile([("n", _record()), ("n", _record(*[("some words", "main", 0.9)] * 500))], NO_WORDS, (), found)
    assert new.counts["segments a page"].sum(axis=0).tolist() == [1, 0, 0, 0, 0, 0, 1], (
        "what the reference has never seen"
    )
    assert new.borders == found.borders


class _Ahead:
    """A labeler that takes all pages before it answers the first."""

    family, version, topics = "baseline", "v1", ("sport",)

    def label(self, pages: Iterable[tuple[str, Sequence[str]]]) -> Iterator[dict[str, Any]]:
        for page_id, texts in list(pages):
            yield {"page_id": page_id, **_record(*((text, "main", 0.9) for text in texts), topics=[(0, "sport")])}


def test_new_pages_are_labelled_and_compared_with_the_bundles_reference_site_by_site(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reference = [
        (f"r{n % 8}", _record(*[("some words", "main", 0.9)] * (2 + n % 3), topics=[(0, "sport")])) for n in range(24)
    ]
    written = write_reference(tmp_path, [["some words"], ["some words"]], reference, ("sport",))
    assert sorted(path.name for path in written) == ["known-words.npy", "profile.json"]
    assert read_reference(tmp_path)[1].tolist() == known_words([["some words"]] * 2).tolist()
    monkeypatch.setattr("train.inference.resolve.load_labeler", lambda folder: _Ahead())
    monkeypatch.setattr("train.inference.resolve.bundle_folder", lambda name: tmp_path)
    given: list[tuple[Profile, Profile, int]] = []
    whole = compare

    def spy(known: Profile, new: Profile, *, seed: int = 0, resamples: int = 400) -> list[drift.Shift]:
        given.append((known, new, seed))
        return whole(known, new, seed=seed, resamples=10)

    monkeypatch.setattr(drift, "compare", spy)
    sites = ["a", "b", "b", "", "c"] * 5
    pages = [Page(f"p{i}", site, (Segment("some words"),) * (2 + i % 3)) for i, site in enumerate(sites)]
    found = drift.check_drift("models:/x", pages, seed=5)
    ((known, new, seed),) = given
    assert (found.model, found.pages, found.sites, seed) == ("baseline v1", 25, 3, 5)
    assert known.sites.tolist() == [n % 8 for n in range(24)]
    assert new.sites.tolist() == [{"a": 0, "b": 1, "": -1, "c": 2}[site] for site in sites]
    assert new.counts["role"].tolist() == [[2 + i % 3, 0, 0] for i in range(25)]
    assert new.counts["unknown words"].tolist() == known.counts["unknown words"][:1].tolist() * 25, (
        "every word is known"
    )


def test_the_command_fails_where_pages_have_shifted_alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    corpus = _written(tmp_path, [make_page("a", n) for n in range(3)])
    for shifted in (False, True):
        shift = drift.Shift("role", 0.3, 0.2, 0.25, shifted, ROLES, (0.5, 0.3, 0.2), (0.2, 0.3, 0.5))
        told = SimpleNamespace(model="baseline v1", pages=3, sites=1, shifts=[shift])
        monkeypatch.setattr(drift, "check_drift", lambda *_, told=told, **__: told)
        done = train("drift", "--model", "m", corpus, "--output", str(tmp_path / "drift.html"))
        assert done.returncode == int(shifted), done.stderr
        assert ("Shifted: role." in (tmp_path / "drift.html").read_text()) == shifted


def test_the_profile_of_a_process_is_that_of_another() -> None:
    """Python's own hashes of texts differ between processes."""
    code = "from train.monitoring.profile import known_words; print(known_words([['Two words here']] * 2).tolist())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == str(known_words([["Two words here"]] * 2).tolist())
