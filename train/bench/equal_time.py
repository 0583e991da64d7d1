"""The packed encoder, the usual way and SetFit, each trained for the same time on the same pages: what they have learnt then."""

from __future__ import annotations

import importlib.util
import random
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch

from train.bench.compare import Row, once, split_pages
from train.bench.contenders import PAIRS, optimise, packed_network, pairs, usual_network
from train.config import EncoderConfig, load_config
from train.corpus.page import Page
from train.models.backbone_files import backbone_source
from train.models.encoder import Collator, labelled_windows
from train.models.family import certain_states, role_macro_f1, states_macro_f1
from train.runtime.reading import ROLES

SECONDS = 180.0
SCORED_PAGES = 24
WARM_UP = 0.1


def equal_time(corpus: Path, threads: int, *, seconds: float = SECONDS) -> list[Row]:
    """Trains each contender for so many seconds and scores it on the same validation pages.

    Learning rates rise over the first tenth of the time and fall to nothing at its end. SetFit joins where it is installed.

    Args:
        corpus: Composed pages.
        threads: For torch.
        seconds: Of training each; loading and scoring are not counted.
    """
    torch.set_num_threads(threads)
    config = load_config(Path("configs/demo-encoder.yaml")).encoder
    assert config is not None
    parts = split_pages(corpus)
    train, scored = parts["train"], parts["validation"][:: max(1, len(parts["validation"]) // SCORED_PAGES)]
    contenders: dict[str, Callable[[EncoderConfig, Sequence[Page], Sequence[Page], float], tuple[int, float]]] = {
        "one sequence a segment with neighbours, padded to 128 (Trainer's defaults)": _usual,
        "packed (as shipped)": _packed,
    }
    if importlib.util.find_spec("setfit") is not None:
        contenders["SetFit on segments"] = _setfit
    rates, notes = {}, {}
    for name, learn in contenders.items():
        segments, score = learn(config, train, scored, seconds)
        rates[name] = segments / seconds
        notes[name] = f"role macro-F1 {score:.3f} on {len(scored)} validation pages after {seconds:.0f} s"
    return once(f"trained for the same time, {threads} threads", "segments/s", rates, notes)


def _until(seconds: float, optimizer: torch.optim.Optimizer) -> Iterator[None]:
    """Yields until the time is over, and sets the learning rate before each step."""
    started = time.perf_counter()
    rates = [group["lr"] for group in optimizer.param_groups]
    while (share := (time.perf_counter() - started) / seconds) < 1:
        factor = min(share / WARM_UP, (1 - share) / (1 - WARM_UP))
        for group, rate in zip(optimizer.param_groups, rates, strict=True):
            group["lr"] = rate * factor
        yield


def _packed(config: EncoderConfig, train: Sequence[Page], scored: Sequence[Page], seconds: float) -> tuple[int, float]:
    with TemporaryDirectory() as folder:
        family = packed_network(config, train, Path(folder))
    network = family.network
    assert network is not None
    rows = [row for page in train for row in labelled_windows(page, family.tokenizer, family.plan, family.topics)]
    optimizer, collator, rng = family.optimizer(network), Collator(family.plan), random.Random(13)
    network.train()
    seen, waiting = 0, list[Any]()
    for _ in _until(seconds, optimizer):
        if len(waiting) < config.batch_windows:
            waiting = rng.sample(rows, len(rows))
        batch, waiting = waiting[: config.batch_windows], waiting[config.batch_windows :]
        optimise(network(**collator(batch))["loss"], network, optimizer)
        seen += sum(len(row["markers"]) for row in batch)
    return seen, role_macro_f1(family.reader(), scored)


def _usual(config: EncoderConfig, train: Sequence[Page], scored: Sequence[Page], seconds: float) -> tuple[int, float]:
    network, encode = usual_network(config)
    optimizer, rng = torch.optim.AdamW(network.parameters(), lr=5e-5), random.Random(13)
    triples = [triple for page in train for triple in pairs(page)]
    network.train()
    seen = 0
    for _ in _until(seconds, optimizer):
        own, other, labels = zip(*rng.sample(triples, PAIRS), strict=True)
        optimise(network(**encode(own, other), labels=torch.tensor(labels)).loss, network, optimizer)
        seen += len(own)
    network.eval()
    answers = []
    for page in scored:
        own, other, _ = zip(*pairs(page), strict=True)
        with torch.inference_mode():
            answers.append(network(**encode(own, other)).logits.argmax(dim=1).numpy())
    return seen, _score(answers, scored)


def _setfit(config: EncoderConfig, train: Sequence[Page], scored: Sequence[Page], seconds: float) -> tuple[int, float]:
    """Pairs of segments contrasted, then logistic regression on the vectors; as many segments as the time lets it contrast."""
    import datasets
    from setfit import SetFitModel, Trainer, TrainingArguments
    from transformers import TrainerCallback

    class Stop(TrainerCallback):
        def on_train_begin(self, *given: Any, **more: Any) -> None:
            self.started, self.steps = time.perf_counter(), 0

        def on_step_end(self, args: Any, state: Any, control: Any, **more: Any) -> None:
            self.steps += 1
            control.should_training_stop |= time.perf_counter() - self.started > seconds

    rng = random.Random(13)
    rows = [(s.text, ROLES.index(str(s.role))) for page in train for s in page.segments]
    picked = rng.sample(rows, min(len(rows), 3000))
    data = datasets.Dataset.from_dict({"text": [text for text, _ in picked], "label": [label for _, label in picked]})
    with TemporaryDirectory() as folder:
        model = SetFitModel.from_pretrained(backbone_source(config.backbone))
        settings = TrainingArguments(output_dir=folder, batch_size=16, num_epochs=1, report_to="none", seed=13, show_progress_bar=False)
        stop = Stop()
        Trainer(model=model, args=settings, train_dataset=data, callbacks=[stop]).train()
    answers = [np.asarray(model.predict([s.text for s in page.segments]), np.int64) for page in scored]
    return stop.steps * 16 * 2, _score(answers, scored)


def _score(roles: Sequence[np.ndarray], pages: Sequence[Page]) -> float:
    return states_macro_f1([certain_states([ROLES[role] for role in row]) for row in roles], pages)
