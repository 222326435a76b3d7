"""Pictures of the details: dwell times, autocorrelations, Chapman-Kolmogorov test, drift."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from mdlm.report.style import DATA, MODEL
from mdlm.trajectory import FloatArray, IntArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from mdlm.kinetics.details import Details
    from mdlm.kinetics.dwell import DwellTimes

N_PANELS = 6  # macrostates with a panel of their own, the most populated ones
N_POINTS = 300  # of a survival curve
FAINTEST = 1e-3  # a survival below one in a thousand is a handful of visits


def draw_dwell(figure: Figure, details: Details, names: Sequence[str], labels: tuple[str, str]) -> None:
    """Survival of the stay in each macrostate, on a logarithmic axis: a memoryless stay is a straight line."""
    shown = most_populated(details)
    for axes, state in zip(_panels(figure, len(shown)), shown, strict=True):
        both = (
            (details.data.dwells[state], DATA, "-", labels[0]),
            (details.sampled.dwells[state], MODEL, "--", labels[1]),
        )
        for dwell, colour, line, label in both:
            times, survival = thinned(dwell)
            axes.step(times, survival, where="post", color=colour, linestyle=line, linewidth=1.1, label=label)
        axes.set_yscale("log")
        axes.set_ylim(FAINTEST, 1.2)
        axes.set_title(names[state], loc="left", fontsize=8)
        axes.set_xlabel(f"dwell time ({details.time_unit})")
        axes.set_ylabel("share that lasts longer")
    figure.axes[0].legend(fontsize=7)


def thinned(dwell: DwellTimes) -> tuple[FloatArray, FloatArray]:
    """A survival curve from one at time zero, down to one in a thousand, with a bounded number of points.

    The points that are kept are the curve's own, evenly spread over its length.
    """
    times = np.concatenate([[0.0], dwell.lengths])
    survival = np.concatenate([[1.0], dwell.survival])
    n_kept = max(2, int(np.count_nonzero(survival >= FAINTEST)) + 1)
    times, survival = times[:n_kept], survival[:n_kept]
    kept = np.unique(np.linspace(0, len(times) - 1, min(N_POINTS, len(times))).round().astype(np.intp))
    return times[kept], np.maximum(survival[kept], FAINTEST / 10)


def draw_autocorrelation(figure: Figure, details: Details, names: Sequence[str], labels: tuple[str, str]) -> None:
    """Autocorrelation of each macrostate's indicator against time."""
    shown = most_populated(details)
    for axes, state in zip(_panels(figure, len(shown)), shown, strict=True):
        for part, colour, line, label in (
            (details.data, DATA, "o-", labels[0]),
            (details.sampled, MODEL, "s--", labels[1]),
        ):
            axes.plot(part.acf_times, part.acf[state], line, color=colour, markersize=2.5, linewidth=1, label=label)
        axes.axhline(0, color="0.7", linewidth=0.8, zorder=0)
        axes.set_xscale("log")
        axes.set_title(names[state], loc="left", fontsize=8)
        axes.set_xlabel(f"time ({details.time_unit})")
        axes.set_ylabel("autocorrelation")
    figure.axes[0].legend(fontsize=7)


def draw_chapman_kolmogorov(figure: Figure, details: Details, names: Sequence[str], labels: tuple[str, str]) -> None:
    """Probability to be in the same macrostate again: estimated at each time, and predicted from the judged lag."""
    tests = (
        (details.data.chapman_kolmogorov, DATA, "o", labels[0]),
        (details.sampled.chapman_kolmogorov, MODEL, "s", labels[1]),
    )
    shown = most_populated(details)
    for axes, state in zip(_panels(figure, len(shown)), shown, strict=True):
        for test, colour, marker, label in tests:
            if test is None or state not in test.active:
                continue
            row = test.active.tolist().index(state)
            own = (slice(None), row, row)
            axes.plot(test.times, test.predicted[own], color=colour, linewidth=1, label=f"{label}, predicted")
            axes.errorbar(
                test.times,
                test.estimated[own],
                test.standard_error[own],
                fmt=marker,
                color=colour,
                markersize=3,
                linewidth=1,
                label=f"{label}, estimated",
            )
        axes.set_ylim(-0.02, 1.05)
        axes.set_title(names[state], loc="left", fontsize=8)
        axes.set_xlabel(f"time ({details.time_unit})")
        axes.set_ylabel("probability to be there again")
    if figure.axes[0].get_legend_handles_labels()[0]:
        figure.axes[0].legend(fontsize=6)


def draw_drift(figure: Figure, details: Details, names: Sequence[str], labels: tuple[str, str]) -> None:
    """Populations along the sampled chains, with the data's beside them, and t2 of each part."""
    drift = details.sampled.drift
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(2, 1))
    middles = (drift.edges[1:] + drift.edges[:-1]) / 2
    styles = zip(most_populated(details), ("o", "s", "^", "D", "v", "P"), strict=False)
    for (state, marker), strength in zip(styles, np.linspace(1, 0.4, N_PANELS), strict=False):
        values, errors = drift.populations[:, state], drift.standard_error[:, state]
        upper.errorbar(
            middles,
            values,
            errors,
            color=MODEL,
            alpha=strength,
            marker=marker,
            markersize=3,
            linewidth=1,
            label=f"{labels[1]}, {names[state]}",
        )
        upper.axhline(details.data.populations[state], color=DATA, alpha=strength, linewidth=1, linestyle="--")
    upper.set_ylabel(f"population (dashed: {labels[0]})")
    upper.legend(fontsize=6, loc="lower left", bbox_to_anchor=(0, 1), ncols=2)
    lower.plot(middles, drift.t2, color=MODEL, marker="s", markersize=3, linewidth=1)
    lower.fill_between(middles, drift.t2_low, drift.t2_high, color=MODEL, alpha=0.2, linewidth=0)
    lower.set_ylabel(f"t2 ({details.time_unit})")
    lower.set_xlabel(f"time since the start of a chain ({details.time_unit})")


def most_populated(details: Details) -> IntArray:
    """The macrostates of the data that are shown, most populated first."""
    order = np.argsort(-details.data.populations, kind="stable")[:N_PANELS]
    return np.asarray(order[details.data.populations[order] > 0])


def grid_of(n_panels: int) -> tuple[int, int]:
    """Rows and columns of so many panels.

    Example:
        >>> [grid_of(n) for n in (1, 2, 3, 4, 5, 6)]
        [(1, 1), (1, 2), (1, 3), (2, 2), (2, 3), (2, 3)]
    """
    n_columns = 2 if n_panels in (2, 4) else min(3, n_panels)
    return -(-n_panels // n_columns), n_columns


def _panels(figure: Figure, n_panels: int) -> list[Axes]:
    grid = figure.subplots(*grid_of(n_panels), squeeze=False, sharey=True)
    for unused in grid.flat[n_panels:]:
        unused.remove()
    return list(grid.flat[:n_panels])
