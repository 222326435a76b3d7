"""The four-state potential in the plane and its Boltzmann distribution; reduced units throughout."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike

from mdlm.trajectory import FloatArray

CENTRES = ((2.0, -1.0), (0.5, 2.0), (-0.5, -2.0), (-2.0, 1.0))
"""Where the four Gaussian wells are put; the minima lie within 0.05 of them."""
NARROWEST = 0.2  # below this width the force's factorised exponentials overflow
TAIL_KT = 40.0  # energy, in kT, above which no point is drawn: a weight of 4e-18
N_CELLS = 1000  # cells per axis of the Boltzmann grid: 0.013 wide for the published parameters


def potential_energy(x: ArrayLike, y: ArrayLike, wall: float, width: float) -> FloatArray:
    r"""Energy of the four-state potential.

    .. math:: U = W (x^6 + y^6) + G(x,0) G(y,0) - \sum_i G(x,a_i) G(y,b_i),
        \quad G(u,c) = \exp\left(-(u-c)^2 / 2 s^2\right)

    Args:
        x: Coordinates, any shape.
        y: Coordinates that broadcast with ``x``.
        wall: :math:`W`, energy / length^6.
        width: :math:`s`, the width of the central hill and of the four wells.

    Returns:
        Energies, of the broadcast shape.

    Source: Zeng, Cao, Huang & Yao, arXiv 2107.06573 (2021).

    Example:
        >>> potential_energy([2.016, 0.508], [-1.021, 2.046], wall=1e-4, width=0.8).round(3).tolist()
        [-0.978, -0.963]
    """
    x, y = np.asarray(x, float), np.asarray(y, float)

    def bump(a: float, b: float) -> FloatArray:
        return np.asarray(np.exp(-((x - a) ** 2 + (y - b) ** 2) / (2 * width**2)))

    walls = wall * (x**6 + y**6)
    return np.asarray(walls + bump(0, 0) - sum(bump(a, b) for a, b in CENTRES))


def check_shape(wall: float, width: float) -> None:
    """Raise `ValueError` where the potential would not confine, or its force would overflow."""
    if not 0 < wall < np.inf:
        raise ValueError(f"wall ({wall}) must be positive and finite")
    if not NARROWEST <= width < np.inf:
        raise ValueError(f"width ({width}) must be at least {NARROWEST}")


def half_box(beta: float, wall: float, tail_kt: float) -> float:
    """Half the side of a square outside which the energy is at least ``tail_kt`` above its minimum, in kT.

    The five Gaussians change the energy by less than 2; the rest is up to the wall.
    """
    return float(((tail_kt / beta + 2) / wall) ** (1 / 6))


def cell_centres(half_side: float) -> FloatArray:
    """Middle of each of the ``N_CELLS`` equal cells of ``[-half_side, half_side)``, along one axis."""
    return np.asarray((np.arange(N_CELLS) + 0.5) * (2 * half_side / N_CELLS) - half_side)


@dataclass(frozen=True)
class Boltzmann:
    """The Boltzmann distribution of the four-state potential, as probabilities of small square cells.

    Attributes:
        probabilities: Shape ``(N_CELLS, N_CELLS)``, first axis x; sums to one.
        half_side: The cells cover ``[-half_side, half_side)`` along both axes.
    """

    probabilities: FloatArray
    half_side: float

    @classmethod
    def of(cls, beta: float, wall: float, width: float) -> Boltzmann:
        """The distribution at inverse temperature ``beta``; see `potential_energy` for the rest."""
        half_side = half_box(beta, wall, TAIL_KT)
        centre = cell_centres(half_side)
        energy = potential_energy(centre[:, None], centre[None, :], wall, width)
        weights = np.exp(-beta * (energy - energy.min()))
        return cls(weights / weights.sum(), half_side)

    @cached_property
    def _cumulative(self) -> FloatArray:
        return np.cumsum(self.probabilities)

    def populations(self) -> FloatArray:
        """Probability of being nearest to each of `CENTRES`, by summing cells; shape ``(4,)``."""
        centre = cell_centres(self.half_side)
        squared = [(centre[:, None] - a) ** 2 + (centre[None, :] - b) ** 2 for a, b in CENTRES]
        nearest = np.argmin(squared, axis=0)
        return np.array([self.probabilities[nearest == well].sum() for well in range(len(CENTRES))])

    def draw(self, rng: np.random.Generator, n_points: int) -> FloatArray:
        """Draw independent points: a cell by inverse CDF, then uniformly inside it; shape ``(n_points, 2)``.

        Within a cell the density is taken as constant, an error of the second order in the cell's width.
        """
        drawn = rng.random(n_points) * self._cumulative[-1]
        cells = np.searchsorted(self._cumulative, drawn, side="right")
        corners = np.stack(np.divmod(cells, N_CELLS), axis=1)
        return np.asarray((corners + rng.random((n_points, 2))) * (2 * self.half_side / N_CELLS) - self.half_side)
