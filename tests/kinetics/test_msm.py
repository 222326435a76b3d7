import numpy as np
import pytest

from mdlm.kinetics.counts import count_matrix
from mdlm.kinetics.msm import connected_set, reversible_transition_matrix


def test_two_pieces_that_never_connect_give_the_one_with_more_counts():
    pieces = [np.array([0, 1] * 5), np.array([2, 3] * 20)]
    counts = count_matrix(pieces, 4, lag=1)
    assert connected_set(counts).tolist() == [2, 3]


def test_one_busy_state_outweighs_many_stray_ones():
    counts = np.zeros((4, 4), dtype=int)
    counts[0, 0] = 1000
    counts[1:, 1:] = 1
    assert connected_set(counts).tolist() == [0]


def test_a_state_that_is_entered_but_never_left_is_dropped_and_named():
    """Of the 22 counts, 20 stay inside {0, 1}."""
    msm = reversible_transition_matrix(np.array([[8, 2, 0, 1], [2, 8, 0, 0], [0, 0, 0, 0], [0, 0, 0, 1]]))
    assert msm.active.tolist() == [0, 1]
    assert msm.dropped.tolist() == [3], "state 2 was never visited, so it is not dropped"
    assert msm.active_share == pytest.approx(20 / 22)
    np.testing.assert_allclose(msm.matrix, [[0.8, 0.2], [0.2, 0.8]])
    assert msm.rows_of((1, 3)).tolist() == [1]


def test_connected_set_agrees_with_deeptime():
    from deeptime.markov.tools.estimation import largest_connected_set

    rng = np.random.default_rng(0)
    for _ in range(20):
        counts = rng.poisson(0.12, (12, 12))
        mine, theirs = connected_set(counts), np.sort(largest_connected_set(counts))
        if len(theirs) > 6:  # theirs is the largest by states; with most of the states it is so by counts too
            np.testing.assert_array_equal(mine, theirs)


def test_the_matrix_is_reversible_and_its_distribution_stationary(sample_chain, four_states):
    """Both are identities of the estimator, so rounding is the only tolerance."""
    msm = reversible_transition_matrix(count_matrix(sample_chain(four_states, 4, 2000, seed=0), 4, lag=3))
    flux = msm.stationary[:, None] * msm.matrix
    np.testing.assert_allclose(flux, flux.T, atol=1e-15)
    np.testing.assert_allclose(msm.stationary @ msm.matrix, msm.stationary, rtol=1e-12)
    np.testing.assert_allclose(msm.matrix.sum(axis=1), 1, rtol=1e-12)


def test_no_counts_give_an_empty_model():
    msm = reversible_transition_matrix(np.zeros((3, 3), dtype=int))
    assert (len(msm.active), msm.active_share, msm.matrix.shape) == (0, 0.0, (0, 0))


@pytest.mark.parametrize("bad", [-1.0, np.nan])
def test_counts_that_are_no_counts_are_refused(bad):
    with pytest.raises(ValueError, match="not negative"):
        reversible_transition_matrix(np.array([[1.0, bad], [1.0, 1.0]]))
