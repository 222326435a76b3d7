"""The whole analysis of one study's table."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mdlm.study.assumptions import Check, check_assumptions
from mdlm.study.claims import Claim, judge_claims
from mdlm.study.design import make_design
from mdlm.study.effects import Effects, estimate_effects
from mdlm.study.mixed import MixedEffects, mixed_effects
from mdlm.study.ranking import Ranked, rank_factors
from mdlm.study.response import ERROR, Response, make_response
from mdlm.study.sensitivity import Sensitivity, sensitivities
from mdlm.study.tidy import StudyTable


@dataclass(frozen=True)
class Analysis:
    """What a study says about one response.

    Attributes:
        table: The runs.
        response: What was analysed of each.
        effects: Tests and sizes; None where nothing could be estimated.
        undecided: Why not, else empty.
        ranking: Factors by importance.
        mixed: With a random intercept for each kind of block.
        checks: Assumptions.
        sensitivity: One for each of ``effects.contrasts``.
        claims: C1 to C4; empty for any response but ``error``, which they speak of.
        notes: What a reader must know.
    """

    table: StudyTable
    response: Response
    effects: Effects | None
    undecided: str
    ranking: tuple[Ranked, ...] = ()
    mixed: tuple[MixedEffects, ...] = ()
    checks: tuple[Check, ...] = ()
    sensitivity: tuple[Sensitivity, ...] = ()
    claims: tuple[Claim, ...] = ()
    notes: tuple[str, ...] = ()


def analyse(table: StudyTable, response: str = ERROR, seed: int = 0) -> Analysis:
    """Analyse one response of a table.

    Args:
        table: See `mdlm.study.tidy.study_table`.
        response: ``error``, ``ratio`` or the name of a metric; see `mdlm.study.response.make_response`.
        seed: Of the bootstrap behind the ranking.

    Raises:
        ValueError: No run has the response.
    """
    found = make_response(table.rows, response)
    rows = table.rows[found.analysed]
    values = found.values[found.analysed]
    notes = (*table.notes, *found.rules)
    try:
        design = make_design(rows, table.factors)
        if np.ptp(values) == 0:
            what = "lie at the data-limited floor" if found.floored.any() else "have the same response"
            raise ValueError(f"all {len(rows)} decided runs {what}: there is nothing to tell apart")
    except ValueError as error:
        claims = judge_claims(None, rows, str(error)) if response == ERROR else ()
        return Analysis(table, found, None, f"undecided: {error}", claims=claims, notes=notes)
    effects = estimate_effects(design, values)
    return Analysis(
        table=table,
        response=found,
        effects=effects,
        undecided="",
        ranking=rank_factors(effects, seed),
        mixed=tuple(_mixed(effects, values, table, found)),
        checks=check_assumptions(effects),
        sensitivity=tuple(sensitivities(effects, table.rows, table.factors, found)),
        claims=judge_claims(effects, rows) if response == ERROR else (),
        notes=(*notes, *design.notes),
    )


def _mixed(effects: Effects, values: np.ndarray, table: StudyTable, response: Response) -> list[MixedEffects]:
    """One fit for each replicate that runs of several combinations of levels share."""
    rows = table.rows[response.analysed]
    found = []
    for name in table.replicates:
        blocks = np.asarray(rows[name])
        n_blocks = len(np.unique(blocks))
        if 1 < n_blocks < len(rows) / 2:
            found.append(mixed_effects(effects, values, name, blocks))
    return found
