"""Brownian motion in the four-state potential, whose slow timescales are known from its generator."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from mdlm.system.base import Truth
from mdlm.system.four_state_potential import Boltzmann, check_shape, half_box, potential_energy
from mdlm.system.walkers import Advance, Start, WalkerSystem, check_positive
from mdlm.trajectory import FloatArray

N_NODES = (121, 241)  # nodes per axis of the coarse and of the fine Fokker-Planck grid
TAIL_KT = 10.0  # energy, in kT, at which the Fokker-Planck grid ends
N_TIMESCALES = 4


@dataclass(frozen=True, kw_only=True)
class FourStateOverdamped(WalkerSystem):
    """Brownian walkers in the four-state potential, started in equilibrium.

    Attributes:
        friction: Force / velocity; the diffusion constant is ``1 / (beta * friction)``.
        beta: Inverse temperature, 1 / energy.
        wall: Steepness of the confining wall, energy / length^6.
        width: Width of the wells and of the central hill.
    """

    friction: float
    beta: float
    wall: float
    width: float

    def __post_init__(self) -> None:
        super().__post_init__()
        check_positive(friction=self.friction, beta=self.beta)
        check_shape(self.wall, self.width)

    def dynamics(self) -> tuple[Start, Advance]:
        """Boltzmann positions, moved by `four_state_kernels.brownian`."""
        from mdlm.system.four_state_kernels import brownian, shape_of

        boltzmann = Boltzmann.of(self.beta, self.wall, self.width)
        shape = shape_of(self.wall, self.width)

        def start(rng: np.random.Generator) -> FloatArray:
            (position,) = boltzmann.draw(rng, 1)
            return np.asarray(position)

        def advance(rng: np.random.Generator, state: FloatArray, block: FloatArray) -> None:
            rates = (self.time_step, self.friction, self.beta)
            brownian(rng, state, block, self.save_every, *rates, shape)

        return start, advance

    def truth(self) -> Truth:
        """Timescales of the continuous-time process, from grids of one spacing and of half of it.

        The grid's error is of the second order in its spacing; it is extrapolated away, and what this changes
        of the finer grid's result is given as the error. A run's own time step is not part of it: at 0.01,
        Euler-Maruyama makes the published potential's slow processes 0.3 %, 0.15 % and 0.15 % faster.
        """
        half_side = half_box(self.beta, self.wall, TAIL_KT)
        coarse, fine = (
            fokker_planck_timescales(self.beta, self.friction, self.wall, self.width, half_side, n_nodes)
            for n_nodes in N_NODES
        )
        limit = tuple(b + (b - a) / 3 for a, b in zip(coarse, fine, strict=True))
        errors = tuple(abs(a - b) for a, b in zip(limit, fine, strict=True))
        nodes = " and ".join(f"{n} x {n}" for n in N_NODES)
        return Truth(limit, errors, f"Fokker-Planck operator on {nodes} nodes, extrapolated to zero spacing")

    def populations(self) -> FloatArray:
        """Exact share of time spent nearest to each well, in the order of `four_state_potential.CENTRES`."""
        return Boltzmann.of(self.beta, self.wall, self.width).populations()


@lru_cache(maxsize=8)
def fokker_planck_timescales(
    beta: float, friction: float, wall: float, width: float, half_side: float, n_nodes: int
) -> tuple[float, ...]:
    r"""Slowest relaxation times of Brownian motion in the four-state potential, from its generator.

    Neighbouring nodes :math:`i, j` a distance :math:`h` apart exchange at the rates
    :math:`k_{ij} = (D / h^2) \exp(-\beta (U_j - U_i) / 2)`, which obey detailed balance exactly and have the
    Fokker-Planck operator as their limit, with an error of order :math:`h^2`. Scaled by the square roots of
    the Boltzmann weights the rate matrix is symmetric, its off-diagonal elements all :math:`D / h^2`.

    Args:
        beta: Inverse temperature, 1 / energy.
        friction: Force / velocity; :math:`D = 1 / (\beta \gamma)`.
        wall: See `potential_energy`.
        width: See `potential_energy`.
        half_side: Reflecting walls stand at plus and minus this, along both axes. It must reach where hardly
            anything goes: 3.6, at the published parameters, makes the slowest process 0.2 % slower.
        n_nodes: Nodes per axis.

    Returns:
        The ``N_TIMESCALES`` slowest, in reduced time, slowest first.

    Source: Lie, Fackeldey & Weber, SIAM J. Matrix Anal. Appl. 34, 738 (2013).
    """
    from scipy.sparse import csc_array, diags_array, eye_array, kron
    from scipy.sparse.linalg import eigsh

    node, spacing = np.linspace(-half_side, half_side, n_nodes, retstep=True)
    half_energy = 0.5 * beta * potential_energy(node[:, None], node[None, :], wall, width)
    leaving = np.zeros_like(half_energy)
    along_x, along_y = np.exp(np.diff(half_energy, axis=0)), np.exp(np.diff(half_energy, axis=1))
    leaving[:-1] += 1 / along_x
    leaving[1:] += along_x
    leaving[:, :-1] += 1 / along_y
    leaving[:, 1:] += along_y
    chain = csc_array(np.eye(n_nodes, k=1) + np.eye(n_nodes, k=-1))
    neighbours = kron(chain, eye_array(n_nodes)) + kron(eye_array(n_nodes), chain)
    rates = csc_array((neighbours - diags_array(leaving.ravel())) / (beta * friction * spacing**2))
    # Shift-and-invert just above the stationary eigenvalue 0 finds those nearest to it.
    # The start vector is fixed because the default is drawn anew on each call.
    vector = np.random.default_rng(0).random(n_nodes**2)
    found = eigsh(rates, N_TIMESCALES + 1, sigma=1e-4 / friction, v0=vector, return_eigenvectors=False)
    return tuple(float(-1 / eigenvalue) for eigenvalue in np.sort(found)[::-1][1:])
