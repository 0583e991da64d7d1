"""ONNX models at work on a CPU, and the tokenizer that lies beside them."""

from __future__ import annotations

import mmap
import os
from pathlib import Path
from typing import Any

from .manifest import BundleError

INT8 = ".int8.onnx"
"""Ending of a network's int8 twin."""
_SLOW = ("SkipLayerNormFusion", "BiasGeluFusion")
"""What ONNX Runtime (1.23 to 1.32) makes slower on a CPU by fusing: the parts use all lanes of the processor, the
wholes do not."""
EXTERNAL = b"\n\x08location\x12"
"""How an ONNX file (protobuf) says where weights outside it lie: the key of an entry of `external_data`."""
CGROUP = Path("/sys/fs/cgroup/cpu.max")


def load_tokenizer(path: Path) -> Any:
    """A bundle's tokenizer; texts are cut elsewhere."""
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(path))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


def cores_at_hand() -> int:
    """Threads that may work at once: `OMP_NUM_THREADS` where it is set, else the process' cores, or a container's share
    of them (cgroup v2)."""
    asked = os.environ.get("OMP_NUM_THREADS", "")
    if asked.isdecimal() and int(asked):
        return int(asked)
    cores = len(os.sched_getaffinity(0))
    try:
        quota, period = CGROUP.read_text(encoding="ascii").split()
        return min(cores, max(1, round(int(quota) / int(period))))
    except (OSError, ValueError):  # no such file, or "max": no quota
        return cores


def _require_own_weights(path: Path) -> None:
    """Raises a BundleError where an ONNX model takes weights from other files (`external_data`): a bundle's are its
    own."""
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        if content.find(EXTERNAL) >= 0:
            raise BundleError(f"{path} takes weights from another file. Do not use this bundle.")


def onnx_session(path: Path, threads: int | None) -> Any:
    """Loads an ONNX model to run on the CPU. Idle threads sleep: spinning takes cores from other processes.

    Args:
        path: The model's file.
        threads: The number of threads; None takes the cores at hand.
    """
    import onnxruntime

    _require_own_weights(path)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads or cores_at_hand()
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return onnxruntime.InferenceSession(
        path, options, providers=["CPUExecutionProvider"], disabled_optimizers=list(_SLOW)
    )
