"""A registry in memory, that tells what it was asked and in which order."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import RESOURCE_ALREADY_EXISTS, RESOURCE_DOES_NOT_EXIST

MODEL = "newsparts"


class Registry:
    """What of `MlflowClient` the registry uses: registered models, their versions and aliases.

    Args:
        versions: Numbers of the versions there are.
    """

    def __init__(self, *versions: str) -> None:
        self.models: dict[str, dict[str, str]] = {MODEL: {}}
        self.versions = {
            number: SimpleNamespace(version=number, tags={}, description="", run_id="r", source="s")
            for number in versions
        }
        self.aliases: dict[str, str] = {}
        self.asked: list[str] = []
        self.before: dict[str, Callable[[], None]] = {}
        """What happens as something is asked, once."""

    def _ask(self, what: str) -> None:
        self.asked.append(what)
        self.before.pop(what, lambda: None)()

    def create_registered_model(self, name: str, tags: dict[str, str] | None = None, description: str = "") -> None:
        self._ask(f"create {name}")
        if name in self.models:
            raise MlflowException("there is one", error_code=RESOURCE_ALREADY_EXISTS)
        self.models[name] = dict(tags or {})

    def get_registered_model(self, name: str) -> Any:
        self._ask(f"look at {name}")
        if name not in self.models:
            raise MlflowException("none", error_code=RESOURCE_DOES_NOT_EXIST)
        return SimpleNamespace(tags=dict(self.models[name]))

    def delete_registered_model(self, name: str) -> None:
        self._ask(f"delete {name}")
        del self.models[name]

    def get_model_version_by_alias(self, name: str, alias: str) -> Any:
        self._ask(f"look for {alias}")
        if alias not in self.aliases:
            raise MlflowException("none", error_code=RESOURCE_DOES_NOT_EXIST)
        return self.versions[self.aliases[alias]]

    def get_model_version(self, name: str, number: str) -> Any:
        self._ask(f"look for version {number}")
        if number not in self.versions:
            raise MlflowException("none", error_code=RESOURCE_DOES_NOT_EXIST)
        return self.versions[number]

    def search_model_versions(self, query: str) -> list[Any]:
        self._ask("look through versions")
        return list(self.versions.values())

    def set_registered_model_alias(self, name: str, alias: str, number: str) -> None:
        self._ask(f"move {alias} to {number}")
        self.aliases[alias] = number

    def set_registered_model_tag(self, name: str, tag: str, value: str) -> None:
        self._ask(f"set {tag}")
        self.models[name][tag] = value

    def set_model_version_tag(self, name: str, number: str, tag: str, value: str) -> None:
        self._ask(f"set {tag} of {number}")
        self.versions[number].tags[tag] = value

    def update_model_version(self, name: str, number: str, description: str) -> None:
        self._ask(f"describe {number}")
        self.versions[number].description = description
