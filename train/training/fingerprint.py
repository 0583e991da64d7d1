"""What a run's result depends on, as hashes."""

from __future__ import annotations

import platform
from pathlib import Path

import train
from train.common.environment import environment
from train.common.files import sha256_file, sha256_files, sha256_json
from train.config.schema import Config
from train.corpus.loading import auxiliary_sha256, topics_sha256
from train.models.backbone_files import backbone_content
from train.models.pretrained import SETTINGS, folder_of

ROOMS = ("common", "runtime", "config", "corpus", "evaluation", "models", "export", "training")
"""The rooms of `train/` whose code a model depends on; the others show it, steer it, or use it."""


def code_sha256() -> str:
    """Hash of the code a model depends on."""
    root = Path(train.__file__).parent
    return sha256_files(
        [
            path
            for room in ROOMS
            for path in (root / room).rglob("*")
            if path.suffix in (".py", ".yaml", ".safetensors") and path.parent.name != "examples"
        ],
        root,
    )


def run_fingerprint(config: Config, corpus_sha256: str) -> str:
    """Hash of everything a run's result depends on, so that a finished or unfinished one is recognised.

    Args:
        config: The resolved config; where it is tracked does not count.
        corpus_sha256: The hash of the corpus.
    """
    settings = config.to_dict()
    settings.pop("tracking")
    saved = config.corpus.split_path
    split = sha256_file(Path(saved)) if saved is not None and Path(saved).is_file() else None
    section = settings[config.family]
    backbone = backbone_content(section["backbone"]) if "backbone" in section else None
    start = section.get("pretrained")
    settings_of = folder_of(start) / SETTINGS if start else None
    page_reader = sha256_file(settings_of) if settings_of is not None and settings_of.is_file() else None
    libraries = {name: version for name, version in environment().items() if name.startswith("version.")}
    payload = [
        settings,
        corpus_sha256,
        split,
        auxiliary_sha256(config),
        topics_sha256(config),
        backbone,
        page_reader,
        code_sha256(),
        libraries,
        platform.python_version(),
        train.__version__,
    ]
    return sha256_json(payload)
