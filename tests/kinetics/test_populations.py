import numpy as np
import pytest

from mdlm.kinetics.populations import kullback_leibler_divergence, populations, total_variation_distance


def test_populations_are_shares_of_all_frames_not_means_of_shares():
    found = populations([np.array([0]), np.array([1, 1, 1])], 3)
    assert found.tolist() == [0.25, 0.75, 0.0]


def test_no_frames_give_unknown_populations():
    assert np.isnan(populations([np.array([], dtype=int)], 2)).all()


@pytest.mark.parametrize(("p", "q", "distance"), [([1, 0], [0, 1], 1), ([0.3, 0.7], [0.3, 0.7], 0)])
def test_total_variation_runs_from_zero_to_one(p, q, distance):
    assert total_variation_distance(np.array(p), np.array(q)) == distance


def test_total_variation_is_the_largest_difference_over_all_events():
    p, q = np.array([0.5, 0.3, 0.2]), np.array([0.2, 0.35, 0.45])
    events = [np.array([bit >> i & 1 for i in range(3)], dtype=bool) for bit in range(8)]
    largest = max(abs(p[event].sum() - q[event].sum()) for event in events)
    assert total_variation_distance(p, q) == pytest.approx(largest)


def test_the_divergence_is_that_of_scipy_and_not_symmetric():
    from scipy.stats import entropy

    p, q = np.array([0.5, 0.3, 0.2]), np.array([0.2, 0.35, 0.45])
    assert kullback_leibler_divergence(p, q) == pytest.approx(entropy(p, q))
    assert kullback_leibler_divergence(p, q) != pytest.approx(kullback_leibler_divergence(q, p))
    assert kullback_leibler_divergence(p, p) == 0


def test_a_state_missing_in_the_second_makes_the_divergence_infinite_and_one_missing_in_the_first_does_not():
    assert kullback_leibler_divergence(np.array([0.5, 0.5]), np.array([1.0, 0.0])) == np.inf
    assert kullback_leibler_divergence(np.array([1.0, 0.0]), np.array([0.5, 0.5])) == pytest.approx(np.log(2))
    assert np.isnan(kullback_leibler_divergence(np.full(2, np.nan), np.array([0.5, 0.5])))
