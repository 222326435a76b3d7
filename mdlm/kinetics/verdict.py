"""The verdict: one sentence by stated rules."""

from __future__ import annotations

import math

CLEAR_FACTOR = 2.0  # how far from one the whole interval must lie to be believed with few events in the sample


def verdict(
    ratio: float,
    low: float,
    high: float,
    n_events_data: int,
    n_events_sampled: int,
    min_events: int,
    sides: str = "the two slow sides",
) -> str:
    """Say whether the sample keeps the data's slowest timescale.

    The rules, in order:

    1. Fewer than ``min_events`` in the data: undecided; a sample cannot be judged against what is not known.
    2. No ratio or no interval: undecided.
    3. An infinite ratio (the sample never crossed in both directions): "too slow by more than ..." where it
       never crossed at all and the lower bound exceeds a factor of two, otherwise undecided.
    4. Fewer than ``min_events`` in the sample: undecided, unless the whole interval lies beyond a factor of
       two. (A sample much too slow holds few events, and one much too fast holds few visits as long as the
       lag.)
    5. The interval covers one: within the data's own error.
    6. Otherwise too fast or too slow, by that factor.

    Args:
        ratio: Slowest timescale of the sample over that of the data.
        low: Lower bound of its interval.
        high: Upper bound.
        n_events_data: Slow events in the training data; see `mdlm.kinetics.events.count_slow_events`.
        n_events_sampled: Slow events in the sample.
        min_events: How many each needs.
        sides: Names of the two sides, for the text.

    Example:
        >>> verdict(0.35, 0.30, 0.38, n_events_data=60, n_events_sampled=200, min_events=10)
        'too fast by 2.86x [2.63, 3.33]'
    """
    if n_events_data < min_events:
        return f"undecided: {_events(n_events_data)} in the data ({min_events} needed)"
    if math.isinf(ratio):
        return _never_crossed(low, n_events_sampled, sides)
    if math.isnan(ratio):
        return "undecided: the slowest timescale could not be estimated"
    if math.isnan(low) or math.isnan(high):
        return f"undecided: too few independent pieces for an interval (ratio {ratio:.3g})"
    clear = low > CLEAR_FACTOR or high < 1 / CLEAR_FACTOR
    if n_events_sampled < min_events and not clear:
        return f"undecided: {_events(n_events_sampled)} in the sample ({min_events} needed)"
    if low <= 1 <= high:
        return f"within the data's own error (ratio {ratio:.3g} [{low:.3g}, {high:.3g}])"
    if ratio < 1:
        times = [1 / value if value else math.inf for value in (ratio, high, low)]
        return "too fast by {:.3g}x [{:.3g}, {:.3g}]".format(*times)
    return f"too slow by {ratio:.3g}x [{low:.3g}, {high:.3g}]"


def _never_crossed(low: float, n_events_sampled: int, sides: str) -> str:
    """Rule 3."""
    if n_events_sampled:
        crossed = f"the sample crossed between {sides} one way only"
        return f"undecided: {_events(n_events_sampled)} in the sample, but {crossed}"
    if low > CLEAR_FACTOR:
        return f"too slow by more than {low:.3g}x: the sample never crossed between {sides}"
    return f"undecided: the sample never crossed between {sides}, and is too short to say more"


def _events(number: int) -> str:
    return f"{number} event" if number == 1 else f"{number} events"
