"""The upper half of the encoder: a network over the vectors of a whole page's segments."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn
from transformers import PreTrainedModel

from train.runtime.decoding import STATES
from train.runtime.encoder import COUNTED_NAMES

PROJECTED, NUMBERS_READ, HEAD = 128, 64, 128
IGNORED = -100
"""The label of what is not learnt from, as torch's losses know it."""


class PageNetwork(nn.Module):
    """Reads a page as a sequence of segments, in both directions.

    As BoilerNet does (Leonhardt, Anand & Khosla 2020), but over sentence vectors of plain text instead of words and tags. Vectors are
    standardised by the training segments, narrowed, joined with the page numbers and read by a bidirectional LSTM; a small head
    sees what the LSTM says and the segment itself. Topics are read from the vectors alone, by a head that is fitted before: what a story is
    about does not hang on its page, and a segment's form, which tells its role, stands in other layers than what it is about.

    Args:
        vector_width: Of the segments' vectors.
        width: Of the LSTM, each direction.
        depth: Layers of the LSTM.
        dropout: Before, between and after them.
        topics: How many; 0 leaves topics out.
        read_for_roles: The parts of a vector that roles are read from; topics are read from the whole.
    """

    mean: torch.Tensor
    deviation: torch.Tensor

    def __init__(
        self, vector_width: int, *, width: int, depth: int, dropout: float, topics: int, read_for_roles: Sequence[slice] = (slice(None),)
    ) -> None:
        super().__init__()
        self.read_for_roles = tuple(read_for_roles)
        self.register_buffer("mean", torch.zeros(vector_width))
        self.register_buffer("deviation", torch.ones(vector_width))
        self.narrow = nn.Linear(len(self._for_roles(self.mean)), PROJECTED)
        self.numbers_read = nn.Sequential(nn.Linear(len(COUNTED_NAMES), NUMBERS_READ), nn.GELU())
        joined = PROJECTED + NUMBERS_READ
        self.dropout = nn.Dropout(dropout)
        self.lstm = nn.LSTM(joined, width, depth, batch_first=True, bidirectional=True, dropout=dropout if depth > 1 else 0.0)
        self.head = nn.Sequential(nn.Linear(2 * width + joined, HEAD), nn.GELU(), nn.Dropout(dropout), nn.Linear(HEAD, len(STATES)))
        self.topic_head = nn.Linear(vector_width, topics) if topics else None

    def standardise_by(self, vectors: torch.Tensor) -> None:
        """Takes mean and deviation from training vectors `[segments, width]`."""
        self.mean.copy_(vectors.mean(dim=0))
        self.deviation.copy_(vectors.std(dim=0) + 1e-3)

    def forward(
        self, vectors: torch.Tensor, numbers: torch.Tensor, present: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Reads pages, or chunks of pages.

        Args:
            vectors: `[pages, segments, width]`.
            numbers: `[pages, segments, features]`.
            present: `[pages, segments, 1]` 0 where there is padding; None: none.

        Returns:
            State logits `[pages, segments, 4]` and topic logits `[pages, segments, topics]`.
        """
        vectors = (vectors - self.mean) / self.deviation
        joined = torch.cat([torch.tanh(self.narrow(self.dropout(self._for_roles(vectors)))), self.numbers_read(numbers)], dim=-1)
        if present is not None:
            joined = joined * present
        around = self.dropout(self.lstm(self.dropout(joined))[0])
        states = self.head(torch.cat([around, joined], dim=-1))
        return states, None if self.topic_head is None else self.topic_head(vectors)

    def _for_roles(self, vectors: torch.Tensor) -> torch.Tensor:
        return torch.cat([vectors[..., part] for part in self.read_for_roles], dim=-1)

    def set_topics(self, weights: torch.Tensor, biases: torch.Tensor) -> None:
        """Takes a head over vectors as they are, `[topics, width]` and `[topics]`, which training leaves alone; first standardise."""
        assert self.topic_head is not None, "there are topics"
        self.topic_head.requires_grad_(False)
        self.topic_head.weight.copy_(weights * self.deviation)
        self.topic_head.bias.copy_(biases + weights @ self.mean)


class MeanOfNetworks(nn.Module):
    """Networks that differ in their seed: the mean of their probabilities errs less than each (Lakshminarayanan et al. 2017)."""

    def __init__(self, networks: list[PageNetwork]) -> None:
        super().__init__()
        self.networks = nn.ModuleList(networks)
        self.vector_width = len(networks[0].mean)

    def forward(self, vectors: torch.Tensor, numbers: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor] | torch.Tensor:
        """State probabilities `[pages, segments, 4]`, and topic logits when there are topics."""
        answers = [network(vectors, numbers) for network in self.networks]
        states = torch.stack([states.softmax(dim=-1) for states, _ in answers]).mean(dim=0)
        topics = [topics for _, topics in answers if topics is not None]
        return (states, torch.stack(topics).mean(dim=0)) if topics else states


class SegmentVectors(nn.Module):
    """The lower half: the mean over a segment's tokens of what the backbone's last layer says, and some below it, one beside the other.

    Lower layers keep more of a text's form, upper ones tell what it is about (Jawahar, Sagot & Seddah 2019).

    Args:
        backbone: A Hugging Face model.
        lower: The layers below the last, counted from 1; their part of the vector comes first.
    """

    def __init__(self, backbone: PreTrainedModel, lower: Sequence[int] = ()) -> None:
        super().__init__()
        self.backbone = backbone
        self.lower = tuple(lower)
        self.width = int(backbone.config.hidden_size) * (len(self.lower) + 1)

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        """Vectors `[texts, width]` of token ids and mask `[texts, length]`."""
        read = self.backbone(input_ids=input_ids, attention_mask=attention_mask, output_hidden_states=bool(self.lower))
        # The last layer as the model gives it, normed where the architecture norms it.
        hidden = torch.cat([*(read.hidden_states[layer] for layer in self.lower), read.last_hidden_state], dim=-1)
        weight = attention_mask.unsqueeze(-1).to(hidden.dtype)
        means: torch.Tensor = (hidden * weight).sum(dim=1) / weight.sum(dim=1)
        return means
