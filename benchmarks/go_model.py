"""Steps per second of the C-alpha structure-based model, against the same model in OpenMM.

All run on one thread, interleaved; rates are per second of processor time, so that other work on the machine hardly
counts. Without a native structure the model is a helix of 34 beads; with one (``1PIN``, or a PDB file and a range of
residues) it is that protein's.

Usage: ``python benchmarks/go_model.py [thousand_steps] [repeats] [native first last]``
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from mdlm.system.go_model import MIN_SEPARATION, REPULSION_DIAMETER, GoModel
from mdlm.system.go_model_kernels import (
    ANGLE_STRENGTH,
    BOND_STRENGTH,
    DIHEDRAL_STRENGTHS,
    energy_and_forces,
    langevin,
)
from mdlm.system.ww_domain import WWDomain

if TYPE_CHECKING:
    import openmm

TIME_STEP, FRICTION, THERMAL_ENERGY = 0.004, 0.5, 1.16
GAS_CONSTANT = 0.00831446  # kJ / mol / K
FORMULAS = {
    "12-10-6": "13*(r0/r)^12 - 18*(r0/r)^10 + 4*(r0/r)^6",
    "10-12": "5*(r0/r)^12 - 6*(r0/r)^10",
}


def openmm_system(model: GoModel) -> openmm.System:
    """The model in OpenMM's forces; a contact's energy is 1 kJ/mol, a bead's mass 1 dalton."""
    import openmm

    n_beads, native = len(model.beads), openmm.System()
    frame = model.native
    for _ in range(n_beads):
        native.addParticle(1.0)
    bonds = openmm.HarmonicBondForce()
    angles = openmm.HarmonicAngleForce()
    dihedrals = openmm.CustomTorsionForce("k1*(1 - cos(theta - theta0)) + k3*(1 - cos(3*(theta - theta0)))")
    for name, value in zip(("k1", "k3"), DIHEDRAL_STRENGTHS, strict=True):
        dihedrals.addGlobalParameter(name, value)
    dihedrals.addPerTorsionParameter("theta0")
    for i in range(n_beads - 1):
        bonds.addBond(i, i + 1, float(np.linalg.norm(frame[i + 1] - frame[i])), 2 * BOND_STRENGTH)
    for i in range(n_beads - 2):
        before, after = frame[i] - frame[i + 1], frame[i + 2] - frame[i + 1]
        cosine = before @ after / np.linalg.norm(before) / np.linalg.norm(after)
        angles.addAngle(i, i + 1, i + 2, float(np.arccos(cosine)), 2 * ANGLE_STRENGTH)
    for i in range(n_beads - 3):
        dihedrals.addTorsion(i, i + 1, i + 2, i + 3, [dihedral(*frame[i : i + 4])])
    contacts = openmm.CustomBondForce(FORMULAS[model.contact_form])
    contacts.addPerBondParameter("r0")
    repulsion = openmm.CustomNonbondedForce(f"({REPULSION_DIAMETER}/r)^12")
    for _ in range(n_beads):
        repulsion.addParticle([])
    for i in range(n_beads):
        for j in range(i + 1, min(i + MIN_SEPARATION, n_beads)):
            repulsion.addExclusion(i, j)
    for i, j in model.contacts.tolist():
        contacts.addBond(i, j, [float(np.linalg.norm(frame[i] - frame[j]))])
        repulsion.addExclusion(i, j)
    for force in (bonds, angles, dihedrals, contacts, repulsion):
        native.addForce(force)
    return native


def dihedral(a: np.ndarray, b: np.ndarray, c: np.ndarray, d: np.ndarray) -> float:
    """Of four points, radians; the projections onto the plane across the middle bond."""
    axis = (c - b) / np.linalg.norm(c - b)
    near, far = (a - b) - ((a - b) @ axis) * axis, (d - c) - ((d - c) @ axis) * axis
    return float(np.arctan2(np.cross(axis, near) @ far, near @ far))


def helix() -> GoModel:
    turn = np.radians(100) * np.arange(34)
    native = np.stack([0.23 * np.cos(turn), 0.23 * np.sin(turn), 0.15 * np.arange(34)], axis=1)
    contacts = np.array([(i, j) for i in range(34) for j in range(i + 4, min(i + 7, 34))])
    return GoModel(tuple(f"ALA{n}-CA" for n in range(34)), native, contacts, "12-10-6")


def mdlm_runner(model: GoModel) -> Callable[[int], None]:
    parameters, rng = model.parameters(), np.random.default_rng(0)
    state = np.zeros((3, 3, len(model.beads)))
    state[0] = model.native.T
    energy_and_forces(state[0], state[2], parameters)
    frame = np.empty((1, state[0].size), np.float32)
    return lambda n_steps: langevin(rng, state, frame, n_steps, TIME_STEP, FRICTION, THERMAL_ENERGY, parameters)


def openmm_runner(model: GoModel, platform: str) -> Callable[[int], None]:
    import openmm

    integrator = openmm.LangevinMiddleIntegrator(THERMAL_ENERGY / GAS_CONSTANT, FRICTION, TIME_STEP)
    chosen = openmm.Platform.getPlatformByName(platform)
    properties = {"Threads": "1"} if platform == "CPU" else {}
    context = openmm.Context(openmm_system(model), integrator, chosen, properties)
    context.setPositions(model.native)
    held = [context]  # an integrator does not keep its context alive

    def run(n_steps: int) -> None:
        held[0].getIntegrator().step(n_steps)

    return run


def main(thousands: int, repeats: int, native: list[str]) -> None:
    model = helix()
    if native:
        name, first, last = native
        model = WWDomain(
            lag_time=20, native=name, residues=(int(first), int(last)), chain=None, contact_cutoff=0.6,
            contact_form="12-10-6", thermal_energy=THERMAL_ENERGY, friction=FRICTION, time_step=TIME_STEP,
            save_every=1, n_walkers=1, n_steps=1, seed=0,
        ).model  # fmt: skip
    runners = {"mdlm (numba)": mdlm_runner(model)}
    try:
        runners |= {f"OpenMM {platform}": openmm_runner(model, platform) for platform in ("Reference", "CPU")}
    except ImportError:
        print("OpenMM is not installed: pip install 'mdlm-kinetics[simulate]'")
    rates: dict[str, list[float]] = {name: [] for name in runners}
    for run in runners.values():
        run(100)  # compile before the clock starts
    for _ in range(repeats):
        for name, run in runners.items():
            began = time.process_time()
            run(1000 * thousands)
            rates[name].append(1000 * thousands / (time.process_time() - began))
    ours = statistics.median(rates["mdlm (numba)"])
    print(f"{len(model.beads)} beads, {len(model.contacts)} contacts; steps per second of one core")
    print(f"{'':<20}{'min':>10}{'median':>10}{'mdlm is faster by':>20}")
    for name, values in rates.items():
        median = statistics.median(values)
        print(f"{name:<20}{min(values):>10,.0f}{median:>10,.0f}{ours / median:>20.1f}")


if __name__ == "__main__":
    words = sys.argv[1:]
    main(int(words[0]) if words else 20, int(words[1]) if len(words) > 1 else 3, words[2:])
