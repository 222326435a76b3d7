import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mdlm.kinetics.counts import count_matrix, piece_count_matrices, transition_counts

PIECES = st.lists(st.lists(st.integers(0, 3), max_size=30).map(np.array), min_size=1, max_size=5)


def as_states(pieces):
    return [np.asarray(piece, dtype=np.int64) for piece in pieces]


def test_three_state_counts_agree_with_a_hand_count():
    piece = np.array([0, 0, 1, 2, 1, 0, 2])
    assert count_matrix([piece], 3, lag=1).tolist() == [[1, 1, 1], [1, 0, 1], [0, 1, 0]]
    assert count_matrix([piece], 3, lag=2).tolist() == [[0, 1, 1], [0, 1, 1], [1, 0, 0]]


def test_counts_never_cross_the_boundary_between_two_pieces():
    """Each piece stays in its own state, so nothing may connect the two."""
    pieces = [np.zeros(5, dtype=int), np.ones(5, dtype=int)]
    for lag in (1, 3):
        assert count_matrix(pieces, 2, lag).tolist() == [[5 - lag, 0], [0, 5 - lag]]


def test_a_piece_no_longer_than_the_lag_holds_no_transition():
    assert count_matrix([np.array([0, 1])], 2, lag=2).sum() == 0
    assert count_matrix([np.array([], dtype=int)], 2, lag=1).sum() == 0


@given(PIECES, st.integers(1, 6))
def test_counts_agree_with_a_loop_over_frames(pieces, lag):
    expected = np.zeros((4, 4), dtype=int)
    for piece in as_states(pieces):
        for start, end in zip(piece[:-lag], piece[lag:], strict=True):
            expected[start, end] += 1
    np.testing.assert_array_equal(count_matrix(as_states(pieces), 4, lag), expected)


@given(PIECES, st.integers(1, 6), st.integers(1, 4))
def test_cutting_pieces_into_blocks_loses_no_transition(pieces, lag, n_blocks):
    pieces = as_states(pieces)
    edges = [np.linspace(0, len(piece), n_blocks + 1).astype(int) for piece in pieces]
    rows = piece_count_matrices(pieces, 4, lag, edges)
    assert rows.shape == (n_blocks * len(pieces), 16)
    np.testing.assert_array_equal(rows.sum(axis=0).reshape(4, 4), count_matrix(pieces, 4, lag))


@pytest.mark.parametrize("n_states", [4, 300])
def test_each_row_is_the_count_matrix_of_its_piece(n_states):
    """Small and large alphabets take different ways to the same histogram."""
    rng = np.random.default_rng(0)
    pieces = [rng.integers(0, n_states, size) for size in (50, 3, 400)]
    rows = piece_count_matrices(pieces, n_states, lag=3).toarray()
    for row, piece in zip(rows, pieces, strict=True):
        expected = count_matrix([piece], n_states, 3)
        np.testing.assert_array_equal(row.reshape(n_states, n_states), expected)


def test_no_pieces_give_no_rows():
    assert piece_count_matrices([], 3, lag=1).shape == (0, 9)


def test_small_integer_types_do_not_overflow():
    """State 200 of 255 in one byte: 200 * 255 does not fit into it."""
    piece = np.array([200, 254], dtype=np.uint8)
    assert count_matrix([piece], 255, lag=1)[200, 254] == 1


@pytest.mark.parametrize("lag", [1, 7])
def test_counts_agree_with_deeptime_and_msmhelper(lag, sample_chain, four_states):
    import msmhelper
    from deeptime.markov import TransitionCountEstimator

    pieces = sample_chain(four_states, 3, 200, seed=1)
    counts = count_matrix(pieces, 4, lag)
    deeptime = TransitionCountEstimator(lag, "sliding", n_states=4).fit_fetch(list(pieces))
    np.testing.assert_array_equal(counts, deeptime.count_matrix)
    matrix, _ = msmhelper.msm.estimate_markov_model(list(pieces), lag)
    np.testing.assert_allclose(counts / counts.sum(axis=1, keepdims=True), matrix, atol=1e-15)


@pytest.mark.parametrize(("piece", "lag"), [([0, 3], 1), ([-1, 0], 1), ([0, 1], 0)])
def test_a_state_outside_the_alphabet_or_a_lag_below_one_frame_is_refused(piece, lag):
    with pytest.raises(ValueError, match=r"allowed are 0\.\.2|at least 1 frame"):
        count_matrix([np.array(piece)], 3, lag)


def test_transition_counts_are_counts_at_one_frame():
    assert transition_counts([np.array([0, 1, 1])], 2).tolist() == [[0, 1], [0, 1]]
