"""Ratios of the slowest timescale, with every source of error in the interval."""

from __future__ import annotations

import math

import numpy as np

from mdlm.kinetics.bootstrap import percentile_interval
from mdlm.kinetics.comparison import Estimate, Interval
from mdlm.trajectory import FloatArray

UNKNOWN = Interval(math.nan, math.nan, math.nan)


def ratio_to_data(
    sampled: Estimate,
    data: Estimate,
    sampled_samples: FloatArray,
    data_samples: FloatArray,
    confidence: float,
    index: int = 0,
) -> Interval:
    """A timescale of the sample over that of the training data, chains and trajectories resampled independently.

    A sample that never crossed has an infinite t2 and so an infinite ratio. Resampling cannot bound it from
    below; the Poisson law can: seeing no event is still compatible with ``-ln((1 - confidence) / 2)``
    expected ones, so the lower bound is the number the data's rate promises for the sample's length, over
    that.

    Args:
        sampled: Estimate from the sample.
        data: Estimate from the training data.
        sampled_samples: Bootstrap samples of the sample's timescales, shape ``(n_resamples, n_timescales)``.
        data_samples: The same for the data.
        confidence: Probability mass of the interval.
        index: Which timescale; 0 is t2.
    """
    in_sampled, in_data = _timescale(sampled, index), _timescale(data, index)
    if math.isnan(in_sampled) or not (math.isfinite(in_data) and in_data > 0):
        return UNKNOWN
    if math.isinf(in_sampled):
        promised = data.events[index] * sampled.duration / data.duration
        compatible = -math.log((1 - confidence) / 2)
        return Interval(math.inf, promised / compatible if not sampled.events[index] else math.nan, math.inf)
    logs = [_logs(samples, index) for samples in (sampled_samples, data_samples)]
    return _interval(in_sampled / in_data, _difference(*logs), confidence)


def ratio_to_truth(
    sampled: Estimate,
    data: Estimate,
    sampled_samples: FloatArray,
    data_samples: FloatArray,
    truth: tuple[float, float],
    confidence: float,
    rng: np.random.Generator,
) -> Interval:
    r"""t2 of the sample over the true t2; the interval also holds the error of the data and of the truth.

    A model can do no better than its finite training data, so their error belongs into a claim about the
    truth: :math:`\ln r_b = \ln s_b - \ln t_b + (\ln d_b - \ln \hat d)` with s the sample's, d the data's
    and t the true t2. The truth is drawn log-normal, :math:`\ln t_b = \ln t + (\sigma_t / t) z`, which is
    its standard error to first order and never negative.

    Args:
        sampled: Estimate from the sample.
        data: Estimate from the training data.
        sampled_samples: Bootstrap samples of the sample's timescales, shape ``(n_resamples, n_timescales)``.
        data_samples: The same for the data.
        truth: The true t2 and its standard error.
        confidence: Probability mass of the interval.
        rng: Draws the truth's error.
    """
    t2_sampled, t2_data = _timescale(sampled), _timescale(data)
    if math.isnan(t2_sampled) or not math.isfinite(t2_data):
        return UNKNOWN
    value, error = truth
    if math.isinf(t2_sampled):
        return Interval(math.inf, math.nan, math.inf)
    log_truth = math.log(value) + error / value * rng.standard_normal(len(sampled_samples))
    data_error = _logs(data_samples) - math.log(t2_data)
    log_samples = _logs(sampled_samples) - log_truth + data_error
    return _interval(t2_sampled / value, log_samples, confidence)


def _timescale(estimate: Estimate, index: int = 0) -> float:
    """One timescale, t2 by default, or NaN where the alphabet has too few states."""
    return estimate.timescales[index].value if index < len(estimate.timescales) else math.nan


def _logs(samples: FloatArray, index: int = 0) -> FloatArray:
    """Logarithm of one timescale's samples; minus infinity for the zero of uncorrelated tokens."""
    with np.errstate(divide="ignore"):
        return np.asarray(np.log(samples[:, index]))


def _difference(first: FloatArray, second: FloatArray) -> FloatArray:
    """Difference of logarithms; NaN, unknown, where the transition was lost on both sides."""
    with np.errstate(invalid="ignore"):
        return first - second


def _interval(value: float, log_samples: FloatArray, confidence: float) -> Interval:
    low, high = percentile_interval(log_samples, confidence)
    return Interval(value, float(np.exp(low)), float(np.exp(high)))
