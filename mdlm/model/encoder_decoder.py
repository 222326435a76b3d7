"""A causal encoder-decoder Transformer: the settings of `mdlm.model.encoder_decoder_model`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from mdlm.errors import check_at_least
from mdlm.model.config import ATTENTION_LEARNING_RATE, NeuralConfig, check_attention

if TYPE_CHECKING:
    from mdlm.model.encoder_decoder_model import EncoderDecoder


@dataclass(frozen=True)
class EncoderDecoderConfig(NeuralConfig):
    """Hyper-parameters of `EncoderDecoder`.

    Attributes:
        width: Size of each frame's vector, D.
        heads: Attention heads; ``width / heads`` must be even (rotary positions turn pairs).
        encoder_layers: Blocks of self-attention and feed-forward network.
        decoder_layers: Blocks with attention to the encoder's output between the two.
        window: Frames each attention sees, its own among them; the receptive field is
            ``encoder_layers + decoder_layers`` windows.
        dropout: Share of frames hidden from others, and of what attention and feed-forward add, while training.
        encoder_sees_target: A published defect, to study its effect: while training, encoder and attention to it
            look ahead over the whole chunk, so that the decoder reads the next token off its source. The training
            loss then means nothing. Validation and sampling, where no future exists, stay causal.
    """

    learning_rate: ClassVar[float] = ATTENTION_LEARNING_RATE

    width: int
    heads: int
    encoder_layers: int
    decoder_layers: int
    window: int
    dropout: float
    encoder_sees_target: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        check_attention(self.width, self.heads, self.window, self.dropout)
        check_at_least(1, encoder_layers=self.encoder_layers, decoder_layers=self.decoder_layers)

    @property
    def reach(self) -> int:
        """The attention window."""
        return self.window

    def build(self, n_states: int) -> EncoderDecoder:
        """An encoder-decoder over ``n_states`` states."""
        from mdlm.model.encoder_decoder_model import EncoderDecoder

        return EncoderDecoder(self, n_states)
