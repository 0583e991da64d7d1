"""Whether a model behaves on pages where the right answer is obvious."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass
from pathlib import Path

from train.common.environment import ROOT
from train.common.errors import InputError


@dataclass(frozen=True)
class Behaviour:
    """Names of the behavioural tests that a model passes and fails; those that do not apply to it are in neither."""

    passed: frozenset[str]
    failed: frozenset[str]


def behaviour(bundle: Path) -> Behaviour:
    """Runs the tests in tests/behaviour on a bundle.

    Raises:
        InputError: The tests cannot be run.
    """
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        command = [
            sys.executable,
            "-m",
            "pytest",
            str(ROOT / "tests/behaviour"),
            "--model",
            str(bundle.resolve()),
            f"--junitxml={report}",
            "-q",
        ]
        done = subprocess.run([*command, "-p", "no:cacheprovider"], cwd=ROOT, capture_output=True, text=True)
        cases = list(ElementTree.parse(report).getroot().iter("testcase")) if report.is_file() else []
        # A test that errs, and does not fail, found no model to test.
        if done.returncode not in (0, 1) or not cases or any(case.find("error") is not None for case in cases):
            raise InputError(
                f"the behavioural tests do not run: {(done.stdout + done.stderr)[-300:]}",
                expected="a checkout with tests/behaviour and pytest",
                remedy="run it from the repository, in the environment that `make setup` makes",
                path=ROOT,
                rule="no-behaviour",
            )
    failed = {str(case.get("name")) for case in cases if case.find("failure") is not None}
    # What is expected to fail is reported as skipped, and is no pass.
    passed = {str(case.get("name")) for case in cases if case.find("skipped") is None} - failed
    return Behaviour(frozenset(passed), frozenset(failed))
