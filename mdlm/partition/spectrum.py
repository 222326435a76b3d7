"""How many macrostates the spectrum of a reversible Markov state model supports."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np

from mdlm.trajectory import FloatArray

SHOWN = 8  # timescales in an error text


@dataclass(frozen=True)
class Spectrum:
    r"""The relaxation processes of a Markov state model.

    A process supports a macrostate where it is slower than the lag time: of a faster one the model sees little but
    noise. Among the numbers of macrostates that are supported, the best stands before the largest gap
    :math:`\lambda_k - \lambda_{k+1}`, where :math:`\lambda_1 = 1` is the stationary process. (Not before the largest
    ratio :math:`t_k / t_{k+1}`: ratios of the fast timescales are noise, differences of small eigenvalues are small.)

    Attributes:
        eigenvalues: The positive ones of the transition matrix, descending, from 1 on. A negative one is sampling
            noise or an oscillation, no relaxation.
        lag_time: Of the transition matrix, in ``time_unit``.
        time_unit: For error texts.
    """

    eigenvalues: FloatArray
    lag_time: float
    time_unit: str

    @classmethod
    def of(cls, matrix: FloatArray, stationary: FloatArray, lag_time: float, time_unit: str) -> Self:
        """Spectrum of a reversible transition matrix, shape ``(n_states, n_states)``."""
        root = np.sqrt(stationary)
        eigenvalues = np.linalg.eigvalsh(root[:, None] * matrix / root)[::-1]  # of a similar, symmetric matrix
        return cls(eigenvalues[eigenvalues > 0], lag_time, time_unit)

    @property
    def timescales(self) -> FloatArray:
        """Implied timescales, slowest first; one fewer than eigenvalues."""
        from mdlm.kinetics.timescales import relaxation_times

        return relaxation_times(self.eigenvalues[1:], self.lag_time)

    @property
    def supported(self) -> int:
        """Most macrostates: one, and one more for each process slower than the lag time."""
        return 1 + int((self.timescales > self.lag_time).sum())

    @property
    def best(self) -> int:
        """Macrostates before the largest gap, from 2 to `supported`, which must not be 1.

        Example:
            >>> Spectrum(np.array([1.0, 0.9, 0.88, 0.1]), lag_time=1.0, time_unit="ps").best
            3
        """
        gaps = -np.diff(self.eigenvalues, append=0.0)  # where every state is metastable, none need be lumped
        return 2 + int(gaps[1 : self.supported].argmax())

    def checked(self, wanted: int | None) -> int:
        """The number of macrostates wanted, or the best.

        Raises:
            ValueError: It is not supported, or not even two are.
        """
        if self.supported < (wanted or 2):
            given = "null, so at least 2" if wanted is None else wanted
            raise ValueError(f"n_macrostates ({given}) exceeds what the spectrum supports, {self.supported}: {self}")
        return wanted or self.best

    def __str__(self) -> str:
        """Timescales and gap in one line."""
        times = [f"{time:.4g}" for time in self.timescales]
        shown = ", ".join(times[:SHOWN]) or "none"
        text = (
            f"each macrostate but one needs a timescale above lag_time ({self.lag_time:g} {self.time_unit}), and the "
            f"Markov state model has {shown}{' ...' if len(times) > SHOWN else ''}"
        )
        if self.supported < 2:
            return text
        before, after = [*times, "0"][self.best - 2 : self.best]
        return f"{text}; the largest gap is after {self.best} macrostates, between {before} and {after}"
