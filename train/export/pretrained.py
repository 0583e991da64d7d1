"""The pretrained page reader as a bundle, made once on a machine: what labels pages before anything is trained."""

from __future__ import annotations

from pathlib import Path

import train.runtime
from train.common.console import waiting
from train.common.files import sha256_files, sha256_json
from train.corpus.composed.compose import compose
from train.export.bundle import requirements, write_bundle
from train.models.backbone_files import cache_folder
from train.models.pretrained import DEFAULT, SETTINGS, WEIGHTS, folder_of
from train.runtime.manifest import MANIFEST

PARITY_PAGES = 8


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
    if not (bundle / MANIFEST).is_file():
        # torch and transformers take seconds to import
        from train.models.encoder.family import EncoderFamily
        from train.models.encoder.page_reader import PageReader

        reader = PageReader.load(DEFAULT)
        with waiting("preparing the pretrained model, once on this machine"):
            sample = list(compose(seed=0, pages=PARITY_PAGES))
            family = EncoderFamily.of(reader)
            write_bundle(
                bundle, "encoder", reader.decoder, reader.calibration, lambda folder: family.write(folder, sample)
            )
    return bundle
