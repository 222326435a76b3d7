import math
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mdlm.partition.labels import Labels
from mdlm.recrossing.effect import effect
from mdlm.recrossing.keep import Keep

PIECES = st.lists(st.lists(st.integers(0, 3), max_size=12), min_size=1, max_size=4)


def brute_force(before, after):
    """Frame by frame: changed frames, transitions, deleted intermediates, invented jumps, shortest dwell."""

    def changes(piece):
        return [(a, b) for a, b in pairwise(piece) if a != b]

    def runs(piece):
        found = []
        for frame, state in enumerate(piece):
            if found and found[-1][0] == state:
                found[-1][1].append(frame)
            else:
                found.append((state, [frame]))
        return found

    met = {frozenset(pair) for piece in before for pair in changes(piece)}
    deleted, dwells = 0, []
    for old, new in zip(before, after, strict=True):
        visits = runs(old)
        for (i, _), (state, inside), (j, _) in zip(visits, visits[1:], visits[2:], strict=False):
            deleted += i != j and all(new[frame] != state for frame in inside)
        dwells += [len(inside) for _, inside in runs(new)[1:-1]]
    return {
        "fraction_changed": sum(a != b for x, y in zip(before, after, strict=True) for a, b in zip(x, y, strict=True))
        / max(sum(map(len, before)), 1),
        "transitions_before": sum(len(changes(piece)) for piece in before),
        "transitions_after": sum(len(changes(piece)) for piece in after),
        "intermediates_deleted": deleted,
        "direct_jumps_invented": sum(frozenset(pair) not in met for piece in after for pair in changes(piece)),
        "refractory_gap": 0.5 * min(dwells) if dwells else math.nan,
    }


def test_a_sequence_counted_by_hand(dtraj):
    """The first piece loses its visit to 1 between 0 and 2, and to 3 between 2 and 2 (an excursion, not a way).

    Frames 3, 4 and 9 of the 16 are changed; 0 and 2 meet nowhere before. The only complete visit after is that of
    8 frames to state 2, at half a picosecond each.
    """
    before = dtraj([0, 0, 0, 1, 1, 2, 2, 2, 2, 3, 2, 3], [0, 1, 1, 1])
    after = dtraj([0, 0, 0, 2, 2, 2, 2, 2, 2, 2, 2, 3], [0, 1, 1, 1])
    seen = effect(before, after, after, (0, 0))
    assert seen.fraction_changed == 3 / 16
    assert (seen.transitions_before, seen.transitions_after) == (6, 3)
    assert seen.intermediates_deleted == 1
    assert seen.direct_jumps_invented == 1
    assert seen.idempotent
    assert seen.refractory_gap == 8 * 0.5


@given(before=PIECES, data=st.data())
def test_it_counts_what_brute_force_counts(dtraj, before, data):
    after = [data.draw(st.lists(st.integers(0, 3), min_size=len(piece), max_size=len(piece))) for piece in before]
    seen = effect(dtraj(*before), dtraj(*after), dtraj(*after), (0,) * len(before))
    for name, value in brute_force(before, after).items():
        assert getattr(seen, name) == pytest.approx(value, nan_ok=True), name


def test_treating_again_must_change_nothing_to_be_idempotent(dtraj):
    once = dtraj([0, 1, 1], [2])
    assert effect(once, once, once, (0, 0)).idempotent
    assert not effect(once, once, dtraj([0, 1, 1], [3]), (0, 0)).idempotent


def test_leading_frames_and_pieces_without_a_core_are_told_apart(dtraj):
    states = dtraj([0, 1, 1], [2, 2], [], [1], [3, 0])
    seen = effect(states, states, states, (2, 2, 0, 1, 0))
    assert (seen.n_leading, seen.n_without_core) == (2, 2)


def test_no_treatment_has_no_effect(dtraj, frames):
    states, described = dtraj([0, 1, 2, 2, 0]), frames([0, 1, 2, 2, 0])
    treatment = Keep().fit(Labels().fit(described), described)
    after = treatment.treat(states, described)
    seen = effect(states, after, after, treatment.leading(states, described))
    assert seen.metrics() == {
        "recrossing_fraction_changed": 0,
        "recrossing_transitions_before": 3,
        "recrossing_transitions_after": 3,
        "recrossing_intermediates_deleted": 0,
        "recrossing_direct_jumps_invented": 0,
        "recrossing_idempotent": 1,
        "recrossing_refractory_gap_ps": 0.5,
        "recrossing_n_leading": 0,
        "recrossing_n_without_core": 0,
    }


def test_the_gap_is_named_after_its_unit(dtraj):
    states = replace(dtraj([0, 0]), time_unit="ns")
    assert math.isnan(effect(states, states, states, (0,)).metrics()["recrossing_refractory_gap_ns"])


def test_sequences_of_other_lengths_are_refused(dtraj):
    with pytest.raises(ValueError, match=r"^lengths differ: \(2,\) before, \(1,\) after, \(2,\) treated again$"):
        effect(dtraj([0, 0]), dtraj([0]), dtraj([0, 0]), (0,))
