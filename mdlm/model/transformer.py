"""A small causal Transformer: pre-norm, rotary positions, attention over a fixed window of frames."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor, nn

from mdlm.model.attention import Block, Frames, check_attention
from mdlm.model.banded import BandedModel
from mdlm.model.base import check_at_least, full_precision
from mdlm.model.network import NeuralConfig, output_layer


@dataclass(frozen=True)
class TransformerConfig(NeuralConfig):
    """Hyper-parameters of `Transformer`.

    Attributes:
        width: Size of each frame's vector, D.
        heads: Attention heads; ``width / heads`` must be even (rotary positions turn pairs).
        layers: Blocks of attention and feed-forward network.
        window: Frames a layer attends to, its own among them; the receptive field is ``layers`` windows.
        dropout: On attention and both block outputs while training.
    """

    width: int
    heads: int
    layers: int
    window: int
    dropout: float

    def __post_init__(self) -> None:
        super().__post_init__()
        check_attention(self.width, self.heads, self.window, self.dropout)
        check_at_least(1, layers=self.layers)

    @property
    def reach(self) -> int:
        """The attention window."""
        return self.window

    def build(self, n_states: int) -> Transformer:
        """A Transformer over ``n_states`` states."""
        return Transformer(self, n_states)


class Transformer(BandedModel):
    """Decoder-only Transformer."""

    def __init__(self, config: TransformerConfig, n_states: int) -> None:
        super().__init__(config, n_states, config.layers, config.width, config.heads, config.window)
        self.config = config
        self.embedding = nn.Embedding(n_states, config.width)
        self.blocks = nn.ModuleList(Block(config.width, config.heads, config.dropout) for _ in range(config.layers))
        self.norm = nn.LayerNorm(config.width)
        self.head = output_layer(config.width, n_states, config.anchor)

    def logits(self, tokens_BT: Tensor, frames: Sequence[Frames]) -> Tensor:
        """See `BandedModel.logits`; one attention per block."""
        x_BTD = self.embedding(tokens_BT)
        for block, seen in zip(self.blocks, frames, strict=True):
            x_BTD = block(x_BTD, seen)
        return full_precision(self.head, self.norm(x_BTD))
