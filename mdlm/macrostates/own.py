"""Every state of the partition its own macrostate: the tokens are judged as they are."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mdlm.macrostates.base import FittedMacrostates, Lumping, Macrostates
from mdlm.trajectory import Dtraj, Header, Trajectory


@dataclass(frozen=True)
class States(FittedMacrostates):
    """The partition's own states."""

    def of_frames(self, trajectory: Trajectory, states: Dtraj) -> Dtraj:
        """The states themselves."""
        return states


@dataclass(frozen=True)
class Own(Macrostates):
    """Judge the states of the run's partition; only runs of the same partition are then comparable."""

    def check(self, header: Header) -> None:
        """Nothing can go wrong."""

    def fit(self, train: Trajectory, states: Dtraj, state_names: tuple[str, ...]) -> States:
        """Nothing to learn."""
        return States(each_its_own(state_names))


def each_its_own(state_names: tuple[str, ...]) -> Lumping:
    """The lumping that lumps nothing."""
    return Lumping(np.arange(len(state_names)), state_names, mixed_share=0.0)
