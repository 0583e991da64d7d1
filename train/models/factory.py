"""The family that a config names."""

from __future__ import annotations

from pathlib import Path

from train.common.signals import signals_wait
from train.config.schema import Config
from train.models.family import Family


def family_of(config: Config, work: Path) -> Family:
    """The family that `config` names, not fitted yet; `work` is the folder for what it keeps while it trains."""
    if config.family == "baseline":
        from train.models.baseline.family import BaselineFamily

        assert config.baseline is not None
        return BaselineFamily(config.baseline, config.seed)
    # torch and transformers take seconds to import
    with signals_wait():
        from train.models.encoder.family import EncoderFamily

    assert config.encoder is not None
    return EncoderFamily(config.encoder, config.seed, work)
