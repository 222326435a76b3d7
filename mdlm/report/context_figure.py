"""Figure: held-out loss against the history a model is shown."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mdlm.report.style import MARKOV, MODEL

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from mdlm.training.context import ContextCurve


def draw_context(figure: Figure, curve: ContextCurve, unit: str) -> None:
    """Loss with each history; the band is the error of its difference to the longest history.

    Args:
        figure: To draw on.
        curve: Of one model.
        unit: Of time.
    """
    axes = figure.subplots()
    longest = curve.nll[-1]
    low = longest + np.array([gain.low for gain in curve.remaining])
    high = longest + np.array([gain.high for gain in curve.remaining])
    axes.plot(curve.lengths, curve.nll, color=MODEL, marker="s", markersize=3, linewidth=1, label="model")
    axes.fill_between(curve.lengths, low, high, color=MODEL, alpha=0.2, linewidth=0)
    chain = "Markov chain of order one"
    axes.axhline(curve.markov_nll, color=MARKOV, linestyle=":", linewidth=1, label=chain)
    axes.axvline(curve.memory, color="0.7", linewidth=0.8, zorder=0)
    axes.set_xscale("log", base=2)
    axes.set_xlabel("history (tokens); beyond the grey line it gains nothing")
    axes.set_ylabel("held-out loss (nats/token)")
    above = axes.secondary_xaxis("top", functions=(curve.time_of, curve.tokens_of))  # type: ignore[arg-type]
    above.set_xlabel(f"history ({unit})")
    axes.spines["top"].set_visible(True)
    axes.legend(fontsize=7)
