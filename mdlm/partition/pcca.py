"""Metastable sets: microstates of any other partition, lumped by PCCA+ on a Markov state model of training."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from mdlm.errors import named
from mdlm.partition.base import Discretiser, Partition
from mdlm.partition.spectrum import Spectrum
from mdlm.trajectory import FloatArray, Header, IntArray, Trajectory, lag_frames

MAX_MICROSTATES = 4000  # all eigenvectors of a dense matrix of this size take about a minute


@dataclass(frozen=True)
class Macrostates(Discretiser):
    """The state is the macrostate of the frame's microstate; the most populated macrostate comes first.

    Attributes:
        micro: Names the microstate of a frame.
        of_micro: Macrostate of each microstate, shape ``(n_micro,)``: the one it belongs to most.
        memberships: Degree to which each microstate belongs to each macrostate, shape ``(n_micro, n_states)``;
            rows sum to one. PCCA+ gives them for the active microstates; for a dropped one they are the shares
            of its one-frame transitions, in either direction, with each macrostate; where it has none they are
            equal, and its macrostate is the first.
        populations: Stationary probability of each macrostate in the Markov state model, shape ``(n_states,)``.
        metastability: Probability, in equilibrium, to be in the same macrostate ``lag_time`` later, shape
            ``(n_states,)``.
        timescales: Implied timescales of the Markov state model, slowest first, in the system's time unit. Only
            positive eigenvalues have one: a negative one is sampling noise or an oscillation, no relaxation.
        lag_time: Of the Markov state model, in the system's time unit.
        active: Microstates in the Markov state model, ascending.
        dropped: The others, ascending: not connected to them, in both directions, at the lag time.
        active_share: Share of the training transitions over ``lag_time`` that stay among the active.
    """

    micro: Discretiser
    of_micro: IntArray
    memberships: FloatArray
    populations: FloatArray
    metastability: FloatArray
    timescales: FloatArray
    lag_time: float
    active: IntArray
    dropped: IntArray
    active_share: float

    def states(self, frames: FloatArray) -> IntArray:
        """Macrostate of each frame."""
        return np.asarray(self.of_micro[self.micro.states(frames)])

    def membership(self, frames: FloatArray) -> FloatArray:
        """Membership of each frame's microstate in its macrostate."""
        micro = self.micro.states(frames)
        return np.asarray(self.memberships[micro, self.of_micro[micro]])


@dataclass(frozen=True, kw_only=True)
class Pcca(Partition):
    """Metastable macrostates by PCCA+, from a reversible Markov state model of the microstates of training.

    How many macrostates the data support, and which number is the best, is said in `mdlm.partition.spectrum`.

    Attributes:
        micro: Makes the microstates.
        lag_time: Of the Markov state model, in the system's time unit.
        n_macrostates: How many; None: as many as stand before the largest gap in the spectrum, at least 2.

    Source: Röblitz & Weber, Adv. Data Anal. Classif. 7, 147 (2013), as implemented by deeptime.
    """

    has_memberships: ClassVar[bool] = True

    micro: Partition
    lag_time: float
    n_macrostates: int | None = None

    def __post_init__(self) -> None:
        if not 0 < self.lag_time < math.inf:
            raise ValueError(f"lag_time ({self.lag_time:g}) must be above 0 and finite")
        if self.n_macrostates is not None and self.n_macrostates < 2:
            raise ValueError(f"n_macrostates ({self.n_macrostates}) must be at least 2, or null to be chosen")

    def check(self, header: Header) -> None:
        """The microstates must fit the features, the lag time the clock and the longest trajectory."""
        with named("micro"):
            self.micro.check(header)
        lag = lag_frames(self.lag_time, header.frame_time, header.time_unit)
        longest = max(header.lengths)
        if lag >= longest:
            raise ValueError(
                f"lag_time ({self.lag_time:g} {header.time_unit}, {lag} frames) must be shorter than the longest "
                f"trajectory, {longest} frames"
            )

    def fit(self, train: Trajectory) -> Macrostates:
        """Fit the microstates, count their transitions and lump them.

        Raises:
            ValueError: The spectrum does not support as many macrostates as asked for, or not even two; PCCA+ does
                not find as many; there are too many microstates for a dense matrix.
        """
        from mdlm.kinetics.counts import count_matrix
        from mdlm.kinetics.msm import reversible_transition_matrix

        self.check(train.header)
        with named("micro"):
            micro = self.micro.fit(train)
        if micro.n_states > MAX_MICROSTATES:
            raise ValueError(f"micro makes {micro.n_states} states; at most {MAX_MICROSTATES} can be lumped")
        pieces = micro.assign(train).pieces
        msm = reversible_transition_matrix(count_matrix(pieces, micro.n_states, train.lag_frames(self.lag_time)))
        spectrum = Spectrum.of(msm.matrix, msm.stationary, self.lag_time, train.time_unit)
        n_macrostates = spectrum.checked(self.n_macrostates)
        active_memberships = _pcca(msm.matrix, msm.stationary, n_macrostates, spectrum)
        memberships = _extended(active_memberships, msm.active, count_matrix(pieces, micro.n_states, lag=1))
        of_micro = memberships.argmax(axis=1)
        inside = np.eye(n_macrostates)[of_micro[msm.active]]
        populations = msm.stationary @ inside
        flux = msm.stationary[:, None] * msm.matrix
        names = tuple(f"macrostate {number} ({100 * share:.3g} %)" for number, share in enumerate(populations, start=1))
        return Macrostates(
            columns=train.columns,
            state_names=names,
            micro=micro,
            of_micro=of_micro,
            memberships=memberships,
            populations=populations,
            metastability=np.diag(inside.T @ flux @ inside) / populations,
            timescales=spectrum.timescales,
            lag_time=self.lag_time,
            active=msm.active,
            dropped=np.setdiff1d(np.arange(micro.n_states), msm.active),
            active_share=msm.active_share,
        )


def _pcca(matrix: FloatArray, stationary: FloatArray, n_macrostates: int, spectrum: Spectrum) -> FloatArray:
    """Memberships by PCCA+, the most populated macrostate first, shape ``(n_active, n_macrostates)``.

    Raises:
        ValueError: PCCA+ fails, or leaves a macrostate without a microstate that belongs to it most.
    """
    from deeptime.markov import pcca

    # deeptime takes the eigenvectors of largest modulus. The lazy chain has the same eigenvectors, and no eigenvalue
    # below zero that could come before a smaller one above it.
    lazy = (matrix + np.eye(len(matrix))) / 2
    try:
        with warnings.catch_warnings():
            # Rounding may leave complex pairs far down the spectrum, where they do no harm; among the eigenvectors
            # that are used they leave nonsense, of which deeptime only warns.
            warnings.simplefilter("ignore", np.exceptions.ComplexWarning)
            warnings.simplefilter("error", UserWarning)
            memberships = pcca(lazy, n_macrostates, stationary).memberships
    except (ValueError, RuntimeError, AssertionError, UserWarning) as error:
        raise ValueError(f"n_macrostates ({n_macrostates}): PCCA+ fails, {error}; {spectrum}") from error
    crisp = memberships.argmax(axis=1)
    populations = np.bincount(crisp, weights=stationary, minlength=n_macrostates)
    n_found = np.count_nonzero(populations)
    if n_found < n_macrostates:
        raise ValueError(f"n_macrostates ({n_macrostates}): PCCA+ fills only {n_found} with microstates; {spectrum}")
    return np.asarray(memberships[:, np.argsort(-populations, kind="stable")])


def _extended(active_memberships: FloatArray, active: IntArray, one_frame_counts: IntArray) -> FloatArray:
    """Memberships of all microstates, from those of the active ones.

    A dropped microstate belongs to each macrostate by the share of its one-frame transitions with it; one that only
    touches other dropped ones waits until those have a macrostate. What never touches any belongs equally to all.

    Args:
        active_memberships: Shape ``(n_active, n_macrostates)``.
        active: Microstate of each row.
        one_frame_counts: Shape ``(n_micro, n_micro)``.

    Returns:
        Shape ``(n_micro, n_macrostates)``.
    """
    n_macrostates = active_memberships.shape[1]
    memberships = np.zeros((len(one_frame_counts), n_macrostates))
    memberships[active] = active_memberships
    exchange = one_frame_counts + one_frame_counts.T
    while True:
        known = memberships.sum(axis=1) > 0
        crisp = np.eye(n_macrostates)[memberships.argmax(axis=1)] * known[:, None]
        with_each = exchange @ crisp
        touching = ~known & (with_each.sum(axis=1) > 0)
        if not touching.any():
            break
        memberships[touching] = with_each[touching] / with_each[touching].sum(axis=1, keepdims=True)
    memberships[~known] = 1 / n_macrostates
    return memberships
