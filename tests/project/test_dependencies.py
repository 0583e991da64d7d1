"""What CI installs is what the constraints say, every file of it has a hash, and each package is in the table of
licences."""

from __future__ import annotations

import re
import runpy

from tests.helpers.paths import ROOT

AUDIT = runpy.run_path(str(ROOT / ".ci/dependencies.py"))
LOCK = ROOT / ".ci/requirements.lock"
PINS: dict[str, str] = AUDIT["pins"](LOCK)


def _normal(pins: dict[str, str]) -> dict[str, str]:
    return {AUDIT["normal"](name): version.partition("+")[0] for name, version in pins.items()}


def test_the_lock_has_the_constraints_versions_and_a_hash_for_every_package() -> None:
    constraints, locked = _normal(AUDIT["pins"](ROOT / "constraints.txt")), _normal(PINS)
    assert {name: version for name, version in locked.items() if constraints.get(name, version) != version} == {}
    assert set(locked) - set(constraints) == {"setuptools"}, "renew constraints.txt, or make lock"
    blocks = re.split(r"\n(?=[A-Za-z0-9])", LOCK.read_text(encoding="utf-8"))[1:]
    assert len(blocks) == len(PINS) > 100
    for block in blocks:
        assert re.search(r"--hash=sha256:[0-9a-f]{64}", block), block


def test_everything_that_we_ask_for_is_locked() -> None:
    assert set(AUDIT["asked_for"]()) - {"newsparts"} - set(_normal(PINS)) == set(), "make lock"


def test_the_table_of_licences_has_every_package_of_the_lock() -> None:
    table = (ROOT / ".ci/dependencies.md").read_text(encoding="utf-8")
    listed = {
        (name, version)
        for name, version in re.findall(r"^\| (\S+) \| (\S+) \|", table, re.MULTILINE)
        if name != "package"
    }
    missing = set(PINS.items()) - listed
    assert not missing, "make audit"
