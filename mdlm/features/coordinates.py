"""The system's own columns, all of them."""

from __future__ import annotations

from dataclasses import dataclass

from mdlm.features.base import Features, SelectedColumns
from mdlm.trajectory import Header, Trajectory


@dataclass(frozen=True)
class Coordinates(Features):
    """Every column of the system, unchanged."""

    def header_of(self, header: Header) -> Header:
        """The same header."""
        return header

    def fit(self, train: Trajectory) -> SelectedColumns:
        """Nothing to learn."""
        return SelectedColumns(train.columns)
