"""The same effects when runs that share a seed or data have an error in common."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass

import numpy as np

from mdlm.study.effects import Effects, Estimated
from mdlm.trajectory import FloatArray

NO_SHARE = 0.005  # of the residual variance, shown as 0 %; at the boundary the fit complains of itself


@dataclass(frozen=True)
class MixedEffects:
    """A random intercept for each block.

    Attributes:
        block: Column whose values name the blocks.
        n_blocks: How many.
        share: Variance between blocks over that and the residual one.
        contrasts: As `mdlm.study.effects.Effects.contrasts`, in that order; intervals from the normal distribution.
        warning: What the fit complained of, else empty.
    """

    block: str
    n_blocks: int
    share: float
    contrasts: tuple[Estimated, ...]
    warning: str


def mixed_effects(effects: Effects, response: FloatArray, block: str, blocks: FloatArray) -> MixedEffects:
    """Fit by restricted maximum likelihood (statsmodels).

    Args:
        effects: The fit without blocks, whose design and contrasts are used.
        response: Shape ``(n_rows,)``.
        block: Name, for the report.
        blocks: Block of each row, shape ``(n_rows,)``.

    Source: Laird & Ware, Biometrics 38, 963 (1982).
    """
    from scipy import stats
    from statsmodels.regression.mixed_linear_model import MixedLM

    design = effects.design
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        # Without gradients: quasi-Newton methods of statsmodels 0.15 can end at a variance of zero that is no optimum.
        fitted = MixedLM(response, design.matrix, groups=blocks).fit(reml=True, method="powell")
    n_columns = design.matrix.shape[1]
    beta = np.asarray(fitted.fe_params)
    covariance = np.asarray(fitted.cov_params())[:n_columns, :n_columns]
    between = float(np.asarray(fitted.cov_re)[0, 0])
    width = float(stats.norm.ppf(0.975))
    found = []
    for contrast in effects.contrasts:
        row = design.mean(**{contrast.factor: contrast.level}) - design.mean(**{contrast.factor: contrast.baseline})
        value, error = float(beta @ row), math.sqrt(max(float(row @ covariance @ row), 0.0))
        p = 2 * float(stats.norm.sf(abs(value) / error)) if error > 0 else math.nan
        found.append(Estimated(value, value - width * error, value + width * error, p))
    share = between / (between + float(fitted.scale))
    complaint = "" if fitted.converged else "the fit did not converge"
    if not complaint and share < NO_SHARE:
        complaint = "no variance between blocks was found"
    elif not complaint and caught:
        complaint = str(caught[0].message).split(";")[0]
    return MixedEffects(block, len(np.unique(blocks)), share, tuple(found), complaint)
