"""The table of public collections: where each lies, at which commit, under which licence, and what its labels are."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import yaml
from pydantic import ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass as checked

from train.common.errors import InputError
from train.corpus.sources import SOURCES

TABLE = Path(__file__).with_name("collections.yaml")
ALL = "all"
"""Stands for every name of a table."""


@checked(frozen=True, config=ConfigDict(extra="forbid"))
class Collection:
    """A collection, as the table has it."""

    repository: Annotated[
        str, Field(pattern=r"^https://[\w.-]+(/[\w.-]+)+$", description="Its address; no login in it.")
    ]
    commit: Annotated[str, Field(pattern=r"^[0-9a-f]{40}$", description="The commit that is fetched.")]
    paths: Annotated[
        list[str], Field(min_length=1, description="What is checked out, as lines of a .gitignore say it.")
    ]
    licence: Annotated[str, Field(min_length=1, description="What its LICENSE says, or `none stated`.")]
    importer: Annotated[str, Field(description="The source that reads it (`train.corpus.sources`).")]
    labels: Annotated[str, Field(min_length=1, description="What its labels are.")]
    caveat: Annotated[str, Field(min_length=1, description="What to mind, in a sentence.")]
    folder: Annotated[str, Field(pattern=r"^([\w-]+(/[\w-]+)*)?$", description="The folder of it that is read.")] = ""
    pretraining: Annotated[bool, Field(description="Whether the packed page reader may learn from it.")] = True


@dataclass(frozen=True)
class Table:
    """Collections by name, in the table's order: a page that several hold is counted for the first of them.

    Args:
        path: The YAML file.
        collections: Name -> collection.
    """

    path: Path
    collections: dict[str, Collection]

    def chosen(self, names: Sequence[str]) -> list[str]:
        """The names a user asks for, each once, in the table's order.

        Args:
            names: Names of collections, or `all`.

        Raises:
            InputError: One is in no line of the table.
        """
        for name in names:
            if name not in (ALL, *self.collections):
                near = difflib.get_close_matches(name, (ALL, *self.collections), n=1, cutoff=0.0)
                raise InputError(
                    f"the collection {name!r}",
                    expected=f"{ALL}, or some of {', '.join(self.collections)}",
                    remedy=f"did you mean {near[0]}?",
                    path=self.path,
                    rule="unknown-collection",
                )
        return [name for name in self.collections if name in names or ALL in names]


def read_table(path: Path = TABLE) -> Table:
    """Reads a table of collections.

    Args:
        path: The YAML file; ours by default.

    Raises:
        InputError: It is missing, no YAML, or a line of it is not as `Collection` says.
    """
    kind = TypeAdapter(dict[Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]*$")], Collection])
    try:
        collections = kind.validate_python(yaml.safe_load(path.read_text(encoding="utf-8")))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise _refuse(f"not a YAML file: {error}"[:300], path) from None
    except ValidationError as error:
        first = error.errors()[0]
        raise _refuse(f"{'.'.join(map(str, first['loc']))}: {first['msg']}", path) from None
    for name, one in collections.items():
        if one.importer not in SOURCES:
            raise _refuse(f"{name}.importer: {one.importer!r}, which is no source", path)
    return Table(path, collections)


def _refuse(found: str, path: Path) -> InputError:
    return InputError(
        found,
        expected="name: {repository, commit, paths, licence, importer, labels, caveat}",
        remedy=f"write it as {TABLE.name} does",
        path=path,
        rule="bad-table",
    )
