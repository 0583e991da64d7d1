"""Where a pretrained backbone's files are, and what names their content; imports nothing heavy."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path

from train.common.errors import InputError
from train.common.files import sha256_files

_READ = (".safetensors", ".json", ".txt", ".model")
"""What is read of a backbone: weights, settings, tokenizer."""


def cache_folder(name: str) -> Path:
    """A folder of this name beside the other caches of Hugging Face (`HF_HOME`)."""
    return Path(os.environ.get("HF_HOME") or Path.home() / ".cache/huggingface") / name


def backbone_source(backbone: str) -> str:
    """Where a backbone is: the folder of `package:NAME/FOLDER`, else the local folder or Hub id itself.

    Raises:
        InputError: The package or its folder is not there.
    """
    if not backbone.startswith("package:"):
        return backbone
    package, _, inner = backbone.removeprefix("package:").partition("/")
    spec = importlib.util.find_spec(package) if package.isidentifier() else None
    folder = Path(spec.submodule_search_locations[0]) / inner if spec and spec.submodule_search_locations else None
    if folder is None or not folder.is_dir():
        raise InputError(
            f"the backbone is {backbone!r}, and no such package folder is installed",
            expected="package:NAME/FOLDER",
            remedy="run `make setup`, or name a local folder or a Hub id",
            rule="no-backbone",
        )
    return str(folder)


def backbone_content(backbone: str) -> str:
    """Names a backbone by its files where they are at hand, else by its id, which comes with a commit.

    Raises:
        InputError: The package or its folder is not there.
    """
    source = Path(backbone_source(backbone))
    files = [path for path in source.iterdir() if path.suffix in _READ] if source.is_dir() else []
    return sha256_files(files, source) if files else backbone
