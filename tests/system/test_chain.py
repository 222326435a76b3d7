import dataclasses

import numpy as np
import pytest
from deeptime.markov.msm import MarkovStateModel
from scipy.stats import chisquare

from mdlm.partition.labels import Labels
from mdlm.system import walkers
from mdlm.system.chain import Chain, check_chain

TWO_STATES = ((0.98, 0.02), (0.05, 0.95))
PAIRS = (
    (0.948, 0.050, 0.001, 0.001),
    (0.050, 0.948, 0.001, 0.001),
    (0.001, 0.001, 0.958, 0.040),
    (0.001, 0.001, 0.040, 0.958),
)


def chain(transition_matrix=PAIRS, **changes):
    fields = {
        "lag_time": 10.0,
        "n_trajectories": 4,
        "n_frames": 1000,
        "frame_time": 0.5,
        "time_unit": "ns",
        "seed": 0,
    }
    return Chain(transition_matrix=transition_matrix, **fields | changes)


def test_two_states_have_the_closed_form():
    """With hop probabilities a and b: one eigenvalue 1 - a - b, populations b / (a + b) and a / (a + b)."""
    system = chain(TWO_STATES)
    np.testing.assert_allclose(system.truth().timescales, [-0.5 / np.log(1 - 0.02 - 0.05)])
    np.testing.assert_allclose(system.stationary_distribution, [5 / 7, 2 / 7])
    assert system.truth().errors == (0.0,)


def test_two_symmetric_pairs_have_the_closed_form():
    """Sum and difference over the pairs: eigenvalues 1 - 4c, 1 - 2a - 2c, 1 - 2b - 2c, with c = 0.001."""
    expected = -0.5 / np.log([1 - 0.004, 1 - 0.08 - 0.002, 1 - 0.1 - 0.002])
    np.testing.assert_allclose(chain().truth().timescales, expected, rtol=1e-9)


def test_an_eigenvalue_of_zero_relaxes_at_once():
    assert chain(((0.5, 0.5), (0.5, 0.5))).truth().timescales[0] < 0.02


def test_a_random_reversible_chain_agrees_with_deeptime():
    counts = np.random.default_rng(0).random((6, 6))
    matrix = (counts + counts.T) / (counts + counts.T).sum(axis=1, keepdims=True)
    system = chain(tuple(map(tuple, matrix.tolist())))
    model = MarkovStateModel(matrix, lagtime=1)
    np.testing.assert_allclose(system.truth().timescales, 0.5 * np.sort(model.timescales())[::-1], rtol=1e-6)
    np.testing.assert_allclose(system.stationary_distribution, model.stationary_distribution)


def test_transitions_occur_as_often_as_the_matrix_says():
    """Chi-square of each row of counts; the smallest expected count is about 100 and the seed is fixed."""
    states = chain(n_frames=100_000, seed=1).trajectories().pieces
    counts = np.zeros((4, 4))
    for piece in states:
        labels = piece[:, 0].astype(int)
        np.add.at(counts, (labels[:-1], labels[1:]), 1)
    for row, expected in zip(counts, np.array(PAIRS), strict=True):
        assert chisquare(row, row.sum() * expected).pvalue > 0.001


def test_trajectories_start_in_the_stationary_distribution():
    starts = [piece[0, 0] for piece in chain(TWO_STATES, n_trajectories=4000, n_frames=1).trajectories().pieces]
    # binomial standard error sqrt(5/7 x 2/7 / 4000) = 0.007
    assert np.mean(starts) == pytest.approx(2 / 7, abs=0.028)


def test_a_step_that_cannot_happen_never_does():
    ring = ((0.5, 0.5, 0.0), (0.0, 0.5, 0.5), (0.5, 0.0, 0.5))
    for piece in chain(ring, n_frames=50_000).trajectories().pieces:
        assert set(np.diff(piece[:, 0])) <= {0.0, 1.0, -2.0}


def test_the_size_of_a_chunk_changes_no_bit(monkeypatch):
    whole = chain().trajectories()
    monkeypatch.setattr(walkers, "CHUNK_STEPS", 7)
    for piece, other in zip(whole.pieces, chain().trajectories().pieces, strict=True):
        assert np.array_equal(piece, other)


def test_the_header_tells_what_comes():
    system = chain()
    trajectories = system.trajectories()
    header = system.header
    assert (trajectories.columns, trajectories.lengths) == (header.columns, header.lengths)
    assert (header.columns, header.lengths) == (("state",), (1000,) * 4)
    assert (trajectories.frame_time, trajectories.time_unit) == (header.frame_time, header.time_unit)
    assert {piece.dtype for piece in trajectories.pieces} == {np.dtype(np.float32)}


def test_its_states_read_as_labels_give_back_its_timescales():
    """The slowest time from counts at one frame lag, within four standard errors over trajectories."""
    system = chain(TWO_STATES, n_trajectories=20, n_frames=20_000)
    trajectories = system.trajectories()
    states = Labels().fit(trajectories).assign(trajectories)
    hops = np.array(
        [[np.mean(piece[1:][piece[:-1] == here] != here) for here in (0, 1)] for piece in states.pieces]
    ).sum(axis=1)
    error = 4 * hops.std(ddof=1) / np.sqrt(len(hops))
    assert abs(hops.mean() - 0.07) < error < 0.01
    assert states.frame_time == 0.5


def test_what_judges_does_not_enter_the_identity_and_what_samples_does():
    assert chain().identity() == chain(lag_time=3.0).identity()
    assert chain().identity() != dataclasses.replace(chain(), seed=1).identity()


@pytest.mark.parametrize(
    ("matrix", "message"),
    [
        (((1.0,),), r"^transition_matrix has 1 rows; it must have at least 2$"),
        ((), r"^transition_matrix has 0 rows; it must have at least 2$"),
        (((0.5, 0.5), (1.0,)), r"^transition_matrix row 1 has 1 entries; a square matrix needs 2$"),
        (((1.5, -0.5), (0.5, 0.5)), r"^transition_matrix row 0 holds -0\.5; none may be negative$"),
        (((0.5, float("nan")), (0.5, 0.5)), r"^transition_matrix row 0 .*$"),
        (((0.5, 0.5), (0.5, 0.6)), r"^transition_matrix row 1 sums to 1\.1; every row must sum to 1$"),
        (((1.0, 0.0), (0.5, 0.5)), r"^transition_matrix must be ergodic: .*$"),
        (((0.0, 1.0), (1.0, 0.0)), r"^transition_matrix must be ergodic: .*$"),
    ],
)
def test_a_matrix_that_is_no_ergodic_chain_is_refused(matrix, message):
    with pytest.raises(ValueError, match=message):
        check_chain(matrix)


@pytest.mark.parametrize("n_states", [2, 3, 5, 8])
def test_the_slowest_mixing_pattern_still_counts_as_ergodic(n_states):
    """Wielandt's: a ring with one shortcut, whose powers have zeros up to the (n - 1)^2-th."""
    matrix = np.roll(np.eye(n_states), 1, axis=1)
    matrix[-1] = 0
    matrix[-1, :2] = 0.5
    check_chain(tuple(map(tuple, matrix.tolist())))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"n_trajectories": 0}, r"^n_trajectories \(0\) must be positive and finite$"),
        ({"n_frames": 0}, r"^n_frames \(0\) must be positive and finite$"),
        ({"frame_time": -1.0}, r"^frame_time \(-1\.0\) must be positive and finite$"),
        ({"seed": -1}, r"^seed \(-1\) must not be negative$"),
    ],
)
def test_every_bad_field_is_named_in_one_line(changes, message):
    with pytest.raises(ValueError, match=message):
        chain(**changes)
