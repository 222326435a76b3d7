"""Whether the slowest timescale has levelled off with the lag, and from which lag on."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from mdlm.kinetics.bootstrap import percentile_interval
from mdlm.kinetics.comparison import Convergence, Interval
from mdlm.kinetics.estimate import AtLag, lag_curve
from mdlm.trajectory import Dtraj, FloatArray

TOLERANCE = 0.1  # relative change of t2 that is no change
MIN_LONGER = 2  # lags, each twice the one before, that must agree with the first of a plateau
LONGEST = 0.5  # of the longest piece: a lag beyond leaves too few transitions


def doubling_lag_times(dtraj: Dtraj, lag_time: float, t2: float) -> list[float]:
    """Lags for the test, ascending, in the time unit: ``lag_time`` halved down to one frame, and doubled.

    Args:
        dtraj: The sequence; no doubled lag exceeds half of its longest piece.
        lag_time: The judged lag, always one of them.
        t2: Slowest timescale at the judged lag; no doubled lag exceeds it, see `convergence`.

    Example:
        >>> doubling_lag_times(Dtraj((np.zeros(400, int),), 0.5, "ps", 1), lag_time=10.0, t2=50.0)
        [0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 40.0]
    """
    lag = dtraj.lag_frames(lag_time)
    shorter = [lag >> n for n in range(1, lag.bit_length())]
    longer = [lag << n for n in range(1, 64) if lag << n <= LONGEST * max(dtraj.lengths)]
    before, after = ([frames * dtraj.frame_time for frames in lags] for lags in (shorter[::-1], longer))
    return [*before, lag_time, *(longer_time for longer_time in after if not longer_time > t2)]


def plateau(t2: FloatArray, samples: FloatArray, confidence: float) -> int | None:
    """Find where t2 has levelled off with the lag.

    A lag begins a plateau where at every longer lag t2 differs from its value there by at most a tenth, or by no more
    than the error of that difference (the interval of the two's ratio covers one; both come from the same
    resamples, so that what they share drops out). There must be at least two longer lags. The first such lag counts.

    Args:
        t2: The slowest timescale at each lag, ascending lags, each about twice the one before, shape ``(n_lags,)``.
        samples: Its resamples, resample b the same frames at every lag, shape ``(n_lags, n_resamples)``.
        confidence: Probability mass of the intervals.

    Returns:
        Index of the first lag of the plateau, or None where t2 has not levelled off or the lags are too few to say.

    Example:
        >>> rise = np.array([10.0, 50.0, 90.0, 100.0, 101.0, 99.0])
        >>> plateau(rise, np.outer(rise, np.linspace(0.9, 1.1, 40)), confidence=0.9)
        3
    """
    for first in range(len(t2) - MIN_LONGER):
        if not (np.isfinite(t2[first:]).all() and t2[first] > 0):
            continue
        with np.errstate(invalid="ignore", divide="ignore"):
            ratios = samples[first + 1 :] / samples[first]
        low, high = percentile_interval(ratios.T, confidence)
        level = np.abs(t2[first + 1 :] / t2[first] - 1) <= TOLERANCE + 1e-12
        if (level | ((low <= 1) & (high >= 1))).all():
            return first
    return None


def convergence(points: Sequence[AtLag], confidence: float) -> Convergence:
    """Find the plateau of t2 in estimates of one sequence.

    Only lags up to t2 count: beyond it the eigenvalue is below 0.37, and soon lost in noise.

    Args:
        points: At lags that double, ascending.
        confidence: Probability mass of the intervals.
    """
    counted = [point for point in points if not (point.timescales < point.lag_time)[:1].any()] or points[:1]
    curve = lag_curve(counted, confidence)
    none = Convergence(curve, math.nan, Interval(math.nan, math.nan, math.nan))
    if not curve.timescales.shape[1]:
        return none
    n_samples = min(len(point.samples) for point in counted)
    samples = np.stack([point.samples[:n_samples, 0] for point in counted])
    first = plateau(curve.timescales[:, 0], samples, confidence)
    if first is None:
        return none
    value, low, high = (float(bound[first, 0]) for bound in (curve.timescales, curve.low, curve.high))
    return Convergence(curve, float(curve.lag_times[first]), Interval(value, low, high))
