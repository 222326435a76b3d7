"""A real frame for each state of a sequence, at random or so that one frame follows from the other."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from mdlm.features.framewise import frames_per_chunk
from mdlm.partition.metrics import Metric
from mdlm.progress import Progress, silent
from mdlm.trajectory import Dtraj, FloatArray, IntArray, Trajectory


@dataclass(frozen=True)
class FramesOfStates:
    """Which frames are in which state. Frames are numbered through all pieces, one piece after the other.

    Attributes:
        numbers: Every frame, those of the first state first, in ascending order within a state.
        starts: Where those of each state begin in ``numbers``, and its length; shape ``(n_states + 1,)``.
    """

    numbers: IntArray
    starts: IntArray

    @classmethod
    def of(cls, states: Dtraj) -> FramesOfStates:
        """Sort the frames by state."""
        joined = np.concatenate(states.pieces)
        populations = np.bincount(joined, minlength=states.n_states)
        return cls(np.argsort(joined, kind="stable"), np.concatenate([[0], np.cumsum(populations)]))

    def of_state(self, state: int) -> IntArray:
        """The frames in one state, ascending.

        Example:
            >>> FramesOfStates.of(Dtraj((np.array([1, 0]), np.array([1])), 1.0, "ps", n_states=2)).of_state(1).tolist()
            [0, 2]
        """
        return self.numbers[self.starts[state] : self.starts[state + 1]]

    def check(self, path: IntArray) -> None:
        """Raise `ValueError` where a path visits a state without frames."""
        visited, first = np.unique(path, return_index=True)
        empty = np.diff(self.starts)[visited] == 0
        if empty.any():
            where = first[empty].min()
            raise ValueError(
                f"no training frame is in state {path[where]}, which the chain visits at number {where} of the frames "
                "asked for; choose others"
            )


def draw_random(path: IntArray, frames: FramesOfStates, rng: np.random.Generator) -> IntArray:
    """For each entry of a path a frame of its state, each as likely as the other and whatever was drawn before.

    Args:
        path: States, shape ``(n_tokens,)``.
        frames: Of each state.
        rng: Draws them.

    Returns:
        Numbers of frames, shape ``(n_tokens,)``.

    Raises:
        ValueError: A state of the path has no frames.
    """
    frames.check(path)
    first, last = frames.starts[path], frames.starts[path + 1]
    return frames.numbers[rng.integers(first, last)]


def draw_nearest(
    path: IntArray,
    frames: FramesOfStates,
    at: Callable[[IntArray], FloatArray],
    metric: Metric,
    rng: np.random.Generator,
    progress: Progress = silent,
) -> IntArray:
    """For each entry of a path the frame of its state that is nearest to the frame drawn before.

    A frame that was drawn is not drawn again while its state has others: the frame before is always the nearest to
    itself, and the path would stand still wherever it stays in a state. The first frame is drawn at random.

    Args:
        path: States, shape ``(n_tokens,)``.
        frames: Of each state.
        at: Gives the frames of some numbers, shape ``(n_numbers, n_columns)``, as the distance sees them.
        metric: The distance.
        rng: Draws the first frame.
        progress: Told after every frame.

    Returns:
        Numbers of frames, shape ``(n_tokens,)``.

    Raises:
        ValueError: A state of the path has no frames.
    """
    frames.check(path)
    drawn = draw_random(path[:1], frames, rng)
    is_drawn = np.zeros(len(frames.numbers), bool)
    is_drawn[drawn] = True
    numbers = [int(drawn[0])]
    for done, state in enumerate(path[1:], start=2):
        candidates = frames.of_state(state)
        if is_drawn[candidates].all():
            is_drawn[candidates] = False
        nearest = _nearest(numbers[-1], candidates[~is_drawn[candidates]], at, metric)
        is_drawn[nearest] = True
        numbers.append(nearest)
        progress(done, len(path))
    return np.array(numbers)


def frames_at(trajectory: Trajectory, numbers: IntArray) -> FloatArray:
    """Frames by their numbers, in any order, shape ``(n_numbers, n_columns)``; nothing else is copied."""
    pieces, within = places(trajectory.lengths, numbers)
    found = np.empty((len(numbers), len(trajectory.columns)), trajectory.pieces[0].dtype)
    for piece in np.unique(pieces):
        found[pieces == piece] = trajectory.pieces[piece][within[pieces == piece]]
    return found


def places(lengths: tuple[int, ...], numbers: IntArray) -> tuple[IntArray, IntArray]:
    """Piece of each frame, and its number within that piece.

    Example:
        >>> pieces, within = places((3, 0, 2), np.array([0, 2, 3, 4]))
        >>> pieces.tolist(), within.tolist()
        ([0, 0, 2, 2], [0, 2, 0, 1])
    """
    ends = np.cumsum(lengths)
    pieces = np.searchsorted(ends, numbers, side="right")
    return pieces, numbers - (ends - np.array(lengths))[pieces]


def _nearest(number: int, candidates: IntArray, at: Callable[[IntArray], FloatArray], metric: Metric) -> int:
    """Of equally near candidates the first."""
    centre = at(np.array([number]))
    nearest, smallest = int(candidates[0]), np.inf
    for chunk in _chunks(candidates, frames_per_chunk(centre.shape[1])):
        distances = metric.nearest(at(chunk), centre)[1]
        closest = distances.argmin()
        if distances[closest] < smallest:
            nearest, smallest = int(chunk[closest]), distances[closest]
    return nearest


def _chunks(numbers: IntArray, size: int) -> Iterator[IntArray]:
    return (numbers[first : first + size] for first in range(0, len(numbers), size))
