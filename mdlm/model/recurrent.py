"""What recurrent models have in common."""

from __future__ import annotations

from dataclasses import dataclass

from mdlm.model.base import ModelConfig, check_at_least, check_probability


@dataclass(frozen=True)
class RecurrentConfig(ModelConfig):
    """Hyper-parameters of a recurrent network.

    Attributes:
        embedding: Width of the learned vector of each state.
        hidden: Units per layer.
        layers: Stacked layers.
        dropout: Between layers while training; needs two layers or more to act.
    """

    embedding: int
    hidden: int
    layers: int
    dropout: float

    def __post_init__(self) -> None:
        check_at_least(1, embedding=self.embedding, hidden=self.hidden, layers=self.layers)
        check_probability(dropout=self.dropout)
        if self.dropout and self.layers == 1:
            raise ValueError(f"dropout ({self.dropout:g}) acts between layers, so layers (1) must be at least 2")
