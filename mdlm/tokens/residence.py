"""Residence times in discrete trajectories, and their distribution where observation cuts some of them short."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mdlm.trajectory import FloatArray, IntArray, visit_starts

Runs = tuple[IntArray, IntArray]
"""Of consecutive runs: the state of each, and its length in frames."""


def runs_from_first_jump(piece: IntArray) -> Runs:
    """Maximal runs of a piece, without its first.

    Every run but the last is complete; the last is cut by the end of the piece.

    Example:
        >>> [part.tolist() for part in runs_from_first_jump(np.array([0, 0, 2, 1, 1, 1]))]
        [[2, 1], [1, 3]]
    """
    starts = visit_starts(piece)[1:]
    return piece[starts].astype(np.int64), np.diff(starts, append=len(piece))


@dataclass(frozen=True)
class ResidenceTimes:
    """Distribution of the residence time in each state.

    Attributes:
        states: State of each entry, ascending.
        lengths: Residence times in frames, ascending within a state.
        probability: Of this residence time in this state.
    """

    states: IntArray
    lengths: IntArray
    probability: FloatArray

    @classmethod
    def estimate(cls, runs: Sequence[Runs], n_states: int) -> ResidenceTimes:
        """The Kaplan-Meier estimate of every state from runs of pieces, the last of each piece cut.

        A state without runs gets a residence time of one frame.

        Source: Gill, Z. Wahrscheinlichkeitstheorie verw. Gebiete 53, 97 (1980), for semi-Markov processes.
        """
        states, lengths = (np.concatenate(parts) for parts in zip(*runs, strict=True))
        cut = np.concatenate([np.arange(len(part)) == len(part) - 1 for part, _ in runs])
        order = np.argsort(states, kind="stable")
        ends = np.bincount(states, minlength=n_states).cumsum()[:-1]
        of_states = zip(np.split(lengths[order], ends), np.split(cut[order], ends), strict=True)
        laws = [kaplan_meier(*part) if len(part[0]) else (np.ones(1, np.int64), np.ones(1)) for part in of_states]
        return cls(
            states=np.repeat(np.arange(n_states), [len(support) for support, _ in laws]),
            lengths=np.concatenate([support for support, _ in laws]),
            probability=np.concatenate([probability for _, probability in laws]),
        )

    @property
    def mean(self) -> FloatArray:
        """Mean residence time of each state, in frames, shape ``(n_states,)``."""
        return np.asarray(np.bincount(self.states, weights=self.lengths * self.probability), float)

    @property
    def longest(self) -> IntArray:
        """Longest residence time of each state, in frames, shape ``(n_states,)``."""
        return np.asarray(self.lengths[np.bincount(self.states).cumsum() - 1])

    def draw(self, states: IntArray, shortest: IntArray, longest: IntArray, rng: np.random.Generator) -> IntArray:
        """Draw one residence time in each of some states, given that it lies in ``[shortest, longest]``.

        Args:
            states: Shape ``(n,)``.
            shortest: In frames, shape ``(n,)``.
            longest: In frames, shape ``(n,)``; the state must have a residence time between the two.
            rng: Source of the draws.
        """
        span = int(self.lengths.max()) + 1
        entries = self.states * span + self.lengths
        first = np.searchsorted(entries, states * span + shortest)
        last = np.searchsorted(entries, states * span + np.minimum(longest, span - 1), side="right") - 1
        below = np.concatenate([[0.0], self.probability.cumsum()])  # over all states, one after the other
        mass = below[first] + rng.random(len(states)) * (below[last + 1] - below[first])
        drawn = np.searchsorted(below, mass, side="right") - 1
        return np.asarray(self.lengths[np.clip(drawn, first, last)])  # rounding may step over an end


def kaplan_meier(lengths: IntArray, cut: NDArray[np.bool_]) -> tuple[IntArray, FloatArray]:
    """Distribution of residence times of which some are only known to be at least as long as seen.

    The mass beyond the longest run, where that is a cut one, is put on its length (Efron).

    Args:
        lengths: Frames seen of each run, shape ``(n_runs,)``, at least one run.
        cut: Whether observation ended before the run did.

    Returns:
        The residence times that have a probability, ascending, and their probabilities.

    Example:
        >>> lengths, probability = kaplan_meier(np.array([1, 2, 2, 4]), np.array([False, True, False, False]))
        >>> lengths.tolist(), probability.round(3).tolist()
        ([1, 2, 4], [0.25, 0.375, 0.375])

    Source: Kaplan & Meier, J. Am. Stat. Assoc. 53, 457 (1958); Efron, Proc. 5th Berkeley Symp. 4, 831 (1967).
    """
    complete = ~cut | (lengths == lengths.max())
    support, ended = np.unique(lengths[complete], return_counts=True)
    # A run cut after c frames was seen not to end with any of its first c - 1 frames; of frame c nothing is known.
    tested = np.sort(lengths - ~complete)
    at_risk = len(lengths) - np.searchsorted(tested, support)
    hazard = ended / at_risk
    survival = np.concatenate([[1.0], np.cumprod(1 - hazard)[:-1]])
    return support, survival * hazard
