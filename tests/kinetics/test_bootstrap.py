import numpy as np
import pytest

from mdlm.kinetics.bootstrap import block_edges, percentile_interval, resample_weights, timescale_samples
from mdlm.kinetics.counts import count_matrix, piece_count_matrices
from mdlm.kinetics.events import SlowSides, slow_sides
from mdlm.kinetics.msm import reversible_transition_matrix
from mdlm.kinetics.timescales import implied_timescales

HOP = 0.05
TWO_STATES = np.array([[1 - HOP, HOP], [HOP, 1 - HOP]])
LAG = 2


def sides_of(n_states):
    return SlowSides(np.arange(n_states) % 2, np.full(n_states, 1 / n_states))


def interval(pieces, seed):
    """90 % interval of t2 of a two-state sequence."""
    edges = block_edges([len(piece) for piece in pieces], LAG)
    rows = piece_count_matrices(pieces, 2, LAG, edges)
    weights = resample_weights(rows.shape[0], 200, np.random.default_rng(seed))
    low, high = percentile_interval(timescale_samples(rows, weights, LAG, 1, sides_of(2)), 0.9)
    return low[0], high[0]


@pytest.mark.parametrize(("n_pieces", "n_frames"), [(30, 500), (1, 15_000)])
def test_a_90_percent_interval_covers_the_truth_about_90_percent_of_the_time(n_pieces, n_frames, sample_chain):
    """Whole pieces, and one piece in blocks. Of 200 repetitions 180 +- 4.2 should cover; within 4 sigma."""
    truth = -1 / np.log(1 - 2 * HOP)
    n_repetitions = 200
    pieces = sample_chain(TWO_STATES, n_repetitions * n_pieces, n_frames, seed=5)
    covered = 0
    for repetition in range(n_repetitions):
        low, high = interval(pieces[repetition * n_pieces : (repetition + 1) * n_pieces], repetition)
        covered += low <= truth <= high
    assert 163 <= covered <= 197


def test_enough_equal_pieces_are_left_whole():
    assert [edges.tolist() for edges in block_edges([100] * 21, lag=1)] == [[0, 100]] * 21


def test_a_single_piece_is_cut_into_forty_blocks():
    (edges,) = block_edges([1000], lag=1)
    assert np.diff(edges).tolist() == [25] * 40


def test_blocks_are_never_shorter_than_ten_lags():
    (edges,) = block_edges([1000], lag=12)
    assert np.diff(edges).min() >= 120
    assert len(edges) - 1 == 8


def test_one_long_piece_among_short_ones_is_cut():
    edges = block_edges([1000, *[10] * 30], lag=1)
    assert len(edges[0]) - 1 == 31
    assert all(len(short) == 2 for short in edges[1:])


def test_weights_draw_as_many_blocks_as_there_are():
    weights = resample_weights(7, 50, np.random.default_rng(0))
    assert weights.shape == (50, 7)
    assert (weights.sum(axis=1) == 7).all()


def test_a_resample_is_the_estimate_from_the_pieces_drawn(sample_chain, four_states):
    """Drawing a piece twice is having it twice in the data."""
    pieces = sample_chain(four_states, 8, 3000, seed=2)
    rows = piece_count_matrices(pieces, 4, lag=5)
    weights = np.array([[2, 0, 1, 1, 3, 0, 0, 1]])
    drawn = [piece for piece, times in zip(pieces, weights[0], strict=True) for _ in range(times)]
    msm = reversible_transition_matrix(count_matrix(drawn, 4, lag=5))
    found = timescale_samples(rows, weights, 5.0, 3, slow_sides(msm))
    np.testing.assert_allclose(found[0], implied_timescales(msm.matrix, 5.0, 3), rtol=1e-9)


def test_a_resample_without_the_slow_transition_counts_as_an_infinite_timescale():
    """Only the first of six pieces crosses; leaving it out must show as infinite, not as a faster process."""
    pieces = [np.array([0, 1, 0, 2, 3, 2, 0, 1, 0, 0])] + [np.array([0, 1, 0, 0]), np.array([2, 3, 2, 2])] * 3
    rows = piece_count_matrices(pieces, 4, lag=1)
    sides = SlowSides(np.array([0, 0, 1, 1]), np.full(4, 0.25))
    weights = np.array([[1, 1, 1, 1, 1, 1, 1], [0, 2, 1, 1, 1, 1, 1]])
    kept, lost = timescale_samples(rows, weights, 1.0, 3, sides)
    assert np.isfinite(kept).all()
    assert lost[0] == np.inf
    assert np.isnan(lost[1:]).all()


def test_fewer_than_five_blocks_give_no_interval():
    pieces = [np.array([0, 1, 0, 0, 1])] * 4 + [np.array([0])] * 10
    rows = piece_count_matrices(pieces, 2, lag=1)
    weights = resample_weights(14, 30, np.random.default_rng(0))
    samples = timescale_samples(rows, weights, 1.0, 1, sides_of(2))
    assert np.isnan(samples).all()
    assert np.isnan(percentile_interval(samples, 0.9)).all()


def test_percentiles_hold_the_confidence_between_them():
    low, high = percentile_interval(np.random.default_rng(0).permutation(np.arange(1001.0))[:, None], 0.8)
    assert (low[0], high[0]) == (100, 900)


def test_infinite_samples_make_the_upper_bound_infinite_and_unknown_ones_are_left_out():
    samples = np.array([1.0, 2.0, 3.0, np.inf, np.inf, np.nan])
    low, high = percentile_interval(samples, 0.9)
    assert (low, high) == (1.0, np.inf)


def test_mostly_unknown_samples_give_an_unknown_interval():
    assert np.isnan(percentile_interval(np.array([1.0, np.nan, np.nan]), 0.9)).all()
