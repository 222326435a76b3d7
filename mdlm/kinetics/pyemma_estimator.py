"""PyEMMA as the estimator: its Markov state models and passage times, and Bayesian instead of bootstrap intervals."""

from __future__ import annotations

import math
import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from mdlm.kinetics.counts import count_matrix
from mdlm.kinetics.estimate import AtLag, model_timescales
from mdlm.kinetics.estimator import Estimator
from mdlm.kinetics.events import SlowSides
from mdlm.kinetics.mfpt import PassageTime
from mdlm.kinetics.msm import TransitionMatrix, connected_set, reversible_transition_matrix
from mdlm.kinetics.timescales import flux_timescales
from mdlm.trajectory import Dtraj, FloatArray, IntArray

INSTALL = "pip install 'mdlm-kinetics[pyemma]'"


class PyEMMA(Estimator):
    """Models by PyEMMA.

    The active set is the largest in states, not in counts as everywhere else here; the two differ only where the
    states fall apart. PCCA+ needs no estimator of its own: PyEMMA hands it on to the function that `partition=pcca`
    calls.

    Source: Scherer et al., J. Chem. Theory Comput. 11, 5525 (2015).
    """

    def check(self) -> None:
        """Raise `ValueError` where PyEMMA is not installed or cannot be imported."""
        try:
            _msm()
        except ImportError as error:
            absent = str(error.name).partition(".")[0] == "pyemma"
            reason = "is not installed" if absent else f"cannot be imported ({error})"
            raise ValueError(f"estimator (pyemma): PyEMMA {reason}; {INSTALL}") from error

    def model(self, dtraj: Dtraj, lag_time: float) -> TransitionMatrix:
        """Maximum-likelihood reversible model of the sliding-window counts; empty where there are none."""
        lag = dtraj.lag_frames(lag_time)
        counts = count_matrix(dtraj.pieces, dtraj.n_states, lag)
        if not counts.any():
            nothing = np.zeros(0, dtype=np.intp)
            return TransitionMatrix(np.zeros((0, 0)), np.zeros(0), nothing, dtraj.n_states, 0.0, nothing)
        pieces = [np.ascontiguousarray(piece, dtype=np.int32) for piece in dtraj.pieces if len(piece) > lag]
        with _quietly():
            found = _msm().estimate_markov_model(pieces, lag)
        active = np.asarray(found.active_set)
        return TransitionMatrix(
            matrix=np.asarray(found.P),
            stationary=np.asarray(found.pi),
            active=active,
            n_states=dtraj.n_states,
            active_share=float(counts[np.ix_(active, active)].sum() / counts.sum()),
            dropped=np.setdiff1d(np.flatnonzero(counts.sum(axis=0) + counts.sum(axis=1)), active),
        )

    def sequence(self, dtraj: Dtraj, lag_time: float, n_samples: int, rng: np.random.Generator) -> Posterior:
        """The sequence with a seed for its posterior; neither the judged lag nor the number of samples enters."""
        return Posterior(self, dtraj, int(rng.integers(2**31)))

    @property
    def passage_time(self) -> PassageTime:
        """See `passage_time`."""
        return passage_time


@dataclass(frozen=True)
class Posterior:
    """A sequence whose intervals come from the posterior of its transition matrix.

    Reversible transition matrices are drawn by the sampler of PyEMMA's Bayesian Markov state models, called directly
    because PyEMMA gives it no seed. The counts behind them are the sliding-window counts over the lag in frames: as
    many as do not overlap. PyEMMA's own default, effective counts, takes more for independent: where two states
    exchange in 25 frames and the lag is 5, more than three times as many, and its 90 % intervals cover the truth in
    60 of 100 cases. States that exchange less than one such count are left out; where that leaves one of the slow sides
    without half of its population, the interval is unknown.

    Attributes:
        estimator: Makes the models.
        dtraj: The sequence.
        seed: Of the sampler.

    Source: Trendelkamp-Schroer et al., J. Chem. Phys. 143, 174101 (2015).
    """

    estimator: PyEMMA
    dtraj: Dtraj
    seed: int

    def at(self, lag_time: float, n_timescales: int, sides: SlowSides, n_samples: int) -> AtLag:
        """Estimate at one lag, with the timescales of ``n_samples`` transition matrices."""
        transition = self.estimator.model(self.dtraj, lag_time)
        times = model_timescales(transition, lag_time, n_timescales, sides)
        samples = np.full((n_samples, n_timescales), np.nan)
        counts, known = self._independent_counts(lag_time)
        if not sides.held_by(transition.active):
            samples[:, :1] = times[:1]
        elif sides.held_by(known):
            for sample, flux in zip(samples, _fluxes(counts, self.seed), strict=False):
                sample[:] = flux_timescales(flux, lag_time, n_timescales)
        return AtLag(lag_time, transition, times, samples)

    def _independent_counts(self, lag_time: float) -> tuple[FloatArray, IntArray]:
        """Counts that do not overlap, among the states that exchange at least one of them in each direction.

        The posterior knows next to nothing of the other states: it would as good as cut them off, each with an endless
        relaxation time of its own.

        Returns:
            Shape ``(n_known, n_known)``, and the known states.
        """
        lag = self.dtraj.lag_frames(lag_time)
        counts = count_matrix(self.dtraj.pieces, self.dtraj.n_states, lag) / lag
        known = connected_set(counts)
        while True:
            among = counts[np.ix_(known, known)]
            leaving, entering = (among.sum(axis=axis) - among.diagonal() for axis in (1, 0))
            keep = np.minimum(leaving, entering) >= 1
            inner = connected_set(among[np.ix_(keep, keep)])
            if len(inner) == len(known):
                return among, known
            known = known[keep][inner]


def passage_time(
    transition_matrix: FloatArray, stationary: FloatArray, origin: IntArray, target: IntArray, lag_time: float
) -> float:
    """Mean first-passage time by PyEMMA; see `mdlm.kinetics.mfpt.mean_first_passage_time`."""
    with _quietly():
        return float(_msm().MSM(transition_matrix, pi=stationary).mfpt(origin, target) * lag_time)


def _fluxes(counts: FloatArray, seed: int) -> Iterator[FloatArray]:
    """Equilibrium fluxes of reversible transition matrices drawn from their posterior, without end."""
    from deeptime.markov.tools.estimation.dense.tmat_sampling.tmatrix_sampler import TransitionMatrixSampler

    start = reversible_transition_matrix(counts).matrix
    n_steps = math.isqrt(len(counts))  # PyEMMA's choice of the steps between two samples
    sampler = TransitionMatrixSampler(counts, reversible=True, P0=start, n_steps=n_steps, seed=seed)
    while True:
        matrix, stationary = sampler.sample(return_statdist=True)
        flux = stationary[:, None] * matrix
        yield (flux + flux.T) / 2


def _msm() -> Any:  # noqa: ANN401
    """The module ``pyemma.msm``; imported so that PyEMMA neither calls its home page nor prints about its settings."""
    if sys.modules.get("pyemma.msm"):
        return sys.modules["pyemma.msm"]
    with TemporaryDirectory() as directory, _quietly():
        Path(directory, "mdlm.cfg").write_text("[pyemma]\ncheck_version = False\nshow_config_notification = False\n")
        before = os.environ.get("PYEMMA_CFG_DIR")
        os.environ["PYEMMA_CFG_DIR"] = directory
        try:
            import pyemma.msm
        finally:
            del os.environ["PYEMMA_CFG_DIR"]
            if before is not None:
                os.environ["PYEMMA_CFG_DIR"] = before
    return pyemma.msm


@contextmanager
def _quietly() -> Iterator[None]:
    """PyEMMA is no longer developed and uses much that is deprecated."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
