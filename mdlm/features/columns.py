"""Some of the system's columns, by name."""

from __future__ import annotations

from dataclasses import dataclass, replace

from mdlm.features.base import Features, SelectedColumns, check_available
from mdlm.trajectory import Header, Trajectory


@dataclass(frozen=True, kw_only=True)
class Columns(Features):
    """Named columns of the system, in the order given.

    Attributes:
        columns: Which.
    """

    columns: tuple[str, ...]

    def __post_init__(self) -> None:
        if not self.columns:
            raise ValueError("columns is empty; name at least one column of the system")
        if len(set(self.columns)) < len(self.columns):
            raise ValueError(f"columns ({', '.join(self.columns)}) must name each column once")

    def header_of(self, header: Header) -> Header:
        """The named columns, once each of them is known to exist."""
        check_available(self.columns, header.columns)
        return replace(header, columns=self.columns)

    def fit(self, train: Trajectory) -> SelectedColumns:
        """Nothing to learn."""
        check_available(self.columns, train.columns)
        return SelectedColumns(self.columns)
