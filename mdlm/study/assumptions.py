"""Whether the residuals are what the analysis takes them for, in plain words."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mdlm.study.effects import Effects

SUSPICIOUS = 0.01  # p-value of a check below which it is told as a departure


@dataclass(frozen=True)
class Check:
    """One assumption: its name, the test's p-value or number, and what follows for the reader."""

    name: str
    number: str
    is_met: bool
    meaning: str


def check_assumptions(effects: Effects) -> tuple[Check, ...]:
    """Normality (Shapiro and Wilk), equal variances (Breusch and Pagan, studentised), and leverage."""
    fit, matrix = effects.fit, effects.design.matrix
    free = fit.leverage < 1 - 1e-8
    if not fit.residuals.any():
        return (Check("residuals", "all zero", False, "the runs are met exactly: there is no error to judge by"),)
    studentised = fit.residuals[free] / np.sqrt(float(fit.scale) * (1 - fit.leverage[free]))
    return (_normality(studentised), _equal_variances(effects), _leverage(fit.leverage, matrix.shape))


def _normality(studentised: np.ndarray) -> Check:
    from scipy import stats

    sample = studentised[:: -(-len(studentised) // 5000)]  # the test's p-value is made for at most 5000
    p = float(stats.shapiro(sample).pvalue)
    skewness = float(stats.skew(studentised))
    met = p >= SUSPICIOUS
    meaning = (
        "residuals look normal"
        if met
        else f"residuals are not normal (skewness {skewness:+.2f}): intervals rest on the number of runs "
        f"({len(studentised)}) and are less sure where a level has few"
    )
    return Check("normal residuals", f"Shapiro-Wilk p = {p:.2g}", met, meaning)


def _equal_variances(effects: Effects) -> Check:
    from statsmodels.stats.diagnostic import het_breuschpagan

    main = [
        0,
        *(c for t in effects.design.terms if len(t.factors) == 1 for c in range(t.columns.start, t.columns.stop)),
    ]
    p = float(het_breuschpagan(effects.fit.residuals, effects.design.matrix[:, main], robust=True)[1])
    met = p >= SUSPICIOUS
    meaning = "no sign that some levels scatter more" if met else "some levels scatter more than others"
    return Check("equal variances", f"Breusch-Pagan p = {p:.2g}", met, f"{meaning}; intervals are robust to that (HC3)")


def _leverage(leverage: np.ndarray, shape: tuple[int, int]) -> Check:
    exact = int((leverage > 1 - 1e-8).sum())
    mean = shape[1] / shape[0]
    far = int((leverage > 3 * mean).sum())
    number = f"largest {leverage.max():.2g}, mean {mean:.2g}"
    if exact:
        meaning = f"{exact} runs alone decide a coefficient: its error is taken from the other runs"
    elif far:
        meaning = f"{far} runs weigh more than three times the average; see whether an effect rests on them alone"
    else:
        meaning = "no run weighs much more than the others"
    return Check("no run dominates", number, not (exact or far), meaning)
