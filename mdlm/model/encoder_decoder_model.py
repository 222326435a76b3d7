"""An encoder-decoder Transformer made causal: the decoder attends to an encoder that has not seen the future either."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from mdlm.model.attention import Block, CrossAttention, Frames
from mdlm.model.banded import BandedModel
from mdlm.model.encoder_decoder import EncoderDecoderConfig
from mdlm.model.network import output_layer


class EncoderDecoder(BandedModel):
    """The form of Vaswani et al., with source and target the same sequence, as Zeng et al. use it.

    Frame t of the decoder sees encoder outputs of the frames up to t within the window, and each of those has seen
    frames up to its own only: what the encoder makes of a frame never changes later, so it can be kept.

    Source: Vaswani et al., arXiv 1706.03762 (2017); Zeng, Cao, Huang & Yao, arXiv 2107.06573 (2021).
    """

    def __init__(self, config: EncoderDecoderConfig, n_states: int) -> None:
        n_attentions = config.encoder_layers + 2 * config.decoder_layers
        super().__init__(config, n_states, n_attentions, config.width, config.heads, config.window, config.dropout)
        self.config = config
        sizes = config.width, config.heads, config.dropout
        self.embedding = nn.Embedding(n_states, config.width)
        self.encoder = nn.ModuleList(Block(*sizes) for _ in range(config.encoder_layers))
        self.encoder_norm = nn.LayerNorm(config.width)
        self.decoder = nn.ModuleList(_DecoderBlock(*sizes) for _ in range(config.decoder_layers))
        self.norm = nn.LayerNorm(config.width)
        self.head = output_layer(config.width, n_states, config.anchor)

    def features(self, tokens_BT: Tensor, frames: Sequence[Frames]) -> Tensor:
        """See `BandedModel.features`; attentions of the encoder, then of the decoder to itself, then to the encoder."""
        n_encoder, n_decoder = len(self.encoder), len(self.decoder)
        own, across = frames[n_encoder:-n_decoder], frames[-n_decoder:]
        source_BTD = x_BTD = self.embedding(tokens_BT)
        for block, seen in zip(self.encoder, frames[:n_encoder], strict=True):
            source_BTD = block(source_BTD, seen)
        source_BTD = self.encoder_norm(source_BTD)
        for block, seen, seen_across in zip(self.decoder, own, across, strict=True):
            x_BTD = block(x_BTD, source_BTD, seen, seen_across)
        return self.norm(x_BTD)  # type: ignore[no-any-return]

    def looks_ahead(self) -> tuple[bool, ...]:
        """With the published defect, while training: the encoder and every attention to it."""
        ahead = self.config.encoder_sees_target and self.training
        return (ahead,) * len(self.encoder) + (False,) * len(self.decoder) + (ahead,) * len(self.decoder)


class _DecoderBlock(nn.Module):
    """Self-attention, attention to the encoder's output, feed-forward network."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.block = Block(width, heads, dropout)
        self.cross = CrossAttention(width, heads, dropout)

    def forward(self, x_BTD: Tensor, source_BTD: Tensor, seen: Frames, seen_across: Frames) -> Tensor:
        x_BTD = self.block.attend(x_BTD, seen)
        x_BTD = self.cross(x_BTD, source_BTD, seen_across)
        return x_BTD + self.block.feed_forward(x_BTD)  # type: ignore[no-any-return]
