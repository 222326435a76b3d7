"""k-means: centres that minimise the squared distances of training frames to them."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from mdlm.partition.base import Partition
from mdlm.partition.centres import NearestCentre
from mdlm.partition.metrics import Euclidean, Scale
from mdlm.trajectory import FloatArray, Header, Trajectory


@dataclass(frozen=True, kw_only=True)
class KMeans(Partition):
    """Lloyd's k-means from a k-means++ start, on evenly spaced training frames where there are many.

    The same seed gives the same states, whatever the number of threads. Centres that no training frame is nearest
    to are dropped. A run that ``max_iterations`` ends early is as good a partition, only less tight.

    Source: Arthur & Vassilvitskii, SODA 2007 (k-means++), through deeptime.

    Attributes:
        n_states: Number of centres.
        seed: Of the start.
        max_iterations: Of Lloyd's algorithm, if it has not converged before.
        max_frames: Where training has more frames, the centres are fitted on so many of them, evenly spaced over
            all pieces.
        scale: ``"standard"`` measures each feature in its standard deviation in training, ``"none"`` in its unit.
    """

    has_centres: ClassVar[bool] = True

    n_states: int
    seed: int = 0
    max_iterations: int = 100
    max_frames: int = 100_000
    scale: Scale = "none"

    def __post_init__(self) -> None:
        if self.n_states < 2:
            raise ValueError(f"n_states ({self.n_states}) must be at least 2")
        if not 0 <= self.seed < 2**32:
            raise ValueError(f"seed ({self.seed}) must be at least 0 and below 2^32")
        if self.max_iterations < 1:
            raise ValueError(f"max_iterations ({self.max_iterations}) must be at least 1")
        if self.max_frames < self.n_states:
            raise ValueError(f"max_frames ({self.max_frames}) must be at least n_states ({self.n_states})")

    def check(self, header: Header) -> None:
        """There must be a frame for every state."""
        if sum(header.lengths) < self.n_states:
            raise ValueError(f"n_states ({self.n_states}) exceeds the number of frames, {sum(header.lengths)}")

    def fit(self, train: Trajectory) -> NearestCentre:
        """Find the centres.

        Raises:
            ValueError: There are fewer training frames than states, or all are the same.
        """
        from deeptime import clustering

        self.check(train.header)
        metric = Euclidean.scaled(train, self.scale)
        sample = metric.apply(evenly_spaced(train, self.max_frames))
        # one thread: deeptime sums over several in no fixed order
        estimator = clustering.KMeans(self.n_states, self.max_iterations, fixed_seed=self.seed, n_jobs=1)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Algorithm did not reach convergence")
            centres = estimator.fit(sample).fetch_model().cluster_centers * metric.scale
        return NearestCentre.of(train, centres, metric, f"n_states ({self.n_states})")


def evenly_spaced(train: Trajectory, max_frames: int) -> FloatArray:
    """All frames, or ``max_frames`` of them, evenly spaced over the pieces laid end to end."""
    n_kept = min(max_frames, train.n_frames)
    kept = np.arange(n_kept) * train.n_frames // n_kept
    starts = np.cumsum((0, *train.lengths[:-1]))
    parts = np.split(kept, np.searchsorted(kept, starts[1:]))
    pieces = zip(train.pieces, parts, starts, strict=True)
    return np.concatenate([piece[frames - start] for piece, frames, start in pieces])
