"""k-centers: training frames chosen so that no training frame is far from all of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from mdlm.partition.base import Partition
from mdlm.partition.centres import NearestCentre
from mdlm.partition.metrics import Euclidean, Metric, MinimalRMSD, Scale, check_atoms
from mdlm.trajectory import FloatArray, Header, Trajectory


@dataclass(frozen=True, kw_only=True)
class KCenters(Partition):
    """Farthest-point clustering: each further centre is the training frame farthest from all centres so far.

    The largest distance of a training frame to its centre is at most twice the smallest possible one; it is the
    fitted partition's ``radius``.

    Source: Gonzalez, Theor. Comput. Sci. 38, 293 (1985).

    Attributes:
        n_states: Number of centres.
        metric: ``"euclidean"``, or ``"rmsd"``: minimal RMSD after superposition, for which the features must be
            coordinates in nm, ``<atom>.x``, ``<atom>.y``, ``<atom>.z`` of one atom after the other.
        seed: Of the choice of the first centre; None: the first training frame.
        scale: ``"standard"`` measures each feature in its standard deviation in training, ``"none"`` in its unit.
    """

    has_centres: ClassVar[bool] = True

    n_states: int
    metric: Literal["euclidean", "rmsd"] = "euclidean"
    seed: int | None = None
    scale: Scale = "none"

    def __post_init__(self) -> None:
        if self.n_states < 2:
            raise ValueError(f"n_states ({self.n_states}) must be at least 2")
        if self.seed is not None and self.seed < 0:
            raise ValueError(f"seed ({self.seed}) must be at least 0, or null to begin with the first training frame")
        if self.metric == "rmsd" and self.scale != "none":
            raise ValueError(f"scale ({self.scale}) must be none with metric rmsd: coordinates are lengths already")

    def check(self, header: Header) -> None:
        """There must be a frame for every state and, for an RMSD, the coordinates of atoms."""
        if sum(header.lengths) < self.n_states:
            raise ValueError(f"n_states ({self.n_states}) exceeds the number of frames, {sum(header.lengths)}")
        if self.metric == "rmsd":
            check_atoms(header.columns)

    def fit(self, train: Trajectory) -> NearestCentre:
        """Choose the centres.

        Raises:
            ValueError: Training has fewer distinct frames than there are states.
        """
        self.check(train.header)
        metric = MinimalRMSD() if self.metric == "rmsd" else Euclidean.scaled(train, self.scale)
        first = 0 if self.seed is None else int(np.random.default_rng(self.seed).integers(train.n_frames))
        centres = farthest_points(train, metric, self.n_states, first)
        if len(centres) < self.n_states:
            raise ValueError(f"n_states ({self.n_states}) exceeds the {len(centres)} distinct frames of training")
        return NearestCentre.of(train, centres, metric, f"n_states ({self.n_states})")


def farthest_points(train: Trajectory, metric: Metric, n_centres: int, first: int) -> FloatArray:
    """Begin with the frame numbered ``first`` over all pieces; go on with the one farthest from all chosen.

    Returns:
        Shape ``(n_centres, n_columns)``; fewer where every frame has become a centre or is equal to one.
    """
    starts = np.cumsum((0, *train.lengths))
    remoteness = np.full(train.n_frames, np.inf)  # distance of each frame to the nearest centre
    centres: list[FloatArray] = []
    frame = first
    while len(centres) < n_centres and remoteness[frame] > 0:
        number = np.searchsorted(starts, frame, side="right") - 1
        centres.append(train.pieces[number][frame - starts[number]].astype(np.float64))
        for piece, begin, end in zip(train.pieces, starts, starts[1:], strict=False):
            _, distance = metric.nearest(piece, centres[-1][None])
            np.minimum(remoteness[begin:end], distance, out=remoteness[begin:end])
        remoteness[frame] = 0.0  # which rounding may have missed
        frame = int(remoteness.argmax())
    return np.array(centres)
