"""Trajectories with a clock: what a system yields and what a partition makes of it.

A `Trajectory` or `Dtraj` is a *set* of independent pieces. A piece is contiguous in time; nothing that reads
one (a stride, a count, a window, a batch) may step over the boundary between two pieces.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Generic, Literal, Self, TypeVar, get_args

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.floating]
IntArray = NDArray[np.integer]
Offsets = Literal["first", "all", "interleaved"]
"""With which frames of a piece a stride begins; see `Clocked.strided`."""
T = TypeVar("T")
S = TypeVar("S")


def lag_frames(lag_time: float, frame_time: float, time_unit: str, name: str = "lag_time") -> int:
    """Turn a physical lag time into a whole number of frames.

    Args:
        lag_time: Lag in ``time_unit``.
        frame_time: Time between neighbouring frames in ``time_unit``.
        time_unit: Only for the error text.
        name: What the lag is called there.

    Raises:
        ValueError: The lag is not a positive whole multiple of ``frame_time``.

    Example:
        >>> lag_frames(1000.0, 0.1, "ps")
        10000
    """
    frames = round(lag_time / frame_time)
    if frames < 1 or not np.isclose(frames * frame_time, lag_time, rtol=1e-9, atol=0.0):
        allowed = f"a positive multiple of the frame time, {frame_time:g} {time_unit}"
        raise ValueError(f"{name} ({lag_time:g} {time_unit}) must be {allowed}")
    return frames


@dataclass(frozen=True)
class Header:
    """What is known of a trajectory set before it exists, so that a run can be checked before it computes.

    Attributes:
        columns: Name of each value in a frame.
        lengths: Frames of each piece.
        frame_time: Time between neighbouring frames, in ``time_unit``.
        time_unit: ``"ps"``, ``"ns"`` ... or ``"reduced"`` where the system has no physical time.
    """

    columns: tuple[str, ...]
    lengths: tuple[int, ...]
    frame_time: float
    time_unit: str


@dataclass(frozen=True)
class Clocked(ABC):
    """Pieces that share one clock.

    Attributes:
        pieces: One array per independent piece, time along the first axis.
        frame_time: Time between neighbouring entries of a piece, in ``time_unit``.
        time_unit: Unit of ``frame_time``.
    """

    pieces: tuple[NDArray[np.generic], ...]
    frame_time: float
    time_unit: str

    @property
    def n_frames(self) -> int:
        """Frames in all pieces together."""
        return sum(len(piece) for piece in self.pieces)

    @property
    def lengths(self) -> tuple[int, ...]:
        """Frames of each piece."""
        return tuple(len(piece) for piece in self.pieces)

    @property
    def duration(self) -> float:
        """Total time of all pieces, in ``time_unit``."""
        return self.n_frames * self.frame_time

    def lag_frames(self, lag_time: float) -> int:
        """Number of frames in ``lag_time``; see `mdlm.trajectory.lag_frames`."""
        return lag_frames(lag_time, self.frame_time, self.time_unit)

    def strided(self, stride: int, offsets: Offsets = "first") -> Self:
        """Keep every ``stride``-th frame of each piece; the frame time grows by the same factor.

        Args:
            stride: In frames.
            offsets: ``first`` keeps frames 0, k, 2k ... of each piece; ``all`` makes of each piece k pieces, one
                for each frame to begin with (empty ones are left out), so that no frame is lost. These k overlap
                in time: they are not k times as much independent data. ``interleaved`` is a published defect, for
                training data only: frames 0, n/k, 2n/k ... 1, n/k + 1 ... of a piece of n, which makes neighbours
                of distant frames and keeps no time at all.

        Example:
            >>> states = Dtraj((np.array([0, 1, 2, 3, 4]),), 0.1, "ps", n_states=5)
            >>> thin = states.strided(2)
            >>> thin.pieces[0].tolist(), thin.frame_time
            ([0, 2, 4], 0.2)
            >>> [piece.tolist() for piece in states.strided(2, offsets="all").pieces]
            [[0, 2, 4], [1, 3]]
        """
        if stride < 1:
            raise ValueError(f"stride ({stride}) must be at least 1")
        if offsets not in get_args(Offsets):
            raise ValueError(f"offsets ({offsets}) must be one of {', '.join(get_args(Offsets))}")
        if offsets == "interleaved":
            blocks = (
                piece[: len(piece) // stride * stride].reshape(stride, -1, *piece.shape[1:]) for piece in self.pieces
            )
            pieces = tuple(np.concatenate(block.swapaxes(0, 1)) for block in blocks if block.size)
            return replace(self, pieces=pieces, frame_time=self.frame_time * stride)
        phases = (range(min(stride, len(piece)) if offsets == "all" else 1) for piece in self.pieces)
        pieces = tuple(
            piece[phase::stride] for piece, begins in zip(self.pieces, phases, strict=True) for phase in begins
        )
        return replace(self, pieces=pieces, frame_time=self.frame_time * stride)

    def both_ways(self) -> Self:
        """Every piece, and then every piece backwards in time.

        Example:
            >>> [piece.tolist() for piece in Dtraj((np.array([0, 1, 2]),), 0.1, "ps", n_states=3).both_ways().pieces]
            [[0, 1, 2], [2, 1, 0]]
        """
        return replace(self, pieces=(*self.pieces, *(np.ascontiguousarray(piece[::-1]) for piece in self.pieces)))

    def joined(self, *others: Self) -> Self:
        """All pieces of this and the others, still apart."""
        return replace(self, pieces=sum((other.pieces for other in others), self.pieces))

    def split(self, validation_fraction: float, test_fraction: float) -> Split[Self]:
        """Split into training, validation and test data; see `split_pieces`."""
        parts = split_pieces(self.pieces, validation_fraction, test_fraction)
        return parts.map(lambda pieces: replace(self, pieces=pieces))

    @abstractmethod
    def check(self) -> Self:
        """Return ``self``, or raise `ValueError` where an entry makes no sense."""


@dataclass(frozen=True)
class Trajectory(Clocked):
    """Continuous trajectories.

    Attributes:
        pieces: Each of shape ``(n_frames, n_columns)``.
        columns: Name of each column, for example ``("x", "y")``.
    """

    pieces: tuple[FloatArray, ...]
    columns: tuple[str, ...]

    @property
    def header(self) -> Header:
        """What was known of it before it existed."""
        return Header(self.columns, self.lengths, self.frame_time, self.time_unit)

    def check(self) -> Self:
        """Return ``self``; raise `ValueError` at the first value that is not finite."""
        for number, piece in enumerate(self.pieces):
            if not np.isfinite(piece).all():
                frame, column = np.argwhere(~np.isfinite(piece))[0]
                raise ValueError(
                    f"trajectory {number} holds {piece[frame, column]} at frame {frame}, "
                    f"column {self.columns[column]}; every value must be finite"
                )
        return self


@dataclass(frozen=True)
class Dtraj(Clocked):
    """Discrete trajectories: state indices with a clock.

    Attributes:
        pieces: Each of shape ``(n_frames,)``, integers in ``[0, n_states)``.
        n_states: Size of the alphabet; a model's vocabulary is this alphabet.
    """

    pieces: tuple[IntArray, ...]
    n_states: int

    def check(self) -> Self:
        """Return ``self``; raise `ValueError` at the first state outside ``[0, n_states)``."""
        for number, piece in enumerate(self.pieces):
            if len(piece) and not (piece.min() >= 0 and piece.max() < self.n_states):
                raise ValueError(
                    f"trajectory {number} holds states {piece.min()}..{piece.max()}; allowed are 0..{self.n_states - 1}"
                )
        return self


def visit_starts(piece: IntArray) -> IntArray:
    """First frame of each visit, an uninterrupted stay in one state; none where there are no frames.

    Example:
        >>> visit_starts(np.array([4, 4, 7, 4])).tolist()
        [0, 2, 3]
    """
    return np.concatenate([[0], np.flatnonzero(piece[1:] != piece[:-1]) + 1])[: len(piece)]


@dataclass(frozen=True)
class Split(Generic[T]):
    """The same kind of thing for training, for validation (when to stop) and for the final test."""

    train: T
    validation: T
    test: T

    @property
    def parts(self) -> tuple[T, T, T]:
        """The three of them, in this order."""
        return self.train, self.validation, self.test

    def map(self, function: Callable[[T], S]) -> Split[S]:
        """Apply ``function`` to each part."""
        return Split(function(self.train), function(self.validation), function(self.test))


def split_pieces(
    pieces: Iterable[NDArray[np.generic]], validation_fraction: float, test_fraction: float
) -> Split[tuple[NDArray[np.generic], ...]]:
    """Hold out whole pieces where there are enough of them, else the end of every piece.

    Whole pieces are held out when each fraction amounts to at least one piece. Otherwise each piece is cut
    into three contiguous blocks in time order (training, validation, test), so that no held-out frame lies
    between training frames.

    Args:
        pieces: Arrays with time along the first axis.
        validation_fraction: Share of pieces (or of each piece) for validation.
        test_fraction: Share for the final test.

    Raises:
        ValueError: A fraction is outside (0, 1), both leave nothing to train on, or a part would be empty.

    Example:
        >>> split_pieces([np.arange(10)], 0.1, 0.2).test[0].tolist()
        [8, 9]
    """
    pieces = tuple(pieces)
    check_fractions(validation_fraction, test_fraction)
    held_out = [round(fraction * len(pieces)) for fraction in (validation_fraction, test_fraction)]
    if min(held_out) >= 1 and sum(held_out) < len(pieces):
        first = len(pieces) - sum(held_out)
        return Split(pieces[:first], pieces[first : first + held_out[0]], pieces[first + held_out[0] :])
    blocks: list[list[NDArray[np.generic]]] = [[], [], []]
    for piece in pieces:
        test_start = len(piece) - round(test_fraction * len(piece))
        validation_start = test_start - round(validation_fraction * len(piece))
        if not 0 < validation_start < test_start < len(piece):
            raise ValueError(
                f"a trajectory of {len(piece)} frames is too short to hold out "
                f"validation_fraction={validation_fraction:g} and test_fraction={test_fraction:g} of it"
            )
        for block, part in zip(blocks, np.split(piece, [validation_start, test_start]), strict=True):
            block.append(part)
    return Split(*(tuple(block) for block in blocks))


def check_fractions(validation_fraction: float, test_fraction: float) -> None:
    """Raise `ValueError` unless both fractions are in (0, 1) and leave something to train on."""
    for name, value in (("validation_fraction", validation_fraction), ("test_fraction", test_fraction)):
        if not 0 < value < 1:
            raise ValueError(f"{name} ({value:g}) must lie between 0 and 1")
    if validation_fraction + test_fraction >= 1:
        together = f"validation_fraction + test_fraction ({validation_fraction + test_fraction:g})"
        raise ValueError(f"{together} must leave something to train on")
