"""What every choice of macrostates gives: a map from a partition's states to sets that mean the same in every run.

Timescales of two sequences are comparable only on the same states. A model of eight hundred grid cells and one of
four wells are therefore both judged on the same macrostates: found once on training data, applied to the molecular
dynamics and to the sample in the same way.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryFile

import numpy as np

from mdlm.trajectory import Dtraj, Header, IntArray, Trajectory


@dataclass(frozen=True)
class Lumping:
    """The macrostate of each state of a partition.

    Attributes:
        of_state: Macrostate of each state, shape ``(n_states,)``; -1 for a state that belongs to none.
        names: Name of each macrostate, in order.
        mixed_share: Share of the training frames whose own macrostate is not that of their state: what the tokens
            cannot tell apart.
    """

    of_state: IntArray
    names: tuple[str, ...]
    mixed_share: float

    @property
    def n_macrostates(self) -> int:
        """How many there are."""
        return len(self.names)

    def lump(self, states: Dtraj) -> Dtraj:
        """The macrostate of every frame, seen through its state; pieces and clock stay as they are.

        A frame in a state that belongs to no macrostate is still in the one visited last, at the beginning of a piece
        in the one visited next, and in the first where the piece visits none: the way of milestoning.

        Raises:
            ValueError: The states are of another alphabet.

        Example:
            >>> lumping = Lumping(np.array([0, -1, 1]), ("A", "B"), mixed_share=0.0)
            >>> lumping.lump(Dtraj((np.array([1, 0, 1, 2, 1, 0]),), 1.0, "ps", n_states=3)).pieces[0].tolist()
            [0, 0, 0, 1, 1, 0]
        """
        if states.n_states != len(self.of_state):
            raise ValueError(f"n_states ({states.n_states}) must be {len(self.of_state)}, that of the lumped partition")
        of_state = self.of_state.astype(np.int32)
        rooms = _rooms(states.pieces)
        for room, piece in zip(rooms, states.pieces, strict=True):
            room[:] = _carried_on(of_state[piece])
        return replace(states, pieces=rooms, n_states=self.n_macrostates)


def _rooms(pieces: tuple[IntArray, ...]) -> tuple[IntArray, ...]:
    """Room for as many numbers: in memory, or for pieces of a mapped file in a nameless file beside it."""
    ends = np.cumsum([len(piece) for piece in pieces])
    file = next((piece.filename for piece in pieces if isinstance(piece, np.memmap)), None)
    if file is None or not ends[-1]:
        return tuple(np.empty(len(piece), np.int32) for piece in pieces)
    with TemporaryFile(dir=Path(file).parent) as room:  # gone with the last array on it
        whole: IntArray = np.memmap(room, np.int32, "w+", shape=(int(ends[-1]),))
    return tuple(np.split(whole, ends[:-1]))


def _carried_on(macrostates: IntArray) -> IntArray:
    """Replace -1 by the entry last before it that is none, at the beginning by the first one after it."""
    if macrostates.size == 0 or macrostates.min() >= 0:
        return macrostates
    known = np.flatnonzero(macrostates >= 0)
    if not len(known):
        return np.zeros_like(macrostates)
    last = np.searchsorted(known, np.arange(len(macrostates)), side="right") - 1
    return np.asarray(macrostates[known[np.maximum(last, 0)]])


@dataclass(frozen=True)
class FittedMacrostates(ABC):
    """Macrostates found on training data.

    Attributes:
        lumping: How they follow from the states of the run's partition.
    """

    lumping: Lumping

    @abstractmethod
    def of_frames(self, trajectory: Trajectory, states: Dtraj) -> Dtraj:
        """The macrostate of every frame of molecular dynamics, as well as it can be known.

        Args:
            trajectory: The system's own frames.
            states: The state the run's partition gives each of them.
        """


@dataclass(frozen=True)
class Macrostates(ABC):
    """A way to find the macrostates a run is judged on."""

    @abstractmethod
    def check(self, header: Header) -> None:
        """Raise `ValueError` where they cannot be found for the system's trajectories; cheap."""

    @abstractmethod
    def fit(self, train: Trajectory, states: Dtraj, state_names: tuple[str, ...]) -> FittedMacrostates:
        """Find them on training trajectories.

        Args:
            train: The system's own frames.
            states: The state the run's partition gives each of them, before any recrossing treatment.
            state_names: Names of these states.
        """
