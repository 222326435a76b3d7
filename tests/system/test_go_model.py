import runpy
from pathlib import Path

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.optimize import minimize

from mdlm.system.go_model import (
    GoModel,
    folding_events,
    fraction_native,
    free_energy_profile,
    internal_coordinates,
    read_structure,
)
from mdlm.system.go_model_kernels import (
    ANGLE_STRENGTH,
    BOND_STRENGTH,
    DIHEDRAL_STRENGTHS,
    add_angles,
    add_bonds,
    add_dihedrals,
    add_pairs,
    energy_and_forces,
    langevin,
)

ROOT = Path(__file__).parent.parent.parent
FORMS = ["12-10-6", "10-12"]
TERMS = {"bonds": add_bonds, "angles": add_angles, "dihedrals": add_dihedrals, "pairs": add_pairs}


def helix_model(contact_form="12-10-6", n_beads=16):
    """An alpha helix with its contacts, and one made up between its ends."""
    turn = np.radians(100) * np.arange(n_beads)
    native = np.stack([0.23 * np.cos(turn), 0.23 * np.sin(turn), 0.15 * np.arange(n_beads)], axis=1)
    contacts = np.array([(i, i + 4) for i in range(n_beads - 4)] + [(0, n_beads - 1)])
    beads = tuple(f"ALA{number}-CA" for number in range(n_beads))
    return GoModel(beads, native - native.mean(axis=0), contacts, contact_form)


def disturbed(model, size=0.03, seed=0):
    noise = np.random.default_rng(seed).normal(size=model.native.shape)
    return np.ascontiguousarray((model.native + size * noise).T)


def numerical_forces(energy, x, step=1e-6):
    forces = np.empty_like(x)
    for place in np.ndindex(x.shape):
        ahead, behind = x.copy(), x.copy()
        ahead[place] += step
        behind[place] -= step
        forces[place] = -(energy(ahead) - energy(behind)) / (2 * step)
    return forces


@pytest.mark.parametrize("contact_form", FORMS)
@pytest.mark.parametrize("term", TERMS)
def test_the_forces_of_every_term_are_minus_the_gradient_of_its_energy(term, contact_form):
    model = helix_model(contact_form)
    parameters = dict(zip(TERMS, model.parameters(), strict=True))[term]
    x, forces = disturbed(model), np.zeros((3, 16))
    assert TERMS[term](x, forces, parameters) != 0
    expected = numerical_forces(lambda y: TERMS[term](y, np.zeros_like(y), parameters), x)
    np.testing.assert_allclose(forces, expected, rtol=1e-5, atol=1e-5 * np.abs(expected).max())
    np.testing.assert_allclose(forces.sum(axis=1), 0, atol=1e-9 * np.abs(forces).max())


def test_the_forces_add_up_over_the_terms():
    model = helix_model()
    x, sum_of_terms, forces = disturbed(model), np.zeros((3, 16)), np.full((3, 16), 7.0)
    energy = sum(term(x, sum_of_terms, values) for term, values in zip(TERMS.values(), model.parameters(), strict=True))
    assert energy_and_forces(x, forces, model.parameters()) == pytest.approx(energy, rel=1e-12)
    np.testing.assert_allclose(forces, sum_of_terms, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("contact_form", FORMS)
@pytest.mark.parametrize("size", [0.0, 0.02, 0.05])
def test_energies_and_forces_are_those_of_openmm(contact_form, size):
    """The same model written as OpenMM's own forces and expressions, in double precision (Reference)."""
    openmm = pytest.importorskip("openmm", reason="OpenMM (extra simulate) is not installed")
    unit = openmm.unit
    model = helix_model(contact_form)
    x = disturbed(model, size)
    system = runpy.run_path(str(ROOT / "benchmarks" / "go_model.py"))["openmm_system"](model)
    platform = openmm.Platform.getPlatformByName("Reference")
    context = openmm.Context(system, openmm.VerletIntegrator(0.001), platform)
    context.setPositions(x.T)
    state = context.getState(getEnergy=True, getForces=True)
    expected = state.getForces(asNumpy=True).value_in_unit(unit.kilojoule_per_mole / unit.nanometer)
    forces = np.empty_like(x)
    energy = energy_and_forces(x, forces, model.parameters())
    assert energy == pytest.approx(state.getPotentialEnergy().value_in_unit(unit.kilojoule_per_mole), rel=1e-6)
    np.testing.assert_allclose(forces.T, expected, rtol=1e-5, atol=1e-6 * max(1, np.abs(expected).max()))


def test_a_contact_has_its_minimum_at_the_native_distance_and_only_one_form_a_barrier():
    """13 u^6 - 18 u^5 + 4 u^3 rises above zero before it vanishes; 5 u^6 - 6 u^5 stays below."""
    distances = np.linspace(0.4, 2.0, 400)
    energies = {}
    for form in FORMS:
        pairs = np.zeros((4, 2, 2))
        native = GoModel(("A1-CA",) * 5, np.eye(5)[:, :3] * 0.5, np.array([(0, 4)]), form)
        pairs[:, 0, 1] = pairs[:, 1, 0] = native.parameters()[3][:, 0, 4]
        ends = (np.array([[0, r], [0, 0], [0, 0]]) for r in distances)
        energies[form] = np.array([add_pairs(x, np.zeros((3, 2)), pairs) for x in ends])
        assert distances[energies[form].argmin()] == pytest.approx(0.5, abs=0.005)
        assert energies[form].min() == pytest.approx(-1, abs=0.01)
    far = distances > 0.5
    assert energies["12-10-6"][far].max() > 0.05
    assert energies["10-12"][far].max() < 0


@pytest.mark.parametrize("contact_form", FORMS)
def test_the_native_structure_lies_near_a_minimum(contact_form):
    """Every bonded term vanishes there and every contact is at its best; only repulsion can push a little."""
    model = helix_model(contact_form)
    parameters = model.parameters()
    start = np.ascontiguousarray(model.native.T)

    def energy(flat):
        forces = np.empty_like(start)
        value = energy_and_forces(flat.reshape(start.shape), forces, parameters)
        return value, -forces.ravel()

    bonded = list(zip(TERMS.values(), parameters, strict=True))[:3]
    assert sum(term(start, np.zeros_like(start), values) for term, values in bonded) < 1e-9
    lowest = minimize(energy, start.ravel(), jac=True, method="L-BFGS-B")
    distances = [np.linalg.norm(x[:, :, None] - x[:, None], axis=0) for x in (start, lowest.x.reshape(start.shape))]
    assert np.abs(distances[0] - distances[1]).max() < 0.02
    assert energy(start.ravel())[0] - lowest.fun < 0.1
    assert lowest.fun == pytest.approx(-len(model.contacts), abs=0.2)


def test_a_chain_of_four_beads_has_the_boltzmann_distribution():
    """Without pairs the energy separates: r^2 exp(-U/kT), sin(theta) exp(-U/kT) and exp(-U/kT) by quadrature.

    Sixteen walkers are independent, so the spread of their means is the error. Hot, so that all is curved.
    """
    kT, length, angle, dihedral = 8.0, 0.2, 1.8, 0.7
    once, thrice = DIHEDRAL_STRENGTHS
    turns = np.array([[np.cos(dihedral)], [np.sin(dihedral)]])
    parameters = (np.full(3, length), np.full(2, angle), turns, np.zeros((4, 4, 4)))
    means = []
    for walker in range(16):
        rng = np.random.default_rng(walker)
        state = np.zeros((3, 3, 4))
        state[0] = [[0, 0.2, 0.2, 0.3], [0, 0, 0.2, 0.2], [0, 0, 0, 0.2]]
        frames = np.empty((8_000, 12), np.float32)
        energy_and_forces(state[0], state[2], parameters)
        langevin(rng, state, frames, 20, 0.003, 0.5, kT, parameters)
        lengths, angles, dihedrals = internal_coordinates(frames[200:].reshape(-1, 4, 3).astype(float))
        means.append([lengths.mean(), (lengths**2).mean(), angles.mean(), np.cos(dihedrals - dihedral).mean()])
    means = np.array(means)

    def average(value, weight, low, high):
        return quad(lambda v: value(v) * weight(v), low, high)[0] / quad(weight, low, high)[0]

    def of_length(r):
        return r**2 * np.exp(-BOND_STRENGTH * (r - length) ** 2 / kT)

    def of_angle(t):
        return np.sin(t) * np.exp(-ANGLE_STRENGTH * (t - angle) ** 2 / kT)

    def of_dihedral(d):
        return np.exp((once * np.cos(d) + thrice * np.cos(3 * d)) / kT)

    expected = [
        average(lambda r: r, of_length, 0, 0.5),
        average(lambda r: r**2, of_length, 0, 0.5),
        average(lambda t: t, of_angle, 0, np.pi),
        average(np.cos, of_dihedral, -np.pi, np.pi),
    ]
    errors = means.std(axis=0, ddof=1) / np.sqrt(len(means))
    assert (errors < [1e-3, 1e-3, 0.01, 0.02]).all()
    assert (np.abs(means.mean(axis=0) - expected) < 4 * errors).all()


def test_frames_are_about_their_centre_and_do_not_depend_on_how_they_are_cut():
    model = helix_model()
    parameters, whole, parts = model.parameters(), np.empty((6, 48), np.float32), np.empty((6, 48), np.float32)
    for blocks in ([whole], [parts[:1], parts[1:4], parts[4:]]):
        rng, state = np.random.default_rng(3), np.zeros((3, 3, 16))
        state[0] = model.native.T + 5.0
        energy_and_forces(state[0], state[2], parameters)
        for block in blocks:
            langevin(rng, state, block, 50, 0.004, 0.5, 1.0, parameters)
    assert np.array_equal(whole, parts)
    np.testing.assert_allclose(whole.reshape(6, 16, 3).mean(axis=1), 0, atol=1e-6)


def test_internal_coordinates_are_those_of_mdtraj():
    mdtraj = pytest.importorskip("mdtraj")
    xyz = disturbed(helix_model(), 0.1).T
    numbers = np.arange(16)
    bonds, angles, dihedrals = (np.stack([numbers[k : 16 - n + k] for k in range(n + 1)], 1) for n in (1, 2, 3))
    frame = mdtraj.Trajectory(xyz, None)
    ours = internal_coordinates(xyz)
    theirs = (
        mdtraj.compute_distances(frame, bonds),
        mdtraj.compute_angles(frame, angles),
        mdtraj.compute_dihedrals(frame, dihedrals),
    )
    for one, other in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(one, other[0], atol=1e-5)


def test_the_contacts_of_1pin_are_those_of_mdtraj(shared_data):
    import mdtraj

    file = shared_data / "native" / "1PIN_WW_6-39.pdb"
    structure = read_structure(file, (6, 39), "A")
    model = GoModel.of(structure, 0.60, "12-10-6")
    pairs = np.array([(i, j) for i in range(34) for j in range(i + 4, 34)])
    distances, pairs = mdtraj.compute_contacts(mdtraj.load_pdb(str(file)), pairs, scheme="closest-heavy")
    assert model.contacts.tolist() == pairs[distances[0] < 0.60].tolist()
    assert model.beads[0] == "LYS6-CA"
    assert model.beads[-1] == "GLY39-CA"


@pytest.mark.parametrize("name", ["2F4K.pdb", "2JOF_model1.pdb", "CLN025_5AWL.pdb"])
def test_other_proteins_make_a_model_too(shared_data, name):
    """Villin with norleucine among its residues, Trp-cage and chignolin: native contacts, no bonded energy."""
    structure = read_structure(shared_data / "native" / name, None, None)
    model = GoModel.of(structure, 0.60, "12-10-6")
    forces = np.empty((3, len(model.beads)))
    energy = energy_and_forces(np.ascontiguousarray(model.native.T), forces, model.parameters())
    assert energy == pytest.approx(-len(model.contacts), rel=0.2)
    assert len(model.beads) == {"2F4K.pdb": 35, "2JOF_model1.pdb": 20, "CLN025_5AWL.pdb": 10}[name]


def test_q_counts_the_contacts_that_are_formed():
    """A contact at 1.19 native distances is formed, one at 1.21 is not."""
    native = np.array([[0.0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0], [0, 0.5, 0]])
    model = GoModel(tuple("abcde"), native, np.array([(0, 4)]), "10-12")
    frames = np.stack([native, native, native])
    frames[1, 4, 1], frames[2, 4, 1] = 0.5 * 1.19, 0.5 * 1.21
    assert fraction_native(frames.reshape(3, -1), model).tolist() == [1, 1, 0]
    assert fraction_native(helix_model().native.reshape(1, -1), helix_model()).tolist() == [1]


@pytest.mark.parametrize(
    ("q", "folding", "unfolding"),
    [
        ([0.5, 0.9, 0.5, 0.9], [], []),
        ([0.1, 0.9, 0.1, 0.9], [1, 3], [2]),
        ([0.9, 0.6, 0.5, 0.4, 0.6, 0.2, 0.2, 0.6, 0.8], [8], [5]),
        ([0.5, 0.5], [], []),
        ([], [], []),
    ],
)
def test_only_what_reaches_the_other_core_is_an_event(q, folding, unfolding):
    events = folding_events(np.array(q), 0.3, 0.7)
    assert (events.folding.tolist(), events.unfolding.tolist()) == (folding, unfolding)


def test_cores_may_not_overlap():
    with pytest.raises(ValueError, match=r"^unfolded_below \(0.8\) must not exceed folded_above \(0.3\)$"):
        folding_events(np.array([0.5]), 0.8, 0.3)


def test_the_profile_is_minus_the_logarithm_of_the_populations():
    """Every whole fraction has a bin of its own, though 29 / 82 and its like are not exact in binary."""
    fractions = np.arange(83) / 82
    assert free_energy_profile(fractions, 82)[1].tolist() == [0] * 83
    values, profile = free_energy_profile(np.array([0.25] * 4 + [0.75] * 8), 4)
    assert values.tolist() == [0, 0.25, 0.5, 0.75, 1]
    assert profile.tolist() == [np.inf, pytest.approx(np.log(2)), np.inf, 0, np.inf]
