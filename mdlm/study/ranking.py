"""Which factor matters most, and how sure that is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mdlm.study.design import Design
from mdlm.study.effects import Effects
from mdlm.study.least_squares import EXACT, Fit, least_squares
from mdlm.trajectory import FloatArray

N_RESAMPLES = 1000


@dataclass(frozen=True)
class Ranked:
    """A factor's place.

    Attributes:
        factor: Name.
        spread: Standard deviation of its levels' marginal means on the logarithmic scale, without what noise adds.
        probabilities: Share of the resamples in which it takes each place, the first being the most important.
    """

    factor: str
    spread: float
    probabilities: tuple[float, ...]


def rank_factors(effects: Effects, seed: int = 0, n_resamples: int = N_RESAMPLES) -> tuple[Ranked, ...]:
    """Order factors by how far apart their levels lie, with the probability of each place.

    The wild bootstrap keeps the design as it is: each residual, enlarged for its leverage as in HC3, keeps or changes
    its sign at random. It holds for unequal variances and unbalanced designs.

    Source: Davidson & Flachaire, J. Econometrics 146, 162 (2008).
    """
    design, fit = effects.design, effects.fit
    rng = np.random.default_rng(seed)
    signs = rng.choice((-1.0, 1.0), size=(n_resamples, len(fit.residuals)))
    left = 1 - fit.leverage
    enlarged = np.where(left > EXACT, fit.residuals / np.maximum(left, EXACT), 0.0)
    fitted = design.matrix @ fit.coefficients
    resampled = least_squares(design.matrix, fitted + signs * enlarged)
    spreads, tie = _spreads(design, resampled), rng.random((n_resamples, len(design.factors)))
    places = np.lexsort((tie, -spreads), axis=-1).argsort(axis=-1)  # ties (no spread at all) are broken at random
    own = _spreads(design, fit)
    ranked = [
        Ranked(factor.name, float(own[i]), tuple(float((places[:, i] == place).mean()) for place in range(len(own))))
        for i, factor in enumerate(design.factors)
    ]
    return tuple(sorted(ranked, key=lambda one: -one.spread))


def _spreads(design: Design, fit: Fit) -> FloatArray:
    """Shape ``(..., n_factors)``."""
    found = []
    for factor in design.factors:
        rows = np.array([design.mean(**{factor.name: level}) for level in factor.levels])
        rows -= rows.mean(axis=0)
        values, errors = fit.combination(rows)
        excess = ((values**2) - (errors**2)).sum(axis=-1) / (len(factor.levels) - 1)
        found.append(np.sqrt(np.maximum(excess, 0.0)))
    return np.stack(found, axis=-1)
