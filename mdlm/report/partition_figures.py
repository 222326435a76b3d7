"""Pictures of what partition, recrossing treatment and stride did to the data."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mdlm.report.style import DATA, MODEL, TRUTH, logarithmic
from mdlm.trajectory import FloatArray, Trajectory

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from mdlm.kinetics.diagnosis import Diagnosis
    from mdlm.partition.base import Discretiser

N_BINS = 80  # of the free-energy surface along each feature
N_PIXELS = 400  # along each feature, where the partition is drawn
N_DRAWN_FRAMES = 2_000_000  # frames the surface is estimated from


def draw_diagnosis(figure: Figure, diagnosis: Diagnosis, lag_time: float, token_time: float) -> None:
    """Four panels: timescales of the partition, populations, departures, autocorrelation."""
    from matplotlib.ticker import MaxNLocator

    (upper_left, upper_right), (lower_left, lower_right) = figure.subplots(2, 2)
    _timescales(upper_left, diagnosis, lag_time, token_time)
    order = np.argsort(diagnosis.populations)[::-1]
    order = order[diagnosis.populations[order] > 0]
    for axes, values, label in (
        (upper_right, diagnosis.populations[order], "population"),
        (lower_left, np.maximum(diagnosis.departures[order], 1), "departures (at least 1 shown)"),
    ):
        axes.plot(np.arange(1, len(order) + 1), values, color=DATA, marker="o", markersize=2.5, linewidth=0.8)
        if values.max() > 10 * values[values > 0].min():
            axes.set_yscale("log")
        else:
            axes.set_ylim(bottom=0)
        axes.set_xlabel("state, most populated first")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.set_ylabel(label)
    for curve, colour, marker, label in (
        (diagnosis.before, DATA, "o", "frames of the partition"),
        (diagnosis.after, MODEL, "s", "tokens, treated and strided"),
    ):
        lower_right.plot(curve.times, curve.values, color=colour, marker=marker, markersize=3, linewidth=1, label=label)
    lower_right.set_xscale("log")
    lower_right.set_ylim(min(0, np.nanmin(diagnosis.after.values)), 1.02)
    lower_right.set_xlabel(f"time ({diagnosis.time_unit})")
    lower_right.set_ylabel("autocorrelation of the states")
    lower_right.legend(fontsize=7)


def _timescales(axes: Axes, diagnosis: Diagnosis, lag_time: float, token_time: float) -> None:
    """Implied timescales of the partition's own Markov state model; grey: one token, and the judged lag."""
    for process, times in enumerate(diagnosis.timescales.T, start=2):
        axes.plot(diagnosis.lag_times, times, color=DATA, marker="o", markersize=3, linewidth=1, alpha=2 / process)
    axes.plot(diagnosis.lag_times, diagnosis.lag_times, color=TRUTH, linewidth=0.8)
    axes.fill_between(diagnosis.lag_times, diagnosis.lag_times, color="0.9", zorder=0)  # faster than the lag
    for time in (token_time, lag_time):
        axes.axvline(time, color="0.7", linewidth=0.8, zorder=0)
    axes.set_xscale("log")
    logarithmic(axes, diagnosis.timescales)
    axes.set_xlabel(f"lag ({diagnosis.time_unit}); grey: one token, judged lag")
    axes.set_ylabel(f"timescales of the partition ({diagnosis.time_unit})")


def draw_landscape(figure: Figure, described: Trajectory, discretiser: Discretiser) -> None:
    """The borders of a partition of two features over their free energy in kT."""
    axes = figure.subplots()
    low, high = draw_free_energy(axes, described)
    extent = (low[0], high[0], low[1], high[1])
    pixels = [np.linspace(low[axis], high[axis], N_PIXELS) for axis in (0, 1)]
    mesh = np.stack(np.meshgrid(*pixels, indexing="ij"), axis=-1).reshape(-1, 2)
    states = np.asarray(discretiser.states(mesh.astype(np.float32))).reshape(N_PIXELS, N_PIXELS)
    # A border runs where a pixel differs from its right or upper neighbour; contour lines of state numbers would not
    # do, as neighbouring states differ by more than one.
    border = np.zeros_like(states, dtype=bool)
    border[:-1] |= states[:-1] != states[1:]
    border[:, :-1] |= states[:, :-1] != states[:, 1:]
    shown = np.ma.masked_where(~border.T, np.ones_like(border.T, dtype=float))
    axes.imshow(
        shown, origin="lower", extent=extent, aspect="auto", cmap="gray_r", vmin=0, vmax=1, interpolation="none"
    )
    axes.set_title(f"{discretiser.n_states} states over the training data's free energy", loc="left", fontsize=9)


def draw_free_energy(axes: Axes, described: Trajectory) -> tuple[FloatArray, FloatArray]:
    """The free energy of two features as a coloured surface with its scale; returns its lower and upper corner."""
    low, high, surface = free_energy(described)
    extent = (low[0], high[0], low[1], high[1])
    image = axes.imshow(np.ma.masked_invalid(surface.T), origin="lower", extent=extent, aspect="auto", cmap="viridis_r")
    axes.figure.colorbar(image, ax=axes, label="free energy (kT)")
    axes.set_xlabel(described.columns[0])
    axes.set_ylabel(described.columns[1])
    return low, high


def free_energy(described: Trajectory) -> tuple[FloatArray, FloatArray, FloatArray]:
    r"""Lower and upper corner, and :math:`-\ln p` of two features on a grid, zero at its minimum, infinite if unseen.

    Example:
        >>> two = Trajectory((np.array([[0.0, 0.0], [0.0, 0.0], [1.0, 1.0]]),), 1.0, "ps", columns=("x", "y"))
        >>> float(free_energy(two)[2][-1, -1])  # half as often as the other corner: ln 2
        0.6931471805599453
    """
    every = max(1, described.n_frames // N_DRAWN_FRAMES)
    frames = np.concatenate([piece[::every] for piece in described.pieces])
    low, high = frames.min(axis=0), frames.max(axis=0)
    counts, _, _ = np.histogram2d(frames[:, 0], frames[:, 1], bins=N_BINS, range=np.stack([low, high], axis=1))
    with np.errstate(divide="ignore"):
        surface = -np.log(counts / counts.max())
    return low, high, surface + 0.0
