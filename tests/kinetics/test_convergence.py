import math

import numpy as np
import pytest

from mdlm.kinetics.convergence import convergence, doubling_lag_times, plateau
from mdlm.kinetics.estimate import Resampled, markov_state_model
from mdlm.kinetics.events import SlowSides, slow_sides
from mdlm.trajectory import Dtraj


def exact(times, spread=0.0):
    """Timescales with resamples that share one error, as they do where they come from the same frames."""
    return np.outer(times, 1 + spread * np.linspace(-1, 1, 40))


def converged(dtraj, lag_time, sides):
    sequence = Resampled.draw(dtraj, lag_time, 100, np.random.default_rng(0))
    points = [sequence.at(lag, 1, sides, 100) for lag in doubling_lag_times(dtraj, lag_time, math.inf)]
    return convergence(points, 0.9)


@pytest.mark.parametrize(
    ("times", "first"),
    [
        ([100, 100, 100], 0),
        ([50, 100, 100, 100], 1),
        ([50, 90, 99, 100], None),  # 99 and 100 are too few longer lags, and 90 is 11 % below
        ([50, 91, 99, 100], 1),
        ([100, 104, 109, 115, 121, 128], None),  # 5 % at each doubling add up: 128 is 11 % above 115
        ([100, 100], None),
        ([100, 100, 100, math.inf], None),
        ([1.0, 10.0, 100.0, 1000.0], None),
    ],
)
def test_a_plateau_begins_where_every_longer_lag_agrees_within_a_tenth(times, first):
    assert plateau(np.array(times, dtype=float), exact(times), 0.9) == first


def test_an_error_that_all_lags_share_does_not_make_a_rise_level():
    """Each t2 is known to 50 % only, but the ratio of any two exactly."""
    assert plateau(np.array([10.0, 20.0, 40.0, 80.0]), exact([10, 20, 40, 80], spread=0.5), 0.9) is None


def test_a_change_within_its_own_error_is_level():
    times = np.array([100.0, 120.0, 85.0])
    samples = times[:, None] * np.exp(np.random.default_rng(0).normal(0, 0.3, (3, 200)))
    assert plateau(times, samples, 0.9) == 0
    assert plateau(times, exact(times), 0.9) is None


def test_without_resamples_only_the_tolerance_counts():
    times = np.array([100.0, 105.0, 95.0])
    assert plateau(times, np.full((3, 20), np.nan), 0.9) == 0


def test_the_lags_double_and_none_is_beyond_half_the_longest_piece_or_t2():
    dtraj = Dtraj((np.zeros(100, int), np.zeros(37, int)), 0.5, "ps", 1)
    for t2 in (25.0, math.inf, math.nan):
        assert doubling_lag_times(dtraj, 6.0, t2) == [0.5, 1.5, 3.0, 6.0, 12.0, 24.0]
    assert doubling_lag_times(dtraj, 6.0, 12.0) == [0.5, 1.5, 3.0, 6.0, 12.0]
    assert doubling_lag_times(dtraj, 6.0, 1.0) == [0.5, 1.5, 3.0, 6.0]


def test_a_markov_chain_is_level_from_one_frame_on_at_the_closed_form(sample_chain, four_states):
    dtraj = Dtraj(sample_chain(four_states, 60, 4000, seed=11), 0.5, "ps", 4)
    found = converged(dtraj, 10.0, slow_sides(markov_state_model(dtraj, 10.0)))
    assert found.plateau_lag == 0.5
    assert found.t2.low < -0.5 / np.log(1 - 0.004) < found.t2.high
    assert found.curve.lag_times[0] == 0.5


def test_flickering_labels_rise_to_the_closed_form_of_the_chain_behind_them(sample_chain):
    """One frame in five is mistaken: at one frame t2 is far too short, at long lags it is the hidden chain's.

    With c = (1 - 2 * 0.2)^2 the autocorrelation is c * exp(-lag / t), the apparent time lag / (lag / t - ln c). That
    is within a tenth of t from lags of 9 t on, long after the eigenvalue is lost in noise.
    """
    hop, t2 = 0.0025, -1 / np.log(1 - 0.005)
    hidden = sample_chain(np.array([[1 - hop, hop], [hop, 1 - hop]]), 50, 20_000, seed=3)
    rng = np.random.default_rng(4)
    dtraj = Dtraj(tuple(piece ^ (rng.random(len(piece)) < 0.2) for piece in hidden), 1.0, "ps", 2)
    sides = SlowSides(np.array([0, 1]), np.full(2, 0.5))
    found = converged(dtraj, 64.0, sides)
    lags = found.curve.lag_times
    np.testing.assert_allclose(found.curve.timescales[:7, 0], lags[:7] / (lags[:7] / t2 - np.log(0.36)), rtol=0.1)
    assert math.isnan(found.plateau_lag)  # still rising where the lag reaches t2, and said so


def test_data_without_two_states_have_no_plateau():
    still = Dtraj((np.zeros(400, int),) * 10, 1.0, "ps", 1)
    found = convergence(
        [
            Resampled.draw(still, 4.0, 20, np.random.default_rng(0)).at(
                4.0, 0, SlowSides(np.zeros(1, int), np.ones(1)), 20
            )
        ],
        0.9,
    )
    assert not found.found


def test_lags_beyond_t2_do_not_count(sample_chain):
    """t2 is 9.5 frames: of the lags 1, 2, 4 ... the last that counts is 8."""
    dtraj = Dtraj(sample_chain(np.array([[0.95, 0.05], [0.05, 0.95]]), 40, 2000, seed=6), 1.0, "ps", 2)
    found = converged(dtraj, 4.0, SlowSides(np.array([0, 1]), np.full(2, 0.5)))
    assert found.curve.lag_times.tolist() == [1, 2, 4, 8]
    assert found.plateau_lag == 1
