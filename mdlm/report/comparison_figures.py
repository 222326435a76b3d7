"""Pictures of a comparison: timescales, passage times, populations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from mdlm.kinetics.ratio_curve import BOUNDS
from mdlm.report.style import DATA, DIVERGING, MARKOV, MODEL, TRUTH, logarithmic, name_states, short
from mdlm.trajectory import FloatArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.image import AxesImage
    from numpy.typing import NDArray

    from mdlm.kinetics.comparison import Comparison, Curve, Interval

LABELLED_UP_TO = 8  # sets whose passage times are written into the cells


def draw_timescales(figure: Figure, c: Comparison, labels: tuple[str, str]) -> None:
    """Implied timescales against the lag, with bands, truth and the Markov chain's value."""
    axes = figure.subplots()
    _curve(axes, c.data_curve, DATA, "o", labels[0])
    _curve(axes, c.sampled_curve, MODEL, "s", labels[1])
    if c.t2_ratio_to_truth is not None:
        for process, truth in enumerate(c.reference_timescales):
            axes.axhline(truth.value, color=TRUTH, linewidth=1, linestyle="--", label=None if process else "truth")
    if c.markov_timescales:
        label = f"Markov chain at one stride ({c.token_time:g} {c.time_unit})"
        axes.axhline(c.markov_timescales[0], color=MARKOV, linewidth=1, linestyle=":", label=label)
    lags = c.data_curve.lag_times
    axes.fill_between(lags, lags, color="0.93", zorder=0, linewidth=0)  # faster than the lag: not resolved
    axes.axvline(c.lag_time, color="0.7", linewidth=0.8, zorder=0)
    axes.set_xscale("log")
    logarithmic(axes, c.data_curve.timescales, c.sampled_curve.timescales)
    axes.set_xlabel(f"lag ({c.time_unit}); judged at the grey line, below the lag in the grey area")
    axes.set_ylabel(f"implied timescales t2, t3, ... ({c.time_unit})")
    axes.legend(fontsize=7)


def draw_ratio(figure: Figure, c: Comparison, floor: Sequence[Interval], labels: tuple[str, str]) -> None:
    """t2 of the sample over that of the data against the lag, beside what molecular dynamics as long would score."""
    axes, curve = figure.subplots(), c.t2_ratio_curve
    lags = curve.lag_times
    bounds = np.array([(interval.low, interval.high) for interval in floor]).reshape(-1, 2).T
    scatter = "MD as long as the sample"
    axes.fill_between(lags, *bounds, color=DATA, alpha=0.15, linewidth=0, label=scatter)
    finite = np.where(np.isfinite(curve.ratios), curve.ratios, np.nan)
    axes.plot(lags, finite, color=MODEL, marker="s", markersize=3, linewidth=1, label=f"{labels[1]} / {labels[0]}")
    axes.fill_between(lags, curve.low, curve.high, color=MODEL, alpha=0.25, linewidth=0)
    axes.axhline(1, color=TRUTH, linewidth=0.8)
    for bound in BOUNDS:
        axes.axhline(bound, color="0.6", linewidth=0.8, linestyle=":")
    axes.axvline(c.lag_time, color="0.7", linewidth=0.8, zorder=0)
    axes.set_xscale("log")
    logarithmic(axes, finite)
    axes.set_xlabel(f"lag ({c.time_unit}), from one token to a tenth of t2; judged at the grey line")
    axes.set_ylabel(f"t2 of {labels[1]} / t2 of {labels[0]}")
    # A ratio near one is read as a plain number; 7 and 9 would run into their neighbours.
    for ticks in (axes.yaxis.set_major_formatter, axes.yaxis.set_minor_formatter):
        ticks(lambda value, _: "" if f"{value:e}"[0] in "79" else f"{value:g}")
    axes.tick_params(axis="y", which="both", labelsize=7)
    axes.legend(fontsize=7, loc="lower left", bbox_to_anchor=(0, 1), ncols=2)


def _curve(axes: Axes, curve: Curve, colour: str, marker: str, label: str) -> None:
    for process in range(curve.timescales.shape[1]):
        faint = 1.0 if process == 0 else 0.45
        axes.plot(
            curve.lag_times,
            curve.timescales[:, process],
            color=colour,
            marker=marker,
            markersize=3,
            linewidth=1,
            label=None if process else label,
            alpha=faint,
        )
        low, high = curve.low[:, process], curve.high[:, process]
        axes.fill_between(curve.lag_times, low, high, color=colour, alpha=0.2 * faint, linewidth=0)


def draw_mfpt(figure: Figure, c: Comparison, labels: tuple[str, str]) -> None:
    """Mean first-passage times of the data, of the sample, and the logarithm of their ratio."""
    panels = figure.subplots(1, 3)
    finite = np.concatenate([m[np.isfinite(m) & (m > 0)] for m in (c.data.mfpt, c.sampled.mfpt)])
    limits = (finite.min(), finite.max()) if len(finite) else (1.0, 10.0)
    for axes, times, label in zip(panels[:2], (c.data.mfpt, c.sampled.mfpt), labels, strict=True):
        image = _matrix(axes, times, label, c.set_names, limits)
    figure.colorbar(image, ax=list(panels[:2]), label=f"mean first-passage time ({c.time_unit})", shrink=0.8)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.log2(c.sampled.mfpt / c.data.mfpt)
    largest = max(1.0, float(np.abs(ratio[np.isfinite(ratio)]).max(initial=0)))
    shown = panels[2].imshow(np.ma.masked_invalid(ratio), cmap=DIVERGING, vmin=-largest, vmax=largest)
    _cells(panels[2], 2.0**ratio, np.abs(ratio) > 0.6 * largest, c.set_names)
    panels[2].set_title(f"{labels[1]} / {labels[0]}", loc="left", fontsize=9)
    figure.colorbar(shown, ax=panels[2], label="log2 of the ratio (1: twice as slow)", shrink=0.8)


def _matrix(axes: Axes, times: FloatArray, label: str, names: Sequence[str], limits: tuple[float, float]) -> AxesImage:
    from matplotlib.colors import LogNorm

    shown = np.ma.masked_where(~(np.isfinite(times) & (times > 0)), times)
    low, high = limits
    image = axes.imshow(shown, cmap="cividis", norm=LogNorm(low, max(high, 1.0001 * low)))
    dark = times < np.sqrt(low * high)
    _cells(axes, times, dark, names)
    axes.set_title(label, loc="left", fontsize=9)
    return image


def _cells(axes: Axes, values: FloatArray, on_dark: NDArray[np.bool_], names: Sequence[str]) -> None:
    """Numbers in the cells where they are few, and the names of rows and columns."""
    name_states(axes.xaxis, names)
    name_states(axes.yaxis, names)
    axes.set_xlabel("to")
    axes.set_ylabel("from")
    if len(names) > LABELLED_UP_TO:
        return
    for (row, column), value in np.ndenumerate(values):
        if row != column and np.isfinite(value):
            colour = "white" if on_dark[row, column] else "black"
            axes.text(column, row, short(float(value)), ha="center", va="center", fontsize=6, color=colour)


def draw_populations(figure: Figure, c: Comparison, names: Sequence[str], labels: tuple[str, str]) -> None:
    """Share of time in each macrostate, and the error of its free energy."""
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(2, 1))
    states = np.arange(len(c.data.populations))
    width = 0.4
    upper.bar(states - width / 2, c.data.populations, width, color=DATA, label=labels[0])
    upper.bar(
        states + width / 2, c.sampled.populations, width, color=MODEL, label=labels[1], hatch="///", edgecolor="w"
    )
    upper.set_ylabel("population (share of time)")
    upper.legend(fontsize=7, loc="upper left", bbox_to_anchor=(0, 1.2), ncols=2)
    with np.errstate(divide="ignore", invalid="ignore"):
        error = np.log(c.data.populations / c.sampled.populations)
    finite = np.isfinite(error)
    lower.bar(states[finite], error[finite], 0.6, color=MODEL)
    lower.axhline(0, color=TRUTH, linewidth=0.8)
    for state in states[~finite & (c.data.populations > 0)]:
        lower.text(state, 0, "never\nvisited", ha="center", va="bottom", fontsize=6)
    largest = max(0.1, 1.2 * float(np.abs(error[finite]).max(initial=0)))
    lower.set_ylim(-largest, largest)
    lower.set_ylabel("free-energy\nerror (kT)")
    name_states(lower.xaxis, names)
    lower.set_xlabel("macrostate")
