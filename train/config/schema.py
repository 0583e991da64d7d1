"""What a run's config holds: one complete YAML, read into frozen pydantic dataclasses that refuse what cannot work.

Every key must be in the file: a run has no hidden defaults. A key's meaning, unit and range stand at its field; the
comments of the shipped configs and `configs/README.md` are made from them by `python -m train configs`.
"""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import Field
from pydantic.dataclasses import dataclass

from train.config.fields import COMPLETE, Flag, Number, Whole
from train.config.loader import read_settings
from train.runtime.scorer import FamilyName
from train.runtime.text import ROLES


@dataclass(frozen=True, config=COMPLETE)
class CorpusConfig:
    """Where pages come from and how they are split."""

    path: str | None = Field(
        description="The corpus, to be split; null where the three files below are given. A `.jsonl`, `.jsonl.gz`, "
        "`.parquet`, `.csv` or `.tsv` file, or SOURCE:PATH (`python -m train sources`)."
    )
    train_path: str | None = Field(description="The training pages, where the parts are files of their own.")
    validation_path: str | None = Field(description="The validation pages, likewise.")
    test_path: str | None = Field(description="The test pages, likewise.")
    composed: Annotated[Whole, "pages"] = Field(
        ge=0,
        description="How many pages of the embedded corpus are learnt from besides, without their topics. 0 where the "
        "corpus itself is composed: its unseen pages would not be unseen.",
    )
    auxiliary: tuple[str, ...] = Field(
        description="Corpora to learn from that are never tested on, such as [wcxb:folder]; [] for none. Their labels "
        "may be weak. Pages of a site, or with a passage, of the validation and test parts are left out; topics are "
        "not learnt from them. How much they count say `baseline.auxiliary_weight` and `encoder.auxiliary_epochs`."
    )
    languages: tuple[str, ...] = Field(
        description="The languages of the pages that are kept, such as [en]; [] for all."
    )
    columns: dict[str, str] = Field(
        description="Their name -> ours, such as {content: text, domain: site}. Of tables, pages and segments."
    )
    roles: dict[str, str] = Field(
        description="Their label -> ours, such as {article: main, teaser: related}. Ours are main, related and "
        "boilerplate."
    )
    on_bad_page: Literal["stop", "quarantine"] = Field(
        description="Whether a page that is refused ends the run or is put aside. Pages put aside are counted, and are "
        "in OUTPUT/quarantine-*.jsonl with the reason."
    )
    split_path: str | None = Field(description="A split that `make split` saved; null makes one here.")
    split_by: Literal["site", "time"] = Field(
        description="Whether the parts differ by site alone, or by time too. By time, a model learns from the past and "
        "is tested on the future; sites are kept apart all the same."
    )
    folds: Annotated[Whole | None, "folds"] = Field(
        ge=2, description="The folds of a cross-validation by site, of which this run is one; null: one split."
    )
    fold: Whole = Field(ge=0, description="Which of the folds this run tests on, from 0.")
    validation_share: Annotated[Number, "share of pages"] = Field(
        gt=0,
        lt=0.5,
        description="The wished share of validation pages. Sites that share stories stay together, so that the parts "
        "come out a little larger or smaller.",
    )
    test_share: Annotated[Number, "share of pages"] = Field(gt=0, lt=0.5, description="The wished share of test pages.")
    split_seed: Whole = Field(
        description="The seed of the split and of the composed pages. The same one in configs that are compared."
    )

    def __post_init__(self) -> None:
        if self.folds is not None and self.fold >= self.folds:
            raise ValueError(
                f"corpus.fold is {self.fold}, expected 0 to {self.folds - 1}: corpus.folds is {self.folds}"
            )
        if self.folds is not None and (self.split_path is not None or self.split_by == "time"):
            raise ValueError("corpus.folds needs corpus.split_path: null and corpus.split_by: site")
        unknown = sorted(set(self.roles.values()) - set(ROLES))
        if unknown:
            raise ValueError(f"corpus.roles maps to {unknown[0]!r}, expected one of {', '.join(ROLES)}")
        parts = (self.train_path, self.validation_path, self.test_path)
        if (self.path is None) == (None in parts) or (self.path is not None and any(parts)):
            raise ValueError(
                "found corpus.path and/or some of corpus.train_path, validation_path, test_path; "
                "expected either corpus.path alone (split by site) or all three parts; set the others to null"
            )


@dataclass(frozen=True, config=COMPLETE)
class TopicsConfig:
    """Loose texts that teach topics besides the corpus' own stories, and how topics are named."""

    path: str | None = Field(
        description="Loose texts with topics, such as ag-news:train.csv or folders:bbc; null for none."
    )
    mapping: str | None = Field(
        description="A list that names all topics: iptc (the 17 IPTC Media Topics) or a file; null: none."
    )


@dataclass(frozen=True, config=COMPLETE)
class BaselineConfig:
    """The TF-IDF family: logistic regression over words, then boosted trees that know the neighbours' scores."""

    max_words: Annotated[Whole, "terms"] = Field(
        gt=0, description="The vocabulary of words and pairs of words. Pages of several languages share it."
    )
    max_chars: Annotated[Whole, "terms"] = Field(
        gt=0, description="The vocabulary of character n-grams, read at both ends of a segment."
    )
    min_df: Annotated[Whole, "segments"] = Field(gt=0, description="How many training segments a term must be in.")
    char_ngrams: Annotated[tuple[Whole, ...], "characters"] = Field(
        description="The shortest and the longest character n-gram."
    )
    neighbour_words: Annotated[Whole, "terms"] = Field(
        ge=0, description="The vocabulary that is read of each neighbour; 0 reads the neighbours' numbers only."
    )
    neighbours_before: Annotated[Whole, "segments"] = Field(
        ge=0, description="How many neighbours before a segment are read with it."
    )
    neighbours_after: Annotated[Whole, "segments"] = Field(
        ge=0, description="How many neighbours after it; 0 before and after reads the segment alone."
    )
    numbers: Flag = Field(
        description="Whether numeric features are read. They tell a segment's surface, its position on the page and "
        "its lexical overlap with the running text around."
    )
    C: Number = Field(
        gt=0, description="The inverse strength of the L2 penalty on the weights of roles; larger fits closer."
    )
    max_iterations: Annotated[Whole, "iterations"] = Field(
        gt=0, description="The most iterations of L-BFGS for a logistic regression. Being cut off is no error."
    )
    stacking_neighbours: Annotated[Whole, "segments"] = Field(
        ge=0,
        description="How many neighbours' scores to each side the second stage reads; 0 leaves that stage out. It is a "
        "model of boosted trees over scores that the first stage gives pages of sites it has not seen.",
    )
    topic_C: Number = Field(gt=0, description="The inverse strength of the L2 penalty on the weights of topics.")
    auxiliary_weight: Number = Field(
        ge=0, description="The weight of a segment of corpus.auxiliary, where one of the corpus has 1; 0 for none."
    )

    def __post_init__(self) -> None:
        if len(self.char_ngrams) != 2 or not 1 <= self.char_ngrams[0] <= self.char_ngrams[1]:
            raise ValueError(
                f"baseline.char_ngrams is {list(self.char_ngrams)}, expected [shortest, longest], e.g. [2, 4]"
            )


@dataclass(frozen=True, config=COMPLETE)
class EncoderConfig:
    """The transformer: its lower layers read each segment by itself, a network over the page reads their vectors."""

    backbone: str = Field(description="The transformer: package:NAME/FOLDER, a local folder, or a Hub id.")
    revision: str | None = Field(description="The commit of a Hub id, which must be given; null for anything else.")
    pretrained: str | None = Field(
        description="The page reader that training starts from: default, a run's folder, or null. "
        "default comes with the package. It asks for its own backbone, layers, head_tokens, tail_tokens, width and "
        "depth."
    )
    layers: Annotated[Whole | None, "layers"] = Field(
        gt=0,
        description="How many of the backbone's first layers read a segment; null: all. A segment's vector is the mean "
        "over its tokens of what the last of them gives.",
    )
    page_layers: Annotated[Whole, "layers"] = Field(
        ge=0,
        description="How many layers above those read the page beside the LSTM; 0: the LSTM alone. Segments stand in "
        "the place of tokens.",
    )
    fine_tune: Literal["page", "top", "all"] = Field(
        description="Which pretrained layers learn. page: those that read the page; top: also the last of those that "
        "read segments; all: also the others of them. The last two are for a GPU."
    )
    head_tokens: Annotated[Whole, "tokens"] = Field(gt=0, description="How much is read of a segment's beginning.")
    tail_tokens: Annotated[Whole, "tokens"] = Field(ge=0, description="How much is read of the end of a longer one.")
    width: Annotated[Whole, "units"] = Field(gt=0, description="The width of the LSTM over the page, each direction.")
    depth: Annotated[Whole, "layers"] = Field(gt=0, description="The depth of the LSTM.")
    dropout: Annotated[Number, "share of units"] = Field(
        ge=0, lt=1, description="The dropout before, between and after the LSTM's layers."
    )
    epochs: Annotated[Whole, "epochs"] = Field(
        gt=0, description="The first stage of training, in which the pretrained layers are frozen."
    )
    auxiliary_epochs: Annotated[Whole, "epochs"] = Field(
        ge=0, description="How many of the first epochs learn from corpus.auxiliary too; 0 leaves it out."
    )
    chunk_segments: Annotated[Whole, "segments"] = Field(
        ge=2,
        description="The length of the chunks that pages are learnt in. They are cut anew in each epoch; pages are "
        "read whole all the same.",
    )
    batch_chunks: Annotated[Whole, "chunks"] = Field(gt=0, description="How many chunks a step learns from.")
    learning_rate: Number = Field(gt=0, description="The highest learning rate of the first stage; rises, then falls.")
    weight_decay: Number = Field(ge=0, description="The weight decay of AdamW, in both stages.")
    warmup: Annotated[Number, "share"] = Field(
        ge=0, lt=1, description="The share of the steps in which the learning rate rises, in both stages."
    )
    fine_tune_epochs: Annotated[Whole, "epochs"] = Field(
        gt=0, description="The second stage of training, in which pretrained layers learn, from the corpus alone."
    )
    fine_tune_rate: Number = Field(
        gt=0,
        description="The highest learning rate of pretrained layers. It is halved for each layer nearer to the tokens "
        "in those that read segments.",
    )
    fine_tune_page_rate: Number = Field(
        gt=0, description="The highest learning rate of the rest of the network meanwhile."
    )
    short_weight: Number = Field(
        ge=0, description="The weight in the loss of segments of fewer than 3 words, which are not scored."
    )
    topic_C: Number = Field(
        gt=0,
        description="The inverse strength of the L2 penalty on the weights of topics; larger fits closer. They are "
        "fitted by themselves, over the mean vectors of stories and the counts of their tokens.",
    )
    int8: Flag = Field(
        description="Whether int8 weights are tried in the bundle. They are kept when they are 1.1 times as fast here, "
        "within 0.3 points of role macro-F1 and alike in 99 % of the labels."
    )
    patience: Annotated[Whole | None, "epochs"] = Field(
        ge=0,
        description="How long training goes on without a better validation score; null: to its end. It ends with the "
        "best network; 0 logs validation role macro-F1 and never stops early.",
    )
    threads: Annotated[Whole | None, "threads"] = Field(ge=0, description="The threads of torch; null: all cores.")
    device: Literal["auto", "cpu"] = Field(description="Whether a GPU is used where there is one.")
    devices: Annotated[Whole, "processes"] = Field(
        gt=0, description="How many processes share each batch of fine-tuning (torchrun); one a GPU."
    )

    @property
    def fine_tunes(self) -> bool:
        """Whether any pretrained weights learn."""
        return bool(self.page_layers) or self.fine_tune != "page"

    def __post_init__(self) -> None:
        if self.layers is None and self.page_layers:
            raise ValueError(
                f"encoder.page_layers is {self.page_layers} and encoder.layers null, expected 0: no layer is left "
                "above to read pages"
            )
        if self.devices > 1 and not self.fine_tunes:
            raise ValueError(
                f"encoder.devices is {self.devices}, expected 1: no pretrained weights learn (encoder.page_layers, "
                "encoder.fine_tune)"
            )


@dataclass(frozen=True, config=COMPLETE)
class DecodingConfig:
    """The page decoder, a chain over the tags of neighbouring segments."""

    weights: tuple[Number, ...] = Field(
        min_length=1,
        description="Candidates for the weight of the chain; 0.0 reads segments alone. A network that reads the whole "
        "page is best without: on real pages each weight above 0 was worse.",
    )
    prior_weights: tuple[Number, ...] = Field(
        min_length=1,
        description="Candidates for how much of the tags' frequency is divided out of the scores. So much is taken "
        "from them before the chain adds its own.",
    )


@dataclass(frozen=True, config=COMPLETE)
class CalibrationConfig:
    """When a model calls itself unsure."""

    precision: Annotated[Number, "share of segments"] = Field(
        ge=0.5, lt=1, description="The wished precision, for each role, of predictions that are not 'unsure'."
    )


@dataclass(frozen=True, config=COMPLETE)
class EvaluationConfig:
    """How test scores are made."""

    bootstrap_samples: Annotated[Whole, "resamples"] = Field(
        gt=0, description="The resamples of sites for an interval."
    )
    confidence: Number = Field(gt=0.5, lt=1, description="The level of the intervals, such as 0.95.")


@dataclass(frozen=True, config=COMPLETE)
class TrackingConfig:
    """Where the run is recorded."""

    enabled: Flag = Field(description="Whether the run is recorded in MLflow.")
    experiment: str = Field(description="The MLflow experiment.")
    run_name: str | None = Field(description="The name of the run; null: the config's, and what was overridden.")


@dataclass(frozen=True, config=COMPLETE)
class Config:
    """Everything a run depends on but the corpus and the code."""

    family: FamilyName = Field(
        description="The family of the model, whose section below is filled. The other section is null."
    )
    seed: Whole = Field(ge=0, description="The seed of everything that the run draws, the split excepted.")
    output: str = Field(description="The folder of the model, its scores and its split; usable as --model.")
    corpus: CorpusConfig = Field(description="Where pages come from and how they are split.")
    topics: TopicsConfig = Field(description="Loose texts that teach topics besides the corpus' own stories.")
    baseline: BaselineConfig | None = Field(description="The TF-IDF family.")
    encoder: EncoderConfig | None = Field(description="The transformer.")
    decoding: DecodingConfig = Field(description="Candidates; validation role macro-F1 chooses.")
    calibration: CalibrationConfig = Field(
        description="Temperatures are chosen by the likelihood of validation labels."
    )
    evaluation: EvaluationConfig = Field(description="How test scores are made.")
    tracking: TrackingConfig = Field(description="Where the run is recorded.")

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
        params: dict[str, Any] = {}

        def walk(prefix: str, value: Any) -> None:
            if isinstance(value, dict):
                for key, inner in value.items():
                    walk(f"{prefix}.{key}" if prefix else key, inner)
            else:
                params[prefix] = value

        walk("", self.to_dict())
        return params


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
