"""Whether t2 of a sample rests on jumps that training never saw: the same chains sampled with and without them."""

from __future__ import annotations

import math
from dataclasses import dataclass

from mdlm.kinetics.comparison import Interval
from mdlm.kinetics.judge import SAMPLED, Judge
from mdlm.kinetics.ratio import UNKNOWN, ratio_to_data
from mdlm.kinetics.verdict import CLEAR_FACTOR
from mdlm.progress import silent
from mdlm.trajectory import Dtraj

FELT = 1.1  # factor below which a change of t2 is not worth a word in the verdict
NEVER = "transitions never seen in training"


@dataclass(frozen=True)
class Masked:
    """t2 without the jumps that training never saw.

    Attributes:
        time_unit: Unit of ``t2``.
        t2: Of the masked chains.
        ratio: The same over that of these chains as they were sampled first.
        ratio_to_data: The same over that of the training data.
        n_chains: Chains sampled again; 0 where nothing had to be, or could be, sampled.
        n_events: Slow events in them.
        skipped: Why there is nothing to compare; empty where there is.
    """

    time_unit: str
    t2: Interval = UNKNOWN
    ratio: Interval = UNKNOWN
    ratio_to_data: Interval = UNKNOWN
    n_chains: int = 0
    n_events: int = 0
    skipped: str = ""

    def metrics(self) -> dict[str, float]:
        """The numbers under their logged names; NaN where there is no finite value."""
        values = {"masked_n_chains": float(self.n_chains), "masked_n_slow_events": float(self.n_events)}
        named = {
            f"t2_masked_{self.time_unit}": self.t2,
            "t2_masked_ratio": self.ratio,
            "t2_masked_ratio_to_data": self.ratio_to_data,
        }
        for name, interval in named.items():
            values |= {name: interval.value, f"{name}_low": interval.low, f"{name}_high": interval.high}
        return {name: value if math.isfinite(value) else math.nan for name, value in values.items()}

    @property
    def objection(self) -> str:
        """What the verdict must say: that t2 would be another without unseen jumps; empty where it would not.

        Said where the interval of the ratio excludes one and the ratio is off by a tenth or more.
        """
        ratio = self.ratio
        if ratio.low > 1 and ratio.value >= FELT:
            if math.isinf(ratio.value):
                return f"t2 rests on {NEVER}: masked, it would be more than {ratio.low:.3g} times longer"
            return f"t2 rests on {NEVER}: masked, it would be {_times(ratio)} longer"
        if ratio.high < 1 and ratio.value <= 1 / FELT:
            shorter = Interval(*(1 / value if value else math.inf for value in (ratio.value, ratio.high, ratio.low)))
            return f"t2 rests on {NEVER}: masked, it would be {_times(shorter)} shorter"
        return ""

    def sentence(self) -> str:
        """Whether the two agree, or why that is not known."""
        ratio = self.ratio
        if self.skipped:
            return f"t2 with unseen transitions masked: not sampled, {self.skipped}"
        if not self.n_chains:
            return "No transition of the sample was unseen, so that t2 with unseen ones masked is the same"
        if self.objection:
            return self.objection
        if not 1 / CLEAR_FACTOR <= ratio.low <= ratio.high <= CLEAR_FACTOR:
            value = f"ratio {ratio.value:.3g} [{ratio.low:.3g}, {ratio.high:.3g}]"
            return f"Whether t2 rests on {NEVER} cannot be told from {self.n_chains} masked chains ({value})"
        if ratio.low <= 1 <= ratio.high:
            return f"No sign that t2 rests on {NEVER}: masked, it would be {_times(ratio)} as long"
        return f"t2 hardly rests on {NEVER}: masked, it would be {_times(ratio)} as long"


def compare_masked(judge: Judge, masked: Dtraj, unmasked: Dtraj) -> Masked:
    """Estimate t2 of the same chains with and without unseen jumps, at the judged lag.

    Both continue the same prompts with the same random numbers and are resampled together, chain by chain, so that what
    they share drops out of the interval of their ratio.

    Args:
        judge: Of the run.
        masked: Macrostates of the chains sampled with unseen jumps masked.
        unmasked: Macrostates of the same chains as they were sampled first, of the same lengths.

    Raises:
        ValueError: The chains differ in length.
    """
    if masked.lengths != unmasked.lengths:
        raise ValueError("masked and unmasked chains must be of the same lengths, to be resampled together")
    measure, lags = judge.measure, (judge.measure.lag_time,)
    points = [measure.points(dtraj, lags, SAMPLED, silent) for dtraj in (masked, unmasked)]
    found, before = (measure.estimate(dtraj, own) for dtraj, own in zip((masked, unmasked), points, strict=True))
    samples = (points[0][0].samples, points[1][0].samples)
    of_data = measure.judged(judge.data_points).samples
    return Masked(
        time_unit=masked.time_unit,
        t2=found.timescales[0] if found.timescales else UNKNOWN,
        ratio=ratio_to_data(found, before, *samples, measure.confidence),
        ratio_to_data=ratio_to_data(found, judge.data, samples[0], of_data, measure.confidence),
        n_chains=len(masked.pieces),
        n_events=found.n_events,
    )


def _times(ratio: Interval) -> str:
    return f"{ratio.value:.3g} times [{ratio.low:.3g}, {ratio.high:.3g}]"
