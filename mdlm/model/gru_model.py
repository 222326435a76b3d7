"""Gated recurrent units: embedding, stacked GRU layers, linear head."""

from __future__ import annotations

from torch import Tensor, nn

from mdlm.model.base import GatedTables, State
from mdlm.model.gru import GRUConfig
from mdlm.model.network import Network, output_layer
from mdlm.model.recurrent import gated_tables


class GRU(Network):
    """Cho et al., EMNLP 2014: one gate and one kind of memory less than an LSTM, so three quarters of its work."""

    def __init__(self, config: GRUConfig, n_states: int) -> None:
        super().__init__(config, n_states)
        self.config = config
        self.embedding = nn.Embedding(n_states, config.embedding)
        self.gru = nn.GRU(config.embedding, config.hidden, config.layers, dropout=config.dropout, batch_first=True)
        self.head = output_layer(config.hidden, n_states, config.anchor)

    def initial_network_state(self, n_chains: int) -> State:
        """Hidden values of shape (L, B, H)."""
        return (self.head.weight.new_zeros(self.config.layers, n_chains, self.config.hidden),)

    def gated_tables(self) -> GatedTables:
        """See `LanguageModel.gated_tables`."""
        return gated_tables("gru", self.gru, self.embedding, self.head, self.slow_memory)

    def network(self, tokens_BT: Tensor, state: State) -> tuple[Tensor, State]:
        """See `Network.network`."""
        x_BTH, hidden = self.gru(self.embedding(tokens_BT), *state)
        return x_BTH, (hidden,)
