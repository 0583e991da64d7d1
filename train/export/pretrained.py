"""The pretrained page reader as a bundle, made once on a machine: what labels pages before anything is trained."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import train.runtime
from train.common.console import waiting
from train.common.errors import InputError
from train.common.files import sha256_files, sha256_json
from train.common.lock import in_use
from train.corpus.composed.compose import compose
from train.export.bundle import requirements, write_bundle
from train.models.backbone_files import cache_folder
from train.models.pretrained import CARD, DEFAULT, SETTINGS, WEIGHTS, folder_of
from train.runtime import BundleError
from train.runtime.manifest import read_manifest

PARITY_PAGES = 8
WAIT_S = 300.0
"""For how long another process may be making it."""


def pretrained_bundle() -> Path:
    """The bundle of the pretrained page reader, in the cache beside Hugging Face's (`HF_HOME`). Where there is none of
    this version yet it is made, in some 20 seconds.

    Raises:
        InputError: The package came without its weights, or another backbone is installed.
    """
    weights, runtime = folder_of(DEFAULT), Path(train.runtime.__file__).parent
    content = [
        sha256_files([weights / WEIGHTS, weights / SETTINGS], weights),
        sha256_files(runtime.glob("*.py"), runtime),
        requirements("encoder"),
    ]
    bundle = cache_folder("newsparts-models") / sha256_json(content)[:16] / "bundle"
    if _whole(bundle):
        return bundle
    try:
        with in_use(bundle, wait_s=WAIT_S):
            if not _whole(bundle):  # another process may have made it meanwhile
                _make(bundle)
    except OSError as error:
        raise InputError(
            f"the pretrained model cannot be prepared: {error}",
            expected=f"a folder to write to, {bundle.parent}",
            remedy="set HF_HOME to a folder that you may write to",
            rule="no-cache",
        ) from None
    return bundle


def _whole(bundle: Path) -> bool:
    try:
        read_manifest(bundle)
    except BundleError:
        return False
    return True


def _make(bundle: Path) -> None:
    # torch and transformers take seconds to import
    from train.models.encoder.family import EncoderFamily
    from train.models.encoder.page_reader import PageReader

    reader = PageReader.load(DEFAULT)
    family = EncoderFamily.of(reader)
    sample = list(compose(seed=0, pages=PARITY_PAGES))

    def write(folder: Path) -> dict[str, Any]:
        shutil.copyfile(folder_of(DEFAULT) / CARD, folder / CARD)
        return family.write(folder, sample)

    with waiting("preparing the pretrained model, once on this machine"):
        write_bundle(bundle, "encoder", reader.decoder, reader.calibration, write)
