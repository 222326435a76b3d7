"""A discrete Markov chain: the system whose every kinetic quantity is known in closed form."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mdlm.progress import Progress, silent
from mdlm.system.base import System, Truth
from mdlm.system.walkers import check_positive, check_seed, run_walkers
from mdlm.trajectory import FloatArray, Header, Trajectory


@dataclass(frozen=True, kw_only=True)
class Chain(System):
    """Trajectories of a discrete Markov chain, started from its stationary distribution.

    Attributes:
        transition_matrix: Element ``[i][j]`` is the probability of going from i to j within one frame.
        n_trajectories: Independent trajectories.
        n_frames: Frames of each.
        frame_time: Time between neighbouring frames, in ``time_unit``.
        time_unit: Unit of every time of this system.
        seed: Decides every random number.
    """

    transition_matrix: tuple[tuple[float, ...], ...]
    n_trajectories: int
    n_frames: int
    frame_time: float
    time_unit: str
    seed: int

    def __post_init__(self) -> None:
        check_positive(n_trajectories=self.n_trajectories, n_frames=self.n_frames, frame_time=self.frame_time)
        check_seed(self.seed)
        check_chain(self.transition_matrix)

    @property
    def header(self) -> Header:
        """One column, the state index."""
        return Header(("state",), (self.n_frames,) * self.n_trajectories, self.frame_time, self.time_unit)

    @property
    def stationary_distribution(self) -> FloatArray:
        """Probability of each state in the long run, shape ``(n_states,)``."""
        matrix = np.array(self.transition_matrix)
        n_states = len(matrix)
        # pi (T - 1) = 0 together with sum(pi) = 1, a full-rank system for an ergodic chain
        equations = np.vstack([matrix.T - np.eye(n_states), np.ones(n_states)])
        return np.asarray(np.linalg.lstsq(equations, np.eye(n_states + 1)[-1], rcond=None)[0])

    def trajectories(self, progress: Progress = silent) -> Trajectory:
        """Sample every trajectory; the values are state indices."""
        from mdlm.system.chain_kernels import walk

        cumulative = np.cumsum(self.transition_matrix, axis=1)
        cumulative /= cumulative[:, -1:]  # rows end at exactly 1, so that no rounding leads out of a row
        stationary = np.cumsum(self.stationary_distribution)

        def start(rng: np.random.Generator) -> FloatArray:
            state = np.searchsorted(stationary, rng.random() * stationary[-1], side="right")
            return np.array([state], float)

        def advance(rng: np.random.Generator, state: FloatArray, block: FloatArray) -> None:
            walk(rng, state, block, cumulative)

        pieces = run_walkers(
            start,
            advance,
            n_walkers=self.n_trajectories,
            n_frames=self.n_frames,
            n_columns=1,
            save_every=1,
            seed=self.seed,
            n_threads=None,
            progress=progress,
        )
        return Trajectory(pieces, self.frame_time, self.time_unit, columns=self.header.columns)

    def truth(self) -> Truth:
        """All relaxation times, from the eigenvalues."""
        sizes = np.sort(np.abs(np.linalg.eigvals(np.array(self.transition_matrix))))[::-1][1:]
        with np.errstate(divide="ignore"):  # an eigenvalue of zero relaxes at once: 1 / ln 0 = -0
            timescales = tuple(float(abs(t)) for t in self.frame_time / np.log(sizes))
        return Truth(timescales, (0.0,) * len(timescales), "eigenvalues of the transition matrix")


def check_chain(transition_matrix: tuple[tuple[float, ...], ...]) -> None:
    """Raise `ValueError` unless the rows make an ergodic Markov chain of at least two states.

    Example:
        >>> check_chain(((0.9, 0.1), (0.2, 0.7)))
        Traceback (most recent call last):
        ValueError: transition_matrix row 1 sums to 0.9; every row must sum to 1
    """
    n_states = len(transition_matrix)
    if n_states < 2:
        raise ValueError(f"transition_matrix has {n_states} rows; it must have at least 2")
    for number, row in enumerate(transition_matrix):
        if len(row) != n_states:
            raise ValueError(f"transition_matrix row {number} has {len(row)} entries; a square matrix needs {n_states}")
        if not min(row) >= 0:
            raise ValueError(f"transition_matrix row {number} holds {min(row)}; none may be negative")
        if not np.isclose(sum(row), 1, rtol=0, atol=1e-9):
            raise ValueError(f"transition_matrix row {number} sums to {sum(row):g}; every row must sum to 1")
    # A chain is ergodic when some power of it, at the latest the (n-1)^2 + 1-th, has no zero (Wielandt).
    reached = np.array(transition_matrix) > 0
    for _ in range(2 * n_states.bit_length()):
        reached = reached @ reached
    if not reached.all():
        raise ValueError("transition_matrix must be ergodic: every state reachable from every other, in no fixed cycle")
