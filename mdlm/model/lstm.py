"""Long short-term memory: embedding, stacked LSTM layers, linear head."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from mdlm.model.base import (
    GatedTables,
    LanguageModel,
    State,
    full_precision,
)
from mdlm.model.recurrent import RecurrentConfig


@dataclass(frozen=True)
class LSTMConfig(RecurrentConfig):
    """Hyper-parameters of `LSTM`."""

    def build(self, n_states: int) -> LSTM:
        """An LSTM over ``n_states`` states."""
        return LSTM(self, n_states)


class LSTM(LanguageModel):
    """The network of Tsai, Kuo & Tiwary, Nat. Commun. 11, 5115 (2020), with any number of layers."""

    def __init__(self, config: LSTMConfig, n_states: int) -> None:
        super().__init__(n_states)
        self.config = config
        self.embedding = nn.Embedding(n_states, config.embedding)
        self.lstm = nn.LSTM(config.embedding, config.hidden, config.layers, dropout=config.dropout, batch_first=True)
        self.head = nn.Linear(config.hidden, n_states)

    def initial_state(self, n_chains: int) -> State:
        """Hidden and cell values, each of shape (L, B, H)."""
        zeros = self.head.weight.new_zeros(self.config.layers, n_chains, self.config.hidden)
        return zeros, zeros.clone()

    @torch.inference_mode()
    def gated_tables(self) -> GatedTables | None:
        """See `LanguageModel.gated_tables`."""
        if self.config.layers > 1:
            return None
        names = ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0")
        input_GE, recurrent_GH, bias_G, more_bias_G = (self.lstm.get_parameter(name) for name in names)
        input_VG = (self.embedding.weight @ input_GE.T + bias_G + more_bias_G).numpy()
        joint_HN = torch.cat([recurrent_GH, self.head.weight]).T.contiguous()
        return GatedTables(input_VG, joint_HN, self.head.bias.detach().numpy().copy())

    def forward(self, tokens_BT: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """See `LanguageModel.forward`."""
        hidden, cell = state or self.initial_state(len(tokens_BT))
        x_BTE = self.embedding(tokens_BT)
        x_BTH, state = self.lstm(x_BTE, (hidden, cell))
        return self.allowed(full_precision(self.head, x_BTH), tokens_BT), state
