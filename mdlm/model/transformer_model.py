"""A small causal Transformer: pre-norm, rotary positions, attention over a fixed window of frames."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from mdlm.model.attention import Block, Frames
from mdlm.model.banded import BandedModel
from mdlm.model.network import output_layer
from mdlm.model.transformer import TransformerConfig


class Transformer(BandedModel):
    """Decoder-only Transformer."""

    def __init__(self, config: TransformerConfig, n_states: int) -> None:
        super().__init__(config, n_states, config.layers, config.width, config.heads, config.window, config.dropout)
        self.config = config
        self.embedding = nn.Embedding(n_states, config.width)
        self.blocks = nn.ModuleList(Block(config.width, config.heads, config.dropout) for _ in range(config.layers))
        self.norm = nn.LayerNorm(config.width)
        self.head = output_layer(config.width, n_states, config.anchor)

    def features(self, tokens_BT: Tensor, frames: Sequence[Frames]) -> Tensor:
        """See `BandedModel.features`; one attention per block."""
        x_BTD = self.embedding(tokens_BT)
        for block, seen in zip(self.blocks, frames, strict=True):
            x_BTD = block(x_BTD, seen)
        return self.norm(x_BTD)  # type: ignore[no-any-return]
