import numpy as np
import pytest

from mdlm.kinetics.events import (
    SlowSides,
    count_slow_events,
    process_sides,
    slow_events,
    slow_process_overlap,
    slow_sides,
)
from mdlm.kinetics.msm import reversible_transition_matrix

TWO_SIDES = np.array([0, 1, -1])


@pytest.mark.parametrize(
    ("text", "n_events"),
    [
        ("000111", 1),
        ("0001110001", 2),  # the last visit is one frame long
        ("0001000", 0),  # a recrossing
        ("0001011", 0),  # two frames are not three, and the one before does not add to them
        ("000101111", 1),
        ("1000", 0),  # nothing held before the first held visit, so no event
        ("0111", 0),
        ("010101", 0),
        ("000222111", 1),  # frames of no side neither interrupt a visit
        ("0002221", 0),  # nor lengthen the next one
        ("00022200", 0),
        ("0200111", 1),
        ("222", 0),
        ("", 0),
    ],
)
def test_events_agree_with_a_hand_count_at_three_frames(text, n_events):
    assert count_slow_events([np.array([*map(int, text)], dtype=int)], TWO_SIDES, min_frames=3) == n_events


@pytest.mark.parametrize(
    ("text", "n_events"),
    [
        ("00001111", 1),
        ("01000100", 0),  # three of four frames hold side 0, and nothing ever holds side 1
        ("00101101", 1),  # 0010 holds side 0, 1011 holds side 1
        ("00110011", 0),  # two of four hold nothing
        ("000011100001", 1 + 1),
    ],
)
def test_three_quarters_of_four_frames_hold_a_side(text, n_events):
    assert count_slow_events([np.array([*map(int, text)])], TWO_SIDES, min_frames=4) == n_events


def test_frames_mistaken_for_the_other_side_hide_no_event():
    """Twenty visits of 1000 frames make nineteen events, also with one frame in twenty on the wrong side."""
    clean = np.repeat(np.arange(20) % 2, 1000)
    wrong = np.random.default_rng(0).random(len(clean)) < 0.05
    assert count_slow_events([clean], TWO_SIDES, min_frames=200) == 19
    assert count_slow_events([clean ^ wrong], TWO_SIDES, min_frames=200) == 19


def test_events_are_counted_piece_by_piece_and_never_across_a_boundary():
    pieces = [np.array([0, 0, 0]), np.array([1, 1, 1]), np.array([0, 0, 1, 1])]
    assert count_slow_events(pieces, TWO_SIDES, min_frames=2) == 1


def test_at_one_frame_every_change_of_side_is_an_event():
    piece = np.random.default_rng(0).integers(0, 2, 500)
    assert count_slow_events([piece], TWO_SIDES, min_frames=1) == np.count_nonzero(np.diff(piece))


def test_the_sides_are_the_two_halves_that_exchange_slowly(four_states):
    """Counts of the chain with states 1 and 2 exchanged: the pairs are then {0, 2} and {1, 3}."""
    swapped = four_states[np.ix_([0, 2, 1, 3], [0, 2, 1, 3])]
    sides = slow_sides(reversible_transition_matrix((1e5 * swapped).round()))
    assert sides.codes.tolist() == [0, 1, 0, 1]
    np.testing.assert_allclose(sides.weight, 0.25)
    assert sides.describe() == "{0, 2} and {1, 3}"


def test_states_outside_the_active_set_are_on_no_side():
    sides = slow_sides(reversible_transition_matrix(np.array([[9, 1, 0], [1, 9, 0], [0, 0, 5]])))
    assert sides.codes.tolist() == [0, 1, -1]
    assert sides.weight.tolist() == [0.5, 0.5, 0]


@pytest.mark.parametrize("counts", [np.array([[5, 0], [0, 0]]), np.zeros((2, 2), dtype=int)])
def test_one_state_or_none_has_no_slow_process(counts):
    sides = slow_sides(reversible_transition_matrix(counts))
    assert not sides.exist
    assert not sides.held_by(np.array([0]))


def test_a_side_is_held_only_with_half_of_its_population():
    """State 1 is a thin edge of its side: excursions into it are not visits to that side."""
    sides = SlowSides(np.array([0, 1, 1, -1]), np.array([0.5, 0.1, 0.4, 0.0]))
    assert sides.held_by(np.array([0, 2]))
    assert not sides.held_by(np.array([0, 1]))
    assert not sides.held_by(np.array([1, 2]))


def test_many_states_are_counted_instead_of_named():
    sides = SlowSides(np.repeat([0, 1], [8, 2]), np.full(10, 0.1))
    assert sides.describe() == "the two slow sides (8 and 2 states)"


def test_overlap_is_one_for_the_same_process_and_zero_for_an_unrelated_one(four_states):
    """Exchanging the roles of the pairs makes the slowest process orthogonal to the old one."""
    pairs = reversible_transition_matrix((1e5 * four_states).round())
    other = reversible_transition_matrix((1e5 * four_states[np.ix_([0, 2, 1, 3], [0, 2, 1, 3])]).round())
    weight = np.full(4, 0.25)
    assert slow_process_overlap(pairs, pairs, weight) == pytest.approx(1)
    assert slow_process_overlap(pairs, other, weight) == pytest.approx(0, abs=1e-9)
    single = reversible_transition_matrix(np.diag([5, 0, 0, 0]))
    assert np.isnan(slow_process_overlap(pairs, single, weight))


@pytest.mark.parametrize("min_frames", [1, 2, 3, 8, 50])
def test_a_clean_crossing_lies_inside_its_event(min_frames):
    """The last frame on the side left and the first on the side entered; nothing but one window of each side."""
    piece = np.repeat([0, 1, 0], [100, 120, 90])
    events = slow_events(piece, TWO_SIDES, min_frames)
    assert len(events) == 2
    for (first, after), crossing in zip(events, (100, 220), strict=True):
        assert first < crossing < after
        assert after - first <= 2 * min_frames


def test_events_begin_and_end_where_windows_searched_one_by_one_say():
    """Frames of no side are left out before, and the places counted with them."""
    rng = np.random.default_rng(0)
    slow = np.cumsum(rng.random(3000) < 0.01) % 2
    piece = np.where(rng.random(3000) < 0.1, 2, slow ^ (rng.random(3000) < 0.05))
    kept = np.flatnonzero(piece != 2)
    expected, last = [], None
    for start in range(len(kept) - 9):
        share = piece[kept[start : start + 10]].mean()
        if 0.25 < share < 0.75:
            continue
        if last is not None and (share > 0.5) != last[0]:
            expected.append([kept[last[1]], kept[start + 9] + 1])
        last = share > 0.5, start
    assert len(expected) > 10
    assert slow_events(piece, TWO_SIDES, min_frames=10).tolist() == expected


def cored(piece, n_frames):
    """Changes of state after dynamical coring by msmhelper, which wants every frame of a window on the same side."""
    import msmhelper

    core = msmhelper.md.dynamical_coring(piece, n_frames, iterative=False).trajs[0]
    return np.count_nonzero(np.diff(core))


def test_without_flicker_the_count_is_that_of_dynamical_coring():
    """Visits of a window or more are events in both; lone ones shorter than three quarters of it are in neither."""
    rng = np.random.default_rng(0)
    lengths = np.where(rng.random(400) < 0.5, rng.integers(1, 15, 400), rng.integers(20, 200, 400))
    lengths[::2] = 50
    piece = np.repeat(np.arange(400) % 2, lengths)
    expected = cored(piece, 20)
    assert 150 < expected < 250
    assert count_slow_events([piece], TWO_SIDES, min_frames=20) == expected


def test_a_burst_of_short_visits_is_one_visit_here_and_none_in_coring():
    """Sixteen of twenty frames are on side 1: a label that flickers, not a side that is left."""
    piece = np.repeat([0, 1, 0, 1, 0], [100, 8, 4, 8, 100])
    assert count_slow_events([piece], TWO_SIDES, min_frames=20) == 2
    assert cored(piece, 20) == 0


def test_a_visit_between_three_quarters_and_all_of_a_window_is_an_event_here_and_none_in_coring():
    piece = np.repeat([0, 1, 0], [100, 17, 100])
    assert count_slow_events([piece], TWO_SIDES, min_frames=20) == 2
    assert cored(piece, 20) == 0


@pytest.mark.parametrize(("flicker", "least"), [(0.02, 19), (0.1, 19), (0.2, 19), (0.3, 5)])
def test_flicker_hides_events_at_worst_and_makes_none(flicker, least):
    """Nineteen crossings; up to a fifth of wrong frames all are counted, then fewer, never more."""
    clean = np.repeat(np.arange(20) % 2, 1000)
    flickering = clean ^ (np.random.default_rng(1).random(len(clean)) < flicker)
    assert least <= count_slow_events([flickering], TWO_SIDES, min_frames=200) <= 19


def test_coring_loses_nearly_all_events_at_a_flicker_of_one_frame_in_fifty():
    """Why three quarters: a window of 200 frames without a single wrong one is rare, 0.98^200 = 2 %."""
    clean = np.repeat(np.arange(20) % 2, 1000)
    flickering = clean ^ (np.random.default_rng(1).random(len(clean)) < 0.02)
    assert cored(flickering, 200) < 10


def test_flicker_alone_is_no_event_unless_the_window_is_a_few_frames():
    """One frame in five is wrong and nothing crosses: three of four wrong are common, fifteen of twenty are not."""
    still = (np.random.default_rng(2).random(100_000) < 0.2).astype(int)
    assert count_slow_events([still], TWO_SIDES, min_frames=20) == 0
    assert count_slow_events([still], TWO_SIDES, min_frames=4) > 1000


def test_a_faster_process_has_its_sides_where_it_goes_on(four_states):
    """The fast processes are each state against its partner, alike in both pairs or opposite."""
    slow, *fast = process_sides(reversible_transition_matrix((1e5 * four_states).round()), 3)
    assert slow.codes.tolist() == [0, 0, 1, 1]
    for sides in fast:
        assert sides.codes[0] != sides.codes[1] or sides.codes[0] == -1
        assert sides.codes[2] != sides.codes[3] or sides.codes[2] == -1


def test_more_processes_than_states_have_no_sides():
    sides = process_sides(reversible_transition_matrix(np.array([[9, 1, 0], [1, 9, 0], [0, 0, 5]])), 2)
    assert sides[1].codes.tolist() == [-1, -1, -1]
    assert not sides[1].exist
