"""The judged result: what was estimated, with what error, from how many events, and the verdict."""

from __future__ import annotations

import math
from dataclasses import dataclass

from mdlm.kinetics.events import SlowSides
from mdlm.kinetics.mfpt import log_error_rms
from mdlm.kinetics.msm import TransitionMatrix
from mdlm.kinetics.populations import total_variation_distance
from mdlm.kinetics.verdict import verdict
from mdlm.trajectory import FloatArray


@dataclass(frozen=True)
class Interval:
    """A value and its confidence interval; bounds are NaN where unknown, infinite where open."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Estimate:
    """The kinetics of one sequence at the judged lag.

    Attributes:
        timescales: Implied timescales t2, t3, ... with intervals, in the time unit. An infinite t2 means
            that the slow transition was never seen in both directions; NaN means not estimated.
        transition: Reversible Markov state model at the judged lag; says which states were dropped.
        populations: Share of the frames in each state, shape ``(n_states,)``.
        mfpt: Mean first-passage times between the sets, shape ``(n_sets, n_sets)``, row = origin, in the
            time unit; NaN where a set has no state in the active set, zero on the diagonal.
        n_events: Changes of slow side that were held for the judged lag.
        n_lost: Resamples in which the slow transition was lost; they count as an infinite t2.
        n_resamples: All resamples.
        duration: Time of all pieces together, in the time unit.
    """

    timescales: tuple[Interval, ...]
    transition: TransitionMatrix
    populations: FloatArray
    mfpt: FloatArray
    n_events: int
    n_lost: int
    n_resamples: int
    duration: float


@dataclass(frozen=True)
class Curve:
    """Implied timescales against the lag.

    Attributes:
        lag_times: Shape ``(n_lags,)``, in the time unit; the judged lag is one of them.
        timescales: Shape ``(n_lags, n_timescales)``, in the time unit.
        low: Lower bound of each, same shape.
        high: Upper bound of each, same shape.
    """

    lag_times: FloatArray
    timescales: FloatArray
    low: FloatArray
    high: FloatArray


@dataclass(frozen=True)
class Comparison:
    """Reference, training data, Markov baseline and sample: same states, same physical lag.

    Attributes:
        time_unit: Unit of every time here.
        lag_time: The judged lag.
        token_time: Time per token; the lag of the Markov baseline.
        confidence: Probability mass of every interval.
        min_events: Slow events a verdict needs.
        reference_timescales: The system's truth where it is known, else the estimate from all MD.
        reference_source: Where ``reference_timescales`` come from, in one line.
        reference: Estimate from all MD.
        data: Estimate from the training part, at the MD's own frame time.
        sampled: Estimate from the model's chains.
        markov_timescales: Of the Markov baseline (counted on the tokens at one token frame), at any lag.
        markov_entropy_rate: Cross-entropy that this baseline reaches on the tokens, nats per token.
        data_curve: Implied timescales against the lag, training part.
        sampled_curve: The same for the sample.
        set_names: Names of the rows and columns of every ``mfpt``.
        sides: The two sides of the slowest process, found on the reference.
        slow_process_overlap: Correlation of the slowest process of data and sample, 1 where it is the same.
        t2_ratio_to_data: t2 of the sample over t2 of the data; both are resampled, independently.
        t2_ratio_to_truth: t2 of the sample over the true t2, or None where no truth is known. Its interval
            also holds the data's own uncertainty and the truth's.
        notes: What a reader must know first: dropped states, lost resamples, why a value is missing.
    """

    time_unit: str
    lag_time: float
    token_time: float
    confidence: float
    min_events: int
    reference_timescales: tuple[Interval, ...]
    reference_source: str
    reference: Estimate
    data: Estimate
    sampled: Estimate
    markov_timescales: tuple[float, ...]
    markov_entropy_rate: float
    data_curve: Curve
    sampled_curve: Curve
    set_names: tuple[str, ...]
    sides: SlowSides
    slow_process_overlap: float
    t2_ratio_to_data: Interval
    t2_ratio_to_truth: Interval | None
    notes: tuple[str, ...]

    @property
    def verdict(self) -> str:
        """One sentence; see `mdlm.kinetics.verdict.verdict` for the rules."""
        if not self.sides.exist:
            return "undecided: the reference holds no slow process (fewer than two connected states)"
        ratio = self.t2_ratio_to_data
        return verdict(
            ratio.value,
            ratio.low,
            ratio.high,
            self.data.n_events,
            self.sampled.n_events,
            self.min_events,
            self.sides.describe(),
        )

    def metrics(self) -> dict[str, float]:
        """Every judged number under its logged name; NaN where there is no finite value.

        Times carry their unit in the name, and ``_low`` and ``_high`` are the bounds of the interval.
        ``slow_timescale_log_error`` is ``|ln(t2_ratio_to_data)|``; ``mfpt_log_error_rms`` and
        ``population_tv_distance`` compare the sample with the training data.
        """
        values: dict[str, float] = {}
        sequences = {
            "reference": self.reference_timescales,
            "data": self.data.timescales,
            "sampled": self.sampled.timescales,
        }
        for name, timescales in sequences.items():
            for index, interval in enumerate(timescales, start=2):
                values |= _named(f"t{index}_{name}_{self.time_unit}", interval)
        for index, timescale in enumerate(self.markov_timescales, start=2):
            values[f"t{index}_markov_{self.time_unit}"] = timescale
        values |= self._ratios()
        values["mfpt_log_error_rms"] = log_error_rms(self.sampled.mfpt, self.data.mfpt)
        values["population_tv_distance"] = total_variation_distance(self.sampled.populations, self.data.populations)
        values["n_slow_events_data"] = float(self.data.n_events)
        values["n_slow_events_sampled"] = float(self.sampled.n_events)
        values["markov_entropy_rate_nats_per_token"] = self.markov_entropy_rate
        for name, estimate in self._estimates().items():
            values[f"active_share_{name}"] = estimate.transition.active_share
        return {name: value if math.isfinite(value) else math.nan for name, value in values.items()}

    def _estimates(self) -> dict[str, Estimate]:
        return {"reference": self.reference, "data": self.data, "sampled": self.sampled}

    def _ratios(self) -> dict[str, float]:
        """The slow timescale's ratios, absent where the alphabet has no second timescale."""
        if not self.markov_timescales:
            return {}
        ratio = self.t2_ratio_to_data
        values = _named("t2_ratio_to_data", ratio)
        if self.t2_ratio_to_truth is not None:
            values |= _named("t2_ratio_to_truth", self.t2_ratio_to_truth)
        values["slow_timescale_log_error"] = abs(math.log(ratio.value)) if ratio.value > 0 else math.nan
        values["markov_t2_ratio_to_data"] = self.markov_timescales[0] / self.data.timescales[0].value
        return values


def _named(name: str, interval: Interval) -> dict[str, float]:
    """Spread an interval over three names."""
    return {name: interval.value, f"{name}_low": interval.low, f"{name}_high": interval.high}
