"""Factors with ordered levels, and which of them can be told apart."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from mdlm.trajectory import FloatArray, IntArray

if TYPE_CHECKING:
    import pandas as pd

BASELINE = "keep"
"""The level that means "nothing done" stands first, so that the others are compared with it."""


@dataclass(frozen=True)
class Factor:
    """A factor of the analysis.

    Attributes:
        name: Column of the table.
        levels: In order: numbers ascending, else the baseline and then the alphabet. The first is compared with.
        index: Level of every row, shape ``(n_rows,)``.
        parts: Columns of the table it is made of: its own, or several whose effects cannot be told apart.
        choices: Of each level the level of every part.
        aliases: Other factors that vary together with this one, so that its effect may be theirs.
    """

    name: str
    levels: tuple[str, ...]
    index: IntArray
    parts: tuple[str, ...]
    choices: tuple[tuple[str, ...], ...]
    aliases: tuple[str, ...] = ()

    @property
    def codes(self) -> FloatArray:
        """Sum-to-zero coding, shape ``(n_levels, n_levels - 1)``; the levels' equal average is zero."""
        n_others = len(self.levels) - 1
        return np.vstack([np.eye(n_others), -np.ones(n_others)])

    @property
    def columns(self) -> FloatArray:
        """The coded rows, shape ``(n_rows, n_levels - 1)``."""
        return np.asarray(self.codes[self.index])

    @property
    def numbers(self) -> FloatArray | None:
        """The levels as numbers, None where they are names."""
        return _numbers(self.levels)


def _numbers(levels: tuple[str, ...]) -> FloatArray | None:
    try:
        values = np.array([float(level) for level in levels])
    except ValueError:
        return None
    return values if np.isfinite(values).all() else None


def factor(rows: pd.DataFrame, name: str) -> Factor:
    """A column of the table as a factor."""
    labels = [level_label(value) for value in rows[name]]
    found = sorted(set(labels), key=lambda label: (label != BASELINE, label))
    numbers = _numbers(tuple(found))
    if numbers is not None:
        found = [found[i] for i in np.argsort(numbers)]
    place = {level: number for number, level in enumerate(found)}
    index = np.array([place[label] for label in labels], dtype=np.intp)
    return Factor(name, tuple(found), index, (name,), tuple((level,) for level in found))


def joined(first: Factor, second: Factor) -> Factor:
    """Two factors as one, whose levels are the combinations that were run."""
    pairs = list(zip(first.index.tolist(), second.index.tolist(), strict=True))
    place = {pair: number for number, pair in enumerate(sorted(set(pairs)))}
    choices = tuple(first.choices[a] + second.choices[b] for a, b in place)
    return Factor(
        name=f"{first.name}/{second.name}",
        levels=tuple("/".join(choice) for choice in choices),
        index=np.array([place[pair] for pair in pairs], dtype=np.intp),
        parts=first.parts + second.parts,
        choices=choices,
        aliases=first.aliases + second.aliases,
    )


def level_label(value: object) -> str:
    """A level as text, the same for 10 and 10.0.

    Example:
        >>> level_label(10.0), level_label("pcca"), level_label(0.5)
        ('10', 'pcca', '0.5')
    """
    if isinstance(value, float | int) and not isinstance(value, bool) and math.isfinite(value):
        return f"{value:.12g}"
    return str(value)


def separable(rows: pd.DataFrame, names: tuple[str, ...]) -> tuple[list[Factor], list[str]]:
    """Factors whose effects can be told apart, and in words what became of the others.

    A factor of one level has no effect to estimate. One that another determines, or that a combination of others
    determines additively, is confounded: it becomes an alias of those and is not estimated. Factors of which only a
    part is confounded (features and partitions of which few go together) are joined into one.
    """
    kept: list[Factor] = []
    notes: list[str] = []
    found = [factor(rows, name) for name in names]
    for new in sorted(found, key=lambda one: -len(one.levels)):  # the finer of two first: it determines the coarser
        if len(new.levels) < 2:
            notes.append(
                f"{new.name} has one level ({''.join(new.levels)}) in the runs analysed: no effect to estimate"
            )
        elif others := _confounded_with(new, kept):
            what = " and ".join(others)
            notes.append(f"{new.name} is confounded with {what}: its effect cannot be told from that of {what}")
            kept = [replace(f, aliases=(*f.aliases, new.name)) if f.name in others else f for f in kept]
        else:
            kept = _with(new, kept, names)
    for one in kept:
        if len(one.parts) > 1:
            of = math.prod(len(f.levels) for f in found if f.name in one.parts)
            notes.append(
                f"{one.name} is one factor: of the {of} combinations of {' and '.join(one.parts)} only "
                f"{len(one.levels)} have a decided run, too few to tell their effects apart"
            )
    return sorted(kept, key=lambda one: names.index(one.parts[0])), notes


def _with(new: Factor, kept: list[Factor], names: tuple[str, ...]) -> list[Factor]:
    """The factors kept so far and a new one, joined with those that it shares a part of its columns with."""
    while partner := _partner(new, kept):
        kept = [one for one in kept if one is not partner]
        new = joined(*sorted((partner, new), key=lambda one: names.index(one.parts[0])))
    return [*kept, new]


def _partner(new: Factor, kept: list[Factor]) -> Factor | None:
    """The factor whose columns share most with the new one's, None where all can be told apart."""
    blocks = [np.ones((len(new.index), 1)), *(one.columns for one in kept), new.columns]
    both = np.hstack(blocks)
    sizes, directions = np.linalg.eigh(both.T @ both)
    shared = np.abs(directions[:, sizes < 1e-10 * sizes[-1]]).sum(axis=1)  # what adds up to zero in every run
    weights, start = [], 1
    for one in kept:
        weights.append(shared[start : (start := start + len(one.levels) - 1)].sum())
    return kept[int(np.argmax(weights))] if kept and max(weights) > 1e-8 else None


def _confounded_with(found: Factor, kept: list[Factor]) -> list[str]:
    """Names of the factors whose columns hold this one's."""
    for other in kept:
        if _determined(found, other):
            return [other.name]
    if not kept:
        return []
    basis = np.hstack([np.ones((len(found.index), 1)), *(f.columns for f in kept)])
    solution = np.linalg.lstsq(basis, found.columns, rcond=None)[0]
    if np.abs(found.columns - basis @ solution).max() > 1e-8:
        return []
    used, names, start = np.abs(solution).max(axis=1) > 1e-8, [], 1
    for other in kept:
        stop = start + len(other.levels) - 1
        if used[start:stop].any():
            names.append(other.name)
        start = stop
    return names


def _determined(found: Factor, other: Factor) -> bool:
    """Whether each level of the other factor comes with one level of this."""
    pairs = len(set(zip(other.index.tolist(), found.index.tolist(), strict=True)))
    return pairs == len(set(other.index.tolist()))
