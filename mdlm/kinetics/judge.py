"""Molecular dynamics prepared once, to judge any number of samples against."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

from mdlm.kinetics.comparison import Comparison, Convergence, Estimate, Floor, Interval
from mdlm.kinetics.estimate import AtLag, lag_curve
from mdlm.kinetics.events import slow_process_overlap
from mdlm.kinetics.floor import data_floor, pieces_of_length
from mdlm.kinetics.measure import Measure
from mdlm.kinetics.memory import SlowMemory
from mdlm.kinetics.notes import notes
from mdlm.kinetics.ratio import UNKNOWN, ratio_to_data, ratio_to_truth
from mdlm.kinetics.ratio_curve import SHARE_OF_T2, RatioCurve, ratio_curve
from mdlm.progress import Progress, silent
from mdlm.system.base import Truth
from mdlm.trajectory import Dtraj, FloatArray

REFERENCE, DATA, SAMPLED, TRUTH, FLOOR, DATA_FLOOR = range(6)  # streams of random numbers


@dataclass(frozen=True)
class Judge:
    """All that is known before a sample is seen; made by `mdlm.kinetics.compare.Kinetics.judge`.

    Attributes:
        all_md: Macrostates of all molecular dynamics, at their own frame time.
        form: A sequence without pieces: the clock of the tokens and the macrostates, which a sample must share.
        measure: How a sequence is estimated.
        curve_lags: Lags of the implied-timescale curve, ascending, in the time unit; the judged one is among them.
        reference: Estimate from all molecular dynamics.
        convergence: Whether its t2 levels off with the lag.
        data: Estimate from the training part.
        data_points: The training part at every lag of the curve.
        markov_timescales: Of the Markov chain counted on the tokens.
        markov_entropy_rate: Its entropy rate in nats per token.
        truth: What is known of the system independently of any partition.
        min_events: Slow events a verdict needs.
    """

    all_md: Dtraj
    form: Dtraj
    measure: Measure
    curve_lags: tuple[float, ...]
    reference: Estimate
    convergence: Convergence
    data: Estimate
    data_points: list[AtLag]
    markov_timescales: tuple[float, ...]
    markov_entropy_rate: float
    truth: Truth | None
    min_events: int

    def compare(self, sampled: Dtraj, progress: Progress = silent) -> Comparison:
        """Judge one sample; any two samples meet the same data and the same resamples of it.

        Args:
            sampled: Macrostates of a model's chains, at the frame time of the tokens.
            progress: Told after every lag.

        Raises:
            ValueError: The sample does not share macrostates, clock or unit.
        """
        check_shared(sampled, self.form, "sampled", "tokens")
        measure, truth, unit = self.measure, self.truth, sampled.time_unit
        points = measure.points(sampled, self.curve_lags, SAMPLED, progress)
        found = measure.estimate(sampled, points)
        samples = (measure.judged(points).samples, measure.judged(self.data_points).samples)
        floor = self._floor(sampled, measure.lag_time, measure.n_timescales, measure.n_judged)
        overlap = slow_process_overlap(found.transition, self.data.transition, measure.sides.weight)
        estimates = {"reference": self.reference, "data": self.data, "sampled": found}
        n_timescales = range(measure.n_timescales)
        confidence = measure.confidence
        return Comparison(
            time_unit=unit,
            lag_time=measure.lag_time,
            token_time=sampled.frame_time,
            confidence=confidence,
            min_events=self.min_events,
            reference_timescales=self._reference_timescales(),
            reference_source=truth.source if truth else f"all MD at lag {measure.lag_time:g} {unit}",
            **estimates,
            markov_timescales=self.markov_timescales,
            markov_entropy_rate=self.markov_entropy_rate,
            convergence=self.convergence,
            floor=floor,
            data_curve=lag_curve(self.data_points, confidence),
            sampled_curve=lag_curve(points, confidence),
            set_names=tuple(measure.sets),
            sides=measure.sides,
            processes=measure.processes,
            slow_process_overlap=overlap,
            ratios_to_data=tuple(ratio_to_data(found, self.data, *samples, confidence, k) for k in n_timescales),
            t2_ratio_to_truth=self._ratio_to_truth(found, samples),
            memory=self._memory(),
            t2_ratio_curve=self._ratio_curve(points),
            notes=notes(estimates, measure, overlap, self.convergence, floor, unit),
        )

    def _floor(self, sampled: Dtraj, lag_time: float, n_timescales: int, n_samples: int) -> Floor:
        """The scatter on molecular dynamics as long as the sample, or as the training data where these are shorter."""
        measure, duration = self.measure, min(sampled.duration, self.data.duration)
        how = (lag_time, n_timescales, measure.sides, n_samples)
        as_sample, as_data = (
            pieces_of_length(self.all_md, round(length / self.all_md.frame_time), *how, measure.rng(stream))
            for length, stream in ((duration, FLOOR), (self.data.duration, DATA_FLOOR))
        )
        return data_floor(as_sample, as_data, duration, sampled.duration > self.data.duration, measure.confidence)

    def ratio_floor(self, lag_times: Sequence[float], sampled: Dtraj) -> tuple[Interval, ...]:
        """What molecular dynamics as long as a sample would score as ratio of t2 to the data, at each of some lags."""
        measure = self.measure
        return tuple(self._floor(sampled, lag, 1, measure.n_curve).ratios[0] for lag in lag_times)

    def _memory(self) -> SlowMemory:
        """Of the data alone."""
        markov_t2, data = (*self.markov_timescales, math.nan)[0], (*self.data.timescales, UNKNOWN)[0]
        return SlowMemory.of(markov_t2, data, self.form.frame_time)

    def _ratio_curve(self, points: Sequence[AtLag]) -> RatioCurve:
        """The ratio to the data at every lag of the curve up to a tenth of t2 at which the data have a t2."""
        measure, of_data = self.measure, {point.lag_time: point for point in self.data_points}
        longest = 0.0
        if math.isfinite(measure.t2):  # half a token more, for a tenth of t2 was rounded to whole ones
            longest = max(self.form.frame_time, SHARE_OF_T2 * measure.t2) + self.form.frame_time / 2
        short = [point for point in points if point.lag_time <= longest]
        known = [point for point in short if 0 < of_data[point.lag_time].timescales[0] < math.inf]
        return ratio_curve(known, [of_data[point.lag_time] for point in known], measure.confidence)

    def _reference_timescales(self) -> tuple[Interval, ...]:
        """The true timescales where they are known, from all MD where they are not."""
        width = NormalDist().inv_cdf((1 + self.measure.confidence) / 2)
        known = list(zip(self.truth.timescales, self.truth.errors, strict=True)) if self.truth else []
        true = [Interval(value, value - width * error, value + width * error) for value, error in known]
        n_timescales = len(self.reference.timescales)
        return (*true[:n_timescales], *self.reference.timescales[len(true) :])

    def _ratio_to_truth(self, found: Estimate, samples: tuple[FloatArray, FloatArray]) -> Interval | None:
        """The ratio to the true t2, where that is known."""
        if self.truth is None or not self.truth.timescales:
            return None
        true_t2 = (self.truth.timescales[0], self.truth.errors[0])
        return ratio_to_truth(found, self.data, *samples, true_t2, self.measure.confidence, self.measure.rng(TRUTH))


def check_shared(dtraj: Dtraj, form: Dtraj, name: str, form_name: str) -> None:
    """Raise `ValueError` unless a sequence has the alphabet, unit and clock of another.

    Args:
        dtraj: The sequence.
        form: The other one.
        name: What the sequence is called in the error.
        form_name: What the other one is called there.
    """
    for field in ("n_states", "time_unit"):
        given, wanted = getattr(dtraj, field), getattr(form, field)
        if given != wanted:
            raise ValueError(f"{field} of {name} ({given}) must be that of the {form_name}, {wanted}")
    if not math.isclose(dtraj.frame_time, form.frame_time, rel_tol=1e-9):
        given = f"frame_time of {name} ({dtraj.frame_time:g})"
        raise ValueError(f"{given} must be that of the {form_name}, {form.frame_time:g}")
