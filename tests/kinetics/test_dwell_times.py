import numpy as np
import pytest
from scipy.stats import CensoredData, ecdf, ks_2samp, wasserstein_distance

from mdlm.kinetics.dwell import dwell_distance, dwell_times
from mdlm.kinetics.visits import Visits


def renewal(rng, n_visits, lengths):
    """Visits that go round three states."""
    return np.repeat(np.arange(n_visits) % 3, lengths(rng, n_visits))


def weibull(rng, n):
    return np.ceil(20 * rng.weibull(2.0, n)).astype(int)


def test_dwells_are_counted_by_hand():
    """State 0: the first visit began before, then 1 and 3 frames, and 2 cut off; a frame is 0.5."""
    piece = np.repeat([0, 1, 0, 1, 0, 2, 0], [4, 1, 1, 2, 3, 1, 2])
    zero, one, two = dwell_times([piece], 3, 0.5)
    assert zero.lengths.tolist() == [0.5, 1.0, 1.5]
    assert zero.n_ended.tolist() == [1, 0, 1]
    assert zero.n_cut.tolist() == [0, 1, 0]
    np.testing.assert_allclose(zero.survival, [2 / 3, 2 / 3, 0])
    assert zero.mean_residence == pytest.approx(0.5 * (10 - 1) / 3)
    assert (one.n_completed, one.n_censored, two.n_completed) == (2, 0, 1)


def test_survival_agrees_with_scipy_under_censoring():
    """A visit cut off after a frames is known to have gone on past age a - 1, not a."""
    rng = np.random.default_rng(0)
    pieces = [renewal(rng, 400, weibull)[start : start + 60] for start in rng.integers(0, 3000, 300)]
    visits = Visits.of(pieces)
    for state, found in enumerate(dwell_times(pieces, 3, 1.0)):
        mine = (visits.states == state) & ~visits.first
        ended, cut = visits.lengths[mine & ~visits.last], visits.lengths[mine & visits.last]
        assert len(cut) > 0.1 * len(ended)
        curve = ecdf(CensoredData(uncensored=ended, right=cut - 1)).sf
        np.testing.assert_allclose(found.survival, curve.evaluate(found.lengths), atol=1e-12)


def test_survival_of_short_pieces_is_that_of_the_law_where_completed_visits_alone_are_too_short():
    """Weibull visits of 18 frames in pieces of 40: half of the visits that begin there are cut off."""
    rng = np.random.default_rng(1)
    piece = renewal(rng, 60_000, weibull)
    pieces = np.array_split(piece, len(piece) // 40)
    for found in dwell_times(pieces, 3, 1.0):
        ages = np.array([5.0, 10.0, 20.0, 30.0])
        law = np.exp(-((ages / 20) ** 2))
        n_at_risk = found.n_completed + found.n_censored
        assert (np.abs(found.survival_at(ages) - law) < 4 * np.sqrt(law * (1 - law) / (0.2 * n_at_risk))).all()
        completed = 1 - np.cumsum(found.n_ended) / found.n_completed
        assert np.interp(20, found.lengths, completed) < law[2] - 0.1


def test_mean_residence_and_hazard_of_a_markov_chain_are_those_of_its_diagonal(sample_chain):
    a, b = 0.05, 0.2
    pieces = sample_chain(np.array([[1 - a, a], [b, 1 - b]]), 100, 5000, seed=2)
    for found, rate in zip(dwell_times(pieces, 2, 0.1), (a, b), strict=True):
        assert found.mean_residence == pytest.approx(0.1 / rate, rel=4 / np.sqrt(found.n_completed))
        hazard = found.hazard
        inside = (hazard.low <= rate / 0.1) & (rate / 0.1 <= hazard.high)
        assert inside.mean() >= 0.8  # each is a 95 % interval
        assert hazard.n_ended.sum() == found.n_completed
        np.testing.assert_allclose(hazard.rate[hazard.n_ended > 1000], rate / 0.1, rtol=0.1)
        law = (1 - rate) ** np.arange(1, 10)
        error = np.sqrt(law * (1 - law) / found.n_completed)
        assert (np.abs(found.survival_at(0.1 * np.arange(1, 10)) - law) < 4 * error).all()


def test_hazards_are_counted_by_hand():
    """Visits of 1, 3, 3 frames and one of 2 cut off: 4 looks at age one, 2 at two, 2 at three; bins of one age each."""
    piece = np.repeat([1, 0, 1, 0, 1, 0, 1, 0], [1, 1, 1, 3, 1, 3, 1, 2])
    hazard = dwell_times([piece], 2, 2.0)[0].hazard
    assert hazard.edges.tolist() == [0, 2, 4, 6]
    assert hazard.n_ended.tolist() == [1, 0, 2]
    np.testing.assert_allclose(hazard.rate, [1 / (4 * 2), 0, 2 / (2 * 2)])
    np.testing.assert_allclose(hazard.low[1], 0)
    np.testing.assert_allclose(hazard.high[1], -np.log(0.025) / (2 * 2))  # no event: exp(-rate time) = 2.5 %


def test_the_hazard_of_weibull_visits_rises_with_age():
    """Shape two: the rate grows in proportion to the age, 2 a / 20^2 per frame."""
    piece = renewal(np.random.default_rng(3), 30_000, weibull)
    hazard = dwell_times([piece], 3, 1.0)[0].hazard
    many = hazard.n_ended > 300
    law = np.diff((hazard.edges / 20) ** 2) / np.diff(hazard.edges)  # mean over each bin
    assert many.sum() >= 4
    np.testing.assert_allclose(-np.log1p(-hazard.rate[many]), law[many], rtol=0.15)


def test_distances_are_those_of_scipy_where_nothing_is_censored():
    rng = np.random.default_rng(4)
    first, second = rng.integers(1, 30, 200), rng.integers(4, 45, 150)
    pieces = [np.repeat([*([1, 0] * len(lengths)), 1], [*np.stack([np.ones_like(lengths), lengths], 1).ravel(), 1])
              for lengths in (first, second)]  # fmt: skip
    pair = [dwell_times([piece], 2, 0.5)[0] for piece in pieces]
    found = dwell_distance(*pair)
    assert found.kolmogorov_smirnov == pytest.approx(ks_2samp(first, second).statistic)
    assert found.wasserstein == pytest.approx(wasserstein_distance(0.5 * first, 0.5 * second))
    assert found.horizon == np.inf
    assert dwell_distance(pair[0], pair[0]).kolmogorov_smirnov == 0


def test_two_samples_of_one_law_exceed_the_distance_by_chance_at_most_one_time_in_twenty():
    rng = np.random.default_rng(5)
    over = 0
    for _ in range(300):
        pair = [dwell_times([renewal(rng, 600, weibull)], 3, 1.0)[0] for _ in range(2)]
        found = dwell_distance(*pair)
        over += found.kolmogorov_smirnov > found.by_chance
    assert over <= 25  # of 300, 15 expected for a continuous law, fewer for whole frames


def test_censored_curves_are_compared_up_to_the_shorter_horizon():
    short = dwell_times([np.repeat([1, 0, 1, 0], [1, 2, 1, 5])], 2, 1.0)[0]  # one ends at 2, one goes on past 4
    long = dwell_times([np.repeat([1, 0, 1], [1, 9, 1])], 2, 1.0)[0]
    assert short.horizon == 4
    found = dwell_distance(short, long)
    assert (found.kolmogorov_smirnov, found.wasserstein, found.horizon) == (0.5, 0.5 * 2, 4)


@pytest.mark.parametrize("pieces", [[], [np.array([], dtype=int)], [np.zeros(5, dtype=int)], [np.array([0, 1])]])
def test_where_no_visit_was_seen_to_its_end_the_distance_is_missing(pieces):
    found = dwell_times(pieces, 2, 1.0)
    assert [state.n_completed for state in found] == [0, 0]
    assert all(state.horizon == 0 for state in found)
    assert np.isnan(dwell_distance(found[0], found[1]).kolmogorov_smirnov)


def test_a_state_never_left_stays_for_ever_and_one_never_entered_is_unknown():
    zero, one = dwell_times([np.zeros(5, dtype=int)], 2, 1.0)
    assert zero.mean_residence == np.inf
    assert np.isnan(one.mean_residence)
