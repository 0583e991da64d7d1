"""The packed page encoder as a torch module: a Hub backbone, a reading of page numbers, linear heads over segments."""

from __future__ import annotations

from typing import Any

import torch
from torch import distributed, nn
from transformers import AutoConfig, AutoModel, PreTrainedConfig, PreTrainedModel
from transformers.utils import ModelOutput

from train.runtime.reading import NUMBER_NAMES, ROLES, TOPIC_WORD_LIMIT

LOG_WORDS = NUMBER_NAMES.index("log_words")
IGNORED = -100


class PageEncoderConfig(PreTrainedConfig):
    """What the network is made of: the backbone's own config, the topics, the window plan."""

    model_type = "newsparts-page-encoder"

    def __init__(
        self, backbone: dict[str, Any] | None = None, topics: list[str] | None = None, topic_weight: float = 1.0, **more: Any
    ) -> None:
        self.backbone = backbone or {}
        self.topics = topics or []
        self.topic_weight = topic_weight
        super().__init__(**more)


class PageEncoder(PreTrainedModel):
    """Labels every segment of a window in one forward pass.

    Each token is computed once and each segment sees its neighbours. A segment is classified from the mean over its tokens,
    not from its marker alone: the default backbone was trained to be mean-pooled, and learns much faster so. At a marker,
    small numbers the window cannot show (place on the page, shape, likeness to the text around) are read by a small network
    and added to the marker's embedding, so that attention sees them, and to the mean, so that the heads learn from them at once.
    """

    config_class = PageEncoderConfig
    base_model_prefix = "backbone"

    def __init__(self, config: PageEncoderConfig, backbone: PreTrainedModel | None = None) -> None:
        super().__init__(config)
        if backbone is None:
            inner = dict(config.backbone)
            backbone = AutoModel.from_config(AutoConfig.for_model(inner.pop("model_type"), **inner))
        self.backbone = backbone
        width = backbone.config.hidden_size
        self.numbers_read = nn.Sequential(nn.Linear(len(NUMBER_NAMES), 64), nn.GELU())
        self.numbers_below = nn.Linear(64, width)
        self.numbers_above = nn.Linear(64, width)
        self.role_head = nn.Linear(width, len(ROLES))
        self.begins_head = nn.Linear(width, 1)
        self.topic_head = nn.Linear(width, len(config.topics)) if config.topics else None
        # A trained backbone must first read what it was trained on; the numbers' part at its input grows from nothing.
        nn.init.zeros_(self.numbers_below.weight)
        nn.init.zeros_(self.numbers_below.bias)
        self.post_init()

    def _init_weights(self, module: nn.Module) -> None:
        """Heads keep torch's own initialisation; the backbone comes trained."""

    def forward(
        self,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor,
        is_marker: torch.Tensor,
        numbers: torch.Tensor,
        role_labels: torch.Tensor | None = None,
        begins_labels: torch.Tensor | None = None,
        story_index: torch.Tensor | None = None,
        story_topics: torch.Tensor | None = None,
    ) -> ModelOutput:
        """Scores at every token; only those at markers mean something.

        Args:
            input_ids: `[batch, length]`.
            attention_mask: `[batch, length]`.
            is_marker: float `[batch, length]`.
            numbers: float `[batch, length, features]`.
            role_labels: `[batch, length]` role indices, -100 where there is no marker.
            begins_labels: `[batch, length]` 1 where a related story begins, 0 where it goes on, -100 elsewhere.
            story_index: `[batch, length]` numbers the stories of the batch, -1 where there is none.
            story_topics: `[stories]` topic indices, -100 where unknown.

        Returns:
            `role_logits` `[batch, length, 3]`, `begins_logits` `[batch, length]`, `topic_logits` `[batch, length, topics]`,
            and the `loss` when labels are given.
        """
        read = self.numbers_read(numbers)
        embedded = self.backbone.get_input_embeddings()(input_ids) + self.numbers_below(read) * is_marker.unsqueeze(-1)
        hidden = self.backbone(inputs_embeds=embedded, attention_mask=attention_mask).last_hidden_state
        hidden = segment_means(hidden, is_marker, attention_mask) + self.numbers_above(read)
        answer = ModelOutput(role_logits=self.role_head(hidden), begins_logits=self.begins_head(hidden).squeeze(-1))
        if self.topic_head is not None:
            answer["topic_logits"] = self.topic_head(hidden)
        if role_labels is not None:
            assert begins_labels is not None
            assert story_index is not None
            assert story_topics is not None
            answer = ModelOutput(loss=self._loss(answer, numbers, role_labels, begins_labels, story_index, story_topics), **answer)
        return answer

    def _loss(
        self,
        answer: ModelOutput,
        numbers: torch.Tensor,
        roles: torch.Tensor,
        begins: torch.Tensor,
        story_index: torch.Tensor,
        topics: torch.Tensor,
    ) -> torch.Tensor:
        """Means over what is labelled in the whole batch, all its devices together: a share of it alone may hold few labels, or none."""
        related = begins != IGNORED
        shares = shares_of_batch(torch.stack([(roles != IGNORED).sum(), related.sum(), (topics != IGNORED).sum()]))
        losses = [
            nn.functional.cross_entropy(answer.role_logits.flatten(0, 1), roles.flatten(), ignore_index=IGNORED, reduction="sum"),
            nn.functional.binary_cross_entropy_with_logits(
                answer.begins_logits[related], begins[related].to(answer.begins_logits.dtype), reduction="sum"
            ),
        ]
        if self.topic_head is not None:
            losses.append(self.config.topic_weight * self._topic_loss(answer.topic_logits, numbers, story_index, topics))
        return torch.stack([loss / share for loss, share in zip(losses, shares, strict=False)]).sum()

    @staticmethod
    def _topic_loss(logits: torch.Tensor, numbers: torch.Tensor, story_index: torch.Tensor, story_topics: torch.Tensor) -> torch.Tensor:
        """Cross-entropy of each story's mean logits, the very mean that is taken when pages are labelled."""
        where = story_index >= 0
        means = story_means(logits[where], numbers[where], story_index[where], len(story_topics))
        return nn.functional.cross_entropy(means, story_topics, ignore_index=IGNORED, reduction="sum")


def shares_of_batch(counts: torch.Tensor) -> torch.Tensor:
    """What sums over one device's share of a batch are divided by, so that their mean over devices is the mean over the batch.

    Args:
        counts: Of labels in this process's share, `[kinds]`.

    Returns:
        float `[kinds]`, above 0: counts of the whole batch, over the number of devices.
    """
    if not distributed.is_initialized():
        return counts.clamp(min=1)
    whole = counts.clone()
    distributed.all_reduce(whole)
    return whole.clamp(min=1) / distributed.get_world_size()


def story_means(logits: torch.Tensor, numbers: torch.Tensor, story_index: torch.Tensor, stories: int) -> torch.Tensor:
    """Mean logits of each story, segments weighted by their words as `Labeler` does.

    Args:
        logits: Segments' `[n, topics]`.
        numbers: Segments' `[n, features]`.
        story_index: The story each is of, `[n]`.
        stories: How many.

    Returns:
        `[stories, topics]`.
    """
    words = torch.expm1(6 * numbers[:, LOG_WORDS]).clamp(1, TOPIC_WORD_LIMIT).to(logits.dtype)
    sums = logits.new_zeros(stories, logits.shape[-1]).index_add(0, story_index, logits * words.unsqueeze(1))
    return sums / logits.new_zeros(stories).index_add(0, story_index, words).clamp(min=1).unsqueeze(1)


def segment_means(hidden: torch.Tensor, is_marker: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
    """Mean of the hidden states of each token's own segment, marker included: `[batch, length, width]`.

    As one matrix product with the "same segment" matrix, so that it exports to ONNX with dynamic shapes.
    """
    segment = is_marker.cumsum(dim=1) * attention_mask - (1 - attention_mask.to(is_marker.dtype))
    same = (segment.unsqueeze(2) == segment.unsqueeze(1)).to(hidden.dtype)
    return (same @ hidden) / same.sum(dim=2, keepdim=True)


AutoConfig.register(PageEncoderConfig.model_type, PageEncoderConfig)
