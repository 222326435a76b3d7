import numpy as np
import pytest
from scipy.stats import binomtest

from mdlm.kinetics.counts import transition_counts
from mdlm.kinetics.transitions import n_changes, rate_ratio, unseen_transitions


def test_the_interval_is_clopper_pearsons_turned_into_a_ratio():
    for judged, reference, ratio_of_times in ((3, 17, 1.0), (40, 11, 0.25), (0, 6, 2.0), (6, 0, 2.0)):
        share = binomtest(judged, judged + reference).proportion_ci(0.9, method="exact")
        found = rate_ratio(judged, 1.0, reference, ratio_of_times, 0.9)
        assert found.low == pytest.approx(ratio_of_times * share.low / (1 - share.low))
        high = np.inf if share.high == 1 else share.high / (1 - share.high) * ratio_of_times
        assert found.high == pytest.approx(high)


def test_the_interval_covers_a_known_ratio_at_least_as_often_as_it_says():
    rng = np.random.default_rng(0)
    pairs = rng.poisson([15.0, 10.0], (2000, 2))  # rates 15 / 3 and 10 / 1: ratio one half
    found = [rate_ratio(judged, 3.0, reference, 1.0, 0.9) for judged, reference in pairs.tolist()]
    covered = np.mean([interval.low <= 0.5 <= interval.high for interval in found])
    assert 0.89 <= covered <= 0.97  # exact intervals cover too often, never too rarely


@pytest.mark.parametrize("arguments", [(0, 1.0, 0, 1.0), (3, 0.0, 4, 1.0), (3, 1.0, 4, 0.0)])
def test_no_events_or_no_time_give_no_ratio(arguments):
    assert np.isnan(rate_ratio(*arguments, 0.9).value)


def test_unseen_transitions_are_counted_by_hand():
    reference = transition_counts([np.array([0, 1, 0, 2, 2])], 3)
    judged = transition_counts([np.array([0, 1, 2, 1, 2, 0, 0, 1])], 3)
    found = unseen_transitions(judged, reference)
    assert found.pairs == ((1, 2, 2), (2, 0, 1), (2, 1, 1))
    assert (found.n_kinds, found.n_transitions) == (3, 4)
    assert found.rate == pytest.approx(4 / 7)
    assert found.share == pytest.approx(4 / 6)


def test_staying_where_the_reference_never_stays_is_no_change():
    found = unseen_transitions(np.array([[5, 1], [1, 0]]), np.array([[0, 1], [1, 0]]))
    assert (found.n_kinds, found.share) == (0, 0)


def test_nothing_sampled_has_no_rate_and_one_state_no_share():
    assert np.isnan(unseen_transitions(np.zeros((2, 2), int), np.ones((2, 2), int)).rate)
    stays = unseen_transitions(np.array([[4, 0], [0, 0]]), np.ones((2, 2), int))
    assert (stays.rate, np.isnan(stays.share)) == (0, True)
    assert n_changes(np.array([[4, 0], [0, 0]])) == 0


def test_different_alphabets_are_refused():
    with pytest.raises(ValueError, match="judged has 2 states; it must have those of the reference, 3"):
        unseen_transitions(np.zeros((2, 2), int), np.zeros((3, 3), int))
