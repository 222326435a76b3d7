"""PCCA+ on a grid over the four-state potential, whose wells and slow timescales (8531, 695, 640; then 4) are known."""

import numpy as np
import pytest

from mdlm.partition.grid import Grid
from mdlm.partition.pcca import Pcca
from mdlm.partition.wells import Wells
from mdlm.recrossing.core_set_membership import CoreSetMembership
from mdlm.system.four_state import FourState


@pytest.fixture(scope="module")
def four_state():
    return FourState(
        lag_time=200.0,
        mass=1.0,
        friction=1.0,
        beta=9.5,
        wall=1e-4,
        width=0.8,
        time_step=0.01,
        save_every=100,
        n_walkers=20,
        n_steps=20_000_000,
        seed=1,
        n_threads=1,
    ).trajectories()


@pytest.fixture(scope="module")
def nearest_well(four_state):
    wells = Wells(centres={"x": (2.0, 0.5, -0.5, -2.0), "y": (-1.0, 2.0, -2.0, 1.0)})
    return np.concatenate(wells.fit(four_state).assign(four_state).pieces)


def macrostate_of_wells(fitted, trajectory, nearest_well):
    """Macrostate that most frames nearest to each well are in, and the share of frames that are in another."""
    states = np.concatenate(fitted.assign(trajectory).pieces)
    together = np.histogram2d(nearest_well, states, bins=(np.arange(5), np.arange(fitted.n_states + 1)))[0]
    return together.argmax(axis=1), 1 - together.max(axis=1).sum() / together.sum()


@pytest.mark.parametrize("lag_time", [20.0, 50.0, 100.0, 200.0])
def test_a_grid_on_the_four_state_potential_is_lumped_into_its_four_wells(four_state, nearest_well, lag_time):
    """Their number is found too: the largest gap is between 640 and the fast processes, at every lag."""
    fitted = Pcca(micro=Grid(low=-3.6, high=3.6, n_bins=30), lag_time=lag_time).fit(four_state)
    wells, different = macrostate_of_wells(fitted, four_state, nearest_well)
    assert sorted(wells) == [0, 1, 2, 3]
    assert different < 0.01
    assert np.all(np.diff(fitted.populations) <= 0)


def test_two_macrostates_of_the_four_state_potential_are_its_pairs_of_wells(four_state, nearest_well):
    partition = Pcca(micro=Grid(low=-3.6, high=3.6, n_bins=30), lag_time=200.0, n_macrostates=2)
    wells, different = macrostate_of_wells(partition.fit(four_state), four_state, nearest_well)
    assert wells[0] == wells[2] != wells[1] == wells[3]
    assert different < 0.01


def test_a_fifth_macrostate_of_the_four_state_potential_is_refused(four_state):
    partition = Pcca(micro=Grid(low=-3.6, high=3.6, n_bins=30), lag_time=200.0, n_macrostates=5)
    message = r"^n_macrostates \(5\) exceeds what the spectrum supports, 4: .*; the largest gap is after 4 macrostates"
    with pytest.raises(ValueError, match=message):
        partition.fit(four_state)


def test_memberships_make_cores(four_state):
    """Recrossings are steps over a border, where no frame clearly belongs to its macrostate."""
    partition = Pcca(micro=Grid(low=-3.6, high=3.6, n_bins=30), lag_time=200.0)
    fitted = partition.fit(four_state)
    states = fitted.assign(four_state)
    recrossing = CoreSetMembership(threshold=0.9)
    recrossing.check(four_state.header, partition)
    treated = recrossing.fit(fitted, four_state).treat(states, four_state)
    jumps = [sum(np.count_nonzero(np.diff(piece)) for piece in part.pieces) for part in (states, treated)]
    assert 0 < jumps[1] < jumps[0]
