"""Compiled energy, forces and Langevin motion of the C-alpha structure-based model.

Positions and forces have shape ``(3, n_beads)``, so that a loop over the partners of a bead reads neighbouring numbers.
Units: nm, the mass of a bead, the energy of a contact, and the time they make, a model picosecond.
All terms share this file because numba's disk cache looks at one file's date only.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from mdlm.trajectory import FloatArray

# Everything "fast" except the promise that nothing is ever infinite or NaN: a diverging run must show it. For
# the same reason a division by zero gives infinity ("numpy") and is no error in the middle of a step.
FAST = {"reassoc", "contract", "arcp", "nsz", "afn"}

BOND_STRENGTH = 1e4  # contact energies / nm^2
ANGLE_STRENGTH = 20.0  # contact energies / rad^2
DIHEDRAL_STRENGTHS = (1.0, 0.5)  # of one and of three turns, contact energies
TINY = 1e-30  # nm^2; spares a bead's distance to itself a division by zero

Parameters = tuple[FloatArray, FloatArray, FloatArray, FloatArray]
"""Native bond lengths ``(n - 1,)``, angles ``(n - 2,)`` and dihedrals ``(n - 3,)``, and the pairs, ``(4, n, n)``."""


@njit(fastmath=FAST, error_model="numpy", nogil=True, cache=True)
def add_bonds(x: FloatArray, f: FloatArray, lengths: FloatArray) -> float:
    """Energy of the harmonic bonds, ``k (r - r0)^2``; adds their forces to ``f``."""
    energy = 0.0
    for i in range(len(lengths)):
        d0, d1, d2 = x[0, i + 1] - x[0, i], x[1, i + 1] - x[1, i], x[2, i + 1] - x[2, i]
        length = math.sqrt(d0 * d0 + d1 * d1 + d2 * d2)
        stretch = length - lengths[i]
        energy += BOND_STRENGTH * stretch * stretch
        pull = 2.0 * BOND_STRENGTH * stretch / length
        f[0, i] += pull * d0
        f[1, i] += pull * d1
        f[2, i] += pull * d2
        f[0, i + 1] -= pull * d0
        f[1, i + 1] -= pull * d1
        f[2, i + 1] -= pull * d2
    return energy


@njit(fastmath=FAST, error_model="numpy", nogil=True, cache=True)
def add_angles(x: FloatArray, f: FloatArray, angles: FloatArray) -> float:
    """Energy of the harmonic bond angles, ``k (theta - theta0)^2``; adds their forces to ``f``."""
    energy = 0.0
    for i in range(len(angles)):
        a0, a1, a2 = x[0, i] - x[0, i + 1], x[1, i] - x[1, i + 1], x[2, i] - x[2, i + 1]
        b0, b1, b2 = x[0, i + 2] - x[0, i + 1], x[1, i + 2] - x[1, i + 1], x[2, i + 2] - x[2, i + 1]
        per_a = 1.0 / math.sqrt(a0 * a0 + a1 * a1 + a2 * a2)
        per_b = 1.0 / math.sqrt(b0 * b0 + b1 * b1 + b2 * b2)
        a0, a1, a2, b0, b1, b2 = a0 * per_a, a1 * per_a, a2 * per_a, b0 * per_b, b1 * per_b, b2 * per_b
        cosine = min(1.0, max(-1.0, a0 * b0 + a1 * b1 + a2 * b2))
        bend = math.acos(cosine) - angles[i]
        energy += ANGLE_STRENGTH * bend * bend
        # minus the derivative by the cosine; three beads in a line push in no direction, however far from native
        slope = 2.0 * ANGLE_STRENGTH * bend / math.sqrt(max(1e-12, 1.0 - cosine * cosine))
        on_a, on_b = slope * per_a, slope * per_b
        p0, p1, p2 = on_a * (b0 - cosine * a0), on_a * (b1 - cosine * a1), on_a * (b2 - cosine * a2)
        q0, q1, q2 = on_b * (a0 - cosine * b0), on_b * (a1 - cosine * b1), on_b * (a2 - cosine * b2)
        f[0, i] += p0
        f[1, i] += p1
        f[2, i] += p2
        f[0, i + 1] -= p0 + q0
        f[1, i + 1] -= p1 + q1
        f[2, i + 1] -= p2 + q2
        f[0, i + 2] += q0
        f[1, i + 2] += q1
        f[2, i + 2] += q2
    return energy


@njit(fastmath=FAST, error_model="numpy", nogil=True, cache=True)
def add_dihedrals(x: FloatArray, f: FloatArray, turns: FloatArray) -> float:
    """Energy of the dihedrals, ``k1 (1 - cos d) + k3 (1 - cos 3d)`` with d from native; adds their forces to ``f``.

    Args:
        x: Positions.
        f: Forces.
        turns: Cosine and sine of the native dihedrals, shape ``(2, n_beads - 3)``.

    Source of the forces: Blondel & Karplus, J. Comput. Chem. 17, 1132 (1996).
    """
    energy = 0.0
    once, thrice = DIHEDRAL_STRENGTHS
    for i in range(turns.shape[1]):
        a0, a1, a2 = x[0, i + 1] - x[0, i], x[1, i + 1] - x[1, i], x[2, i + 1] - x[2, i]
        b0, b1, b2 = x[0, i + 2] - x[0, i + 1], x[1, i + 2] - x[1, i + 1], x[2, i + 2] - x[2, i + 1]
        c0, c1, c2 = x[0, i + 3] - x[0, i + 2], x[1, i + 3] - x[1, i + 2], x[2, i + 3] - x[2, i + 2]
        m0, m1, m2 = a1 * b2 - a2 * b1, a2 * b0 - a0 * b2, a0 * b1 - a1 * b0
        n0, n1, n2 = b1 * c2 - b2 * c1, b2 * c0 - b0 * c2, b0 * c1 - b1 * c0
        mm = max(1e-12, m0 * m0 + m1 * m1 + m2 * m2)
        nn = max(1e-12, n0 * n0 + n1 * n1 + n2 * n2)
        bb = b0 * b0 + b1 * b1 + b2 * b2
        axis = math.sqrt(bb)
        scale = 1.0 / math.sqrt(mm * nn)
        cosine = (m0 * n0 + m1 * n1 + m2 * n2) * scale
        sine = axis * (a0 * n0 + a1 * n1 + a2 * n2) * scale
        cos_d = cosine * turns[0, i] + sine * turns[1, i]
        sin_d = sine * turns[0, i] - cosine * turns[1, i]
        energy += once * (1.0 - cos_d) + thrice * (1.0 - cos_d * (4.0 * cos_d * cos_d - 3.0))
        slope = axis * (once * sin_d + 3.0 * thrice * sin_d * (3.0 - 4.0 * sin_d * sin_d))
        on_m, on_n = slope / mm, -slope / nn
        from_a = (a0 * b0 + a1 * b1 + a2 * b2) / bb
        from_c = (c0 * b0 + c1 * b1 + c2 * b2) / bb
        for k, (m, n) in enumerate(((m0, n0), (m1, n1), (m2, n2))):
            first, last = on_m * m, on_n * n
            shared = from_c * last - from_a * first
            f[k, i] += first
            f[k, i + 1] += shared - first
            f[k, i + 2] -= shared + last
            f[k, i + 3] += last
    return energy


@njit(fastmath=FAST, error_model="numpy", nogil=True, cache=True)
def add_pairs(x: FloatArray, f: FloatArray, pairs: FloatArray) -> float:
    """Energy of contacts and repulsion, ``a12 u^6 + a10 u^5 + a6 u^3`` with ``u = s^2 / r^2``; adds forces to ``f``.

    Each pair is worked out for both of its beads: the inner loop then only adds up, with nothing to write, and the
    compiler takes several partners at once, which saves more than half of the work would.

    Args:
        x: Positions.
        f: Forces.
        pairs: ``s^2``, ``a12``, ``a10`` and ``a6`` of beads i and j at ``[:, i, j]`` and at ``[:, j, i]``, all zero for
            beads that do not interact; shape ``(4, n_beads, n_beads)``.
    """
    twice_energy = 0.0
    n_beads = x.shape[1]
    for i in range(n_beads):
        f0, f1, f2 = 0.0, 0.0, 0.0
        for j in range(n_beads):
            d0, d1, d2 = x[0, j] - x[0, i], x[1, j] - x[1, i], x[2, j] - x[2, i]
            per_square = 1.0 / (d0 * d0 + d1 * d1 + d2 * d2 + TINY)
            u = pairs[0, i, j] * per_square
            uu = u * u
            repulsive, attractive, barrier = pairs[1, i, j] * uu * u, pairs[2, i, j] * uu, pairs[3, i, j]
            twice_energy += uu * u * (repulsive + attractive + barrier)
            push = per_square * uu * u * (12.0 * repulsive + 10.0 * attractive + 6.0 * barrier)
            f0 -= push * d0
            f1 -= push * d1
            f2 -= push * d2
        f[0, i] += f0
        f[1, i] += f1
        f[2, i] += f2
    return 0.5 * twice_energy


@njit(fastmath=FAST, error_model="numpy", nogil=True, cache=True)
def energy_and_forces(x: FloatArray, f: FloatArray, parameters: Parameters) -> float:
    """Potential energy of positions ``x``; puts the forces into ``f``."""
    lengths, angles, turns, pairs = parameters
    f[:] = 0.0
    energy: float = add_bonds(x, f, lengths) + add_angles(x, f, angles)
    energy += add_dihedrals(x, f, turns) + add_pairs(x, f, pairs)
    return energy


@njit(fastmath=FAST, error_model="numpy", nogil=True, cache=True)
def langevin(
    rng: np.random.Generator,
    state: FloatArray,
    frames: FloatArray,
    save_every: int,
    time_step: float,
    friction: float,
    thermal_energy: float,
    parameters: Parameters,
) -> None:
    """Langevin motion of beads of mass 1 by the "middle" scheme; moves ``state`` and fills ``frames``.

    A kick for a whole step, half a drift, friction and noise exactly for a whole step, half a drift: what it
    samples of a harmonic bond's length is exact at any stable step.

    Args:
        rng: The walker's random numbers.
        state: Positions, velocities and forces, shape ``(3, 3, n_beads)``, changed in place. The forces are kept
            so that a run in two chunks has the same bits as a run in one.
        frames: Shape ``(n_frames, 3 n_beads)``, filled with x, y and z of each bead about their centre.
        save_every: Steps per frame.
        time_step: Integrator step.
        friction: Damping rate of the velocity, 1 / time.
        thermal_energy: kT.
        parameters: Of the model.

    Source: Zhang, Liu, Yan, Tuckerman & Liu, J. Phys. Chem. A 123, 6056 (2019).
    """
    x, v, f = state[0], state[1], state[2]
    n_beads = x.shape[1]
    keep = math.exp(-friction * time_step)
    noise = math.sqrt((1.0 - keep * keep) * thermal_energy)
    half = 0.5 * time_step
    for frame in range(len(frames)):
        for _ in range(save_every):
            for k in range(3):
                for i in range(n_beads):
                    kicked = v[k, i] + time_step * f[k, i]
                    v[k, i] = keep * kicked + noise * rng.standard_normal()
                    x[k, i] += half * (kicked + v[k, i])
            energy_and_forces(x, f, parameters)
        for k in range(3):
            centre = x[k].mean()
            for i in range(n_beads):
                frames[frame, 3 * i + k] = x[k, i] - centre
