"""The types of a config's keys, and what each key says of itself: meaning, type, unit and range."""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, ConfigDict, Strict

COMPLETE = ConfigDict(extra="forbid")
"""The settings of every section: a key that it does not have is refused."""


def _number(value: Any) -> Any:
    """YAML 1.1 reads `1e-4`, which has no point, as a string."""
    try:
        return float(value) if isinstance(value, str) else value
    except ValueError:
        return value


Whole = Annotated[int, Strict()]
Number = Annotated[float, Strict(), BeforeValidator(_number)]
Flag = Annotated[bool, Strict()]
"""The types of keys, without pydantic's conversions: `true` is no whole number, `"3"` no number, 1 no flag."""

_ONE = {int: "a whole number", float: "a number", str: "a string", bool: "true or false"}
_MANY = {int: "a list of whole numbers", float: "a list of numbers", str: "a list of strings"}


@dataclass(frozen=True)
class Key:
    """What a key of a config says of itself.

    Args:
        name: The key, without its section.
        meaning: What it sets, in sentences; the first one stands in the shipped YAML files.
        kind: What its value is, e.g. `a whole number`.
        limits: The range of its value, e.g. `0 or more`; empty where there is none.
        unit: What the value counts, e.g. `segments`; empty where it counts nothing.
        optional: Whether it may be null.
        choices: The values it may have; empty where any value of the type will do.
        section: The dataclass of the keys below it; None for a key that has a value.
    """

    name: str
    meaning: str
    kind: str
    limits: str
    unit: str
    optional: bool
    choices: tuple[str, ...]
    section: type | None

    @property
    def expected(self) -> str:
        """What its value must be, in words."""
        return ", ".join(filter(None, [self.kind, self.limits])) + (", or null" if self.optional else "")


def keys_of(section: type) -> dict[str, Key]:
    """The keys of a section by name, in the order of its file.

    Args:
        section: A pydantic dataclass whose fields have descriptions.
    """
    return {
        name: _key(name, field.annotation, field.description or "", field.metadata)
        for name, field in typing.cast(Any, section).__pydantic_fields__.items()
    }


def _key(name: str, annotation: Any, meaning: str, metadata: list[Any]) -> Key:
    optional = typing.get_origin(annotation) in (typing.Union, types.UnionType)
    if optional:
        annotation = next(one for one in typing.get_args(annotation) if one is not type(None))
    annotation = _bare(annotation)
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    choices: tuple[str, ...] = ()
    section = None
    if dataclasses.is_dataclass(annotation):
        section = typing.cast(type, annotation)
        kind = f"a section with {', '.join(keys_of(section))}"
    elif origin is Literal:
        choices = arguments
        kind = f"one of {', '.join(choices)}"
    elif origin is tuple:
        kind = _MANY[_bare(arguments[0])]
    elif origin is dict:
        kind = "a mapping of names to names"
    else:
        kind = _ONE[annotation]
    unit = next((about for about in metadata if isinstance(about, str)), "")
    return Key(name, meaning, kind, _limits(metadata), unit, optional, choices, section)


def _bare(annotation: Any) -> Any:
    return typing.get_args(annotation)[0] if typing.get_origin(annotation) is Annotated else annotation


def _limits(metadata: Iterable[Any]) -> str:
    """The range in words, of the limits among a field's metadata."""
    words = {
        "gt": "above {}",
        "ge": "{} or more",
        "lt": "below {}",
        "le": "{} or less",
        "min_length": "{} or more of them",
    }
    found = [
        text.format(limit)
        for one in metadata
        for name, text in words.items()
        if (limit := getattr(one, name, None)) is not None
    ]
    return " and ".join(found)
