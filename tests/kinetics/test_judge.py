"""What a referee must say of constructed samples: the must-shows, timescale by timescale, and bad input."""

import math

import numpy as np
import pytest

from mdlm.kinetics.compare import Kinetics
from mdlm.trajectory import Dtraj

LAG = 10.0
SLOW_OF_RIGHT = 0.02  # hopping probability inside the right pair; inside the left one it is 0.1


def chain_of_pairs(slow=0.002, left=0.1, right=SLOW_OF_RIGHT):
    """Two pairs with exchange between them; the hidden eigenvalues are 1 - 2 slow and about 1 - 2 right, 1 - 2 left."""
    stay_left, stay_right = 1 - left - slow, 1 - right - slow
    return np.array(
        [
            [stay_left, left, slow, 0],
            [left, stay_left, 0, slow],
            [slow, 0, stay_right, right],
            [0, slow, right, stay_right],
        ]
    )


def dtraj(pieces, n_states=4, frame_time=0.5):
    return Dtraj(tuple(np.asarray(piece) for piece in pieces), frame_time, "ps", n_states)


@pytest.fixture(scope="module")
def data(sample_chain):
    return dtraj(sample_chain(chain_of_pairs(), 60, 8000, seed=31))


@pytest.fixture(scope="module")
def judge(data):
    return Kinetics(lag_time=LAG, n_lags=3).judge(data, data, data, None, seed=1)


@pytest.fixture(scope="module")
def itself(judge, data):
    return judge.compare(data)


def test_a_sequence_against_itself_is_within_the_datas_own_error(itself):
    assert [ratio.value for ratio in itself.ratios_to_data] == [1, 1, 1]
    assert itself.verdict.startswith("within the data's own error (ratio 1 [")
    assert len(itself.verdicts) == 2  # t4, 2.2 ps, is not resolved at a lag of 10 ps
    assert all(said.startswith("within the data's own error (ratio 1 [") for said in itself.verdicts)


def test_t2_halved_is_too_fast_by_two_with_an_interval_that_holds_two(judge, sample_chain):
    found = judge.compare(dtraj(sample_chain(chain_of_pairs(slow=0.004), 60, 8000, seed=32)))
    ratio = found.t2_ratio_to_data
    assert 1 / 2.1 < ratio.value < 1 / 1.9
    assert ratio.low < 0.5 < ratio.high
    assert found.verdict.startswith(f"too fast by {1 / ratio.value:.3g}x [")


def test_a_faster_process_that_is_wrong_is_said_after_a_slowest_one_that_is_right(judge, data, sample_chain):
    """The data with other hops inside the right pair, twice as many; the crossings are the same."""
    hop = 2 * SLOW_OF_RIGHT
    inside = sample_chain(np.array([[1 - hop, hop], [hop, 1 - hop]]), 60, 8000, seed=33)
    found = judge.compare(dtraj([np.where(a > 1, 2 + b, a) for a, b in zip(data.pieces, inside, strict=True)]))
    assert found.verdicts[0].startswith("within the data's own error (ratio 1 [")
    assert found.verdict.startswith(f"{found.verdicts[0]}; but t3 is {found.verdicts[1]}")
    assert found.verdicts[1].startswith("too fast by")
    # States 2 and 3 against each other decay with (1 - slow) (1 - 2 hop) per frame.
    expected = math.log(0.998 * (1 - 2 * SLOW_OF_RIGHT)) / math.log(0.998 * (1 - 2 * hop))
    assert found.ratios_to_data[1].value == pytest.approx(expected, rel=0.12)  # three errors of data and sample


def test_each_timescale_has_events_of_its_own(itself, data):
    """Of t3 the hops inside the right pair alone: its sides are states 2 and 3, and the left pair is on none."""
    slow, right, left = itself.processes
    assert slow.codes.tolist() == [0, 0, 1, 1]
    assert right.codes.tolist() == [-1, -1, 0, 1]
    assert left.codes.tolist() == [0, 1, -1, -1]
    hops = data.n_frames / 2 * SLOW_OF_RIGHT
    crossings = data.n_frames * 0.002
    assert itself.data.events[0] == pytest.approx(crossings, rel=0.1)
    assert 0.5 * hops < itself.data.events[1] < hops  # visits shorter than half of t3 are none


def test_three_events_are_undecided(judge):
    visits = dtraj([np.repeat([0, 2, 0, 2], 2000) ^ (np.arange(8000) % 9 == 0)] + [np.zeros(8000, int)] * 59)
    few = Kinetics(lag_time=LAG, n_lags=3).judge(visits, visits, visits, None, seed=1).compare(visits)
    assert few.data.n_events == 3
    assert few.verdict == "undecided: 3 events in the data (10 needed)"


def test_several_samples_meet_the_same_data(judge, data, itself):
    other = judge.compare(dtraj([piece[:4000] for piece in data.pieces]))
    assert other.data is itself.data
    assert judge.compare(data).metrics() == itself.metrics()


def test_every_sampled_timescale_stands_beside_its_floor_and_the_converged_reference(itself):
    metrics = itself.metrics()
    for k in (2, 3, 4):
        assert 1 < metrics[f"t{k}_floor_factor"] < metrics[f"t{k}_ratio_floor_factor"] < 1.5
    assert metrics["plateau_found"] == 1
    assert metrics["plateau_lag_ps"] == 0.5
    closed = -0.5 / math.log(1 - 0.004)
    assert metrics["t2_converged_ps_low"] < closed < metrics["t2_converged_ps_high"]
    assert metrics["floor_duration_ps"] == itself.data.duration
    assert any("level from lag 0.5 ps on" in note for note in itself.notes)
    assert any(
        note.startswith("floor: the same estimator on MD as long as 240000 ps scatters") for note in itself.notes
    )


def test_a_longer_sample_has_the_floor_of_the_training_data_and_says_so(judge, data, sample_chain):
    found = judge.compare(dtraj(sample_chain(chain_of_pairs(), 90, 8000, seed=35)))
    assert found.floor.of_data
    assert found.floor.duration == data.duration
    assert any("the training data, which the sample exceeds" in note for note in found.notes)


def test_a_short_sample_has_a_wide_floor(judge, data, itself):
    found = judge.compare(dtraj([data.pieces[0], data.pieces[1][:4000]]))
    assert not found.floor.of_data
    wide, narrow = (math.log(c.floor.timescales[0].factor) for c in (found, itself))
    assert wide / narrow == pytest.approx(math.sqrt(60 / 1.5), rel=0.25)


@pytest.mark.parametrize(
    ("sampled", "message"),
    [
        (dtraj([[0, 1]] * 9, n_states=3), r"^n_states of sampled \(3\) must be that of the tokens, 4$"),
        (dtraj([[0, 1]] * 9, frame_time=1.0), r"^frame_time of sampled \(1\) must be that of the tokens, 0.5$"),
    ],
)
def test_another_alphabet_or_clock_is_one_line_of_error(judge, sampled, message):
    with pytest.raises(ValueError, match=message):
        judge.compare(sampled)


def test_a_lag_longer_than_the_data_is_one_line_of_error():
    short = dtraj([[0, 1, 0, 1]] * 9)
    expected = r"^lag_time \(10 ps, 20 frames\) must be shorter than the longest piece of the reference, 4 frames$"
    with pytest.raises(ValueError, match=expected):
        Kinetics(lag_time=LAG).judge(short, short, short, None, seed=1)
    with pytest.raises(ValueError, match="longest piece of the reference, 0 frames"):
        Kinetics(lag_time=LAG).judge(dtraj([]), dtraj([]), dtraj([]), None, seed=1)


@pytest.mark.parametrize("pieces", [[], [[]], [[], []], [[0, 1, 2]] * 30])
def test_empty_chains_and_such_as_are_shorter_than_the_lag_are_undecided_and_noted(judge, pieces):
    found = judge.compare(dtraj([np.array(piece, dtype=int) for piece in pieces]))
    assert found.verdict.startswith("undecided")
    assert "sampled: no piece is longer than the lag, so nothing can be estimated" in found.notes


def test_states_that_fall_apart_are_named_and_never_dropped_in_silence(judge, data):
    """State 3 is entered once and never left, at the end of one chain."""
    pieces = [np.where(piece == 3, 2, piece) for piece in data.pieces]
    pieces[0] = np.concatenate([pieces[0], np.full(100, 3)])
    found = judge.compare(dtraj(pieces))
    share = found.metrics()["active_share_sampled"]
    assert 0.999 < share < 1
    assert any(note.startswith("sampled: state 3 not connected to the rest, dropped with") for note in found.notes)


def test_one_state_only_has_no_verdict_to_give():
    still = dtraj(np.zeros((30, 400), dtype=int), n_states=1)
    found = Kinetics(lag_time=LAG).judge(still, still, still, None, seed=1).compare(still)
    assert found.verdict.startswith("undecided: the reference holds no slow process")
    assert found.verdicts == ()
    assert found.metrics()["plateau_found"] == 0
