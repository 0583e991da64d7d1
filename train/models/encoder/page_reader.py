"""A page network that has learnt, as a folder of weights: what another training starts from (`encoder.pretrained`), and
what labels pages right after the installation.

The backbone's lower layers, which read segments, are not in it: they come with the backbone. Matrices of the layers
above them are stored with 8 bits, a scale a row; everything else with 16.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from train.common.errors import InputError
from train.common.files import read_json, sha256_file, write_json, written_aside
from train.config.schema import EncoderConfig
from train.models.backbone_files import backbone_content
from train.models.encoder.networks import PageNetwork
from train.models.pretrained import SETTINGS, WEIGHTS, folder_of
from train.runtime.calibration import Calibration
from train.runtime.decoding import Decoder

SHAPE = ("layers", "head_tokens", "tail_tokens", "width", "depth")
"""The settings of `encoder` that weights fit to, beside the backbone's content. Layers above those that read segments
(`page_layers`) are taken over where there are as many, and start as the backbone has them where there were none."""
SCALE = ".scale"


@dataclass(frozen=True)
class PageReader:
    """A trained page network and what its validation pages chose.

    Args:
        tensors: The network's state.
        config: The section `encoder` that it was trained with.
        backbone: What names the content of the backbone that it was trained on.
        decoder: Its decoder.
        calibration: Its temperatures and thresholds.
        sites: The sites of the pages it was trained or chosen on.
    """

    tensors: Mapping[str, torch.Tensor]
    config: EncoderConfig
    backbone: str
    decoder: Decoder
    calibration: Calibration
    sites: frozenset[str]

    def save(self, folder: Path) -> None:
        """Writes the two files, the settings last: a folder without them holds no page reader."""
        (folder / SETTINGS).unlink(missing_ok=True)
        with written_aside(folder / WEIGHTS) as aside:
            save_file(_packed(self.tensors), aside)
        settings = {
            "weights_sha256": sha256_file(folder / WEIGHTS),
            "encoder": asdict(self.config),
            "backbone": self.backbone,
            "decoder": self.decoder.to_json(),
            "calibration": self.calibration.to_json(),
            "sites": sorted(self.sites),
        }
        write_json(folder / SETTINGS, settings)

    @classmethod
    def load(cls, name: str) -> PageReader:
        """Reads a page reader.

        Args:
            name: `default`, or a folder that `save` wrote: that of a finished run of the encoder.

        Raises:
            InputError: There is none, or it is broken.
        """
        folder = folder_of(name)
        if not (folder / SETTINGS).is_file():
            raise _unusable("no page reader there", folder)
        try:
            settings = read_json(folder / SETTINGS)
            if sha256_file(folder / WEIGHTS) != settings["weights_sha256"]:
                raise ValueError(f"{WEIGHTS} is not the one that was written")
            return cls(
                _unpacked(load_file(folder / WEIGHTS)),
                EncoderConfig(**settings["encoder"]),
                settings["backbone"],
                Decoder.from_json(settings["decoder"]),
                Calibration.from_json(settings["calibration"]),
                frozenset(settings["sites"]),
            )
        except (InputError, SafetensorError, KeyError, TypeError, ValueError, OSError) as error:
            raise _unusable(f"a broken page reader: {error}", folder) from None

    def start(self, network: PageNetwork, config: EncoderConfig) -> None:
        """Puts the weights into a network.

        Args:
            network: A page network of the config's shape.
            config: The section `encoder`.

        Raises:
            InputError: The config asks for another shape or backbone; its key is named.
        """
        for key in SHAPE:
            own, wanted = getattr(self.config, key), getattr(config, key)
            if own != wanted:
                raise InputError(
                    f"encoder.{key} is {wanted}",
                    expected=f"{own}, as the page reader that training starts from has it",
                    remedy=f"set encoder.{key} to {own}, or encoder.pretrained to null to train from nothing",
                    rule="bad-config",
                )
        if backbone_content(config.backbone) != self.backbone:
            raise InputError(
                f"the backbone {config.backbone!r} is another one than the page reader was trained on",
                expected=self.config.backbone,
                remedy=f"set encoder.backbone to {self.config.backbone}, or encoder.pretrained to null to train from "
                "nothing",
                rule="bad-config",
            )
        same = self.config.page_layers == config.page_layers
        if self.config.page_layers and not same:
            raise InputError(
                f"encoder.page_layers is {config.page_layers}",
                expected=f"{self.config.page_layers}, as the page reader that training starts from has it",
                remedy=f"set it to {self.config.page_layers}, or encoder.pretrained to default or null",
                rule="bad-config",
            )
        try:
            network.load_state_dict(dict(self.tensors) if same else {**network.state_dict(), **self.tensors})
        except RuntimeError as error:
            raise _unusable(f"a page reader of other code: {str(error).splitlines()[-1].strip()}") from None
        network.asks_upper = same and network.upper is not None


def _unusable(what: str, folder: Path | None = None) -> InputError:
    return InputError(
        what,
        expected=f"{WEIGHTS} and {SETTINGS}, as a finished run of today's encoder leaves them",
        remedy="set encoder.pretrained to the output folder of such a run, to default, or to null",
        path=folder,
        rule="no-page-reader",
    )


def _packed(tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Tensors in 8 and 16 bits: a weight is its int8 value times the scale of its row."""
    packed: dict[str, torch.Tensor] = {}
    for name, tensor in tensors.items():
        values = tensor.detach().cpu().float()
        if name.startswith("upper.") and values.dim() == 2:
            scale = values.abs().amax(dim=1, keepdim=True).clamp(min=1e-12) / 127
            packed[name] = torch.round(values / scale).to(torch.int8)
            packed[name + SCALE] = scale
        else:
            packed[name] = values.half().contiguous() if tensor.is_floating_point() else tensor.cpu()
    return packed


def _unpacked(packed: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """What `_packed` was given, but for rounding."""
    return {
        name: tensor.float() * packed[name + SCALE] if name + SCALE in packed else _full(tensor)
        for name, tensor in packed.items()
        if not name.endswith(SCALE)
    }


def _full(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.float() if tensor.is_floating_point() else tensor
