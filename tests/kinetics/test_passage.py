import numpy as np
import pytest

from mdlm.kinetics.mfpt import mean_first_passage_time, mfpt_matrix
from mdlm.kinetics.passage import set_codes, trajectory_mfpt


def by_brute_force(pieces, origin, target, lag, frame_time):
    """Follow every frame on its own."""
    waited, ended, passages = 0, 0, 0
    for piece in pieces:
        arrivals = set()
        for begin in (t for t, state in enumerate(piece) if state in origin):
            looks = range(begin + lag, len(piece), lag)
            arrival = next((t for t in looks if piece[t] in target), None)
            last = begin + (len(piece) - 1 - begin) // lag * lag
            waited += (last if arrival is None else arrival) - begin
            ended += arrival is not None
            arrivals.add(arrival)
        passages += len(arrivals - {None})
    return waited * frame_time / ended, passages / lag


@pytest.mark.parametrize("lag", [1, 3])
def test_a_passage_begins_in_every_frame_of_the_origin(lag):
    rng = np.random.default_rng(0)
    pieces = [rng.integers(0, 5, length).astype(np.uint8) for length in (200, 37, 1, 80)]
    sets = [[0, 3], [1], [2]]
    found = trajectory_mfpt(pieces, 5, sets, lag, 0.5)
    for row, origin in enumerate(sets):
        for column, target in enumerate(sets):
            if row != column:
                time, passages = by_brute_force(pieces, origin, target, lag, 0.5)
                assert found.times[row, column] == pytest.approx(time)
                assert found.n_passages[row, column] == pytest.approx(passages)


def test_waits_are_counted_by_hand():
    """From 0: two waits that end (2 and 1 frames), two that the piece's end cuts off (1 and 0): 4 frames over 2."""
    found = trajectory_mfpt([np.array([0, 0, 1, 2, 0, 0])], 3, [[0], [1], [2]], 1, 10.0)
    assert found.times[0, 1] == pytest.approx(10 * (2 + 1 + 1 + 0) / 2)
    assert found.n_passages[0, 1] == 1
    assert found.cut_share[0, 1] == 0.5


@pytest.mark.parametrize("lag", [1, 7])
def test_a_markov_chain_has_the_passage_times_of_its_matrix_at_the_lag(lag, sample_chain, four_states):
    """Between the pairs of states, too, where a set is left and entered again; errors from the spread of ten parts."""
    pieces = sample_chain(four_states, 100, 20_000, seed=5)
    sets = [[0, 1], [2], [3]]
    found = np.array([trajectory_mfpt(pieces[k::10], 4, sets, lag, 2.0).times for k in range(10)])
    error = found.std(axis=0, ddof=1) / np.sqrt(10)
    expected = mfpt_matrix(np.linalg.matrix_power(four_states, lag), np.full(4, 0.25), sets, lag * 2.0)
    pairs = ~np.eye(3, dtype=bool)
    assert (error[pairs] < 0.06 * expected[pairs]).all()  # or the next line would prove nothing
    assert (np.abs(found.mean(axis=0) - expected)[pairs] < 4 * error[pairs]).all()


@pytest.mark.parametrize("n_frames", [30, 300])
def test_cut_waits_do_not_shorten_the_time_of_a_two_state_chain(n_frames, sample_chain):
    """The mean is 1 / a; leaving cut waits out would give less than half of it in pieces of thirty frames."""
    a, b = 0.02, 0.05
    pieces = sample_chain(np.array([[1 - a, a], [b, 1 - b]]), 600_000 // n_frames, n_frames, seed=6)
    found = trajectory_mfpt(pieces, 2, [[0], [1]], 1, 1.0)
    assert found.times[0, 1] == pytest.approx(1 / a, rel=0.05)
    assert found.times[1, 0] == pytest.approx(1 / b, rel=0.05)


def test_a_sequence_with_memory_disagrees_with_its_markov_model():
    """Visits of exactly fifty frames: a clock in every frame waits 25.5 on average, the chain's law says fifty."""
    piece = np.repeat(np.arange(400) % 2, 50)
    found = trajectory_mfpt([piece], 2, [[0], [1]], 1, 1.0)
    assert found.times[0, 1] == pytest.approx(25.5)
    chain = np.array([[0.98, 0.02], [0.02, 0.98]])
    assert mean_first_passage_time(chain, np.array([0.5, 0.5]), [0], [1], 1.0) == pytest.approx(50)


def test_passages_never_seen_and_sets_never_visited_are_missing():
    found = trajectory_mfpt([np.array([0, 0, 1, 1])], 3, [[0], [1], [2], []], 1, 1.0)
    assert np.isnan(found.times).tolist() == [
        [False, False, True, True],
        [True, False, True, True],
        [True, True, False, True],
        [True, True, True, True],
    ]
    assert found.cut_share[0, 2] == 1
    assert np.isnan(found.cut_share[2, 0])


@pytest.mark.parametrize("pieces", [[], [np.array([], dtype=int)], [np.array([0])]])
def test_nothing_to_count_gives_missing_times(pieces):
    found = trajectory_mfpt(pieces, 2, [[0], [1]], 5, 1.0)
    assert np.isnan(found.times[~np.eye(2, dtype=bool)]).all()
    assert not found.n_passages.any()


@pytest.mark.parametrize(("sets", "message"), [([[0], [0, 1]], "share a state"), ([[0], [3]], r"0\.\.3; allowed are")])
def test_overlapping_or_foreign_sets_are_refused(sets, message):
    with pytest.raises(ValueError, match=message):
        set_codes(sets, 3)


def test_a_lag_below_one_frame_is_refused():
    with pytest.raises(ValueError, match=r"lag \(0\)"):
        trajectory_mfpt([np.array([0, 1])], 2, [[0], [1]], 0, 1.0)
