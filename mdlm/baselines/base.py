"""What every baseline gives: chains as long as the model's, and how well it predicts held-out states."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

from mdlm.trajectory import Dtraj, IntArray, Split


@dataclass(frozen=True)
class Wanted:
    """The chains that are asked of a baseline: as many and as long as the model's, from the same held-out prompts.

    Attributes:
        prompts_BT: States that the chains continue, shape ``(n_chains, prompt_length)``.
        chain_length: Frames per chain.
        lag_time: The judged lag, in the time unit of the states.
        n_macrostates: Sets of states that are judged.
        seed: Of the sampling.
    """

    prompts_BT: IntArray
    chain_length: int
    lag_time: float
    n_macrostates: int
    seed: int


@dataclass(frozen=True)
class Drawn:
    """What a fitted baseline yields.

    Attributes:
        chains: Sampled states; at the clock of the training states or, for a model of a lag, at that lag.
        nll: Held-out negative log-likelihood in nats per frame; NaN where the baseline defines none, infinite where
            it holds an observed jump to be impossible.
        note: What was chosen, left out or bounded, in one line.
    """

    chains: Dtraj
    nll: float
    note: str


@dataclass(frozen=True)
class Baseline(ABC):
    """A model simple enough to be fitted in every run."""

    title: ClassVar[str]

    @abstractmethod
    def draw(self, states: Split[Dtraj], wanted: Wanted) -> Drawn:
        """Fit the training states, choose by the validation states, sample, and score the test states."""
