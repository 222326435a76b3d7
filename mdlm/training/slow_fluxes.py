"""The fit of a network's memory of slow modes: its slow fluxes become those of the data, on the data's own histories.

The likelihood weighs a jump by how much it adds to the loss, and one that comes once in ten thousand frames adds next
to nothing: a network may overrate it twofold, or forget that a crossing is about to turn back, at a cost of 1e-5 nats
per token, and t2 is wrong by that factor. So after training the logits get the addition

    b(history, j) = sum_fl theta_fl phi_f(history) psi_l(j),

where psi are the slow modes of the chain counted from the training data, and phi their values at the last token, and
their running means less those values (`mdlm.model.slow_memory`). theta has the largest likelihood, so that the model
expects of every product phi_f(history) psi_l(next), summed over the training data, what was observed. Of the last token
alone, such products are what a Markov state model takes its timescales from (the variational approach: Noe & Nuske,
Multiscale Model. Simul. 11, 635 (2013)); the running means tell commitment to a crossing from return.

These few numbers, at most 130, are a concave problem with one solution, which Newton's method finds on all data at
once, free of the noise of stochastic gradients.

A network that has learned its training data by heart expects there the very crossings that came, and what theta adds
is right on those histories alone. So theta is multiplied at last by one number, near one, that held-out data choose.

Shape suffixes besides those of `mdlm.model.base`: K slow modes, F = 1 + K + 4 K features, N tokens.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from mdlm.model.network import Network
from mdlm.training.evaluate import linear_outputs
from mdlm.training.support import jump_counts
from mdlm.trajectory import FloatArray, IntArray

FASTEST = 0.05
"""A mode counts as slow if its timescale is at least this share of the slowest one's."""

LARGEST = 4.0
"""Modes are cut off here, in standard deviations: states apart from everything else have values up to hundreds."""

PRIOR_WIDTH = 2.0
"""In nats. Networks overrate fluxes up to twentyfold: then it pulls by less than one event."""

FEW = 2000
"""States up to which all eigenvectors are computed, within a second or two; of more only those wanted."""

LARGEST_RESIDUAL, MAX_ITERATIONS = 1e-4, 500
"""Of these, in units of the rate of the mode, by so many iterations; else all are computed after all."""

MAX_PASSES = 12
"""Over the training data; one to three were needed with an anchored network, nine with random predictions."""

NEGLIGIBLE_GAIN = 0.05
"""In nats of all training data together, at which Newton's method ends."""

SIZE_PRIOR_WIDTH = 1.0
"""Of the number that theta is multiplied by."""

NEGLIGIBLE_STEP, LONGEST_STEP = 0.02, 0.5
"""Of that number, in Newton's method."""


def fit_slow_memory(model: Network, train: Sequence[IntArray], validation: Sequence[IntArray]) -> None:
    """Make a network's slow fluxes those of the data; see the head of this file.

    Args:
        model: Its memory of slow modes is set, and `LanguageModel.added_VV` changed.
        train: What theta is fitted to.
        validation: Held out, for theta's size; may be empty.
    """
    modes = slow_modes(jump_counts(train, model.n_states), model.slow_memory.n_modes)
    if modes.shape[1]:
        fit = _Fit(model, torch.from_numpy(modes).to(model.added_VV))
        theta_FK = fit.maximum(train)
        if validation:
            fit.set_size(validation, theta_FK)


def slow_modes(counts: IntArray, n_modes: int) -> FloatArray:
    """The slow modes of the counted chain, made reversible.

    Args:
        counts: Row: from, column: to; shape ``(V, V)``.
        n_modes: At most.

    Returns:
        Shape ``(V, K)``, slowest first, each of mean zero and variance one over the frames before
        it is cut off at `LARGEST`. Zero for states that are not connected with the most visited one.

    Example:
        >>> abs(slow_modes(np.array([[8, 1, 0], [1, 8, 0], [0, 0, 1]]), 5)).round(3).tolist()
        [[1.0], [1.0], [0.0]]
    """
    both_ways = (counts + counts.T).astype(np.float64)
    inside = np.arange(len(counts)) == both_ways.sum(axis=1).argmax()
    while (wider := inside | both_ways[inside].any(axis=0)).sum() > inside.sum():
        inside = wider
    joint = both_ways[np.ix_(inside, inside)]
    root = np.sqrt(joint.sum(axis=1))
    values, vectors = _largest(joint / np.where(root > 0, np.outer(root, root), 1), 1 + n_modes, root)
    values, vectors = values[1:].clip(1e-300, 1 - 1e-15), vectors[:, 1:]  # the first is constant
    rates = -np.log(values)
    is_slow = FASTEST * rates <= rates[:1]
    modes = np.zeros((len(counts), is_slow.sum()))
    modes[inside] = (vectors[:, is_slow] * np.sqrt((root**2).sum()) / root[:, None]).clip(-LARGEST, LARGEST)
    return modes


def _largest(symmetric: FloatArray, n_wanted: int, first: FloatArray) -> tuple[FloatArray, FloatArray]:
    """The largest eigenvalues, in falling order, and their eigenvectors as columns, the first of which is known."""
    if len(symmetric) > FEW:
        start = np.random.default_rng(0).normal(size=(len(symmetric), n_wanted))
        start[:, 0] = first
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Sparse CSR")  # of what torch may change some day
            matrix = torch.from_numpy(symmetric).to_sparse_csr()
        found = torch.lobpcg(matrix, X=torch.from_numpy(start), tol=1e-10, niter=MAX_ITERATIONS)
        values, vectors = (part.numpy() for part in found)
        residuals = np.linalg.norm(symmetric @ vectors - values * vectors, axis=0)
        if (residuals[1:] < LARGEST_RESIDUAL * (1 - values[1:])).all():
            return values, vectors
    values, vectors = np.linalg.eigh(symmetric)
    return values[: -1 - n_wanted : -1], vectors[:, : -1 - n_wanted : -1]


@dataclass(frozen=True)
class _Sums:
    """Over some data, at some theta.

    Attributes:
        loss: Nats.
        slope_FK: Of the log-likelihood.
        curvature: Minus its second derivatives, (F K, F K).
        precision_FK: Of the prior: the squared change of the logits of jumps by theta. Per unit of theta, less the mean
            change of all jumps after the same history, averaged over the jumps that came by the information they hold
            on theta, which is the same square.
    """

    loss: float
    slope_FK: Tensor
    curvature: Tensor
    precision_FK: Tensor


class _Fit:
    """Newton's method for theta, with a normal prior: a flux e times larger is half a standard deviation.

    So a flux that was expected once and never came is lowered, but not ruled out.
    """

    def __init__(self, model: Network, modes_VK: Tensor) -> None:
        self.model, self.modes_VK = model, modes_VK
        n_states, self.n_modes = modes_VK.shape
        self.n_times = model.slow_memory.n_means // model.slow_memory.n_modes
        self.before_VV = model.added_VV.clone()
        self.n_unused = model.slow_memory.n_modes - self.n_modes
        model.slow_memory.modes_VK.copy_(F.pad(modes_VK, (0, self.n_unused)))
        # The features but for the means, which come on top of this.
        self.now_VF = torch.cat([modes_VK.new_ones(n_states, 1), modes_VK, -modes_VK.repeat(1, self.n_times)], dim=1)

    def maximum(self, train: Sequence[IntArray]) -> Tensor:
        """Theta of the largest likelihood; the model is left there, where the last sums were taken."""
        theta_FK = self.now_VF.new_zeros(self.now_VF.shape[1], self.n_modes, dtype=torch.float64)
        sums = self._sums(train, theta_FK)
        precision_FK = sums.precision_FK.clamp(min=1e-6)  # an unobserved product stays where it is

        def value(theta_FK: Tensor, sums: _Sums) -> float:
            return sums.loss + float((precision_FK * theta_FK**2).sum()) / 2

        for _ in range(MAX_PASSES):
            slope_FK = sums.slope_FK - precision_FK * theta_FK
            curvature = sums.curvature + torch.diag(precision_FK.flatten())
            step_FK = torch.linalg.solve(curvature, slope_FK.flatten()).view_as(theta_FK)
            if float((step_FK * slope_FK).sum()) / 2 < NEGLIGIBLE_GAIN:
                break
            new = self._sums(train, theta_FK + step_FK)
            while not value(theta_FK + step_FK, new) <= value(theta_FK, sums):  # nor a number; a small step gains
                step_FK = step_FK / 4
                new = self._sums(train, theta_FK + step_FK)
            theta_FK, sums = theta_FK + step_FK, new
        return theta_FK

    def set_size(self, validation: Sequence[IntArray], theta_FK: Tensor) -> None:
        """Multiply theta by the number of the largest likelihood of held-out data, with a normal prior around one."""
        size, precision = 1.0, SIZE_PRIOR_WIDTH**-2
        for _ in range(MAX_PASSES):
            sums = self._sums(validation, size * theta_FK)
            slope = float((sums.slope_FK * theta_FK).sum()) - precision * (size - 1)
            curvature = float(theta_FK.flatten() @ sums.curvature @ theta_FK.flatten()) + precision
            step = max(-LONGEST_STEP, min(slope / curvature, LONGEST_STEP))
            size += step
            if abs(step) < NEGLIGIBLE_STEP:
                break
        self._set(size * theta_FK)

    def _set(self, theta_FK: Tensor) -> None:
        """Put theta into the model: the means' part into its memory, the last token's into its table."""
        lift_FV = theta_FK.to(self.modes_VK) @ self.modes_VK.T
        torch.addmm(self.before_VV, self.now_VF, lift_FV, out=self.model.added_VV)
        lift_TKV = lift_FV[1 + self.n_modes :].view(self.n_times, self.n_modes, -1)
        self.model.slow_memory.lift_MV.copy_(F.pad(lift_TKV, (0, 0, 0, self.n_unused)).flatten(0, 1))

    @torch.inference_mode()
    def _sums(self, pieces: Sequence[IntArray], theta_FK: Tensor) -> _Sums:
        self._set(theta_FK)
        loss = 0.0
        n_features, n_modes = theta_FK.shape
        slope, squares, fourths = (torch.zeros_like(theta_FK) for _ in range(3))
        curvature = theta_FK.new_zeros(n_features**2, n_modes**2)
        pairs_VK2 = (self.modes_VK[:, :, None] * self.modes_VK[:, None, :]).flatten(1)
        products_VP = torch.cat([self.modes_VK, pairs_VK2], dim=1)
        for found, means_NM in linear_outputs(self.model, pieces):
            changes = []  # of the modes and of their products: what came, less what was expected
            for nll_n, slope_nV in found.slopes():
                loss += nll_n.sum(dtype=torch.float64).item()
                changes.append(-(slope_nV @ products_VP))
            change_NK, change_NK2 = torch.split(torch.cat(changes), [n_modes, n_modes**2], dim=1)
            came_NP = products_VP[found.targets_N.clamp(min=0)]
            mean_NK = came_NP[:, :n_modes] - change_NK
            square_NK2 = came_NP[:, n_modes:] - change_NK2
            spread_NK2 = square_NK2 - (mean_NK[:, :, None] * mean_NK[:, None, :]).flatten(1)
            phi_NF = self._features(found.tokens_N, means_NM)
            slope += (phi_NF.T @ change_NK).double()
            curvature += ((phi_NF[:, :, None] * phi_NF[:, None, :]).flatten(1).T @ spread_NK2).double()
            squares += ((phi_NF**2).T @ change_NK**2).double()
            fourths += ((phi_NF**4).T @ change_NK**4).double()
        curvature = curvature.view(n_features, n_features, n_modes, n_modes).transpose(1, 2)
        precision_FK = fourths / squares.clamp(min=1e-12) / PRIOR_WIDTH**2
        return _Sums(loss, slope, curvature.reshape(n_features * n_modes, -1), precision_FK)

    def _features(self, tokens_N: Tensor, means_NM: Tensor) -> Tensor:
        used_NM = means_NM.view(-1, self.n_times, self.model.slow_memory.n_modes)[..., : self.n_modes].flatten(1)
        return self.now_VF[tokens_N] + F.pad(used_NM, (1 + self.n_modes, 0))
