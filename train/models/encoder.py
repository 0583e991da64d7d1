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
from scipy.sparse import csr_matrix, vstack
from torch import nn

from train.config import EncoderConfig
from train.corpus.page import Page
from train.corpus.training import TrainingPages
from train.files import sha256_json, written_aside
from train.models.backbone import fast_tokenizer, load_backbone, special_ids
from train.models.backbone_files import backbone_content
from train.models.family import Log, page_states, topics_of
from train.models.onnx import export_encoder
from train.models.page_network import IGNORED, MeanOfNetworks, PageNetwork, SegmentReader
from train.models.story_topics import TopicWeights, fit_topics, labelled_stories, story_weights, token_counts, topic_indices
from train.models.vectors import VectorStore
from train.models.watching import Watch
from train.progress import bar
from train.runtime.decoding import STATES
from train.runtime.encoder import Embed, Encoder, Read, SegmentPlan, counted, embed_all
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
        self.topic_weights: TopicWeights | None = None
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
        self.topic_weights = self._topic_weights([*train, *topic_texts, *also]) if self.topics else None
        own = [self._example(page) for page in train]
        others = [self._example(page) for page in also]
        networks = []
        display = bar()
        with display:
            task = display.add_task("training", total=config.networks * config.epochs)
            for number in range(config.networks):
                step = number * config.epochs
                torch.manual_seed(self.seed + number)
                width = self.segment_reader.width
                network = PageNetwork(width, width=config.width, depth=config.depth, dropout=config.dropout).to(self.device)
                network.standardise_by(torch.from_numpy(np.concatenate([example.vectors for example in own])))
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
                        if watch is not None and watch.look(network, self._stored(MeanOfNetworks([network]).eval()), step):
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
        longest = config.head_tokens + config.tail_tokens + 2
        hf_tokenizer, backbone = load_backbone(config.backbone, revision=config.revision, layers=config.layers, positions=longest)
        self.tokenizer = fast_tokenizer(hf_tokenizer)
        opening, closing, pad = special_ids(hf_tokenizer)
        self.plan = SegmentPlan(config.head_tokens, config.tail_tokens, opening, closing, pad)
        self.segment_reader = SegmentReader(backbone).eval().requires_grad_(False).to(self.device)
        name = [backbone_content(config.backbone), config.revision, config.layers, self.plan.to_json()]
        self.store = VectorStore.open(sha256_json(name)[:16])

    def _embed(self, pages: Iterable[Page]) -> None:
        """Puts the vectors of all segments where the examples find them."""
        texts = (clean(s.text) for page in pages for s in page.segments)
        self.store.read(texts, lambda some: embed_all(some, self.tokenizer, self.plan, self._embedder(self.segment_reader)))

    def _embedder(self, reader: SegmentReader) -> Embed:
        def embed(ids: np.ndarray, mask: np.ndarray) -> np.ndarray:
            with torch.inference_mode():
                answer = reader(torch.from_numpy(ids).to(self.device), torch.from_numpy(mask).to(self.device))
            return np.asarray(answer.float().cpu().numpy())

        return embed

    def _example(self, page: Page) -> TrainingExample:
        texts = [clean(text) for text in page.texts]
        words = np.array([word_count(s.text) for s in page.segments])
        return TrainingExample(
            self.store.of(texts),
            counted(texts),
            page_states(page),
            np.where(words >= SCORED_WORDS, 1.0, self.config.short_weight).astype(np.float32),
        )

    def _topic_weights(self, pages: Iterable[Page]) -> TopicWeights:
        stories = labelled_stories(pages)
        shares = [story_weights(texts) for texts, _ in stories]
        vectors = np.stack([share @ self.store.of(texts) for share, (texts, _) in zip(shares, stories, strict=True)])
        tokens = vstack([csr_matrix(share[None]) @ self.token_counts(texts) for share, (texts, _) in zip(shares, stories, strict=True)]).tocsr()
        return fit_topics(vectors, tokens, topic_indices(stories, self.topics), c=self.config.topic_regularisation, seed=self.seed)

    def token_counts(self, texts: Sequence[str]) -> csr_matrix:
        """`story_topics.token_counts` of the tokens that are read of each text."""
        return token_counts([ids[1:-1] for ids in self.plan.ids(texts, self.tokenizer)], self.segment_reader.vocabulary)

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
        vectors, page_numbers = (np.zeros((rows, length, array.shape[1]), np.float32) for array in (batch[0].vectors, batch[0].numbers))
        states, weights = np.full((rows, length), IGNORED), np.zeros((rows, length), np.float32)
        present = np.zeros((rows, length, 1), np.float32)
        for row, chunk in enumerate(batch):
            n = len(chunk.states)
            vectors[row, :n], page_numbers[row, :n], present[row, :n] = chunk.vectors, chunk.numbers, 1
            states[row, :n], weights[row, :n] = chunk.states, chunk.weights
        tensors = [torch.from_numpy(array).to(self.device) for array in (vectors, page_numbers, present)]
        state_logits = network(*tensors)
        gold, weight = torch.from_numpy(states.ravel()).to(self.device), torch.from_numpy(weights.ravel()).to(self.device)
        weight = weight * (gold != IGNORED)
        losses = nn.functional.cross_entropy(state_logits.flatten(0, 1), gold, reduction="none", ignore_index=IGNORED)
        loss: torch.Tensor = (losses * weight).sum() / weight.sum().clamp(min=1.0)
        return loss

    def reader(self) -> Encoder:
        """The networks in torch, as the runtime reads with them; vectors of texts that were read before come from the store."""
        assert self.network is not None, "fit first"
        return self._stored(self.network)

    def _stored(self, network: MeanOfNetworks) -> _Stored:
        reader = _Stored(self._embedder(self.segment_reader), self._read_page(network), self.tokenizer, self.plan, self.topics)
        reader.family = self
        return reader

    def _read_page(self, network: MeanOfNetworks) -> Read:
        def read(vectors: np.ndarray, page_numbers: np.ndarray) -> np.ndarray:
            with torch.inference_mode():
                states = network(*(torch.from_numpy(array[None]).to(self.device) for array in (vectors, page_numbers)))
            return np.asarray(states[0].cpu().numpy())

        return read

    def write(self, folder: Path, sample: Sequence[Page]) -> dict[str, Any]:
        """Writes `segments.onnx`, `page.onnx` and `tokenizer.json`, after checking that ONNX answers as torch does on the sample pages."""
        assert self.network is not None, "fit first"
        self.tokenizer.save(str(folder / "tokenizer.json"))
        manifest = {"segments": self.plan.to_json(), "topics": list(self.topics), "states": list(STATES)}
        self.device = torch.device("cpu")
        segments = SegmentReader(self.segment_reader.backbone, self.topic_weights).eval().cpu()
        exact = Encoder(self._embedder(segments), self._read_page(self.network.cpu()), self.tokenizer, self.plan, self.topics)
        export_encoder(segments, self.network, exact, folder, manifest, sample, int8=self.config.int8)
        return manifest


class _Stored(Encoder):
    """Reads with the store's vectors, which are of half precision: for validation and folds; a bundle is compared with the exact ones."""

    family: EncoderFamily

    def vectors(self, texts: Sequence[str]) -> np.ndarray:
        family, width = self.family, self.family.segment_reader.width
        family.store.read(texts, super().vectors)
        vectors = family.store.of(texts) if texts else np.zeros((0, width), np.float32)
        if family.topic_weights is None:
            return vectors
        return np.hstack([vectors, family.topic_weights.logits(vectors, family.token_counts(texts))])
