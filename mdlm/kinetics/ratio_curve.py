"""The slowest timescale of a sample over that of the data, lag by lag: a right value at one lag may be two wrongs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mdlm.kinetics.bootstrap import percentile_interval
from mdlm.kinetics.estimate import AtLag
from mdlm.trajectory import FloatArray

SHARE_OF_T2 = 0.1  # longest lag: far above it an estimate is noise, far below it fast processes count in
BOUNDS = (0.8, 1.25)  # what counts as right


@dataclass(frozen=True)
class RatioCurve:
    """t2 of the sample over t2 of the data against the lag.

    Attributes:
        lag_times: Ascending, shape ``(n_lags,)``, in the time unit.
        ratios: Shape ``(n_lags,)``; infinite where the sample never crossed, NaN where not estimated.
        low: Lower bound of each.
        high: Upper bound of each.
    """

    lag_times: FloatArray
    ratios: FloatArray
    low: FloatArray
    high: FloatArray

    @property
    def worst(self) -> tuple[float, float]:
        """The ratio furthest from one, as a factor, and its lag; NaN where a ratio is unknown.

        Example:
            >>> RatioCurve(np.array([1.0, 10.0]), np.array([1.5, 0.5]), np.zeros(2), np.ones(2)).worst
            (0.5, 10.0)
        """
        with np.errstate(divide="ignore"):
            index = int(np.abs(np.log(self.ratios)).argmax())  # argmax takes the first NaN for the largest
        return float(self.ratios[index]), float(self.lag_times[index])

    @property
    def share_right(self) -> float:
        """Share of the lags at which the ratio lies within [0.8, 1.25]."""
        return float(((self.ratios >= BOUNDS[0]) & (self.ratios <= BOUNDS[1])).mean())

    def metrics(self, time_unit: str) -> dict[str, float]:
        """Worst ratio, its lag, and the share of lags that are right, under their logged names."""
        ratio, lag_time = self.worst
        named = {
            "t2_ratio_to_data_worst": ratio,
            f"t2_ratio_to_data_worst_lag_{time_unit}": lag_time,
            "t2_ratio_to_data_share_right": self.share_right,
        }
        return {name: value if math.isfinite(value) else math.nan for name, value in named.items()}


def ratio_lag_times(t2: float, token_time: float, n_lags: int) -> list[float]:
    """Lags from one token to a tenth of t2, geometrically spaced, fewer where they coincide.

    Args:
        t2: Slowest timescale of the reference.
        token_time: Time per token, in the unit of ``t2``.
        n_lags: How many at most.

    Raises:
        ValueError: ``t2`` is not finite, or no lag is asked for.

    Example:
        >>> ratio_lag_times(2000.0, 2.0, n_lags=3)
        [2.0, 20.0, 200.0]
    """
    if not math.isfinite(t2):
        raise ValueError(f"t2 ({t2:g}) must be finite: without a slow process there is nothing to compare")
    if n_lags < 1:
        raise ValueError(f"n_lags ({n_lags}) must be at least 1")
    longest = max(1.0, SHARE_OF_T2 * t2 / token_time)
    frames = np.unique(np.geomspace(1, longest, n_lags).round().astype(np.intp))
    return [float(frame * token_time) for frame in frames]


def ratio_curve(sampled: Sequence[AtLag], data: Sequence[AtLag], confidence: float) -> RatioCurve:
    """The ratio at each lag, with the error of both sides: their resamples are independent.

    Args:
        sampled: The sample at each lag, ascending.
        data: The training data at the same lags.
        confidence: Probability mass of the intervals.

    Raises:
        ValueError: The lags differ.
    """
    lags = [[point.lag_time for point in points] for points in (sampled, data)]
    if lags[0] != lags[1]:
        raise ValueError(f"sampled has the lags {lags[0]}; it must have those of the data, {lags[1]}")
    ratios, bounds = [], []
    with np.errstate(divide="ignore", invalid="ignore"):
        for own, other in zip(sampled, data, strict=True):
            ratios.append(own.timescales[0] / other.timescales[0])
            n_samples = min(len(own.samples), len(other.samples))
            samples = [np.log(point.samples[:n_samples, 0]) for point in (own, other)]
            bounds.append(np.exp(percentile_interval(samples[0] - samples[1], confidence)))
    low, high = np.array(bounds).T
    return RatioCurve(np.array(lags[0]), np.array(ratios), low, high)
