"""PCCA+ of a fine grid on the four-state potential, whose wells and slow timescales, 8531, 695, 640, are known."""

import numpy as np
import pytest

from mdlm.partition.grid import Grid
from mdlm.partition.pcca import Pcca
from mdlm.partition.wells import Wells
from mdlm.system.four_state import MEASURED_AT, FourState

GRID = Grid(low=-3.6, high=3.6, n_bins=30)


@pytest.fixture(scope="module")
def trajectory():
    """20 walkers that start in equilibrium and leave their pair of wells a dozen times in all."""
    system = FourState(lag_time=200.0, **MEASURED_AT, save_every=100, n_walkers=20, n_steps=20_000_000, seed=1)
    return system.trajectories()


@pytest.fixture(scope="module")
def nearest_well(trajectory):
    wells = Wells(centres={"x": (2.0, 0.5, -0.5, -2.0), "y": (-1.0, 2.0, -2.0, 1.0)})
    return np.concatenate(wells.fit(trajectory).assign(trajectory).pieces)


def of_wells(fitted, trajectory, nearest_well):
    """Macrostate that most frames nearest to each well are in, and the share of frames that are in another."""
    macrostate = np.concatenate(fitted.assign(trajectory).pieces)
    together = np.zeros((4, fitted.n_states), int)
    np.add.at(together, (nearest_well, macrostate), 1)
    return together.argmax(axis=1).tolist(), 1 - together.max(axis=1).sum() / together.sum()


@pytest.mark.parametrize("lag_time", [20.0, 50.0, 100.0, 200.0])
def test_a_fine_grid_finds_the_four_wells(trajectory, nearest_well, lag_time):
    """And chooses their number: 640 time units stand against what is gone at the lag time."""
    fitted = Pcca(micro=GRID, lag_time=lag_time).fit(trajectory)
    macrostate_of, different = of_wells(fitted, trajectory, nearest_well)
    assert sorted(macrostate_of) == [0, 1, 2, 3]
    assert fitted.n_states == 4
    assert different < 0.01
    assert (fitted.metastability > 0.8).all()


def test_two_macrostates_are_the_two_pairs_of_wells(trajectory, nearest_well):
    fitted = Pcca(micro=GRID, lag_time=200.0, n_macrostates=2).fit(trajectory)
    macrostate_of, different = of_wells(fitted, trajectory, nearest_well)
    assert macrostate_of in ([0, 1, 0, 1], [1, 0, 1, 0])
    assert different < 0.01


def test_a_fifth_macrostate_is_refused(trajectory):
    message = r"^n_macrostates \(5\) must be at most 4: .*; the largest gap is after 4 macrostates"
    with pytest.raises(ValueError, match=message):
        Pcca(micro=GRID, lag_time=200.0, n_macrostates=5).fit(trajectory)
