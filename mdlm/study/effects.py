"""Main effects and interactions: tests, sizes as factors with intervals, and marginal means."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np

from mdlm.study.design import Design, Term
from mdlm.study.least_squares import Fit, least_squares
from mdlm.study.levels import Factor
from mdlm.trajectory import FloatArray

CONFIDENCE = 0.95
ALPHA = 1 - CONFIDENCE
ROUNDING = 1e-9
"""Differences of logarithms below this are rounding: runs at the floor are equal, and without scatter that counts."""


@dataclass(frozen=True)
class Estimated:
    """A linear combination of effects on the logarithmic scale, with its interval (95 %, not adjusted)."""

    value: float
    low: float
    high: float
    p: float

    def times(self, quantity: str) -> str:
        """In words, as a factor.

        Example:
            >>> Estimated(-math.log(2.3), -math.log(2.9), -math.log(1.8), 0.001).times("error")
            'error / 2.3 [1.8, 2.9]'
            >>> Estimated(0.1, -0.2, 0.4, 0.5).times("error")
            'error × 1.11 [0.819, 1.49]'
        """
        sign, value = ("/", -self.value) if self.value < 0 else ("×", self.value)
        ends = sorted(math.exp(min(-end if self.value < 0 else end, 700.0)) for end in (self.low, self.high))
        return f"{quantity} {sign} {math.exp(min(value, 700.0)):.3g} [{ends[0]:.3g}, {ends[1]:.3g}]"


@dataclass(frozen=True)
class TermTest:
    """One line of the analysis of variance.

    Attributes:
        name: Factor, or two with a colon.
        df: Numerator degrees of freedom.
        f: Robust Wald statistic (HC3) over ``df``.
        p: Its p-value, not adjusted.
        p_holm: Adjusted over all terms (Holm).
        share: Its sum of squares (type III) over the total one: share of variance in a balanced design.
        partial_eta2: Over itself and the residual.
        partial_omega2: The same without the upward bias of a small sample; can be below zero.
        largest: For a main effect the largest ratio of two levels, for an interaction the largest departure of one
            combination from the product of the main effects; a factor, at least 1.
    """

    name: str
    df: int
    f: float
    p: float
    p_holm: float
    share: float
    partial_eta2: float
    partial_omega2: float
    largest: float

    @property
    def conclusion(self) -> str:
        """``matters`` or ``undecided``: no effect found is no proof of none."""
        return "matters" if self.p_holm < ALPHA else "undecided"


@dataclass(frozen=True)
class LevelMean:
    """Marginal mean of one level, or of one pair of levels, averaged equally over all other factors."""

    at: dict[str, str]
    estimate: Estimated
    n_runs: int


@dataclass(frozen=True)
class LevelContrast:
    """One level of a factor against another.

    Attributes:
        factor: Name.
        baseline: What is compared with.
        level: What is compared.
        estimate: Difference of their marginal means.
        p_holm: Adjusted over all pairs of levels of all factors (Holm).
    """

    factor: str
    baseline: str
    level: str
    estimate: Estimated
    p_holm: float

    def sentence(self, quantity: str) -> str:
        """Such as ``recrossing keep → coring: error / 2.3 [1.8, 2.9]``."""
        return f"{self.factor} {self.baseline} → {self.level}: {self.estimate.times(quantity)}"


@dataclass(frozen=True)
class Effects:
    """Everything the fit says.

    Attributes:
        design: The design that was fitted.
        fit: Coefficients and covariance.
        terms: Analysis of variance.
        means: Marginal mean of each level of each factor.
        contrasts: All pairs of levels of each factor.
        r_squared: Share of the variance that all terms explain.
    """

    design: Design
    fit: Fit
    terms: tuple[TermTest, ...]
    means: tuple[LevelMean, ...]
    contrasts: tuple[LevelContrast, ...]
    r_squared: float

    def combination(self, weights: FloatArray) -> Estimated:
        """Estimate and interval of one linear combination of the coefficients, shape ``(n_columns,)``."""
        return estimated(self.fit, weights[None])[0]

    def pair_means(self, first: Factor, second: Factor) -> list[LevelMean]:
        """Marginal mean of each combination of the levels of two factors, for an interaction plot."""
        means = []
        for (i, a), (j, b) in ((x, y) for x in enumerate(first.levels) for y in enumerate(second.levels)):
            at = {first.name: a, second.name: b}
            n_runs = int(((first.index == i) & (second.index == j)).sum())
            means.append(LevelMean(at, self.combination(self.design.mean(**at)), n_runs))
        return means


def estimate_effects(design: Design, response: FloatArray) -> Effects:
    """Fit the design and test every term.

    Args:
        design: See `mdlm.study.design.make_design`.
        response: Logarithmic response of every row, shape ``(n_rows,)``.
    """
    fit = least_squares(design.matrix, response)
    total = float(((response - response.mean()) ** 2).sum())
    tests = [_test(term, design, fit, total) for term in design.terms]
    tests = [replace(test, p_holm=p) for test, p in zip(tests, holm([test.p for test in tests]), strict=True)]
    contrasts = list(_contrasts(design, fit))
    adjusted = holm([contrast.estimate.p for contrast in contrasts])
    explained = 1 - float((fit.residuals**2).sum()) / total if total > 0 else math.nan
    return Effects(
        design=design,
        fit=fit,
        terms=tuple(tests),
        means=tuple(_means(design, fit)),
        contrasts=tuple(replace(c, p_holm=p) for c, p in zip(contrasts, adjusted, strict=True)),
        r_squared=explained,
    )


def estimated(fit: Fit, weights: FloatArray) -> list[Estimated]:
    """Estimate, interval and two-sided p-value of each row of ``weights`` for a fit of one response."""
    from scipy import stats

    values, errors = (np.where(np.abs(found) < ROUNDING, 0.0, found) for found in fit.combination(weights))
    half = stats.t.ppf((1 + CONFIDENCE) / 2, fit.df) * errors
    with np.errstate(divide="ignore", invalid="ignore"):
        p = np.where(errors > 0, 2 * stats.t.sf(np.abs(values / errors), fit.df), np.where(values == 0, 1.0, 0.0))
    return [Estimated(*map(float, row)) for row in zip(values, values - half, values + half, p, strict=True)]


def holm(p_values: list[float]) -> list[float]:
    """Adjusted p-values; the chance of any false finding stays at its level.

    Example:
        >>> holm([0.01, 0.04, 0.03])
        [0.03, 0.06, 0.06]

    Source: Holm, Scand. J. Stat. 6, 65 (1979).
    """
    adjusted, running = [1.0] * len(p_values), 0.0
    for rank, index in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        running = max(running, (len(p_values) - rank) * p_values[index])
        adjusted[index] = min(running, 1.0)
    return adjusted


def _test(term: Term, design: Design, fit: Fit, total: float) -> TermTest:
    from scipy import stats

    beta = fit.coefficients[term.columns]
    robust = fit.covariance[term.columns, term.columns]
    inverse = np.linalg.pinv(robust, rcond=ROUNDING, hermitian=True)  # without directions in which nothing scatters
    wald = float(beta @ inverse @ beta) / term.df
    squares = float(beta @ np.linalg.solve(fit.normal_inverse[term.columns, term.columns], beta))
    mean_error = float(fit.scale)
    residual = mean_error * fit.df
    n_rows = len(design.matrix)
    whole = squares + residual
    return TermTest(
        name=term.name,
        df=term.df,
        f=wald,
        p=float(stats.f.sf(wald, term.df, fit.df)) if np.any(robust) else float(not np.any(beta)),
        p_holm=math.nan,
        share=squares / total if total > 0 else math.nan,
        partial_eta2=squares / whole if whole > 0 else math.nan,
        partial_omega2=(squares - term.df * mean_error) / (squares + (n_rows - term.df) * mean_error)
        if whole > 0
        else math.nan,
        largest=math.exp(min(_largest(term, beta), 700.0)),
    )


def _largest(term: Term, beta: FloatArray) -> float:
    if len(term.factors) == 1:
        return float(np.ptp(term.factors[0].codes @ beta))
    codes = np.kron(*(factor.codes for factor in term.factors))
    return float(np.abs(codes @ beta).max())


def _means(design: Design, fit: Fit) -> Iterator[LevelMean]:
    for factor in design.factors:
        weights = np.array([design.mean(**{factor.name: level}) for level in factor.levels])
        counts = np.bincount(factor.index, minlength=len(factor.levels)).tolist()
        for level, estimate, n_runs in zip(factor.levels, estimated(fit, weights), counts, strict=True):
            yield LevelMean({factor.name: level}, estimate, n_runs)


def _contrasts(design: Design, fit: Fit) -> Iterator[LevelContrast]:
    for factor in design.factors:
        pairs = list(combinations(factor.levels, 2))
        rows = [design.mean(**{factor.name: b}) - design.mean(**{factor.name: a}) for a, b in pairs]
        for (a, b), estimate in zip(pairs, estimated(fit, np.array(rows)), strict=True):
            yield LevelContrast(factor.name, a, b, estimate, math.nan)
