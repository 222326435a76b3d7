"""The verdict: a sentence for each timescale and one overall, by stated rules; docs/verdict.md has the table."""

from __future__ import annotations

import math
from collections.abc import Sequence

CLEAR_FACTOR = 2.0  # how far from one the whole interval must lie to be believed with few events in the sample
SAME_PROCESS = 0.7  # correlation of the slow eigenvectors below which the slowest processes differ


def verdict(
    ratio: float,
    low: float,
    high: float,
    n_events_data: int,
    n_events_sampled: int,
    min_events: int,
    sides: str = "the two slow sides",
    floor: tuple[float, float] = (math.nan, math.nan),
    resolved: bool = True,
) -> str:
    """Say whether the sample keeps one timescale of the data.

    The rules, in order:

    1. Fewer than ``min_events`` in the data: undecided; a sample cannot be judged against what is not known.
    2. No ratio or no interval: undecided.
    3. An infinite ratio (the sample never crossed in both directions): "too slow by more than ..." where it
       never crossed at all and the lower bound exceeds a factor of two, otherwise undecided.
    4. A timescale that the sample does not resolve is only known from above: "too fast by at least ..." where the
       interval lies below one and the ratio below the floor, otherwise undecided.
    5. Fewer than ``min_events`` in the sample: undecided, unless the whole interval lies beyond a factor of
       two. (A sample much too slow holds few events, and one much too fast holds few visits as long as the
       lag.)
    6. The interval covers one, or the ratio lies within the floor: within the data's own error.
    7. Otherwise too fast or too slow, by that factor.

    Args:
        ratio: Timescale of the sample over that of the data.
        low: Lower bound of its interval.
        high: Upper bound.
        n_events_data: Events of the process in the training data; see `mdlm.kinetics.events.count_slow_events`.
        n_events_sampled: In the sample.
        min_events: How many each needs.
        sides: Names of the two sides, for the text.
        floor: Bounds of the ratio that molecular dynamics as long as the sample would score; NaN where unknown.
        resolved: Whether the sample's timescale is long enough, against the lag, to be more than an upper bound.

    Example:
        >>> verdict(0.35, 0.30, 0.38, n_events_data=60, n_events_sampled=200, min_events=10)
        'too fast by 2.86x [2.63, 3.33]'
    """
    if n_events_data < min_events:
        return f"undecided: {_events(n_events_data)} in the data ({min_events} needed)"
    if math.isinf(ratio):
        return _never_crossed(low, n_events_sampled, sides)
    if math.isnan(ratio):
        return "undecided: the timescale could not be estimated"
    if math.isnan(low) or math.isnan(high):
        return f"undecided: too few independent pieces for an interval (ratio {ratio:.3g})"
    inside = floor[0] <= ratio <= floor[1]
    if not resolved:
        return _upper_bound(ratio, inside or high >= 1)
    clear = low > CLEAR_FACTOR or high < 1 / CLEAR_FACTOR
    if n_events_sampled < min_events and not clear:
        return f"undecided: {_events(n_events_sampled)} in the sample ({min_events} needed)"
    if low <= 1 <= high:
        return f"within the data's own error (ratio {ratio:.3g} [{low:.3g}, {high:.3g}])"
    if inside:
        scatter = f"MD of this length alone score from {floor[0]:.3g} to {floor[1]:.3g}"
        return f"within the data's own error (ratio {ratio:.3g} [{low:.3g}, {high:.3g}]; {scatter})"
    if ratio < 1:
        times = [1 / value if value else math.inf for value in (ratio, high, low)]
        return "too fast by {:.3g}x [{:.3g}, {:.3g}]".format(*times)
    return f"too slow by {ratio:.3g}x [{low:.3g}, {high:.3g}]"


def overall(verdicts: Sequence[str], overlap: float) -> str:
    """One sentence from those on t2, t3, ...

    The rules, in order:

    1. t2 is undecided, too fast or too slow: so is the sample. Faster processes do not make up for it.
    2. t2 is right, but the slowest process of the sample is another one: undecided, since equal times of different
       processes are no agreement.
    3. A faster process is too fast or too slow: that is said after the sentence on t2.

    Args:
        verdicts: Of `verdict`, t2 first; not empty.
        overlap: See `mdlm.kinetics.events.slow_process_overlap`; NaN where unknown.

    Example:
        >>> overall(["within the data's own error (ratio 1 [0.9, 1.1])", "too fast by 2x [1.5, 2.5]"], overlap=0.99)
        "within the data's own error (ratio 1 [0.9, 1.1]); but t3 is too fast by 2x [1.5, 2.5]"
    """
    slowest, *faster = verdicts
    if not slowest.startswith("within"):
        return slowest
    if overlap < SAME_PROCESS:
        agrees = slowest.removeprefix("within the data's own error ")
        return (
            f"undecided: t2 agrees {agrees}, but the slowest process of the sample is another (overlap {overlap:.2f})"
        )
    off = [f"t{k} is {said}" for k, said in enumerate(faster, start=3) if said.startswith("too")]
    return f"{slowest}; but {', '.join(off)}" if off else slowest


def _never_crossed(low: float, n_events_sampled: int, sides: str) -> str:
    """Rule 3."""
    if n_events_sampled:
        crossed = f"the sample crossed between {sides} one way only"
        return f"undecided: {_events(n_events_sampled)} in the sample, but {crossed}"
    if low > CLEAR_FACTOR:
        return f"too slow by more than {low:.3g}x: the sample never crossed between {sides}"
    return f"undecided: the sample never crossed between {sides}, and is too short to say more"


def _upper_bound(ratio: float, could_be_right: bool) -> str:
    """Rule 4."""
    if could_be_right:
        return "undecided: the timescale of the sample is too short to be resolved at this lag"
    return f"too fast by at least {1 / ratio if ratio else math.inf:.3g}x"


def _events(number: int) -> str:
    return f"{number} event" if number == 1 else f"{number} events"
