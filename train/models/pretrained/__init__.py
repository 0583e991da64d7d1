"""The pretrained page reader that comes with the package: its weights, their settings and MODEL_CARD.md."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from train.common.files import read_json
from train.common.generation import finished_run

DEFAULT = "default"
"""The name, in `encoder.pretrained`, of the page reader that comes with the package."""
WEIGHTS, SETTINGS, CARD = "page_reader.safetensors", "page_reader.json", "MODEL_CARD.md"


def folder_of(name: str) -> Path:
    """The folder of a page reader by its name in `encoder.pretrained`: that of the package, or of a finished run."""
    return Path(__file__).parent if name == DEFAULT else finished_run(Path(name))


def sites_of(name: str | None) -> frozenset[str]:
    """The sites that a page reader has learnt from or was chosen on; none without a page reader.

    Args:
        name: Its name in `encoder.pretrained`.

    Raises:
        InputError: There is no page reader there.
    """
    return frozenset() if name is None else frozenset(read_json(folder_of(name) / SETTINGS)["sites"])


def warnings_of(name: str | None, sites: Iterable[str]) -> list[str]:
    """What to warn of before pages are scored: sites that the page reader has learnt from are not unseen.

    Args:
        name: Its name in `encoder.pretrained`.
        sites: The sites of the pages that are scored.
    """
    tested = set(sites)
    known = tested & sites_of(name)
    if not known:
        return []
    return [
        f"{len(known)} of the {len(tested)} sites that are scored were learnt from by the pretrained page reader, such "
        f"as {min(known)}: their scores flatter (encoder.pretrained)"
    ]
