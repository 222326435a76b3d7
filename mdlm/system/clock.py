"""The frame time of trajectory files, from the times their frames bear."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from mdlm.system.readers import Source
from mdlm.trajectory import FloatArray

MISSING = 0.1  # of a frame time: the deviation from which on a time is another frame's


def frame_time_of(sources: Iterable[Source]) -> float:
    """The time between frames that the stamps of all files agree on, in ps.

    Files keep times in single precision: after a microsecond a stamp is known to 0.06 ps only. The frame time is
    therefore taken over the whole length of the file that knows it best, as the shortest decimal number within what
    its stamps can tell.

    Raises:
        ValueError: A file has no times, or times that do not rise evenly, or those of another frame time.
    """
    measured = [(*_measured(source), source) for source in sources]
    exact, uncertainty, best = min(measured, key=lambda one: one[1] / one[0])
    if uncertainty > 1e-3 * exact:
        raise ValueError(
            f"path: the times in {best.path} are too coarse to tell the frame time, {exact:g} +- {uncertainty:.1g} ps; "
            "give frame_time="
        )
    frame_time = _shortest(exact, uncertainty)
    for other, margin, source in measured:
        if abs(other - frame_time) > margin + 1e-4 * frame_time:
            raise ValueError(
                f"path: {source.path} has a frame every {other:g} ps, {best.path} every {frame_time:g} ps; "
                "all trajectories must share one frame time"
            )
    return frame_time


def check_times(source: Source, begin: int, times: FloatArray, frame_time: float) -> None:
    """Raise `ValueError` at the first frame that is not where an even clock has it.

    Args:
        source: The file.
        begin: Number of the first of these frames.
        times: Of the frames, ps.
        frame_time: In ps.
    """
    assert source.stamps is not None
    first = source.stamps[0]
    expected = first + frame_time * np.arange(begin, begin + len(times))
    late = np.abs(times - expected) > MISSING * frame_time + _precision(source.stamps[-1], first)
    if late.any():
        frame = int(late.argmax())
        raise ValueError(
            f"path: {source.path} bears {times[frame]:g} ps at frame {begin + frame} instead of {expected[frame]:g} ps "
            f"({frame_time:g} ps a frame): frames are missing or repeated; split the file there, or give frame_time="
        )


def _measured(source: Source) -> tuple[float, float]:
    """Frame time of one file and what its stamps leave open, ps."""
    if source.stamps is None:
        raise ValueError(f"frame_time is missing: {source.path} holds no times; give frame_time=TIME between frames")
    first, second, last = source.stamps
    steps = source.n_frames - 1
    step = second - first
    if not step > 0:
        raise ValueError(f"path: the times in {source.path} do not rise ({first:g}, {second:g} ps); give frame_time=")
    if abs(last - first - steps * step) > MISSING * step + (steps + 1) * _precision(first, second):
        raise ValueError(
            f"path: {source.path} has {source.n_frames} frames, {step:g} ps apart at first, but ends at {last:g} ps "
            f"instead of {first + steps * step:g} ps: frames are missing or repeated; split the file there, or give "
            "frame_time="
        )
    return (last - first) / steps, _precision(first, last) / steps


def _precision(*times: float) -> float:
    """How far two stamps in single precision may be off together."""
    return 2 * float(np.spacing(np.float32(max(map(abs, times)))))


def _shortest(value: float, uncertainty: float) -> float:
    """The decimal number of fewest digits within ``uncertainty`` of a value.

    Example:
        >>> _shortest(0.19999998, 1e-6)
        0.2
    """
    candidates = (float(f"{value:.{digits}g}") for digits in range(1, 18))
    return next(number for number in candidates if abs(number - value) <= uncertainty)
