"""What an installed package holds."""

from __future__ import annotations

import tomllib
from fnmatch import fnmatch

from tests.helpers.paths import ROOT


def test_every_file_that_code_reads_is_in_the_package() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    patterns = settings["tool"]["setuptools"]["package-data"]["train"]
    files = [
        path.relative_to(ROOT / "train").as_posix()
        for path in (ROOT / "train").rglob("*")
        if path.is_file() and path.suffix not in (".py", ".pyc") and path.name != "README.md"
    ]
    assert "reports/templates/page.html" in files
    assert [name for name in files if not any(fnmatch(name, pattern) for pattern in patterns)] == []
