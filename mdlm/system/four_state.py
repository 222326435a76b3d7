"""Underdamped Langevin motion in the four-state potential: two pairs of wells, slow between the pairs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mdlm.system.base import Truth
from mdlm.system.four_state_potential import Boltzmann, check_shape
from mdlm.system.walkers import Advance, Start, WalkerSystem, check_positive
from mdlm.trajectory import FloatArray

MEASURED_AT = {"mass": 1.0, "friction": 1.0, "beta": 9.5, "time_step": 0.01, "wall": 1e-4, "width": 0.8}
MEASURED = Truth(
    timescales=(8531.0, 695.0, 640.0),
    errors=(83.0, 14.0, 13.0),  # t2's is its standard error; t3 and t4 are known to about 2 %
    source="t2: reactive flux over the high barrier; t3, t4: four-state MSM of 1e9 steps",
)


@dataclass(frozen=True, kw_only=True)
class FourState(WalkerSystem):
    """Underdamped Langevin walkers in the four-state potential, started in equilibrium.

    Attributes:
        mass: Mass.
        friction: Damping rate of the velocity, 1 / time.
        beta: Inverse temperature, 1 / energy.
        wall: Steepness of the confining wall, energy / length^6.
        width: Width of the wells and of the central hill.
    """

    mass: float
    friction: float
    beta: float
    wall: float
    width: float

    def __post_init__(self) -> None:
        super().__post_init__()
        check_positive(mass=self.mass, friction=self.friction, beta=self.beta)
        check_shape(self.wall, self.width)

    def dynamics(self) -> tuple[Start, Advance]:
        """Boltzmann positions with Maxwell velocities, moved by `four_state_kernels.langevin`."""
        from mdlm.system.four_state_kernels import force, langevin, shape_of

        boltzmann = Boltzmann.of(self.beta, self.wall, self.width)
        shape = shape_of(self.wall, self.width)

        def start(rng: np.random.Generator) -> FloatArray:
            (position,) = boltzmann.draw(rng, 1)
            velocity = rng.standard_normal(2) / np.sqrt(self.beta * self.mass)
            return np.concatenate([position, velocity, force(*position, shape)])

        def advance(rng: np.random.Generator, state: FloatArray, block: FloatArray) -> None:
            rates = (self.time_step, self.mass, self.friction, self.beta)
            langevin(rng, state, block, self.save_every, *rates, shape)

        return start, advance

    def truth(self) -> Truth | None:
        """The measured timescales, where every physical parameter is the one they were measured at."""
        same = all(getattr(self, name) == value for name, value in MEASURED_AT.items())
        return MEASURED if same else None

    def populations(self) -> FloatArray:
        """Exact share of time spent nearest to each well, in the order of `four_state_potential.CENTRES`."""
        return Boltzmann.of(self.beta, self.wall, self.width).populations()
