"""Time-lagged independent components: the slowest linear combinations of other features."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np

from mdlm.errors import named
from mdlm.features.base import Features, FittedFeatures
from mdlm.features.framewise import Framewise, is_constant, lagged_chunks, some
from mdlm.trajectory import FloatArray, Header, Trajectory, lag_frames

if TYPE_CHECKING:
    from deeptime.covariance import CovarianceModel

Scaling = Literal["none", "kinetic_map", "commute_map"]

VARIANCE_CUTOFF = 1e-6
"""Features of unit variance that are combined to less variance than this depend on each other; such a direction is
left out, for it is mostly rounding (as in deeptime, which does not scale the features first)."""


@dataclass(frozen=True)
class FittedTica(Framewise):
    """Components learned from training data.

    Attributes:
        of: The features they combine.
        mean: Of these in training, shape ``(n_features,)``.
        weights: Shape ``(n_features, n_components)``. Each component grows with the feature that weighs most in
            it, feature values in standard deviations.
        lag_time: In ``time_unit``.
        time_unit: Of ``lag_time`` and ``timescales``.
        timescales: Implied by the components' autocorrelations at ``lag_time``, slowest first.
        kinetic_variance: Share of the squared autocorrelations of all components that the kept ones hold.
    """

    of: FittedFeatures
    mean: FloatArray
    weights: FloatArray
    lag_time: float
    time_unit: str
    timescales: FloatArray
    kinetic_variance: float

    @property
    def width(self) -> int:
        """There are more features than components."""
        return max(len(self.inputs), len(self.mean))

    def describe(self, chunk: Trajectory) -> FloatArray:
        """Components of each frame."""
        return np.asarray((self.of.transform(chunk).pieces[0] - self.mean) @ self.weights)


@dataclass(frozen=True, kw_only=True)
class Tica(Features):
    r"""The combinations of other features that decorrelate most slowly, uncorrelated and of unit variance.

    They solve :math:`C_\tau r_i = \lambda_i C_0 r_i` with the mean-free covariances of training, symmetrised in
    time; :math:`t_i = -\tau / \ln|\lambda_i|`. No pair of frames crosses from one piece into the next.

    Attributes:
        of: The features.
        lag_time: :math:`\tau`, in the system's time unit.
        n_components: How many of the slowest to keep.
        scaling: ``none``: unit variance. ``kinetic_map``: component i times :math:`\lambda_i`, so that distances
            are kinetic distances. ``commute_map``: times :math:`\sqrt{t_i / 2}`, so that they are commute distances.

    Source: Perez-Hernandez et al., J. Chem. Phys. 139, 015102 (2013); kinetic map: Noe & Clementi, J. Chem. Theory
    Comput. 11, 5002 (2015); commute map: Noe, Banisch & Clementi, J. Chem. Theory Comput. 12, 5620 (2016), here
    without the damping of components faster than the lag.
    """

    of: Features
    lag_time: float
    n_components: int
    scaling: Scaling = "none"

    def __post_init__(self) -> None:
        if not 0 < self.lag_time < math.inf:
            raise ValueError(f"lag_time ({self.lag_time:g}) must be above 0 and finite")
        if self.n_components < 1:
            raise ValueError(f"n_components ({self.n_components}) must be at least 1")
        if self.scaling not in get_args(Scaling):
            raise ValueError(f"scaling ({self.scaling}) must be one of {', '.join(get_args(Scaling))}")

    def header_of(self, header: Header) -> Header:
        """``IC 1``, ``IC 2`` and so on, once the lag fits the clock and there are features enough."""
        with named("of"):
            inner = self.of.header_of(header)
        lag = lag_frames(self.lag_time, header.frame_time, header.time_unit)
        if lag >= max(header.lengths):
            given = f"lag_time ({self.lag_time:g} {header.time_unit}, {lag} frames)"
            raise ValueError(f"{given} must be shorter than the longest trajectory, {max(header.lengths)} frames")
        if self.n_components > len(inner.columns):
            there = f"{len(inner.columns)}: the features are {some(inner.columns)}"
            raise ValueError(f"n_components ({self.n_components}) must be at most {there}")
        return replace(inner, columns=tuple(f"IC {number}" for number in range(1, self.n_components + 1)))

    def fit(self, train: Trajectory) -> FittedTica:
        """Learn the components.

        Raises:
            ValueError: The features vary along fewer directions than components are asked for, or a component does
                not relax at all and is to be scaled by its timescale.
        """
        columns = self.header_of(train.header).columns
        covariances, fitted = self._covariances(train)
        eigenvalues, weights = self._components(covariances)
        kept = np.abs(eigenvalues[: self.n_components])
        with np.errstate(divide="ignore"):  # an eigenvalue of one, or by rounding above it, never relaxes
            timescales = self.lag_time / np.abs(np.log(np.minimum(kept, 1.0)))
        if self.scaling == "commute_map" and not np.isfinite(timescales).all():
            raise ValueError("scaling (commute_map) needs components that relax; one is constant in every piece")
        scales = {"none": np.ones(len(kept)), "kinetic_map": kept, "commute_map": np.sqrt(timescales / 2)}
        return FittedTica(
            inputs=train.columns,
            columns=columns,
            of=fitted,
            mean=np.asarray(covariances.mean_0),
            weights=weights[:, : self.n_components] * scales[self.scaling],
            lag_time=self.lag_time,
            time_unit=train.time_unit,
            timescales=timescales,
            kinetic_variance=float((kept**2).sum() / (eigenvalues**2).sum()),
        )

    def _covariances(self, train: Trajectory) -> tuple[CovarianceModel, FittedFeatures]:
        """Instantaneous and lagged covariances, streamed, and the features they are of."""
        from deeptime.covariance import Covariance

        fitted = self.of.fit(train)
        lag = train.lag_frames(self.lag_time)
        estimator = Covariance(lag, compute_c0t=True, remove_data_mean=True, reversible=True, bessels_correction=False)
        width = len(self.of.header_of(train.header).columns)
        for now, later in lagged_chunks(fitted, train, width, lag):
            estimator.partial_fit((now, later))
        return estimator.fetch_model(), fitted

    def _components(self, covariances: CovarianceModel) -> tuple[FloatArray, FloatArray]:
        """Every eigenvalue, largest in size first, and the weights of its component.

        Correlations are solved for, not covariances, so that the features' units do not matter.
        """
        from deeptime.numeric import eig_corr

        deviation = np.sqrt(np.diag(covariances.cov_00))
        constant = is_constant(covariances.mean_0, deviation)
        if constant.all():
            raise ValueError("of: every feature is constant in training")
        scale = np.divide(1.0, deviation, out=np.zeros_like(deviation), where=~constant)
        correlations = (scale[:, None] * matrix * scale for matrix in (covariances.cov_00, covariances.cov_0t))
        eigenvalues, vectors = eig_corr(*correlations, epsilon=VARIANCE_CUTOFF, canonical_signs=True)
        if self.n_components > len(eigenvalues):
            there = f"at most {len(eigenvalues)}: the features vary along no more directions in training"
            raise ValueError(f"n_components ({self.n_components}) must be {there}")
        return np.asarray(eigenvalues), scale[:, None] * vectors
