"""Frames of a system of a few columns as numbers, and of two columns as a path over their free energy."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mdlm.report.partition_figures import draw_free_energy
from mdlm.report.run_folder import write_atomically
from mdlm.report.style import MODEL, STYLE, TRUTH
from mdlm.trajectory import FloatArray, IntArray, Trajectory

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def suffixes(columns: tuple[str, ...]) -> tuple[str, ...]:
    """Of the files that can be written of these columns.

    Example:
        >>> suffixes(("x", "y")), suffixes(("x",))
        (('.csv', '.npy', '.npz', '.png'), ('.csv', '.npy', '.npz'))
    """
    return (".csv", ".npy", ".npz", ".png") if len(columns) == 2 else (".csv", ".npy", ".npz")


def write_columns(path: Path, frames: FloatArray, times: FloatArray, states: IntArray, train: Trajectory) -> list[Path]:
    """Write frames as numbers and, where they have two columns, draw their path.

    Args:
        path: Its suffix, one of `suffixes`, is the format: ``.csv`` with a header and ``.npy`` hold the columns,
            ``.npz`` names, times and states besides; of ``.png`` there is the picture alone.
        frames: Shape ``(n_frames, n_columns)``.
        times: Of each frame, in the time unit of ``train``.
        states: Of each frame.
        train: What the free energy is taken from, of the same columns.

    Returns:
        The files.
    """
    suffix, files = path.suffix, []
    if suffix == ".csv":
        header = ",".join(train.columns)
        write_atomically(path, lambda to: np.savetxt(to, frames, "%.9g", delimiter=",", header=header, comments=""))
    elif suffix == ".npy":
        write_atomically(path, lambda to: np.save(to, frames))
    elif suffix == ".npz":
        names, unit = np.array(train.columns), np.array(train.time_unit)
        contents: dict[str, Any] = {
            "frames": frames,
            "columns": names,
            "times": times,
            "time_unit": unit,
            "states": states,
        }
        write_atomically(path, lambda to: np.savez_compressed(to, **contents))
    if suffix != ".png":
        files.append(path)
    if len(train.columns) == 2:
        files.append(path.with_suffix(".png"))
        _draw(files[-1], frames, times, train)
    return files


def _draw(path: Path, frames: FloatArray, times: FloatArray, train: Trajectory) -> None:
    import matplotlib as mpl
    from matplotlib.figure import Figure

    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(5.2, 4.2))  # without pyplot: no window system, nothing kept open
        _draw_path(figure, frames, times, train)
        write_atomically(path, figure.savefig)


def _draw_path(figure: Figure, frames: FloatArray, times: FloatArray, train: Trajectory) -> None:
    """The path in one colour, its first frame as a circle, its last as a square."""
    axes = figure.subplots()
    draw_free_energy(axes, train)
    axes.plot(frames[:, 0], frames[:, 1], color=MODEL, linewidth=0.6, marker=".", markersize=2, markeredgewidth=0)
    for frame, marker, label in ((frames[0], "o", "first"), (frames[-1], "s", "last")):
        axes.plot(*frame, marker, color="white", markeredgecolor=TRUTH, markersize=5, label=label)
    span = f"{times[0]:g} to {times[-1]:g} {train.time_unit}"
    axes.set_title(f"training frames along a sampled chain, {span}", loc="left", fontsize=9)
    axes.legend(fontsize=7)
