"""The design matrix of a factorial study: main effects and two-way interactions, and what cannot be estimated."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np

from mdlm.study.levels import Factor, separable
from mdlm.trajectory import FloatArray

if TYPE_CHECKING:
    import pandas as pd

LEAST_DF = 5
"""Residual degrees of freedom below which nothing is said about the size of an error."""
NAMED_UP_TO = 3


@dataclass(frozen=True)
class Term:
    """A main effect or a two-way interaction: its factors and its columns of the design."""

    factors: tuple[Factor, ...]
    columns: slice

    @property
    def name(self) -> str:
        """Such as ``stride`` or ``model:stride``."""
        return ":".join(factor.name for factor in self.factors)

    @property
    def df(self) -> int:
        """Number of columns."""
        return int(self.columns.stop - self.columns.start)


@dataclass(frozen=True)
class Design:
    """Sum-to-zero coded design.

    Attributes:
        matrix: Shape ``(n_rows, n_columns)``, of full column rank, the intercept first.
        factors: Those whose main effects are estimated.
        terms: Main effects, then interactions, with their columns.
        notes: What is confounded, left out or assumed.
    """

    matrix: FloatArray
    factors: tuple[Factor, ...]
    terms: tuple[Term, ...]
    notes: tuple[str, ...]

    def mean(self, **at: str) -> FloatArray:
        """Weights of the marginal mean at some levels, averaged equally over the levels of every other factor.

        Args:
            at: Level of each factor that is held, by the factor's name (``**{"partition.n_bins": "10"}``).

        Returns:
            Shape ``(n_columns,)``.
        """
        return self.average({name: {level: 1.0} for name, level in at.items()})

    def average(self, at: Mapping[str, Mapping[str, float]]) -> FloatArray:
        """Like `mean`, with weights over the levels of each factor that is held; products for several factors."""
        codes = {}
        for factor in self.factors:
            weights = np.array([at.get(factor.name, {}).get(level, 0.0) for level in factor.levels])
            codes[factor.name] = weights @ factor.codes
        row = np.zeros(self.matrix.shape[1])
        row[0] = 1.0
        for term in self.terms:
            first, *rest = (codes[factor.name] for factor in term.factors)
            row[term.columns] = np.kron(first, rest[0]) if rest else first
        return row

    def factor(self, name: str) -> Factor | None:
        """The factor that a column of the table is, or is a part of, if its effect is estimated."""
        return next((factor for factor in self.factors if name in factor.parts), None)


def make_design(rows: pd.DataFrame, names: Sequence[str]) -> Design:
    """Design of main effects and, where the runs allow, all two-way interactions.

    An interaction is left out, and named, if one of its combinations of levels was never run (marginal means could not
    be formed), or if it is aliased with effects that stand before it. All are left out if fewer than five residual
    degrees of freedom would remain.

    Raises:
        ValueError: No factor has an effect to estimate, or there are too few runs for the main effects; or interactions
            are aliased and hardly more combinations of levels were run than there are columns. Nothing but the scatter
            of the replicates would then pass for error: wrong effects with narrow intervals.
    """
    factors, notes = separable(rows, tuple(names))
    if not factors:
        raise ValueError("; ".join(notes) or "factors () must name at least one that varies")
    blocks: list[FloatArray] = [np.ones((len(rows), 1))]
    terms: list[Term] = []
    for factor in factors:
        _append(blocks, terms, (factor,), factor.columns)
    n_main = sum(block.shape[1] for block in blocks)
    if len(rows) - n_main < LEAST_DF:
        raise ValueError(
            f"runs ({len(rows)} decided) must be at least {n_main + LEAST_DF}: the main effects of "
            f"{', '.join(f.name for f in factors)} take {n_main}, and {LEAST_DF} are needed to know the error"
        )
    n_terms, n_notes, aliased = len(terms), len(notes), False
    for pair in combinations(factors, 2):
        columns = np.einsum("ni,nj->nij", pair[0].columns, pair[1].columns).reshape(len(rows), -1)
        empty = _empty(pair)
        reason = empty or _aliased(columns, blocks, terms)
        aliased |= bool(reason and not empty)
        if reason:
            notes.append(f"interaction {pair[0].name}:{pair[1].name} is not estimated: {reason}")
        else:
            _append(blocks, terms, pair, columns)
    matrix = np.hstack(blocks)
    n_combinations = len(set(zip(*(factor.index.tolist() for factor in factors), strict=True)))
    if aliased and n_combinations < len(rows) and n_combinations - matrix.shape[1] < LEAST_DF:
        raise ValueError(
            f"combinations of levels ({n_combinations} decided) must be at least {matrix.shape[1] + LEAST_DF} to tell "
            f"the effects of {', '.join(f.name for f in factors)} from each other: run more of the design"
        )
    if len(rows) - matrix.shape[1] < LEAST_DF:
        matrix, terms = matrix[:, :n_main], terms[:n_terms]
        notes = [
            *notes[:n_notes],
            f"no interaction is estimated: {len(rows)} runs are too few for them; they count as error",
        ]
    return Design(matrix, tuple(factors), tuple(terms), tuple(notes))


def _append(blocks: list[FloatArray], terms: list[Term], factors: tuple[Factor, ...], columns: FloatArray) -> None:
    start = sum(block.shape[1] for block in blocks)
    terms.append(Term(factors, slice(start, start + columns.shape[1])))
    blocks.append(columns)


def _empty(pair: tuple[Factor, Factor]) -> str:
    """Combinations of two factors' levels without a run, in words."""
    first, second = pair
    seen = set(zip(first.index.tolist(), second.index.tolist(), strict=True))
    absent = [
        f"{a} with {b}" for i, a in enumerate(first.levels) for j, b in enumerate(second.levels) if (i, j) not in seen
    ]
    if not absent:
        return ""
    more = f" and {len(absent) - NAMED_UP_TO} more" if len(absent) > NAMED_UP_TO else ""
    return f"no decided run has {', '.join(absent[:NAMED_UP_TO])}{more}; the two are taken as independent"


def _aliased(columns: FloatArray, blocks: list[FloatArray], terms: list[Term]) -> str:
    """With which earlier terms some of the columns are aliased, in words."""
    basis = np.hstack(blocks)
    both = np.hstack([basis, columns])
    if np.linalg.matrix_rank(both) == both.shape[1]:
        return ""
    solution = np.linalg.lstsq(basis, columns, rcond=None)[0]
    used = np.abs(solution).max(axis=1) > 1e-8
    names = [term.name for term in terms if used[term.columns].any()]
    return f"it is aliased with {' and '.join(names) or 'other effects'}, which are read as if it were zero"
