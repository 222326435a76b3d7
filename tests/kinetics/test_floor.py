import math

import numpy as np
import pytest

from mdlm.kinetics.comparison import Interval
from mdlm.kinetics.estimate import markov_state_model
from mdlm.kinetics.events import slow_sides
from mdlm.kinetics.floor import data_floor, pieces_of_length
from mdlm.kinetics.timescales import implied_timescales
from mdlm.trajectory import Dtraj

HOP = 0.01
TWO_STATES = np.array([[1 - HOP, HOP], [HOP, 1 - HOP]])


@pytest.fixture(scope="module")
def long_data(sample_chain):
    return Dtraj(sample_chain(TWO_STATES, 40, 25_000, seed=1), 0.5, "ps", 2)


def scatter(dtraj, n_frames, seed=0):
    sides = slow_sides(markov_state_model(dtraj, 5.0))
    return pieces_of_length(dtraj, n_frames, 5.0, 1, sides, 400, np.random.default_rng(seed))


@pytest.mark.parametrize("n_frames", [20_000, 60_000])
def test_the_scatter_is_that_of_fresh_simulations_of_that_length(n_frames, long_data, sample_chain):
    """Against 200 new simulations, each estimated on its own; their standard deviation is known to 5 %."""
    fresh = sample_chain(TWO_STATES, 200 * n_frames // 20_000, 20_000, seed=2)
    n_pieces = n_frames // 20_000
    times = []
    for first in range(0, len(fresh), n_pieces):
        model = markov_state_model(Dtraj(fresh[first : first + n_pieces], 0.5, "ps", 2), 5.0)
        times.append(implied_timescales(model.matrix, 5.0, 1)[0])
    found = np.log(scatter(long_data, n_frames)[:, 0])
    assert found.std() == pytest.approx(np.std(np.log(times)), rel=0.2)
    assert found.mean() == pytest.approx(np.mean(np.log(times)), abs=0.05)


def test_a_quarter_of_the_length_scatters_twice_as_much(long_data):
    short, long = (np.log(scatter(long_data, n)[:, 0]).std() for n in (50_000, 200_000))
    assert short / long == pytest.approx(2, rel=0.15)


def test_a_length_of_fewer_than_five_blocks_of_ten_lags_is_unknown(long_data):
    assert np.isnan(scatter(long_data, 400)).all()


def test_a_perfect_sample_scores_one_give_or_take_both_lengths(long_data):
    floor = data_floor(scatter(long_data, 50_000), scatter(long_data, 200_000, seed=1), 25_000.0, False, 0.9)
    (own,), (ratio,) = floor.timescales, floor.ratios
    assert ratio.low < 1 < ratio.high
    assert ratio.value == pytest.approx(1, abs=0.03)
    expected = math.sqrt(1 + 1 / 4) * math.log(own.factor)
    assert math.log(ratio.factor) == pytest.approx(expected, rel=0.15)


def test_the_factor_leads_from_the_middle_to_either_bound():
    assert Interval(1.0, 0.25, 4.0).factor == 4
    assert Interval(1.0, 0.0, 4.0).factor == math.inf
    assert Interval(1.0, 0.5, math.inf).factor == math.inf
    assert math.isnan(Interval(math.inf, math.inf, math.inf).factor)
    assert math.isnan(Interval(math.nan, math.nan, math.nan).factor)
