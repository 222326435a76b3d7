import numpy as np
import pytest

from mdlm.kinetics.autocorrelation import state_autocorrelation


def test_a_markov_chain_has_the_autocorrelation_of_its_matrix(sample_chain, four_states):
    pieces = sample_chain(four_states, 60, 4000, seed=3)
    values, vectors = np.linalg.eig(four_states.T)
    stationary = vectors[:, values.real.argmax()].real
    stationary /= stationary.sum()
    by_chance = (stationary**2).sum()
    for lag, found in zip((0, 1, 5, 20), state_autocorrelation(pieces, 4, (0, 1, 5, 20)), strict=True):
        same = stationary @ np.linalg.matrix_power(four_states, lag).diagonal()
        assert found == pytest.approx((same - by_chance) / (1 - by_chance), abs=0.01)


def test_no_pair_crosses_from_one_piece_to_the_next():
    pieces = [np.zeros(5, int), np.ones(5, int)]
    np.testing.assert_array_equal(state_autocorrelation(pieces, 2, [1, 4, 5]), [1.0, 1.0, np.nan])


def test_one_state_alone_has_none():
    assert np.isnan(state_autocorrelation([np.zeros(5, int)], 3, [1])).all()
