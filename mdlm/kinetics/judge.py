"""Molecular dynamics prepared once, to judge any number of samples against."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from mdlm.kinetics.comparison import Comparison, Estimate, Interval
from mdlm.kinetics.estimate import AtLag, estimate, lag_curve
from mdlm.kinetics.estimator import Estimator
from mdlm.kinetics.events import SlowSides, slow_process_overlap
from mdlm.kinetics.notes import notes
from mdlm.kinetics.ratio import ratio_to_data, ratio_to_truth
from mdlm.progress import Progress, silent
from mdlm.system.base import Truth
from mdlm.trajectory import Dtraj, FloatArray, IntArray

SAMPLED_STREAM, TRUTH_STREAM = 2, 3  # of the random numbers; the reference has 0 and the data 1


@dataclass(frozen=True)
class Lags:
    """At which lags a sequence is estimated, and with how many resamples.

    Attributes:
        judged: The judged lag, in the time unit.
        curve: Lags of the implied-timescale curve, ascending; the judged one is among them.
        n_judged: Resamples at the judged lag.
        n_curve: Resamples at each other lag.
        n_timescales: Timescales at each lag.
    """

    judged: float
    curve: tuple[float, ...]
    n_judged: int
    n_curve: int
    n_timescales: int

    def points(
        self,
        dtraj: Dtraj,
        lags: tuple[float, ...],
        sides: SlowSides,
        method: Estimator,
        rng: np.random.Generator,
        progress: Progress,
    ) -> list[AtLag]:
        """Estimate ``dtraj`` at each of ``lags``, with the same resamples at all of them."""
        sequence = method.sequence(dtraj, self.judged, self.n_judged, rng)
        points = []
        for number, lag in enumerate(lags, start=1):
            n_resamples = self.n_judged if lag == self.judged else self.n_curve
            points.append(sequence.at(lag, self.n_timescales, sides, n_resamples))
            progress(number, len(lags), f"lag {lag:g} {dtraj.time_unit}")
        return points

    def judged_of(self, points: list[AtLag]) -> AtLag:
        """The one at the judged lag."""
        return next(point for point in points if point.lag_time == self.judged)


@dataclass(frozen=True)
class Judge:
    """All that is known before a sample is seen; made by `mdlm.kinetics.compare.Kinetics.judge`.

    Attributes:
        reference: Estimate from all molecular dynamics.
        data: Estimate from its training part.
        data_points: The training part at every lag of the curve.
        form: A sequence of no pieces with the clock of the tokens and the macrostates: what a sample must have.
        sides: The two sides of the slowest process, found on the reference.
        sets: Named sets of states for mean first-passage times.
        truth: What is known of the system independently of any partition.
        markov_timescales: Of the Markov chain counted on the tokens.
        markov_entropy_rate: Its entropy rate in nats per token.
        lags: Where a sample is estimated.
        confidence: Probability mass of every interval.
        min_events: Slow events a verdict needs.
        method: The estimator.
        seed: Of the bootstrap.
    """

    reference: Estimate
    data: Estimate
    data_points: list[AtLag]
    form: Dtraj
    sides: SlowSides
    sets: dict[str, IntArray]
    truth: Truth | None
    markov_timescales: tuple[float, ...]
    markov_entropy_rate: float
    lags: Lags
    confidence: float
    min_events: int
    method: Estimator
    seed: int

    def compare(self, sampled: Dtraj, progress: Progress = silent) -> Comparison:
        """Judge one sample; any two samples meet the same data and the same resamples of it.

        Args:
            sampled: Macrostates of a model's chains, at the frame time of the tokens.
            progress: Told after every lag.

        Raises:
            ValueError: The sample does not share macrostates, clock or unit.
        """
        check_shared(sampled, self.form, "sampled", "tokens")
        rng = np.random.default_rng([self.seed, SAMPLED_STREAM])
        points = self.lags.points(sampled, self.lags.curve, self.sides, self.method, rng, progress)
        judged, judged_data = self.lags.judged_of(points), self.lags.judged_of(self.data_points)
        found = estimate(sampled, judged, self.sides, self.sets, self.confidence, self.method.passage_time)
        pair, samples = (found, self.data), (judged.samples, judged_data.samples)
        overlap = slow_process_overlap(found.transition, self.data.transition, self.sides.weight)
        estimates = {"reference": self.reference, "data": self.data, "sampled": found}
        unit, lag_time, truth = sampled.time_unit, self.lags.judged, self.truth
        return Comparison(
            time_unit=unit,
            lag_time=lag_time,
            token_time=sampled.frame_time,
            confidence=self.confidence,
            min_events=self.min_events,
            reference_timescales=self._reference_timescales(),
            reference_source=truth.source if truth else f"all MD at lag {lag_time:g} {unit}",
            **estimates,
            markov_timescales=self.markov_timescales,
            markov_entropy_rate=self.markov_entropy_rate,
            data_curve=lag_curve(self.data_points, self.confidence),
            sampled_curve=lag_curve(points, self.confidence),
            set_names=tuple(self.sets),
            sides=self.sides,
            slow_process_overlap=overlap,
            t2_ratio_to_data=ratio_to_data(*pair, *samples, self.confidence),
            t2_ratio_to_truth=self._ratio_to_truth(pair, samples),
            notes=notes(estimates, self.sides, tuple(self.sets), lag_time, overlap),
        )

    def _reference_timescales(self) -> tuple[Interval, ...]:
        """The true timescales where they are known, from all MD where they are not."""
        width = NormalDist().inv_cdf((1 + self.confidence) / 2)
        known = list(zip(self.truth.timescales, self.truth.errors, strict=True)) if self.truth else []
        true = [Interval(value, value - width * error, value + width * error) for value, error in known]
        n_timescales = len(self.reference.timescales)
        return (*true[:n_timescales], *self.reference.timescales[len(true) :])

    def _ratio_to_truth(
        self, pair: tuple[Estimate, Estimate], samples: tuple[FloatArray, FloatArray]
    ) -> Interval | None:
        """The ratio to the true t2, where that is known."""
        if self.truth is None or not self.truth.timescales:
            return None
        true_t2 = (self.truth.timescales[0], self.truth.errors[0])
        return ratio_to_truth(
            *pair, *samples, true_t2, self.confidence, np.random.default_rng([self.seed, TRUTH_STREAM])
        )


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
