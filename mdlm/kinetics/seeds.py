"""One ratio from several seeds, with the scatter between them and within each."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from mdlm.kinetics.comparison import Interval


@dataclass(frozen=True)
class AcrossSeeds:
    """A ratio over several seeds.

    Attributes:
        ratio: Geometric mean over the seeds, with its interval.
        between: Standard deviation of ln(ratio) from seed to seed beyond what each seed's own error explains.
        within: Root mean square of the seeds' own standard errors of ln(ratio).
        n_seeds: How many.
    """

    ratio: Interval
    between: float
    within: float
    n_seeds: int


def across_seeds(
    log_ratios: Sequence[float], within_errors: Sequence[float], shared_error: float, confidence: float
) -> AcrossSeeds:
    r"""Combine the ratios of runs that differ in nothing but the seed.

    The observed variance :math:`s^2` of :math:`\ln r_i` holds both the scatter between models and each sample's own
    error, so the mean has the variance :math:`s^2 / n` and, with n - 1 degrees of freedom, a t-interval. What all
    seeds share, the error of the training data, does not average out and is added in quadrature. The part between
    seeds is :math:`s^2` less the mean square of the own errors, and not negative.

    Args:
        log_ratios: ln of each seed's ratio.
        within_errors: Standard error of each from its own sample alone, not from the data.
        shared_error: Standard error of ln(ratio) that all seeds share.
        confidence: Probability mass of the interval.

    Returns:
        The interval is unknown (NaN) for a single seed, and where a ratio is not finite.

    Raises:
        ValueError: No seed, an error for each seed is missing, or an error is negative.

    Source: DerSimonian & Laird, Control. Clin. Trials 7, 177 (1986), for the part between.

    Example:
        >>> found = across_seeds(np.log([0.5, 1.0, 2.0]), [0.1, 0.1, 0.1], shared_error=0.0, confidence=0.9)
        >>> round(found.ratio.value, 6), round(found.ratio.low, 2), round(found.between, 2)
        (1.0, 0.31, 0.69)
    """
    from scipy.stats import t as student

    n_seeds = len(log_ratios)
    if not n_seeds or len(within_errors) != n_seeds:
        raise ValueError(f"within_errors ({len(within_errors)}) must be one for each of at least one seed ({n_seeds})")
    if min(*within_errors, shared_error) < 0:
        raise ValueError("within_errors and shared_error must not be negative")
    logs = np.asarray(log_ratios, dtype=float)
    within = math.sqrt(np.mean(np.square(within_errors)))
    if n_seeds == 1 or not np.isfinite(logs).all():
        unknown = Interval(float(np.exp(logs.mean())), math.nan, math.nan)
        return AcrossSeeds(unknown, math.nan, within, n_seeds)
    mean, variance = float(logs.mean()), float(logs.var(ddof=1))
    own = float(student.ppf((1 + confidence) / 2, n_seeds - 1)) * math.sqrt(variance / n_seeds)
    shared = NormalDist().inv_cdf((1 + confidence) / 2) * shared_error
    half = math.hypot(own, shared)
    ratio = Interval(math.exp(mean), math.exp(mean - half), math.exp(mean + half))
    return AcrossSeeds(ratio, math.sqrt(max(0.0, variance - within**2)), within, n_seeds)
