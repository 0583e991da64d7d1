"""From scores of single segments to one consistent reading of the page.

A page is read as a chain over four states: `main`, `boilerplate`, `related-begins`, `related-goes-on`. The local
scores of a family are combined with the transitions seen in training pages and the posterior of each state is taken by
the forward-backward algorithm (Rabiner 1989, section III); the role with the highest posterior wins, which minimises
the expected number of wrong segments, and keeps `scores` and `role` of the answer in agreement.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .text import ROLES

TAGS = ("main", "boilerplate", "related-begins", "related-goes-on")
MAIN, BOILERPLATE, B_RELATED, I_RELATED = range(4)
_ROLE_OF_STATE = np.array(
    [ROLES.index("main"), ROLES.index("boilerplate"), ROLES.index("related"), ROLES.index("related")]
)
_TINY = 1e-9


def tags_of(roles: Sequence[str], stories: Sequence[int | None]) -> np.ndarray:
    """The chain's states of a labelled page, `[n]`; a related segment begins a story when its number is new on the
    page.

    Args:
        roles: The role of each segment.
        stories: The story number of each segment, None for boilerplate.
    """
    states = np.empty(len(roles), dtype=np.int64)
    seen: set[int | None] = set()
    for i, role in enumerate(roles):
        if role == "main":
            states[i] = MAIN
        elif role == "boilerplate":
            states[i] = BOILERPLATE
        else:
            states[i] = I_RELATED if stories[i] in seen else B_RELATED
            seen.add(stories[i])
    return states


@dataclass(frozen=True)
class Decoder:
    """Page decoder.

    Args:
        log_start: `[4]` log probability of the first segment's state.
        log_transition: `[4, 4]` log probability of the next state given the present one.
        log_prior: `[4]` log share of each state in the training pages.
        weight: How much the chain counts; 0 reads every segment alone.
        prior_weight: How much of the prior is divided out of the local scores before the chain adds its own.
    """

    log_start: np.ndarray
    log_transition: np.ndarray
    log_prior: np.ndarray
    weight: float = 1.0
    prior_weight: float = 0.5

    @classmethod
    def from_tags(cls, pages: Sequence[np.ndarray], *, weight: float = 1.0, prior_weight: float = 0.5) -> Decoder:
        """Counts starts and transitions in labelled pages, with add-one-half smoothing.

        Args:
            pages: The states of each labelled page, as `tags_of` returns them.
            weight: How much the chain counts; 0 reads every segment alone.
            prior_weight: How much of the prior is divided out of the local scores.
        """
        start, transition, prior = np.full(4, 0.5), np.full((4, 4), 0.5), np.full(4, 0.5)
        for states in pages:
            if len(states):
                start[states[0]] += 1
                np.add.at(transition, (states[:-1], states[1:]), 1)
                np.add.at(prior, states, 1)
        return cls(
            np.log(start / start.sum()),
            np.log(transition / transition.sum(axis=1, keepdims=True)),
            np.log(prior / prior.sum()),
            weight,
            prior_weight,
        )

    def posterior(self, probabilities: np.ndarray) -> np.ndarray:
        """Posterior of the states of one page.

        Args:
            probabilities: `[n, 4]` local state probabilities.

        Returns:
            `[n, 4]`, rows sum to 1.
        """
        n = len(probabilities)
        local = np.log(np.clip(probabilities.astype(np.float64), _TINY, 1.0))
        if n == 0 or self.weight == 0:
            return _normalised(probabilities.astype(np.float64))
        local -= self.weight * self.prior_weight * self.log_prior
        # Scaled forward-backward in probability space: one small matrix product a segment.
        emission = np.exp(local - local.max(axis=1, keepdims=True))
        transition = np.exp(self.weight * self.log_transition)
        forward, backward = np.empty((n, 4)), np.ones((n, 4))
        row = np.exp(self.weight * self.log_start) * emission[0]
        forward[0] = row / row.sum()
        for i in range(1, n):
            row = (forward[i - 1] @ transition) * emission[i]
            forward[i] = row / row.sum()
        for i in range(n - 2, -1, -1):
            row = transition @ (emission[i + 1] * backward[i + 1])
            backward[i] = row / row.sum()
        return _normalised(forward * backward)

    def to_json(self) -> dict[str, object]:
        """Plain numbers for the bundle's manifest."""
        return {
            "states": list(TAGS),
            "log_start": self.log_start.tolist(),
            "log_transition": self.log_transition.tolist(),
            "log_prior": self.log_prior.tolist(),
            "weight": self.weight,
            "prior_weight": self.prior_weight,
        }

    @classmethod
    def from_json(cls, value: dict[str, object]) -> Decoder:
        """Reads `to_json`'s answer; refuses another order of states."""
        if value.get("states") != list(TAGS):
            raise ValueError(f"decoder states are {value.get('states')}, this runtime knows {list(TAGS)}")
        arrays = {k: np.array(value[k], dtype=np.float64) for k in ("log_start", "log_transition", "log_prior")}
        return cls(**arrays, weight=float(value["weight"]), prior_weight=float(value["prior_weight"]))  # type: ignore[arg-type]


def _normalised(rows: np.ndarray) -> np.ndarray:
    return np.asarray(rows / np.maximum(rows.sum(axis=1, keepdims=True), _TINY))


def role_scores(posterior: np.ndarray) -> np.ndarray:
    """Sums the states' posteriors `[n, 4]` into role scores `[n, 3]`, in the order of ROLES."""
    scores = np.zeros((len(posterior), len(ROLES)))
    for state, role in enumerate(_ROLE_OF_STATE):
        scores[:, role] += posterior[:, state]
    return scores


def group_segments(posterior: np.ndarray) -> tuple[np.ndarray, list[int | None]]:
    """Roles and story numbers of one page.

    Story 0 is the main story; related items are numbered 1, 2, … in page order. A related segment starts a new story
    when none is open or its `begins` posterior is the higher one; else it goes on with the last, also across
    boilerplate.

    Returns:
        `[n]` role indices, and n story numbers (None for boilerplate).
    """
    roles = role_scores(posterior).argmax(axis=1)
    stories: list[int | None] = []
    last = 0
    for i, role in enumerate(roles):
        if ROLES[role] == "main":
            stories.append(0)
        elif ROLES[role] == "boilerplate":
            stories.append(None)
        else:
            if last == 0 or posterior[i, B_RELATED] >= posterior[i, I_RELATED]:
                last += 1
            stories.append(last)
    return roles, stories


def softmax(logits: np.ndarray) -> np.ndarray:
    """Softmax over the last axis."""
    shifted = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return np.asarray(shifted / shifted.sum(axis=-1, keepdims=True))
