"""States that the trajectories already hold."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mdlm.partition.base import Discretiser, Partition, chunks
from mdlm.trajectory import FloatArray, Header, IntArray, Trajectory


@dataclass(frozen=True)
class GivenStates(Discretiser):
    """The state is the value of the one column."""

    def states(self, frames: FloatArray) -> IntArray:
        """The values as integers.

        Raises:
            ValueError: A value is no state index.
        """
        values = frames[:, 0]
        wrong = (values != np.floor(values)) | (values < 0) | (values >= self.n_states)
        if wrong.any():
            raise ValueError(
                f"the column {self.columns[0]!r} holds {values[wrong.argmax()]:g}; "
                f"state indices are whole numbers, 0 to {self.n_states - 1}"
            )
        return values.astype(np.int32)


@dataclass(frozen=True, kw_only=True)
class Labels(Partition):
    """The one feature column holds state indices: 0, 1, 2 ...

    Attributes:
        n_states: Size of the alphabet; None means one more than the largest index in training.
    """

    n_states: int | None = None

    def __post_init__(self) -> None:
        if self.n_states is not None and self.n_states < 2:
            raise ValueError(f"n_states ({self.n_states}) must be at least 2, or null to read it from training")

    def check(self, header: Header) -> None:
        """There must be one column."""
        if len(header.columns) != 1:
            columns = ", ".join(header.columns)
            raise ValueError(f"partition labels needs one feature that holds state indices, not {columns}")

    def fit(self, train: Trajectory) -> GivenStates:
        """Find the size of the alphabet and check every training label.

        Raises:
            ValueError: A label is no state index, or training visits only one state.
        """
        self.check(train.header)
        largest = max(float(piece.max()) for piece in train.pieces)
        n_states = self.n_states or int(largest) + 1
        if n_states < 2:
            raise ValueError(
                "n_states is 1: training holds only one state, 0; set partition.n_states if there are more"
            )
        fitted = GivenStates(train.columns, tuple(f"state {number}" for number in range(n_states)))
        for piece in train.pieces:
            for chunk in chunks(len(piece)):
                fitted.states(piece[chunk])
        return fitted
