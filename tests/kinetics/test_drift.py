import numpy as np
import pytest

from mdlm.kinetics.drift import drift
from mdlm.kinetics.estimate import markov_state_model
from mdlm.kinetics.events import slow_sides
from mdlm.trajectory import Dtraj


def two_states(chance):
    return np.array([[1 - chance, chance], [chance, 1 - chance]])


def sides_of(dtraj):
    return slow_sides(markov_state_model(dtraj, dtraj.frame_time))


def test_a_stationary_chain_does_not_drift(sample_chain):
    """Its t2 in every part is -1 / ln(1 - 2 a), within the 90 % intervals in most parts."""
    dtraj = Dtraj(sample_chain(two_states(0.02), 50, 10_000, seed=0), 0.5, "ps", 2)
    found = drift(dtraj, 5.0, sides_of(dtraj), 10, seed=0)
    assert found.edges.tolist() == np.linspace(0, 5000, 11).tolist()
    assert found.largest_trend_in_errors < 4
    assert (np.abs(found.populations - 0.5) < 4 * found.standard_error).all()
    t2 = -0.5 / np.log(1 - 2 * 0.02)
    np.testing.assert_allclose(found.t2, t2, rtol=0.1)
    assert np.count_nonzero((found.t2_low <= t2) & (t2 <= found.t2_high)) >= 6


def test_the_standard_error_is_the_spread_between_repetitions(sample_chain):
    pieces = sample_chain(two_states(0.02), 20 * 100, 400, seed=1)
    runs = [drift(Dtraj(pieces[20 * k : 20 * k + 20], 1.0, "ps", 2), 1.0, None, 4, seed=0) for k in range(100)]
    spread = np.std([run.trend[0] for run in runs], ddof=1)
    assert np.mean([run.trend_error[0] for run in runs]) == pytest.approx(spread, rel=0.25)
    spread = np.std([run.populations[2, 0] for run in runs], ddof=1)
    assert np.mean([run.standard_error[2, 0] for run in runs]) == pytest.approx(spread, rel=0.25)


def test_a_population_that_grows_on_a_straight_line_is_found_with_its_slope():
    """State 1 with a probability from 0.2 to 0.6: four tenths over the run."""
    rng = np.random.default_rng(2)
    chance = np.linspace(0.2, 0.6, 5000)
    dtraj = Dtraj(tuple((rng.random(5000) < chance).astype(np.uint8) for _ in range(20)), 1.0, "ps", 2)
    found = drift(dtraj, 1.0, None, 10, seed=0)
    assert found.trend[1] == pytest.approx(0.4, abs=4 * found.trend_error[1])
    assert found.largest_trend == pytest.approx(0.4, abs=0.02)
    assert found.largest_trend_in_errors > 20
    assert len(found.t2) == 0


def test_a_chain_that_slows_down_is_found_in_t2(sample_chain):
    fast, slow = sample_chain(two_states(0.04), 30, 5000, seed=3), sample_chain(two_states(0.02), 30, 5000, seed=4)
    dtraj = Dtraj(tuple(np.concatenate(pair) for pair in zip(fast, slow, strict=True)), 1.0, "ps", 2)
    found = drift(dtraj, 5.0, sides_of(dtraj), 2, seed=0)
    assert found.t2[1] / found.t2[0] == pytest.approx(np.log(1 - 0.08) / np.log(1 - 0.04), rel=0.1)
    assert found.t2_low[1] > found.t2_high[0]
    assert found.largest_trend_in_errors < 4


def test_populations_of_parts_are_counted_by_hand():
    dtraj = Dtraj((np.array([0, 0, 0, 1]), np.array([0, 1, 1, 1]), np.array([1])), 2.0, "ps", 2)
    found = drift(dtraj, 2.0, None, 2, seed=0)  # the chain of one frame has no two parts
    assert found.populations.tolist() == [[0.75, 0.25], [0.25, 0.75]]
    assert found.edges.tolist() == [0, 4, 8]
    assert found.trend.tolist() == [-1.0, 1.0]
    assert found.trend_error.tolist() == [0, 0]


def test_one_chain_has_no_spread():
    found = drift(Dtraj((np.array([0, 0, 1, 1]),), 1.0, "ps", 2), 1.0, None, 2, seed=0)
    assert np.isnan(found.standard_error).all()
    assert found.largest_trend == 2
    assert np.isnan(found.largest_trend_in_errors)


@pytest.mark.parametrize("pieces", [(), (np.array([], dtype=int),)])
def test_no_frames_have_no_drift(pieces):
    found = drift(Dtraj(pieces, 1.0, "ps", 2), 1.0, None, 3, seed=0)
    assert np.isnan(found.populations).all()
    assert found.populations.shape == (3, 2)
    assert np.isnan([found.largest_trend, found.largest_trend_in_errors]).all()


def test_one_part_is_refused():
    with pytest.raises(ValueError, match=r"n_parts \(1\)"):
        drift(Dtraj((np.array([0, 1]),), 1.0, "ps", 2), 1.0, None, 1, seed=0)
