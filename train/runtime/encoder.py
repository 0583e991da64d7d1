"""The packed page encoder at work: windows in, averaged scores of every segment out."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .decoding import BEGINS, BOILERPLATE, GOES_ON, MAIN, softmax
from .reading import ROLES
from .windows import WindowPlan, batches, collate, pack

BATCH_TOKENS = 1024
INT8 = ".int8.onnx"
"""Ending of a network's int8 twin."""
_SLOW = ("SkipLayerNormFusion", "BiasGeluFusion")
"""What ONNX Runtime (1.23 to 1.32) makes slower on a CPU by fusing: the parts use all lanes of the processor, the wholes do not."""
FILES = ("model.onnx", "tokenizer.json")
INPUTS = ("input_ids", "attention_mask", "is_marker", "numbers")
OUTPUTS = ("role_logits", "begins_logits", "topic_logits")

Forward = Callable[[dict[str, np.ndarray]], dict[str, np.ndarray]]
States = Callable[[Sequence[Sequence[str]]], tuple[list[np.ndarray], list[np.ndarray] | None]]


@dataclass
class Encoder:
    """The encoder behind any engine.

    Args:
        forward: Maps a collated batch to `role_logits` `[batch, length, 3]`, `begins_logits` `[batch, length]` and, with topics,
            `topic_logits` `[batch, length, topics]`.
        tokenizer: A `tokenizers.Tokenizer`.
        plan: How pages are packed.
        topics: Topic names in the order of the scores; empty without a topic head.
        page_by_page: Never read two pages in one batch. int8 activations share a scale within a batch, so that its other pages would sway a
            page's answer.
    """

    forward: Forward
    tokenizer: Any
    plan: WindowPlan
    topics: tuple[str, ...]
    page_by_page: bool = False

    @classmethod
    def load(cls, folder: Path, manifest: dict[str, Any], *, threads: int | None = None, int8: bool = False) -> Encoder:
        """Loads a bundle's ONNX model, or its int8 twin, and tokenizer. `threads` defaults to the cores at hand."""
        session = onnx_session(folder / f"model{INT8 if int8 else '.onnx'}", threads)
        names = [output.name for output in session.get_outputs()]

        def forward(batch: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
            return dict(zip(names, session.run(names, batch), strict=True))

        return cls(forward, load_tokenizer(folder / FILES[1]), WindowPlan(**manifest["windows"]), tuple(manifest["topics"]), int8)

    def states(self, pages: Sequence[Sequence[str]]) -> tuple[list[np.ndarray], list[np.ndarray] | None]:
        """Scores of every segment; where windows overlap, their mean.

        Args:
            pages: Cleaned segments, page by page.

        Returns:
            State probabilities `[n, 4]` page by page, and topic logits `[n, topics]` page by page (None without topics).
        """
        if self.page_by_page and len(pages) > 1:
            return one_by_one(self.states, pages)
        states = [np.zeros((len(page), 4)) for page in pages]
        topics = [np.zeros((len(page), len(self.topics))) for page in pages]
        seen = [np.zeros((len(page), 1)) for page in pages]
        for batch in batches(pack(pages, self.tokenizer, self.plan), BATCH_TOKENS):
            answer = self.forward(collate(batch, self.plan))
            for row, window in enumerate(batch):
                where = slice(window.first, window.first + len(window.markers))
                roles = softmax(answer["role_logits"][row, window.markers].astype(np.float64))
                begins = 1 / (1 + np.exp(-answer["begins_logits"][row, window.markers].astype(np.float64)))
                states[window.page][where] += _states(roles, begins)
                seen[window.page][where] += 1
                if self.topics:
                    topics[window.page][where] += answer["topic_logits"][row, window.markers]
        states = [s / n for s, n in zip(states, seen, strict=True)]
        return states, [t / n for t, n in zip(topics, seen, strict=True)] if self.topics else None


def one_by_one(states: States, pages: Sequence[Sequence[str]]) -> tuple[list[np.ndarray], list[np.ndarray] | None]:
    """What `states` says of some pages when it is asked for each alone."""
    found = [states([page]) for page in pages]
    topics = [rows for _, page_topics in found for rows in page_topics or ()]
    return [rows for page_states, _ in found for rows in page_states], topics or None


def load_tokenizer(path: Path) -> Any:
    """A bundle's tokenizer; texts are cut elsewhere."""
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(path))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


CGROUP = Path("/sys/fs/cgroup/cpu.max")


def cores_at_hand() -> int:
    """Threads that may work at once: `OMP_NUM_THREADS` where it is set, else the process' cores, or a container's share of them (cgroup v2)."""
    asked = os.environ.get("OMP_NUM_THREADS", "")
    if asked.isdecimal() and int(asked):
        return int(asked)
    cores = len(os.sched_getaffinity(0))
    try:
        quota, period = CGROUP.read_text(encoding="ascii").split()
        return min(cores, max(1, round(int(quota) / int(period))))
    except (OSError, ValueError):  # no such file, or "max": no quota
        return cores


def onnx_session(path: Path, threads: int | None) -> Any:
    """An ONNX model on the CPU; `threads` defaults to the cores at hand. Idle threads sleep: spinning takes cores from whoever works beside."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads or cores_at_hand()
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"], disabled_optimizers=list(_SLOW))


def _states(roles: np.ndarray, begins: np.ndarray) -> np.ndarray:
    answer = np.empty((len(roles), 4))
    related = roles[:, ROLES.index("related")]
    answer[:, MAIN] = roles[:, ROLES.index("main")]
    answer[:, BOILERPLATE] = roles[:, ROLES.index("boilerplate")]
    answer[:, BEGINS] = related * begins
    answer[:, GOES_ON] = related * (1 - begins)
    return answer
