"""Colours and settings shared by all figures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from mdlm.trajectory import FloatArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Okabe & Ito's colours, told apart with any kind of colour vision.
DATA, MODEL, TRUTH, MARKOV = "#0072B2", "#D55E00", "#000000", "#009E73"
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
