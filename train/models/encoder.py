"""Training the encoder: a frozen backbone reads segments, once; networks over whole pages learn from them."""

from __future__ import annotations

import itertools
import random
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from safetensors.torch import load_file, save_file
from torch import nn

from train.config import EncoderConfig
from train.corpus.page import Page
from train.corpus.training import TrainingPages
from train.files import sha256_json, written_aside
from train.models.backbone import fast_tokenizer, load_backbone, special_ids
from train.models.backbone_files import backbone_content
from train.models.family import Log, page_states, topics_of
from train.models.onnx import export_encoder
from train.models.page_network import IGNORED, MeanOfNetworks, PageNetwork, SegmentVectors
from train.models.story_topics import labelled_stories, mean_vector, topic_head, topic_indices
from train.models.vectors import VectorStore
from train.models.watching import Watch
from train.progress import bar
from train.runtime.decoding import STATES
from train.runtime.encoder import Encoder, SegmentPlan, counted, embed_all
from train.runtime.reading import clean, word_count

SCORED_WORDS = 3
"""Segments of fewer words are not scored; they are learnt from all the same, with less weight."""


@dataclass(frozen=True)
class TrainingExample:
    """A page as the network learns from it.

    Args:
        vectors: float32 `[n, width]`.
        numbers: float32 `[n, features]`.
        states: `[n]`.
        weights: `[n]` of the state loss.
    """

    vectors: np.ndarray
    numbers: np.ndarray
    states: np.ndarray
    weights: np.ndarray

    def chunk(self, first: int, last: int) -> TrainingExample:
        """Segments `first` to `last - 1`."""
        return TrainingExample(*(getattr(self, name)[first:last] for name in self.__dataclass_fields__))


class EncoderFamily:
    """Fits an `Encoder`.

    Args:
        config: The section `encoder`.
        seed: Of initialisation and order; networks count on from it.
        work: Folder for networks that are done; the caller deletes it when the run is done.
    """

    def __init__(self, config: EncoderConfig, seed: int, work: Path) -> None:
        self.config, self.seed, self.work = config, seed, work
        self.network: MeanOfNetworks | None = None
        self.topics: tuple[str, ...] = ()
        transformers.utils.logging.disable_progress_bar()
        transformers.utils.logging.set_verbosity_error()
        if config.threads:
            torch.set_num_threads(config.threads)
        self.device = torch.device("cuda" if config.device == "auto" and torch.cuda.is_available() else "cpu")

    def fit(self, pages: TrainingPages, log: Log) -> None:
        """Trains, the first `also_epochs` on `also` too. Networks that `work` holds are not trained again.

        Raises:
            InputError: There is no such backbone, or it does not fit the config.
        """
        config = self.config
        train, topic_texts = pages.train, pages.topic_texts
        also = pages.also if config.also_epochs else ()
        self.topics = topics_of([*train, *topic_texts, *also])
        self.topics = self.topics if len(self.topics) > 1 else ()
        self.load_backbone()
        self._embed([*train, *topic_texts, *also])
        head = self._topic_head([*train, *topic_texts, *also]) if self.topics else None
        own = [self._example(page) for page in train]
        others = [self._example(page) for page in also]
        networks = []
        display = bar()
        with display:
            task = display.add_task("training", total=config.networks * config.epochs)
            for number in range(config.networks):
                step = number * config.epochs
                torch.manual_seed(self.seed + number)
                network = PageNetwork(
                    self.width,
                    width=config.width,
                    depth=config.depth,
                    dropout=config.dropout,
                    topics=len(self.topics),
                    read_for_roles=self.read_for_roles,
                ).to(self.device)
                network.standardise_by(torch.from_numpy(np.concatenate([example.vectors for example in own])))
                if head is not None:
                    network.set_topics(*head)
                done = self.work / f"network-{number}.safetensors"
                if done.is_file():
                    network.load_state_dict(load_file(done))
                    display.advance(task, config.epochs)
                else:
                    watch = None
                    if config.patience is not None and pages.validation:
                        watch = Watch(pages.validation, config.patience, self.work / f"watch-{number}", log, step=step)
                    for learnt in self._train(network, self.seed + number, own, others):
                        step += 1
                        display.update(task, advance=1, description=f"training, loss {learnt['train/loss']:.3f}")
                        log(learnt, step)
                        if watch is not None and watch.look(network, self._reader(_Stored, MeanOfNetworks([network]).eval()), step):
                            break
                    if watch is not None:
                        watch.restore(network)
                    with written_aside(done) as path:
                        save_file(network.state_dict(), path)
                networks.append(network.eval())
        self.network = MeanOfNetworks(networks).eval()

    def load_backbone(self) -> None:
        """Loads tokenizer and backbone, which stays as it is."""
        config = self.config
        lower, highest = layers_read(config, topics=bool(self.topics))
        layers = (*lower, highest)
        longest = config.head_tokens + config.tail_tokens + 2
        hf_tokenizer, backbone = load_backbone(config.backbone, revision=config.revision, layers=highest, positions=longest)
        self.tokenizer = fast_tokenizer(hf_tokenizer)
        opening, closing, pad = special_ids(hf_tokenizer)
        self.plan = SegmentPlan(config.head_tokens, config.tail_tokens, opening, closing, pad)
        self.segment_vectors = SegmentVectors(backbone, lower).eval().requires_grad_(False).to(self.device)
        self.width = self.segment_vectors.width
        one, roles = self.width // len(layers), config.role_layers or layers
        self.read_for_roles = [slice(i * one, (i + 1) * one) for i, layer in enumerate(layers) if layer in roles]
        name = [backbone_content(config.backbone), config.revision, layers, self.plan.to_json()]
        self.store = VectorStore.open(sha256_json(name)[:16])

    def _embed(self, pages: Iterable[Page]) -> None:
        """Puts the vectors of all segments where the examples find them."""
        texts = (clean(s.text) for page in pages for s in page.segments)
        self.store.read(texts, lambda some: embed_all(some, self.tokenizer, self.plan, self._forward))

    def _forward(self, ids: np.ndarray, mask: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            answer = self.segment_vectors(torch.from_numpy(ids).to(self.device), torch.from_numpy(mask).to(self.device))
        return np.asarray(answer.float().cpu().numpy())

    def _example(self, page: Page) -> TrainingExample:
        texts = [clean(text) for text in page.texts]
        words = np.array([word_count(s.text) for s in page.segments])
        return TrainingExample(
            self.store.of(texts),
            counted(texts),
            page_states(page),
            np.where(words >= SCORED_WORDS, 1.0, self.config.short_weight).astype(np.float32),
        )

    def _topic_head(self, pages: Iterable[Page]) -> tuple[torch.Tensor, torch.Tensor]:
        """Weights and biases of the topics over the vectors of a story's segments."""
        stories = labelled_stories(pages)
        means = np.stack([mean_vector(texts, self.store.of(list(texts))) for texts, _ in stories])
        found = topic_head(means, topic_indices(stories, self.topics), c=self.config.topic_regularisation, seed=self.seed)
        weights, biases = (torch.from_numpy(array).to(self.device) for array in found)
        return weights, biases

    def _train(
        self, network: PageNetwork, seed: int, own: Sequence[TrainingExample], others: Sequence[TrainingExample]
    ) -> Iterator[dict[str, float]]:
        """Trains one network; yields the step metrics of each epoch."""
        config, rng = self.config, random.Random(seed)
        optimizer = torch.optim.AdamW(network.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay)
        schedule: Any = None
        for epoch in range(config.epochs):
            batches = self._batches([*own, *(others if epoch < config.also_epochs else ())], rng)
            if schedule is None:
                # The number of batches changes a little from epoch to epoch, as pages are cut at other places.
                steps = round(len(batches) * self._whole_epochs(own, others) * 1.1) + 1
                schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, config.learning_rate, total_steps=steps, pct_start=config.warmup)
            network.train()
            total, started = 0.0, time.monotonic()
            for batch in batches:
                loss = self._loss(network, batch)
                optimizer.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]
                nn.utils.clip_grad_norm_(network.parameters(), 1.0)
                optimizer.step()
                if schedule.last_epoch < schedule.total_steps - 1:
                    schedule.step()
                total += loss.item()
            yield {
                "train/loss": total / max(1, len(batches)),
                "train/learning_rate": float(optimizer.param_groups[0]["lr"]),
                "train/segments_per_second": sum(len(chunk.states) for batch in batches for chunk in batch) / (time.monotonic() - started),
            }

    def _whole_epochs(self, own: Sequence[TrainingExample], others: Sequence[TrainingExample]) -> float:
        """The epochs, those without `corpus.also` as the part of the first one that they are."""
        config = self.config
        with_others = min(config.also_epochs, config.epochs) if others else 0
        of_own, of_others = (sum(len(example.states) for example in examples) for examples in (own, others))
        share = of_own / max(1, of_own + of_others) if with_others else 1.0
        return with_others + share * (config.epochs - with_others)

    def _batches(self, examples: Sequence[TrainingExample], rng: random.Random) -> list[list[TrainingExample]]:
        """Pages cut into chunks at new places each time, chunks of like length together, in random order."""
        size = self.config.chunk_segments
        chunks = []
        for example in examples:
            n = len(example.states)
            first = rng.randrange(1, size) if n > size else n
            cuts = [0, *range(first, n, size), n]
            chunks += [example.chunk(a, b) for a, b in itertools.pairwise(cuts) if b > a]
        rng.shuffle(chunks)
        chunks.sort(key=lambda chunk: -(len(chunk.states) // 24))
        batches = [chunks[i : i + self.config.batch_chunks] for i in range(0, len(chunks), self.config.batch_chunks)]
        rng.shuffle(batches)
        return batches

    def _loss(self, network: PageNetwork, batch: Sequence[TrainingExample]) -> torch.Tensor:
        rows, length = len(batch), max(len(chunk.states) for chunk in batch)
        vectors, page_numbers = (
            np.zeros((rows, length, self.width), np.float32),
            np.zeros((rows, length, batch[0].numbers.shape[1]), np.float32),
        )
        states, weights = np.full((rows, length), IGNORED), np.zeros((rows, length), np.float32)
        present = np.zeros((rows, length, 1), np.float32)
        for row, chunk in enumerate(batch):
            n = len(chunk.states)
            vectors[row, :n], page_numbers[row, :n], present[row, :n] = chunk.vectors, chunk.numbers, 1
            states[row, :n], weights[row, :n] = chunk.states, chunk.weights
        tensors = [torch.from_numpy(array).to(self.device) for array in (vectors, page_numbers, present)]
        state_logits, _ = network(*tensors)
        gold, weight = torch.from_numpy(states.ravel()).to(self.device), torch.from_numpy(weights.ravel()).to(self.device)
        weight = weight * (gold != IGNORED)
        losses = nn.functional.cross_entropy(state_logits.flatten(0, 1), gold, reduction="none", ignore_index=IGNORED)
        loss: torch.Tensor = (losses * weight).sum() / weight.sum().clamp(min=1.0)
        return loss

    def reader(self) -> Encoder:
        """The networks in torch, as the runtime reads with them; vectors of texts that were read before come from the store."""
        assert self.network is not None, "fit first"
        return self._reader(_Stored, self.network)

    def _reader(self, kind: type[Encoder], network: MeanOfNetworks) -> Encoder:
        def read(vectors: np.ndarray, page_numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
            with torch.inference_mode():
                answer = network(*(torch.from_numpy(array[None]).to(self.device) for array in (vectors, page_numbers)))
            states, topics = answer if isinstance(answer, tuple) else (answer, None)
            return states[0].cpu().numpy(), None if topics is None else topics[0].cpu().numpy()

        reader = kind(self._forward, read, self.tokenizer, self.plan, self.topics)
        if isinstance(reader, _Stored):
            reader.store = self.store
        return reader

    def write(self, folder: Path, sample: Sequence[Page]) -> dict[str, Any]:
        """Writes `segments.onnx`, `page.onnx` and `tokenizer.json`, after checking that ONNX answers as torch does on the sample pages."""
        assert self.network is not None, "fit first"
        self.tokenizer.save(str(folder / "tokenizer.json"))
        manifest = {"segments": self.plan.to_json(), "topics": list(self.topics), "states": list(STATES)}
        self.device = torch.device("cpu")
        export_encoder(
            self.segment_vectors.cpu(),
            self.network.cpu(),
            self._reader(Encoder, self.network),
            folder,
            manifest,
            sample,
            int8=self.config.int8,
        )
        return manifest


def layers_read(config: EncoderConfig, *, topics: bool) -> tuple[list[int], int | None]:
    """The backbone's layers that a segment's vector is made of: the lower ones, and the highest; None is the backbone's last.

    Layers that topics alone are read from are not computed where there are none.
    """
    layers = config.layers if topics else config.role_layers or config.layers
    return (list(layers[:-1]), layers[-1]) if layers else ([], None)


class _Stored(Encoder):
    """Reads with the store's vectors, which are of half precision: for validation and folds; a bundle is compared with the exact ones."""

    store: VectorStore

    def vectors(self, texts: Sequence[str]) -> np.ndarray:
        self.store.read(texts, super().vectors)
        return self.store.of(texts) if texts else super().vectors(texts)
