"""Nearest known well: the partition of a toy system whose metastable wells are given."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from mdlm.partition.base import Discretiser, Partition
from mdlm.trajectory import FloatArray, Header, IntArray, Trajectory


@dataclass(frozen=True)
class NearestWell(Discretiser):
    """The state is the nearest centre or, beyond ``radius`` of all of them, one more: between the wells.

    Attributes:
        centres: Shape ``(n_wells, n_columns)``.
        radius: Of every well, in the unit of the features; infinite where there is nothing between them.
    """

    centres: FloatArray
    radius: float

    def states(self, frames: FloatArray) -> IntArray:
        """Index of the nearest centre of each frame, of two equally near the first; the last state is between."""
        squared = self._squared(frames)
        nearest = squared.argmin(axis=1)
        nearest[squared.min(axis=1) > self.radius**2] = len(self.centres)
        return np.asarray(nearest)

    def distance(self, frames: FloatArray) -> FloatArray:
        """Distance to the nearest centre; infinite between the wells."""
        squared = self._squared(frames).min(axis=1)
        return np.where(squared > self.radius**2, math.inf, np.sqrt(squared))

    def _squared(self, frames: FloatArray) -> FloatArray:
        return np.asarray(((frames[:, None, :] - self.centres[None]) ** 2).sum(axis=2))


@dataclass(frozen=True, kw_only=True)
class Wells(Partition):
    """The nearest of the given wells, measured in the feature columns that are present.

    Attributes:
        centres: For each column, the coordinate of every well. Columns that are not features are ignored.
        radius: Frames farther than this from every centre are in no well but in a state of their own,
            "between", where training has such frames. None: the nearest well, however far.
    """

    has_centres: ClassVar[bool] = True

    centres: dict[str, tuple[float, ...]]
    radius: float | None = None

    def __post_init__(self) -> None:
        if not self.centres:
            raise ValueError(
                "centres is empty: the system names no wells; set partition.centres or take another partition"
            )
        n_wells = {column: len(values) for column, values in self.centres.items()}
        if len(set(n_wells.values())) > 1 or min(n_wells.values()) < 2:
            given = ", ".join(f"{column}: {count}" for column, count in n_wells.items())
            raise ValueError(f"centres ({given}) must give every column the same number of wells, at least 2")
        if not np.isfinite(list(self.centres.values())).all():
            raise ValueError(f"centres ({self.centres}) must be finite")
        if self.radius is not None and not 0 < self.radius < math.inf:
            raise ValueError(f"radius ({self.radius:g}) must be above 0 and finite, or null")

    def check(self, header: Header) -> None:
        """Every feature column needs centres, and no two wells may coincide in the columns present."""
        columns = header.columns
        for column in columns:
            if column not in self.centres:
                known = ", ".join(self.centres)
                raise ValueError(f"centres gives no wells for the feature {column!r}; it has {known}")
        wells = self._wells(columns)
        if len(set(wells)) < len(wells):
            raise ValueError(f"centres ({wells}) must be distinct in the features {', '.join(columns)}")

    def fit(self, train: Trajectory) -> NearestWell:
        """Take the centres of the columns present, and see whether training visits what is between them."""
        self.check(train.header)
        wells = self._wells(train.columns)
        names = tuple(
            f"well {number} ({', '.join(f'{value:g}' for value in well)})" for number, well in enumerate(wells, start=1)
        )
        if self.radius is not None:
            fitted = NearestWell(train.columns, (*names, "between"), np.array(wells), self.radius)
            if any((piece == len(wells)).any() for piece in fitted.assign(train).pieces):
                return fitted
        return NearestWell(train.columns, names, np.array(wells), math.inf)

    def _wells(self, columns: tuple[str, ...]) -> list[tuple[float, ...]]:
        return list(zip(*(self.centres[column] for column in columns), strict=True))
