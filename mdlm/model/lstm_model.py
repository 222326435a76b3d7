"""Long short-term memory: embedding, stacked LSTM layers, linear head."""

from __future__ import annotations

from torch import Tensor, nn

from mdlm.model.base import GatedTables, State
from mdlm.model.lstm import LSTMConfig
from mdlm.model.network import Network, output_layer
from mdlm.model.recurrent import gated_tables


class LSTM(Network):
    """The network of Tsai, Kuo & Tiwary, Nat. Commun. 11, 5115 (2020), with any number of layers."""

    def __init__(self, config: LSTMConfig, n_states: int) -> None:
        super().__init__(config, n_states)
        self.config = config
        self.embedding = nn.Embedding(n_states, config.embedding)
        self.lstm = nn.LSTM(config.embedding, config.hidden, config.layers, dropout=config.dropout, batch_first=True)
        self.head = output_layer(config.hidden, n_states, config.anchor)

    def initial_network_state(self, n_chains: int) -> State:
        """Hidden and cell values, each of shape (L, B, H)."""
        zeros = self.head.weight.new_zeros(self.config.layers, n_chains, self.config.hidden)
        return zeros, zeros.clone()

    def gated_tables(self) -> GatedTables:
        """See `LanguageModel.gated_tables`."""
        return gated_tables("lstm", self.lstm, self.embedding, self.head, self.slow_memory)

    def network(self, tokens_BT: Tensor, state: State) -> tuple[Tensor, State]:
        """See `Network.network`."""
        return self.lstm(self.embedding(tokens_BT), state)  # type: ignore[no-any-return]
