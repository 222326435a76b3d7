"""Calibration of a trained network: its slow fluxes become those of the data, on the data's own histories.

The likelihood weighs a jump by how much it adds to the loss, and one that comes once in ten thousand frames adds next
to nothing: a network may overrate it twofold at a cost of 1e-5 nats per token, and t2 is wrong by that factor. So after
training the logits get an addition that depends on the last token alone,

    b(i, j) = sum_kl theta_kl psi_k(i) psi_l(j),

where psi are the slow modes of the chain counted from the training data, and theta is such that the model expects of
psi_k(now) psi_l(next), summed over the training data, what was observed. These few numbers are fitted by maximum
likelihood, a concave problem. Such products, one token apart, are what a Markov state model takes its timescales from
(the variational approach: Noe & Nuske, Multiscale Model. Simul. 11, 635 (2013)).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from mdlm.model.base import LanguageModel
from mdlm.training.evaluate import predictions
from mdlm.training.support import jump_counts
from mdlm.trajectory import FloatArray, IntArray

N_MODES = 10
N_PASSES = 3
"""Over the training data; what is left of a wrong flux, but for the prior's pull, fell to a fifth or less in each."""

PRIOR_WIDTH = 2.0
"""In nats. Networks overrate fluxes up to twentyfold: then it pulls by less than one event."""

MAX_NEWTON_STEPS = 50
NEGLIGIBLE_GAIN = 1e-3
"""In nats of all training data together, at which Newton's method ends."""


def calibrate(model: LanguageModel, pieces: Sequence[IntArray]) -> None:
    """Make a network's slow fluxes those of the data; see the head of this file.

    Args:
        model: Its `LanguageModel.bias_VV` is changed.
        pieces: The training data.
    """
    counts = jump_counts(pieces, model.n_states)
    modes = slow_modes(counts, N_MODES)
    theta = np.zeros((modes.shape[1], modes.shape[1] - 1))
    for _ in range(N_PASSES):
        before, theta = theta, slow_fluxes(counts, expected_jumps(model, pieces), modes, theta)
        model.bias_VV += torch.from_numpy(modes @ (theta - before) @ modes[:, 1:].T).to(model.bias_VV)


def slow_modes(counts: IntArray, n_modes: int) -> FloatArray:
    """The constant and the slowest modes of the counted chain, made reversible.

    Args:
        counts: Row: from, column: to; shape ``(V, V)``.
        n_modes: At most, the constant not counted.

    Returns:
        Shape ``(V, 1 + n_modes)``, slowest first, each of variance one over the frames. Zero, but for the constant, for
        states that are not connected with the most visited one.

    Example:
        >>> abs(slow_modes(np.array([[8, 1, 0], [1, 8, 0], [0, 0, 1]]), 5)).round(3).tolist()
        [[1.0, 1.0], [1.0, 1.0], [1.0, 0.0]]
    """
    both_ways = (counts + counts.T).astype(np.float64)
    inside = np.arange(len(counts)) == both_ways.sum(axis=1).argmax()
    while (wider := inside | both_ways[inside].any(axis=0)).sum() > inside.sum():
        inside = wider
    joint = both_ways[np.ix_(inside, inside)]
    root = np.sqrt(joint.sum(axis=1))
    _, vectors = np.linalg.eigh(joint / np.outer(root, root))
    slowest = vectors[:, ::-1][:, 1 : n_modes + 1]
    modes = np.zeros((len(counts), 1 + slowest.shape[1]))
    modes[:, 0] = 1
    modes[inside, 1:] = slowest * np.sqrt((root**2).sum()) / root[:, None]
    return modes


def expected_jumps(model: LanguageModel, pieces: Sequence[IntArray], chunk_length: int = 512) -> FloatArray:
    """How often a model expects each jump, given the data's own histories; see `mdlm.training.evaluate.predictions`.

    Returns:
        To be compared with `mdlm.training.support.jump_counts`; row: from, column: to.
    """
    expected_VV = torch.zeros_like(model.bias_VV, dtype=torch.float64)
    for batch, logits_BTV in predictions(model, pieces, chunk_length):
        real_BT = batch.targets_BT >= 0
        of_chunk_VV = torch.zeros_like(model.bias_VV)
        of_chunk_VV.index_add_(0, batch.inputs_BT[real_BT], logits_BTV[real_BT].softmax(dim=-1))
        expected_VV += of_chunk_VV
    return np.asarray(expected_VV.cpu().numpy())


def slow_fluxes(counts: IntArray, expected: FloatArray, modes: FloatArray, theta: FloatArray) -> FloatArray:
    """The theta that turns expected slow fluxes into counted ones.

    Newton's method on the likelihood of the counts, given rows of ``expected`` tilted by theta. A network predicts
    otherwise after every history; its mean over the histories that end in one token stands for them here. That makes
    the gain a lower bound (Jensen's inequality), so that each pass, first the means and then theta, raises the
    likelihood.

    Args:
        counts: Row: from, column: to; shape ``(V, V)``.
        expected: The same under the model as it is, with the present theta in it.
        modes: The constant and K others, shape ``(V, 1 + K)``.
        theta: The present one, shape ``(1 + K, K)``.
    """
    likelihood = _Likelihood(counts.astype(np.float64), expected, modes, theta)
    value = likelihood.value(theta)
    for _ in range(MAX_NEWTON_STEPS):
        step = likelihood.newton_step(theta)
        while (new := likelihood.value(theta + step)) < value and np.abs(step).max() > 1e-9:
            step = step / 2
        theta, gain, value = theta + step, new - value, new
        if gain < NEGLIGIBLE_GAIN:
            break
    return theta


class _Likelihood:
    """Of theta, in nats, with a normal prior: to change a flux by a factor of e is half a standard deviation.

    So a flux that was expected once and never came is lowered, but not ruled out.
    """

    def __init__(self, counts: FloatArray, expected: FloatArray, modes: FloatArray, theta: FloatArray) -> None:
        left = expected.sum(axis=1) > 0
        self.start, self.next_VK = theta, modes[:, 1:]
        self.now_NK, self.counts_NV = modes[left], counts[left]
        self.log_expected_NV = np.log(
            expected[left], where=expected[left] > 0, out=np.full_like(expected[left], -np.inf)
        )
        self.left_N1 = self.counts_NV.sum(axis=1, keepdims=True)
        self.precision = _precision(self.counts_NV + expected[left], self.now_NK, self.next_VK)

    def value(self, theta: FloatArray) -> float:
        """Up to what does not depend on theta."""
        tilt_NV, logit_NV = self._tilted(theta)
        largest_N1 = logit_NV.max(axis=1, keepdims=True)
        norm_N1 = np.log(np.exp(logit_NV - largest_N1).sum(axis=1, keepdims=True)) + largest_N1
        return float(
            (self.counts_NV * tilt_NV).sum() - (self.left_N1 * norm_N1).sum() - (self.precision * theta**2).sum() / 2
        )

    def newton_step(self, theta: FloatArray) -> FloatArray:
        """From theta towards the maximum."""
        _, logit_NV = self._tilted(theta)
        weight_NV = np.exp(logit_NV - logit_NV.max(axis=1, keepdims=True))
        row_NV = weight_NV / weight_NV.sum(axis=1, keepdims=True)
        mean_NK = row_NV @ self.next_VK
        slope = self.now_NK.T @ (self.counts_NV @ self.next_VK - self.left_N1 * mean_NK) - self.precision * theta
        square_NKK = np.einsum("nv,vk,vl->nkl", row_NV, self.next_VK, self.next_VK, optimize=True)
        spread_NKK = square_NKK - mean_NK[:, :, None] * mean_NK[:, None, :]
        weighted_NK = self.left_N1 * self.now_NK
        curvature = np.einsum("na,nb,nkl->akbl", weighted_NK, self.now_NK, spread_NKK, optimize=True)
        curvature = curvature.reshape(theta.size, theta.size) + np.diag(self.precision.ravel())
        return np.linalg.solve(curvature, slope.ravel()).reshape(theta.shape)

    def _tilted(self, theta: FloatArray) -> tuple[FloatArray, FloatArray]:
        """What theta adds, and the logits of the rows with it."""
        tilt_NV = self.now_NK @ (theta - self.start) @ self.next_VK.T
        return tilt_NV, self.log_expected_NV + tilt_NV


def _precision(jumps_NV: FloatArray, now_NK: FloatArray, next_VK: FloatArray) -> FloatArray:
    """Of the prior, for each product of modes: the squared change of the logits of jumps by theta.

    Per unit of theta, less the mean change of all jumps out of the same state, and averaged over jumps by the
    information they hold on theta, which is the same square.
    """
    rows_NV = jumps_NV / jumps_NV.sum(axis=1, keepdims=True)
    squares_NK, fourths_NK = np.empty_like(now_NK[:, 1:]), np.empty_like(now_NK[:, 1:])
    for k, mode_V in enumerate(next_VK.T):
        change_NV = (mode_V - (rows_NV @ mode_V)[:, None]) ** 2
        squares_NK[:, k] = (jumps_NV * change_NV).sum(axis=1)
        fourths_NK[:, k] = (jumps_NV * change_NV**2).sum(axis=1)
    return np.asarray(((now_NK**4).T @ fourths_NK) / ((now_NK**2).T @ squares_NK)) / PRIOR_WIDTH**2
