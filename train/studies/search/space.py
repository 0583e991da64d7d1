"""Search spaces: what `make tune` may change in a config."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from train.common.errors import InputError
from train.config.older_keys import new_name

_KEYS = ({"choices"}, {"low", "high"}, {"low", "high", "log"}, {"low", "high", "step"})


@dataclass(frozen=True)
class Range:
    """What one key may be.

    Args:
        key: Dotted key of the config.
        choices: The values to choose from, or None.
        low: Least value, whole or not.
        high: Largest value, included.
        log: Whether small values are tried as often as large ones.
        step: Distance of neighbouring values, or None.
    """

    key: str
    choices: tuple[Any, ...] | None = None
    low: float | int = 0
    high: float | int = 0
    log: bool = False
    step: float | int | None = None

    def holds(self, value: Any) -> bool:
        """Whether a value is in it."""
        return (
            value in self.choices if self.choices is not None else value is not None and self.low <= value <= self.high
        )

    def suggest(self, trial: Any) -> Any:
        """The value of this key in an Optuna trial."""
        if self.choices is not None:
            # Optuna stores numbers, strings and booleans; a list of a config goes in as YAML.
            return yaml.safe_load(trial.suggest_categorical(self.key, [flow(choice) for choice in self.choices]))
        if isinstance(self.low, int) and isinstance(self.high, int):
            return trial.suggest_int(self.key, self.low, self.high, step=int(self.step or 1), log=self.log)
        return trial.suggest_float(self.key, self.low, self.high, step=self.step, log=self.log)


def read_yaml(path: Path, what: str, shipped: str, *, rule: str) -> Any:
    """Reads the YAML file of a study.

    Args:
        path: The file.
        what: It is called in messages.
        shipped: Where there are some to take.
        rule: It is called in the names of rules.

    Raises:
        InputError: No such file, or it is not YAML.
    """
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(
            f"no such {what}", expected="a YAML file", remedy=f"take one of {shipped}", path=path, rule=f"no-{rule}"
        ) from None
    except (UnicodeDecodeError, yaml.YAMLError) as error:
        raise InputError(
            f"not YAML: {error}", expected="YAML", remedy="mind indentation and quotes", path=path, rule=f"bad-{rule}"
        ) from None


def read_space(path: Path) -> list[Range]:
    """Reads a search space: a YAML mapping of dotted keys to `{low, high}` (and `log: true` or `step`) or `{choices:
    […]}`.

    Raises:
        InputError: No such file, or something else in it.
    """
    content = read_yaml(path, "search space", "configs/tune/*.yaml", rule="space")
    if not isinstance(content, dict) or not content:
        raise InputError(
            f"{type(content).__name__} instead of ranges",
            expected="dotted.key: {low: 1, high: 5}",
            remedy="see configs/tune/baseline.yaml",
            path=path,
            rule="bad-space",
        )
    ranges = []
    for key, value in content.items():
        wrong = not isinstance(value, dict) or set(value) not in _KEYS
        if not wrong and "choices" in value:
            wrong = not isinstance(value["choices"], list) or not value["choices"]
        elif not wrong:
            numbers = [value["low"], value["high"], value.get("step", 1)]
            wrong = (
                not all(isinstance(n, int | float) and not isinstance(n, bool) for n in numbers)
                or value["low"] >= value["high"]
            )
            wrong = wrong or (value.get("log", False) and value["low"] <= 0)
        if wrong:
            raise InputError(
                f"{key} is {value!r}",
                expected="{choices: [a, b]}, {low: 1, high: 5}, {low: 0.1, high: 10.0, log: true} (low above 0) or "
                "{low: 0, high: 1, step: 0.1}",
                remedy="mend the range",
                path=path,
                rule="bad-space",
            )
        known: dict[str, Any] = {name: tuple(v) if name == "choices" else v for name, v in value.items()}
        ranges.append(Range(new_name(str(key)), **known))
    return ranges


def flow(value: Any) -> str:
    """A value as one line of YAML, as overrides take it."""
    return (
        yaml.safe_dump(list(value) if isinstance(value, tuple) else value, default_flow_style=True)
        .removesuffix("...\n")
        .strip()
    )
