"""Whether the slow process of the data needs memory, told without a model: by what a Markov chain makes of it."""

from __future__ import annotations

import math
from dataclasses import dataclass

from mdlm.kinetics.comparison import Interval


@dataclass(frozen=True)
class SlowMemory:
    """t2 of a Markov chain counted over one token, beside t2 of the same data at the judged lag.

    Were the tokens a Markov chain, the two would be equal but for the error of the data. Where the chain's is shorter,
    the tokens alone do not carry the slow process, and a model must remember what came before.

    Attributes:
        ratio: The chain's t2 over that of the data; the interval is that of the data.
        token_time: Time per token, in the time unit.
    """

    ratio: Interval
    token_time: float

    @staticmethod
    def of(markov_t2: float, data: Interval, token_time: float) -> SlowMemory:
        """Compare the chain's t2 with that of the data.

        Example:
            >>> found = SlowMemory.of(300.0, Interval(1000.0, 750.0, 1500.0), 1.0)
            >>> found.ratio, found.needed
            (Interval(value=0.3, low=0.2, high=0.4), True)
        """
        ratios = (markov_t2 / time if time else math.inf for time in (data.value, data.high, data.low))
        return SlowMemory(Interval(*ratios), token_time)

    @property
    def needed(self) -> bool | None:
        """Whether the slow process needs memory; None where there is no interval to tell by."""
        return None if math.isnan(self.ratio.high) or math.isnan(self.ratio.low) else self.ratio.high < 1

    def metrics(self) -> dict[str, float]:
        """The numbers under their logged names."""
        needed = self.needed
        return {
            "markov_t2_ratio_to_data": self.ratio.value,
            "markov_t2_ratio_to_data_low": self.ratio.low,
            "markov_t2_ratio_to_data_high": self.ratio.high,
            "slow_process_needs_memory": math.nan if needed is None else float(needed),
        }

    def sentence(self, time_unit: str) -> str:
        """What it means."""
        ratio = self.ratio
        chain = f"a Markov chain of the training tokens ({self.token_time:g} {time_unit}) has"
        times = f"{ratio.value:.3g} [{ratio.low:.3g}, {ratio.high:.3g}] times the t2 of the data"
        if self.needed is None:
            return "Whether the slow process of the data needs memory is not known: their t2 has no interval"
        if self.needed:
            return f"The slow process of the data needs memory: {chain} {times}"
        if ratio.low > 1:
            return f"The slow process of the data at the judged lag is faster than that of its tokens: {chain} {times}"
        return f"The slow process of the data shows no need of memory: {chain} {times}"
