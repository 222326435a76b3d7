"""Reversible Markov state model at the judged lag, sampled as a synthetic trajectory of that lag."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from mdlm.baselines.base import Baseline, Drawn, Wanted
from mdlm.baselines.chains import to_itself, walked
from mdlm.kinetics.counts import count_matrix
from mdlm.kinetics.msm import reversible_transition_matrix
from mdlm.trajectory import Dtraj, Split


@dataclass(frozen=True)
class MarkovStateModel(Baseline):
    """What the data themselves say at the judged lag; its chains have that lag as their frame time.

    It predicts nothing within the lag, so it has no likelihood of a frame.
    """

    title: ClassVar[str] = "MSM at the judged lag"

    def draw(self, states: Split[Dtraj], wanted: Wanted) -> Drawn:
        """See `Baseline.draw`.

        Raises:
            ValueError: No two states are connected at the lag.
        """
        train = states.train
        lag = train.lag_frames(wanted.lag_time)
        model = reversible_transition_matrix(count_matrix(train.pieces, train.n_states, lag))
        if not len(model.active):
            raise ValueError(f"the training states hold no connected transition at lag {wanted.lag_time:g}")
        row_of = np.full(train.n_states, -1)
        row_of[model.active] = np.arange(len(model.active))
        start_B = row_of[wanted.prompts_BT[:, -1]]
        rng = np.random.default_rng(wanted.seed)
        elsewhere = rng.choice(len(model.active), size=len(start_B), p=model.stationary)
        start_B = np.where(start_B < 0, elsewhere, start_B)
        n_lags = max(2, wanted.chain_length // lag)
        rows_BT = walked(wanted.seed, start_B, model.matrix, to_itself(len(model.active)), n_lags)
        chains = model.active.astype(np.int32)[rows_BT]
        note = "what the data say at this lag, resampled: it cannot resolve anything faster"
        if len(model.dropped):
            note += f"; {len(model.dropped)} states are left out, not connected both ways"
        return Drawn(Dtraj(tuple(chains), wanted.lag_time, train.time_unit, train.n_states), math.nan, note)
