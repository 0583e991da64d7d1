"""Training the encoder: a backbone's lower layers read segments, once; a network over whole pages learns from them,
then pretrained layers too."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from safetensors.torch import load_file, save_file
from scipy.sparse import csr_matrix, vstack

from train.common.console import bar
from train.common.files import sha256_json, written_aside
from train.config.schema import EncoderConfig
from train.corpus.page import Page
from train.corpus.training_data import TrainingPages
from train.models.backbone import fast_tokenizer, load_backbone, load_upper, special_ids
from train.models.backbone_files import backbone_content
from train.models.early_stopping import EarlyStopping
from train.models.encoder.distributed import ReportEpoch, train_on_devices
from train.models.encoder.embedding_cache import VectorStore
from train.models.encoder.fine_tuning import FineTuning
from train.models.encoder.loop import train_epochs
from train.models.encoder.networks import BLOCK, PageNetwork, SegmentReader
from train.models.encoder.page_reader import PageReader
from train.models.encoder.training_examples import TrainingExample, batches, stored_vectors
from train.models.family import Log, page_tags, topics_of
from train.models.onnx_export import export_encoder
from train.models.story_topics import (
    TopicWeights,
    fit_topics,
    labelled_stories,
    story_weights,
    token_counts,
    topic_indices,
)
from train.runtime.calibration import Calibration
from train.runtime.decoding import TAGS, Decoder
from train.runtime.encoder import Embed, Encoder, Read, SegmentPlan, counted, embed_all
from train.runtime.onnx import cores_at_hand
from train.runtime.text import clean, word_count

SCORED_WORDS = 3
"""Segments of fewer words are not scored; they are learnt from all the same, with less weight."""


class EncoderFamily:
    """Fits an `Encoder`.

    Args:
        config: The section `encoder`.
        seed: The seed of the first weights, the chunks and their order.
        work: The folder for stages that are done; the caller deletes it when the run is done.
    """

    def __init__(self, config: EncoderConfig, seed: int, work: Path) -> None:
        self.config, self.seed, self.work = config, seed, work
        self.network: PageNetwork | None = None
        self.known_sites: frozenset[str] = frozenset()  # of the page reader that training starts from
        self.topics: tuple[str, ...] = ()
        self.topic_weights: TopicWeights | None = None
        transformers.utils.logging.disable_progress_bar()
        transformers.utils.logging.set_verbosity_error()
        torch.set_num_threads(config.threads or cores_at_hand())
        self.device = torch.device("cuda" if config.device == "auto" and torch.cuda.is_available() else "cpu")

    def fit(self, pages: TrainingPages, log: Log) -> None:
        """Trains in two stages: the page network over frozen vectors, the first `auxiliary_epochs` on auxiliary pages
        too; then pretrained layers with it. A stage, or an epoch of the second, that `work` holds is not done again.

        Args:
            pages: The pages to learn from, and those for early stopping.
            log: Takes the step metrics of each epoch, and its number over both stages.

        Raises:
            InputError: There is no such backbone, or it does not fit the config.
        """
        config = self.config
        auxiliary = pages.auxiliary if config.auxiliary_epochs else ()
        labelled = [*pages.train, *pages.topic_texts, *auxiliary]
        topics = topics_of(labelled)
        self.topics = topics if len(topics) > 1 else ()
        self.load_backbone()
        self._embed(labelled)
        self.topic_weights = self._topic_weights(labelled) if self.topics else None
        own, others = ([self._example(page) for page in some] for some in (pages.train, auxiliary))
        network = self._network(own)
        with bar() as display:
            total = config.epochs + (config.fine_tune_epochs if config.fine_tunes else 0)
            task = display.add_task("training", total=total)

            def report(epoch: int, metrics: Mapping[str, float]) -> None:
                display.update(task, completed=epoch, description=f"training, loss {metrics['train/loss']:.3f}")
                log(dict(metrics), epoch)

            if not self._load(network):
                self._first_stage(network, own, others, pages.validation, report, log)
            if config.fine_tunes:
                self._second_stage(network, own, pages.train, report)
        self.network = network.eval()
        if config.fine_tune != "page":
            # Segments are read otherwise now.
            self.store = VectorStore(self.work / "vectors")
            if self.topics:
                self._embed(labelled)
                self.topic_weights = self._topic_weights(labelled)

    def _first_stage(
        self,
        network: PageNetwork,
        own: Sequence[TrainingExample],
        others: Sequence[TrainingExample],
        validation: Sequence[Page],
        report: ReportEpoch,
        log: Log,
    ) -> None:
        """Pretrained weights stay as they are; with patience, training ends early and with its best state."""
        stopping = None
        if self.config.patience is not None and validation:
            stopping = EarlyStopping(validation, self.config.patience, self.work / "watch", log)
        for epoch, metrics in enumerate(self._train(network, own, others), start=1):
            report(epoch, metrics)
            if stopping is not None and stopping.evaluate(network, self._stored(network.eval()), epoch):
                break
        if stopping is not None:
            stopping.restore(network)
        with written_aside(self._trained) as path:
            save_file(network.state_dict(), path)

    def _second_stage(
        self, network: PageNetwork, own: Sequence[TrainingExample], pages: Sequence[Page], report: ReportEpoch
    ) -> None:
        """Pretrained layers learn too: on several devices, whose checkpoint this process then takes over, or here."""
        first = self.config.epochs
        if self.config.devices > 1:
            train_on_devices(
                self.config, self.seed, self.work, pages, lambda epoch, metrics: report(first + epoch, metrics)
            )
        for epoch, metrics in self._fine_tune(network, own):
            report(first + epoch, metrics)

    def _network(self, own: Sequence[TrainingExample]) -> PageNetwork:
        """The page network that training starts from: a pretrained one, or one that has learnt nothing."""
        network = self._bare_network()
        if self.config.pretrained is not None:
            reader = PageReader.load(self.config.pretrained)
            reader.start(network, self.config)
            self.known_sites = reader.sites
        else:
            network.standardise_by(torch.from_numpy(np.concatenate([example.vectors for example in own])))
        return network.to(self.device)

    def _bare_network(self) -> PageNetwork:
        config = self.config
        torch.manual_seed(self.seed)
        upper = None
        if config.page_layers:
            assert config.layers is not None, "the config requires it"
            upper = load_upper(
                config.backbone,
                revision=config.revision,
                lower=config.layers,
                layers=config.page_layers,
                positions=BLOCK,
            )
        return PageNetwork(
            self.segment_reader.width, width=config.width, depth=config.depth, dropout=config.dropout, upper=upper
        )

    @property
    def _trained(self) -> Path:
        """The network after the first stage."""
        return self.work / "network.safetensors"

    def _load(self, network: PageNetwork) -> bool:
        """Whether the first stage of training was done before; then the network is as it left it."""
        if self._trained.is_file():
            network.load_state_dict(load_file(self._trained))
        return self._trained.is_file()

    def _fine_tune(
        self, network: PageNetwork, own: Sequence[TrainingExample]
    ) -> Iterator[tuple[int, dict[str, float]]]:
        """The second stage: pretrained layers learn too; yields epochs and their step metrics."""
        network.asks_upper = network.upper is not None
        tuning = FineTuning(
            self.config, network, self.segment_reader, self.tokenizer, self.plan, self.device, own, self.seed
        )
        yield from tuning.train(self.work / "checkpoint.safetensors")

    def fine_tune_share(self, pages: Sequence[Page]) -> Iterator[tuple[int, dict[str, float]]]:
        """The second stage in one of several processes, on training `pages`, with the network that another process
        left in the work folder; yields what `FineTuning.train` yields."""
        self.load_backbone()
        self._embed(pages)
        own = [self._example(page) for page in pages]
        network = self._network(own)
        assert self._load(network), "the first stage is done"
        yield from self._fine_tune(network, own)

    def load_backbone(self) -> None:
        """Loads the tokenizer and the layers that read segments."""
        config = self.config
        longest = config.head_tokens + config.tail_tokens + 2
        hf_tokenizer, backbone = load_backbone(
            config.backbone, revision=config.revision, layers=config.layers, positions=longest
        )
        self.tokenizer = fast_tokenizer(hf_tokenizer)
        opening, closing, pad = special_ids(hf_tokenizer)
        self.plan = SegmentPlan(config.head_tokens, config.tail_tokens, opening, closing, pad)
        self.segment_reader = SegmentReader(backbone).eval().requires_grad_(False).to(self.device)
        name = [backbone_content(config.backbone), config.revision, config.layers, self.plan.to_json()]
        self.store = VectorStore.open(sha256_json(name)[:16])

    def _embed(self, pages: Iterable[Page]) -> None:
        """Puts the vectors of all segments where the examples find them."""
        texts = (clean(s.text) for page in pages for s in page.segments)
        self.store.read(
            texts, lambda some: embed_all(some, self.tokenizer, self.plan, self._embedder(self.segment_reader))
        )

    def _embedder(self, reader: SegmentReader) -> Embed:
        def embed(ids: np.ndarray, mask: np.ndarray) -> np.ndarray:
            with torch.inference_mode():
                vectors = reader(torch.from_numpy(ids).to(self.device), torch.from_numpy(mask).to(self.device))
            return np.asarray(vectors.float().cpu().numpy())

        return embed

    def _example(self, page: Page) -> TrainingExample:
        texts = [clean(text) for text in page.texts]
        words = np.array([word_count(s.text) for s in page.segments])
        return TrainingExample(
            np.array(texts, object),
            self.store.of(texts),
            counted(texts),
            page_tags(page),
            np.where(words >= SCORED_WORDS, 1.0, self.config.short_weight).astype(np.float32),
        )

    def _topic_weights(self, pages: Iterable[Page]) -> TopicWeights:
        stories = labelled_stories(pages)
        shares = [story_weights(texts) for texts, _ in stories]
        vectors = np.stack([share @ self.store.of(texts) for share, (texts, _) in zip(shares, stories, strict=True)])
        tokens = vstack(
            [
                csr_matrix(share[None]) @ self.token_counts(texts)
                for share, (texts, _) in zip(shares, stories, strict=True)
            ]
        ).tocsr()
        weights = fit_topics(
            vectors, tokens, topic_indices(stories, self.topics), c=self.config.topic_C, seed=self.seed
        )
        # A text may spell out the tokens that open, close and pad every text: every segment would have their topic.
        weights.over_tokens[[self.plan.opening, self.plan.closing, self.plan.pad]] = 0
        return weights

    def token_counts(self, texts: Sequence[str]) -> csr_matrix:
        """`story_topics.token_counts` of the tokens that are read of each text."""
        return token_counts([ids[1:-1] for ids in self.plan.ids(texts, self.tokenizer)], self.segment_reader.vocabulary)

    def _train(
        self, network: PageNetwork, own: Sequence[TrainingExample], others: Sequence[TrainingExample]
    ) -> Iterator[dict[str, float]]:
        """The first stage; yields the step metrics of each epoch."""
        config, rng = self.config, random.Random(self.seed)
        epochs = [
            batches(
                [*own, *(others if epoch < config.auxiliary_epochs else ())],
                rng,
                segments=config.chunk_segments,
                chunks=config.batch_chunks,
            )
            for epoch in range(config.epochs)
        ]
        optimizer = torch.optim.AdamW(network.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay)
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimizer, config.learning_rate, total_steps=sum(map(len, epochs)) + 1, pct_start=config.warmup
        )
        vectors_of = partial(stored_vectors, device=self.device)
        return train_epochs(network, epochs, vectors_of, optimizer, schedule, self.device)

    @classmethod
    def of(cls, reader: PageReader) -> EncoderFamily:
        """The family with a trained page reader in the place of training; it knows no topics."""
        family = cls(replace(reader.config, device="cpu", int8=False), 0, Path())
        family.load_backbone()
        family.network = family._bare_network().eval()
        reader.start(family.network, family.config)
        return family

    def keep(self, folder: Path, decoder: Decoder, calibration: Calibration, sites: frozenset[str]) -> None:
        """Writes the page reader. It reads the vectors of the backbone as it came: where layers below it learnt too,
        nothing is written.

        Args:
            folder: The folder.
            decoder: What validation pages chose.
            calibration: What they chose.
            sites: The sites of all pages that were learnt from or chosen by.
        """
        assert self.network is not None, "fit first"
        if self.config.fine_tune == "page":
            sites |= self.known_sites
            content = backbone_content(self.config.backbone)
            PageReader(self.network.state_dict(), self.config, content, decoder, calibration, sites).save(folder)

    def scorer(self) -> Encoder:
        """The network in torch, as the runtime reads with it; vectors of texts that were read before come from the
        store."""
        assert self.network is not None, "fit first"
        return self._stored(self.network)

    def _stored(self, network: PageNetwork) -> _Stored:
        reader = _Stored(
            self._embedder(self.segment_reader), self._read_page(network), self.tokenizer, self.plan, self.topics
        )
        reader.family = self
        return reader

    def _read_page(self, network: PageNetwork) -> Read:
        def read(vectors: np.ndarray, page_numbers: np.ndarray) -> np.ndarray:
            with torch.inference_mode():
                logits = network(*(torch.from_numpy(array[None]).to(self.device) for array in (vectors, page_numbers)))
            return np.asarray(torch.softmax(logits[0], dim=-1).cpu().numpy())

        return read

    def write(self, folder: Path, sample: Sequence[Page]) -> dict[str, Any]:
        """Writes `segments.onnx`, `page.onnx` and `tokenizer.json`, after checking that ONNX answers as torch does.

        Args:
            folder: The bundle's folder.
            sample: The pages that torch and ONNX are compared on.

        Returns:
            The family's part of the manifest.

        Raises:
            ParityError: ONNX answers otherwise.
        """
        assert self.network is not None, "fit first"
        self.tokenizer.save(str(folder / "tokenizer.json"))
        manifest = {"segments": self.plan.to_json(), "topics": list(self.topics), "states": list(TAGS)}
        self.device = torch.device("cpu")
        segments = SegmentReader(self.segment_reader.backbone, self.topic_weights).eval().cpu()
        exact = Encoder(
            self._embedder(segments), self._read_page(self.network.cpu()), self.tokenizer, self.plan, self.topics
        )
        export_encoder(segments, self.network, exact, folder, manifest, sample, int8=self.config.int8)
        return manifest


class _Stored(Encoder):
    """Reads with the store's vectors, which are of half precision: for validation and folds; a bundle is compared with
    the exact ones."""

    family: EncoderFamily

    def vectors(self, texts: Sequence[str]) -> np.ndarray:
        family, width = self.family, self.family.segment_reader.width
        family.store.read(texts, super().vectors)
        vectors = family.store.of(texts) if texts else np.zeros((0, width), np.float32)
        if family.topic_weights is None:
            return vectors
        return np.hstack([vectors, family.topic_weights.logits(vectors, family.token_counts(texts))])
