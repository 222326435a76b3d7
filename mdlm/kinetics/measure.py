"""How every sequence is estimated: the reference, the training data and each sample in the same way."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mdlm.kinetics.comparison import Estimate
from mdlm.kinetics.estimate import AtLag, estimate
from mdlm.kinetics.estimator import Estimator
from mdlm.kinetics.events import SlowSides
from mdlm.progress import Progress
from mdlm.trajectory import Dtraj, IntArray


@dataclass(frozen=True)
class Measure:
    """What is estimated of a sequence, at which lags, and with how many resamples.

    Attributes:
        method: The estimator.
        lag_time: The judged lag, in the time unit.
        n_timescales: Timescales at each lag.
        n_judged: Resamples at the judged lag.
        n_curve: Resamples at each other lag.
        confidence: Probability mass of every interval.
        sides: The two sides of the slowest process, found on the reference.
        t2: The slowest timescale of the reference at the judged lag; NaN where there is none.
        processes: The two sides of each process, t2 first.
        windows: How long a side must be held for an event of each, in the time unit.
        sets: Named sets of states for mean first-passage times.
        seed: Of the resamples.
    """

    method: Estimator
    lag_time: float
    n_timescales: int
    n_judged: int
    n_curve: int
    confidence: float
    sides: SlowSides
    t2: float
    processes: tuple[SlowSides, ...]
    windows: tuple[float, ...]
    sets: dict[str, IntArray]
    seed: int

    def rng(self, stream: int) -> np.random.Generator:
        """Random numbers for one purpose, always the same."""
        return np.random.default_rng([self.seed, stream])

    def points(self, dtraj: Dtraj, lag_times: Sequence[float], stream: int, progress: Progress) -> list[AtLag]:
        """Estimate ``dtraj`` at each lag, with the same resamples at all of them."""
        sequence = self.method.sequence(dtraj, self.lag_time, self.n_judged, self.rng(stream))
        points = []
        for number, lag_time in enumerate(lag_times, start=1):
            n_resamples = self.n_judged if lag_time == self.lag_time else self.n_curve
            points.append(sequence.at(lag_time, self.n_timescales, self.sides, n_resamples))
            progress(number, len(lag_times), f"lag {lag_time:g} {dtraj.time_unit}")
        return points

    def judged(self, points: Sequence[AtLag]) -> AtLag:
        """The one at the judged lag."""
        return next(point for point in points if point.lag_time == self.lag_time)

    def estimate(self, dtraj: Dtraj, points: Sequence[AtLag]) -> Estimate:
        """Everything at the judged lag."""
        parts = (self.processes, self.windows, self.sets, self.confidence, self.method.passage_time)
        return estimate(dtraj, self.judged(points), *parts)
