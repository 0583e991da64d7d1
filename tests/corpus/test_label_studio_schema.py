"""What we write is accepted by Label Studio's own code (label-studio-sdk), which needs another numpy and so lives in a
venv of its own."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import replace
from pathlib import Path

from tests.helpers.optional import LABEL_STUDIO, need
from tests.helpers.pages import make_page
from tests.helpers.paths import ROOT
from train.corpus.page import Page, Segment
from train.corpus.read import read_pages
from train.corpus.sources import label_studio


def _record(page: Page) -> dict[str, object]:
    segments = [
        {"text": s.text, "role": s.role, "confidence": 0.9, "scores": {}, "story": s.story} for s in page.segments
    ]
    stories = [
        {
            "story": 0,
            "role": "main",
            "topic": "sport",
            "segments": [i for i, s in enumerate(page.segments) if s.story == 0],
        }
    ]
    return {
        "page_id": page.page_id,
        "segments": segments,
        "stories": stories,
        "model": {"name": "n", "version": "v", "family": "baseline"},
    }


def test_label_studio_itself_accepts_tasks_annotations_and_predictions(tmp_path: Path) -> None:
    need("label-studio")
    odd = Segment('Emoji \U0001f600, "quotes" & <tags>\nsecond line', "related", 7, "sport")
    pages = [make_page("a", n, related=n) for n in range(5)]
    pages.append(replace(pages[0], page_id="odd", segments=(*pages[0].segments, odd, Segment(" ", "boilerplate"))))
    label_studio.write_tasks(tmp_path / "tasks.json", (label_studio.task(page, _record(page)) for page in pages))
    (tmp_path / "interface.xml").write_text(
        label_studio.interface(["business", "sport", 'R&D "new"']), encoding="utf-8"
    )
    command = [
        LABEL_STUDIO,
        ROOT / "tests/helpers/label_studio_check.py",
        tmp_path / "tasks.json",
        tmp_path / "interface.xml",
    ]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": ""})
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) == {"tasks": 6, "annotations": 6, "predictions": 6}
    again = read_pages(f"label-studio:{tmp_path / 'tasks.json'}")
    assert [p.to_json() for p in again[:5]] == [p.to_json() for p in pages[:5]]
    assert again[5].segments[-1] == odd, (
        "the segment without visible text cannot be marked; all others come back as they were"
    )
