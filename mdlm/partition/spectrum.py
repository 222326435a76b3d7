r"""How many metastable sets the spectrum of a Markov state model supports.

A process slower than the lag time supports one more macrostate than there were: k of them need
:math:`t_k > \tau`. Of these numbers the best is the k before the largest gap :math:`\lambda_k - \lambda_{k+1}`
between eigenvalues, where what lives on at the lag time parts from what is gone. Ratios of timescales,
:math:`t_k / t_{k+1}`, would say the same of an exact spectrum with one clear gap, but from trajectories the
processes faster than the lag time are only known as noise around :math:`\lambda = 0`. Differences of eigenvalues
hardly feel it; timescales, their logarithms, do.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np

from mdlm.trajectory import FloatArray

SHOWN = 8  # timescales in an error text


@dataclass(frozen=True)
class Spectrum:
    """The positive eigenvalues of a reversible transition matrix.

    A negative one is sampling noise or an oscillation, no relaxation, and supports nothing.

    Attributes:
        eigenvalues: Descending, from 1 on.
        timescales: Of all but the first, in ``time_unit``.
        lag_time: Of the transition matrix, in ``time_unit``.
        time_unit: For error texts.
    """

    eigenvalues: FloatArray
    timescales: FloatArray
    lag_time: float
    time_unit: str

    @classmethod
    def of(cls, matrix: FloatArray, stationary: FloatArray, lag_time: float, time_unit: str) -> Self:
        """Spectrum of a reversible transition matrix, shape ``(n, n)``, with its stationary distribution."""
        from mdlm.kinetics.timescales import relaxation_times

        root = np.sqrt(stationary)
        eigenvalues = np.linalg.eigvalsh(root[:, None] * matrix / root)[::-1]  # similar to the matrix, and symmetric
        eigenvalues = eigenvalues[eigenvalues > 0]
        return cls(eigenvalues, relaxation_times(eigenvalues[1:], lag_time), lag_time, time_unit)

    @property
    def supported(self) -> int:
        """Most macrostates: one, and one more for each process slower than the lag time."""
        return 1 + int((self.timescales > self.lag_time).sum())

    @property
    def best(self) -> int:
        """Macrostates before the largest gap, between 2 and `supported`.

        Example:
            >>> Spectrum(np.array([1, 0.99, 0.9, 0.88, 0.1]), np.array([99.5, 9.5, 7.8, 0.4]), 1.0, "ps").best
            4
        """
        gaps = -np.diff(self.eigenvalues, append=0.0)
        return 2 + int(gaps[1 : self.supported].argmax())

    def checked(self, wanted: int | None) -> int:
        """The number of macrostates wanted, or the best.

        Raises:
            ValueError: The spectrum does not support it, or not even two.
        """
        if wanted is None and self.supported < 2:
            raise ValueError(f"n_macrostates (null) cannot be chosen: {self}")
        if wanted is not None and wanted > self.supported:
            raise ValueError(f"n_macrostates ({wanted}) must be at most {self.supported}: {self}")
        return wanted or self.best

    def __str__(self) -> str:
        """What is needed and what there is, in one line."""
        slow = ", ".join(f"{time:.4g}" for time in self.timescales[:SHOWN]) or "none"
        more = " ..." if len(self.timescales) > SHOWN else ""
        text = (
            f"each but one needs a timescale above lag_time ({self.lag_time:g} {self.time_unit}); "
            f"the Markov state model has {slow}{more}"
        )
        if self.supported < 2:
            return text
        before, *after = (f"{time:.4g}" for time in self.timescales[self.best - 2 : self.best])
        return f"{text}; the largest gap is after {self.best} macrostates, from {before} to {after[0] if after else 0}"
