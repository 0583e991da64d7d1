from __future__ import annotations

import json
import random
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.helpers.configs import ConfigMaker
from tests.helpers.pages import make_page
from train.corpus.page import Page, Segment
from train.corpus.read import read_pages, write_pages
from train.corpus.sources import label_studio
from train.crossval import out_of_fold
from train.errors import InputError
from train.label_quality import label_errors, suggest, write_label_errors, write_suggestions
from train.recipe import fit
from train.runtime import Labeler
from train.runtime.reading import word_count


def _with_flips(pages: list[Page], share: float) -> tuple[list[Page], set[tuple[str, int]]]:
    """Pages with some labels exchanged, and where."""
    rng, flipped, spoilt = random.Random(5), set(), []
    for page in pages:
        segments = list(page.segments)
        for i, s in enumerate(segments):
            if word_count(s.text) >= 3 and rng.random() < share:
                segments[i] = (
                    replace(s, role="boilerplate", story=None, topic=None) if s.role != "boilerplate" else replace(s, role="main", story=0)
                )
                flipped.add((page.page_id, i))
        spoilt.append(page.with_segments(tuple(segments)))
    return spoilt, flipped


@pytest.fixture(scope="module")
def spoilt(pages: list[Page]) -> tuple[list[Page], set[tuple[str, int]]]:
    return _with_flips(pages, 0.04)


def test_exchanged_labels_are_found(spoilt: tuple[list[Page], set[tuple[str, int]]], make_config: ConfigMaker, tmp_path: Path) -> None:
    pages, flipped = spoilt
    assert len(flipped) > 15
    config = make_config("pages-baseline")
    records = out_of_fold(config, pages, "c", count=3, work=tmp_path / "folds")
    assert [r["page_id"] for r in records] == [p.page_id for p in pages]
    errors = label_errors(pages, records)
    first = [(e.page_id, e.segment) for e in errors[: len(flipped)]]
    assert sum(place in flipped for place in first) >= 0.8 * len(flipped)
    assert [e.quality for e in errors] == sorted(e.quality for e in errors)
    one = errors[0]
    assert one.text in pages[[p.page_id for p in pages].index(one.page_id)].texts
    assert one.given != one.suggested

    listed, tasks, count = write_label_errors(tmp_path / "out", pages, records, errors, most=5)
    assert len(listed.read_text().splitlines()) == len(errors)
    written = json.loads(tasks.read_text())
    assert len(written) == count <= 5
    assert written[0]["data"]["page_id"] == errors[0].page_id
    assert f"{errors[0].segment}: {errors[0].given}, perhaps {errors[0].suggested}" in written[0]["data"]["suspects"]
    again = {p.page_id: p for p in read_pages(f"label-studio:{tasks}")}
    for page in pages:
        if page.page_id in again:
            assert [s.role for s in again[page.page_id].segments] == [s.role for s in page.segments]


def test_folds_that_are_done_are_not_done_again(
    pages: list[Page], make_config: ConfigMaker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = make_config("pages-baseline", "baseline.max_iterations=5")
    first = out_of_fold(config, pages, "c", count=2, work=tmp_path / "folds")
    (tmp_path / "folds" / "fold-1.jsonl.gz").unlink()
    trained: list[str] = []
    monkeypatch.setattr("train.crossval.label_unseen", lambda c, parts, texts, work: trained.append(work.name) or _records(parts["test"]))
    again = out_of_fold(config, pages, "c", count=2, work=tmp_path / "folds")
    assert trained == ["fold-1"]
    assert sum(a == b for a, b in zip(first, again, strict=True)) == len(pages) - sum(r.get("made") is True for r in again)
    out_of_fold(config, pages, "another corpus", count=2, work=tmp_path / "folds")
    assert trained == ["fold-1", "fold-0", "fold-1"]


def _records(pages: list[Page]) -> list[dict[str, object]]:
    return [{"page_id": page.page_id, "made": True} for page in pages]


@pytest.fixture(scope="module")
def labeler(corpus: Path, backbone: Path, tmp_path_factory: pytest.TempPathFactory) -> Labeler:
    from tests.helpers.configs import shrunk

    outcome = fit(shrunk("pages-baseline", corpus, backbone, tmp_path_factory.mktemp("quality"), "baseline.second_reading=0"))
    return Labeler.load(outcome.output / "bundle")


def _unlabelled(page: Page) -> Page:
    return page.with_segments(tuple(Segment(s.text) for s in page.segments))


def test_pages_to_label_are_unsure_and_of_many_sites(labeler: Labeler, tmp_path: Path) -> None:
    known = [_unlabelled(make_page(f"site{c}", n)) for c in "abcdef" for n in range(40, 46)]
    rng = random.Random(1)
    words = [w for page in known for text in page.texts for w in text.split()]
    odd = [
        Page(f"odd-{i}", "odd.example", tuple(Segment(" ".join(rng.sample(words, rng.choice((4, 9, 14))))) for _ in range(15)))
        for i in range(8)
    ]
    copies = [replace(odd[0], page_id=f"copy-{i}", site=f"copy{i}.example") for i in range(3)]
    labelled = make_page("sitea", 99)
    write_pages(tmp_path / "pool.jsonl", [*known, *odd, *copies, labelled])
    picked = suggest(str(tmp_path / "pool.jsonl"), labeler, count=10)
    assert len(picked) == 10
    assert picked[0].site in ("odd.example", *(f"copy{i}.example" for i in range(3)))
    assert picked[0].uncertainty > np.median([s.uncertainty for s in picked])
    assert len({s.site for s in picked}) >= 5, "spread over sites"
    assert sum(s.page_id.startswith("copy") or s.page_id == "odd-0" for s in picked) == 1, "one of the copies"
    assert "sitea-99" not in {s.page_id for s in picked}
    assert picked == suggest(str(tmp_path / "pool.jsonl"), labeler, count=10)

    tasks, count = write_suggestions(tmp_path, str(tmp_path / "pool.jsonl"), labeler, picked)
    written = json.loads(tasks.read_text())
    assert [t["data"]["page_id"] for t in written] == [s.page_id for s in picked]
    assert count == 10
    assert "annotations" not in written[0]
    result = written[0]["predictions"][0]["result"]
    assert Counter(r["type"] for r in result)["paragraphlabels"] == len(written[0]["data"]["segments"])
    assert all(0 <= r["score"] <= 1 for r in result if r["type"] == "paragraphlabels")


def test_what_an_annotator_accepts_comes_back_as_labels(labeler: Labeler, tmp_path: Path) -> None:
    page = _unlabelled(make_page("sitea", 50))
    record = next(labeler.label([(page.page_id, page.texts)]))
    task = label_studio.task(page, record)
    # What Label Studio does when a prediction is submitted unchanged.
    task["id"], task["annotations"] = 1, [{"id": 5, "completed_by": 1, "was_cancelled": False, "result": task["predictions"][0]["result"]}]
    label_studio.write_tasks(tmp_path / "export.json", [task])
    again = read_pages(f"label-studio:{tmp_path / 'export.json'}")[0]
    assert (again.page_id, again.site) == (page.page_id, page.site)
    assert [s.text for s in again.segments] == page.texts
    assert [(s.role, s.story) for s in again.segments] == [(s["role"], s["story"]) for s in record["segments"]]


def test_a_pool_without_unlabelled_pages_is_told(labeler: Labeler, corpus: Path) -> None:
    with pytest.raises(InputError, match="no unlabelled page"):
        suggest(str(corpus), labeler, count=3)
