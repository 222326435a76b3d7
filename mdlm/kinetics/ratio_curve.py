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
        """The ratio furthest from one, as a factor, and its lag; NaN where a ratio is unknown, or there is none.

        Example:
            >>> RatioCurve(np.array([1.0, 10.0]), np.array([1.5, 0.5]), np.zeros(2), np.ones(2)).worst
            (0.5, 10.0)
        """
        # The first NaN is the largest to argmax.
        return self._at(int(self._off.argmax())) if len(self.ratios) else (math.nan, math.nan)

    @property
    def best(self) -> tuple[float, float]:
        """The known ratio closest to one, as a factor, and its lag; NaN where none is known."""
        known = not np.isnan(self._off).all()
        return self._at(int(np.nanargmin(self._off))) if known else (math.nan, math.nan)

    @property
    def share_right(self) -> float:
        """Share of the lags at which the ratio lies within [0.8, 1.25]; NaN where there are none."""
        right = (self.ratios >= BOUNDS[0]) & (self.ratios <= BOUNDS[1])
        return float(right.mean()) if len(right) else math.nan

    @property
    def _off(self) -> FloatArray:
        with np.errstate(divide="ignore"):
            return np.asarray(np.abs(np.log(self.ratios)))

    def _at(self, index: int) -> tuple[float, float]:
        return float(self.ratios[index]), float(self.lag_times[index])

    def sentence(self, time_unit: str) -> str:
        """From which lag to which, and how far from one the ratio is there."""
        if not len(self.ratios):
            return "t2 / data at other lags: not known, since the data have no t2 at lags up to a tenth of t2"
        lags = f"{len(self.ratios)} lags from {self.lag_times[0]:g} to {self.lag_times[-1]:g} {time_unit}"
        off = [f"{ratio:.3g} at lag {lag:g}" for ratio, lag in (self.worst, self.best)]
        n_right = round(self.share_right * len(self.ratios))
        within = f"within [{BOUNDS[0]:g}, {BOUNDS[1]:g}] at {n_right} of {len(self.ratios)}"
        return f"t2 / data at {lags}: worst {off[0]}, best {off[1]}, {within}"

    def metrics(self, time_unit: str) -> dict[str, float]:
        """Worst and best ratio, their lags, and the share of lags that are right, under their logged names."""
        named = {"t2_ratio_to_data_share_right": self.share_right}
        for name, (ratio, lag_time) in (("worst", self.worst), ("best", self.best)):
            named |= {f"t2_ratio_to_data_{name}": ratio, f"t2_ratio_to_data_{name}_lag_{time_unit}": lag_time}
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


def extended(lag_times: Sequence[float], t2: float, token_time: float, n_lags: int, longest: int) -> list[float]:
    """Lags of a curve of timescales, and those beyond its end that it lacks to reach a tenth of t2.

    Args:
        lag_times: Of the curve, ascending from one token.
        t2: Slowest timescale of the reference; nothing is added where it is not finite.
        token_time: Time per token, in the unit of ``t2``.
        n_lags: How many lags the way from one token to a tenth of t2 is divided into.
        longest: Tokens that no lag added may exceed.

    Example:
        >>> extended([1.0, 4.0, 20.0], 2000.0, 1.0, n_lags=4, longest=1000)
        [1.0, 4.0, 20.0, 34.0, 200.0]
    """
    if not math.isfinite(t2):
        return list(lag_times)
    further = [lag for lag in ratio_lag_times(t2, token_time, n_lags) if lag > lag_times[-1] + token_time / 2]
    return [*lag_times, *(lag for lag in further if round(lag / token_time) <= longest)]


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
    ratios, bounds = [], np.empty((len(lags[0]), 2))
    with np.errstate(divide="ignore", invalid="ignore"):
        for bound, own, other in zip(bounds, sampled, data, strict=True):
            ratios.append(own.timescales[0] / other.timescales[0])
            n_samples = min(len(own.samples), len(other.samples))
            samples = [np.log(point.samples[:n_samples, 0]) for point in (own, other)]
            bound[:] = np.exp(percentile_interval(samples[0] - samples[1], confidence))
    return RatioCurve(np.array(lags[0]), np.array(ratios), *bounds.T)
