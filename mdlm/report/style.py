"""Colours and settings shared by all figures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from mdlm.trajectory import FloatArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis

# Okabe & Ito's colours, told apart with any kind of colour vision.
DATA, MODEL, TRUTH, MARKOV = "#0072B2", "#D55E00", "#000000", "#009E73"
DIVERGING = "PuOr_r"  # purple: below, orange: above; told apart with any kind of colour vision
NAMED_STATES_UP_TO = 12
STYLE: dict[Any, Any] = {
    "figure.dpi": 150,
    "figure.constrained_layout.use": True,
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.frameon": False,
}


def logarithmic(axes: Axes, *shown: FloatArray) -> None:
    """Make the y axis logarithmic where there is anything positive to show on it, as it cannot be drawn otherwise."""
    if any(((values > 0) & np.isfinite(values)).any() for values in shown):
        axes.set_yscale("log")
    else:
        axes.set_yticks([])
        axes.text(0.5, 0.5, "nothing could be estimated", transform=axes.transAxes, ha="center")


def name_states(axis: Axis, names: Sequence[str]) -> None:
    """Write the names at the ticks where they are few; long ones are cut after the first word or two."""
    if len(names) <= NAMED_STATES_UP_TO:
        axis.set_ticks(range(len(names)), [_brief(name) for name in names], fontsize=7)


def _brief(name: str) -> str:
    """A name that fits below a bar.

    Example:
        >>> _brief("macrostate 1 (62.3 %)"), _brief("state 3"), _brief("folded")
        ('1', '3', 'folded')
    """
    words = name.partition(" (")[0].split()
    return words[-1] if words[:-1] in (["state"], ["macrostate"]) else name.partition(" (")[0][:16]


def short(value: float) -> str:
    """Two or three significant figures for the inside of a cell.

    Example:
        >>> short(8531.2), short(0.4567), short(123456.0)
        ('8.5k', '0.46', '123k')
    """
    for size, suffix in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= size:
            scaled = value / size
            return f"{scaled:.0f}{suffix}" if scaled >= 100 else f"{scaled:.2g}{suffix}"
    return f"{value:.0f}" if value >= 100 else f"{value:.2g}"
