"""Gated recurrent units: the settings of `mdlm.model.gru_model`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mdlm.model.config import RecurrentConfig

if TYPE_CHECKING:
    from mdlm.model.gru_model import GRU


@dataclass(frozen=True)
class GRUConfig(RecurrentConfig):
    """Hyper-parameters of `GRU`."""

    def build(self, n_states: int) -> GRU:
        """A GRU over ``n_states`` states."""
        from mdlm.model.gru_model import GRU

        return GRU(self, n_states)
