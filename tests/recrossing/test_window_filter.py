import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mdlm.partition.labels import Labels
from mdlm.recrossing.effect import effect
from mdlm.recrossing.window_filter import WindowFilter, filtered
from mdlm.trajectory import Header

VISITS = st.lists(st.tuples(st.integers(0, 3), st.integers(1, 6)), max_size=15)


def spelled(visits):
    return np.array([state for state, length in visits for _ in range(length)], np.int32)


def as_described(piece, window):
    """The walk over the marks, mark by mark, in place."""
    piece = piece.copy()
    original, last = piece.copy(), len(piece) - 1
    marks = [k for k in range(last) if original[max(k - 1, 0)] != original[k + 1]]
    start = marks[0] if marks else 0
    for mark in marks:
        gap = mark - start
        if gap <= 1:
            continue
        if gap <= window:
            half = start + gap // 2
            piece[start : half + 1] = piece[start]
            piece[half + 1 : mark + 1] = piece[mark + 1]
        start = mark
    return piece


@pytest.fixture(scope="module")
def treated(dtraj, frames):
    def treated(*pieces, window):
        states, described = dtraj(*pieces), frames(*pieces)
        treatment = WindowFilter(window=window).fit(None, described)
        after = treatment.treat(states, described)
        return effect(states, after, treatment.treat(after, described), treatment.leading(states, described)), after

    return treated


def test_it_deletes_a_real_intermediate_and_invents_a_direct_jump(treated):
    """State 1 is kept for five frames on the way from 0 to 2, which never meet; afterwards it is gone."""
    seen, after = treated([0] * 6 + [1] * 5 + [2] * 6, window=20)
    assert 1 not in after.pieces[0]
    assert (seen.transitions_before, seen.transitions_after) == (2, 1)
    assert seen.intermediates_deleted == 1
    assert seen.direct_jumps_invented == 1


def test_treating_twice_differs_from_treating_once(treated):
    """Marks are at 1, 4, 5, so that 1 to 4 is filled; then at 2, 3, 5, so that 2 to 5 is: a visit is gone."""
    states = [0, 0, 1, 0, 1, 1, 0]
    seen, after = treated(states, window=3)
    assert after.pieces[0].tolist() == [0, 0, 0, 1, 1, 1, 0]
    assert filtered(after.pieces[0], window=3).tolist() == [0] * 7
    assert not seen.idempotent


def test_what_never_changes_stays_as_it_is(treated):
    """The published code looks for the first change and fails."""
    seen, after = treated([2] * 5, [1], [], [0, 0], window=20)
    assert [piece.tolist() for piece in after.pieces] == [[2] * 5, [1], [], [0, 0]]
    assert seen.fraction_changed == 0


def test_a_recrossing_is_flattened_which_is_what_it_is_for():
    assert filtered(np.array([0] * 8 + [1] * 2 + [0] * 8), window=5).tolist() == [0] * 18


@given(visits=VISITS, window=st.integers(1, 12))
def test_it_does_what_is_documented(visits, window):
    assert np.array_equal(filtered(spelled(visits), window), as_described(spelled(visits), window))


@given(visits=VISITS)
def test_a_window_of_one_frame_changes_nothing(visits):
    assert np.array_equal(filtered(spelled(visits), window=1), spelled(visits))


@given(visits=VISITS, window=st.integers(1, 12))
def test_neither_the_numbers_of_the_states_nor_the_other_pieces_matter(treated, visits, window):
    piece, other = spelled(visits), np.array([0, 0, 1, 0, 2, 2], np.int32)
    alone = filtered(piece, window)
    _, together = treated(other, piece, other, window=window)
    assert np.array_equal(together.pieces[1], alone)
    assert len(alone) == len(piece)
    assert alone.dtype == piece.dtype
    renumbered = np.array([2, 0, 3, 1])
    assert np.array_equal(filtered(renumbered[piece], window), renumbered[alone])


def test_the_window_must_hold_a_frame():
    WindowFilter(window=1).check(Header(("x",), (5,), 1.0, "ps"), Labels())
    with pytest.raises(ValueError, match=r"^window \(0\) must be at least 1 frame$"):
        WindowFilter(window=0)
