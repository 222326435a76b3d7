"""The slow timescale's ratio of every combination of levels, over its seeds."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from statistics import NormalDist
from typing import TYPE_CHECKING

from mdlm.kinetics.seeds import AcrossSeeds, across_seeds
from mdlm.study.metrics import T2_DATA, T2_RATIO, T2_SAMPLED

if TYPE_CHECKING:
    import pandas as pd

    from mdlm.study.tidy import StudyTable

OF_RUNS = 0.9  # confidence of the runs' own intervals
CONFIDENCE = 0.95


@dataclass(frozen=True)
class Combination:
    """One combination of levels.

    Attributes:
        levels: By factor.
        found: t2 of the samples over that of the data, over the seeds.
    """

    levels: dict[str, str]
    found: AcrossSeeds


def combinations(table: StudyTable) -> list[Combination]:
    """Every combination of levels with a ratio from at least two seeds, in order of appearance.

    A seed's own error is that of its sample's t2, what all share that of the data's; see
    `mdlm.kinetics.seeds.across_seeds`. Seeds of the data, where they vary too, are seeds like the others.
    """
    rows = table.rows
    if T2_RATIO not in rows.columns or not table.replicates:
        return []
    rows = rows[rows[T2_RATIO].map(lambda ratio: isinstance(ratio, int | float) and ratio > 0 and math.isfinite(ratio))]
    groups = rows.groupby(list(table.factors), sort=False) if table.factors else [((), rows)]
    found = []
    for at, group in groups:
        if len(group) < 2:
            continue
        own, shared = _log_errors(group, T2_SAMPLED), _log_errors(group, T2_DATA)
        combined = across_seeds([math.log(ratio) for ratio in group[T2_RATIO]], own, max(shared), CONFIDENCE)
        found.append(Combination(dict(zip(table.factors, map(str, at), strict=True)), combined))
    return found


def _log_errors(rows: pd.DataFrame, name: str) -> list[float]:
    """Standard errors of ln(t2), from the width of its intervals; zero where there is none."""
    width = 2 * NormalDist().inv_cdf((1 + OF_RUNS) / 2)
    lows = [str(c) for c in rows.columns if re.fullmatch(rf"{name}_\w+_low", str(c)) and rows[c].notna().any()]
    if not lows:
        return [0.0] * len(rows)
    bounds = zip(rows[lows[0]], rows[lows[0].removesuffix("low") + "high"], strict=True)
    return [math.log(high / low) / width if 0 < low < high < math.inf else 0.0 for low, high in bounds]
