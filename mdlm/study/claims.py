r"""The claims of Zeng et al. (arXiv 2107.06573) before the evidence of a study.

Every contrast is one of marginal means of the error, averaged equally over all other factors, with 95 % intervals.

C1, *the finer or higher-dimensional the partition, the worse the slow timescale*: slope of the error on the logarithm
of the number of states (metric ``n_states``) over the levels of every factor that begins with ``partition``, and on
that of the number of features (metric ``n_features``) over the levels of ``features``. Positive slopes support it.

C2, *a longer saving interval helps*: slope of the error on the logarithm of the ``stride``. A negative one supports it.

C3, *lumping into metastable states and removing recrossings helps a lot*: the mean over the metastable partitions
(``wells``, ``basins``, ``pcca``) together with any treatment, against all other partitions together with ``keep``, and
each half alone. Supported if the error is significantly smaller in all three (so that no correction is due); refuted if
it is significantly larger with both together; else undecided.

C4, *a transformer is not better than an LSTM*: mean over the options of ``model`` that begin with ``transformer``
against those that begin with ``lstm``. Supported if the one-sided 95 % bound excludes that its error is smaller by a
factor of 1.25 or more; refuted if that is not excluded and its error is significantly smaller.

C1 and C2: supported if at least one contrast is significantly in the claim's direction (Holm within the claim) and none
in the other; refuted the other way round; else undecided. No effect found is no proof of none, so that it never
refutes. A factor that is confounded with another decides nothing.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mdlm.study.effects import ALPHA, Effects, Estimated, holm
from mdlm.study.levels import BASELINE, Factor, level_label
from mdlm.trajectory import FloatArray

if TYPE_CHECKING:
    import pandas as pd

SUPPORTED, REFUTED, UNDECIDED = "supported", "refuted", "undecided"
METASTABLE = ("wells", "basins", "pcca")
MARGIN = 1.25
CLAIMS = {
    "C1": "the finer or higher-dimensional the partition, the worse the slow timescale",
    "C2": "a longer saving interval (stride) helps",
    "C3": "lumping into metastable states and removing recrossings both help, and together",
    "C4": f"a transformer is not better than an LSTM (margin: a factor of {MARGIN:g})",
}


@dataclass(frozen=True)
class Claim:
    """One claim's outcome and the numbers behind it."""

    name: str
    outcome: str
    numbers: str

    @property
    def sentence(self) -> str:
        """Such as ``C2 (a longer saving interval (stride) helps) is supported: ...``."""
        return f"{self.name}, {CLAIMS[self.name]}: {self.outcome}; {self.numbers}."


@dataclass(frozen=True)
class Evidence:
    """One contrast in words."""

    text: str
    estimate: Estimated


@dataclass(frozen=True)
class Halves:
    """A factor with its levels before and after a treatment."""

    factor: Factor
    before: list[str]
    after: list[str]


def judge_claims(effects: Effects | None, rows: pd.DataFrame, why_not: str = "") -> tuple[Claim, ...]:
    """All claims, in order.

    Args:
        effects: Of the error; None where there is nothing to go by.
        rows: The runs that were analysed, for their numbers of states and features.
        why_not: Why there are no effects.
    """
    if effects is None:
        return tuple(Claim(name, UNDECIDED, why_not or "nothing could be analysed") for name in CLAIMS)
    judges: dict[str, Callable[[Effects, pd.DataFrame], tuple[str, str]]] = {
        "C1": _fineness,
        "C2": _stride,
        "C3": _lumping_and_recrossing,
        "C4": _transformer,
    }
    return tuple(Claim(name, *judge(effects, rows)) for name, judge in judges.items())


def _fineness(effects: Effects, rows: pd.DataFrame) -> tuple[str, str]:
    found: list[Evidence] = []
    lacking: list[str] = []
    for metric, prefix, what in (("n_states", "partition", "states"), ("n_features", "features", "features")):
        factors = [f for f in effects.design.factors if f.name == prefix or f.name.startswith(f"{prefix}.")]
        slopes = [_slope(effects, f, _sizes(f, rows, metric), what) for f in factors]
        found += [slope for slope in slopes if isinstance(slope, Evidence)]
        lacking += [slope for slope in slopes if isinstance(slope, str)]
        lacking += [] if factors else [f"{prefix} does not vary in the runs analysed"]
    return _by_direction(found, lacking, worse_supports=True)


def _stride(effects: Effects, rows: pd.DataFrame) -> tuple[str, str]:
    factor = effects.design.factor("stride")
    if factor is None:
        return UNDECIDED, "stride does not vary in the runs analysed"
    slope = _slope(effects, factor, factor.numbers, "stride")
    found, lacking = ([slope], []) if isinstance(slope, Evidence) else ([], [slope])
    return _by_direction(found, lacking, worse_supports=False)


def _lumping_and_recrossing(effects: Effects, rows: pd.DataFrame) -> tuple[str, str]:
    lumped = _halves(effects, "partition", lambda level: level.split()[0] in METASTABLE)
    treated = _halves(effects, "recrossing", lambda level: level.split()[0] != BASELINE)
    halves = {"lumping": lumped, "recrossing removal": treated}
    found = {name: _contrast(effects, [half], name) for name, half in halves.items() if not isinstance(half, str)}
    lacking = [half for half in halves.values() if isinstance(half, str)]
    texts = [one.text for one in found.values()] + lacking
    if isinstance(lumped, str) or isinstance(treated, str):
        return UNDECIDED, "; ".join(texts)
    both = _contrast(effects, [lumped, treated], "both together")
    outcome = UNDECIDED
    if all(one.estimate.high < 0 for one in (both, *found.values())):
        outcome = SUPPORTED
    elif both.estimate.low > 0:
        outcome = REFUTED
    return outcome, "; ".join([both.text, *texts])


def _transformer(effects: Effects, rows: pd.DataFrame) -> tuple[str, str]:
    from scipy import stats

    factor = effects.design.factor("model")
    sets = (
        [[x for x in factor.levels if x.startswith(kind)] for kind in ("lstm", "transformer")] if factor else [[], []]
    )
    if factor is None or not all(sets):
        return UNDECIDED, "the runs analysed do not hold both an LSTM and a transformer"
    if factor.aliases:
        return UNDECIDED, _confounded(factor)
    found = _contrast(effects, [Halves(factor, *sets)], "transformer instead of LSTM")
    value = found.estimate.value
    error = (found.estimate.high - value) / float(stats.t.ppf(1 - ALPHA / 2, effects.fit.df))
    bound = value - float(stats.t.ppf(1 - ALPHA, effects.fit.df)) * error
    at_best = f"at best it divides the error by {math.exp(-bound):.3g}" if bound < 0 else "at best it is no better"
    text = f"{found.text}; {at_best} (one-sided 95 %)"
    if bound > -math.log(MARGIN):
        return SUPPORTED, text
    return (REFUTED if found.estimate.high < 0 else UNDECIDED), text


def _by_direction(found: Sequence[Evidence], lacking: Sequence[str], worse_supports: bool) -> tuple[str, str]:
    adjusted = holm([one.estimate.p for one in found])
    signs = {one.estimate.value > 0 for one, p in zip(found, adjusted, strict=True) if p < ALPHA}
    texts = "; ".join([*(one.text for one in found), *lacking])
    if len(signs) != 1:
        return UNDECIDED, texts
    return (SUPPORTED if signs == {worse_supports} else REFUTED), texts


def _slope(effects: Effects, factor: Factor, sizes: FloatArray | None, what: str) -> Evidence | str:
    """Change of the error per tenfold size, by least squares through the marginal means of the levels."""
    if factor.aliases:
        return _confounded(factor)
    if sizes is None or not (np.isfinite(sizes).all() and (sizes > 0).all()) or np.ptp(sizes) == 0:
        return f"the number of {what} is not known or the same at every level of {factor.name}"
    x = np.log10(sizes) - np.log10(sizes).mean()
    weights = dict(zip(factor.levels, (x / (x @ x)).tolist(), strict=True))
    row = effects.design.average({factor.name: weights})
    row[0] = 0.0  # the weights sum to zero: a difference, without the overall mean
    estimate = effects.combination(row)
    return Evidence(f"tenfold {what} ({factor.name}): {estimate.times('error')}", estimate)


def _sizes(factor: Factor, rows: pd.DataFrame, metric: str) -> FloatArray | None:
    """Geometric mean of a metric at each level."""
    if metric not in rows.columns:
        return None
    labels = np.array([level_label(value) for value in rows[factor.name]])
    values = np.asarray(rows[metric], dtype=float)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.array([np.exp(np.log(values[labels == level]).mean()) for level in factor.levels])


def _halves(effects: Effects, name: str, is_better: Callable[[str], bool]) -> Halves | str:
    """A factor with its levels before and after a treatment, or why there is no such comparison."""
    factor = effects.design.factor(name)
    if factor is None:
        return f"{name} does not vary in the runs analysed"
    if factor.aliases:
        return _confounded(factor)
    after = [level for level in factor.levels if is_better(level)]
    before = [level for level in factor.levels if not is_better(level)]
    if not (before and after):
        return f"{name} ({', '.join(factor.levels)}) does not hold both kinds of level"
    return Halves(factor, before, after)


def _contrast(effects: Effects, halves: Sequence[Halves], name: str) -> Evidence:
    """After against before, in all given factors at once."""
    before = effects.design.average({half.factor.name: _equally(half.before) for half in halves})
    after = effects.design.average({half.factor.name: _equally(half.after) for half in halves})
    estimate = effects.combination(after - before)
    return Evidence(f"{name}: {estimate.times('error')}", estimate)


def _equally(levels: Sequence[str]) -> dict[str, float]:
    return dict.fromkeys(levels, 1 / len(levels))


def _confounded(factor: Factor) -> str:
    return f"{factor.name} is confounded with {' and '.join(factor.aliases)}"
