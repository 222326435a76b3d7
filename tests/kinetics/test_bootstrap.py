import tracemalloc

import numpy as np
import pytest

from mdlm.kinetics.bootstrap import block_edges, percentile_interval, resample_weights, timescale_samples
from mdlm.kinetics.counts import count_matrix, piece_count_matrices
from mdlm.kinetics.events import SlowSides, count_slow_events, slow_sides
from mdlm.kinetics.msm import reversible_transition_matrix
from mdlm.kinetics.populations import populations
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


@pytest.mark.slow
@pytest.mark.parametrize(("n_pieces", "n_frames"), [(30, 500), (1, 15_000)])
def test_a_90_percent_interval_covers_the_truth_in_85_to_95_percent_of_200_cases(n_pieces, n_frames, sample_chain):
    """Whole pieces, and one piece in blocks. A coverage of 90 % is 180 +- 4.2 of 200."""
    truth = -1 / np.log(1 - 2 * HOP)
    n_repetitions = 200
    pieces = sample_chain(TWO_STATES, n_repetitions * n_pieces, n_frames, seed=5)
    covered = 0
    for repetition in range(n_repetitions):
        low, high = interval(pieces[repetition * n_pieces : (repetition + 1) * n_pieces], repetition)
        covered += low <= truth <= high
    assert 170 <= covered <= 190


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


@pytest.mark.parametrize(("n_blocks", "n_drawn"), [(0, 0), (1, 1), (3, 1), (7, 4), (40, 37)])
def test_weights_draw_three_blocks_fewer_than_there_are(n_blocks, n_drawn):
    weights = resample_weights(n_blocks, 50, np.random.default_rng(0))
    assert weights.shape == (50, n_blocks)
    assert (weights.sum(axis=1) == n_drawn).all()


@pytest.mark.parametrize(("n", "confidence"), [(12, 0.9), (30, 0.9), (40, 0.95), (100, 0.9)])
def test_three_blocks_fewer_make_up_for_students_t(n, confidence):
    """With s the standard deviation of n values, z s / sqrt(m) must be t s / sqrt(n - 1); 8 blocks: 3 % wider."""
    from scipy import stats

    z, t = stats.norm.ppf((1 + confidence) / 2), stats.t.ppf((1 + confidence) / 2, n - 1)
    assert z / np.sqrt(n - 3) == pytest.approx(t / np.sqrt(n - 1), rel=0.02)


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


def test_a_long_piece_of_narrow_integers_is_never_copied_whole(tmp_path):
    """Five million frames on disk, 5 MB: as wide integers they would be 40 MB."""
    np.random.default_rng(0).integers(0, 4, 5_000_000, dtype=np.uint8).tofile(tmp_path / "states")
    piece = np.memmap(tmp_path / "states", dtype=np.uint8, mode="r")
    count_slow_events([piece[:100]], np.array([0, 0, 1, 1]), 50)  # compiled before anything is measured
    edges = block_edges([len(piece)], lag=50)
    tracemalloc.start()
    rows = piece_count_matrices([piece], 4, 50, edges)
    counts = count_matrix([piece], 4, 50)
    share = populations([piece], 4)
    count_slow_events([piece], np.array([0, 0, 1, 1]), 50)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 10e6
    np.testing.assert_array_equal(rows.sum(axis=0).reshape(4, 4), counts)
    assert counts.sum() == len(piece) - 50
    np.testing.assert_allclose(share, 0.25, atol=1e-3)
