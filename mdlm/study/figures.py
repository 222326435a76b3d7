"""Figures of a study, as PNG and SVG."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mdlm.report.run_folder import write_atomically
from mdlm.report.style import DATA, MODEL, STYLE
from mdlm.study.analysis import Analysis
from mdlm.study.axes import amount, factor_axis
from mdlm.study.effects import Effects
from mdlm.study.grid_figures import draw_grid, draw_pareto, draw_seeds

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")  # Okabe and Ito
MARKERS = "osD^vP*"
MOST_PAIRS = 6
MOST_BARS = 40


def draw_study(analysis: Analysis, directory: Path) -> dict[str, Path]:
    """Draw what the analysis allows, and nothing else: figures of an earlier analysis are removed.

    Returns:
        The SVG file of each figure, by its name; a PNG lies beside it.
    """
    import matplotlib as mpl
    from matplotlib.figure import Figure

    drawings: dict[str, Callable[[Figure, Analysis], None]] = {}
    if analysis.effects is not None:
        drawings["effects"] = draw_forest
        if any(":" in term.name for term in analysis.effects.terms):
            drawings["interactions"] = draw_interactions
    if np.isfinite(analysis.response.values).any():
        drawings |= {"grid": draw_grid, "cost": draw_pareto, "seeds": draw_seeds}
    written = {}
    for path in directory.glob("*.[ps][nv]g"):
        if path.stem not in drawings:
            path.unlink()
    # Text stays text, and names of parts do not change from one drawing to the next.
    with mpl.rc_context({**STYLE, "svg.fonttype": "none", "svg.hashsalt": "mdlm"}):
        for name, draw in drawings.items():
            figure = Figure()
            draw(figure, analysis)
            write_atomically(directory / f"{name}.png", figure.savefig)
            written[name] = directory / f"{name}.svg"
            write_atomically(written[name], lambda path, f=figure: f.savefig(path, metadata={"Date": None}))  # type: ignore[misc]
    return written


def draw_forest(figure: Figure, analysis: Analysis) -> None:
    """Every level against the first of its factor, as a factor with its interval."""
    effects = _effects(analysis)
    first = {factor.name: factor.levels[0] for factor in effects.design.factors}
    against_first = [c for c in effects.contrasts if c.baseline == first[c.factor]]
    shown = against_first[:MOST_BARS]
    figure.set_size_inches(7.2, 1.1 + 0.26 * len(shown))
    axes = figure.subplots()
    for place, contrast in enumerate(shown):
        e = contrast.estimate
        colour = (MODEL if e.value > 0 else DATA) if contrast.p_holm < 0.05 else "0.55"
        axes.plot(np.exp([e.low, e.high]), [place, place], color=colour, linewidth=1.6, solid_capstyle="butt")
        axes.plot(math.exp(e.value), place, "o", color=colour, markersize=5)
    axes.axvline(1, color="0.3", linewidth=0.8, zorder=0)
    labels = [f"{_short(c.factor)}: {c.baseline} → {c.level}" for c in shown]
    axes.set_yticks(range(len(shown)), labels, fontsize=8)
    axes.invert_yaxis()
    factor_axis(axes.xaxis)
    what = analysis.response.quantity
    cut = f"; {MOST_BARS} of {len(against_first)} shown" if len(against_first) > MOST_BARS else ""
    axes.set_xlabel(f"{what} is multiplied by (95 % interval); grey: undecided after Holm's correction{cut}")


def draw_interactions(figure: Figure, analysis: Analysis) -> None:
    """Marginal means of pairs of factors, the strongest interactions first; parallel lines: no interaction."""
    effects = _effects(analysis)
    pairs = sorted((t for t in effects.design.terms if len(t.factors) == 2), key=lambda t: _p(effects, t.name))
    pairs = pairs[:MOST_PAIRS]
    n_columns = min(3, len(pairs))
    n_rows = -(-len(pairs) // n_columns)
    figure.set_size_inches(3.1 * n_columns + 0.6, 2.7 * n_rows)
    grid = figure.subplots(n_rows, n_columns, sharey=True, squeeze=False)
    for axes in grid.flat[len(pairs) :]:
        axes.set_axis_off()
    for axes, term in zip(grid.flat, pairs, strict=False):
        x, lines = sorted(term.factors, key=lambda f: (f.numbers is None, len(f.levels)))
        means = effects.pair_means(x, lines)
        for number, level in enumerate(lines.levels):
            one = [m.estimate for m in means if m.at[lines.name] == level]
            values = np.exp([m.value for m in one])
            spread = np.abs(np.exp([[m.low for m in one], [m.high for m in one]]) - values)
            shift = 0.06 * (number - (len(lines.levels) - 1) / 2)
            style = {"color": COLOURS[number % 7], "marker": MARKERS[number % 7], "markersize": 4, "linewidth": 1.1}
            places = np.arange(len(x.levels)) + shift
            axes.errorbar(places, values, spread, capsize=2, label=level, elinewidth=0.8, **style)
        axes.set_xticks(range(len(x.levels)), [_clipped(level, 14) for level in x.levels], fontsize=7)
        axes.set_xlabel(_short(x.name))
        p = _p(effects, term.name)
        axes.set_title(f"p = {p:.2g} (Holm)", fontsize=8, loc="left", color="0.0" if p < 0.05 else "0.45")
        axes.legend(title=_short(lines.name), fontsize=6, title_fontsize=7)
        factor_axis(axes.yaxis)
    for axes in grid[:, 0]:
        axes.set_ylabel(amount(analysis))


def _effects(analysis: Analysis) -> Effects:
    if analysis.effects is None:
        raise ValueError(f"effects (none) cannot be drawn: {analysis.undecided}")
    return analysis.effects


def _p(effects: Effects, name: str) -> float:
    return next(term.p_holm for term in effects.terms if term.name == name)


def _short(name: str) -> str:
    """A name that fits beside an axis."""
    return _clipped(name, 28)


def _clipped(text: str, width: int) -> str:
    return text if len(text) <= width else f"{text[: width - 1]}…"
