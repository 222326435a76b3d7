"""The judged result: what was estimated, with what error, from how many events, and the verdict."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mdlm.kinetics.events import SlowSides
from mdlm.kinetics.mfpt import log_error_rms
from mdlm.kinetics.msm import TransitionMatrix
from mdlm.kinetics.populations import total_variation_distance
from mdlm.kinetics.verdict import overall, verdict
from mdlm.trajectory import FloatArray

if TYPE_CHECKING:
    from mdlm.kinetics.memory import SlowMemory
    from mdlm.kinetics.ratio_curve import RatioCurve

RESOLVED_LAGS = 1 / 3  # a timescale this much below the lag has an eigenvalue under 5 %, near the noise


@dataclass(frozen=True)
class Interval:
    """A value and its confidence interval; bounds are NaN where unknown, infinite where open."""

    value: float
    low: float
    high: float

    @property
    def factor(self) -> float:
        """Half its width as a factor, from the middle to either bound.

        Example:
            >>> Interval(10.0, 5.0, 20.0).factor
            2.0
        """
        if self.low == 0:
            return math.inf
        return math.sqrt(self.high / self.low) if self.low > 0 and not math.isinf(self.low) else math.nan


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
        events: For t2, t3, ... the changes of side of that process that were held; see `SlowSides`.
        n_lost: Resamples in which the slow transition was lost; they count as an infinite t2.
        n_resamples: All resamples.
        duration: Time of all pieces together, in the time unit.
    """

    timescales: tuple[Interval, ...]
    transition: TransitionMatrix
    populations: FloatArray
    mfpt: FloatArray
    events: tuple[int, ...]
    n_lost: int
    n_resamples: int
    duration: float

    @property
    def n_events(self) -> int:
        """Of the slowest process."""
        return self.events[0] if self.events else 0


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
class Convergence:
    """The lag-convergence test of all molecular dynamics.

    Attributes:
        curve: Implied timescales against the lag, up to the lag that reaches t2.
        plateau_lag: The smallest lag from which on t2 stays level, in the time unit; NaN where there is none.
        t2: The slowest timescale there; NaN where there is no plateau.
    """

    curve: Curve
    plateau_lag: float
    t2: Interval

    @property
    def found(self) -> bool:
        """Whether there is a plateau."""
        return not math.isnan(self.plateau_lag)


@dataclass(frozen=True)
class Floor:
    """What the same estimator says of molecular dynamics as long as the sample.

    Attributes:
        duration: Length of those molecular dynamics, in the time unit.
        of_data: Whether the length is that of the training data because the sample is longer.
        timescales: Bounds of t2, t3, ... over the middle of their distribution, in the time unit; the value is the
            median. NaN where unknown.
        ratios: The same for the ratio of each to an independent estimate from molecular dynamics as long as the
            training data: what a perfect sample of this length would score.
    """

    duration: float
    of_data: bool
    timescales: tuple[Interval, ...]
    ratios: tuple[Interval, ...]


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
        convergence: Whether t2 of all MD levels off with the lag, from which lag on, and at which value.
        floor: What the same estimator says of MD as long as the sample.
        data_curve: Implied timescales against the lag, training part.
        sampled_curve: The same for the sample.
        set_names: Names of the rows and columns of every ``mfpt``.
        sides: The two sides of the slowest process, found on the reference.
        slow_process_overlap: Correlation of the slowest process of data and sample, 1 where it is the same.
        processes: The two sides of each process, t2 first, found on the reference.
        ratios_to_data: t2, t3, ... of the sample over those of the data; both are resampled, independently.
        t2_ratio_to_truth: t2 of the sample over the true t2, or None where no truth is known. Its interval
            also holds the data's own uncertainty and the truth's.
        memory: Whether the slow process of the data needs memory.
        t2_ratio_curve: t2 of the sample over that of the data at each lag from one token to a tenth of t2.
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
    convergence: Convergence
    floor: Floor
    data_curve: Curve
    sampled_curve: Curve
    set_names: tuple[str, ...]
    sides: SlowSides
    slow_process_overlap: float
    processes: tuple[SlowSides, ...]
    ratios_to_data: tuple[Interval, ...]
    t2_ratio_to_truth: Interval | None
    memory: SlowMemory
    t2_ratio_curve: RatioCurve
    notes: tuple[str, ...]

    @property
    def t2_ratio_to_data(self) -> Interval:
        """t2 of the sample over t2 of the data; unknown where the alphabet has no t2."""
        return self.ratios_to_data[0] if self.ratios_to_data else Interval(math.nan, math.nan, math.nan)

    @property
    def verdict(self) -> str:
        """The overall sentence; see `mdlm.kinetics.verdict.overall` for the rules."""
        if not self.sides.exist:
            return "undecided: the reference holds no slow process (fewer than two connected states)"
        return overall(self.verdicts, self.slow_process_overlap)

    @property
    def verdicts(self) -> tuple[str, ...]:
        """One sentence for each timescale that the data resolve; see `mdlm.kinetics.verdict.verdict` for the rules."""
        if not self.sides.exist:
            return ()
        return tuple(self._verdict(k) for k in range(len(self.ratios_to_data)) if not k or self._resolved(self.data, k))

    def _verdict(self, index: int) -> str:
        ratio, floor = self.ratios_to_data[index], self.floor.ratios[index]
        return verdict(
            ratio.value,
            ratio.low,
            ratio.high,
            self.data.events[index],
            self.sampled.events[index],
            self.min_events,
            self.processes[index].describe(),
            (floor.low, floor.high),
            self._resolved(self.sampled, index),
        )

    def _resolved(self, estimate: Estimate, index: int) -> bool:
        """Whether a timescale is not so far below the lag that only an upper bound of it is known."""
        return not estimate.timescales[index].value < RESOLVED_LAGS * self.lag_time

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
        values |= self._ratios() | self._beside()
        if self.markov_timescales:
            values |= self.memory.metrics() | self.t2_ratio_curve.metrics(self.time_unit)
        values["mfpt_log_error_rms"] = log_error_rms(self.sampled.mfpt, self.data.mfpt)
        values["population_tv_distance"] = total_variation_distance(self.sampled.populations, self.data.populations)
        for name in ("data", "sampled"):
            values[f"n_slow_events_{name}"] = float(self._estimates()[name].n_events)
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
        values: dict[str, float] = {}
        for index, (other, floor) in enumerate(zip(self.ratios_to_data, self.floor.ratios, strict=True), start=2):
            values |= _named(f"t{index}_ratio_to_data", other)
            values[f"t{index}_ratio_floor_factor"] = floor.factor
        if self.t2_ratio_to_truth is not None:
            values |= _named("t2_ratio_to_truth", self.t2_ratio_to_truth)
        values["slow_timescale_log_error"] = abs(math.log(ratio.value)) if ratio.value > 0 else math.nan
        return values

    def _beside(self) -> dict[str, float]:
        """What every sampled timescale is to be read beside: the converged reference and the data-limited floor."""
        unit, convergence = self.time_unit, self.convergence
        values = _named(f"t2_converged_{unit}", convergence.t2) if self.markov_timescales else {}
        values[f"plateau_lag_{unit}"] = convergence.plateau_lag
        values["plateau_found"] = float(convergence.found)
        for index, floor in enumerate(self.floor.timescales, start=2):
            values[f"t{index}_floor_factor"] = floor.factor
        values[f"floor_duration_{unit}"] = self.floor.duration
        return values


def _named(name: str, interval: Interval) -> dict[str, float]:
    """Spread an interval over three names."""
    return {name: interval.value, f"{name}_low": interval.low, f"{name}_high": interval.high}
