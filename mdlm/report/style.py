"""Colours and settings shared by all figures."""

from __future__ import annotations

from typing import Any

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
