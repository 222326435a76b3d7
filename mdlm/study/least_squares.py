"""Least squares with a covariance that needs no equal variances."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mdlm.trajectory import FloatArray

EXACT = 1e-8  # one minus the leverage, below which a row is met exactly whatever its response


@dataclass(frozen=True)
class Fit:
    """Coefficients of one or many responses on one design.

    Attributes:
        coefficients: Shape ``(..., n_columns)``.
        covariance: Of the coefficients, HC3, shape ``(..., n_columns, n_columns)``.
        normal_inverse: Inverse of ``design.T @ design``.
        residuals: Shape ``(..., n_rows)``.
        leverage: Diagonal of the hat matrix, shape ``(n_rows,)``.
        df: Residual degrees of freedom.
    """

    coefficients: FloatArray
    covariance: FloatArray
    normal_inverse: FloatArray
    residuals: FloatArray
    leverage: FloatArray
    df: int

    @property
    def scale(self) -> FloatArray:
        """Residual variance, shape ``(...)``."""
        return np.asarray((self.residuals**2).sum(axis=-1) / self.df)

    def combination(self, weights: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Value and standard error of linear combinations of the coefficients.

        Args:
            weights: Shape ``(n_combinations, n_columns)``.

        Returns:
            Two arrays of shape ``(..., n_combinations)``.
        """
        variance = (weights @ self.covariance * weights).sum(axis=-1)
        return self.coefficients @ weights.T, np.sqrt(np.maximum(variance, 0.0))


def least_squares(design: FloatArray, response: FloatArray) -> Fit:
    r"""Ordinary least squares with the HC3 covariance.

    .. math:: V = (X^T X)^{-1} X^T \mathrm{diag}\!\left(\frac{e_i^2}{(1 - h_i)^2}\right) X (X^T X)^{-1}

    A row of leverage one is met exactly and has no residual of its own; the residual variance stands in for it.

    Args:
        design: Shape ``(n_rows, n_columns)``, of full column rank.
        response: Shape ``(..., n_rows)``: one response, or many on the same design.

    Raises:
        ValueError: There are no more rows than columns, or columns depend on each other.

    Source: MacKinnon & White, J. Econometrics 29, 305 (1985); Long & Ervin, Am. Stat. 54, 217 (2000).
    """
    n_rows, n_columns = design.shape
    if n_rows <= n_columns:
        raise ValueError(f"design ({n_rows} rows) must have more rows than its {n_columns} columns")
    q, r = np.linalg.qr(design)
    diagonal = np.abs(np.diag(r))
    if diagonal.min() < 1e-10 * diagonal.max():
        raise ValueError(f"design ({n_columns} columns) must have columns that do not depend on each other")
    r_inverse = np.linalg.inv(r)
    coefficients = response @ q @ r_inverse.T
    residuals = response - coefficients @ design.T
    leverage = (q**2).sum(axis=1)
    df = n_rows - n_columns
    left = 1.0 - leverage
    scale = (residuals**2).sum(axis=-1, keepdims=True) / df
    squares = np.where(left > EXACT, (residuals / np.maximum(left, EXACT)) ** 2, scale)
    half = q @ r_inverse.T  # rows of (X'X)^-1 X'
    covariance = np.stack([squares @ (half * column[:, None]) for column in half.T], axis=-2)  # matrix products: fast
    return Fit(coefficients, covariance, r_inverse @ r_inverse.T, residuals, leverage, df)
