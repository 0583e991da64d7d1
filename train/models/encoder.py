"""Training the packed page encoder with the Hugging Face Trainer, and writing it as ONNX."""

from __future__ import annotations

import hashlib
import json
import logging
import math
import shutil
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import torch
import transformers
from tokenizers import Tokenizer
from transformers import Trainer, TrainerCallback, TrainingArguments
from transformers.trainer_callback import PrinterCallback, ProgressCallback
from transformers.trainer_pt_utils import LengthGroupedSampler

from train.config import EncoderConfig
from train.corpus.page import Page
from train.corpus.training import TrainingPages
from train.errors import InputError
from train.files import sha256_json, write_text
from train.models.backbone import fast_tokenizer, layers_above, load_backbone, special_ids
from train.models.devices import Shown, Tell, any_process, train_on_devices
from train.models.family import Log, page_states, topics_of
from train.models.network import IGNORED, PageEncoder, PageEncoderConfig
from train.models.onnx import export_onnx
from train.models.watching import Watch
from train.progress import track
from train.runtime.decoding import BEGINS, GOES_ON
from train.runtime.encoder import OUTPUTS, Encoder
from train.runtime.reading import ROLES, clean
from train.runtime.windows import Window, WindowPlan, collate, pack

COMPLETE = "COMPLETE"
"""Written last into a checkpoint: without it, the checkpoint is not resumed from."""


class EncoderFamily:
    """Fits a `PageEncoder`.

    Args:
        config: The section `encoder`.
        seed: Of initialisation and order.
        work: Folder for windows and checkpoints; the caller deletes it when the run is done.
    """

    def __init__(self, config: EncoderConfig, seed: int, work: Path) -> None:
        self.config, self.seed, self.work = config, seed, work
        self.network: PageEncoder | None = None
        datasets.disable_progress_bars()
        transformers.utils.logging.disable_progress_bar()
        transformers.utils.logging.set_verbosity_error()
        if config.threads:
            torch.set_num_threads(config.threads)

    def fit(self, pages: TrainingPages, log: Log) -> None:
        """Trains, `also_epochs` times on `also`; goes on from the last whole checkpoint in `work`, if there is one."""
        also = pages.also if self.config.also_epochs else ()
        topics = topics_of([*pages.train, *pages.topic_texts, *also])
        self.begin(topics if len(topics) > 1 else ())
        windows = self._windows(pages.train, pages.topic_texts, also)
        shown = Shown(log)
        with shown.display:
            if self.config.devices == 1:
                self.train(windows, pages.validation, shown)
            else:
                train_on_devices(self, windows, pages.validation, shown)

    def begin(self, topics: tuple[str, ...]) -> None:
        """Seeds, and makes the network for these topics: the same in every process of a training."""
        transformers.set_seed(self.seed)
        self.topics = topics
        self.load_backbone()

    def load_backbone(self) -> None:
        """Loads tokenizer and network, and plans windows for them.

        Raises:
            InputError: There is no such backbone, or it does not fit the config.
        """
        config = self.config
        self.hf_tokenizer, backbone = load_backbone(
            config.backbone, revision=config.revision, layers=config.layers, dropout=config.dropout, positions=config.window_tokens
        )
        self.tokenizer = fast_tokenizer(self.hf_tokenizer)
        self.plan = window_plan(config, self.hf_tokenizer)
        network = PageEncoderConfig(backbone=backbone.config.to_dict(), topics=list(self.topics), topic_weight=config.topic_weight)
        self.network = PageEncoder(network, backbone)
        if self.config.freeze_embeddings:
            self.network.backbone.get_input_embeddings().requires_grad_(False)

    def _windows(self, pages: Sequence[Page], topic_texts: Sequence[Page], also: Sequence[Page]) -> datasets.Dataset:
        """The windows of all epochs as a memory-mapped Arrow table under `work`; built once for the same pages and settings."""

        def shown() -> Iterator[Page]:
            readings = (page for _ in range(self.config.epochs) for page in pages)
            yield from track(readings, "cutting pages into windows", total=self.config.epochs * len(pages))
            for _ in range(self.config.epochs):
                yield from topic_texts
            for _ in range(self.config.also_epochs):
                yield from also

        epochs = [self.config.epochs, self.config.also_epochs]
        settings = [self.plan.to_json(), self.topics, self.config.backbone, epochs, self.seed]
        name = sha256_json([settings, *(_labels_sha256(some) for some in (pages, topic_texts, also))])[:16]
        return window_table(shown(), self.tokenizer, self.plan, self.topics, self.work / "windows", name)

    def train(self, windows: datasets.Dataset, validation: Sequence[Page], tell: Tell) -> None:
        """Trains the network; in a process of several that torchrun started, on this process's share of each batch.

        Args:
            windows: Rows of `labelled_windows`, those of all epochs.
            validation: Looked at on the way where the config has patience.
            tell: Takes steps and their metrics.

        Raises:
            InputError: The config asks for float16 where there is no GPU.
        """
        config, network = self.config, self.network
        assert network is not None
        steps = math.ceil(len(windows) / config.batch_windows)
        every = max(1, steps // 50)
        # Said outright: without a GPU the Trainer refuses bf16 unless it is told to take the CPU.
        on_cpu = config.device == "cpu" or not torch.accelerator.is_available()
        if config.fp16 and on_cpu:
            raise InputError("encoder.fp16 on a CPU", expected="a GPU", remedy="set encoder.bf16=true instead, or neither", rule="no-gpu")
        arguments = TrainingArguments(
            output_dir=str(self.work / "checkpoints"),
            num_train_epochs=1,
            per_device_train_batch_size=config.batch_windows // config.devices,
            learning_rate=config.learning_rate,
            weight_decay=config.weight_decay,
            warmup_steps=config.warmup,
            lr_scheduler_type="linear",
            max_grad_norm=1.0,
            seed=self.seed,
            data_seed=self.seed,
            bf16=config.bf16,
            fp16=config.fp16,
            use_cpu=on_cpu,
            ddp_backend=None if config.devices == 1 else "gloo" if on_cpu else "nccl",
            dataloader_pin_memory=torch.cuda.is_available() and config.device != "cpu",
            train_sampling_strategy="group_by_length",
            length_column_name="length",
            remove_unused_columns=False,
            logging_steps=every,
            save_strategy="steps",
            # At a step that is logged: the mean that is logged after it begins there, whether the training was resumed or not.
            save_steps=every * math.ceil(steps / config.checkpoints / every),
            save_total_limit=2,
            report_to=[],
            disable_tqdm=True,
        )
        if config.devices == 1 and arguments.n_gpu > 1:
            arguments._n_gpu = 1  # otherwise the Trainer splits batches among all GPUs it sees, whose stories are numbered as one
        last = last_checkpoint(Path(arguments.output_dir))
        watch = None
        if config.patience is not None and validation:
            begun = int(last.name.rpartition("-")[2]) if last is not None else 0
            watch = Watch(validation, config.patience, self.work / "watch", lambda metrics, step: tell(step, steps, metrics), step=begun)
        trainer = _Trainer(
            model=network,
            args=arguments,
            train_dataset=windows,
            data_collator=Collator(self.plan),
            optimizers=(self.optimizer(network), None),
            callbacks=[_Progress(tell, sum(windows["length"]), watch, self)],
        )
        trainer.remove_callback(PrinterCallback)
        trainer.remove_callback(ProgressCallback)
        if last is not None:
            logging.getLogger("newsparts").warning("resuming from %s", last)
        if watch is None or not watch.spent:
            trainer.train(resume_from_checkpoint=str(last) if last else None)
        # bf16 wraps the network's forward in autocast, which would be exported with it.
        trainer.accelerator.unwrap_model(network, keep_fp32_wrapper=False)
        if watch is not None:
            watch.restore(network)
        network.eval()

    def optimizer(self, network: PageEncoder) -> torch.optim.Optimizer:
        config = self.config
        grouped: defaultdict[tuple[float, bool], list[torch.nn.Parameter]] = defaultdict(list)
        below = layers_above(network.backbone)
        for name, parameter in network.named_parameters():
            if parameter.requires_grad:
                inner = name.removeprefix("backbone.")
                rate = config.head_learning_rate if inner == name else config.learning_rate * config.layer_decay ** below(inner)
                grouped[rate, parameter.ndim > 1].append(parameter)
        groups = [
            {"params": group, "lr": rate, "weight_decay": config.weight_decay if decayed else 0.0}
            for (rate, decayed), group in grouped.items()
        ]
        return torch.optim.AdamW(groups, fused=True)

    def reader(self) -> Encoder:
        """The network in torch, as the runtime reads with it."""
        network = self.network
        assert network is not None, "fit first"
        network.eval()
        device = next(network.parameters()).device

        def forward(batch: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
            with torch.inference_mode():
                answer = network(**{name: torch.from_numpy(value).to(device) for name, value in batch.items()})
            return {name: answer[name].float().cpu().numpy() for name in OUTPUTS if name in answer}

        return Encoder(forward, self.tokenizer, self.plan, self.topics)

    def write(self, folder: Path, sample: Sequence[Page]) -> dict[str, Any]:
        """Writes `model.onnx` and `tokenizer.json`, after checking that ONNX answers as torch does on the sample pages."""
        network = self.network
        assert network is not None, "fit first"
        self.tokenizer.save(str(folder / "tokenizer.json"))
        manifest = {"windows": self.plan.to_json(), "topics": list(self.topics)}
        export_onnx(network.to("cpu"), self.reader(), folder, manifest, sample, int8=self.config.int8)
        return manifest

    def write_weights(self, folder: Path) -> None:
        """Writes the torch weights (safetensors) and tokenizer, to go on training from."""
        assert self.network is not None, "fit first"
        shutil.rmtree(folder, ignore_errors=True)
        self.network.save_pretrained(folder)
        self.hf_tokenizer.save_pretrained(folder)


def window_plan(config: EncoderConfig, hf_tokenizer: Any) -> WindowPlan:
    """The packing of a config with this tokenizer's special tokens (classifier or beginning token as marker)."""

    return WindowPlan(
        tokens=config.window_tokens,
        overlap=config.overlap,
        head=config.head_tokens,
        tail=config.tail_tokens,
        **dict(zip(("marker", "closing", "pad"), special_ids(hf_tokenizer), strict=True)),
    )


def window_table(
    pages: Iterable[Page], tokenizer: Tokenizer, plan: WindowPlan, topics: tuple[str, ...], folder: Path, name: str
) -> datasets.Dataset:
    """Windows of labelled pages as a memory-mapped Arrow table; pages are taken one by one.

    Args:
        pages: Labelled pages, or texts with topics alone.
        tokenizer: Of the backbone, without truncation and padding.
        plan: How windows are cut.
        topics: In label order.
        folder: Where the table is kept.
        name: Names the table; a whole one of the same name is taken as it is.
    """

    def rows() -> Iterator[dict[str, Any]]:
        for page in pages:
            yield from labelled_windows(page, tokenizer, plan, topics)

    return datasets.Dataset.from_generator(rows, cache_dir=str(folder), fingerprint=name)


def _labels_sha256(pages: Iterable[Page]) -> str:
    """Hash over texts and labels, page by page."""
    total = hashlib.sha256()
    for page in pages:
        total.update(sha256_json([[s.text, s.role, s.story, s.topic] for s in page.segments]).encode())
    return total.hexdigest()


def labelled_windows(page: Page, tokenizer: Tokenizer, plan: WindowPlan, topics: tuple[str, ...]) -> Iterator[dict[str, Any]]:
    """The windows of a labelled page as rows of a table; stories of a window are numbered from 0. A page without roles teaches none."""
    begins = [{BEGINS: 1, GOES_ON: 0}.get(int(state), IGNORED) for state in page_states(page)] if page.labelled else []
    for window in pack([[clean(text) for text in page.texts]], tokenizer, plan):
        last = window.first + len(window.markers)
        segments = page.segments[window.first : last]
        numbered: dict[int, int] = {}
        yield {
            "input_ids": window.input_ids.astype(np.int32),
            "markers": window.markers.astype(np.int32),
            "numbers": window.numbers.ravel(),
            "length": len(window.input_ids),
            "roles": [IGNORED if s.role is None else ROLES.index(s.role) for s in segments],
            "begins": begins[window.first : last] or [IGNORED] * len(segments),
            "stories": [-1 if s.story is None else numbered.setdefault(s.story, len(numbered)) for s in segments],
            "topics": [topics.index(s.topic) if s.topic in topics else IGNORED for s in segments],
        }


class Collator:
    """Pads rows of `labelled_windows` into one batch of tensors."""

    def __init__(self, plan: WindowPlan) -> None:
        self.plan = plan

    def __call__(self, rows: list[dict[str, Any]]) -> dict[str, torch.Tensor]:
        """Windows, and labels at their markers."""
        windows = []
        for row in rows:
            markers = np.asarray(row["markers"])
            numbers = np.asarray(row["numbers"], np.float32).reshape(len(markers), -1)
            windows.append(Window(0, 0, np.asarray(row["input_ids"]), markers, numbers))
        batch = collate(windows, self.plan)
        labels = {name: np.full(batch["input_ids"].shape, IGNORED, np.int64) for name in ("role_labels", "begins_labels")}
        story_index = np.full(batch["input_ids"].shape, -1, np.int64)
        story_topics: list[int] = []
        for i, (row, window) in enumerate(zip(rows, windows, strict=True)):
            labels["role_labels"][i, window.markers] = row["roles"]
            labels["begins_labels"][i, window.markers] = row["begins"]
            stories = np.asarray(row["stories"])
            story_index[i, window.markers] = np.where(stories >= 0, stories + len(story_topics), -1)
            topic_of = dict(zip(row["stories"], row["topics"], strict=True))
            story_topics += [topic_of[story] for story in range(stories.max(initial=-1) + 1)]
        arrays = {**batch, **labels, "story_index": story_index, "story_topics": np.array(story_topics, np.int64)}
        return {name: torch.from_numpy(array) for name, array in arrays.items()}


def last_checkpoint(folder: Path) -> Path | None:
    """The newest checkpoint that was written to its end."""
    whole = [path.parent for path in folder.glob(f"checkpoint-*/{COMPLETE}")]
    return max(whole, key=lambda path: int(path.name.rpartition("-")[2]), default=None)


class _Trainer(Trainer):
    """Groups windows by length in batches of all devices together: one device or several, the same windows share a batch."""

    def _get_train_sampler(self, train_dataset: Any = None) -> Any:
        windows = self.train_dataset if train_dataset is None else train_dataset
        return LengthGroupedSampler(self.args.train_batch_size * self.args.world_size, lengths=list(windows["length"]))


class _Progress(TrainerCallback):
    """Tells steps and their metrics, looks at validation pages, and marks a whole checkpoint."""

    def __init__(self, tell: Tell, tokens: int, watch: Watch | None, family: EncoderFamily) -> None:
        self.tell, self.tokens, self.watch, self.family = tell, tokens, watch, family

    def on_train_begin(self, args: Any, state: Any, control: Any, **more: Any) -> None:
        self.started, self.start_step = time.monotonic(), state.global_step

    def on_step_end(self, args: Any, state: Any, control: Any, **more: Any) -> None:
        self.tell(state.global_step, state.max_steps, {})

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, float] | None = None, **more: Any) -> None:
        if logs and "loss" in logs:
            done = (state.global_step - self.start_step) / max(state.max_steps, 1)
            speed = done * self.tokens / max(time.monotonic() - self.started, 1e-9)
            metrics = {"train/loss": logs["loss"], "train/learning_rate": logs["learning_rate"], "train/tokens_per_second": speed}
            self.tell(state.global_step, state.max_steps, metrics)

    def on_save(self, args: Any, state: Any, control: Any, **more: Any) -> None:
        spent = False
        if self.watch is not None and self.family.network is not None and state.is_world_process_zero:
            network = self.family.network
            spent = self.watch.look(network, self.family.reader(), state.global_step)
            network.train()
        # All processes have written their part of the checkpoint once they have agreed.
        control.should_training_stop |= any_process(spent)
        if state.is_world_process_zero:
            folder = Path(args.output_dir) / f"checkpoint-{state.global_step}"
            write_text(folder / COMPLETE, json.dumps({"step": state.global_step}) + "\n")
