import re

import msmhelper
import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from mdlm.kinetics.counts import transition_counts
from mdlm.partition.labels import Labels
from mdlm.recrossing.coring import Coring
from mdlm.system.four_state_overdamped import FourStateOverdamped
from mdlm.trajectory import Header

ITERATIVE = pytest.mark.parametrize("iterative", [False, True])
VISITS = st.lists(st.tuples(st.integers(0, 3), st.integers(1, 6)), max_size=15)


def spelled(visits):
    """Frames of (state, length) pairs; independent frames would hardly ever stay anywhere."""
    return np.array([state for state, length in visits for _ in range(length)], np.int32)


def coring(n_frames, iterative=False):
    return Coring(residence_time=0.5 * n_frames, iterative=iterative)


@pytest.fixture(scope="module")
def core(dtraj, frames):
    """The cored sequence, and the leading frames of each piece."""

    def core(*pieces, n_frames, iterative=False):
        states, described = dtraj(*pieces), frames(*pieces)
        treatment = coring(n_frames, iterative).fit(None, described)
        treated = treatment.treat(states, described)
        assert (treated.frame_time, treated.time_unit, treated.n_states) == (0.5, "ps", 4)
        return treated.pieces, treatment.leading(states, described)

    return core


def transitions(piece):
    return set(zip(piece[:-1].tolist(), piece[1:].tolist(), strict=True)) - {(i, i) for i in range(4)}


def one_pass(piece, n_frames):
    """Coring as it reads: go along, and move on only to what is kept for ``n_frames``."""

    def kept(frame):
        ahead = piece[frame : frame + n_frames]
        return len(ahead) == n_frames and (ahead == piece[frame]).all()

    here = next(piece[frame] for frame in range(len(piece)) if kept(frame))
    result = []
    for frame in range(len(piece)):
        here = piece[frame] if kept(frame) else here
        result.append(here)
    return np.array(result)


def test_a_new_state_counts_once_it_is_kept_and_from_its_first_frame(core):
    (treated,), leading = core([0, 0, 0, 1, 1, 0, 1, 1, 1, 2, 1], n_frames=3)
    assert treated.tolist() == [0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1]
    assert leading == (0,)


def test_frames_before_the_first_core_take_its_state(core):
    (treated,), leading = core([2, 0, 0, 1, 3, 3, 3], n_frames=3)
    assert treated.tolist() == [3] * 7
    assert leading == (4,)


def test_raising_the_residence_time_step_by_step_lets_interrupted_visits_count(core):
    """Coring times of 2, 3 and 4 frames: the first joins the two halves of the visit to state 1."""
    piece = [0, 0, 0, 0, 1, 1, 2, 1, 1, 0, 0, 0, 0]
    (once,), _ = core(piece, n_frames=4)
    (stepwise,), _ = core(piece, n_frames=4, iterative=True)
    assert once.tolist() == [0] * 13
    assert stepwise.tolist() == [0] * 4 + [1] * 5 + [0] * 4


@ITERATIVE
def test_a_piece_without_a_core_becomes_its_most_common_state(core, iterative):
    (treated, short), leading = core([1, 0, 2, 0, 2, 1, 2], [3], n_frames=4, iterative=iterative)
    assert treated.tolist() == [2] * 7
    assert short.tolist() == [3]
    assert leading == (7, 1)


@ITERATIVE
def test_empty_pieces_stay_empty(core, iterative):
    pieces, leading = core([], [0, 0], n_frames=2, iterative=iterative)
    assert [len(piece) for piece in pieces] == [0, 2]
    assert leading == (0, 0)


@ITERATIVE
@given(visits=VISITS)
def test_one_frame_of_residence_changes_nothing(core, iterative, visits):
    (treated,), leading = core(spelled(visits), n_frames=1, iterative=iterative)
    assert np.array_equal(treated, spelled(visits))
    assert leading == (0,)


@given(visits=VISITS, n_frames=st.integers(1, 7))
def test_it_does_what_the_definition_says(core, visits, n_frames):
    piece = spelled(visits)
    assume(any((piece[k : k + n_frames] == piece[k]).all() for k in range(len(piece) - n_frames + 1)))
    (treated,), _ = core(piece, n_frames=n_frames)
    assert np.array_equal(treated, one_pass(piece, n_frames))
    (stepwise,), _ = core(piece, n_frames=n_frames, iterative=True)
    for passing in range(2, n_frames + 1):
        piece = one_pass(piece, passing)
    assert np.array_equal(stepwise, piece)


@ITERATIVE
@given(visits=VISITS, n_frames=st.integers(1, 7))
def test_coring_twice_is_coring_once(core, iterative, visits, n_frames):
    once, _ = core(spelled(visits), n_frames=n_frames, iterative=iterative)
    twice, leading = core(*once, n_frames=n_frames, iterative=iterative)
    assert np.array_equal(once[0], twice[0])
    assert leading[0] in (0, len(once[0]))  # the latter for a piece too short to hold a core


@ITERATIVE
@given(several=st.lists(VISITS, max_size=4), n_frames=st.integers(1, 7))
def test_pieces_are_cored_as_if_each_were_alone(core, iterative, several, n_frames):
    pieces = [spelled(visits) for visits in several]
    together, leading = core(*pieces, n_frames=n_frames, iterative=iterative)
    assert len(together) == len(leading) == len(pieces)
    for piece, treated, first in zip(pieces, together, leading, strict=True):
        (alone,), (first_alone,) = core(piece, n_frames=n_frames, iterative=iterative)
        assert np.array_equal(treated, alone)
        assert first == first_alone
        assert treated.dtype == piece.dtype
        assert len(treated) == len(piece)
        assert set(treated.tolist()) <= set(piece.tolist())


@given(visits=VISITS, n_frames=st.integers(1, 7))
def test_no_direct_jump_is_invented_between_states_that_do_not_meet_without_the_short_visits(core, visits, n_frames):
    """Nor does one get lost: the transitions are those of the long visits, put side by side."""
    piece = spelled(visits)
    (treated,), _ = core(piece, n_frames=n_frames)
    runs = np.split(piece, np.flatnonzero(np.diff(piece)) + 1)
    long = [run for run in runs if len(run) >= n_frames]
    assert transitions(treated) == (transitions(np.concatenate(long)) if long else set())


@given(visits=VISITS, n_frames=st.integers(2, 7))
def test_step_by_step_the_same_holds_of_every_pass(core, visits, n_frames):
    (treated,), _ = core(spelled(visits), n_frames=n_frames, iterative=True)
    before, _ = core(spelled(visits), n_frames=n_frames - 1, iterative=True)
    (after,), (leading,) = core(*before, n_frames=n_frames)
    assert leading == len(after) or np.array_equal(treated, after)


@ITERATIVE
@pytest.mark.parametrize("n_frames", [1, 2, 3, 5, 8, 20])
def test_msmhelper_cores_random_sequences_the_same_frame_by_frame(core, iterative, n_frames):
    rng = np.random.default_rng(n_frames)
    for length in (50, 300, 1000):
        for stay in (0.5, 0.8, 0.95):
            moved = np.cumsum(rng.random(length) > stay)
            piece = rng.integers(0, 4, length)[moved].astype(np.int64)
            piece[-40:-10] = piece[-40]  # there is a core: msmhelper refuses a piece without one
            expected = msmhelper.md.dynamical_coring(piece, n_frames, iterative=iterative).trajs[0]
            (treated,), _ = core(piece, n_frames=n_frames, iterative=iterative)
            assert np.array_equal(treated, expected)


@ITERATIVE
def test_msmhelper_cores_the_four_state_system_the_same_frame_by_frame(core, iterative):
    """Nearest well along x alone, where recrossings are many; pieces of 100,000 frames."""
    trajectories = FourStateOverdamped(
        lag_time=200.0,
        wells={},
        friction=1.0,
        beta=9.5,
        wall=1e-4,
        width=0.8,
        time_step=0.01,
        save_every=10,
        n_walkers=3,
        n_steps=3_000_000,
        seed=4,
        n_threads=1,
    ).trajectories()
    pieces = [np.digitize(-piece[:, 0], [-1.25, 0.0, 1.25]) for piece in trajectories.pieces]
    assert min(np.count_nonzero(np.diff(piece)) for piece in pieces) > 500
    expected = msmhelper.md.dynamical_coring(pieces, 20, iterative=iterative).trajs
    treated, _ = core(*pieces, n_frames=20, iterative=iterative)
    assert len(treated) == len(expected) == 3
    for ours, theirs in zip(treated, expected, strict=True):
        assert np.array_equal(ours, theirs)
        assert 0 < np.count_nonzero(np.diff(ours)) < 500


@ITERATIVE
def test_coring_brings_back_the_timescale_that_recrossings_hide(core, iterative):
    """A two-state chain with eigenvalue 1 - 2a, each frame shown wrongly with probability e.

    The lag-1 correlation of what is shown is (1 - 2e)^2 (1 - 2a): a timescale of 4.7 frames instead of 250.
    """
    a, e, n_frames = 0.002, 0.05, 2_000_000
    rng = np.random.default_rng(7)
    clean = (np.cumsum(rng.random(n_frames) < a) % 2).astype(np.int32)
    noisy = clean ^ (rng.random(n_frames) < e)

    def timescale(piece):
        counts = transition_counts([piece], 2)
        hop = counts / counts.sum(axis=1, keepdims=True)
        return -1 / np.log(1 - hop[0, 1] - hop[1, 0])

    true = -1 / np.log(1 - 2 * a)
    assert timescale(clean) == pytest.approx(true, rel=0.05)
    assert timescale(noisy) == pytest.approx(-1 / np.log((1 - 2 * e) ** 2 * (1 - 2 * a)), rel=0.02)
    (cored,), _ = core(noisy, n_frames=5, iterative=iterative)
    assert timescale(cored) == pytest.approx(true, rel=0.1)


@pytest.mark.parametrize("residence_time", [0.0, -1.0, float("inf"), float("nan")])
def test_the_residence_time_must_be_a_time(residence_time):
    with pytest.raises(ValueError, match=r"^residence_time \(.*\) must be above 0 and finite$"):
        Coring(residence_time=residence_time, iterative=False)


@pytest.mark.parametrize(
    ("residence_time", "message"),
    [
        (0.7, "residence_time (0.7 ps) must be a positive multiple of the frame time, 0.5 ps"),
        (0.1, "residence_time (0.1 ps) must be a positive multiple of the frame time, 0.5 ps"),
        (10.5, "residence_time (10.5 ps) must not exceed the longest trajectory, 10 ps"),
    ],
)
def test_the_residence_time_must_fit_the_clock_and_the_data(residence_time, message):
    header = Header(("x",), (5, 20), 0.5, "ps")
    Coring(residence_time=10.0, iterative=False).check(header, Labels())
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        Coring(residence_time=residence_time, iterative=False).check(header, Labels())
