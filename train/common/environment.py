"""What a run says of the code and the machine it ran on."""

from __future__ import annotations

import os
import platform
import resource
import subprocess
import sys
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
_VERSIONS_OF = ("scikit-learn", "torch", "transformers", "datasets", "mlflow", "skops", "onnxruntime", "numpy")


def git_state() -> dict[str, str]:
    """`git.sha` and `git.dirty` of the code that runs; empty outside a checkout."""

    def git(*words: str) -> str:
        return subprocess.run(
            ["git", "-C", str(ROOT), *words], capture_output=True, text=True, check=True, timeout=20
        ).stdout.strip()

    try:
        return {"git.sha": git("rev-parse", "HEAD"), "git.dirty": str(bool(git("status", "--porcelain"))).lower()}
    except (OSError, subprocess.SubprocessError):
        return {}


def environment() -> dict[str, str]:
    """Versions and the machine, as tags."""
    tags = {
        "python": platform.python_version(),
        "machine": f"{platform.machine()}, {len(os.sched_getaffinity(0))} cores",
    }
    for name in _VERSIONS_OF:
        try:
            tags[f"version.{name}"] = version(name)
        except PackageNotFoundError:
            continue
    return tags


def peak_memory_mb() -> float:
    """Largest resident set of this process so far, in MB (10^6 bytes)."""
    with suppress(OSError):  # Linux counts into `getrusage` what the parent held when it started this process
        for line in Path("/proc/self/status").read_text(encoding="ascii", errors="replace").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024 / 1e6
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak * (1 if sys.platform == "darwin" else 1024) / 1e6


FLAGS = ("avx2", "fma", "avx512f", "avx512_vnni", "avx512_bf16", "amx_bf16", "avx_vnni")
"""Flags of the processor that decide what is fast."""


def machine() -> dict[str, str | int]:
    """The processor with its flags that decide what is fast, the number of cores, Python, and threads as pinned."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    facts = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in lines)}
    model = (
        f" (family {facts['cpu family']}, model {facts['model']})" if {"cpu family", "model"} <= facts.keys() else ""
    )
    return {
        "cpu": facts.get("model name", platform.processor()) + model,
        "flags": " ".join(flag for flag in FLAGS if flag in facts.get("flags", "").split()) or "none of note",
        "cores": os.cpu_count() or 0,
        "python": platform.python_version(),
        "threads": os.environ.get("OMP_NUM_THREADS", "all"),
    }
