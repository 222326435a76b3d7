import numpy as np
import pytest

from mdlm.kinetics.mfpt import log_error_rms, mean_first_passage_time, mfpt_matrix


def birth_death_chain(up, down, n_states):
    chain = np.diag(np.full(n_states - 1, up), 1) + np.diag(np.full(n_states - 1, down), -1)
    return chain + np.diag(1 - chain.sum(axis=1))


@pytest.mark.parametrize(("up", "down"), [(0.1, 0.1), (0.3, 0.2)])
def test_birth_death_chain_matches_the_closed_form(up, down):
    """The time from k to k + 1 is the sum over l of (down / up)^l / up, l = 0 .. k."""
    n_states, lag_time = 5, 2.5
    chain = birth_death_chain(up, down, n_states)
    stationary = (up / down) ** np.arange(n_states)
    steps = [sum((down / up) ** down_steps for down_steps in range(k + 1)) / up for k in range(n_states - 1)]
    for target in range(1, n_states):
        found = mean_first_passage_time(chain, stationary / stationary.sum(), [0], [target], lag_time)
        assert found == pytest.approx(lag_time * sum(steps[:target]))


def test_the_origin_is_averaged_with_its_stationary_weights():
    """By hand: m0 = 5 + m1 and m1 = 5 + m0 / 2, so m0 = 20 and m1 = 15; the weights are 2 to 4."""
    chain = np.array([[0.8, 0.2, 0.0], [0.1, 0.8, 0.1], [0.0, 0.4, 0.6]])
    found = mean_first_passage_time(chain, np.array([2, 4, 1]) / 7, [0, 1], [2], 1.0)
    assert found == pytest.approx((2 * 20 + 4 * 15) / 6)


def test_mfpts_agree_with_deeptime(four_states):
    from deeptime.markov.tools.analysis import mfpt

    stationary = np.full(4, 0.25)
    sets = [[0, 1], [2], [3]]
    times = mfpt_matrix(four_states, stationary, sets, lag_time=3.0)
    for row, origin in enumerate(sets):
        for column, target in enumerate(sets):
            expected = 0 if row == column else mfpt(four_states, target, origin=origin, tau=3, mu=stationary)
            assert times[row, column] == pytest.approx(expected)


def test_an_empty_set_gives_nan_in_its_row_and_column(four_states):
    times = mfpt_matrix(four_states, np.full(4, 0.25), [[0], [], [3]], 1.0)
    assert np.isnan(times).tolist() == [[False, True, False], [True, True, True], [False, True, False]]


@pytest.mark.parametrize(("origin", "target"), [([0], [0, 1]), ([], [1]), ([0], [])])
def test_overlapping_or_empty_sets_are_refused(origin, target):
    with pytest.raises(ValueError, match=r"overlap|at least one state"):
        mean_first_passage_time(np.full((2, 2), 0.5), np.full(2, 0.5), origin, target, 1.0)


def test_log_error_is_the_rms_over_ordered_pairs():
    """One of two pairs is off by e, the other is right: sqrt((1 + 0) / 2)."""
    reference = np.array([[0, 10.0], [20.0, 0]])
    judged = np.array([[0, 10.0 * np.e], [20.0, 0]])
    assert log_error_rms(judged, reference) == pytest.approx(np.sqrt(0.5))


def test_a_pair_missing_in_the_sample_makes_the_error_unknown_but_one_missing_in_the_data_is_left_out():
    full = np.array([[0, 1.0, 2.0], [1.0, 0, 3.0], [2.0, 3.0, 0]])
    holed = full.copy()
    holed[2, :] = holed[:, 2] = np.nan
    assert np.isnan(log_error_rms(holed, full))
    assert log_error_rms(2 * full, holed) == pytest.approx(np.log(2))
    assert np.isnan(log_error_rms(full, np.full((3, 3), np.nan)))
