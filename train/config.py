"""One complete YAML a run, read into frozen dataclasses; `key=value` overrides; errors that name file, line and nearest key.

Every key must be in the file: a run has no hidden defaults. What a key means stands in the shipped configs' comments.
"""

from __future__ import annotations

import dataclasses
import difflib
import types
import typing
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar

import yaml

from train.errors import InputError
from train.runtime.reading import ROLES

T = TypeVar("T")


@dataclass(frozen=True)
class CorpusConfig:
    """Where pages come from and how they are split."""

    path: str | None
    train_path: str | None
    validation_path: str | None
    test_path: str | None
    composed: int
    languages: tuple[str, ...]
    columns: dict[str, str]
    roles: dict[str, str]
    on_bad_page: Literal["stop", "quarantine"]
    split_path: str | None
    split_by: Literal["site", "time"]
    folds: int | None
    fold: int
    validation_share: float
    test_share: float
    split_seed: int

    def __post_init__(self) -> None:
        if self.folds is not None and not 0 <= self.fold < self.folds:
            raise ValueError(f"corpus.fold is {self.fold}, expected 0 to {self.folds - 1}: corpus.folds is {self.folds}")
        if self.folds is not None and (self.folds < 2 or self.split_path is not None or self.split_by == "time"):
            raise ValueError("corpus.folds needs at least 2 folds, corpus.split_path: null and corpus.split_by: site")
        unknown = sorted(set(self.roles.values()) - set(ROLES))
        if unknown:
            raise ValueError(f"corpus.roles maps to {unknown[0]!r}, expected one of {', '.join(ROLES)}")
        parts = (self.train_path, self.validation_path, self.test_path)
        if (self.path is None) == (None in parts) or (self.path is not None and any(parts)):
            raise ValueError(
                "found corpus.path and/or some of corpus.train_path, validation_path, test_path; "
                "expected either corpus.path alone (split by site) or all three parts; set the others to null"
            )
        if self.composed < 0:
            raise ValueError(f"corpus.composed is {self.composed}, expected 0 or more pages")
        for name in ("validation_share", "test_share"):
            if not 0 < getattr(self, name) < 0.5:
                raise ValueError(f"corpus.{name} is {getattr(self, name)}, expected a share between 0 and 0.5")


@dataclass(frozen=True)
class TopicsConfig:
    """Loose texts that teach topics besides the corpus' own stories, and how topics are named."""

    path: str | None
    mapping: str | None


@dataclass(frozen=True)
class BaselineConfig:
    """The TF-IDF family."""

    max_words: int
    max_chars: int
    min_df: int
    char_ngrams: tuple[int, ...]
    neighbour_words: int
    neighbours_before: int
    neighbours_after: int
    numbers: bool
    regularisation: float
    max_iterations: int
    second_reading: int
    topic_regularisation: float

    def __post_init__(self) -> None:
        if len(self.char_ngrams) != 2 or not 1 <= self.char_ngrams[0] <= self.char_ngrams[1]:
            raise ValueError(f"baseline.char_ngrams is {list(self.char_ngrams)}, expected [shortest, longest], e.g. [2, 4]")
        _positive(self, "baseline", "max_words", "max_chars", "min_df", "regularisation", "max_iterations", "topic_regularisation")
        _not_negative(self, "baseline", "neighbour_words", "neighbours_before", "neighbours_after", "second_reading")


@dataclass(frozen=True)
class EncoderConfig:
    """The packed page encoder."""

    backbone: str
    revision: str | None
    layers: int | None
    window_tokens: int
    overlap: float
    head_tokens: int
    tail_tokens: int
    dropout: float
    freeze_embeddings: bool
    int8: bool
    epochs: int
    recombined: bool
    batch_windows: int
    learning_rate: float
    head_learning_rate: float
    layer_decay: float
    weight_decay: float
    warmup: float
    topic_weight: float
    checkpoints: int
    patience: int | None
    threads: int | None
    device: Literal["auto", "cpu"]
    devices: int
    bf16: bool
    fp16: bool

    def __post_init__(self) -> None:
        _positive(
            self, "encoder", "epochs", "batch_windows", "devices", "learning_rate", "head_learning_rate", "checkpoints", "head_tokens"
        )
        _not_negative(self, "encoder", "tail_tokens", "dropout", "weight_decay", "warmup", "topic_weight", "patience")
        if not 0 < self.layer_decay <= 1:
            raise ValueError(
                f"encoder.layer_decay is {self.layer_decay}, expected a factor from above 0 to 1; 1 is the same rate everywhere"
            )
        if self.batch_windows % self.devices:
            raise ValueError(
                f"encoder.batch_windows is {self.batch_windows}, expected a multiple of encoder.devices ({self.devices}), which share each batch"
            )
        if self.bf16 and self.fp16:
            raise ValueError("encoder.bf16 and encoder.fp16 are both true, expected one of them at most")
        if not 0 <= self.overlap <= 0.5:
            raise ValueError(f"encoder.overlap is {self.overlap}, expected a share of the window between 0 and 0.5")
        longest = 2 + self.head_tokens + self.tail_tokens
        if self.window_tokens < 2 * longest:
            raise ValueError(
                f"encoder.window_tokens is {self.window_tokens}, expected at least {2 * longest}: "
                "two segments of head_tokens + tail_tokens + marker must fit; widen the window or keep fewer tokens"
            )


@dataclass(frozen=True)
class HierarchicalConfig:
    """The hierarchical encoder."""

    backbone: str
    revision: str | None
    layers: int | None
    head_tokens: int
    tail_tokens: int
    width: int
    depth: int
    members: int
    dropout: float
    epochs: int
    recombined: float
    piece_segments: int
    batch_pieces: int
    learning_rate: float
    weight_decay: float
    warmup: float
    short_weight: float
    topic_weight: float
    int8: bool
    patience: int | None
    threads: int | None
    device: Literal["auto", "cpu"]

    def __post_init__(self) -> None:
        _positive(self, "hierarchical", "head_tokens", "width", "depth", "members", "epochs", "batch_pieces", "learning_rate")
        _not_negative(self, "hierarchical", "tail_tokens", "weight_decay", "short_weight", "topic_weight", "patience")
        for name in ("dropout", "recombined", "warmup"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"hierarchical.{name} is {getattr(self, name)}, expected a share from 0 to below 1")
        if self.piece_segments < 2:
            raise ValueError(f"hierarchical.piece_segments is {self.piece_segments}, expected at least 2, e.g. 192")


@dataclass(frozen=True)
class DecodingConfig:
    """Candidates for the page decoder; validation role macro-F1 chooses."""

    weights: tuple[float, ...]
    prior_weights: tuple[float, ...]

    def __post_init__(self) -> None:
        if not self.weights or not self.prior_weights:
            raise ValueError("decoding.weights and decoding.prior_weights need at least one candidate each; [0.0] reads segments alone")


@dataclass(frozen=True)
class CalibrationConfig:
    """When a model calls itself unsure."""

    precision: float

    def __post_init__(self) -> None:
        if not 0.5 <= self.precision < 1:
            raise ValueError(f"calibration.precision is {self.precision}, expected a share of right answers from 0.5 to 1, e.g. 0.95")


@dataclass(frozen=True)
class EvaluationConfig:
    """How test scores are made."""

    bootstrap_samples: int
    confidence: float
    learning_curve: tuple[float, ...]

    def __post_init__(self) -> None:
        for share in self.learning_curve:
            if not 0 < share < 1:
                raise ValueError(f"evaluation.learning_curve has {share}, expected shares of the training sites between 0 and 1")
        if not 0.5 < self.confidence < 1:
            raise ValueError(f"evaluation.confidence is {self.confidence}, expected a level between 0.5 and 1, e.g. 0.95")
        _positive(self, "evaluation", "bootstrap_samples")


@dataclass(frozen=True)
class TrackingConfig:
    """Where the run is recorded."""

    enabled: bool
    experiment: str
    run_name: str | None


FamilyName = Literal["baseline", "encoder", "hierarchical"]
FAMILIES: tuple[FamilyName, ...] = ("baseline", "encoder", "hierarchical")
"""Kinds of models that are trained by themselves; each has a section."""


@dataclass(frozen=True)
class Config:
    """Everything a run depends on but the corpus and the code."""

    family: Literal[FamilyName, "ensemble"]
    seed: int
    output: str
    corpus: CorpusConfig
    topics: TopicsConfig
    baseline: BaselineConfig | None
    encoder: EncoderConfig | None
    hierarchical: HierarchicalConfig | None
    decoding: DecodingConfig
    calibration: CalibrationConfig
    evaluation: EvaluationConfig
    tracking: TrackingConfig

    def __post_init__(self) -> None:
        if self.family == "ensemble":
            if len(self.members) < 2:
                raise ValueError(
                    f"family is ensemble and of its sections {', '.join(FAMILIES)} {len(self.members)} filled, expected at least 2: "
                    "fill another; an ensemble is the mean of those that are not null"
                )
        elif getattr(self, self.family) is None:
            raise ValueError(f"family is {self.family} and the section {self.family} is null; fill it or change the family")

    @property
    def members(self) -> tuple[FamilyName, ...]:
        """The families at work: its own, or of an ensemble those whose sections are filled."""
        return tuple(name for name in FAMILIES if getattr(self, name) is not None) if self.family == "ensemble" else (self.family,)

    def to_dict(self) -> dict[str, Any]:
        """Nested plain values, as the YAML has them."""
        return typing.cast(dict[str, Any], _plain(dataclasses.asdict(self)))

    def to_yaml(self) -> str:
        """The resolved config as YAML; loading it again gives an equal config."""
        return yaml.safe_dump(self.to_dict(), sort_keys=False, allow_unicode=True)

    def flat(self) -> dict[str, Any]:
        """Dotted keys and scalar values, for MLflow params."""
        answer: dict[str, Any] = {}

        def walk(prefix: str, value: Any) -> None:
            if isinstance(value, dict):
                for key, inner in value.items():
                    walk(f"{prefix}.{key}" if prefix else key, inner)
            else:
                answer[prefix] = value

        walk("", self.to_dict())
        return answer


def load_config(path: Path, overrides: Sequence[str] = ()) -> Config:
    """Reads a config file and applies overrides.

    Args:
        path: The YAML file.
        overrides: `dotted.key=value` strings; values are YAML (`null`, `[1, 2]`, `0.5`).

    Raises:
        InputError: No such file, broken YAML, an unknown, missing, repeated or ill-typed key, a value out of range.
    """
    return read_settings(Config, path, overrides)


def read_settings(kind: type[T], path: Path, overrides: Sequence[str] = ()) -> T:
    """Reads a YAML file into a frozen dataclass, every field of which must be in it; else as `load_config`."""
    try:
        text = path.read_text(encoding="utf-8")
    except (FileNotFoundError, IsADirectoryError):
        shipped = ", ".join(sorted(p.as_posix() for p in path.parent.glob("*.yaml"))) if path.parent.is_dir() else ""
        raise InputError(
            "no such config", expected="a YAML file", remedy=f"take one of: {shipped or 'configs/*.yaml'}", path=path, rule="no-config"
        ) from None
    except UnicodeDecodeError as error:
        raise InputError(f"not UTF-8: {error.reason}", expected="UTF-8 text", remedy="save it as UTF-8", path=path) from None
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        problem = getattr(error, "problem", None) or str(error)
        raise InputError(
            f"not YAML: {problem}", expected="YAML", remedy="mind indentation and quotes", path=path, line=mark.line + 1 if mark else None
        ) from None
    tree = _Tree(path)
    values = tree.read(node, "")
    if not isinstance(values, dict):
        raise InputError("the file holds no keys", expected="a config as in configs/", remedy="start from a copy of one", path=path)
    for override in overrides:
        _override(values, override, tree)
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
                    f"key {dotted!r} again; it was on line {self.lines[dotted]}", expected="every key once", remedy="delete one",
                    path=self.path, line=line,
                )  # fmt: skip
            self.lines[dotted] = line
            values[key] = self.read(value_node, dotted)
        return values

    def error(self, dotted: str, found: str, expected: str, remedy: str) -> InputError:
        parents = [dotted] + [dotted.rsplit(".", i)[0] for i in range(1, dotted.count(".") + 1)]
        for key in parents:
            if key in self.from_command_line:
                return InputError(f"{found} (from {self.from_command_line[key]!r})", expected=expected, remedy=remedy, rule="bad-config")
        line = next((self.lines[key] for key in parents if key in self.lines), None)
        return InputError(found, expected=expected, remedy=remedy, path=self.path, line=line, rule="bad-config")


def _override(values: dict[str, Any], override: str, tree: _Tree) -> None:
    dotted, equals, raw = override.partition("=")
    if not equals or not dotted:
        raise InputError(
            f"override {override!r}", expected="key=value", remedy='for example SET="seed=7 corpus.path=my.jsonl"', rule="bad-config"
        )
    try:
        value = yaml.safe_load(raw)
    except yaml.YAMLError:
        value = raw
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
        raise tree.error(prefix, f"{prefix} is {values!r}", f"a section with {', '.join(hints)}", "indent its keys below it")
    dotted = {key: f"{prefix}.{key}" if prefix else str(key) for key in [*values, *hints]}
    for key in values:
        if key not in hints:
            near = difflib.get_close_matches(str(key), list(hints), n=1, cutoff=0.0)
            raise tree.error(
                dotted[key], f"unknown key {dotted[key]!r}", f"one of {', '.join(hints)}", f"did you mean {dotted[near[0]]!r}?"
            )
    for key in hints:
        if key not in values:
            raise tree.error(prefix, f"key {dotted[key]!r} is missing", "every key of the run", "copy it from a shipped config")
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
            raise tree.error(dotted, f"{dotted} is {value!r}", f"one of {', '.join(arguments)}", f"did you mean {near[0]!r}?")
        return value
    if origin is dict:
        if not isinstance(value, dict) or not all(isinstance(item, str) for pair in value.items() for item in pair):
            raise tree.error(dotted, f"{dotted} is {value!r}", "a mapping of names to names", "write {theirs: ours}, or {}")
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


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items()}
    return [_plain(inner) for inner in value] if isinstance(value, list | tuple) else value


def _positive(config: Any, section: str, *names: str) -> None:
    for name in names:
        if not getattr(config, name) > 0:
            raise ValueError(f"{section}.{name} is {getattr(config, name)}, expected more than 0")


def _not_negative(config: Any, section: str, *names: str) -> None:
    for name in names:
        if (getattr(config, name) or 0) < 0:
            raise ValueError(f"{section}.{name} is {getattr(config, name)}, expected 0 or more")
