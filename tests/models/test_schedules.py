"""What networks are trained with: rates, weights of the loss, pages of each epoch, and the state that is kept."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
import torch
from torch import nn
from torch.optim.optimizer import register_optimizer_step_pre_hook

from tests.helpers.configs import ConfigMaker
from tests.helpers.pages import make_page
from train.config.schema import EncoderConfig
from train.corpus.page import Page, Segment
from train.corpus.training_data import TrainingPages
from train.models import early_stopping as watching
from train.models.early_stopping import EarlyStopping
from train.models.encoder import family as encoders
from train.models.encoder.embedding_cache import VectorStore
from train.models.encoder.family import EncoderFamily
from train.models.encoder.loop import loss_of, weight_of
from train.models.encoder.networks import PageNetwork
from train.models.encoder.training_examples import TrainingExample, stored_vectors
from train.runtime.encoder import COUNTED_NAMES

WIDTH = 4


@pytest.fixture
def rates() -> Iterator[list[dict[str, float]]]:
    """The groups' rates at every step of every optimizer: the lowest and the highest."""
    seen: list[dict[str, float]] = []

    def heard(optimizer: torch.optim.Optimizer, *given: Any) -> None:
        found = [float(group["lr"]) for group in optimizer.param_groups]
        seen.append({"least": min(found), "most": max(found)})

    handle = register_optimizer_step_pre_hook(heard)
    yield seen
    handle.remove()


def _encoder(make_config: ConfigMaker, *overrides: str) -> EncoderConfig:
    config = make_config("pages-encoder", *overrides).encoder
    assert config is not None
    return config


def _example(n: int, seed: int = 0, weight: float = 1.0) -> TrainingExample:
    rng = np.random.default_rng(seed)
    return TrainingExample(
        np.array([f"text {i}" for i in range(n)], object),
        rng.normal(size=(n, WIDTH)).astype(np.float32),
        rng.normal(size=(n, len(COUNTED_NAMES))).astype(np.float32),
        rng.integers(0, 4, n),
        np.full(n, weight, np.float32),
    )


def _small(make_config: ConfigMaker, folder: Path, *overrides: str) -> EncoderFamily:
    """A family without a backbone: vectors are told."""
    config = _encoder(
        make_config,
        *(f"encoder.{setting}" for setting in ("width=4", "device=cpu", "dropout=0.0", "page_layers=0", *overrides)),
    )
    family = EncoderFamily(config, 13, folder)
    family.segment_reader = cast(Any, SimpleNamespace(width=WIDTH))
    return family


def _network() -> PageNetwork:
    torch.manual_seed(0)
    return PageNetwork(WIDTH, width=4, depth=1, dropout=0.0)


def test_the_networks_rates_rise_to_what_the_config_says_and_fall(
    make_config: ConfigMaker, tmp_path: Path, rates: list[dict[str, float]], monkeypatch: pytest.MonkeyPatch
) -> None:
    decays: list[float] = []

    class Heard(torch.optim.AdamW):
        def __init__(self, *given: Any, **settings: Any) -> None:
            decays.append(settings["weight_decay"])
            super().__init__(*given, **settings)

    monkeypatch.setattr(encoders.torch.optim, "AdamW", Heard)
    settings = ("learning_rate=0.02", "warmup=0.2", "epochs=10", "batch_chunks=1", "weight_decay=0.07")
    family = _small(make_config, tmp_path, *settings)
    plain = [_example(5, seed) for seed in range(8)]
    told = list(family._train(_network(), plain, []))
    found = [rate["most"] for rate in rates]
    assert len(found) == 80
    assert decays == [0.07]
    assert found[0] == pytest.approx(0.02 / 25)
    top = int(np.argmax(found))
    assert max(found) == pytest.approx(0.02, rel=0.01)
    assert top == pytest.approx(0.2 * 80, abs=1.5)
    assert all(a < b for a, b in pairwise(found[: top + 1]))
    assert all(a > b for a, b in pairwise(found[top:]))
    assert found[-1] < 0.02 / 100
    assert len(told) == 10
    assert told[-1]["train/learning_rate"] <= found[-1]


def test_short_segments_weigh_as_the_config_says_and_others_one(make_config: ConfigMaker, tmp_path: Path) -> None:
    family = _small(make_config, tmp_path, "short_weight=0.3")
    family.store = VectorStore(tmp_path / "store")
    texts = ["one", "one two", "one, two: three", "one two three four", "- | -"]
    family.store.read(texts, lambda some: np.array([[len(text)] * WIDTH for text in some], np.float32))
    page = Page(
        "p",
        "a",
        tuple(
            Segment(text, role, story)
            for text, role, story in zip(
                texts, ("main", "boilerplate", "related", "related", "boilerplate"), (0, None, 1, 1, None), strict=True
            )
        ),
    )
    example = family._example(page)
    assert example.weights.tolist() == pytest.approx([0.3, 0.3, 1.0, 1.0, 0.3])
    assert example.tags.tolist() == [0, 1, 2, 3, 1]
    assert example.vectors[:, 0].tolist() == [len(text) for text in texts]


def test_the_loss_is_the_mean_of_cross_entropies_by_weight_without_padding() -> None:
    long, short = _example(5, 1, 1.0), _example(2, 2, 0.3)
    given: list[torch.Tensor] = []

    def network(vectors: torch.Tensor, numbers: torch.Tensor, present: torch.Tensor) -> torch.Tensor:
        given.extend((vectors, present))
        return vectors * 2

    batch, cpu = [long, short], torch.device("cpu")
    loss = loss_of(cast(Any, network), batch, stored_vectors(batch, cpu), cpu) / weight_of(batch)
    rows = np.concatenate([long.vectors, short.vectors]).astype(np.float64) * 2
    gold, weights = np.concatenate([long.tags, short.tags]), np.concatenate([long.weights, short.weights])
    costs = np.log(np.exp(rows).sum(axis=1)) - rows[np.arange(7), gold]
    assert loss.item() == pytest.approx(float(costs @ weights / weights.sum()), rel=1e-5)
    assert given[1].squeeze(-1).tolist() == [[1] * 5, [1, 1, 0, 0, 0]]


def test_other_corpora_are_learnt_from_in_the_first_epochs_alone(
    make_config: ConfigMaker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    family = _small(make_config, tmp_path, "epochs=5", "auxiliary_epochs=2")
    plain, others = [_example(5, seed) for seed in range(3)], [_example(3, 9)]
    shown: list[list[TrainingExample]] = []
    batches = encoders.batches

    def heard(examples: Sequence[TrainingExample], rng: Any, **sizes: int) -> list[list[TrainingExample]]:
        shown.append(list(examples))
        return batches(examples, rng, **sizes)

    monkeypatch.setattr(encoders, "batches", heard)
    list(family._train(_network(), plain, others))
    assert [[any(example is other for other in others) for example in epoch] for epoch in shown] == [
        [False] * 3 + [True]
    ] * 2 + [[False] * 3] * 3


@pytest.mark.parametrize("epochs", [0, 2])
def test_an_encoder_is_fitted_on_training_pages_and_topics_of_all(
    make_config: ConfigMaker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, epochs: int
) -> None:
    pages = [replace(make_page(name, 0), page_id=name) for name in ("train", "validation", "text", "also")]
    family = _small(make_config, tmp_path, f"auxiliary_epochs={epochs}", "epochs=3")
    told: dict[str, list[Any]] = {"vectors": [], "topics": [], "learnt": []}

    def topic_weights(some: Sequence[Page]) -> None:
        told["topics"].append([page.page_id for page in some])

    def train(network: Any, own: Sequence[Any], others: Sequence[Any]) -> Iterator[dict[str, float]]:
        told["learnt"].append(([len(example.tags) for example in own], [len(example.tags) for example in others]))
        return iter(())

    monkeypatch.setattr(family, "load_backbone", lambda: None)
    monkeypatch.setattr(family, "_embed", lambda some: told["vectors"].append([page.page_id for page in some]))
    monkeypatch.setattr(family, "_topic_weights", topic_weights)
    monkeypatch.setattr(family, "_example", lambda page: _example(5 if page.page_id == "train" else 6))
    monkeypatch.setattr(family, "_train", train)
    family.fit(TrainingPages(*([page] for page in pages)), lambda metrics, step: None)
    read = ["train", "text", *(["also"] if epochs else [])]
    assert (told["vectors"], told["topics"]) == ([read], [read])
    assert told["learnt"] == [([5], [6] if epochs else [])]


class Looks:
    """Scores that are told, look by look; and what each look saw."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *scores: float) -> None:
        self.scores = iter(scores)
        self.pages: list[Any] = []
        self.states: list[Any] = []
        monkeypatch.setattr(watching, "role_macro_f1", lambda reader, pages: next(self.scores))
        look = EarlyStopping.evaluate

        def heard(watch: EarlyStopping, network: nn.Module, reader: Any, step: int) -> bool:
            self.pages.append([page.page_id for page in watch.pages])
            self.states.append({name: value.clone() for name, value in network.state_dict().items()})
            return look(watch, network, reader, step)

        monkeypatch.setattr(EarlyStopping, "evaluate", heard)

    def which(self, network: nn.Module) -> list[int]:
        """The looks that saw the network as it is now."""
        now = network.state_dict()
        return [i for i, state in enumerate(self.states) if all(torch.equal(state[name], now[name]) for name in state)]


VALIDATION = [make_page("v", n) for n in range(3)]


@pytest.mark.parametrize(
    ("patience", "scores", "looks", "kept"),
    [(2, (0.5, 0.9, 0.7, 0.6, 1.0), 4, 1), (9, (0.5, 0.9, 0.7, 0.9), 4, 1), (0, (0.5, 0.9, 0.7), 3, 2)],
)
def test_a_network_ends_with_its_best_state_on_validation_pages(
    make_config: ConfigMaker,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    patience: int,
    scores: tuple[float, ...],
    looks: int,
    kept: int,
) -> None:
    seen = Looks(monkeypatch, *scores)
    epochs = min(len(scores), looks)
    family = _small(make_config, tmp_path, f"patience={patience}", f"epochs={epochs if patience != 2 else 5}")
    monkeypatch.setattr(family, "load_backbone", lambda: None)
    monkeypatch.setattr(family, "_embed", lambda pages: None)
    monkeypatch.setattr(family, "_topic_weights", lambda pages: None)
    monkeypatch.setattr(family, "_example", lambda page: _example(len(page.segments), len(page.page_id)))
    monkeypatch.setattr(family, "_stored", lambda network: None)
    family.fit(TrainingPages([make_page("a", n) for n in range(3)], VALIDATION), lambda metrics, step: None)
    assert seen.pages == [[page.page_id for page in VALIDATION]] * looks
    assert family.network is not None
    assert seen.which(family.network) == [kept]
    assert not family.network.training
