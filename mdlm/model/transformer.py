"""A small causal Transformer: the settings of `mdlm.model.transformer_model`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from mdlm.errors import check_at_least
from mdlm.model.config import ATTENTION_LEARNING_RATE, NeuralConfig, check_attention

if TYPE_CHECKING:
    from mdlm.model.transformer_model import Transformer


@dataclass(frozen=True)
class TransformerConfig(NeuralConfig):
    """Hyper-parameters of `Transformer`.

    Attributes:
        width: Size of each frame's vector, D.
        heads: Attention heads; ``width / heads`` must be even (rotary positions turn pairs).
        layers: Blocks of attention and feed-forward network.
        window: Frames a layer attends to, its own among them; the receptive field is ``layers`` windows.
        dropout: Share of frames hidden from others, and of what attention and feed-forward add, while training.
    """

    learning_rate: ClassVar[float] = ATTENTION_LEARNING_RATE

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
        from mdlm.model.transformer_model import Transformer

        return Transformer(self, n_states)
