"""The system's own columns, all of them."""

from __future__ import annotations

from dataclasses import dataclass

from mdlm.features.base import Features, SelectedColumns
from mdlm.trajectory import Trajectory


@dataclass(frozen=True)
class Coordinates(Features):
    """Every column of the system, unchanged."""

    def columns_of(self, columns: tuple[str, ...]) -> tuple[str, ...]:
        """The same columns."""
        return columns

    def fit(self, train: Trajectory) -> SelectedColumns:
        """Nothing to learn."""
        return SelectedColumns(train.columns)
