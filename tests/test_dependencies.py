"""What CI installs is what the constraints say, every file of it has a hash, and each package is in the table of licences."""

from __future__ import annotations

import re
import tomllib

from tests.conftest import ROOT

LOCK = (ROOT / ".ci/requirements.lock").read_text(encoding="utf-8")
PIN = re.compile(r"^([A-Za-z0-9._-]+)==([^\s\\]+)", re.MULTILINE)


def _pins(text: str) -> dict[str, str]:
    return {re.sub(r"[-_.]+", "-", name).lower(): version.partition("+")[0] for name, version in PIN.findall(text)}


def test_the_lock_has_the_constraints_versions_and_a_hash_for_every_package() -> None:
    constraints = _pins((ROOT / "constraints.txt").read_text(encoding="utf-8"))
    locked = _pins(LOCK)
    assert {name: version for name, version in locked.items() if constraints.get(name, version) != version} == {}
    assert set(locked) - set(constraints) == {"setuptools"}, "renew constraints.txt, or make lock"
    for block in re.split(r"\n(?=[A-Za-z0-9])", LOCK)[1:]:
        assert re.search(r"--hash=sha256:[0-9a-f]{64}", block), block


def test_everything_that_we_ask_for_is_locked() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    asked = [*project["dependencies"], *extras["dev"], *extras["server"], *extras["spark"]]
    names = {re.sub(r"[-_.]+", "-", re.split(r"[\[<>=!~; ]", line)[0]).lower() for line in asked} - {"newsparts"}
    assert names - set(_pins(LOCK)) == set(), "make lock"


def test_the_table_of_licences_has_every_package_of_the_lock() -> None:
    table = (ROOT / ".ci/dependencies.md").read_text(encoding="utf-8")
    listed = {(name, version) for name, version in re.findall(r"^\| (\S+) \| (\S+) \|", table, re.MULTILINE) if name != "package"}
    missing = {(name, version) for name, version in PIN.findall(LOCK)} - listed
    assert not missing, "make audit"
