"""Real molecules through features, clustering and PCCA+, against what others found for the same data."""

import numpy as np
import pytest

from mdlm.features.tica import Tica
from mdlm.features.torsions import Torsions
from mdlm.kinetics.estimate import markov_state_model, model_timescales
from mdlm.kinetics.events import slow_sides
from mdlm.partition.kmeans import KMeans
from mdlm.partition.pcca import Pcca
from mdlm.partition.periodic import Periodic
from mdlm.recrossing.coring import Coring
from mdlm.recrossing.effect import effect
from mdlm.trajectory import Trajectory

KMEANS = KMeans(n_states=100, seed=0, max_iterations=50, max_frames=50_000, scale="none")


def slowest(states, lag_time, n_timescales):
    model = markov_state_model(states, lag_time)
    return model_timescales(model, lag_time, n_timescales, slow_sides(model))


@pytest.fixture(scope="module")
def alanine(shared_data):
    """Alanine dipeptide in explicit water, 3 x 250 ns, 1 ps per frame."""
    path = shared_data / "alanine_dipeptide" / "alanine-dipeptide-3x250ns-backbone-dihedrals.npz"
    with np.load(path) as arrays:
        pieces = tuple(arrays[name] for name in sorted(arrays.files))
    return Trajectory(pieces, 1.0, "ps", columns=("phi", "psi"))


@pytest.fixture(scope="module")
def pentapeptide(shared_data):
    """Trp-Leu-Ala-Leu-Leu, 25 x 500 ns, 0.1 ns per frame."""
    import mdtraj

    folder = shared_data / "pentapeptide"
    (topology,) = folder.glob("*.pdb")
    structure = mdtraj.load_topology(topology)
    atoms = structure.select("not element H")
    columns = tuple(f"{structure.atom(atom)}.{axis}" for atom in atoms for axis in "xyz")
    loaded = (mdtraj.load(path, top=topology, atom_indices=atoms) for path in sorted(folder.glob("*.xtc")))
    pieces = tuple(trajectory.xyz.reshape(len(trajectory), -1) for trajectory in loaded)
    return Trajectory(pieces, 0.1, "ns", columns=columns)


def test_alanine_dipeptide_has_its_known_timescales_on_a_grid(alanine):
    states = Periodic(n_bins=36).fit(alanine).assign(alanine)
    np.testing.assert_allclose(slowest(states, 10.0, 3), [1438, 67, 36], rtol=0.05)


def test_alanine_dipeptide_has_its_metastable_sets(alanine):
    """A hundred clusters are coarser than the grid, and by the variational principle at best as slow."""
    described = Torsions(angles=("phi", "psi"), as_angles=False).fit(alanine).transform(alanine)
    fitted = Pcca(micro=KMEANS, lag_time=10.0).fit(described)
    micro = fitted.micro.assign(described)
    times = slowest(micro, 10.0, 3)
    assert (times < 1.02 * np.array([1438, 67, 36])).all()
    np.testing.assert_allclose(times[:2], [1438, 67], rtol=0.1)
    assert fitted.n_states in (3, 4)
    # The slowest exchange is over phi = 0: the sets are almost pure in its sign.
    states = np.concatenate(fitted.assign(described).pieces)
    positive = np.concatenate([piece[:, 0] > 0 for piece in alanine.pieces]) & (
        np.concatenate([piece[:, 0] < 2.0 for piece in alanine.pieces])
    )
    share = np.array([positive[states == state].mean() for state in range(fitted.n_states)])
    assert ((share < 0.03) | (share > 0.9)).all()
    assert share.max() > 0.9


def test_coring_leaves_the_slow_timescale_of_alanine_dipeptide_as_it_is(alanine):
    described = Torsions(angles=("phi", "psi"), as_angles=False).fit(alanine).transform(alanine)
    fitted = Pcca(micro=KMEANS, lag_time=10.0).fit(described)
    states = fitted.assign(described)
    treatment = Coring(residence_time=5.0, iterative=False).fit(fitted, described)
    treated = treatment.treat(states, described)
    found = effect(states, treated, treatment.treat(treated, described), treatment.leading(states, described))
    assert found.idempotent
    assert found.transitions_after < 0.5 * found.transitions_before
    one_frame, plateau = (slowest(part, lag, 1)[0] for part, lag in ((treated, 1.0), (states, 50.0)))
    assert one_frame == pytest.approx(plateau, rel=0.2)
    assert slowest(states, 1.0, 1)[0] < one_frame


def test_a_pentapeptide_from_coordinates_to_metastable_sets(pentapeptide):
    """TICA at 2 ns gives 5.0 / 4.8 / 3.9 / 2.7 ns; clusters in its space keep them."""
    torsions = Torsions(angles=("phi", "psi", "chi1"), as_angles=False)
    tica = Tica(of=torsions, lag_time=2.0, n_components=4, scaling="none").fit(pentapeptide)
    np.testing.assert_allclose(tica.timescales, [5.0, 4.8, 3.9, 2.7], rtol=0.15)
    described = tica.transform(pentapeptide)
    fitted = Pcca(micro=KMEANS, lag_time=2.0, n_macrostates=4).fit(described)
    assert fitted.n_states == 4
    assert fitted.populations.sum() == pytest.approx(1)
    assert (fitted.metastability > 0.5).all()
    times = slowest(fitted.micro.assign(described), 2.0, 3)
    assert (times > 0.8 * tica.timescales[:3]).all()  # the variational principle, but for statistics
    assert times[0] < 2.5 * tica.timescales[0]
