"""Macrostates given by a partition of their own, whatever the tokens of the run are."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mdlm.errors import named
from mdlm.features.base import Features, FittedFeatures
from mdlm.macrostates.base import FittedMacrostates, Lumping, Macrostates
from mdlm.partition.base import Discretiser, Partition
from mdlm.trajectory import Dtraj, Header, IntArray, Trajectory


@dataclass(frozen=True)
class SeenDirectly(FittedMacrostates):
    """The macrostate of a frame of molecular dynamics is read off the frame itself.

    Attributes:
        features: Describe a frame.
        discretiser: Names its macrostate.
    """

    features: FittedFeatures
    discretiser: Discretiser

    def of_frames(self, trajectory: Trajectory, states: Dtraj) -> Dtraj:
        """The macrostate of every frame; the run's own states do not enter."""
        return self.discretiser.assign(self.features.transform(trajectory))


@dataclass(frozen=True, kw_only=True)
class Partitioned(Macrostates):
    """The states of another partition, fitted on the same training frames.

    A state of the run's partition belongs to the macrostate that more than half of its training frames lie in, and to
    none where they are shared out more evenly, as between wells.

    Attributes:
        features: Describe a frame for that partition.
        partition: Its states are the macrostates.
    """

    features: Features
    partition: Partition

    def check(self, header: Header) -> None:
        """Both parts must work on the system's trajectories."""
        with named("features"):
            described = self.features.header_of(header)
        with named("partition"):
            self.partition.check(described)

    def fit(self, train: Trajectory, states: Dtraj, state_names: tuple[str, ...]) -> SeenDirectly:
        """Fit features and partition, and find the macrostate of each state by majority.

        Raises:
            ValueError: The states tell fewer than two macrostates apart.
        """
        features = self.features.fit(train)
        described = features.transform(train)
        discretiser = self.partition.fit(described)
        lumping = majority(states, discretiser.assign(described), discretiser.state_names)
        return SeenDirectly(lumping, features, discretiser)


def majority(states: Dtraj, macrostates: Dtraj, names: tuple[str, ...]) -> Lumping:
    """The macrostate that more than half of each state's frames lie in, -1 where there is none.

    Args:
        states: The state of every frame.
        macrostates: The macrostate of the same frames.
        names: Names of the macrostates.

    Raises:
        ValueError: Every state belongs to one and the same macrostate.

    Example:
        >>> states = Dtraj((np.array([0, 0, 0, 1, 2]),), 1.0, "ps", n_states=3)
        >>> majority(states, Dtraj((np.array([0, 0, 1, 1, 1]),), 1.0, "ps", n_states=2), ("A", "B")).of_state.tolist()
        [0, 1, 1]
    """
    counts = np.zeros(states.n_states * macrostates.n_states, dtype=np.int64)
    for piece, own in zip(states.pieces, macrostates.pieces, strict=True):
        together: IntArray = piece.astype(np.int64) * macrostates.n_states + own
        counts += np.bincount(together, minlength=len(counts))
    shared = counts.reshape(states.n_states, macrostates.n_states)
    largest = shared.max(axis=1)
    of_state = np.where(2 * largest > shared.sum(axis=1), shared.argmax(axis=1), -1)
    found = [names[number] for number in np.unique(of_state[of_state >= 0])]
    if len(found) < 2:
        raise ValueError(
            f"the partition's states tell too few macrostates apart ({', '.join(found) or 'none'} of {len(names)}): "
            "they do not show the slow process; take other features or a finer partition, or macrostates=own"
        )
    return Lumping(of_state, names, mixed_share=1 - float(largest.sum() / shared.sum()))
