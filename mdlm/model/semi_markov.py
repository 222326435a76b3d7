"""A semi-Markov process: the settings of `mdlm.model.semi_markov_model`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mdlm.errors import check_at_least
from mdlm.model.config import ModelConfig, Smoothing, check_smoothing

if TYPE_CHECKING:
    from mdlm.model.semi_markov_model import SemiMarkov


@dataclass(frozen=True)
class SemiMarkovConfig(ModelConfig):
    """Hyper-parameters of `SemiMarkov`.

    Attributes:
        exact_ages: Ages, in frames, up to which each has a hazard of its own.
        growth: Factor by which the bins of longer ages grow.
        smoothing: ``none``: hazards and jumps as they were counted. ``contexts``: to each bin of ages is added one
            visit that ends with the state's hazard as a whole, so that nobody has to leave, or to stay, at an age few
            visits reached. ``all``: also jumps never seen get a share, by the populations (Witten and Bell).
    """

    exact_ages: int
    growth: float
    smoothing: Smoothing = "none"

    def __post_init__(self) -> None:
        check_at_least(1, exact_ages=self.exact_ages)
        if not 1 < self.growth < float("inf"):
            raise ValueError(f"growth ({self.growth:g}) must be above 1 and finite")
        check_smoothing(self.smoothing)

    def build(self, n_states: int) -> SemiMarkov:
        """A process over ``n_states`` states; `SemiMarkov.count` fills it."""
        from mdlm.model.semi_markov_model import SemiMarkov

        return SemiMarkov(self, n_states)
