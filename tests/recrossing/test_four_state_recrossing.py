"""What the treatments are for: one frame of lag is enough once recrossings are gone."""

import numpy as np
import pytest

from mdlm.kinetics.counts import count_matrix
from mdlm.kinetics.msm import reversible_transition_matrix
from mdlm.kinetics.timescales import implied_timescales
from mdlm.partition.wells import Wells
from mdlm.recrossing.core_set import CoreSet
from mdlm.recrossing.core_set_density import CoreSetDensity
from mdlm.recrossing.coring import Coring
from mdlm.system.four_state import FourState

X, Y = (2.0, 0.5, -0.5, -2.0), (-1.0, 2.0, -2.0, 1.0)


@pytest.fixture(scope="module")
def trajectory():
    return FourState(
        lag_time=200.0,
        mass=1.0,
        friction=1.0,
        beta=9.5,
        wall=1e-4,
        width=0.8,
        time_step=0.01,
        save_every=100,
        n_walkers=10,
        n_steps=50_000_000,
        seed=0,
        n_threads=1,
    ).trajectories()


def slowest(states, lag):
    counts = count_matrix(states.pieces, states.n_states, lag)
    return implied_timescales(reversible_transition_matrix(counts).matrix, lag * states.frame_time, 1)[0]


@pytest.mark.parametrize(
    "recrossing",
    [
        Coring(residence_time=20.0, iterative=False),
        Coring(residence_time=20.0, iterative=True),
        CoreSet(radius=0.8),
        CoreSetDensity(energy_kT=2.0, n_bins=30),
    ],
    ids=["coring", "iterative", "core_set", "density"],
)
def test_a_treated_sequence_is_markovian_at_one_frame(trajectory, recrossing):
    """The timescale counted at one frame comes to within 5 % of that at 200, of untreated states as well."""
    discretiser = Wells(centres={"x": X, "y": Y}).fit(trajectory)
    states = discretiser.assign(trajectory)
    treated = recrossing.fit(discretiser, trajectory).treat(states, trajectory)
    assert slowest(states, 1) < 0.75 * slowest(states, 200)
    assert slowest(treated, 200) == pytest.approx(slowest(states, 200), rel=0.05)
    assert slowest(treated, 1) == pytest.approx(slowest(treated, 200), rel=0.05)
    changed = [np.mean(old != new) for old, new in zip(states.pieces, treated.pieces, strict=True)]
    assert np.mean(changed) < 0.01  # it takes few frames
