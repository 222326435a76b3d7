"""Features of equal weight: zero mean and unit variance in training."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from mdlm.errors import named
from mdlm.features.base import Features, FittedFeatures
from mdlm.features.framewise import Framewise, described_chunks, is_constant
from mdlm.trajectory import FloatArray, Header, Trajectory


@dataclass(frozen=True)
class FittedStandard(Framewise):
    """Features with their mean and deviation in training.

    Attributes:
        of: The features.
        mean: Shape ``(n_columns,)``.
        deviation: Square root of the variance, shape ``(n_columns,)``.
    """

    of: FittedFeatures
    mean: FloatArray
    deviation: FloatArray

    def describe(self, chunk: Trajectory) -> FloatArray:
        """Deviations from the mean, in standard deviations."""
        return np.asarray((self.of.transform(chunk).pieces[0] - self.mean) / self.deviation)


@dataclass(frozen=True, kw_only=True)
class Standard(Features):
    """Other features, shifted and scaled so that a distance weighs each of them alike.

    Attributes:
        of: The features.
    """

    of: Features

    def header_of(self, header: Header) -> Header:
        """The same columns under new names, ``standard x``, for their unit is another."""
        with named("of"):
            inner = self.of.header_of(header)
        return replace(inner, columns=tuple(f"standard {name}" for name in inner.columns))

    def fit(self, train: Trajectory) -> FittedStandard:
        """Learn mean and variance.

        Raises:
            ValueError: A column does not vary in training.
        """
        columns = self.header_of(train.header).columns
        fitted = self.of.fit(train)
        mean, deviation = _moments(fitted, train, len(columns))
        constant = is_constant(mean, deviation)
        if constant.any():
            name = self.of.header_of(train.header).columns[int(constant.argmax())]
            raise ValueError(f"of: column {name!r} is constant in training; leave it out")
        return FittedStandard(train.columns, columns, fitted, mean, deviation)


def _moments(fitted: FittedFeatures, train: Trajectory, width: int) -> tuple[FloatArray, FloatArray]:
    """Mean and standard deviation over all pieces, chunk by chunk.

    Source: Chan, Golub & LeVeque, Updating formulae and a pairwise algorithm for computing sample variances (1979).
    """
    n_frames, mean, squares = 0, np.zeros(width), np.zeros(width)
    for chunk in described_chunks(fitted, train, width):
        of_chunk = chunk.mean(axis=0)
        shift = of_chunk - mean
        total = n_frames + len(chunk)
        squares += ((chunk - of_chunk) ** 2).sum(axis=0) + shift**2 * n_frames * len(chunk) / total
        mean += shift * len(chunk) / total
        n_frames = total
    return mean, np.sqrt(squares / n_frames)
