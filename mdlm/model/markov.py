"""A Markov chain of any order: the settings of `mdlm.model.markov_model`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mdlm.errors import check_at_least
from mdlm.model.config import ModelConfig, Smoothing, check_smoothing

if TYPE_CHECKING:
    from mdlm.model.markov_model import Markov


@dataclass(frozen=True)
class MarkovConfig(ModelConfig):
    """Hyper-parameters of `Markov`.

    Attributes:
        order: Number of past states the next one depends on.
        smoothing: ``none``: a context seen in training is as it was counted. ``contexts``: it is mixed with the
            shorter ones, down to order one, which is as it was counted, so that no jump never seen is made possible.
            ``all``: down to the populations, so that no jump is impossible. The weights are those of Witten and Bell.
    """

    order: int
    smoothing: Smoothing = "none"

    def __post_init__(self) -> None:
        check_at_least(1, order=self.order)
        check_smoothing(self.smoothing)

    def build(self, n_states: int) -> Markov:
        """A chain over ``n_states`` states; `Markov.count` fills it."""
        from mdlm.model.markov_model import Markov

        if (n_states + 1) ** self.order > 2**62:
            raise ValueError(f"order ({self.order}) is too high for {n_states} states: contexts overflow 64 bits")
        return Markov(self, n_states)
