import numpy as np
import pytest

from mdlm.kinetics.autocorrelation import indicator_autocorrelations, logarithmic_lags, state_autocorrelation
from mdlm.kinetics.populations import populations


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


def test_indicators_of_a_markov_chain_have_the_autocorrelation_of_its_matrix(sample_chain, four_states):
    """And weighted by their variances they add up to that of all states together."""
    pieces = sample_chain(four_states, 60, 4000, seed=3)
    lags = [0, 1, 5, 20]
    found = indicator_autocorrelations(pieces, 4, lags)
    for column, lag in enumerate(lags):
        again = np.linalg.matrix_power(four_states, lag).diagonal()
        np.testing.assert_allclose(found[:, column], (again - 0.25) / 0.75, atol=0.02)
    shares = populations(pieces, 4)
    variance = shares * (1 - shares)
    np.testing.assert_allclose(variance @ found / variance.sum(), state_autocorrelation(pieces, 4, lags))


def test_indicators_agree_with_the_fourier_transform():
    """Products of the zero-padded indicator with itself, over the number of pairs at each lag."""
    piece = np.random.default_rng(0).integers(0, 3, 257)
    found = indicator_autocorrelations([piece.astype(np.uint8)], 3, np.arange(100))
    for state in range(3):
        indicator = (piece == state).astype(float)
        spectrum = np.abs(np.fft.rfft(indicator, 1024)) ** 2
        together = np.fft.irfft(spectrum)[:100] / (257 - np.arange(100))
        share = indicator.mean()
        np.testing.assert_allclose(found[state], (together - share**2) / (share * (1 - share)), atol=1e-12)


@pytest.mark.parametrize("pieces", [[], [np.array([], dtype=int)], [np.zeros(3, dtype=int)]])
def test_states_never_or_always_visited_have_no_autocorrelation(pieces):
    assert np.isnan(indicator_autocorrelations(pieces, 2, [0, 1, 9])).all()


def test_indicators_do_not_cross_from_one_piece_to_the_next():
    found = indicator_autocorrelations([np.zeros(5, int), np.ones(5, int)], 2, [1, 4, 5])
    np.testing.assert_array_equal(found, [[1.0, 1.0, np.nan]] * 2)


@pytest.mark.parametrize("longest", [0, 1, 7, 10_000])
def test_logarithmic_lags_run_from_zero_to_the_longest(longest):
    lags = logarithmic_lags(longest, 20)
    assert (lags[0], lags[-1]) == (0, max(longest, 1))
    assert (np.diff(lags) > 0).all()
    assert len(lags) <= 20
