"""Reading a YAML file into pydantic dataclasses: `key=value` overrides; errors that name file, line and nearest key."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from train.common.errors import InputError
from train.config import older_keys as older
from train.config.fields import keys_of

T = TypeVar("T")


def read_settings(kind: type[T], path: Path, overrides: Sequence[str] = (), *, maybe_older: bool = False) -> T:
    """Reads a YAML file into a pydantic dataclass, every field of which must be in it.

    Args:
        kind: The dataclass; its fields say of themselves what they mean and may be (`train.config.fields`).
        path: The YAML file.
        overrides: `dotted.key=value` strings; values are YAML (`null`, `[1, 2]`, `0.5`).
        maybe_older: Keys of a config may have the names that older versions gave them (`train.config.older_keys`).

    Raises:
        InputError: No such file, broken YAML, an unknown, missing, repeated or ill-typed key, a value out of range.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (FileNotFoundError, IsADirectoryError):
        shipped = ", ".join(sorted(p.as_posix() for p in path.parent.glob("*.yaml"))) if path.parent.is_dir() else ""
        raise InputError(
            "no such config",
            expected="a YAML file",
            remedy=f"take one of: {shipped or 'configs/*.yaml'}",
            path=path,
            rule="no-config",
        ) from None
    except UnicodeDecodeError as error:
        raise InputError(
            f"not UTF-8: {error.reason}", expected="UTF-8 text", remedy="save it as UTF-8", path=path
        ) from None
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        problem = getattr(error, "problem", None) or str(error)
        raise InputError(
            f"not YAML: {problem}",
            expected="YAML",
            remedy="mind indentation and quotes",
            path=path,
            line=mark.line + 1 if mark else None,
        ) from None
    tree = _Tree(path)
    values = tree.read(node, "")
    if not isinstance(values, dict):
        raise InputError(
            "the file holds no keys", expected="a config as in configs/", remedy="start from a copy of one", path=path
        )
    if maybe_older:
        older.rename(values, tree.lines, tree.error)
    for override in overrides:
        _override(values, override, tree, older.new_name if maybe_older else str)
    if maybe_older:
        older.refuse(values, tree.error)
    return _validated(kind, values, tree)


class _Tree:
    """Plain values of a YAML file, and the line each dotted key stands on."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.lines: dict[str, int] = {}
        self.from_command_line: dict[str, str] = {}

    def read(self, node: yaml.Node | None, prefix: str) -> Any:
        if node is None:
            return None
        if not isinstance(node, yaml.MappingNode):
            loader = yaml.SafeLoader("")
            try:
                return loader.construct_document(node)
            finally:
                loader.dispose()
        values: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key = str(key_node.value)
            dotted = f"{prefix}.{key}" if prefix else key
            line = key_node.start_mark.line + 1
            if dotted in self.lines:
                raise InputError(
                    f"key {dotted!r} again; it was on line {self.lines[dotted]}",
                    expected="every key once",
                    remedy="delete one",
                    path=self.path,
                    line=line,
                )
            self.lines[dotted] = line
            values[key] = self.read(value_node, dotted)
        return values

    def error(self, dotted: str, found: str, expected: str, remedy: str) -> InputError:
        parents = [dotted] + [dotted.rsplit(".", i)[0] for i in range(1, dotted.count(".") + 1)]
        for key in parents:
            if key in self.from_command_line:
                return InputError(
                    f"{found} (from {self.from_command_line[key]!r})",
                    expected=expected,
                    remedy=remedy,
                    rule="bad-config",
                )
        line = next((self.lines[key] for key in parents if key in self.lines), None)
        return InputError(found, expected=expected, remedy=remedy, path=self.path, line=line, rule="bad-config")


def _override(values: dict[str, Any], override: str, tree: _Tree, name: Callable[[str], str]) -> None:
    dotted, equals, raw = override.partition("=")
    if not equals or not dotted:
        raise InputError(
            f"override {override!r}",
            expected="key=value",
            remedy='for example SET="seed=7 corpus.path=my.jsonl"',
            rule="bad-config",
        )
    try:
        value = yaml.safe_load(raw)
    except yaml.YAMLError:
        value = raw
    dotted = name(dotted)
    tree.from_command_line[dotted] = override
    at: Any = values
    *parents, last = dotted.split(".")
    for parent in parents:
        if not isinstance(at.get(parent), dict):
            at[parent] = {}
        at = at[parent]
    at[last] = value


def _validated(kind: type[T], values: dict[str, Any], tree: _Tree) -> T:
    try:
        return TypeAdapter(kind).validate_python(values)
    except ValidationError as error:
        faults = error.errors(include_url=False, include_input=False)
        raise _fault(
            kind, values, min(faults, key=lambda fault: _FIRST.get(fault["type"], len(_FIRST))), tree
        ) from None


_FIRST = {"unexpected_keyword_argument": 0, "invalid_key": 0, "missing": 1}
"""Kinds of faults that are told before others: a key that is misspelt is missing, too."""


def _fault(kind: type, values: Any, fault: ErrorDetails, tree: _Tree) -> InputError:
    """A fault that pydantic found, in the user's terms.

    Args:
        kind: The dataclass that is read.
        values: The file's values.
        fault: One of pydantic's errors; its location may reach into a value, e.g. to an item of a list.
        tree: Knows the line of each key.
    """
    keys, key, where, value = keys_of(kind), None, [], values
    for name in map(str, fault["loc"]):
        if name not in keys:
            break
        key, value = keys[name], value.get(name) if isinstance(value, dict) else None
        where.append(name)
        keys = keys_of(key.section) if key.section else {}
    dotted = ".".join(where)
    if fault["type"] in ("unexpected_keyword_argument", "invalid_key"):
        unknown = str(fault["loc"][-1])
        names = {**older.names_below(dotted), **{name: name for name in keys}}
        near = names[difflib.get_close_matches(unknown, list(names), n=1, cutoff=0.0)[0]]
        full, meant = (".".join([*where, name]) for name in (unknown, near))
        return tree.error(full, f"unknown key {full!r}", f"one of {', '.join(keys)}", f"did you mean {meant!r}?")
    if fault["type"] == "missing":
        section = ".".join(where[:-1])
        return tree.error(
            section, f"key {dotted!r} is missing", "every key of the run", "copy it from a shipped config"
        )
    if fault["type"] == "value_error":
        return tree.error(dotted, str(fault["ctx"]["error"]), "a run that can work", "change the value")
    assert key is not None, "the root is a mapping"
    if key.choices:
        near = difflib.get_close_matches(str(value), key.choices, n=1, cutoff=0.0)[0]
        return tree.error(dotted, f"{dotted} is {value!r}", key.expected, f"did you mean {near!r}?")
    shown = list(value) if isinstance(value, tuple) else value
    of = f" ({type(value).__name__})" if fault["type"].endswith("_type") else ""
    remedy = "indent its keys below it" if key.section else "change the value"
    return tree.error(dotted, f"{dotted} is {shown!r}{of}", key.expected, remedy)
