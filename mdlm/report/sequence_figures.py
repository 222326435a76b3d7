"""Pictures of the sequences themselves: traces, and the surfaces they cover."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from mdlm.report.partition_figures import N_BINS
from mdlm.report.style import DATA, MODEL, name_states
from mdlm.trajectory import Dtraj, FloatArray, IntArray, Trajectory, visit_starts

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

N_SEGMENTS = 3000  # visits of a trace that are drawn; more would be ink, and a large file


def draw_traces(figure: Figure, data: Dtraj, sampled: Dtraj, names: Sequence[str], labels: tuple[str, str]) -> None:
    """The same span of time of the data and of one sampled chain, at the same frame time."""
    piece, chain = max(data.pieces, key=len), max(sampled.pieces, key=len)
    n_frames = min(len(piece), len(chain))
    for states in (piece[:n_frames], chain[:n_frames]):
        starts = visit_starts(states)
        n_frames = min(n_frames, int(starts[N_SEGMENTS])) if len(starts) > N_SEGMENTS else n_frames
    upper, lower = figure.subplots(2, 1, sharex=True, sharey=True)
    for axes, states, title, colour in (
        (upper, piece, labels[0], DATA),
        (lower, chain, f"{labels[1]} (one chain)", MODEL),
    ):
        _trace(axes, states[:n_frames], data.frame_time, colour)
        axes.set_title(title, loc="left", color=colour, fontsize=9)
        name_states(axes.yaxis, names)
        axes.set_ylabel("macrostate")
    lower.set_xlabel(f"time ({data.time_unit})")


def _trace(axes: Axes, states: IntArray, frame_time: float, colour: str) -> None:
    """Only the changes of state are drawn: a million frames must not make a million segments."""
    starts = visit_starts(states)
    edges = np.append(starts, len(states)) * frame_time
    axes.stairs(states[starts], edges, baseline=None, color=colour, linewidth=0.6)


def draw_surfaces(
    figure: Figure, described: Trajectory, states: Dtraj, sampled: Dtraj, labels: tuple[str, str]
) -> None:
    """Free energy along two features: of training, and of the sample.

    A sampled state has no features of its own; it is given the training frames of that state, each with the weight by
    which the sample visits the state more often than training does.

    Args:
        figure: Two panels side by side are drawn on it.
        described: The features of training.
        states: The state of each of these frames, treated.
        sampled: Sampled states.
        labels: What data and sample are called.
    """
    visits = [np.bincount(np.concatenate(dtraj.pieces), minlength=states.n_states) for dtraj in (states, sampled)]
    data, model = (counts / counts.sum() for counts in visits)
    weights = np.divide(model, data, out=np.zeros(len(data)), where=data > 0)
    frames, of_frame = np.concatenate(described.pieces), np.concatenate(states.pieces)
    low, high = frames.min(axis=0), frames.max(axis=0)
    surfaces = [_surface(frames, weight, low, high) for weight in (np.ones(len(frames)), weights[of_frame])]
    deepest = max(surface[np.isfinite(surface)].max() for surface in surfaces)
    panels = figure.subplots(1, 2, sharex=True, sharey=True)
    for axes, surface, label in zip(panels, surfaces, labels, strict=True):
        extent = (low[0], high[0], low[1], high[1])
        shown = np.ma.masked_invalid(surface.T)
        image = axes.imshow(shown, origin="lower", extent=extent, aspect="auto", cmap="viridis_r", vmin=0, vmax=deepest)
        axes.set_title(label, loc="left", fontsize=9)
        axes.set_xlabel(described.columns[0])
    panels[0].set_ylabel(described.columns[1])
    figure.colorbar(image, ax=list(panels), label="free energy (kT)")


def _surface(frames: FloatArray, weights: FloatArray, low: FloatArray, high: FloatArray) -> FloatArray:
    r""":math:`-\ln p` on a grid, zero at its minimum, infinite where nothing is."""
    limits = np.stack([low, high], axis=1)
    counts, _, _ = np.histogram2d(frames[:, 0], frames[:, 1], bins=N_BINS, range=limits, weights=weights)
    with np.errstate(divide="ignore"):
        return np.asarray(-np.log(counts / counts.max()) + 0.0)
