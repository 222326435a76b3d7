"""How long visits to a state last: survival, hazard against age, and how far two sequences differ."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mdlm.kinetics.visits import Visits
from mdlm.trajectory import FloatArray, IntArray

BINS_PER_DECADE = 5  # of the ages at which a hazard is given
BY_CHANCE = 1.3581  # 95 % point of the Kolmogorov distribution
HAZARD_CONFIDENCE = 0.95


@dataclass(frozen=True)
class Hazard:
    """Rate of leaving against the age of a visit.

    Attributes:
        edges: Ages between which each rate is, in the time unit, shape ``(n_bins + 1,)``.
        rate: Visits that ended there over the time at risk, per time unit, shape ``(n_bins,)``.
        low: Lower bound of a 95 % Poisson interval, same shape.
        high: Upper bound, same shape.
        n_ended: Visits behind each rate, same shape.
    """

    edges: FloatArray
    rate: FloatArray
    low: FloatArray
    high: FloatArray
    n_ended: IntArray


@dataclass(frozen=True)
class DwellTimes:
    """Dwell times of one state, in the time unit.

    A visit counts from its first frame to the last, so a dwell of one frame lasts one frame time. Visits that
    began before their piece are in ``mean_residence`` only, because their age is not known.

    Attributes:
        lengths: Dwells that occur, ascending, shape ``(n_lengths,)``.
        n_ended: Visits of each length that ended, same shape.
        n_cut: Visits of each length that the end of their piece cut off, same shape.
        survival: Kaplan-Meier estimate of the probability to stay longer than each length, same shape.
        mean_residence: All time in the state over the departures from it, which in equilibrium is the mean dwell;
            infinite where it was never left, NaN where it was never entered.
        horizon: Time up to which the survival is known: infinite where it reaches zero, zero where no visit was seen
            from its beginning to its end.
        hazard: Rate of leaving against age.
    """

    lengths: FloatArray
    n_ended: IntArray
    n_cut: IntArray
    survival: FloatArray
    mean_residence: float
    horizon: float
    hazard: Hazard

    @property
    def n_completed(self) -> int:
        """Visits of which both ends were seen."""
        return int(self.n_ended.sum())

    @property
    def n_censored(self) -> int:
        """Visits of which the beginning was seen and the end was not."""
        return int(self.n_cut.sum())

    def survival_at(self, times: FloatArray) -> FloatArray:
        """Survival at any times, a step function that begins at one."""
        return np.concatenate([[1.0], self.survival])[np.searchsorted(self.lengths, times, side="right")]


@dataclass(frozen=True)
class DwellDistance:
    """How far the dwell times of a state lie apart in two sequences.

    Attributes:
        kolmogorov_smirnov: Largest difference of the survival curves, 0 to 1; NaN where one is unknown.
        by_chance: What two sequences of one law exceed in 5 % of cases, asymptotically in the completed visits.
        wasserstein: Area between the survival curves, in the time unit; NaN where one is unknown.
        horizon: Time up to which both curves are known and compared; infinite where both reach zero.
    """

    kolmogorov_smirnov: float
    by_chance: float
    wasserstein: float
    horizon: float


def dwell_times(pieces: Sequence[IntArray], n_states: int, frame_time: float) -> tuple[DwellTimes, ...]:
    r"""Dwell-time distribution of every state.

    Survival is the Kaplan-Meier product :math:`S(a) = \prod_{a' \le a} (1 - d_{a'} / n_{a'})` over ages in frames, d
    visits that ended at that age of n that were seen to end there or go on. A visit cut off after a frames was seen to
    go on a - 1 times, so it is at risk at ages below a only.

    Args:
        pieces: State sequences, each of shape ``(n_frames,)``.
        n_states: Size of the alphabet.
        frame_time: Of a frame, in the system's time unit.

    Returns:
        One for each state; without lengths where no visit to it was seen from its beginning.

    Source: Kaplan & Meier, J. Am. Stat. Assoc. 53, 457 (1958).

    Example:
        >>> first, _ = dwell_times([np.array([1, 0, 0, 1, 0, 1, 1, 0, 0])], 2, frame_time=0.5)
        >>> first.lengths.tolist(), first.n_ended.tolist(), first.n_cut.tolist()
        ([0.5, 1.0], [1, 1], [0, 1])
        >>> first.survival.tolist()  # of three visits one ends at age one, and of the one left to see so does it at two
        [0.6666666666666666, 0.0]
    """
    visits = Visits.of(pieces)
    order = np.argsort(visits.states, kind="stable")
    cuts = np.searchsorted(visits.states[order], np.arange(n_states + 1))
    found = []
    for state in range(n_states):
        mine = order[cuts[state] : cuts[state + 1]]
        lengths, last = visits.lengths[mine], visits.last[mine]
        departures = len(mine) - int(last.sum())
        steps = int(lengths.sum()) - int(last.sum())  # looks at the next frame
        entered = ~visits.first[mine]
        residence = np.nan if not len(mine) else frame_time * steps / departures if departures else np.inf
        found.append(_dwell_times(lengths[entered], last[entered], residence, frame_time))
    return tuple(found)


def dwell_distance(first: DwellTimes, second: DwellTimes) -> DwellDistance:
    r"""Kolmogorov-Smirnov and Wasserstein distance of two dwell-time distributions with censored visits.

    Both compare the Kaplan-Meier curves up to the shorter horizon: :math:`\max_t |S_1 - S_2|` and
    :math:`\int |S_1 - S_2| dt`. Without censored visits these are `scipy.stats.ks_2samp` and
    `scipy.stats.wasserstein_distance`. Give both at one frame time, or the coarser one lacks the short visits.
    """
    horizon = min(first.horizon, second.horizon)
    if not horizon:
        return DwellDistance(np.nan, np.nan, np.nan, 0.0)
    times = np.union1d(first.lengths, second.lengths)
    times = np.concatenate([[0.0], times[times <= horizon]])
    apart = np.abs(first.survival_at(times) - second.survival_at(times))
    width = np.diff(times, append=times[-1] if np.isinf(horizon) else horizon)
    by_chance = BY_CHANCE * np.sqrt(1 / first.n_completed + 1 / second.n_completed)
    return DwellDistance(float(apart.max()), float(by_chance), float(apart @ width), float(horizon))


def _dwell_times(lengths: IntArray, last: NDArray[np.bool_], residence: float, frame_time: float) -> DwellTimes:
    """The distribution of visits seen from their beginning; ``lengths`` in frames."""
    ages, index = np.unique(lengths, return_inverse=True)
    n_cut = np.bincount(index, weights=last, minlength=len(ages)).astype(np.intp)
    n_ended = np.bincount(index, minlength=len(ages)) - n_cut
    at_risk = len(lengths) - np.cumsum(n_ended + n_cut) + n_ended  # those cut off at this age did not see it
    stay = np.ones(len(ages))
    np.divide(at_risk - n_ended, at_risk, out=stay, where=at_risk > 0)
    survival = np.cumprod(stay)
    horizon = 0.0
    if n_ended.any():
        seen = np.maximum(ages[n_ended > 0].max(), (ages[n_cut > 0] - 1).max(initial=0)) * frame_time
        horizon = np.inf if survival[-1] == 0 else float(seen)
    hazard = _hazard(ages, n_ended, n_cut, frame_time)
    return DwellTimes(ages * frame_time, n_ended, n_cut, survival, float(residence), horizon, hazard)


def _hazard(ages: IntArray, n_ended: IntArray, n_cut: IntArray, frame_time: float) -> Hazard:
    """Rates in bins of age that widen geometrically; those in which nothing was at risk are left out."""
    from scipy.stats import chi2

    longest = int(ages[-1]) if len(ages) else 0
    n_bins = int(np.ceil(np.log10(max(longest, 1)) * BINS_PER_DECADE)) + 1
    edges = (
        np.unique(np.round(10 ** (np.arange(n_bins + 1) / BINS_PER_DECADE)).astype(np.intp)) - 1
    )  # ages seen through
    through = np.clip(ages[:, None], edges[:-1], edges[1:]) - edges[:-1]  # steps of such a visit in each bin
    through_cut = np.clip(ages[:, None] - 1, edges[:-1], edges[1:]) - edges[:-1]
    steps = n_ended @ through + n_cut @ through_cut
    ended = np.histogram(ages, edges + 1, weights=n_ended)[0].astype(np.intp) if len(ages) else np.zeros(0, np.intp)
    used = np.flatnonzero(steps[: len(ended)] > 0)
    n_used = int(used[-1]) + 1 if len(used) else 0
    ended, time = ended[:n_used], steps[:n_used] * frame_time
    tail = (1 - HAZARD_CONFIDENCE) / 2
    low = np.where(ended > 0, chi2.ppf(tail, 2 * np.maximum(ended, 1)), 0.0) / 2 / time
    high = chi2.ppf(1 - tail, 2 * (ended + 1)) / 2 / time
    return Hazard(edges[: n_used + 1] * frame_time, ended / time, low, high, ended)
