"""Compiled motion in the four-state potential.

Force and integrators share this file because numba's disk cache looks at one file's date only: a force kept
elsewhere could change without its integrators being compiled again.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from mdlm.trajectory import FloatArray

# Everything "fast" except the promise that nothing is ever infinite or NaN: a diverging run must show it. For
# the same reason a division by zero gives infinity ("numpy") and is no error in the middle of a step.
FAST = {"reassoc", "contract", "arcp", "nsz", "afn"}


Shape = tuple[float, float, float, float]


@njit(fastmath=FAST, error_model="numpy", nogil=True, cache=True)
def shape_of(wall: float, width: float) -> Shape:
    """What `force` needs of the potential's parameters; worked out once, outside the loop over steps.

    The wells lie at squared distances 5 (outer) and 4.25 (inner) from the origin.
    """
    inverse = 1.0 / (width * width)
    return 6.0 * wall, inverse, math.exp(-2.5 * inverse), math.exp(-2.125 * inverse)


@njit(fastmath=FAST, error_model="numpy", nogil=True, cache=True)
def force(x: float, y: float, shape: Shape) -> tuple[float, float]:
    """Minus the gradient of `mdlm.system.four_state_potential.potential_energy`, of parameters `shape_of`.

    Every Gaussian is a product of the central one and of powers of ``exp(x / 2 s^2)`` and ``exp(y / s^2)``,
    since all centres are multiples of 1/2 in x and of 1 in y: three exponentials instead of ten.
    """
    steepness, inverse, outer_weight, inner_weight = shape
    hill = math.exp(-0.5 * (x * x + y * y) * inverse)
    right = math.exp(0.5 * x * inverse)
    up = math.exp(y * inverse)
    left, down = 1.0 / right, 1.0 / up
    right_4, left_4 = right * right * right * right, left * left * left * left
    outer, inner = hill * outer_weight, hill * inner_weight
    well_1 = outer * right_4 * down
    well_2 = inner * right * up * up
    well_3 = inner * left * down * down
    well_4 = outer * left_4 * up
    pull_x = (x - 2.0) * well_1 + (x - 0.5) * well_2 + (x + 0.5) * well_3 + (x + 2.0) * well_4
    pull_y = (y + 1.0) * well_1 + (y - 2.0) * well_2 + (y + 2.0) * well_3 + (y - 1.0) * well_4
    xx, yy = x * x, y * y
    force_x = inverse * (x * hill - pull_x) - steepness * xx * xx * x
    force_y = inverse * (y * hill - pull_y) - steepness * yy * yy * y
    return force_x, force_y


@njit(fastmath=FAST, error_model="numpy", nogil=True, cache=True)
def langevin(
    rng: np.random.Generator,
    state: FloatArray,
    frames: FloatArray,
    save_every: int,
    time_step: float,
    mass: float,
    friction: float,
    beta: float,
    shape: Shape,
) -> None:
    """Underdamped Langevin motion; moves ``state`` and fills ``frames``.

    The scheme is O B A B O with its two neighbouring half steps O merged into one: friction and noise exactly
    for a whole step, half a kick, drift, half a kick. At the end of a step the velocities are those between
    the two halves of O, which leave the Maxwell distribution unchanged.

    Args:
        rng: The walker's random numbers.
        state: ``(x, y, velocity x, velocity y, force x, force y)``, changed in place. The force is kept so
            that a run in two chunks has the same bits as a run in one.
        frames: Shape ``(n_frames, 2)``, filled with positions.
        save_every: Steps per frame.
        time_step: Integrator step.
        mass: Mass.
        friction: Damping rate of the velocity, 1 / time.
        beta: Inverse temperature, 1 / energy.
        shape: The potential's, see `shape_of`.

    Source: Bussi & Parrinello, Phys. Rev. E 75, 056707 (2007).
    """
    keep = math.exp(-friction * time_step)
    noise = math.sqrt((1.0 - keep * keep) / (beta * mass))
    kick = 0.5 * time_step / mass
    x, y, velocity_x, velocity_y, force_x, force_y = state
    for frame in range(len(frames)):
        for _ in range(save_every):
            velocity_x = keep * velocity_x + noise * rng.standard_normal() + kick * force_x
            velocity_y = keep * velocity_y + noise * rng.standard_normal() + kick * force_y
            x += time_step * velocity_x
            y += time_step * velocity_y
            force_x, force_y = force(x, y, shape)
            velocity_x += kick * force_x
            velocity_y += kick * force_y
        frames[frame, 0] = x
        frames[frame, 1] = y
    state[0], state[1], state[2] = x, y, velocity_x
    state[3], state[4], state[5] = velocity_y, force_x, force_y


@njit(fastmath=FAST, error_model="numpy", nogil=True, cache=True)
def brownian(
    rng: np.random.Generator,
    state: FloatArray,
    frames: FloatArray,
    save_every: int,
    time_step: float,
    friction: float,
    beta: float,
    shape: Shape,
) -> None:
    """Overdamped motion by Euler-Maruyama; moves ``state``, which is ``(x, y)``, and fills ``frames``.

    Args as for `langevin`, but ``friction`` is force / velocity: the diffusion constant is
    ``1 / (beta * friction)``.
    """
    drift = time_step / friction
    noise = math.sqrt(2.0 * time_step / (beta * friction))
    x, y = state
    for frame in range(len(frames)):
        for _ in range(save_every):
            force_x, force_y = force(x, y, shape)
            x += drift * force_x + noise * rng.standard_normal()
            y += drift * force_y + noise * rng.standard_normal()
        frames[frame, 0] = x
        frames[frame, 1] = y
    state[0], state[1] = x, y
