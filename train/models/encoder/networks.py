"""The upper half of the encoder: a network over the vectors of a whole page's segments."""

from __future__ import annotations

import torch
from torch import nn
from transformers import PreTrainedModel

from train.models.story_topics import TopicWeights
from train.runtime.decoding import TAGS
from train.runtime.encoder import COUNTED_NAMES

PROJECTED, NUMBERS_READ, HEAD = 128, 64, 128
BLOCK = 96
"""The number of segments that a transformer's layers read at once."""
IGNORED = -100
"""The label of what is not learnt from, as torch's losses know it."""


class PageNetwork(nn.Module):
    """Reads a page as a sequence of segments, in both directions.

    As BoilerNet does (Leonhardt, Anand & Khosla 2020), but over sentence vectors of plain text instead of words and
    tags. Vectors are standardised by the training segments, narrowed, joined with the page numbers and read by a
    bidirectional LSTM; a small head sees what the LSTM says and the segment itself.

    Layers of a pretrained transformer may read the page too, segments in the place of tokens: what they say is added
    before the head's nonlinearity, from nothing at first. They see a page block by block, so that their time grows with
    its length and not with its square.

    Args:
        vector_width: The width of the segments' vectors.
        width: The width of the LSTM, each direction.
        depth: The number of layers of the LSTM.
        dropout: The dropout before, between and after these layers.
        upper: Pretrained layers that take vectors in the place of embedded tokens (`backbone.load_upper`); None: none.
    """

    mean: torch.Tensor
    deviation: torch.Tensor

    def __init__(
        self, vector_width: int, *, width: int, depth: int, dropout: float, upper: PreTrainedModel | None = None
    ) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(vector_width))
        self.register_buffer("deviation", torch.ones(vector_width))
        self.narrow = nn.Linear(vector_width, PROJECTED)
        self.numbers_read = nn.Sequential(nn.Linear(len(COUNTED_NAMES), NUMBERS_READ), nn.GELU())
        joined = PROJECTED + NUMBERS_READ
        self.dropout = nn.Dropout(dropout)
        self.lstm = nn.LSTM(
            joined, width, depth, batch_first=True, bidirectional=True, dropout=dropout if depth > 1 else 0.0
        )
        self.hidden = nn.Linear(2 * width + joined, HEAD)
        self.head = nn.Sequential(nn.GELU(), nn.Dropout(dropout), nn.Linear(HEAD, len(TAGS)))
        self.upper = upper
        self.asks_upper = False
        if upper is not None:
            self.numbers_for_upper = nn.Linear(NUMBERS_READ, vector_width)
            self.upper_narrowed = nn.Linear(vector_width, PROJECTED)
            self.hidden_of_upper = nn.Linear(PROJECTED, HEAD, bias=False)
            for start in (self.numbers_for_upper.weight, self.numbers_for_upper.bias, self.hidden_of_upper.weight):
                nn.init.zeros_(start)

    def standardise_by(self, vectors: torch.Tensor) -> None:
        """Takes the mean and the deviation from the `vectors` of training segments, `[segments, width]`."""
        self.mean.copy_(vectors.mean(dim=0))
        self.deviation.copy_(vectors.std(dim=0) + 1e-3)

    def forward(
        self, vectors: torch.Tensor, numbers: torch.Tensor, present: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Reads pages, or chunks of pages.

        Args:
            vectors: `[pages, segments, width]`.
            numbers: `[pages, segments, features]`.
            present: `[pages, segments, 1]` 0 where there is padding; None: none.

        Returns:
            State logits `[pages, segments, 4]`.
        """
        numbers_read = self.numbers_read(numbers)
        standardised = (vectors - self.mean) / self.deviation
        joined = torch.cat([torch.tanh(self.narrow(self.dropout(standardised))), numbers_read], dim=-1)
        if present is not None:
            joined = joined * present
        around = self.dropout(self.lstm(self.dropout(joined))[0])
        hidden = self.hidden(torch.cat([around, joined], dim=-1))
        if self.asks_upper:
            read = self._read_above(vectors + self.numbers_for_upper(numbers_read), present)
            hidden = hidden + self.hidden_of_upper(torch.tanh(self.upper_narrowed(self.dropout(read))))
        states: torch.Tensor = self.head(hidden)
        return states

    def _read_above(self, vectors: torch.Tensor, present: torch.Tensor | None) -> torch.Tensor:
        assert self.upper is not None, "there are layers above"
        pages, length, width = vectors.shape
        mask = torch.ones_like(vectors[..., 0]) if present is None else present.squeeze(-1)
        if length <= BLOCK:
            return torch.as_tensor(self.upper(inputs_embeds=vectors, attention_mask=mask).last_hidden_state)
        missing = (-length) % BLOCK
        blocks = nn.functional.pad(vectors, (0, 0, 0, missing)).reshape(-1, BLOCK, width)
        mask = nn.functional.pad(mask, (0, missing)).reshape(-1, BLOCK)
        read = self.upper(inputs_embeds=blocks, attention_mask=mask).last_hidden_state
        return torch.as_tensor(read.reshape(pages, length + missing, width)[:, :length])


class PageProbabilities(nn.Module):
    """What is exported: a page network's state probabilities `[pages, segments, 4]` in the place of logits."""

    def __init__(self, network: PageNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, vectors: torch.Tensor, numbers: torch.Tensor) -> torch.Tensor:
        """Reads `vectors` and `numbers` as `PageNetwork.forward` does; probabilities `[pages, segments, 4]`."""
        return torch.softmax(self.network(vectors, numbers), dim=-1)


class SegmentReader(nn.Module):
    """The lower half: the mean over a segment's tokens of what the backbone's last layer says, and what that and the
    tokens tell of its topic.

    What a story is about does not hang on its page.

    Args:
        backbone: A Hugging Face model, with the layers that read segments alone.
        topics: The fitted weights of topics; None leaves topics out.
    """

    over_vectors: torch.Tensor
    over_tokens: torch.Tensor
    biases: torch.Tensor

    def __init__(self, backbone: PreTrainedModel, topics: TopicWeights | None = None) -> None:
        super().__init__()
        self.backbone = backbone
        self.width = int(backbone.config.hidden_size)
        self.vocabulary = int(backbone.config.vocab_size)
        if topics is not None:
            for name in ("over_vectors", "over_tokens", "biases"):
                self.register_buffer(name, torch.from_numpy(getattr(topics, name)))
        self.scores_topics = topics is not None

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        """Vectors of texts, and with topics their scores beside them.

        Args:
            input_ids: The token ids, `[texts, length]`.
            attention_mask: 1 where there is a token, else 0, `[texts, length]`.

        Returns:
            `[texts, width]`, or with topics `[texts, width + topics]`.
        """
        hidden = self.backbone(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        weight = attention_mask.unsqueeze(-1).to(hidden.dtype)
        vectors: torch.Tensor = (hidden * weight).sum(dim=1) / weight.sum(dim=1)
        if not self.scores_topics:
            return vectors
        # The tokens that open and close a text, and padding, have no weights.
        token_weights = nn.functional.embedding(input_ids, self.over_tokens) * weight
        length = (weight.sum(dim=1) - 2).clamp(min=1)
        topics = vectors @ self.over_vectors.T + token_weights.sum(dim=1) / length.sqrt() + self.biases
        return torch.cat([vectors, topics], dim=-1)
