"""Probabilities that mean what they say: a temperature for each head, and when to say 'unsure'."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

_TINY = 1e-300


@dataclass(frozen=True)
class Calibration:
    """How a model's scores become probabilities (temperature scaling; Guo, Pleiss, Sun & Weinberger 2017, section 4.2).

    A temperature changes how sure an answer is and never which one is best.

    Args:
        role_temperature: Divides the logarithms of role scores; above 1 it makes them less sure.
        topic_temperature: The same for topics.
        thresholds: Role -> least confidence of a sure answer; None where none is sure. A role that is not in it is
            never unsure.
    """

    role_temperature: float = 1.0
    topic_temperature: float = 1.0
    thresholds: Mapping[str, float | None] = field(default_factory=dict)

    def roles(self, scores: np.ndarray) -> np.ndarray:
        """Calibrated role probabilities of scores `[n, 3]`; rows sum to 1."""
        return tempered(scores, self.role_temperature)

    def topics(self, scores: np.ndarray) -> np.ndarray:
        """Calibrated topic probabilities of scores `[topics]`."""
        return tempered(scores, self.topic_temperature)

    def unsure(self, role: str, confidence: float) -> bool:
        """Whether a prediction is below its role's threshold.

        Args:
            role: The predicted role.
            confidence: Its calibrated probability.
        """
        least = self.thresholds.get(role, 0.0)
        return least is None or confidence < least

    def to_json(self) -> dict[str, object]:
        """Plain values for the bundle's manifest."""
        return {
            "role_temperature": self.role_temperature,
            "topic_temperature": self.topic_temperature,
            "thresholds": dict(self.thresholds),
        }

    @classmethod
    def from_json(cls, value: Mapping[str, object] | None) -> Calibration:
        """Reads `to_json`'s answer; None is a model that was not calibrated. Older bundles hold 2.0 where no
        answer is sure."""
        if value is None:
            return cls()
        thresholds = {
            str(role): None if least is None or least > 1 else float(least)
            for role, least in dict(value["thresholds"]).items()  # type: ignore[call-overload]
        }
        return cls(float(value["role_temperature"]), float(value["topic_temperature"]), thresholds)  # type: ignore[arg-type]


def tempered(scores: np.ndarray, temperature: float) -> np.ndarray:
    """Probabilities raised to 1 / temperature and normalised (temperature scaling; Guo et al. 2017).

    Args:
        scores: Probabilities, `[…, classes]`.
        temperature: Above 1 flattens them, below 1 sharpens them; 1.0 returns them as they are.
    """
    if temperature == 1.0:
        return scores
    logits = np.log(np.maximum(scores, _TINY)) / temperature
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=-1, keepdims=True))
