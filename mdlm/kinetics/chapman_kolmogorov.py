"""The Chapman-Kolmogorov test: does one lag predict the longer ones?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mdlm.kinetics.counts import count_matrix
from mdlm.kinetics.msm import connected_set
from mdlm.trajectory import FloatArray, IntArray


@dataclass(frozen=True)
class ChapmanKolmogorov:
    """Transition probabilities over k lags, predicted from one and counted.

    Attributes:
        times: k lags, in the time unit, shape ``(n_steps,)``.
        predicted: The k-th power of the transition matrix at one lag, shape ``(n_steps, n_active, n_active)``.
        estimated: The transition matrix counted at k lags, same shape; NaN in rows without a count.
        standard_error: Of each estimated probability, from as many counts as there are windows of k lags that do not
            overlap: an upper estimate, since those that do overlap know more. Same shape.
        stationary: Share of the transitions at one lag that start in each state, shape ``(n_active,)``.
        active: States of the rows, the largest connected set at one lag, shape ``(n_active,)``.
    """

    times: FloatArray
    predicted: FloatArray
    estimated: FloatArray
    standard_error: FloatArray
    stationary: FloatArray
    active: IntArray

    @property
    def max_error(self) -> float:
        """Largest difference between a predicted and a counted probability; NaN where none can be compared."""
        apart = np.abs(self.predicted - self.estimated)
        return float(np.nanmax(apart)) if np.isfinite(apart).any() else np.nan

    @property
    def rms_error(self) -> float:
        r"""Root mean square over the steps of :math:`\sum_{ij} \pi_i (\hat T_{ij} - (T^k)_{ij})^2`."""
        squares = (self.stationary[:, None] * np.square(self.predicted - self.estimated)).sum(axis=(1, 2))
        return float(np.sqrt(np.nanmean(squares))) if np.isfinite(squares).any() else np.nan


def chapman_kolmogorov(
    pieces: Sequence[IntArray], n_states: int, lag: int, frame_time: float, steps: Sequence[int] = (1, 2, 3, 4, 5)
) -> ChapmanKolmogorov:
    r"""Compare :math:`T(\tau)^k` with :math:`T(k\tau)`.

    Both are maximum-likelihood estimates without detailed balance, so nothing but the counts decides. At k = 1 the two
    are equal but for states outside the connected set. Steps that no piece is long enough for are left out.

    Args:
        pieces: State sequences, each of shape ``(n_frames,)``.
        n_states: Size of the alphabet.
        lag: :math:`\tau`, in frames.
        frame_time: Of a frame, in the system's time unit.
        steps: The k, ascending.

    Source: Prinz et al., J. Chem. Phys. 134, 174105 (2011), section IV F.

    Example:
        >>> found = chapman_kolmogorov([np.array([0, 0, 1, 1, 0])], 2, lag=1, frame_time=0.5, steps=[1, 2])
        >>> found.times.tolist(), found.predicted[1].tolist(), found.estimated[1].tolist()
        ([0.5, 1.0], [[0.5, 0.5], [0.5, 0.5]], [[0.0, 1.0], [1.0, 0.0]])
    """
    longest = max(map(len, pieces), default=0)
    used = [step for step in steps if step * lag < longest]
    counts = [count_matrix(pieces, n_states, step * lag) for step in used]
    one_lag = count_matrix(pieces, n_states, lag)
    active = connected_set(one_lag)
    here = np.ix_(active, active)
    starts = one_lag[here].sum(axis=1)
    chain = _row_normalised(one_lag[here])[0]
    shape = (len(used), len(active), len(active))
    estimates = [_row_normalised(matrix[here]) for matrix in counts]
    estimated = np.array([matrix for matrix, _ in estimates]).reshape(shape)
    independent = np.array([total / (step * lag) for (_, total), step in zip(estimates, used, strict=True)])
    variance = estimated * (1 - estimated) / independent.reshape(*shape[:2], 1)
    return ChapmanKolmogorov(
        times=np.array(used, dtype=np.float64) * lag * frame_time,
        predicted=np.array([np.linalg.matrix_power(chain, step) for step in used]).reshape(shape),
        estimated=estimated,
        standard_error=np.sqrt(variance),
        stationary=starts / max(starts.sum(), 1),
        active=active,
    )


def _row_normalised(counts: IntArray) -> tuple[FloatArray, FloatArray]:
    """Rows as probabilities, NaN where there is no count, and the row sums, NaN for none."""
    totals: FloatArray = counts.sum(axis=1).astype(np.float64)
    totals[totals == 0] = np.nan
    return counts / totals[:, None], totals
