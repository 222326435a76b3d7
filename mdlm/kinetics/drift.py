"""Whether a sampled run stays what it is: populations and slowest timescale in consecutive parts of its time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mdlm.kinetics.bootstrap import MIN_BLOCKS, percentile_interval, resample_weights, timescale_samples
from mdlm.kinetics.counts import piece_count_matrices
from mdlm.kinetics.estimate import model_timescales
from mdlm.kinetics.events import SlowSides
from mdlm.kinetics.msm import reversible_transition_matrix
from mdlm.trajectory import Dtraj, FloatArray, IntArray

CONFIDENCE = 0.9
N_RESAMPLES = 50


@dataclass(frozen=True)
class Drift:
    """Populations and t2 of every chain's first, second ... part.

    Attributes:
        edges: Bounds of the parts of the longest chain, in the time unit, shape ``(n_parts + 1,)``.
        populations: Share of the frames in each state, shape ``(n_parts, n_states)``.
        standard_error: Of each, from the spread between chains, same shape; NaN for a single chain.
        t2: Slowest timescale of each part, in the time unit, shape ``(n_parts,)``; empty where it was not asked for.
        t2_low: Lower bound of a 90 % bootstrap interval over chains, same shape; NaN for fewer than five.
        t2_high: Upper bound.
        trend: Change of each population from the run's beginning to its end on a straight line, shape ``(n_states,)``.
        trend_error: Standard error of each, from the spread between chains; NaN for a single chain.
    """

    edges: FloatArray
    populations: FloatArray
    standard_error: FloatArray
    t2: FloatArray
    t2_low: FloatArray
    t2_high: FloatArray
    trend: FloatArray
    trend_error: FloatArray

    @property
    def largest_trend(self) -> float:
        """Largest change of a population over the run, 0 to 1; NaN where none is known."""
        return _largest(self.trend)

    @property
    def largest_trend_in_errors(self) -> float:
        """Largest change in its standard errors; beware of many states, one in twenty exceeds two by chance."""
        known = self.trend_error > 0
        return _largest(self.trend[known] / self.trend_error[known])


def drift(dtraj: Dtraj, lag_time: float, sides: SlowSides | None, n_parts: int, seed: int) -> Drift:
    """Follow populations and t2 along the chains.

    Every chain is cut into ``n_parts`` equal parts of time, and the k-th parts of all belong together. Chains are
    taken to be independent; within one nothing is assumed, so its parts may be correlated.

    Args:
        dtraj: The chains.
        lag_time: Of the timescale, in the time unit.
        sides: The two sides of the slowest process; None: no t2.
        n_parts: At least two.
        seed: Of the bootstrap over chains.

    Raises:
        ValueError: Fewer than two parts, or the lag is no multiple of the frame time.
    """
    if n_parts < 2:
        raise ValueError(f"n_parts ({n_parts}) must be at least 2")
    lag = dtraj.lag_frames(lag_time)
    chains = [piece for piece in dtraj.pieces if len(piece) >= n_parts]
    cuts = [np.linspace(0, len(chain), n_parts + 1).astype(np.intp) for chain in chains]
    parts = [[chain[cut[k] : cut[k + 1]] for chain, cut in zip(chains, cuts, strict=True)] for k in range(n_parts)]
    shares, error, trend, trend_error = _populations(parts, dtraj.n_states)
    rng = np.random.default_rng(seed)
    t2 = [] if sides is None else [_t2(part, lag, lag_time, sides, rng) for part in parts]
    values, low, high = np.reshape(t2, (-1, 3)).T
    longest = max(map(len, chains), default=0)
    edges = np.linspace(0, longest * dtraj.frame_time, n_parts + 1)
    return Drift(edges, shares, error, values, low, high, trend, trend_error)


def _populations(
    parts: Sequence[Sequence[IntArray]], n_states: int
) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """Populations of the parts and their trend, each with its standard error."""
    n_parts, n_chains = len(parts), len(parts[0])
    counts = np.array([[np.bincount(piece, minlength=n_states) for piece in part] for part in parts], dtype=np.float64)
    counts = counts.reshape(n_parts, n_chains, n_states)
    if not n_chains:
        unknown = np.full((n_parts, n_states), np.nan)
        return unknown, unknown, unknown[0], unknown[0]
    of_chain = counts / counts.sum(axis=2, keepdims=True)
    middle = (np.arange(n_parts) + 0.5) / n_parts - 0.5
    slopes = np.tensordot(middle, of_chain, axes=(0, 0)) / (middle @ middle)
    together = counts.sum(axis=1)
    shares = together / together.sum(axis=1, keepdims=True)
    return shares, _standard_error(of_chain, 1), slopes.mean(axis=0), _standard_error(slopes, 0)


def _standard_error(values: FloatArray, axis: int) -> FloatArray:
    """Standard error of the mean over chains; NaN for one."""
    n_chains = values.shape[axis]
    if n_chains < 2:
        return np.full(values.mean(axis=axis).shape, np.nan)
    return np.asarray(values.std(axis=axis, ddof=1) / np.sqrt(n_chains))


def _t2(part: Sequence[IntArray], lag: int, lag_time: float, sides: SlowSides, rng: np.random.Generator) -> FloatArray:
    """Slowest timescale of one part with the bounds of its interval, shape ``(3,)``."""
    n_states = len(sides.codes)
    rows = piece_count_matrices(part, n_states, lag)
    transition = reversible_transition_matrix(rows.sum(axis=0).reshape(n_states, n_states))
    value = model_timescales(transition, lag_time, 1, sides)
    if len(part) < MIN_BLOCKS:
        return np.array([value[0], np.nan, np.nan])
    samples = timescale_samples(rows, resample_weights(len(part), N_RESAMPLES, rng), lag_time, 1, sides)
    return np.concatenate([value, *percentile_interval(samples, CONFIDENCE)])


def _largest(values: FloatArray) -> float:
    """Largest modulus of the known values."""
    known = np.abs(values[np.isfinite(values)])
    return float(known.max()) if len(known) else np.nan
