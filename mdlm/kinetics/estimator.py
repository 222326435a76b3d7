"""Two ways from a sequence to a Markov state model, its passage times and its error."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Literal, Protocol

import numpy as np

from mdlm.kinetics.estimate import AtLag, Resampled, markov_state_model
from mdlm.kinetics.events import SlowSides
from mdlm.kinetics.mfpt import PassageTime, mean_first_passage_time
from mdlm.kinetics.msm import TransitionMatrix
from mdlm.trajectory import Dtraj


class Sequence(Protocol):
    """A sequence that can be estimated at any lag, with samples for its intervals."""

    def at(self, lag_time: float, n_timescales: int, sides: SlowSides, n_samples: int) -> AtLag:
        """Estimate at one lag, with ``n_samples`` samples."""


class Estimator(ABC):
    """Makes models of sequences."""

    @abstractmethod
    def check(self) -> None:
        """Raise `ValueError` where this estimator cannot work here."""

    @abstractmethod
    def model(self, dtraj: Dtraj, lag_time: float) -> TransitionMatrix:
        """Reversible Markov state model of ``dtraj`` at ``lag_time``, in its time unit."""

    @abstractmethod
    def sequence(self, dtraj: Dtraj, lag_time: float, n_samples: int, rng: np.random.Generator) -> Sequence:
        """A sequence to be estimated with at most ``n_samples`` samples, whose judged lag is ``lag_time``."""

    @property
    @abstractmethod
    def passage_time(self) -> PassageTime:
        """What computes mean first-passage times."""


class Msm(Estimator):
    """Maximum likelihood, and a bootstrap over trajectories or blocks of them."""

    def check(self) -> None:
        """All it needs is here."""

    def model(self, dtraj: Dtraj, lag_time: float) -> TransitionMatrix:
        """See `mdlm.kinetics.estimate.markov_state_model`."""
        return markov_state_model(dtraj, lag_time)

    def sequence(self, dtraj: Dtraj, lag_time: float, n_samples: int, rng: np.random.Generator) -> Resampled:
        """See `mdlm.kinetics.estimate.Resampled`."""
        return Resampled.draw(dtraj, lag_time, n_samples, rng)

    @property
    def passage_time(self) -> PassageTime:
        """See `mdlm.kinetics.mfpt.mean_first_passage_time`."""
        return mean_first_passage_time


def estimator(name: Literal["msm", "pyemma"]) -> Estimator:
    """The estimator of this name."""
    if name == "msm":
        return Msm()
    from mdlm.kinetics.pyemma_estimator import PyEMMA

    return PyEMMA()
