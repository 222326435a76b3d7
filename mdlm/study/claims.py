r"""The claims of Zeng et al. (arXiv 2107.06573) before the evidence of a study.

Every contrast is one of marginal means of the error, averaged equally over all other factors, with 95 % intervals.

C1, *the finer or higher-dimensional the partition, the worse the slow timescale*: slope of the error on the logarithm
of the number of states over the levels of everything that begins with ``partition``, and on that of the number of
features over the levels of everything that begins with ``features``. Positive slopes support it.

C2, *a longer saving interval helps*: slope of the error on the logarithm of the ``stride``. A negative one supports it.

C3, *lumping into metastable states and removing recrossings helps a lot*: the mean over the metastable partitions
(those that begin with ``wells``, ``basins`` or ``pcca``) together with any removal, against all other partitions
together with none, and each half alone. Removal may vary as ``recrossing`` or through one of its values, such as
``recrossing.residence_time`` or ``recrossing.window``; a level removes nothing if it is ``keep`` or if no run that has
it changed any frame (a residence time of one frame). Supported if the error is significantly smaller in all three (so
that no correction is due); refuted if it is significantly larger with both together; else undecided.

C4, *a transformer is not better than an LSTM*: mean over the options of ``model`` that begin with ``transformer`` or
``encoder_decoder`` against those that begin with ``lstm``. Supported if the one-sided 95 % bound excludes that its
error is smaller by a factor of 1.25 or more; refuted if that is not excluded and its error is significantly smaller.

C1 and C2: supported if at least one contrast is significantly in the claim's direction (Holm within the claim) and none
in the other; refuted the other way round; else undecided. No effect found is no proof of none, so that it never
refutes. A factor that is confounded with another decides nothing.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from mdlm.study.contrasts import Evidence, Halves, contrast, halves, level_means, slope
from mdlm.study.design import Design
from mdlm.study.effects import ALPHA, Effects, holm
from mdlm.study.levels import BASELINE
from mdlm.study.metrics import CHANGED, N_FEATURES, N_STATES
from mdlm.trajectory import FloatArray

if TYPE_CHECKING:
    import pandas as pd

SUPPORTED, REFUTED, UNDECIDED = "supported", "refuted", "undecided"
METASTABLE = ("wells", "basins", "pcca")
TRANSFORMERS = ("transformer", "encoder_decoder")
MARGIN = 1.25
CLAIMS = {
    "C1": "the finer or higher-dimensional the partition, the worse the slow timescale",
    "C2": "a longer saving interval (stride) helps",
    "C3": "lumping into metastable states and removing recrossings both help, and together",
    "C4": f"a transformer is not better than an LSTM (margin: a factor of {MARGIN:g})",
}

RULES = {
    "C1": "supported if the error grows significantly with the number of states or of features, and shrinks with none",
    "C2": "supported if the error shrinks significantly as the stride grows, refuted if it grows",
    "C3": "supported if the error is significantly smaller with each alone and with both, refuted if larger with both",
    "C4": f"supported if an error smaller by a factor of {MARGIN:g} or more is excluded; refuted if that is not and "
    "the error is significantly smaller",
}
"""In short; the whole of them is at the head of this file."""


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


def judge_claims(effects: Effects | None, rows: pd.DataFrame, why_not: str = "") -> tuple[Claim, ...]:
    """All claims, in order.

    Args:
        effects: Of the error; None where there is nothing to go by.
        rows: The runs that were analysed, for their numbers of states and features and what their treatment changed.
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
    found: list[Evidence | str] = []
    for metric, prefix, what in ((N_STATES, "partition", "states"), (N_FEATURES, "features", "features")):
        for name in _columns(effects.design, prefix):
            sizes = _means(effects.design, name, rows, metric, lambda values: float(np.exp(np.log(values).mean())))
            found.append(slope(effects, name, sizes, what))
    return _by_direction(found, worse_supports=True)


def _stride(effects: Effects, rows: pd.DataFrame) -> tuple[str, str]:
    factor = effects.design.factor("stride")
    part = factor.parts.index("stride") if factor else 0
    sizes = np.array([float(choice[part]) for choice in factor.choices] if factor else [])
    return _by_direction([slope(effects, "stride", sizes, "frames")], worse_supports=False)


def _lumping_and_recrossing(effects: Effects, rows: pd.DataFrame) -> tuple[str, str]:
    lumped = halves(effects, "partition", lambda level, _: level.startswith(METASTABLE))
    treated = _treated(effects, rows)
    found = [
        half if isinstance(half, str) else contrast(effects, [half], f"{name} ({half.name})")
        for name, half in (("lumping", lumped), ("recrossing removal", treated))
    ]
    text = "; ".join(one if isinstance(one, str) else one.text for one in found)
    if isinstance(lumped, str) or isinstance(treated, str):
        return UNDECIDED, text
    if lumped.factor is treated.factor:
        return UNDECIDED, f"{text}; too few combinations of both were run to tell the two apart"
    both = contrast(effects, [lumped, treated], "both together")
    outcome = UNDECIDED
    if all(not isinstance(one, str) and one.estimate.high < 0 for one in (both, *found)):
        outcome = SUPPORTED
    elif both.estimate.low > 0:
        outcome = REFUTED
    return outcome, f"{both.text}; {text}"


def _treated(effects: Effects, rows: pd.DataFrame) -> Halves | str:
    """Removal of recrossings against none, by whatever varies it; or why there is no such comparison."""
    found: list[Halves | str] = []
    for name in _columns(effects.design, "recrossing"):
        changed = _means(effects.design, name, rows, CHANGED, lambda values: float(values.max()))
        found.append(halves(effects, name, partial(_removes, changed)))
    return next((one for one in found if not isinstance(one, str)), found[0])


def _removes(changed: FloatArray, level: str, number: int) -> bool:
    """Whether a level removes recrossings, by the largest share of frames that it changed in any run."""
    return level.split()[0] != BASELINE and bool(changed[number] != 0)


def _transformer(effects: Effects, rows: pd.DataFrame) -> tuple[str, str]:
    from scipy import stats

    compared = halves(effects, "model", _is_transformer)
    if isinstance(compared, str):
        return UNDECIDED, compared
    found = contrast(effects, [compared], "transformer instead of LSTM")
    value = found.estimate.value
    error = (found.estimate.high - value) / float(stats.t.ppf(1 - ALPHA / 2, effects.fit.df))
    bound = value - float(stats.t.ppf(1 - ALPHA, effects.fit.df)) * error
    at_best = f"at best it divides the error by {math.exp(-bound):.3g}" if bound < 0 else "at best it is no better"
    text = f"{found.text}; {at_best} (one-sided 95 %)"
    if bound > -math.log(MARGIN):
        return SUPPORTED, text
    return (REFUTED if found.estimate.high < 0 else UNDECIDED), text


def _is_transformer(level: str, _: int) -> bool | None:
    return True if level.startswith(TRANSFORMERS) else False if level.startswith("lstm") else None


def _by_direction(judged: Sequence[Evidence | str], worse_supports: bool) -> tuple[str, str]:
    found = [one for one in judged if isinstance(one, Evidence)]
    adjusted = holm([one.estimate.p for one in found])
    signs = {one.estimate.value > 0 for one, p in zip(found, adjusted, strict=True) if p < ALPHA}
    text = "; ".join(one.text if isinstance(one, Evidence) else one for one in judged)
    if len(signs) != 1:
        return UNDECIDED, text
    return (SUPPORTED if signs == {worse_supports} else REFUTED), text


def _columns(design: Design, prefix: str) -> list[str]:
    """The columns of the table that vary a group or one of its values; the group itself where there is none."""
    names = [name for factor in design.factors for name in (*factor.parts, *factor.aliases)]
    return [name for name in names if name == prefix or name.startswith(f"{prefix}.")] or [prefix]


def _means(
    design: Design, name: str, rows: pd.DataFrame, metric: str, mean: Callable[[FloatArray], float]
) -> FloatArray:
    """A mean of a metric over the runs of every level of the factor that a column is a part of; NaN where unknown."""
    factor = design.factor(name)
    if factor is None:
        return np.array([])
    values = np.asarray(rows[metric], dtype=float) if metric in rows.columns else np.full(len(rows), np.nan)
    return level_means(factor, values, mean)
