"""What a scan may choose, and what it has found out about each choice."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from mdlm.kinetics.comparison import Interval

KEEP = "keep"
"""The treatment that is none."""


@dataclass(frozen=True)
class Choice:
    """A partition, a recrossing treatment and a stride.

    Attributes:
        partition: In words, such as ``kmeans 50``.
        recrossing: In words, such as ``coring 2 ps``; ``keep`` for none.
        stride: Keep every n-th frame.
        words: The overrides of `mdlm train` that make it.
        is_given: Whether the partition is the one the user's own command would take.
    """

    partition: str
    recrossing: str
    stride: int
    words: tuple[str, ...] = ()
    is_given: bool = False

    @property
    def name(self) -> str:
        """All three.

        Example:
            >>> Choice("kmeans 50", "keep", 10).name
            'kmeans 50, keep, stride 10'
        """
        return f"{self.partition}, {self.recrossing}, stride {self.stride}"


@dataclass(frozen=True)
class Prediction:
    """What a model that was sampled does to t2.

    Attributes:
        method: The model, in words.
        ratio: t2 of its sample over t2 of the molecular dynamics, the share the tokens resolve among it.
    """

    method: str
    ratio: Interval

    @property
    def error(self) -> Interval:
        """By which factor t2 is off, either way; its lower bound is 1 where the interval of the ratio covers 1.

        Example:
            >>> Prediction("LSTM", Interval(0.5, 0.4, 0.625)).error
            Interval(value=2.0, low=1.6, high=2.5)
        """
        value, low, high = self.ratio.value, self.ratio.low, self.ratio.high
        ends = sorted((off_by(low), off_by(high)))
        return Interval(off_by(value), 1.0 if low <= 1 <= high else ends[0], ends[1])


@dataclass(frozen=True)
class Evidence:
    """What is known of one choice.

    Attributes:
        choice: Which.
        n_states: Size of the alphabet; 0 where it could not be made.
        resolution: Time below which its tokens say nothing: the token time, or the residence time where longer.
        n_events: Slow events of the treated training data.
        share: t2 of the treated data, seen through the states, over t2 of the molecular dynamics.
        memoryless: t2 of a Markov chain counted at one stride, over t2 of the molecular dynamics.
        simple: Of the baseline that predicts held-out data best; None where none was sampled.
        small: Of a small LSTM; None where none was trained.
        likelihoods: Held-out negative log-likelihood in nats per time unit, by model. To be compared within one choice
            only: a finer alphabet has more to say.
        problem: Why it is no choice, in one line; empty where it is one.
    """

    choice: Choice
    n_states: int = 0
    resolution: float = math.nan
    n_events: int = 0
    share: float = math.nan
    memoryless: float = math.nan
    simple: Prediction | None = None
    small: Prediction | None = None
    likelihoods: Mapping[str, float] = field(default_factory=dict)
    problem: str = ""

    @property
    def prediction(self) -> Prediction | None:
        """The best known: of the small model, else of the baseline."""
        return self.small or self.simple

    @property
    def error(self) -> Interval:
        """The predicted error; where nothing was sampled, that of a Markov chain, without an interval."""
        if self.prediction is not None:
            return self.prediction.error
        return Interval(off_by(self.memoryless), math.nan, math.nan)


def off_by(ratio: float) -> float:
    """By which factor a ratio differs from one; infinite where it is zero or unknown.

    Example:
        >>> off_by(0.5), off_by(3.0), off_by(0.0)
        (2.0, 3.0, inf)
    """
    return max(ratio, 1 / ratio) if ratio > 0 else math.inf
