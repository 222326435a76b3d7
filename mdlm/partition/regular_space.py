"""Regular space: training frames that keep a minimum distance become centres."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from mdlm.partition.base import Partition
from mdlm.partition.centres import NearestCentre
from mdlm.partition.metrics import Euclidean, Scale, blocks
from mdlm.trajectory import FloatArray, Header, Trajectory


@dataclass(frozen=True, kw_only=True)
class RegularSpace(Partition):
    """A training frame, taken in order, becomes a centre where it is farther than a distance from all of them.

    Source: Prinz et al., J. Chem. Phys. 134, 174105 (2011), through deeptime.

    Attributes:
        min_distance: Between any two centres, in the unit of the features, or in standard deviations with
            ``scale="standard"``. No training frame is farther than this from its centre.
        max_states: More centres than this are an error.
        scale: ``"standard"`` measures each feature in its standard deviation in training, ``"none"`` in its unit.
    """

    has_centres: ClassVar[bool] = True

    min_distance: float
    max_states: int = 1000
    scale: Scale = "none"

    def __post_init__(self) -> None:
        if not 0 < self.min_distance < math.inf:
            raise ValueError(f"min_distance ({self.min_distance:g}) must be above 0 and finite")
        if self.max_states < 2:
            raise ValueError(f"max_states ({self.max_states}) must be at least 2")

    def check(self, header: Header) -> None:
        """Any features will do."""

    def fit(self, train: Trajectory) -> NearestCentre:
        """Collect the centres.

        Raises:
            ValueError: There are more than ``max_states`` of them, or only one.
        """
        metric = Euclidean.scaled(train, self.scale)
        centres = self._collect(train, metric) * metric.scale
        return NearestCentre.of(train, centres, metric, f"min_distance ({self.min_distance:g})")

    def _collect(self, train: Trajectory, metric: Euclidean) -> FloatArray:
        """Centres in scaled coordinates, in the order in which they were met."""
        from deeptime import clustering

        estimator = clustering.RegularSpace(self.min_distance, self.max_states, n_jobs=1)
        n_seen = 0
        for piece in train.pieces:
            for block in blocks(len(piece)):
                scaled = metric.apply(piece[block])
                n_seen += len(scaled)
                with warnings.catch_warnings():
                    warnings.filterwarnings("error", message="Maximum number of cluster centers reached")
                    try:
                        estimator.partial_fit(scaled)
                    except UserWarning:
                        raise ValueError(
                            f"max_states ({self.max_states}) is exceeded within the first {n_seen} of "
                            f"{train.n_frames} training frames; raise it, or min_distance ({self.min_distance:g})"
                        ) from None
        return np.asarray(estimator.fetch_model().cluster_centers)
