import numpy as np
import pytest

from mdlm.kinetics.reversible import reversible_flux
from mdlm.kinetics.timescales import flux_timescales, implied_timescales


@pytest.mark.parametrize("lag_time", [0.5, 10.0])
def test_two_state_chain_matches_the_closed_form(lag_time):
    """With hop probabilities a and b the only other eigenvalue is 1 - a - b."""
    a, b = 0.02, 0.05
    chain = np.array([[1 - a, a], [b, 1 - b]])
    np.testing.assert_allclose(implied_timescales(chain, lag_time, 1), [-lag_time / np.log(1 - a - b)])


def test_timescales_of_a_markov_chain_do_not_depend_on_the_lag(four_states):
    once = implied_timescales(four_states, 1.0, 3)
    np.testing.assert_allclose(implied_timescales(np.linalg.matrix_power(four_states, 8), 8.0, 3), once)


def test_four_state_chain_matches_the_closed_form(four_states):
    """The chain is a product of two two-state chains, so the eigenvalues are known."""
    eigenvalues = np.array([1 - 0.004, 1 - 0.2, 1 - 0.204])
    np.testing.assert_allclose(implied_timescales(four_states, 1.0, 3), -1 / np.log(eigenvalues))


def test_timescales_agree_with_deeptime(four_states):
    from deeptime.markov.msm import MarkovStateModel

    expected = MarkovStateModel(four_states, lagtime=1).timescales()
    np.testing.assert_allclose(implied_timescales(four_states, 1.0, 3), expected, rtol=1e-10)


@pytest.mark.parametrize("n_states", [4, 90])
def test_fluxes_and_their_transition_matrix_have_the_same_timescales(n_states):
    """Above 64 states the flux goes through a sparse eigensolver."""
    rng = np.random.default_rng(0)
    flux = reversible_flux(rng.poisson(2, (3, n_states, n_states)) + 50 * np.eye(n_states, dtype=int) + 1)
    times = flux_timescales(flux, 2.0, 3)
    for one, found in zip(flux, times, strict=True):
        expected = implied_timescales(one / one.sum(axis=1, keepdims=True), 2.0, 3)
        np.testing.assert_allclose(found, expected, rtol=1e-9)


def test_too_few_states_leave_the_faster_timescales_unknown():
    times = flux_timescales(reversible_flux(np.array([[8, 2], [2, 8]])), 1.0, 3)
    np.testing.assert_allclose(times, [-1 / np.log(0.6), np.nan, np.nan])


def test_two_sides_that_never_exchange_have_an_infinite_timescale():
    assert implied_timescales(np.eye(2), 1.0, 1).tolist() == [np.inf]


def test_rows_that_do_not_sum_to_one_are_refused():
    with pytest.raises(ValueError, match="sum to one"):
        implied_timescales(np.array([[0.9, 0.2], [0.1, 0.9]]), 1.0, 1)


def test_more_timescales_than_exist_are_refused():
    with pytest.raises(ValueError, match="at most 1 for 2 states"):
        implied_timescales(np.eye(2), 1.0, 2)
