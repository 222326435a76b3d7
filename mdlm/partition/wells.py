"""Nearest known well: the partition of a toy system whose metastable wells are given."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mdlm.partition.base import Discretiser, Partition
from mdlm.trajectory import FloatArray, IntArray, Trajectory


@dataclass(frozen=True)
class NearestWell(Discretiser):
    """The state is the nearest centre.

    Attributes:
        centres: Shape ``(n_states, n_columns)``.
    """

    centres: FloatArray

    def states(self, frames: FloatArray) -> IntArray:
        """Index of the nearest centre of each frame; of two equally near, the first."""
        squared = ((frames[:, None, :] - self.centres[None]) ** 2).sum(axis=2)
        return np.asarray(squared.argmin(axis=1))


@dataclass(frozen=True, kw_only=True)
class Wells(Partition):
    """The nearest of the given wells, measured in the feature columns that are present.

    Attributes:
        centres: For each column, the coordinate of every well. Columns that are not features are ignored.
    """

    centres: dict[str, tuple[float, ...]]

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

    def check(self, columns: tuple[str, ...]) -> None:
        """Every feature column needs centres, and no two wells may coincide in the columns present."""
        for column in columns:
            if column not in self.centres:
                known = ", ".join(self.centres)
                raise ValueError(f"centres gives no wells for the feature {column!r}; it has {known}")
        wells = self._wells(columns)
        if len(set(wells)) < len(wells):
            raise ValueError(f"centres ({wells}) must be distinct in the features {', '.join(columns)}")

    def fit(self, train: Trajectory) -> NearestWell:
        """Nothing to learn; take the centres of the columns present."""
        self.check(train.columns)
        wells = self._wells(train.columns)
        names = tuple(
            f"well {number} ({', '.join(f'{value:g}' for value in well)})" for number, well in enumerate(wells, start=1)
        )
        return NearestWell(train.columns, names, np.array(wells))

    def _wells(self, columns: tuple[str, ...]) -> list[tuple[float, ...]]:
        return list(zip(*(self.centres[column] for column in columns), strict=True))
