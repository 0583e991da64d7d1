"""What train/README.md says of changes: each diff in `changes/` applies to the code as it is, and does what it is
for."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers.paths import ROOT

CHANGES = Path(__file__).parent / "changes"
MOST_LINES = 40
CHECKS = {
    "source": """
from pathlib import Path
from train.corpus.read import read_pages
Path("pages/a.example").mkdir(parents=True)
Path("pages/a.example/one.txt").write_text("main\\tFerry sails\\nboilerplate\\tShare\\n")
(page,) = read_pages("tagged:pages")
assert (page.page_id, page.site, [s.role for s in page.segments]) == ("one", "a.example", ["main", "boilerplate"])
""",
    "feature": """
from train.runtime.captions import CAPTION_NAMES, captions
from train.runtime.encoder import COUNTED_NAMES, counted
assert CAPTION_NAMES[-1] == COUNTED_NAMES[-1] == "has_address"
assert captions(["See https://a.example", "See a.example"])[:, -1].tolist() == [1, 0]
assert counted(["a", "b"]).shape == (2, len(COUNTED_NAMES))
""",
    "metric": """
from tests.helpers.pages import make_page
from train.evaluation.metrics import evaluate
page = make_page("a", 1)
record = {"page_id": page.page_id, "stories": []}
record["segments"] = [{"role": "main", "text": s.text, "story": 0} for s in page.segments]
scores = evaluate([page], [record], bootstrap_samples=10)
gold = [s.role for s in page.segments if len(s.text.split()) >= 3]
assert scores.values["role/main_precision"] == gold.count("main") / len(gold)
assert "role/main_precision" in scores.intervals
""",
    "gate_rule": """
from pathlib import Path
from types import SimpleNamespace
from train.config.loader import read_settings
from train.registry import gate
limits = read_settings(gate.Gate, Path("configs/registry/gate.yaml"))
gate.page_milliseconds, gate.size_mb = (lambda labeler: 1.0), (lambda bundle: 1.0)
new = SimpleNamespace(labeler=SimpleNamespace(topics=("sport",)), bundle=Path("x"))
new.behaviour = SimpleNamespace(failed=frozenset(), passed=frozenset("a"))
assert [rule.rule for rule in gate._absolute(new, limits) if not rule.passed] == ["knows-topics"]
""",
    "report": """
from pathlib import Path
from train.reports import run_report
segments = [{"confidence": 0.4, "role": "main", "text": "<b>"}, {"confidence": 0.9, "role": "main", "text": "z"}]
run_report.write_unsure(Path("unsure.html"), [{"page_id": "p", "segments": segments}])
html = Path("unsure.html").read_text()
assert html.index("0.400") < html.index("0.900") and "&lt;b&gt;" in html
""",
}
"""Change -> what holds once it is made, run where it was made."""


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the code, to be changed."""
    tree = tmp_path_factory.mktemp("changed")
    for folder in ("train", "configs", "tests/helpers"):
        shutil.copytree(ROOT / folder, tree / folder, ignore=shutil.ignore_patterns("__pycache__"))
    (tree / "tests/__init__.py").touch()
    return tree


@pytest.mark.parametrize("change", CHECKS)
def test_a_change_does_what_it_is_for(copy: Path, change: str) -> None:
    environment = {**os.environ, "PYTHONPATH": str(copy), "GIT_CEILING_DIRECTORIES": str(copy.parent)}
    for command in (["git", "apply", str(CHANGES / f"{change}.diff")], [sys.executable, "-c", CHECKS[change]]):
        done = subprocess.run(command, cwd=copy, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, f"mend {change}.diff: {done.stderr[-2000:]}"


def test_changes_are_short_and_named_by_the_documents() -> None:
    diffs = {path.stem: path.read_text(encoding="utf-8") for path in CHANGES.glob("*.diff")}
    assert diffs.keys() == CHECKS.keys()
    assert [name for name, diff in diffs.items() if len(diff.splitlines()) > MOST_LINES] == []
    text = (ROOT / "train/README.md").read_text(encoding="utf-8")
    assert set(re.findall(r"changes/(\w+)\.diff", text)) == diffs.keys()
