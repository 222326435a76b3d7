"""What a reader must know before using a number."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from mdlm.kinetics.comparison import RESOLVED_LAGS, Convergence, Estimate, Floor
from mdlm.kinetics.events import SlowSides
from mdlm.kinetics.measure import Measure
from mdlm.kinetics.verdict import SAME_PROCESS


def notes(
    estimates: Mapping[str, Estimate],
    measure: Measure,
    overlap: float,
    convergence: Convergence,
    floor: Floor,
    time_unit: str,
) -> tuple[str, ...]:
    """Say what was dropped, what was lost in resampling, and why a value is missing.

    Args:
        estimates: By the name of the sequence, ``data`` and ``sampled`` among them.
        measure: How they were estimated.
        overlap: See `mdlm.kinetics.events.slow_process_overlap`.
        convergence: Whether t2 of all molecular dynamics levels off with the lag.
        floor: The scatter of the estimator on molecular dynamics as long as the sample.
        time_unit: Of every time.
    """
    found: list[str] = []
    for name, estimate in estimates.items():
        sequence = _sequence_notes(estimate, measure.sides, tuple(measure.sets), measure.lag_time)
        found += [f"{name}: {note}" for note in sequence]
    if overlap < SAME_PROCESS:
        found.append(f"the slowest process of the sample is not that of the data (overlap {overlap:.2f})")
    if measure.sides.exist:
        found += [convergence_note(convergence, measure.lag_time, time_unit), floor_note(floor, time_unit)]
    return tuple(found)


def convergence_note(convergence: Convergence, lag_time: float, time_unit: str) -> str:
    """Whether t2 of all molecular dynamics has levelled off, and on which side the judged lag lies."""
    lags = convergence.curve.lag_times
    tried = f"{len(lags)} lags from {lags[0]:g} to {lags[-1]:g} {time_unit}"
    if not convergence.found:
        times = convergence.curve.timescales[:, 0].tolist()
        change = f"it goes from {times[0]:.3g} to {times[-1]:.3g} {time_unit}"
        meaning = "no value of it is the system's own, and it is compared at equal lags only"
        return f"all MD: no plateau of t2 in {tried} ({change}), so {meaning}"
    t2 = convergence.t2
    value = f"{t2.value:.3g} [{t2.low:.3g}, {t2.high:.3g}] {time_unit}"
    found = f"all MD: t2 is level from lag {convergence.plateau_lag:g} {time_unit} on, at {value} ({tried})"
    if lag_time < convergence.plateau_lag:
        return f"{found}; the judged lag, {lag_time:g} {time_unit}, lies before: t2 is too short there"
    return found


def floor_note(floor: Floor, time_unit: str) -> str:
    """How far the estimator scatters where there is no model to blame."""
    length = f"{floor.duration:g} {time_unit}" + (
        " as the training data, which the sample exceeds" if floor.of_data else ""
    )
    factors = [interval.factor for interval in floor.timescales]
    if math.isnan(factors[0]):
        return f"floor: MD as short as {length} do not say how far t2 scatters"
    names = ", ".join(f"{f:.3g} (t{k})" for k, f in enumerate(factors, start=2) if not math.isnan(f))
    return f"floor: the same estimator on MD as long as {length} scatters by factors of {names}"


def _sequence_notes(estimate: Estimate, sides: SlowSides, set_names: tuple[str, ...], lag_time: float) -> list[str]:
    """Notes on one sequence."""
    transition = estimate.transition
    if not len(transition.active):
        return ["no piece is longer than the lag, so nothing can be estimated"]
    found = []
    if len(transition.dropped):
        share = f"{1 - transition.active_share:.2g} of the counts"
        found.append(f"{_states(transition.dropped.tolist())} not connected to the rest, dropped with {share}")
    if sides.exist and not sides.held_by(transition.active):
        found.append(f"never crossed in both directions between {sides.describe()}, so t2 is infinite")
    elif estimate.n_lost:
        lost = f"{estimate.n_lost} of {estimate.n_resamples} resamples"
        found.append(f"the slow transition is lost in {lost}, counted as an infinite t2")
    if estimate.timescales and np.isnan(estimate.timescales[0].low):
        found.append("too few pieces or blocks with counts for an interval")
    fast = [i for i, t in enumerate(estimate.timescales, start=2) if t.value < RESOLVED_LAGS * lag_time]
    if fast:
        names = ", ".join(f"t{index}" for index in fast)
        found.append(f"below a third of the lag and not resolved there, so read as an upper bound: {names}")
    missing = [name for name, time in zip(set_names, np.diag(estimate.mfpt), strict=True) if np.isnan(time)]
    if missing:
        found.append(f"no first-passage times for {', '.join(missing)}: not in the connected set")
    return found


def _states(states: list[int]) -> str:
    """Name a few states, count many."""
    if len(states) > 6:
        return f"{len(states)} states"
    return ("state " if len(states) == 1 else "states ") + ", ".join(map(str, states))
