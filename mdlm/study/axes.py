"""Axes of factors: logarithmic, with plain numbers."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mdlm.study.analysis import Analysis


def amount(analysis: Analysis) -> str:
    """What the exponential of the response is."""
    names = {"error": "t2 off by a factor of", "ratio": "t2 of sample / t2 of data"}
    return names.get(analysis.response.name, analysis.response.quantity)


def factor_axis(axis: Any) -> None:  # noqa: ANN401
    """Make an x or y axis logarithmic, with ticks a reader can name however short it is."""
    from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter, NullLocator

    (axis.axes.set_xscale if axis.axis_name == "x" else axis.axes.set_yscale)("log")
    low, high = axis.get_view_interval()
    decades = math.log10(high / low)
    if decades < 0.2:
        axis.set_major_locator(MaxNLocator(4))
        axis.set_minor_locator(NullLocator())
    else:
        few, some = (1, 2, 5), (1, 1.2, 1.5, 2, 3, 4, 6, 8)
        axis.set_major_locator(LogLocator(subs=(1,) if decades > 3 else few if decades > 1 else some))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.3g}" if value < 1000 else f"{value:.0f}"))
    axis.set_minor_formatter(NullFormatter())
