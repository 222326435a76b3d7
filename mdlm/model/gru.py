"""Gated recurrent units: embedding, stacked GRU layers, linear head."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn

from mdlm.model.base import (
    GatedTables,
    LanguageModel,
    State,
    full_precision,
)
from mdlm.model.network import output_layer
from mdlm.model.recurrent import RecurrentConfig, gated_tables


@dataclass(frozen=True)
class GRUConfig(RecurrentConfig):
    """Hyper-parameters of `GRU`."""

    def build(self, n_states: int) -> GRU:
        """A GRU over ``n_states`` states."""
        return GRU(self, n_states)


class GRU(LanguageModel):
    """Cho et al., EMNLP 2014: one gate and one kind of memory less than an LSTM, so three quarters of its work."""

    def __init__(self, config: GRUConfig, n_states: int) -> None:
        super().__init__(n_states)
        self.config = config
        self.embedding = nn.Embedding(n_states, config.embedding)
        self.gru = nn.GRU(config.embedding, config.hidden, config.layers, dropout=config.dropout, batch_first=True)
        self.head = output_layer(config.hidden, n_states, config.anchor)

    def initial_state(self, n_chains: int) -> State:
        """Hidden values of shape (L, B, H)."""
        return (self.head.weight.new_zeros(self.config.layers, n_chains, self.config.hidden),)

    def gated_tables(self) -> GatedTables:
        """See `LanguageModel.gated_tables`."""
        return gated_tables("gru", self.gru, self.embedding, self.head)

    def forward(self, tokens_BT: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """See `LanguageModel.forward`."""
        (hidden,) = state or self.initial_state(len(tokens_BT))
        x_BTH, hidden = self.gru(self.embedding(tokens_BT), hidden)
        return self.allowed(full_precision(self.head, x_BTH), tokens_BT), (hidden,)
