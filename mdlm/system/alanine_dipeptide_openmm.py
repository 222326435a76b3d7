"""Alanine dipeptide moved by OpenMM: the one module that imports it."""

from __future__ import annotations

import io
import time
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Literal

import numpy as np

from mdlm.system.alanine_dipeptide_structure import PDB
from mdlm.system.segments import PhasePoint
from mdlm.trajectory import FloatArray

if TYPE_CHECKING:
    import mdtraj
    import openmm
    from openmm import app

PlatformName = Literal["auto", "Reference", "CPU", "CUDA", "OpenCL"]

HYDROGEN_MASS = 3.0  # amu, taken from the heavy atom it is bonded to
BORN_RADII = {"H": 0.12, "C": 0.17, "N": 0.155, "O": 0.15}  # nm (mbondi2); a hydrogen on nitrogen has 0.13
SCREENING = {"H": 0.85, "C": 0.72, "N": 0.79, "O": 0.85}
WATER_DIELECTRIC = 78.5
DETERMINISTIC = {"DeterministicForces": "true"}
PROPERTIES = {"CPU": {"Threads": "1", **DETERMINISTIC}, "CUDA": DETERMINISTIC}  # one process per core; the same bits
MINIMISED_FORCE = 1.0  # kJ/(mol nm), root mean square
TIMED_SECONDS = 0.3


@dataclass(frozen=True)
class Molecule:
    """The molecule in a heat bath, by the Langevin middle integrator.

    Attributes:
        temperature_K: Of the heat bath.
        friction: Of the heat bath, 1 / ps.
        time_step: Of the integrator, ps.
        save_every: Steps per frame.
        n_equilibration: Steps at ``temperature_K`` before the first segment.
        platform: Of OpenMM; not ``auto``.
        saved: Atoms whose coordinates make a frame.

    Source: Zhang, Liu, Yan, Tuckerman & Liu, J. Phys. Chem. A 123, 6056 (2019).
    """

    temperature_K: float
    friction: float
    time_step: float
    save_every: int
    n_equilibration: int
    platform: str
    saved: tuple[int, ...]

    def begin(self, seed: int) -> PhasePoint:
        """The minimised conformation with Maxwell velocities, moved until it has forgotten both."""
        import openmm

        context = self._context(seed)
        context.setPositions(topology_and_positions()[1])
        openmm.LocalEnergyMinimizer.minimize(context, MINIMISED_FORCE)
        context.setVelocitiesToTemperature(self.temperature_K, seed)
        self._step(context, self.n_equilibration)
        return _phase_point(context)

    def advance(self, point: PhasePoint, n_frames: int, seed: int) -> tuple[FloatArray, PhasePoint]:
        """Move on and save frames, the first one ``save_every`` steps from here.

        The molecule drifts freely, so each frame is centred on its saved atoms.

        Returns:
            Frames, shape ``(n_frames, 3 n_saved)``, nm, float32; and where they end.
        """
        context = self._context(seed)
        context.setPositions(point.positions)
        context.setVelocities(point.velocities)
        frames = np.empty((n_frames, 3 * len(self.saved)), np.float32)
        for frame in frames:
            self._step(context, self.save_every)
            positions = _positions(context)[list(self.saved)]
            with np.errstate(over="ignore"):  # of an exploded molecule, told below
                frame[:] = (positions - positions.mean(axis=0)).ravel()
        if not np.isfinite(frames).all():
            raise self._unstable("coordinates are no longer finite")
        return frames, _phase_point(context)

    def seconds(self, n_begun: int, n_frames: int) -> float:
        """How long one process takes to begin trajectories and to make frames; measured on the spot."""
        point, n_timed, taken = replace(self, n_equilibration=0).begin(seed=1), 16, 0.0
        while taken < TIMED_SECONDS:
            n_timed *= 2
            began = time.perf_counter()
            self.advance(point, n_timed, seed=1)
            taken = time.perf_counter() - began
        return taken / n_timed * (n_frames + n_begun * self.n_equilibration / self.save_every)

    def _context(self, seed: int) -> openmm.Context:
        import openmm

        integrator = openmm.LangevinMiddleIntegrator(self.temperature_K, self.friction, self.time_step)
        integrator.setRandomNumberSeed(seed)
        platform = openmm.Platform.getPlatformByName(self.platform)
        return openmm.Context(openmm_system(), integrator, platform, PROPERTIES.get(self.platform, {}))

    def _step(self, context: openmm.Context, n_steps: int) -> None:
        import openmm

        try:
            context.getIntegrator().step(n_steps)
        except openmm.OpenMMException as error:
            raise self._unstable(str(error)) from error

    def _unstable(self, reason: str) -> ValueError:
        return ValueError(
            f"system.time_step ({self.time_step:g} ps) is too large at temperature_K {self.temperature_K:g}: {reason}"
        )


@lru_cache(maxsize=1)
def openmm_system() -> openmm.System:
    """Amber99sb-ildn with the OBC2 implicit solvent; bonds to hydrogen rigid, hydrogens heavy.

    The native ``GBSAOBCForce`` gives the energies of the force field file ``implicit/obc2.xml`` (a custom force) about
    30 times as fast.

    Source: Lindorff-Larsen et al., Proteins 78, 1950 (2010); Onufriev, Bashford & Case, Proteins 55, 383 (2004);
    Hopkins, Le Grand, Walker & Roitberg, J. Chem. Theory Comput. 11, 1864 (2015).
    """
    import openmm
    from openmm import app, unit

    topology, _ = topology_and_positions()
    system = app.ForceField("amber99sbildn.xml").createSystem(
        topology,
        nonbondedMethod=app.NoCutoff,
        constraints=app.HBonds,
        hydrogenMass=HYDROGEN_MASS * unit.dalton,
        removeCMMotion=False,
    )
    (nonbonded,) = (force for force in system.getForces() if isinstance(force, openmm.NonbondedForce))
    solvent = openmm.GBSAOBCForce()
    solvent.setNonbondedMethod(openmm.GBSAOBCForce.NoCutoff)
    solvent.setSolventDielectric(WATER_DIELECTRIC)
    solvent.setSoluteDielectric(1.0)
    partners = {atom: other for bond in topology.bonds() for atom, other in (bond, bond[::-1])}
    for atom in topology.atoms():
        element = atom.element.symbol
        on_nitrogen = element == "H" and partners[atom].element.symbol == "N"
        charge, _, _ = nonbonded.getParticleParameters(atom.index)
        solvent.addParticle(charge, 0.13 if on_nitrogen else BORN_RADII[element], SCREENING[element])
    system.addForce(solvent)
    return system


@lru_cache(maxsize=1)
def topology_and_positions() -> tuple[app.Topology, FloatArray]:
    """Atoms and bonds, and where they start: shape ``(22, 3)``, nm."""
    from openmm import app, unit

    structure = app.PDBFile(io.StringIO(PDB))
    return structure.topology, np.asarray(structure.getPositions(asNumpy=True).value_in_unit(unit.nanometer))


def mdtraj_topology(saved: tuple[int, ...]) -> mdtraj.Topology:
    """Atoms and bonds of the saved atoms."""
    import mdtraj

    return mdtraj.Topology.from_openmm(topology_and_positions()[0]).subset(saved)


def resolved(platform: PlatformName) -> str:
    """The platform to use: of ``auto`` a GPU where one works, else Reference.

    Raises:
        ValueError: OpenMM is not installed, or the platform does not work here.
    """
    try:
        import openmm
    except ImportError:
        raise ValueError(
            "system (alanine_dipeptide) needs OpenMM, which is not installed: pip install 'mdlm-kinetics[simulate]'"
        ) from None
    there = [openmm.Platform.getPlatform(number).getName() for number in range(openmm.Platform.getNumPlatforms())]
    wanted = ("CUDA", "OpenCL", "Reference") if platform == "auto" else (platform,)
    for name in wanted:
        if name in there and _works(name):
            return name
    raise ValueError(f"system.platform ({platform}) does not work here; OpenMM has {', '.join(filter(_works, there))}")


def maker(platform: str) -> str:
    """What the bits of a trajectory depend on besides its fields and this code."""
    import openmm

    return f"OpenMM {openmm.Platform.getOpenMMVersion()}, {platform}"


def _works(platform: str) -> bool:
    """Whether a system can be made on it; a driver may be missing."""
    import openmm

    system = openmm.System()
    system.addParticle(1.0)
    try:
        openmm.Context(system, openmm.VerletIntegrator(0.001), openmm.Platform.getPlatformByName(platform))
    except openmm.OpenMMException:
        return False
    return True


def _positions(context: openmm.Context) -> FloatArray:
    return np.asarray(context.getState(getPositions=True).getPositions(asNumpy=True)._value)


def _phase_point(context: openmm.Context) -> PhasePoint:
    state = context.getState(getPositions=True, getVelocities=True)
    positions, velocities = state.getPositions(asNumpy=True), state.getVelocities(asNumpy=True)
    return PhasePoint(np.asarray(positions._value), np.asarray(velocities._value))
