"""What every public function, method and class of `train/` says of itself: what it is, its arguments, its errors."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.helpers.paths import ROOT

_ENTRY = re.compile(r"^\s+\*{0,2}(\w+)(?: \([^)]*\))?: (.*)")
"""A line of `Args:`."""
HELPED = ("typer.Option", "typer.Argument")
"""What documents a parameter of a verb: its `help`, which `python -m train VERB --help` shows."""
Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


def _public(node: ast.Module | ast.ClassDef) -> Iterator[Definition]:
    """The public functions and classes of a module, and those inside public classes; a method without a docstring has
    that of the class it is inherited from."""
    for inner in node.body:
        if isinstance(inner, Definition) and not inner.name.startswith("_"):
            if ast.get_docstring(inner) or not (isinstance(node, ast.ClassDef) and node.bases):
                yield inner
            if isinstance(inner, ast.ClassDef):
                yield from _public(inner)


def _parameters(node: Definition) -> list[str]:
    """The names of a function's parameters, or of a data class's fields without a docstring or a
    description of their own."""
    if isinstance(node, ast.ClassDef):
        if not any("dataclass" in ast.unparse(decorator) for decorator in node.decorator_list):
            return []
        following = [*node.body[1:], None]
        return [
            one.target.id
            for one, after in zip(node.body, following, strict=True)
            if isinstance(one, ast.AnnAssign)
            and isinstance(one.target, ast.Name)
            and not one.target.id.startswith("_")
            and not (isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant))
            and not (isinstance(one.value, ast.Call) and "description" in {word.arg for word in one.value.keywords})
        ]
    arguments = node.args
    named = [*arguments.posonlyargs, *arguments.args, arguments.vararg, *arguments.kwonlyargs, arguments.kwarg]
    return [one.arg for one in named if one is not None and one.arg not in ("self", "cls")]


def _help(annotation: ast.AST | None) -> str | None:
    """The help text in the annotation of a verb's parameter, or in the alias of `cli/options.py` that it names."""
    if isinstance(annotation, ast.Attribute):
        annotation = OPTIONS.get(annotation.attr)
    calls = [one for one in ast.walk(annotation or ast.Pass()) if isinstance(one, ast.Call)]
    words = [word for call in calls if ast.unparse(call.func) in HELPED for word in call.keywords if word.arg == "help"]
    return ast.literal_eval(words[0].value) if words else None


OPTIONS = {
    one.targets[0].id: one.value
    for one in ast.parse((ROOT / "train/cli/options.py").read_text(encoding="utf-8")).body
    if isinstance(one, ast.Assign) and isinstance(one.targets[0], ast.Name)
}
"""The options that verbs share: alias -> annotation."""


def _sections(doc: str) -> dict[str, str]:
    """The text of a docstring by section; the text before the first one under an empty name."""
    parts = re.split(r"^(Args|Returns|Yields|Raises):$", doc, flags=re.MULTILINE)
    return {"": parts[0], **dict(zip(parts[1::2], parts[2::2], strict=True))}


def _raised(node: Definition) -> Iterator[str]:
    """The names of the errors that a body raises itself: of a class, its `__init__` and `__post_init__`."""
    todo: list[ast.AST] = list(node.body)
    if isinstance(node, ast.ClassDef):
        todo = [one for one in node.body if getattr(one, "name", "") in ("__init__", "__post_init__")]
        todo = [statement for one in todo if isinstance(one, ast.FunctionDef) for statement in one.body]
    while todo:
        one = todo.pop()
        if isinstance(one, ast.FunctionDef | ast.Lambda | ast.ClassDef):
            continue
        if isinstance(one, ast.Raise) and isinstance(one.exc, ast.Call) and isinstance(one.exc.func, ast.Name):
            yield one.exc.func.id
        todo += ast.iter_child_nodes(one)


def faults(node: Definition) -> Iterator[str]:
    """What is wrong with a definition's docstring, and with the help texts of a verb's options."""
    doc = ast.get_docstring(node)
    if not doc:
        yield "has no docstring"
        return
    sections = _sections(doc)
    lines = sections.get("Args", "").splitlines()
    entries: dict[str, str] = {match[1]: match[2] for line in lines if (match := _ENTRY.match(line))}
    arguments = [] if isinstance(node, ast.ClassDef) else [*node.args.args, *node.args.kwonlyargs]
    helped = {one.arg: text for one in arguments if (text := _help(one.annotation))}
    entries |= helped
    for name, text in entries.items():
        if text.startswith("Of "):
            yield f"says of {name} only whose it is: {text!r}"
    parameters = _parameters(node)
    for name in parameters if len(parameters) > 1 else ():
        if name not in entries and not re.search(rf"`\*{{0,2}}{name}\b", sections[""]):
            yield f"does not say what {name} is"
    for name in entries:
        if not isinstance(node, ast.ClassDef) and name not in parameters:
            yield f"describes {name}, which it does not take"
    # A verb's docstring is what --help shows; the command line tells every InputError the same way.
    if not helped and "InputError" in _raised(node) and "InputError" not in sections.get("Raises", ""):
        yield "does not name InputError under Raises"


@pytest.mark.parametrize(
    "path", sorted((ROOT / "train").rglob("*.py")), ids=lambda path: path.relative_to(ROOT / "train").as_posix()
)
def test_public_definitions_say_what_they_are(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    wrong = [
        f"{path.relative_to(ROOT)}:{node.lineno} {node.name} {fault}"
        for node in _public(tree)
        for fault in faults(node)
    ]
    assert wrong == []
    assert ast.get_docstring(tree)
