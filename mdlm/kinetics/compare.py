"""Judge a model's chains against the molecular dynamics they were learned from."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist
from typing import Literal

import numpy as np

from mdlm.kinetics.comparison import Comparison, Estimate, Interval
from mdlm.kinetics.counts import transition_counts
from mdlm.kinetics.entropy import count_entropy_rate
from mdlm.kinetics.estimate import (
    AtLag,
    curve_lag_times,
    estimate,
    lag_curve,
    model_timescales,
)
from mdlm.kinetics.estimator import estimator
from mdlm.kinetics.events import SlowSides, slow_process_overlap, slow_sides
from mdlm.kinetics.notes import notes
from mdlm.kinetics.populations import populations
from mdlm.kinetics.ratio import ratio_to_data, ratio_to_truth
from mdlm.progress import Progress, silent
from mdlm.system.base import Truth
from mdlm.trajectory import Dtraj, FloatArray, IntArray, lag_frames

SINGLE_STATE_SETS_UP_TO = 12  # states; above it first-passage times go between the two slow sides
LARGE_ALPHABET = 100  # states from which an eigenvalue problem is dear enough to save on the resamples
LARGE_RESAMPLES = 50  # of a large alphabet at the judged lag
LARGE_CURVE_RESAMPLES = 20  # of a large alphabet at the other lags of the curve
LARGE_LAGS = 6  # points of its curve


@dataclass(frozen=True)
class Kinetics:
    """How kinetics are judged; see `Kinetics.compare`.

    Attributes:
        lag_time: Lag of every estimate, in the system's time unit.
        n_timescales: Slowest implied timescales to report; fewer where the alphabet is too small.
        n_resamples: Bootstrap resamples behind every interval. From 100 states on at most 50 are drawn, 20 at
            the lags of the curve that are not judged.
        confidence: Probability mass of every interval.
        min_events: Slow events that the data and the sample must hold for a verdict.
        sets: Named sets of states for mean first-passage times. None: every state its own set up to 12
            states, else the two sides of the slowest process.
        n_lags: Points of the implied-timescale curve, at most 6 from 100 states on.
        estimator: ``msm``: maximum likelihood with bootstrap intervals. ``pyemma``: PyEMMA, where it is installed, with
            Bayesian intervals from ``n_resamples`` posterior samples, see `mdlm.kinetics.pyemma_estimator`.
    """

    lag_time: float
    n_timescales: int = 3
    n_resamples: int = 200
    confidence: float = 0.9
    min_events: int = 10
    sets: dict[str, tuple[int, ...]] | None = None
    n_lags: int = 10
    estimator: Literal["msm", "pyemma"] = "msm"

    def __post_init__(self) -> None:
        if not (math.isfinite(self.lag_time) and self.lag_time > 0):
            raise ValueError(f"lag_time ({self.lag_time}) must be a positive time")
        for name, least in (("n_timescales", 1), ("n_resamples", 20), ("min_events", 1), ("n_lags", 1)):
            if getattr(self, name) < least:
                raise ValueError(f"{name} ({getattr(self, name)}) must be at least {least}")
        if not 0 < self.confidence < 1:
            raise ValueError(f"confidence ({self.confidence}) must lie between 0 and 1")
        if self.sets is not None:
            states = [state for members in self.sets.values() for state in members]
            if len(self.sets) < 2 or not all(self.sets.values()):
                raise ValueError(f"sets ({self.sets}) must name at least two sets of at least one state")
            if len(set(states)) < len(states) or min(states) < 0:
                raise ValueError(f"sets ({self.sets}) must not share a state or hold a negative one")

    def check(self, frame_time: float, stride: int, time_unit: str, n_states: int | None = None) -> None:
        """Raise `ValueError` before anything is computed where the lag or a set cannot be judged.

        Args:
            frame_time: Of the molecular dynamics, in ``time_unit``.
            stride: Frames per token; the lag must be a whole number of tokens.
            time_unit: Only for the error text.
            n_states: Size of the alphabet, where it is known already.
        """
        lag_frames(self.lag_time, frame_time * stride, time_unit)
        highest = max((state for members in (self.sets or {}).values() for state in members), default=0)
        if n_states is not None and highest >= n_states:
            raise ValueError(f"sets hold state {highest}; allowed are 0..{n_states - 1}")
        estimator(self.estimator).check()

    def compare(
        self,
        reference: Dtraj,
        data: Dtraj,
        tokens: Dtraj,
        sampled: Dtraj,
        truth: Truth | None,
        seed: int,
        progress: Progress = silent,
        of_state: IntArray | None = None,
    ) -> Comparison:
        """Judge ``sampled`` against ``data`` and ``reference``, all on the same macrostates and at one physical lag.

        Args:
            reference: Macrostates of all molecular dynamics, training and held-out, at its own frame time.
            data: Macrostates of the training part of it, seen through the partition, at the same frame time.
            tokens: The states the model was trained on, after the stride: what the Markov chain is counted from.
            sampled: Macrostates of the model's chains, at the frame time of ``tokens``.
            truth: What is known of the system independently of any partition.
            seed: Of the bootstrap.
            progress: Told after every lag.
            of_state: Macrostate of each state in ``tokens``, -1 for none; None where the states are judged as they are.

        Raises:
            ValueError: The four do not share macrostates, clock or unit, or the lag is no multiple of the token
                time.
        """
        of_state = np.arange(tokens.n_states) if of_state is None else of_state
        sequences = {"reference": reference, "data": data, "sampled": sampled}
        check_shared(sequences, tokens, len(of_state))
        self.check(tokens.frame_time, 1, tokens.time_unit, reference.n_states)
        method = estimator(self.estimator)
        sides = slow_sides(method.model(reference, self.lag_time))
        sets = self._named_sets(sides)
        points = self._points(sequences, tokens.frame_time, sides, seed, progress)
        judged = {name: next(p for p in at if p.lag_time == self.lag_time) for name, at in points.items()}
        estimates = {
            name: estimate(sequences[name], point, sides, sets, self.confidence, method.passage_time)
            for name, point in judged.items()
        }
        pair = (estimates["sampled"], estimates["data"])
        samples = (judged["sampled"].samples, judged["data"].samples)
        n_timescales = samples[0].shape[1]
        counts = transition_counts(tokens.pieces, tokens.n_states)
        baseline = method.model(tokens, tokens.frame_time)
        fine_sides = sides.seen_by(of_state, populations(tokens.pieces, tokens.n_states))
        overlap = slow_process_overlap(pair[0].transition, pair[1].transition, sides.weight)
        return Comparison(
            time_unit=tokens.time_unit,
            lag_time=self.lag_time,
            token_time=tokens.frame_time,
            confidence=self.confidence,
            min_events=self.min_events,
            reference_timescales=self._reference_timescales(estimates["reference"], truth),
            reference_source=truth.source if truth else f"all MD at lag {self.lag_time:g} {tokens.time_unit}",
            **estimates,
            markov_timescales=tuple(model_timescales(baseline, tokens.frame_time, n_timescales, fine_sides).tolist()),
            markov_entropy_rate=count_entropy_rate(counts),
            data_curve=lag_curve(points["data"], self.confidence),
            sampled_curve=lag_curve(points["sampled"], self.confidence),
            set_names=tuple(sets),
            sides=sides,
            slow_process_overlap=overlap,
            t2_ratio_to_data=ratio_to_data(*pair, *samples, self.confidence),
            t2_ratio_to_truth=self._ratio_to_truth(pair, samples, truth, np.random.default_rng([seed, 3])),
            notes=notes(estimates, sides, tuple(sets), self.lag_time, overlap),
        )

    def _points(
        self, sequences: dict[str, Dtraj], token_time: float, sides: SlowSides, seed: int, progress: Progress
    ) -> dict[str, list[AtLag]]:
        """Estimate the reference at the judged lag, data and sample at every lag of the curve."""
        n_states = len(sides.codes)
        large = n_states >= LARGE_ALPHABET
        lags = curve_lag_times(self.lag_time, token_time, min(self.n_lags, LARGE_LAGS) if large else self.n_lags)
        n_judged = min(self.n_resamples, LARGE_RESAMPLES) if large else self.n_resamples
        n_curve = min(self.n_resamples, LARGE_CURVE_RESAMPLES) if large else self.n_resamples
        points: dict[str, list[AtLag]] = {}
        for stream, (name, dtraj) in enumerate(sequences.items()):
            rng = np.random.default_rng([seed, stream])
            sequence = estimator(self.estimator).sequence(dtraj, self.lag_time, n_judged, rng)
            points[name] = []
            for lag in [self.lag_time] if name == "reference" else lags:
                n_resamples = n_judged if lag == self.lag_time else n_curve
                points[name].append(sequence.at(lag, min(self.n_timescales, n_states - 1), sides, n_resamples))
                done = sum(map(len, points.values()))
                progress(done, 1 + 2 * len(lags), f"lag {lag:g} {dtraj.time_unit}")
        return points

    def _named_sets(self, sides: SlowSides) -> dict[str, IntArray]:
        """The sets for first-passage times: those asked for, every state, or the two sides."""
        n_states = len(sides.codes)
        if self.sets is not None:
            return {name: np.array(states) for name, states in self.sets.items()}
        if n_states <= SINGLE_STATE_SETS_UP_TO:
            return {f"{state}": np.array([state]) for state in range(n_states)}
        return {f"side {side}": np.flatnonzero(sides.codes == side) for side in (0, 1)}

    def _reference_timescales(self, reference: Estimate, truth: Truth | None) -> tuple[Interval, ...]:
        """The true timescales where they are known, from all MD where they are not."""
        width = NormalDist().inv_cdf((1 + self.confidence) / 2)
        known = [] if truth is None else list(zip(truth.timescales, truth.errors, strict=True))
        true = [Interval(value, value - width * error, value + width * error) for value, error in known]
        n_timescales = len(reference.timescales)
        return (*true[:n_timescales], *reference.timescales[len(true) :])

    def _ratio_to_truth(
        self,
        pair: tuple[Estimate, Estimate],
        samples: tuple[FloatArray, FloatArray],
        truth: Truth | None,
        rng: np.random.Generator,
    ) -> Interval | None:
        """The ratio to the true t2, where that is known."""
        if truth is None or not truth.timescales:
            return None
        true_t2 = (truth.timescales[0], truth.errors[0])
        return ratio_to_truth(*pair, *samples, true_t2, self.confidence, rng)


def check_shared(sequences: dict[str, Dtraj], tokens: Dtraj, n_states: int) -> None:
    """Raise `ValueError` unless the sequences share macrostates and unit, and the clocks they must share.

    Args:
        sequences: ``reference``, ``data`` and ``sampled``, in macrostates.
        tokens: In states of the partition.
        n_states: Size of that alphabet.
    """
    first = sequences["reference"]
    everything = sequences | {"tokens": tokens}
    for name, dtraj in everything.items():
        alphabet = n_states if name == "tokens" else first.n_states
        for field, wanted in (("n_states", alphabet), ("time_unit", first.time_unit)):
            given = getattr(dtraj, field)
            if given != wanted:
                raise ValueError(f"{field} of {name} ({given}) must be that of the reference, {wanted}")
    for name, other in (("data", "reference"), ("sampled", "tokens")):
        frame_time, clock = everything[name].frame_time, everything[other].frame_time
        if not math.isclose(frame_time, clock, rel_tol=1e-9):
            raise ValueError(f"frame_time of {name} ({frame_time:g}) must be that of {other}, {clock:g}")
