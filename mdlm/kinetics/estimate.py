"""Estimates of one sequence: timescales with their bootstrap samples at one lag or at many."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from mdlm.kinetics.bootstrap import block_edges, percentile_interval, resample_weights, timescale_samples
from mdlm.kinetics.comparison import Curve, Estimate, Interval
from mdlm.kinetics.counts import count_matrix, piece_count_matrices
from mdlm.kinetics.events import SlowSides, count_slow_events
from mdlm.kinetics.mfpt import PassageTime, mfpt_matrix
from mdlm.kinetics.msm import TransitionMatrix, reversible_transition_matrix
from mdlm.kinetics.populations import populations
from mdlm.kinetics.timescales import flux_timescales
from mdlm.trajectory import Dtraj, FloatArray, IntArray


@dataclass(frozen=True)
class Resampled:
    """A sequence with the blocks it is cut into and how often each is drawn.

    The blocks depend on the judged lag only, so that one resample means the same frames at every lag.

    Attributes:
        dtraj: The sequence.
        edges: See `mdlm.kinetics.bootstrap.block_edges`.
        weights: See `mdlm.kinetics.bootstrap.resample_weights`.
    """

    dtraj: Dtraj
    edges: tuple[IntArray, ...]
    weights: IntArray

    @staticmethod
    def draw(dtraj: Dtraj, lag_time: float, n_resamples: int, rng: np.random.Generator) -> Resampled:
        """Cut ``dtraj`` into blocks for the judged ``lag_time`` and draw them ``n_resamples`` times."""
        edges = block_edges(dtraj.lengths, dtraj.lag_frames(lag_time))
        n_blocks = sum(len(cuts) - 1 for cuts in edges)
        return Resampled(dtraj, edges, resample_weights(n_blocks, n_resamples, rng))

    def at(self, lag_time: float, n_timescales: int, sides: SlowSides, n_samples: int) -> AtLag:
        """Estimate at one lag, with a bootstrap sample for each of the first ``n_samples`` resamples."""
        n_states = self.dtraj.n_states
        lag = self.dtraj.lag_frames(lag_time)
        rows = piece_count_matrices(self.dtraj.pieces, n_states, lag, self.edges)
        transition = reversible_transition_matrix(rows.sum(axis=0).reshape(n_states, n_states))
        times = model_timescales(transition, lag_time, n_timescales, sides)
        samples = timescale_samples(rows, self.weights[:n_samples], lag_time, n_timescales, sides)
        return AtLag(lag_time, transition, times, samples)


@dataclass(frozen=True)
class AtLag:
    """The model of one sequence at one lag.

    Attributes:
        lag_time: In the system's time unit.
        transition: Reversible Markov state model of the whole sequence.
        timescales: Its implied timescales, shape ``(n_timescales,)``; see `model_timescales`.
        samples: The same of every bootstrap or posterior sample, shape ``(n_samples, n_timescales)``.
    """

    lag_time: float
    transition: TransitionMatrix
    timescales: FloatArray
    samples: FloatArray


def markov_state_model(dtraj: Dtraj, lag_time: float) -> TransitionMatrix:
    """Reversible Markov state model of ``dtraj`` at ``lag_time``, in its time unit."""
    counts = count_matrix(dtraj.pieces, dtraj.n_states, dtraj.lag_frames(lag_time))
    return reversible_transition_matrix(counts)


def model_timescales(transition: TransitionMatrix, lag_time: float, n_timescales: int, sides: SlowSides) -> FloatArray:
    """Implied timescales of a model, or an infinite t2 where it does not hold both slow sides.

    Args:
        transition: Estimated at ``lag_time``.
        lag_time: In the system's time unit.
        n_timescales: How many to return.
        sides: The two sides of the slowest process.

    Returns:
        Shape ``(n_timescales,)``, slowest first; NaN where not estimated.
    """
    if sides.held_by(transition.active):
        flux = transition.stationary[:, None] * transition.matrix
        return flux_timescales((flux + flux.T) / 2, lag_time, n_timescales)
    times = np.full(n_timescales, np.nan)
    if sides.exist:
        times[:1] = np.inf
    return times


def estimate(
    dtraj: Dtraj,
    judged: AtLag,
    processes: Sequence[SlowSides],
    windows: Sequence[float],
    sets: Mapping[str, IntArray],
    confidence: float,
    passage_time: PassageTime,
) -> Estimate:
    """Everything that is reported of one sequence at the judged lag.

    Args:
        dtraj: The sequence.
        judged: Its model at the judged lag.
        processes: The two sides of each process, slowest first.
        windows: How long a side must be held for an event of each, in the time unit.
        sets: Named sets of states for mean first-passage times.
        confidence: Probability mass of the intervals.
        passage_time: Computes mean first-passage times.
    """
    transition = judged.transition
    low, high = percentile_interval(judged.samples, confidence)
    rows = [transition.rows_of(states) for states in sets.values()]
    frames = [max(1, round(window / dtraj.frame_time)) for window in windows]
    events = [count_slow_events(dtraj.pieces, s.codes, n) for s, n in zip(processes, frames, strict=True)]
    return Estimate(
        timescales=tuple(map(Interval, judged.timescales.tolist(), low.tolist(), high.tolist())),
        transition=transition,
        populations=populations(dtraj.pieces, dtraj.n_states),
        mfpt=mfpt_matrix(transition.matrix, transition.stationary, rows, judged.lag_time, passage_time),
        events=tuple(events),
        n_lost=int(np.isinf(judged.samples[:, :1]).sum()),
        n_resamples=len(judged.samples),
        duration=dtraj.duration,
    )


def lag_curve(points: Sequence[AtLag], confidence: float) -> Curve:
    """Implied timescales against the lag, with intervals of probability mass ``confidence``."""
    bounds = [percentile_interval(point.samples, confidence) for point in points]
    return Curve(
        lag_times=np.array([point.lag_time for point in points]),
        timescales=np.stack([point.timescales for point in points]),
        low=np.stack([low for low, _ in bounds]),
        high=np.stack([high for _, high in bounds]),
    )


def curve_lag_times(lag_time: float, token_time: float, n_lags: int) -> list[float]:
    """Lags of the implied-timescale curve, ascending.

    Whole multiples of the token time, geometrically spaced from one token to twice the judged lag (whether a
    timescale has levelled off shows beyond that lag), fewer where they coincide; the judged lag is always
    one.

    Example:
        >>> curve_lag_times(8.0, 0.5, n_lags=6)
        [0.5, 1.0, 2.0, 4.0, 8.0, 16.0]
    """
    judged = round(lag_time / token_time)
    lags = np.unique(np.geomspace(1, 2 * judged, n_lags).round().astype(np.intp))
    lags[np.abs(np.log(lags / judged)).argmin()] = judged
    return [lag_time if lag == judged else lag * token_time for lag in np.unique(lags).tolist()]
