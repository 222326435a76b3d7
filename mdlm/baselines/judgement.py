"""Every baseline sampled like the model and judged like it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from mdlm.baselines.base import Baseline, Drawn, Wanted
from mdlm.kinetics.comparison import Interval
from mdlm.kinetics.judge import Judge
from mdlm.macrostates.base import Lumping
from mdlm.progress import Progress, silent
from mdlm.sampling.sampling import Sampling, prompts
from mdlm.trajectory import Dtraj, Split


@dataclass(frozen=True)
class BaselineResult:
    """What a baseline reaches.

    Attributes:
        name: Its name in the configuration, and in the metrics.
        title: What it is called in a table.
        timescales: Implied timescales t2, t3, ... of its chains at the judged lag, with intervals.
        t2_ratio_to_data: t2 of its chains over t2 of the training data; NaN where the alphabet has no t2.
        nll: Held-out negative log-likelihood in nats per frame; NaN where the baseline defines none, infinite where
            it rules out an observed jump.
        n_events: Slow events in its chains.
        note: What was chosen, left out or bounded, in one line.
    """

    name: str
    title: str
    timescales: tuple[Interval, ...]
    t2_ratio_to_data: Interval
    nll: float
    n_events: int
    note: str

    def metrics(self, time_unit: str) -> dict[str, float]:
        """The numbers under their logged names; NaN where there is no finite value."""
        prefix, ratio = f"baseline_{self.name}", self.t2_ratio_to_data
        values = {
            f"{prefix}_t2_ratio_to_data": ratio.value,
            f"{prefix}_t2_ratio_to_data_low": ratio.low,
            f"{prefix}_t2_ratio_to_data_high": ratio.high,
            f"{prefix}_nll_nats_per_frame": self.nll,
            f"{prefix}_n_slow_events": float(self.n_events),
        }
        for index, timescale in enumerate(self.timescales, start=2):
            values[f"{prefix}_t{index}_{time_unit}"] = timescale.value
        return {name: value if math.isfinite(value) else math.nan for name, value in values.items()}


def judge_baselines(
    methods: Mapping[str, Baseline],
    judge: Judge,
    states: Split[Dtraj],
    lumping: Lumping,
    sampling: Sampling,
    seed: int,
    progress: Progress = silent,
) -> tuple[BaselineResult, ...]:
    """Fit, sample and judge every baseline.

    Each continues the same held-out prompts as the model (where the model's tokens are states), with as many chains of
    the same length in time, and meets the same data and the same bootstrap.

    Args:
        methods: By name.
        judge: Of the model's run.
        states: At the token clock, after the stride.
        lumping: The macrostate of each state.
        sampling: Of the run; how many chains, how long.
        seed: Of the run.
        progress: Told after every baseline.
    """
    rng = np.random.default_rng(seed)
    wanted = Wanted(
        prompts_BT=prompts(states.test.pieces, sampling.n_chains, sampling.prompt_length, rng),
        chain_length=sampling.chain_length,
        lag_time=judge.measure.lag_time,
        n_macrostates=lumping.n_macrostates,
        seed=int(rng.integers(2**62)),
    )
    results = []
    for number, (name, method) in enumerate(methods.items(), start=1):
        try:
            results.append(judged(name, method.title, method.draw(states, wanted), judge, lumping))
        except (
            ValueError,
            ArithmeticError,
            np.linalg.LinAlgError,
        ) as error:  # a run must not be lost to what is beside it
            unknown, why = Interval(*[math.nan] * 3), " ".join(str(error).split())
            results.append(BaselineResult(name, method.title, (), unknown, math.nan, 0, f"could not be fitted: {why}"))
        progress(number, len(methods), method.title)
    return tuple(results)


def judged(name: str, title: str, drawn: Drawn, judge: Judge, lumping: Lumping) -> BaselineResult:
    """Judge one baseline's chains, at the judged lag only and at their own clock."""
    of_clock = replace(
        judge,
        curve_lags=(judge.measure.lag_time,),
        form=replace(judge.form, frame_time=drawn.chains.frame_time),
    )
    comparison = of_clock.compare(lumping.lump(drawn.chains))
    times, note = comparison.sampled.timescales, drawn.note
    if times and times[0].value < judge.measure.lag_time:
        note += "; t2 is below the judged lag, where its value is rough"
    return BaselineResult(
        name=name,
        title=title,
        timescales=times,
        t2_ratio_to_data=comparison.t2_ratio_to_data,
        nll=drawn.nll,
        n_events=comparison.sampled.n_events,
        note=note,
    )
