"""What trained networks have in common: the anchor that their logits may be residuals over."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, get_args

from torch import nn

from mdlm.model.base import ModelConfig

Anchor = Literal["none", "markov"]
"""What a network's logits start from: nothing, or the logarithms of a counted chain."""


@dataclass(frozen=True)
class NeuralConfig(ModelConfig):
    """The hyper-parameters of a network.

    Attributes:
        anchor: ``markov``: the logits are the logarithms of the Markov chain counted from the training tokens, plus
            what the network makes of the history. It starts as that chain, its output layer being zero, and learns
            what the past adds. The table is dense: V x V in single precision, 16 MB for 2000 tokens. ``none``: the
            network learns everything.
    """

    anchor: Anchor = field(default="none", kw_only=True)

    def __post_init__(self) -> None:
        if self.anchor not in get_args(Anchor):
            raise ValueError(f"anchor ({self.anchor}) must be one of {', '.join(get_args(Anchor))}")

    @property
    def anchored(self) -> bool:
        """See `ModelConfig.anchored`."""
        return self.anchor == "markov"


def output_layer(width: int, n_states: int, anchor: Anchor) -> nn.Linear:
    """The layer that gives the logits; zero at first where they are residuals over an anchor."""
    layer = nn.Linear(width, n_states)
    if anchor != "none":
        nn.init.zeros_(layer.weight)
        nn.init.zeros_(layer.bias)
    return layer
