"""Transition paths: from the last exit of one set to the first entry of another, how long and by which way."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from mdlm.kinetics.passage import set_codes
from mdlm.kinetics.visits import Visits
from mdlm.trajectory import FloatArray, IntArray


@dataclass(frozen=True)
class TransitionPaths:
    """All transition paths from one set to another.

    Attributes:
        times: From the last frame in the origin to the first in the target, in the time unit, in the order in which
            they occur, shape ``(n_paths,)``; a direct jump takes one frame.
        pathways: Paths by the states visited in between, loops erased, most frequent first; ``()`` is a direct jump.
    """

    times: FloatArray
    pathways: Mapping[tuple[int, ...], int]

    @property
    def n_paths(self) -> int:
        """How many paths there are."""
        return len(self.times)

    @property
    def mean_time(self) -> float:
        """Mean transition-path time, in the time unit; NaN without paths."""
        return float(self.times.mean()) if len(self.times) else np.nan

    @property
    def shares(self) -> dict[tuple[int, ...], float]:
        """Share of the paths on each pathway."""
        return {pathway: number / self.n_paths for pathway, number in self.pathways.items()}


def transition_paths(
    pieces: Sequence[IntArray],
    n_states: int,
    origin: Sequence[int] | IntArray,
    target: Sequence[int] | IntArray,
    frame_time: float,
) -> TransitionPaths:
    """Find the parts of trajectories that leave ``origin`` and reach ``target`` without returning.

    A path that a piece's end cuts off is none. Loops are erased in the order in which they close, so that going to and
    fro between two intermediates does not make every path one of its own.

    Args:
        pieces: State sequences, each of shape ``(n_frames,)``.
        n_states: Size of the alphabet.
        origin: States the paths leave.
        target: States they reach; none of them may be an origin.
        frame_time: Of a frame, in the system's time unit.

    Raises:
        ValueError: The sets share a state or hold one outside the alphabet.

    Source: Hummer, J. Chem. Phys. 120, 516 (2004) for transition-path times; Lawler, Duke Math. J. 47, 655 (1980) for
    the erasure of loops.

    Example:
        >>> paths = transition_paths([np.array([0, 0, 1, 2, 1, 3, 0, 3])], 4, [0], [3], frame_time=0.5)
        >>> paths.times.tolist(), paths.pathways
        ([2.0, 0.5], {(): 1, (1,): 1})
    """
    visits = Visits.of(pieces)
    side = set_codes([origin, target], n_states)[visits.states]
    marked = np.flatnonzero(side >= 0)
    piece = np.cumsum(visits.first)
    before, after = marked[:-1], marked[1:]
    crossing = (side[before] == 0) & (side[after] == 1) & (piece[before] == piece[after])
    before, after = before[crossing], after[crossing]
    ends = np.cumsum(visits.lengths)
    frames = ends[after - 1] - ends[before] + 1
    indirect = after > before + 1
    found: Counter[tuple[int, ...]] = Counter({(): int(np.count_nonzero(~indirect))} if not indirect.all() else {})
    for first, last in zip((before[indirect] + 1).tolist(), after[indirect].tolist(), strict=True):
        found[_without_loops(visits.states[first:last].tolist())] += 1
    return TransitionPaths(frames * frame_time, dict(sorted(found.items(), key=lambda item: (-item[1], item[0]))))


def pathway_distance(first: TransitionPaths | None, second: TransitionPaths | None) -> float:
    """Total variation distance of the shares of the pathways, 0 to 1; NaN where either is missing or has no path.

    Two samples of n paths over many pathways lie apart by chance alone, by some ``sqrt(n_pathways / n)``.
    """
    if first is None or second is None or not first.n_paths or not second.n_paths:
        return np.nan
    shares, others = first.shares, second.shares
    ways = shares.keys() | others.keys()
    return 0.5 * sum(abs(shares.get(way, 0.0) - others.get(way, 0.0)) for way in sorted(ways))


def _without_loops(states: list[int]) -> tuple[int, ...]:
    """Erase every loop as it closes.

    Example:
        >>> _without_loops([1, 2, 3, 2, 4])
        (1, 2, 4)
    """
    place: dict[int, int] = {}
    way: list[int] = []
    for state in states:
        if state in place:
            for dropped in way[place[state] + 1 :]:
                del place[dropped]
            del way[place[state] + 1 :]
        else:
            place[state] = len(way)
            way.append(state)
    return tuple(way)
