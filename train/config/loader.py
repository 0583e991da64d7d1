"""Reading a YAML file into frozen dataclasses: `key=value` overrides; errors that name file, line and nearest key."""

from __future__ import annotations

import dataclasses
import difflib
import types
import typing
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal, TypeVar

import yaml

from train.common.errors import InputError
from train.config import older_keys as older

T = TypeVar("T")


def read_settings(kind: type[T], path: Path, overrides: Sequence[str] = (), *, maybe_older: bool = False) -> T:
    """Reads a YAML file into a frozen dataclass, every field of which must be in it.

    Args:
        kind: The dataclass.
        path: The YAML file.
        overrides: `dotted.key=value` strings; values are YAML (`null`, `[1, 2]`, `0.5`).
        maybe_older: Keys of a config may have the names that older versions gave them (`train.older`).

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
    return typing.cast(T, _build(kind, values, "", tree))


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


def _build(kind: type, values: Any, prefix: str, tree: _Tree) -> Any:
    hints = typing.get_type_hints(kind)
    if not isinstance(values, dict):
        raise tree.error(
            prefix, f"{prefix} is {values!r}", f"a section with {', '.join(hints)}", "indent its keys below it"
        )
    dotted = {key: f"{prefix}.{key}" if prefix else str(key) for key in [*values, *hints]}
    for key in values:
        if key not in hints:
            near = difflib.get_close_matches(str(key), list(hints), n=1, cutoff=0.0)
            raise tree.error(
                dotted[key],
                f"unknown key {dotted[key]!r}",
                f"one of {', '.join(hints)}",
                f"did you mean {dotted[near[0]]!r}?",
            )
    for key in hints:
        if key not in values:
            raise tree.error(
                prefix, f"key {dotted[key]!r} is missing", "every key of the run", "copy it from a shipped config"
            )
    arguments = {key: _value(hints[key], values[key], dotted[key], tree) for key in hints}
    try:
        return kind(**arguments)
    except ValueError as error:
        raise tree.error(prefix, str(error), "a run that can work", "change the value") from None


def _value(hint: Any, value: Any, dotted: str, tree: _Tree) -> Any:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        if value is None:
            return None
        return _value(next(a for a in arguments if a is not type(None)), value, dotted, tree)
    if dataclasses.is_dataclass(hint):
        return _build(typing.cast(type, hint), value, dotted, tree)
    if origin is Literal:
        if value not in arguments:
            near = difflib.get_close_matches(str(value), [str(a) for a in arguments], n=1, cutoff=0.0)
            raise tree.error(
                dotted, f"{dotted} is {value!r}", f"one of {', '.join(arguments)}", f"did you mean {near[0]!r}?"
            )
        return value
    if origin is dict:
        if not isinstance(value, dict) or not all(isinstance(item, str) for pair in value.items() for item in pair):
            raise tree.error(
                dotted, f"{dotted} is {value!r}", "a mapping of names to names", "write {theirs: ours}, or {}"
            )
        return dict(value)
    if origin is tuple:
        if not isinstance(value, list):
            raise tree.error(dotted, f"{dotted} is {value!r}", "a list", f"write [{value}]")
        return tuple(_value(arguments[0], item, dotted, tree) for item in value)
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if hint is float and isinstance(value, str):  # YAML 1.1 reads 1e-4 as a string
        try:
            return float(value)
        except ValueError:
            pass
    if not isinstance(value, hint) or (hint is not bool and isinstance(value, bool)):
        names = {int: "a whole number", float: "a number", str: "a string", bool: "true or false"}
        raise tree.error(dotted, f"{dotted} is {value!r} ({type(value).__name__})", names[hint], "change the value")
    return value
