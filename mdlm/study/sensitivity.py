"""How far the conclusions hang on the floor and on the runs that are undecided."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mdlm.study.design import Design, make_design
from mdlm.study.effects import Effects, Estimated, LevelContrast, estimate_effects
from mdlm.study.response import ERROR, Response
from mdlm.study.runs import FINISHED, UNDECIDED
from mdlm.trajectory import FloatArray

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Sensitivity:
    """One contrast under other rules; None where it cannot be estimated or the rule changes nothing.

    Attributes:
        without_floor: With errors below the floor as they are.
        bounds: Smallest and largest value the estimate takes, on the logarithmic scale, while every undecided run
            takes any value of its interval; not a confidence interval.
    """

    without_floor: Estimated | None
    bounds: tuple[float, float] | None

    def holds(self, contrast: LevelContrast, alpha: float = 0.05) -> bool:
        """Whether a significant contrast keeps its sign whatever the rules."""
        sign = np.sign(contrast.estimate.value)
        if contrast.p_holm >= alpha:
            return True
        other = self.without_floor
        kept = other is None or sign * other.value > 0
        return bool(kept and (self.bounds is None or min(sign * bound for bound in self.bounds) > 0))


def sensitivities(effects: Effects, rows: pd.DataFrame, names: Sequence[str], response: Response) -> list[Sensitivity]:
    """One for each of ``effects.contrasts``, in that order.

    Args:
        effects: The main analysis.
        rows: The whole table.
        names: Its factors.
        response: Of the whole table.
    """
    contrasts = effects.contrasts
    raw: dict[tuple[str, str, str], Estimated] = {}
    if response.floored.any():
        refitted = estimate_effects(effects.design, response.raw[response.analysed])
        raw = {(c.factor, c.baseline, c.level): c.estimate for c in refitted.contrasts}
    bounds = _bounds(contrasts, rows, names, response)
    return [
        Sensitivity(raw.get((c.factor, c.baseline, c.level)), bound) for c, bound in zip(contrasts, bounds, strict=True)
    ]


def _bounds(
    contrasts: Sequence[LevelContrast], rows: pd.DataFrame, names: Sequence[str], response: Response
) -> list[tuple[float, float] | None]:
    open_runs = np.asarray(rows["status"].isin([FINISHED, UNDECIDED])) & ~response.analysed
    if not open_runs.any():
        return [None] * len(contrasts)
    used = response.analysed | open_runs
    least = 0.0 if response.name == ERROR else -np.inf
    low = np.where(response.analysed, response.values, np.where(np.isnan(response.low), least, response.low))[used]
    high = np.where(response.analysed, response.values, np.where(np.isnan(response.high), np.inf, response.high))[used]
    try:
        design = make_design(rows[used], names)
    except ValueError:
        return [None] * len(contrasts)
    smoother = np.linalg.pinv(design.matrix)
    return [_bound(design, contrast, smoother, low, high) for contrast in contrasts]


def _bound(
    design: Design, contrast: LevelContrast, smoother: FloatArray, low: FloatArray, high: FloatArray
) -> tuple[float, float] | None:
    """Every run at whichever end of its interval makes the estimate smallest, or largest: it is linear in them."""
    factor = design.factor(contrast.factor)
    if factor is None or not {contrast.level, contrast.baseline} <= set(factor.levels):
        return None
    row = design.mean(**{factor.name: contrast.level}) - design.mean(**{factor.name: contrast.baseline})
    weights = row @ smoother
    some = np.abs(weights) > 1e-12  # an open interval times no weight is nothing
    ends = np.stack([weights[some] * low[some], weights[some] * high[some]])
    return float(ends.min(axis=0).sum()), float(ends.max(axis=0).sum())
