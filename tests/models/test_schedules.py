"""What networks are trained with: rates, weights of the loss, pages of each epoch, and the state that is kept."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import torch
from torch import nn
from torch.optim.optimizer import register_optimizer_step_pre_hook
from transformers.utils import ModelOutput

from tests.helpers.configs import ConfigMaker
from tests.helpers.pages import make_page
from train.config import EncoderConfig, HierarchicalConfig
from train.corpus.page import Page, Segment
from train.corpus.training import TrainingPages
from train.models import encoder as encoders
from train.models import hierarchical as hierarchicals
from train.models import watching
from train.models.encoder import EncoderFamily
from train.models.hierarchical import HierarchicalFamily, Lesson
from train.models.network import IGNORED, PageEncoder, story_means
from train.models.page_network import Members, PageNetwork
from train.models.vectors import VectorStore
from train.models.watching import Watch
from train.runtime.hierarchical import COUNTED_NAMES
from train.runtime.reading import NUMBER_NAMES

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
    config = make_config("demo-encoder", *overrides).encoder
    assert config is not None
    return config


def _hierarchical(make_config: ConfigMaker, *overrides: str) -> HierarchicalConfig:
    config = make_config("pages-hierarchical", *overrides).hierarchical
    assert config is not None
    return config


def test_each_layer_learns_at_the_rate_that_the_config_says(make_config: ConfigMaker, tmp_path: Path) -> None:
    """The last layer at the backbone's, each below it at so much less; heads at their own; biases and norms without decay."""
    settings = ("learning_rate=0.001", "head_learning_rate=0.03", "layer_decay=0.5", "weight_decay=0.2")
    family = EncoderFamily(_encoder(make_config, *(f"encoder.{setting}" for setting in settings)), 13, tmp_path)
    family.begin(("business", "sport"))
    network = family.network
    assert network is not None
    groups = {id(p): group for group in family.optimizer(network).param_groups for p in group["params"]}
    found = {name: groups[id(parameter)] for name, parameter in network.named_parameters()}
    assert len(groups) == len(found)
    for name, group in found.items():
        if not name.startswith("backbone."):
            expected = 0.03
        elif "layer.1." in name:
            expected = 0.001
        elif "layer.0." in name:
            expected = 0.0005
        else:
            expected = 0.00025 if "embeddings" in name else 0.001
        assert group["lr"] == pytest.approx(expected), name
        assert group["weight_decay"] == (0.2 if dict(network.named_parameters())[name].ndim > 1 else 0.0), name
    assert sorted({group["lr"] for group in found.values()}) == pytest.approx([0.00025, 0.0005, 0.001, 0.03])


def test_frozen_embeddings_are_not_learnt(make_config: ConfigMaker, tmp_path: Path) -> None:
    family = EncoderFamily(_encoder(make_config, "encoder.freeze_embeddings=true"), 13, tmp_path)
    family.begin(())
    assert family.network is not None
    learnt = {id(p) for group in family.optimizer(family.network).param_groups for p in group["params"]}
    left_out = [name for name, parameter in family.network.named_parameters() if id(parameter) not in learnt]
    assert left_out == ["backbone.embeddings.word_embeddings.weight"]


def _windows(family: EncoderFamily, pages: Sequence[Page]) -> Any:
    return family._windows(pages, [], [])


def test_the_encoders_rates_rise_to_what_the_config_says_and_fall_to_nothing(
    make_config: ConfigMaker, tmp_path: Path, rates: list[dict[str, float]]
) -> None:
    settings = ("learning_rate=0.001", "head_learning_rate=0.004", "warmup=0.25", "epochs=1", "batch_windows=1", "patience=null")
    family = EncoderFamily(_encoder(make_config, *(f"encoder.{setting}" for setting in settings)), 13, tmp_path)
    family.begin(())
    windows = _windows(family, [make_page("a", n, related=0) for n in range(3)])
    steps, rising = len(windows), -(-len(windows) // 4)
    assert steps > 5
    family.train(windows, [], lambda step, steps, metrics: None)
    expected = [step / rising if step < rising else (steps - step) / (steps - rising) for step in range(steps)]
    assert [rate["least"] for rate in rates] == pytest.approx([0.001 * share for share in expected])
    assert [rate["most"] for rate in rates] == pytest.approx([0.004 * share for share in expected])
    assert max(rate["most"] for rate in rates) == pytest.approx(0.004)


def _lesson(n: int, seed: int = 0, weight: float = 1.0) -> Lesson:
    rng = np.random.default_rng(seed)
    return Lesson(
        rng.normal(size=(n, WIDTH)).astype(np.float32), rng.normal(size=(n, len(COUNTED_NAMES))).astype(np.float32), rng.integers(0, 4, n),
        np.full(n, weight, np.float32),
    )  # fmt: skip


def _small(make_config: ConfigMaker, folder: Path, *overrides: str) -> HierarchicalFamily:
    """A family without a backbone: vectors are told."""
    config = _hierarchical(make_config, *(f"hierarchical.{setting}" for setting in ("width=4", "device=cpu", "dropout=0.0", *overrides)))
    family = HierarchicalFamily(config, 13, folder)
    family.width, family.read_for_roles = WIDTH, [slice(0, WIDTH)]
    return family


def _network() -> PageNetwork:
    torch.manual_seed(0)
    return PageNetwork(WIDTH, width=4, depth=1, dropout=0.0, topics=0)


def test_the_hierarchical_networks_rates_rise_to_what_the_config_says_and_fall(
    make_config: ConfigMaker, tmp_path: Path, rates: list[dict[str, float]], monkeypatch: pytest.MonkeyPatch
) -> None:
    decays: list[float] = []

    class Heard(torch.optim.AdamW):
        def __init__(self, *given: Any, **settings: Any) -> None:
            decays.append(settings["weight_decay"])
            super().__init__(*given, **settings)

    monkeypatch.setattr(hierarchicals.torch.optim, "AdamW", Heard)
    settings = ("learning_rate=0.02", "warmup=0.2", "epochs=10", "batch_pieces=1", "weight_decay=0.07")
    family = _small(make_config, tmp_path, *settings)
    plain = [_lesson(5, seed) for seed in range(8)]
    told = list(family._train(_network(), 13, plain, []))
    found = [rate["most"] for rate in rates]
    assert len(found) == 80
    assert decays == [0.07]
    assert found[0] == pytest.approx(0.02 / 25)
    top = int(np.argmax(found))
    assert max(found) == pytest.approx(0.02, rel=0.01)
    # The schedule is a tenth longer than the steps: pieces vary from epoch to epoch.
    assert top == pytest.approx(0.2 * 88, abs=1.5)
    assert all(a < b for a, b in pairwise(found[: top + 1]))
    assert all(a > b for a, b in pairwise(found[top:]))
    assert found[-1] < 0.02 / 15
    assert len(told) == 10
    assert told[-1]["train/learning_rate"] <= found[-1]


def test_short_segments_weigh_as_the_config_says_and_others_one(make_config: ConfigMaker, tmp_path: Path) -> None:
    family = _small(make_config, tmp_path, "short_weight=0.3")
    family.store = VectorStore(tmp_path / "store")
    texts = ["one", "one two", "one, two: three", "one two three four", "- | -"]
    family.store.read(texts, lambda some: np.array([[len(text)] * WIDTH for text in some], np.float32))
    page = Page("p", "a", tuple(Segment(text, role, story) for text, role, story in zip(
        texts, ("main", "boilerplate", "related", "related", "boilerplate"), (0, None, 1, 1, None), strict=True,
    )))  # fmt: skip
    lesson = family._lesson(page)
    assert lesson.weights.tolist() == pytest.approx([0.3, 0.3, 1.0, 1.0, 0.3])
    assert lesson.states.tolist() == [0, 1, 2, 3, 1]
    assert lesson.vectors[:, 0].tolist() == [len(text) for text in texts]


def test_the_loss_is_the_mean_of_cross_entropies_by_weight_without_padding(make_config: ConfigMaker, tmp_path: Path) -> None:
    family = _small(make_config, tmp_path)
    long, short = _lesson(5, 1, 1.0), _lesson(2, 2, 0.3)
    given: list[torch.Tensor] = []

    def network(vectors: torch.Tensor, numbers: torch.Tensor, present: torch.Tensor) -> tuple[torch.Tensor, None]:
        given.extend((vectors, present))
        return vectors * 2, None

    loss = family._loss(cast(Any, network), [long, short])
    rows = np.concatenate([long.vectors, short.vectors]).astype(np.float64) * 2
    gold, weights = np.concatenate([long.states, short.states]), np.concatenate([long.weights, short.weights])
    costs = np.log(np.exp(rows).sum(axis=1)) - rows[np.arange(7), gold]
    assert loss.item() == pytest.approx(float(costs @ weights / weights.sum()), rel=1e-5)
    assert given[1].squeeze(-1).tolist() == [[1] * 5, [1, 1, 0, 0, 0]]


def test_other_corpora_are_learnt_from_in_the_first_epochs_alone(
    make_config: ConfigMaker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    family = _small(make_config, tmp_path, "epochs=5", "also_epochs=2")
    plain, others = [_lesson(5, seed) for seed in range(3)], [_lesson(3, 9)]
    shown: list[list[Lesson]] = []
    batches = family._batches

    def heard(lessons: Sequence[Lesson], rng: Any) -> list[list[Lesson]]:
        shown.append(list(lessons))
        return batches(lessons, rng)

    monkeypatch.setattr(family, "_batches", heard)
    list(family._train(_network(), 13, plain, others))
    assert [[any(lesson is other for other in others) for lesson in epoch] for epoch in shown] == [[False] * 3 + [True]] * 2 + [
        [False] * 3
    ] * 3
    assert family._whole_epochs(plain, others) == pytest.approx(2 + 3 * 15 / 18)
    assert family._whole_epochs(plain, []) == 5


def test_every_page_is_read_once_an_epoch_and_others_as_often_as_the_config_says(
    make_config: ConfigMaker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: list[Page] = []
    monkeypatch.setattr(encoders, "window_table", lambda pages, *settings: shown.extend(pages))
    own, text, other = [make_page("a", n) for n in range(2)], make_page("t", 0), make_page("o", 0)
    family = EncoderFamily(_encoder(make_config, "encoder.epochs=3", "encoder.also_epochs=2"), 13, tmp_path)
    family.begin(())
    family._windows(own, [text], [other])
    assert shown == own * 3 + [text] * 3 + [other] * 2


@pytest.mark.parametrize("epochs", [0, 2])
def test_an_encoder_is_fitted_on_training_pages_and_looks_at_validation_pages(
    make_config: ConfigMaker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, epochs: int
) -> None:
    pages = [replace(make_page(name, 0), page_id=name) for name in ("train", "validation", "text", "also")]
    told: dict[str, Any] = {}
    monkeypatch.setattr(EncoderFamily, "_windows", lambda self, *given: told.setdefault("windows", given))
    monkeypatch.setattr(EncoderFamily, "train", lambda self, windows, validation, tell: told.update(validation=validation))
    family = EncoderFamily(_encoder(make_config, f"encoder.also_epochs={epochs}"), 13, tmp_path)
    family.fit(TrainingPages(*([page] for page in pages)), lambda metrics, step: None)
    assert [[page.page_id for page in some] for some in told["windows"]] == [["train"], ["text"], ["also"] if epochs else []]
    assert [page.page_id for page in told["validation"]] == ["validation"]


class Looks:
    """Scores that are told, look by look; and what each look saw."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *scores: float) -> None:
        self.scores = iter(scores)
        self.pages: list[Any] = []
        self.states: list[Any] = []
        monkeypatch.setattr(watching, "role_macro_f1", lambda reader, pages: next(self.scores))
        look = Watch.look

        def heard(watch: Watch, network: nn.Module, reader: Any, step: int) -> bool:
            self.pages.append([page.page_id for page in watch.pages])
            self.states.append({name: value.clone() for name, value in network.state_dict().items()})
            return look(watch, network, reader, step)

        monkeypatch.setattr(Watch, "look", heard)

    def which(self, network: nn.Module) -> list[int]:
        """The looks that saw the network as it is now."""
        now = network.state_dict()
        return [i for i, state in enumerate(self.states) if all(torch.equal(state[name], now[name]) for name in state)]


VALIDATION = [make_page("v", n) for n in range(3)]


@pytest.mark.parametrize(
    ("patience", "scores", "looks", "kept"),
    [(2, (0.5, 0.9, 0.7, 0.6, 1.0), 4, 1), (9, (0.5, 0.9, 0.7, 0.9), 4, 1), (0, (0.5, 0.9, 0.7), 3, 2)],
)
def test_a_hierarchical_network_ends_with_its_best_state_on_validation_pages(
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
    family = _small(make_config, tmp_path, f"patience={patience}", f"epochs={epochs if patience != 2 else 5}", "members=1")
    monkeypatch.setattr(family, "load_backbone", lambda: None)
    monkeypatch.setattr(family, "_embed", lambda pages: None)
    monkeypatch.setattr(family, "_topic_head", lambda pages: (torch.zeros(2, WIDTH), torch.zeros(2)))
    monkeypatch.setattr(family, "_lesson", lambda page: _lesson(len(page.segments), len(page.page_id)))
    monkeypatch.setattr(family, "_reader", lambda kind, members: None)
    family.fit(TrainingPages([make_page("a", n) for n in range(3)], VALIDATION), lambda metrics, step: None)
    assert seen.pages == [[page.page_id for page in VALIDATION]] * looks
    assert family.members is not None
    assert seen.which(family.members.networks[0]) == [kept]
    assert not family.members.networks[0].training


def test_an_encoder_ends_with_its_best_state_on_validation_pages(
    make_config: ConfigMaker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = Looks(monkeypatch, 0.5, 0.9, 0.7, 0.6)
    settings = ("epochs=1", "batch_windows=1", "checkpoints=4", "patience=2")
    family = EncoderFamily(_encoder(make_config, *(f"encoder.{setting}" for setting in settings)), 13, tmp_path)
    family.begin(())
    windows = _windows(family, [make_page("a", n, related=0) for n in range(2)])
    family.train(windows, VALIDATION, lambda step, steps, metrics: None)
    assert seen.pages == [[page.page_id for page in VALIDATION]] * 4
    assert family.network is not None
    assert seen.which(family.network) == [1]
    assert not family.network.training


def test_the_mean_over_members_is_of_probabilities() -> None:
    class Told(nn.Module):
        def __init__(self, states: Sequence[float], topics: Sequence[float]) -> None:
            super().__init__()
            self.mean, self.told = torch.zeros(WIDTH), (torch.log(torch.tensor([[states]])), torch.tensor([[topics]]))

        def forward(self, vectors: torch.Tensor, numbers: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            return self.told

    members = Members(cast(Any, [Told([0.9, 0.1, 1e-9, 1e-9], [1.0, 3.0]), Told([0.3, 0.1, 0.5, 0.1], [3.0, 5.0])]))
    states, topics = members(torch.zeros(1, 1, WIDTH), torch.zeros(1, 1, 1))
    assert states[0, 0].tolist() == pytest.approx([0.6, 0.1, 0.25, 0.05], abs=1e-6)
    assert topics[0, 0].tolist() == [2.0, 4.0]


def _logits(*rows: Sequence[float]) -> torch.Tensor:
    return torch.log(torch.tensor([rows], dtype=torch.float64))


def test_the_encoders_loss_is_a_sum_of_means_topics_with_their_weight(make_config: ConfigMaker, tmp_path: Path) -> None:
    """Three labelled roles, two that tell where a story begins, one story with a topic; whatever is not labelled costs nothing."""
    numbers = torch.zeros(1, 4, len(NUMBER_NAMES), dtype=torch.float64)
    answer = ModelOutput(
        role_logits=_logits([0.5, 0.25, 0.25], [0.1, 0.8, 0.1], [0.2, 0.4, 0.4], [0.9, 0.05, 0.05]),
        begins_logits=torch.log(torch.tensor([[1.0, 3.0, 4.0, 9.0]], dtype=torch.float64)),
        topic_logits=_logits([0.5, 0.5], [0.2, 0.8], [0.2, 0.8], [0.9, 0.1]),
    )
    roles, begins = torch.tensor([[0, 1, 1, IGNORED]]), torch.tensor([[IGNORED, 1, 0, IGNORED]])
    losses = []
    for weight in (0.0, 0.5, 2.0):
        family = EncoderFamily(_encoder(make_config, f"encoder.topic_weight={weight}"), 13, tmp_path)
        family.begin(("business", "sport"))
        assert isinstance(family.network, PageEncoder)
        loss = family.network._loss(answer, numbers, roles, begins, torch.tensor([[-1, 0, 0, 1]]), torch.tensor([1, IGNORED]))
        losses.append(loss.item())
    costs = -(np.log(0.5) + np.log(0.8) + np.log(0.4)) / 3 - (np.log(3 / 4) + np.log(1 / 5)) / 2
    assert losses == pytest.approx([costs, costs - 0.5 * np.log(0.8), costs - 2 * np.log(0.8)])


def test_a_story_of_several_segments_has_the_mean_of_their_logits() -> None:
    found = story_means(torch.tensor([[1.0, 0.0], [0.0, 3.0], [5.0, 5.0]]), torch.zeros(3, len(NUMBER_NAMES)), torch.tensor([1, 1, 0]), 2)
    assert found.tolist() == [[5.0, 5.0], [0.5, 1.5]]
