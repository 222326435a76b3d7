"""What is analysed of each run, and the stated rules for floors and for runs without a decided verdict."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mdlm.study.metrics import T2_RATIO, T2_RATIO_FLOOR
from mdlm.study.runs import FINISHED, UNDECIDED
from mdlm.trajectory import FloatArray

if TYPE_CHECKING:
    import pandas as pd

ERROR, RATIO = "error", "ratio"


@dataclass(frozen=True)
class Response:
    """One number per run, on a logarithmic scale.

    Attributes:
        name: ``error``, ``ratio`` or a metric.
        quantity: What a factor multiplies, for sentences.
        values: What is analysed; NaN where a run is left out of the main analysis. Shape ``(n_rows,)`` like the rest.
        raw: The same before the floor, for every run that has a number, undecided ones too.
        low: The best that a run's interval allows (for ``error`` the smallest error).
        high: The worst; infinite where the interval is open.
        floored: Where ``values`` is the floor.
        rules: How the numbers were made, in words.
    """

    name: str
    quantity: str
    values: FloatArray
    raw: FloatArray
    low: FloatArray
    high: FloatArray
    floored: NDArray[np.bool_]
    rules: tuple[str, ...]

    @property
    def analysed(self) -> NDArray[np.bool_]:
        """Runs of the main analysis."""
        return np.isfinite(self.values)


def make_response(rows: pd.DataFrame, name: str = ERROR) -> Response:
    r"""The response of every row of the table.

    ``error`` is :math:`|\ln(t_2^\mathrm{sampled} / t_2^\mathrm{data})|` at equal lag: its exponential is the factor by
    which the slowest timescale is off. An error below the data-limited floor says nothing about the model and is set
    to the floor: the logarithm of ``t2_ratio_floor_factor``, by which molecular dynamics as long as the sample would be
    off. The largest of the decided runs holds for all of them. (With a floor of its own for every run, levels that
    leave a sample short would look bad for that alone.) Where no run knows that factor, the largest half width of the
    ratios' own intervals stands in for it. ``ratio`` is the same with its sign and without a floor. Any other name is a
    positive metric, of which the logarithm is taken (a ``..._log_error...`` as it is).

    Runs whose verdict is undecided are left out of the main analysis; they keep the bounds of their intervals. Decided
    ones of which only a bound is known ("too fast by at least", and "too slow by more than", where the sample never
    crossed) stand at that bound: the worst runs would be missing otherwise.

    Raises:
        ValueError: The table has no such metric.
    """
    needed = T2_RATIO if name in (ERROR, RATIO) else name
    if needed not in rows.columns:
        known = [ERROR, RATIO, *(str(c) for c in rows.columns if c.startswith(("t2_", "mfpt_", "population_", "nll_")))]
        raise ValueError(f"response ({name}) needs the metric {needed}, which no run has; known are {', '.join(known)}")
    if name in (ERROR, RATIO):
        return _of_ratio(rows, name)
    values = _column(rows, name)
    with np.errstate(invalid="ignore", divide="ignore"):
        raw = values if "_log_error" in name else np.log(np.where(values > 0, values, np.nan))
    main = np.where(rows["status"] == FINISHED, raw, np.nan)
    unknown = np.full(len(rows), np.nan)
    rules = (f"response: {name}" + ("" if "_log_error" in name else ", logarithm; zeros are left out"),)
    return Response(name, name, main, raw, unknown, unknown, np.zeros(len(rows), dtype=bool), rules)


def _of_ratio(rows: pd.DataFrame, name: str) -> Response:
    ratio, low, high = (_logarithm(rows, T2_RATIO + end) for end in ("", "_low", "_high"))
    decided = np.asarray(rows["status"] == FINISHED)
    known = decided | np.asarray(rows["status"] == UNDECIDED)
    open_high = known & np.isfinite(low) & ~np.isfinite(high)
    high = np.where(open_high, np.inf, high)
    ratio = np.where(decided & ~np.isfinite(ratio), low, ratio)
    if name == RATIO:
        values = np.where(decided, ratio, np.nan)
        rule = "response: ln(t2 of the sample / t2 of the training data) at equal lag, with its sign"
        return Response(name, "t2", values, ratio, low, high, np.zeros(len(rows), dtype=bool), (rule,))
    raw = np.abs(ratio)
    judged = decided & np.isfinite(raw)
    floor, source = _floor(rows[judged], low[judged], high[judged])
    values = np.where(decided, np.maximum(raw, floor), np.nan)
    floored = judged & (raw < floor)
    covers_one = (low <= 0) & (high >= 0)
    best = np.maximum(np.where(covers_one, 0.0, np.minimum(np.abs(low), np.abs(high))), floor)
    worst = np.maximum(np.maximum(np.abs(low), np.abs(high)), floor)
    rules = (
        "response: |ln(t2 of the sample / t2 of the training data)| at equal lag; its exponential is the factor by "
        "which the slowest timescale is off, 1 where it is right",
        f"an error below the data-limited floor, a factor of {np.exp(floor):.3g} ({source}), is set to the floor: "
        f"{int(floored.sum())} of {int(judged.sum())} decided runs",
        *_bounds_alone(rows[judged]),
    )
    return Response(name, "error", values, raw, best, worst, floored, rules)


def _bounds_alone(judged: pd.DataFrame) -> tuple[str, ...]:
    """A note on the decided runs of which only a bound is known."""
    number = sum("at least" in str(verdict) or "more than" in str(verdict) for verdict in judged.get("verdict", ()))
    return (f"{number} decided runs are off by at least what they are analysed with",) if number else ()


def _floor(judged: pd.DataFrame, low: FloatArray, high: FloatArray) -> tuple[float, str]:
    """The data-limited floor of the logarithmic error of all judged runs, and where it comes from."""
    stated = _logarithm(judged, T2_RATIO_FLOOR)
    if np.isfinite(stated).any():
        return float(np.nanmax(stated)), "the most that molecular dynamics as long as a sample would be off by"
    half_widths = (high - low)[np.isfinite(low) & np.isfinite(high)] / 2
    return float(max(half_widths, default=0.0)), "half the width of the widest interval of a ratio"


def _column(rows: pd.DataFrame, name: str) -> FloatArray:
    missing: Any = np.full(len(rows), np.nan)
    return np.asarray(rows[name] if name in rows.columns else missing, dtype=float)


def _logarithm(rows: pd.DataFrame, name: str) -> FloatArray:
    values = _column(rows, name)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(values > 0, np.log(values), np.nan)
