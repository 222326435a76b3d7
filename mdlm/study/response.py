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
    which the slowest timescale is off. An error below the run's data-limited floor says nothing about the model and
    is set to the floor: the logarithm of ``t2_ratio_floor_factor``, by which molecular dynamics as long as the sample
    would be off, or half the width of the ratio's own interval where a run has no such factor. ``ratio`` is the same
    with its sign and without a floor. Any other name is a positive metric, of which the logarithm is taken (a
    ``..._log_error...`` as it is).

    Runs whose verdict is undecided are left out of the main analysis, and so are decided ones without a finite number
    (a sample that never crossed); both keep the bounds of their intervals.

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
    if name == RATIO:
        values = np.where(decided, ratio, np.nan)
        rule = "response: ln(t2 of the sample / t2 of the training data) at equal lag, with its sign"
        return Response(name, "t2", values, ratio, low, high, np.zeros(len(rows), dtype=bool), (rule,))
    raw = np.abs(ratio)
    floor, source = _floor(rows, low, high)
    values = np.fmax(raw, np.where(np.isfinite(raw), floor, np.nan))
    floored = decided & np.isfinite(raw) & (raw < floor)
    covers_one = (low <= 0) & (high >= 0)
    best = np.where(covers_one, 0.0, np.minimum(np.abs(low), np.abs(high)))
    worst = np.maximum(np.abs(low), np.abs(high))
    rules = (
        "response: |ln(t2 of the sample / t2 of the training data)| at equal lag; its exponential is the factor by "
        "which the slowest timescale is off, 1 where it is right",
        f"an error below the data-limited floor is set to the floor ({source}): {int(floored.sum())} of "
        f"{int((decided & np.isfinite(raw)).sum())} decided runs",
    )
    return Response(name, "error", np.where(decided, values, np.nan), raw, best, worst, floored, rules)


def _floor(rows: pd.DataFrame, low: FloatArray, high: FloatArray) -> tuple[FloatArray, str]:
    """The data-limited floor of the logarithmic error, 0 where it is unknown, and where it comes from."""
    with np.errstate(invalid="ignore"):
        half_width = (high - low) / 2
    half_width = np.where(np.isfinite(half_width), half_width, 0.0)
    stated = _logarithm(rows, T2_RATIO_FLOOR)
    known = np.isfinite(stated)
    source = "what molecular dynamics as long as the sample would be off by" if known.any() else ""
    if not known.all():
        source += f"{', where unknown ' if source else ''}half the width of the ratio's interval"
    return np.where(known, stated, half_width), source


def _column(rows: pd.DataFrame, name: str) -> FloatArray:
    missing: Any = np.full(len(rows), np.nan)
    return np.asarray(rows[name] if name in rows.columns else missing, dtype=float)


def _logarithm(rows: pd.DataFrame, name: str) -> FloatArray:
    values = _column(rows, name)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(values > 0, np.log(values), np.nan)
