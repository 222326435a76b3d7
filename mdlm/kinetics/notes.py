"""What a reader must know before using a number."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from mdlm.kinetics.comparison import Estimate
from mdlm.kinetics.events import SlowSides

UNRESOLVED_LAGS = 1 / 3  # a timescale this much below the lag has an eigenvalue under 5 %, near the noise
SAME_PROCESS = 0.7  # correlation of the slow eigenvectors below which the slowest processes differ


def notes(
    estimates: Mapping[str, Estimate],
    sides: SlowSides,
    set_names: tuple[str, ...],
    lag_time: float,
    overlap: float,
) -> tuple[str, ...]:
    """Say what was dropped, what was lost in resampling, and why a value is missing.

    Args:
        estimates: By the name of the sequence, ``data`` and ``sampled`` among them.
        sides: The two sides of the slowest process.
        set_names: Names of the sets of states for mean first-passage times.
        lag_time: The judged lag.
        overlap: See `mdlm.kinetics.events.slow_process_overlap`.
    """
    found: list[str] = []
    for name, estimate in estimates.items():
        found += [f"{name}: {note}" for note in _sequence_notes(estimate, sides, set_names, lag_time)]
    if overlap < SAME_PROCESS:
        found.append(f"the slowest process of the sample is not that of the data (overlap {overlap:.2f})")
    return tuple(found)


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
    fast = [i for i, t in enumerate(estimate.timescales, start=2) if t.value < UNRESOLVED_LAGS * lag_time]
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
