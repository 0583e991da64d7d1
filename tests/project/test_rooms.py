"""The house: a room of `train/` imports only rooms before it, no two modules import each other, and nothing happens on
import."""

from __future__ import annotations

import ast
import subprocess
import sys
from functools import cache
from pathlib import Path

from tests.helpers.paths import ROOT

ROOMS = (
    "common",
    "runtime",
    "config",
    "corpus",
    "evaluation",
    "annotation",
    "models",
    "export",
    "tracking",
    "inference",
    "monitoring",
    "reports",
    "training",
    "registry",
    "studies",
    "bench",
    "cli",
)
"""From the first to the last."""


@cache
def imports() -> dict[str, set[str]]:
    """Module of `train` -> the modules of `train` that it names in an import, also within functions."""
    files = {_name(path): path for path in (ROOT / "train").rglob("*.py")}
    found: dict[str, set[str]] = {}
    for module, path in files.items():
        package = module if path.stem == "__init__" else module.rpartition(".")[0]
        named = set()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom):
                above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
                base = ".".join([*above, *filter(None, [node.module])])
                named |= {f"{base}.{alias.name}" if f"{base}.{alias.name}" in files else base for alias in node.names}
            elif isinstance(node, ast.Import):
                named |= {alias.name for alias in node.names}
        found[module] = (named & files.keys()) - {module}
    return found


def _name(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def _room(module: str) -> str:
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else ""


def test_every_module_lies_in_a_room() -> None:
    assert {_room(module) for module in imports()} - {*ROOMS, "", "demo", "__main__"} == set()


def test_a_room_imports_only_rooms_before_it() -> None:
    place = {room: i for i, room in enumerate(ROOMS)}
    back = [
        f"{module} -> {other}"
        for module, others in imports().items()
        for other in sorted(others)
        if _room(module) in place and _room(other) in place and place[_room(other)] > place[_room(module)]
    ]
    assert back == [], "move what is needed to an earlier room"
    assert [module for module, others in imports().items() if others & {"train.demo", "train.__main__"}] == [
        "train.cli.training"
    ]


def test_no_modules_import_each_other() -> None:
    """Neither straight nor by others."""
    left = {module: set(others) for module, others in imports().items()}
    while free := [module for module, others in left.items() if not others & left.keys()]:
        for module in free:
            del left[module]
    assert sorted(left) == [], "each of these imports itself by way of others, or what does"


def test_nothing_happens_on_import() -> None:
    """No module sets a variable of the environment, changes a stream, or loads what takes seconds only some verbs
    need."""
    code = (
        "import os, sys\n"
        "before = dict(os.environ), sys.stdout.errors\n"
        "import train.cli.app\n"
        "assert (dict(os.environ), sys.stdout.errors) == before\n"
        "print(sorted({'torch', 'transformers', 'mlflow', 'sklearn', 'datasets', 'optuna', 'matplotlib', 'pandas'} & "
        "set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stdout.strip() == "[]"
