import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mdlm.trajectory import Dtraj, Trajectory, check_fractions, lag_frames, split_pieces


def numbered(*lengths):
    """Pieces whose entries are all different, so that every frame can be traced: 0, 1, ... then 1000 ..."""
    return tuple(1000 * number + np.arange(length) for number, length in enumerate(lengths))


def dtraj(*lengths):
    return Dtraj(numbered(*lengths), 0.5, "ps", n_states=1000 * len(lengths))


@given(st.integers(1, 10**6), st.sampled_from([0.1, 0.2, 1.0, 2.5, 1e-3]))
def test_a_whole_number_of_frames_survives_the_way_through_physical_time(frames, frame_time):
    assert lag_frames(frames * frame_time, frame_time, "ps") == frames


@pytest.mark.parametrize("lag_time", [0.0, -1.0, 0.04, 0.25])
def test_a_lag_between_frames_is_refused(lag_time):
    with pytest.raises(ValueError, match=r"^lag_time \(.* ps\) must be a positive multiple of .* 0\.1 ps$"):
        lag_frames(lag_time, 0.1, "ps")


def test_counting_frames_and_time_adds_up_over_pieces():
    states = dtraj(10, 4)
    assert (states.n_frames, states.lengths, states.duration) == (14, (10, 4), 7.0)
    assert states.lag_frames(1.5) == 3


@given(st.lists(st.integers(0, 50), min_size=1, max_size=4), st.integers(1, 60))
def test_a_stride_keeps_every_kth_frame_of_each_piece_and_slows_the_clock(lengths, stride):
    thin = dtraj(*lengths).strided(stride)
    assert thin.frame_time == 0.5 * stride
    for number, (piece, length) in enumerate(zip(thin.pieces, lengths, strict=True)):
        assert piece.tolist() == [1000 * number + frame for frame in range(0, length, stride)]


@given(st.lists(st.integers(0, 50), min_size=1, max_size=4), st.integers(1, 60))
def test_all_offsets_use_every_frame_once_piece_by_piece_and_phase_by_phase(lengths, stride):
    thin = dtraj(*lengths).strided(stride, offsets="all")
    assert thin.frame_time == 0.5 * stride
    expected = [list(range(phase, length, stride)) for length in lengths for phase in range(stride) if phase < length]
    number = [1000 * number for number, length in enumerate(lengths) for phase in range(min(stride, length))]
    found = [(piece - first).tolist() for piece, first in zip(thin.pieces, number, strict=True)]
    assert found == expected
    assert thin.n_frames == sum(lengths)


@given(st.lists(st.integers(0, 80), min_size=1, max_size=4), st.integers(1, 9), st.integers(1, 9))
def test_strides_multiply(lengths, first, second):
    """From the first frame on they give the same pieces in the same order, with all offsets the same pieces."""
    states = dtraj(*lengths)
    twice, once = states.strided(first).strided(second), states.strided(first * second)
    assert [piece.tolist() for piece in twice.pieces] == [piece.tolist() for piece in once.pieces]
    all_twice = states.strided(first, "all").strided(second, "all")
    all_once = states.strided(first * second, "all")
    assert sorted(piece.tolist() for piece in all_twice.pieces) == sorted(piece.tolist() for piece in all_once.pieces)
    assert twice.frame_time == once.frame_time == all_twice.frame_time == all_once.frame_time


@given(st.integers(1, 1000), st.integers(1, 100), st.sampled_from([0.1, 0.2, 1.0, 2.5, 1e-3]))
def test_a_lag_of_whole_strided_frames_is_the_same_physical_time(lag, stride, frame_time):
    states = Dtraj((np.arange(3),), frame_time, "ps", n_states=3)
    lag_time = lag * stride * frame_time
    for offsets in ("first", "all"):
        assert states.strided(stride, offsets).lag_frames(lag_time) == lag
    assert states.lag_frames(lag_time) == lag * stride


def test_a_lag_between_strided_frames_is_refused():
    with pytest.raises(ValueError, match=r"^lag_time \(1 ps\) must be a positive multiple of the frame time, 1\.5 ps$"):
        dtraj(30).strided(3, "all").lag_frames(1.0)


def lag_one_correlation(pieces):
    before, after = (np.concatenate([piece[cut] for piece in pieces]) for cut in (slice(-1), slice(1, None)))
    return np.corrcoef(before, after)[0, 1]


@pytest.mark.parametrize("offsets", ["first", "all"])
def test_a_stride_is_not_the_interleaving_of_distant_blocks(offsets):
    """Neighbours in a strided AR(1) series correlate as the original does at that lag, a^k: here 0.76 at 10.

    The interleaving that published code takes for a stride leaves neighbours that lie 10,000 frames apart.
    """
    from scipy.signal import lfilter

    stride, a = 10, 0.76**0.1
    series = lfilter([1.0], [1.0, -a], np.random.default_rng(0).standard_normal(100_000))
    thin = Trajectory((series[:, None],), 1.0, "ps", columns=("x",)).strided(stride, offsets)
    # standard error of the correlation: sqrt((1 - 0.76^2) / 10_000) = 0.0065, not smaller with overlapping phases
    assert lag_one_correlation([piece[:, 0] for piece in thin.pieces]) == pytest.approx(0.76, abs=0.026)
    interleaved = Trajectory((series[:, None],), 1.0, "ps", columns=("x",)).strided(stride, "interleaved")
    assert lag_one_correlation([piece[:, 0] for piece in interleaved.pieces]) == pytest.approx(0.0, abs=0.1)


def test_interleaving_makes_neighbours_of_distant_frames():
    """By hand: of frames 0 ... 6 in two blocks 0 1 2 and 3 4 5; of two frames no two blocks of a stride of three."""
    states = Dtraj((np.arange(7), np.arange(10, 12)), 0.5, "ps", n_states=20)
    two, three = states.strided(2, "interleaved"), states.strided(3, "interleaved")
    assert [piece.tolist() for piece in two.pieces] == [[0, 3, 1, 4, 2, 5], [10, 11]]
    assert [piece.tolist() for piece in three.pieces] == [[0, 2, 4, 1, 3, 5]]
    assert (two.frame_time, three.frame_time) == (1.0, 1.5)
    once = states.strided(1, "interleaved")
    assert [piece.tolist() for piece in once.pieces] == [piece.tolist() for piece in states.pieces]


def test_offsets_that_do_not_exist_are_refused():
    with pytest.raises(ValueError, match=r"^offsets \(last\) must be one of first, all, interleaved$"):
        dtraj(10).strided(2, "last")


def test_a_stride_below_one_is_refused():
    with pytest.raises(ValueError, match=r"^stride \(0\) must be at least 1$"):
        dtraj(10).strided(0)


def test_whole_trajectories_are_held_out_where_there_are_enough():
    parts = split_pieces(numbered(*[5] * 10), 0.1, 0.2)
    assert [len(parts.train), len(parts.validation), len(parts.test)] == [7, 1, 2]
    assert parts.test[0][0] == 8000


def test_the_end_of_every_trajectory_is_held_out_where_there_are_few():
    parts = split_pieces(numbered(100, 50), 0.1, 0.2)
    assert [[len(piece) for piece in part] for part in (parts.train, parts.validation, parts.test)] == [
        [70, 35],
        [10, 5],
        [20, 10],
    ]


@given(
    st.lists(st.integers(30, 80), min_size=1, max_size=12),
    st.floats(0.05, 0.4),
    st.floats(0.05, 0.4),
)
def test_a_split_loses_nothing_repeats_nothing_and_keeps_time_order(lengths, validation, test):
    pieces = numbered(*lengths)
    parts = split_pieces(pieces, validation, test)
    everything = [*parts.train, *parts.validation, *parts.test]
    assert sorted(np.concatenate(everything)) == sorted(np.concatenate(pieces))
    assert min(len(part) for part in (parts.train, parts.validation, parts.test)) > 0
    for block in everything:
        assert (np.diff(block) == 1).all(), "a block is contiguous and within one trajectory"
    for earlier, later in ((parts.train, parts.validation), (parts.validation, parts.test)):
        assert np.concatenate(earlier).max() < np.concatenate(later).max()


def test_a_split_keeps_the_clock_and_the_alphabet():
    parts = dtraj(100).split(0.1, 0.2)
    assert parts.test.lengths == (20,)
    assert (parts.test.frame_time, parts.test.time_unit, parts.test.n_states) == (0.5, "ps", 1000)


def test_a_trajectory_too_short_to_split_is_refused():
    with pytest.raises(ValueError, match="a trajectory of 3 frames is too short to hold out"):
        split_pieces(numbered(3), 0.1, 0.1)


@pytest.mark.parametrize(
    ("validation", "test", "message"),
    [
        (0.0, 0.1, r"^validation_fraction \(0\) must lie between 0 and 1$"),
        (0.1, 1.0, r"^test_fraction \(1\) must lie between 0 and 1$"),
        (0.5, 0.5, r"^validation_fraction \+ test_fraction \(1\) must leave something to train on$"),
    ],
)
def test_fractions_that_leave_no_part_are_refused(validation, test, message):
    with pytest.raises(ValueError, match=message):
        check_fractions(validation, test)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_value_that_is_not_finite_is_named_with_its_place(value):
    piece = np.zeros((5, 2))
    piece[3, 1] = value
    message = rf"^trajectory 1 holds {value} at frame 3, column y; every value must be finite$"
    with pytest.raises(ValueError, match=message):
        Trajectory((np.zeros((5, 2)), piece), 1.0, "ps", columns=("x", "y")).check()


@pytest.mark.parametrize("state", [-1, 3])
def test_a_state_outside_the_alphabet_is_refused(state):
    with pytest.raises(ValueError, match=r"^trajectory 0 holds states .*; allowed are 0\.\.2$"):
        Dtraj((np.array([0, state]),), 1.0, "ps", n_states=3).check()


def test_sound_trajectories_pass_their_check_unchanged():
    states = Dtraj((np.array([0, 2]), np.array([], int)), 1.0, "ps", n_states=3)
    assert states.check() is states
    frames = Trajectory((np.zeros((2, 1)),), 1.0, "ps", columns=("x",))
    assert frames.check() is frames
