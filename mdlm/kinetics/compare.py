"""How a model's chains are judged against the molecular dynamics they were learned from."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from mdlm.kinetics.convergence import convergence, doubling_lag_times
from mdlm.kinetics.counts import transition_counts
from mdlm.kinetics.entropy import count_entropy_rate
from mdlm.kinetics.estimate import curve_lag_times, model_timescales
from mdlm.kinetics.estimator import estimator
from mdlm.kinetics.events import SlowSides, process_sides, slow_sides
from mdlm.kinetics.judge import DATA, REFERENCE, Judge, check_shared
from mdlm.kinetics.measure import Measure
from mdlm.kinetics.populations import populations
from mdlm.kinetics.ratio_curve import extended
from mdlm.progress import Progress, part_of, silent
from mdlm.system.base import Truth
from mdlm.trajectory import Dtraj, IntArray, lag_frames

SINGLE_STATE_SETS_UP_TO = 12  # states; above it first-passage times go between the two slow sides
LARGE_ALPHABET = 100  # states; above it an eigenvalue problem is dear enough to save on the resamples
LARGE_RESAMPLES = 50  # of a large alphabet at the judged lag
LARGE_CURVE_RESAMPLES = 20  # of a large alphabet at the other lags of the curve
LARGE_LAGS = 6  # points of its curve
HELD = 0.5  # of t3, t4, ...: a side must be held that long, or for the lag where that is shorter, for an event


@dataclass(frozen=True)
class Kinetics:
    """How kinetics are judged; see `Kinetics.judge`.

    Attributes:
        lag_time: Lag of every estimate, in the system's time unit.
        n_timescales: Slowest implied timescales to report; fewer where the alphabet is too small.
        n_resamples: Bootstrap resamples behind every interval. Above 100 states at most 50 are drawn, 20 at
            the lags of the curve that are not judged.
        confidence: Probability mass of every interval.
        min_events: Slow events that the data and the sample must hold for a verdict.
        sets: Named sets of states for mean first-passage times. None: every state its own set up to 12
            states, else the two sides of the slowest process.
        n_lags: Points of the implied-timescale curve, at most 6 above 100 states, and a few more where a tenth of t2
            lies beyond them.
        masked_check: Whether some chains are sampled once more without the jumps that training never saw, where there
            were any.
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
    masked_check: bool = True

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

    def judge(
        self,
        reference: Dtraj,
        data: Dtraj,
        tokens: Dtraj,
        truth: Truth | None,
        seed: int,
        progress: Progress = silent,
        of_state: IntArray | None = None,
    ) -> Judge:
        """Estimate the molecular dynamics once, so that any number of samples can be judged against it.

        All sequences are judged on the same macrostates and at one physical lag.

        Args:
            reference: Macrostates of all molecular dynamics, training and held-out, at its own frame time.
            data: Macrostates of the training part of it, seen through the partition, at the same frame time.
            tokens: The states the model was trained on, after the stride: what the Markov chain is counted from.
            truth: What is known of the system independently of any partition.
            seed: Of the bootstrap.
            progress: Told after every lag.
            of_state: Macrostate of each state in ``tokens``, -1 for none; None where the states are judged as they are.

        Raises:
            ValueError: The three do not share macrostates, clock or unit, or the lag is no multiple of the token
                time.
        """
        of_state = np.arange(tokens.n_states) if of_state is None else of_state
        check_shared(data, reference, "data", "reference")
        as_tokens = replace(reference, pieces=(), frame_time=tokens.frame_time)
        check_shared(tokens, replace(as_tokens, n_states=len(of_state)), "tokens", "reference")
        self.check(tokens.frame_time, 1, tokens.time_unit, reference.n_states)
        self._check_lengths({"reference": reference, "data": data})
        measure = self._measure(reference, seed)
        curve_lags = self._curve_lags(tokens.frame_time, data, measure.t2)
        doubled = doubling_lag_times(reference, self.lag_time, measure.t2)
        whole = len(doubled) + len(curve_lags)
        reference_points = measure.points(reference, doubled, REFERENCE, part_of(progress, 0, whole))
        data_points = measure.points(data, curve_lags, DATA, part_of(progress, len(doubled), whole))
        markov = measure.method.model(tokens, tokens.frame_time)
        fine_sides = measure.sides.seen_by(of_state, populations(tokens.pieces, tokens.n_states))
        markov_times = model_timescales(markov, tokens.frame_time, measure.n_timescales, fine_sides)
        return Judge(
            all_md=reference,
            form=as_tokens,
            measure=measure,
            curve_lags=curve_lags,
            reference=measure.estimate(reference, reference_points),
            convergence=convergence(reference_points, self.confidence),
            data=measure.estimate(data, data_points),
            data_points=data_points,
            markov_timescales=tuple(markov_times.tolist()),
            markov_entropy_rate=count_entropy_rate(transition_counts(tokens.pieces, tokens.n_states)),
            truth=truth,
            min_events=self.min_events,
        )

    def _check_lengths(self, sequences: dict[str, Dtraj]) -> None:
        """Molecular dynamics that hold no transition at the judged lag say nothing of a sample."""
        for name, dtraj in sequences.items():
            lag, longest = dtraj.lag_frames(self.lag_time), max(dtraj.lengths, default=0)
            if lag >= longest:
                given = f"lag_time ({self.lag_time:g} {dtraj.time_unit}, {lag} frames)"
                raise ValueError(f"{given} must be shorter than the longest piece of the {name}, {longest} frames")

    def _measure(self, reference: Dtraj, seed: int) -> Measure:
        """Find the slow processes on the reference, at the judged lag."""
        method, large = estimator(self.estimator), reference.n_states > LARGE_ALPHABET
        model = method.model(reference, self.lag_time)
        sides = slow_sides(model)
        n_timescales = min(self.n_timescales, reference.n_states - 1)
        times = model_timescales(model, self.lag_time, n_timescales, sides).tolist()
        return Measure(
            method=method,
            lag_time=self.lag_time,
            n_timescales=n_timescales,
            n_judged=min(self.n_resamples, LARGE_RESAMPLES) if large else self.n_resamples,
            n_curve=min(self.n_resamples, LARGE_CURVE_RESAMPLES) if large else self.n_resamples,
            confidence=self.confidence,
            sides=sides,
            t2=times[0] if times else math.nan,
            processes=process_sides(model, n_timescales),
            windows=(self.lag_time, *(min(self.lag_time, HELD * t) for t in times[1:]))[:n_timescales],
            sets=self._named_sets(sides),
            seed=seed,
        )

    def _curve_lags(self, token_time: float, data: Dtraj, t2: float) -> tuple[float, ...]:
        """Where data and sample are estimated, up to a tenth of t2 at least; fewer lags of a large alphabet."""
        n_lags = min(self.n_lags, LARGE_LAGS) if data.n_states > LARGE_ALPHABET else self.n_lags
        longest = round(max(data.lengths) * data.frame_time / token_time) // 2
        lags = curve_lag_times(self.lag_time, token_time, n_lags)
        return tuple(extended(lags, t2, token_time, n_lags, longest))

    def _named_sets(self, sides: SlowSides) -> dict[str, IntArray]:
        """The sets for first-passage times: those asked for, every state, or the two sides."""
        n_states = len(sides.codes)
        if self.sets is not None:
            return {name: np.array(states) for name, states in self.sets.items()}
        if n_states <= SINGLE_STATE_SETS_UP_TO:
            return {f"{state}": np.array([state]) for state in range(n_states)}
        return {f"side {side}": np.flatnonzero(sides.codes == side) for side in (0, 1)}
