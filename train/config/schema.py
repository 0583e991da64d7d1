"""What a run's config holds: one complete YAML, read into frozen dataclasses that refuse what cannot work.

Every key must be in the file: a run has no hidden defaults. What a key means stands in the shipped configs' comments.
"""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import yaml

from train.config.loader import read_settings
from train.runtime.reader import FamilyName
from train.runtime.text import ROLES


@dataclass(frozen=True)
class CorpusConfig:
    """Where pages come from and how they are split."""

    path: str | None
    train_path: str | None
    validation_path: str | None
    test_path: str | None
    composed: int
    auxiliary: tuple[str, ...]
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
            raise ValueError(
                f"corpus.fold is {self.fold}, expected 0 to {self.folds - 1}: corpus.folds is {self.folds}"
            )
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
    C: float
    max_iterations: int
    stacking_neighbours: int
    topic_C: float
    auxiliary_weight: float

    def __post_init__(self) -> None:
        if len(self.char_ngrams) != 2 or not 1 <= self.char_ngrams[0] <= self.char_ngrams[1]:
            raise ValueError(
                f"baseline.char_ngrams is {list(self.char_ngrams)}, expected [shortest, longest], e.g. [2, 4]"
            )
        _positive(self, "baseline", "max_words", "max_chars", "min_df", "C", "max_iterations", "topic_C")
        _not_negative(
            self,
            "baseline",
            "neighbour_words",
            "neighbours_before",
            "neighbours_after",
            "stacking_neighbours",
            "auxiliary_weight",
        )


@dataclass(frozen=True)
class EncoderConfig:
    """The encoder."""

    backbone: str
    revision: str | None
    layers: int | None
    page_layers: int
    fine_tune: Literal["page", "top", "all"]
    head_tokens: int
    tail_tokens: int
    width: int
    depth: int
    dropout: float
    epochs: int
    auxiliary_epochs: int
    chunk_segments: int
    batch_chunks: int
    learning_rate: float
    weight_decay: float
    warmup: float
    fine_tune_epochs: int
    fine_tune_rate: float
    fine_tune_page_rate: float
    short_weight: float
    topic_C: float
    int8: bool
    patience: int | None
    threads: int | None
    device: Literal["auto", "cpu"]
    devices: int

    @property
    def fine_tunes(self) -> bool:
        """Whether any pretrained weights learn."""
        return bool(self.page_layers) or self.fine_tune != "page"

    def __post_init__(self) -> None:
        _positive(
            self,
            "encoder",
            "head_tokens",
            "width",
            "depth",
            "epochs",
            "batch_chunks",
            "learning_rate",
            "topic_C",
            "fine_tune_epochs",
            "fine_tune_rate",
            "fine_tune_page_rate",
            "devices",
        )
        _not_negative(
            self,
            "encoder",
            "tail_tokens",
            "weight_decay",
            "short_weight",
            "patience",
            "auxiliary_epochs",
            "page_layers",
        )
        if self.layers is not None:
            _positive(self, "encoder", "layers")
        elif self.page_layers:
            raise ValueError(
                f"encoder.page_layers is {self.page_layers} and encoder.layers null, expected 0: no layer is left "
                "above to read pages"
            )
        if self.devices > 1 and not self.fine_tunes:
            raise ValueError(
                f"encoder.devices is {self.devices}, expected 1: no pretrained weights learn (encoder.page_layers, "
                "encoder.fine_tune)"
            )
        for name in ("dropout", "warmup"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"encoder.{name} is {getattr(self, name)}, expected a share from 0 to below 1")
        if self.chunk_segments < 2:
            raise ValueError(f"encoder.chunk_segments is {self.chunk_segments}, expected at least 2, e.g. 192")


@dataclass(frozen=True)
class DecodingConfig:
    """Candidates for the page decoder; validation role macro-F1 chooses."""

    weights: tuple[float, ...]
    prior_weights: tuple[float, ...]

    def __post_init__(self) -> None:
        if not self.weights or not self.prior_weights:
            raise ValueError(
                "decoding.weights and decoding.prior_weights need at least one candidate each; [0.0] reads segments "
                "alone"
            )


@dataclass(frozen=True)
class CalibrationConfig:
    """When a model calls itself unsure."""

    precision: float

    def __post_init__(self) -> None:
        if not 0.5 <= self.precision < 1:
            raise ValueError(
                f"calibration.precision is {self.precision}, expected a share of right answers from 0.5 to 1, e.g. 0.95"
            )


@dataclass(frozen=True)
class EvaluationConfig:
    """How test scores are made."""

    bootstrap_samples: int
    confidence: float

    def __post_init__(self) -> None:
        if not 0.5 < self.confidence < 1:
            raise ValueError(
                f"evaluation.confidence is {self.confidence}, expected a level between 0.5 and 1, e.g. 0.95"
            )
        _positive(self, "evaluation", "bootstrap_samples")


@dataclass(frozen=True)
class TrackingConfig:
    """Where the run is recorded."""

    enabled: bool
    experiment: str
    run_name: str | None


@dataclass(frozen=True)
class Config:
    """Everything a run depends on but the corpus and the code."""

    family: FamilyName
    seed: int
    output: str
    corpus: CorpusConfig
    topics: TopicsConfig
    baseline: BaselineConfig | None
    encoder: EncoderConfig | None
    decoding: DecodingConfig
    calibration: CalibrationConfig
    evaluation: EvaluationConfig
    tracking: TrackingConfig

    def __post_init__(self) -> None:
        if getattr(self, self.family) is None:
            raise ValueError(
                f"family is {self.family} and the section {self.family} is null; fill it or change the family"
            )

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
    return read_settings(Config, path, overrides, maybe_older=True)


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
