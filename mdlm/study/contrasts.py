"""What a claim rests on: comparisons of the levels of one column of the table, or of two at once, like with like.

Where a column is a part of a joined factor (see `mdlm.study.levels.joined`), levels are compared only with those that
agree in all other parts: RMSD microstates of coordinates with macrostates of coordinates, not with bins of an angle.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mdlm.study.design import Design
from mdlm.study.effects import Effects, Estimated
from mdlm.study.levels import Factor
from mdlm.trajectory import FloatArray

IsAfter = Callable[[str, int], bool | None]
"""Whether a level, by its text and its number in the factor, is one after the treatment; None: it is neither."""


@dataclass(frozen=True)
class Evidence:
    """One contrast in words, and its size on the logarithmic scale."""

    text: str
    estimate: Estimated


@dataclass(frozen=True)
class Halves:
    """A column's levels before and after a treatment.

    Attributes:
        factor: That the column is a part of.
        before: Weights of its levels; they sum to one.
        after: The same.
        name: Of the column, with the levels that are compared.
    """

    factor: Factor
    before: dict[str, float]
    after: dict[str, float]
    name: str


def slope(effects: Effects, name: str, sizes: FloatArray, what: str) -> Evidence | str:
    """Change of the error from the smallest to the largest size, or why there is none.

    By least squares through the marginal means against the logarithm of the size.

    Args:
        effects: Of the error.
        name: The column whose levels have sizes.
        sizes: Of every level of its factor; NaN where unknown.
        what: Is counted.
    """
    factor = effects.design.factor(name)
    if factor is None or factor.aliases:
        return why_none(effects.design, name)
    unknown = f"the number of {what} is not known or the same at all levels of {name} that can be compared"
    if not (np.isfinite(sizes).all() and (sizes > 0).all()):
        return unknown
    x = np.log(sizes)
    for group in _alike(factor, name):
        x[group] -= x[group].mean()
    compared = sizes[np.abs(x) > 1e-9]
    if not len(compared):
        return unknown
    weights = np.log(compared.max() / compared.min()) * x / (x @ x)
    row = effects.design.average({factor.name: dict(zip(factor.levels, weights.tolist(), strict=True))})
    row[0] = 0.0  # the weights sum to zero: a difference, without the overall mean
    estimate = effects.combination(row)
    least, most = (f"{size:.0f}" if size >= 100 else f"{size:.3g}" for size in (compared.min(), compared.max()))
    return Evidence(f"from {least} to {most} {what} ({name}): {estimate.times('error')}", estimate)


def halves(effects: Effects, name: str, is_after: IsAfter) -> Halves | str:
    """The levels of a column before and after a treatment, equally weighted, or why there is no such comparison."""
    factor = effects.design.factor(name)
    if factor is None or factor.aliases:
        return why_none(effects.design, name)
    part = factor.parts.index(name)
    kinds = [
        [[k for k in group if is_after(factor.choices[k][part], k) is kind] for kind in (False, True)]
        for group in _alike(factor, name)
    ]
    kinds = [both for both in kinds if all(both)]
    if not kinds:
        return f"{name} ({', '.join(factor.levels)}) does not hold both kinds of level"
    before, after = (
        {factor.levels[k]: 1 / len(kinds) / len(both[side]) for both in kinds for k in both[side]} for side in (0, 1)
    )
    return Halves(factor, before, after, f"{name} {' and '.join(after)} against {' and '.join(before)}")


def contrast(effects: Effects, compared: Sequence[Halves], name: str) -> Evidence:
    """After against before, in all given factors at once."""
    before = effects.design.average({half.factor.name: half.before for half in compared})
    after = effects.design.average({half.factor.name: half.after for half in compared})
    estimate = effects.combination(after - before)
    return Evidence(f"{name}: {estimate.times('error')}", estimate)


def level_means(factor: Factor, values: FloatArray, mean: Callable[[FloatArray], float]) -> FloatArray:
    """A mean over the runs of every level, NaN where no run has a value.

    Args:
        factor: Its index says which level each run has.
        values: Shape ``(n_rows,)``.
        mean: Of some values.
    """
    of_levels: list[NDArray[np.float64]] = [values[factor.index == k] for k in range(len(factor.levels))]
    known = [found[np.isfinite(found)] for found in of_levels]
    return np.array([mean(found) if len(found) else np.nan for found in known])


def why_none(design: Design, name: str) -> str:
    """Why a column decides nothing."""
    factor = design.factor(name)
    others = factor.aliases if factor else [one.name for one in design.factors if name in one.aliases]
    return (
        f"{name} is confounded with {' and '.join(others)}" if others else f"{name} does not vary in the runs analysed"
    )


def _alike(factor: Factor, name: str) -> list[list[int]]:
    """Numbers of the levels that agree in all parts but one, group by group."""
    part = factor.parts.index(name)
    groups: dict[tuple[str, ...], list[int]] = defaultdict(list)
    for number, choice in enumerate(factor.choices):
        groups[choice[:part] + choice[part + 1 :]].append(number)
    return list(groups.values())
