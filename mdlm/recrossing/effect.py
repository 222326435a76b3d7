"""What a recrossing treatment did to a state sequence, in numbers."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from mdlm.recrossing.visits import Visits
from mdlm.trajectory import Dtraj, IntArray

MUCH = 0.2  # share of changed frames that is worth a note


@dataclass(frozen=True)
class Effect:
    """What a treatment did.

    Attributes:
        fraction_changed: Share of the frames whose state changed.
        transitions_before: Changes of state between neighbouring frames before.
        transitions_after: The same after.
        intermediates_deleted: Visits i -> B -> j of the untreated sequence, i and j different, of whose frames
            none is still B.
        direct_jumps_invented: Transitions of the treated sequence between two states that are nowhere neighbours,
            in neither order, in the untreated one.
        idempotent: Whether treating twice is treating once.
        refractory_gap: Shortest complete visit of the treated sequence, in ``time_unit``: dwell times below it
            do not occur. A visit at either end of a piece is not complete; NaN where none is.
        n_leading: Frames before the first core of their piece, which took that core's state.
        n_without_core: Pieces that never enter a core; they became their most common state throughout.
        time_unit: Unit of ``refractory_gap``.
    """

    fraction_changed: float
    transitions_before: int
    transitions_after: int
    intermediates_deleted: int
    direct_jumps_invented: int
    idempotent: bool
    refractory_gap: float
    n_leading: int
    n_without_core: int
    time_unit: str

    def metrics(self) -> dict[str, float]:
        """Every number under the name it has in the run table, ``recrossing_...``; times carry their unit."""
        return {
            "recrossing_fraction_changed": self.fraction_changed,
            "recrossing_transitions_before": float(self.transitions_before),
            "recrossing_transitions_after": float(self.transitions_after),
            "recrossing_intermediates_deleted": float(self.intermediates_deleted),
            "recrossing_direct_jumps_invented": float(self.direct_jumps_invented),
            "recrossing_idempotent": float(self.idempotent),
            f"recrossing_refractory_gap_{self.time_unit}": self.refractory_gap,
            "recrossing_n_leading": float(self.n_leading),
            "recrossing_n_without_core": float(self.n_without_core),
        }

    def notes(self) -> tuple[str, ...]:
        """What a reader must know before using a number of this run.

        Example:
            >>> changed = Effect(0.9, 5000, 10, 0, 2, True, 30.0, n_leading=7, n_without_core=0, time_unit="ps")
            >>> for note in changed.notes():
            ...     print(note)
            recrossing: 90 % of the frames changed, 10 of 5000 transitions are left: few visits last long enough
            recrossing: 2 direct jumps between states that never neighbour in the data
            recrossing: 7 frames before a first core took that core's state
        """
        found = []
        if self.fraction_changed > MUCH:
            left = f"{self.transitions_after} of {self.transitions_before} transitions are left"
            share = f"{100 * self.fraction_changed:.0f} %"
            found.append(f"{share} of the frames changed, {left}: few visits last long enough")
        if self.direct_jumps_invented:
            found.append(f"{self.direct_jumps_invented} direct jumps between states that never neighbour in the data")
        if self.n_leading:
            found.append(f"{self.n_leading} frames before a first core took that core's state")
        if self.n_without_core:
            found.append(f"{self.n_without_core} trajectories never enter a core and became their most common state")
        return tuple(f"recrossing: {note}" for note in found)


def effect(before: Dtraj, after: Dtraj, treat_again: Dtraj, leading: tuple[int, ...]) -> Effect:
    """Compare a sequence with what a treatment made of it.

    Args:
        before: The untreated sequence.
        after: The treated one.
        treat_again: ``after``, treated once more.
        leading: Of `Treatment.leading`: frames of each piece before its first core, all where it has none.

    Raises:
        ValueError: The three differ in the lengths of their pieces.
    """
    if not before.lengths == after.lengths == treat_again.lengths:
        raise ValueError(
            f"lengths differ: {before.lengths} before, {after.lengths} after, {treat_again.lengths} treated again"
        )
    pairs = list(zip(before.pieces, after.pieces, strict=True))
    n_changed = sum(np.count_nonzero(old != new) for old, new in pairs)
    neighbours, jumps = (_transitions(dtraj.pieces, before.n_states) for dtraj in (before, after))
    bare = [first == length > 0 for first, length in zip(leading, before.lengths, strict=True)]
    dwells = [Visits.of(piece).lengths[1:-1] for piece in after.pieces]
    shortest = min((int(complete.min()) for complete in dwells if len(complete)), default=math.nan)
    return Effect(
        fraction_changed=float(n_changed / max(before.n_frames, 1)),
        transitions_before=len(neighbours),
        transitions_after=len(jumps),
        intermediates_deleted=sum(_deleted(old, new) for old, new in pairs),
        direct_jumps_invented=int(np.count_nonzero(~np.isin(jumps, neighbours))),
        idempotent=all(map(np.array_equal, after.pieces, treat_again.pieces)),
        refractory_gap=shortest * after.frame_time,
        n_leading=sum(first for first, without in zip(leading, bare, strict=True) if not without),
        n_without_core=sum(bare),
        time_unit=after.time_unit,
    )


def _transitions(pieces: Iterable[IntArray], n_states: int) -> IntArray:
    """Every transition as one number that stands for its two states, in either order."""
    found = [np.empty(0, np.int64)]
    for piece in pieces:
        states = Visits.of(piece).states.astype(np.int64)
        found.append(np.minimum(states[1:], states[:-1]) * n_states + np.maximum(states[1:], states[:-1]))
    return np.concatenate(found)


def _deleted(before: IntArray, after: IntArray) -> int:
    """Visits between two different states of which no frame has kept its state."""
    visits = Visits.of(before)
    if len(visits.states) < 3:
        return 0
    kept = np.add.reduceat((before == after).astype(np.int64), visits.starts)[1:-1]
    between = visits.states[:-2] != visits.states[2:]
    return int(np.count_nonzero(between & (kept == 0)))
