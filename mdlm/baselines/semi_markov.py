"""Semi-Markov process: when to leave depends on how long one has been there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from mdlm.baselines.base import Baseline, Drawn, Wanted
from mdlm.baselines.chains import blocks, cumulative, empty_chains
from mdlm.baselines.markov import ruled_out
from mdlm.model.config import Smoothing
from mdlm.model.semi_markov import SemiMarkovConfig
from mdlm.trajectory import Dtraj, IntArray, Split

if TYPE_CHECKING:
    from mdlm.model.semi_markov_model import SemiMarkov

MAX_ENTRIES = 8_000_000
"""Of the table of states, ages and states; larger alphabets get fewer ages of their own."""


@dataclass(frozen=True)
class SemiMarkovProcess(Baseline):
    """Counted jump chain and dwell times; hazards of ages that few visits reached are drawn to the state's own.

    For the likelihood jumps never seen get a share by the populations, and jumps are ruled out by the rule that holds
    for trained models (`mdlm.training.support`); it samples no jump that training never saw.

    Attributes:
        exact_ages: Ages, in frames, up to which each has a hazard of its own.
        growth: Factor by which the bins of longer ages grow.
    """

    exact_ages: int
    growth: float
    title: ClassVar[str] = "semi-Markov process"

    def __post_init__(self) -> None:
        SemiMarkovConfig(self.exact_ages, self.growth)

    def draw(self, states: Split[Dtraj], wanted: Wanted) -> Drawn:
        """See `Baseline.draw`."""
        from mdlm.training.evaluate import nll_nats_per_token

        train = states.train
        exact = max(1, min(self.exact_ages, MAX_ENTRIES // (2 * train.n_states**2)))
        judged = ruled_out(self._counted(exact, "all", train), states)
        nll = nll_nats_per_token(judged, states.test.pieces)
        chains_BT = _walked(self._counted(exact, "contexts", train), wanted)
        chains = Dtraj(tuple(chains_BT), train.frame_time, train.time_unit, train.n_states)
        note = f"hazards of {len(judged.ages)} ages"
        return Drawn(chains, nll, note + (", fewer for the size of the alphabet" if exact < self.exact_ages else ""))

    def _counted(self, exact_ages: int, smoothing: Smoothing, train: Dtraj) -> SemiMarkov:
        # With few exact ages the bins must grow faster too, or the longer ages alone would fill the memory.
        growth = self.growth if exact_ages == self.exact_ages else max(2.0, self.growth)
        model = SemiMarkovConfig(exact_ages, growth, smoothing).build(train.n_states)
        model.count(train.pieces)
        return model


def _walked(model: SemiMarkov, wanted: Wanted) -> IntArray:
    """Chains that continue the prompts, with the age each has there."""
    from mdlm.baselines.chain_kernels import walk_visits

    cumulative_VAV = cumulative(model.log_probability.double().exp().numpy())
    ages, n_chains = model.ages.numpy(), len(wanted.prompts_BT)
    same_BT = wanted.prompts_BT[:, ::-1] == wanted.prompts_BT[:, -1:]
    state_B, age_B = wanted.prompts_BT[:, -1].copy(), np.logical_and.accumulate(same_BT, axis=1).sum(axis=1)
    chains_BT = empty_chains(n_chains, wanted.chain_length, model.n_states)
    for frames, uniforms_TB in blocks(wanted.seed, n_chains, wanted.chain_length):
        walk_visits(uniforms_TB, cumulative_VAV, ages, state_B, age_B, chains_BT[:, frames])
    return chains_BT
