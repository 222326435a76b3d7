"""Long short-term memory: the settings of `mdlm.model.lstm_model`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mdlm.model.config import RecurrentConfig

if TYPE_CHECKING:
    from mdlm.model.lstm_model import LSTM


@dataclass(frozen=True)
class LSTMConfig(RecurrentConfig):
    """Hyper-parameters of `LSTM`."""

    def build(self, n_states: int) -> LSTM:
        """An LSTM over ``n_states`` states."""
        from mdlm.model.lstm_model import LSTM

        return LSTM(self, n_states)
