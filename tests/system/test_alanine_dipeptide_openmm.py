"""The molecule that OpenMM moves: its energies, forces, masses and temperature."""

from dataclasses import replace

import mdtraj
import numpy as np
import pytest

openmm = pytest.importorskip("openmm", reason="OpenMM is not installed: pip install 'mdlm-kinetics[simulate]'")
from openmm import app, unit  # noqa: E402

from mdlm.system.alanine_dipeptide_openmm import (  # noqa: E402
    HYDROGEN_MASS,
    Molecule,
    mdtraj_topology,
    openmm_system,
    resolved,
    topology_and_positions,
)
from mdlm.system.alanine_dipeptide_structure import atoms  # noqa: E402

GAS_CONSTANT = 8.31446261815324e-3  # kJ / (mol K)
MOLECULE = Molecule(
    temperature_K=450,
    friction=1.0,
    time_step=0.004,
    save_every=25,
    n_equilibration=2500,
    platform="Reference",
    saved=tuple(atoms("all")),
)


def context_of(system):
    platform = openmm.Platform.getPlatformByName("Reference")
    return openmm.Context(system, openmm.VerletIntegrator(0.001), platform)


def energies(system, positions):
    """Energy of each force by its class, kJ / mol."""
    for number, force in enumerate(system.getForces()):
        force.setForceGroup(number)
    context = context_of(system)
    context.setPositions(positions)
    return {
        type(force).__name__: context.getState(getEnergy=True, groups=1 << number).getPotentialEnergy()._value
        for number, force in enumerate(system.getForces())
    }


@pytest.fixture(scope="module")
def conformations():
    """The one that is shipped, and three that are neither minimised nor alike."""
    _, start = topology_and_positions()
    point = MOLECULE.begin(seed=3)
    found = [start]
    for seed in (4, 5, 6):
        _, point = MOLECULE.advance(point, 20, seed)
        found.append(point.positions)
    return found


@pytest.fixture(scope="module")
def whole_field():
    """The same molecule from force field files alone: OBC2 as a custom force, light hydrogens, no constraints."""
    topology, _ = topology_and_positions()
    field = app.ForceField("amber99sbildn.xml", "implicit/obc2.xml")
    return field.createSystem(topology, nonbondedMethod=app.NoCutoff)


def test_energies_are_those_of_the_force_field_files(conformations, whole_field):
    """All but the bonds to hydrogen, which are rigid here and so have no energy."""
    for positions in conformations:
        ours, theirs = energies(openmm_system(), positions), energies(whole_field, positions)
        for name in ("HarmonicAngleForce", "PeriodicTorsionForce", "NonbondedForce"):
            assert ours[name] == pytest.approx(theirs[name], abs=1e-6)
        assert ours["GBSAOBCForce"] == pytest.approx(theirs["CustomGBForce"], abs=1e-4)
        assert ours["GBSAOBCForce"] < -50  # a solvent that does nothing would agree as well


def test_charges_are_those_of_ambers_own_topology(shared_data):
    """Of the ff9x family, whose charges are the same."""
    prmtop = app.AmberPrmtopFile(str(shared_data / "alanine_dipeptide" / "alanine-dipeptide-gbsa.prmtop"))
    system = prmtop.createSystem()
    (theirs,) = [f for f in system.getForces() if isinstance(f, openmm.NonbondedForce)]
    (ours,) = [f for f in openmm_system().getForces() if isinstance(f, openmm.NonbondedForce)]
    (solvent,) = [f for f in openmm_system().getForces() if isinstance(f, openmm.GBSAOBCForce)]
    for index in range(22):
        expected = theirs.getParticleParameters(index)[0]._value
        assert ours.getParticleParameters(index)[0]._value == pytest.approx(expected, abs=1e-4)
        assert solvent.getParticleParameters(index)[0]._value == pytest.approx(expected, abs=1e-4)


def test_forces_are_the_slope_of_the_energy(conformations):
    context, step = context_of(openmm_system()), 1e-5
    for positions in conformations[1:3]:
        context.setPositions(positions)
        forces = context.getState(getForces=True).getForces(asNumpy=True)._value
        slopes = np.empty_like(positions)
        for index in np.ndindex(positions.shape):
            ends = []
            for shift in (step, -step):
                moved = positions.copy()
                moved[index] += shift
                context.setPositions(moved)
                ends.append(context.getState(getEnergy=True).getPotentialEnergy()._value)
            slopes[index] = (ends[0] - ends[1]) / (2 * step)
        np.testing.assert_allclose(forces, -slopes, rtol=1e-5, atol=1e-2)


def test_hydrogens_are_heavy_at_the_cost_of_their_partners():
    topology, _ = topology_and_positions()
    system = openmm_system()
    masses = np.array([system.getParticleMass(index)._value for index in range(22)])
    light = np.array([atom.element.mass._value for atom in topology.atoms()])
    assert masses.sum() == pytest.approx(light.sum(), abs=1e-9)
    assert light.sum() == pytest.approx(144.17, abs=0.01)  # C6 H12 N2 O2
    hydrogen = np.array([atom.element.symbol == "H" for atom in topology.atoms()])
    assert hydrogen.sum() == 12
    np.testing.assert_allclose(masses[hydrogen], HYDROGEN_MASS)
    n_hydrogens = np.zeros(22)
    for bond in topology.bonds():
        for atom, other in (bond, bond[::-1]):
            n_hydrogens[atom.index] += other.element.symbol == "H"
    expected = light - n_hydrogens * (HYDROGEN_MASS - light[hydrogen][0])
    np.testing.assert_allclose(masses[~hydrogen], expected[~hydrogen])


def test_every_bond_to_a_hydrogen_is_rigid_and_no_other(conformations):
    topology, _ = topology_and_positions()
    system = openmm_system()
    rigid = {frozenset(system.getConstraintParameters(n)[:2]) for n in range(system.getNumConstraints())}
    bonds = [bond for bond in topology.bonds() if "H" in (bond[0].element.symbol, bond[1].element.symbol)]
    assert rigid == {frozenset((bond[0].index, bond[1].index)) for bond in bonds}
    for number in range(system.getNumConstraints()):
        one, other, length = system.getConstraintParameters(number)
        for positions in conformations[1:]:
            distance = np.linalg.norm(positions[one] - positions[other])
            assert distance == pytest.approx(length._value, rel=1e-4)


def test_the_molecule_is_as_warm_as_the_heat_bath():
    """Kinetic energy per degree of freedom: 66 less 12 rigid bonds. A velocity is forgotten within a ps or so."""
    system = openmm_system()
    masses = np.array([system.getParticleMass(index)._value for index in range(22)])
    point, found = MOLECULE.begin(seed=1), []
    for seed in range(150):
        _, point = MOLECULE.advance(point, 15, seed=seed + 10)
        found.append(float((masses[:, None] * point.velocities**2).sum() / (54 * GAS_CONSTANT)))
    error = np.std(found) / np.sqrt(len(found))
    assert error == pytest.approx(450 * np.sqrt(2 / 54 / 150), rel=0.25)
    assert abs(np.mean(found) - 450) < 4 * error


def test_the_amino_acid_is_and_stays_the_natural_one(conformations):
    """L: seen from the hydrogen, CO, R and N follow each other clockwise."""
    names = [atom.name for atom in mdtraj_topology(tuple(range(22))).residue(1).atoms]
    first = 6
    for positions in conformations:
        centre, hydrogen, *others = (positions[first + names.index(name)] for name in ("CA", "HA", "C", "CB", "N"))
        one, two, three = (other - centre for other in others)
        assert np.dot(hydrogen - centre, one + two + three) < 0  # they point away from it
        assert np.dot(np.cross(one, two), three) > 0  # and such vectors are right-handed when clockwise


def test_frames_are_the_saved_atoms_about_their_centre():
    point = MOLECULE.begin(seed=1)
    heavy = replace(MOLECULE, saved=tuple(atoms("heavy")))
    (every, end), (some, same_end) = (molecule.advance(point, 4, seed=9) for molecule in (MOLECULE, heavy))
    np.testing.assert_array_equal(end.positions, same_end.positions)
    assert (every.shape, some.shape, some.dtype) == ((4, 66), (4, 30), np.float32)
    chosen = every.reshape(4, 22, 3)[:, heavy.saved]
    np.testing.assert_allclose(some.reshape(4, 10, 3), chosen - chosen.mean(axis=1, keepdims=True), atol=1e-6)
    last = end.positions[list(heavy.saved)]
    np.testing.assert_allclose(some[-1].reshape(10, 3), last - last.mean(axis=0), atol=1e-6)


@pytest.mark.parametrize("platform", ["Reference", "CPU"])
def test_a_seed_decides_every_bit_whatever_ran_before(platform):
    """The Reference platform keeps one random number generator for the whole process."""
    molecule = replace(MOLECULE, platform=platform, n_equilibration=100)
    first = molecule.advance(molecule.begin(seed=1), 5, seed=2)
    molecule.advance(molecule.begin(seed=7), 3, seed=8)
    second = molecule.advance(molecule.begin(seed=1), 5, seed=2)
    np.testing.assert_array_equal(first[0], second[0])
    np.testing.assert_array_equal(first[1].velocities, second[1].velocities)
    other = molecule.advance(molecule.begin(seed=1), 5, seed=3)
    assert not np.array_equal(first[0], other[0])


def test_trajectories_start_apart():
    """Ten of them, after 10 ps each: no two are the same conformation."""
    starts = np.array([MOLECULE.begin(seed).positions for seed in range(1, 11)])
    trajectory = mdtraj.Trajectory(starts, mdtraj_topology(tuple(range(22))))
    distances = [mdtraj.rmsd(trajectory, trajectory, frame)[frame + 1 :] for frame in range(9)]
    assert min(np.concatenate(distances)) > 0.01


def test_the_shipped_conformation_is_at_a_minimum(whole_field):
    _, positions = topology_and_positions()
    context = context_of(whole_field)
    context.setPositions(positions)
    before = context.getState(getEnergy=True).getPotentialEnergy()
    openmm.LocalEnergyMinimizer.minimize(context, 0.1)
    after = context.getState(getEnergy=True).getPotentialEnergy()
    assert (before - after) < 0.5 * unit.kilojoule_per_mole


def test_too_long_a_time_step_is_told_in_one_line():
    molecule = replace(MOLECULE, time_step=0.02, n_equilibration=0)
    with pytest.raises(
        ValueError, match=r"^system.time_step \(0.02 ps\) is too large at temperature_K 450: "
    ) as raised:
        molecule.advance(molecule.begin(seed=1), 200, seed=1)
    assert "\n" not in str(raised.value)


def test_auto_takes_reference_where_no_gpu_works(monkeypatch):
    monkeypatch.setattr("mdlm.system.alanine_dipeptide_openmm._works", lambda name: name in ("Reference", "CPU"))
    assert resolved("auto") == "Reference"
    assert resolved("CPU") == "CPU"
    with pytest.raises(ValueError, match=r"^system.platform \(CUDA\) does not work here; OpenMM has Reference, CPU$"):
        resolved("CUDA")
