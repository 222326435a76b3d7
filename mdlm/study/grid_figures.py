"""Figures that show the runs themselves: the grid of all cells, error against cost, and the scatter of seeds."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from mdlm.report.style import DATA, MODEL
from mdlm.study.axes import amount, factor_axis
from mdlm.study.levels import Factor, factor
from mdlm.study.metrics import COSTS
from mdlm.trajectory import FloatArray, IntArray

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from mdlm.study.analysis import Analysis

NAMED_UP_TO = 40
Cells = dict[tuple[str, ...], list[float]]


def draw_grid(figure: Figure, analysis: Analysis) -> None:
    """Mean over the seeds of every combination of levels, hatched where there is no decided run.

    Rows and columns without any are left out.
    """
    import matplotlib as mpl
    from matplotlib.colors import LogNorm, Normalize

    factors = _factors(analysis)
    across, down = factors[::2][::-1], factors[1::2][::-1]
    table = np.full((math.prod(len(f.levels) for f in down), math.prod(len(f.levels) for f in across)), np.nan)
    cells: dict[tuple[int, int], list[float]] = {}
    values = analysis.response.values
    for row, value in enumerate(values):
        if np.isfinite(value):
            cells.setdefault((_place(down, row), _place(across, row)), []).append(float(value))
    for place, found in cells.items():
        table[place] = math.exp(np.mean(found))
    filled = [np.flatnonzero(np.isfinite(table).any(axis=axis)) for axis in (1, 0)]
    table = table[np.ix_(*filled)]
    figure.set_size_inches(min(3.2 + 0.42 * table.shape[1], 12), min(max(1.9 + 0.26 * table.shape[0], 3.6), 14))
    axes = figure.subplots()
    axes.set_facecolor("0.92")
    low, high = float(np.nanmin(table)), float(np.nanmax(table))
    norm: Normalize = LogNorm(low, high) if high > low * 1.001 else Normalize(low * 0.99, high * 1.01)
    axes.patch.set(hatch="////", edgecolor="0.7")
    colours = mpl.colormaps["cividis_r"]  # one lightness scale for every kind of colour vision
    image = axes.imshow(np.ma.masked_invalid(table), norm=norm, cmap=colours, aspect="auto", interpolation="nearest")
    _name_cells(axes.xaxis, across, filled[1], rotation=90)
    _name_cells(axes.yaxis, down, filled[0])
    axes.set_xlabel(" | ".join(f.name for f in across))
    axes.set_ylabel(" | ".join(f.name for f in down))
    bar = figure.colorbar(image, ax=axes, format=lambda value, _: f"{value:.3g}")
    bar.ax.minorticks_off()
    bar.set_ticks(np.geomspace(low, high, 5).tolist() if high > low * 1.001 else [low])
    bar.set_label(amount(analysis))


def draw_pareto(figure: Figure, analysis: Analysis) -> None:
    """Error against cost; the line joins the cells that no other beats in both."""
    axes = figure.subplots()
    rows, values = analysis.table.rows, analysis.response.values
    known = [name for name in COSTS if name in rows.columns]
    cost = np.asarray(rows[known].sum(axis=1, min_count=1), dtype=float) if known else np.full(len(rows), np.nan)
    shown = np.isfinite(values) & (cost > 0)
    if not shown.any():
        axes.set_axis_off()
        axes.text(0.5, 0.5, f"no run has {' and '.join(COSTS)}", ha="center", transform=axes.transAxes)
        return
    costs, errors, labels = _cell_means(analysis, cost, shown)
    front = pareto_front(costs, errors)
    axes.scatter(costs, np.exp(errors), s=14, color="0.6", label="cells (mean over seeds)", linewidths=0)
    axes.step(costs[front], np.exp(errors[front]), where="post", color=DATA, linewidth=1.2)
    axes.scatter(costs[front], np.exp(errors[front]), s=30, color=MODEL, label="front, from the cheapest", zorder=3)
    for number, index in enumerate(front, start=1):
        axes.annotate(str(number), (costs[index], math.exp(errors[index])), (4, 4), textcoords="offset points", size=7)
    axes.set_xlabel("seconds of training and sampling")
    axes.set_ylabel(amount(analysis))
    axes.legend(fontsize=7)
    factor_axis(axes.xaxis)
    factor_axis(axes.yaxis)
    text = "\n".join(f"{n}  {labels[i]}" for n, i in enumerate(front, start=1))
    figure.supxlabel(text, fontsize=6.5, ha="left", x=0.02)
    figure.set_size_inches(6.4, 3.8 + 0.12 * len(front))


def pareto_front(costs: FloatArray, errors: FloatArray) -> list[int]:
    """Indices of what nothing else beats in cost and error, from the cheapest.

    Example:
        >>> pareto_front(np.array([1.0, 2.0, 3.0, 3.0]), np.array([5.0, 6.0, 1.0, 2.0]))
        [0, 2]
    """
    front: list[int] = []
    for index in np.lexsort((errors, costs)).tolist():
        if not front or errors[index] < errors[front[-1]]:
            front.append(index)
    return front


def draw_seeds(figure: Figure, analysis: Analysis) -> None:
    """Every run of every cell, the cells ordered by their mean: how far apart seeds are."""
    from matplotlib.ticker import MaxNLocator

    values = analysis.response.values
    cells = sorted(_cells(analysis, values, np.isfinite(values)).values(), key=lambda found: float(np.mean(found)))
    figure.set_size_inches(7.2, 3.2)
    axes = figure.subplots()
    for place, found in enumerate(cells, start=1):
        axes.plot([place, place], np.exp([min(found), max(found)]), color="0.8", linewidth=1, zorder=1)
    places = np.repeat(np.arange(1, len(cells) + 1), [len(found) for found in cells])
    axes.scatter(places, np.exp(np.concatenate(cells)), s=7, color=DATA, linewidths=0, zorder=2, label="one run")
    means = [math.exp(np.mean(found)) for found in cells]
    size = min(max(2.0, 160 / len(cells)), 12.0)
    axes.plot(
        np.arange(1, len(cells) + 1), means, "_", color=MODEL, markersize=size, zorder=3, label="mean of its cell"
    )
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    spread = seed_deviation(cells)
    text = (
        "no cell has two decided runs" if math.isnan(spread) else f"seeds scatter by a factor of {math.exp(spread):.3g}"
    )
    axes.set_title(f"{text} (one standard deviation)" if not math.isnan(spread) else text, fontsize=8, loc="left")
    axes.set_xlabel("combinations of levels, ordered by their mean")
    axes.set_ylabel(amount(analysis))
    axes.legend(fontsize=7)
    factor_axis(axes.yaxis)


def seed_deviation(cells: list[list[float]]) -> float:
    """Pooled standard deviation within cells, NaN where none has two runs.

    Example:
        >>> seed_deviation([[1.0, 3.0], [5.0, 5.0], [7.0]])
        1.0
    """
    df = sum(len(found) - 1 for found in cells)
    squares = sum(float(((np.array(found) - np.mean(found)) ** 2).sum()) for found in cells)
    return math.sqrt(squares / df) if df else math.nan


def _factors(analysis: Analysis) -> list[Factor]:
    return [factor(analysis.table.rows, name) for name in analysis.table.factors]


def _place(factors: list[Factor], row: int) -> int:
    place = 0
    for one in factors:
        place = place * len(one.levels) + int(one.index[row])
    return place


def _name_cells(axis: Any, factors: list[Factor], kept: IntArray, rotation: float = 0) -> None:  # noqa: ANN401
    names = [""]
    for one in factors:
        names = [f"{name} | {level}" if name else level for name in names for level in one.levels]
    if len(kept) <= NAMED_UP_TO:
        axis.set_ticks(range(len(kept)), [names[place] for place in kept], fontsize=6.5, rotation=rotation)
    else:
        axis.set_ticks([])


def _cells(analysis: Analysis, values: FloatArray, shown: np.ndarray) -> Cells:
    factors = _factors(analysis)
    found: Cells = {}
    for row in np.flatnonzero(shown):
        found.setdefault(tuple(one.levels[one.index[row]] for one in factors), []).append(float(values[row]))
    return found


def _cell_means(analysis: Analysis, cost: FloatArray, shown: np.ndarray) -> tuple[FloatArray, FloatArray, list[str]]:
    costs, errors = (_cells(analysis, values, shown) for values in (cost, analysis.response.values))
    labels = [" ".join(f"{n}={v}" for n, v in zip(analysis.table.factors, at, strict=True)) for at in costs]
    return np.array([np.mean(c) for c in costs.values()]), np.array([np.mean(e) for e in errors.values()]), labels
