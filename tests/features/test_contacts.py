import numpy as np
import pytest

from mdlm.features import framewise
from mdlm.features.contacts import Contacts
from mdlm.trajectory import Header

WW = "native/1PIN_WW_6-39.pdb"


def described(features, trajectory):
    found = features.fit(trajectory).transform(trajectory)
    assert features.header_of(trajectory.header) == found.header
    return found


def in_mdtraj(molecule, min_separation, scheme="closest-heavy"):
    """Names of residue pairs and their smallest distances as mdtraj gives them."""
    import mdtraj

    n = molecule.n_residues
    pairs = [(i, j) for i in range(n) for j in range(i + min_separation, n)]
    distances, pairs = mdtraj.compute_contacts(molecule, pairs, scheme=scheme, periodic=False)
    residue = molecule.topology.residue
    return tuple(f"{residue(i)}..{residue(j)}" for i, j in pairs), distances.astype(float)


@pytest.mark.parametrize(
    ("path", "min_separation"), [(WW, 3), (WW, 10), ("pentapeptide/pentapeptide-impl-solv.pdb", 1)]
)
def test_contacts_are_those_of_mdtraj(path, min_separation, shaken, of_molecules):
    molecule = shaken(path, n_frames=5)
    names, distances = in_mdtraj(molecule, min_separation)
    found = described(Contacts(min_separation=min_separation), of_molecules(molecule))
    assert found.columns == names
    clear = np.abs(distances - 0.45) > 1e-5  # nearer to the cutoff rounding decides
    assert clear.mean() > 0.99
    np.testing.assert_array_equal(found.pieces[0][clear], (distances < 0.45)[clear])
    assert 0 < found.pieces[0].mean() < 1


def test_soft_contacts_are_a_logistic_step_of_mdtrajs_distance(shaken, of_molecules):
    molecule = shaken(WW, n_frames=5)
    _, distances = in_mdtraj(molecule, 3)
    found = described(Contacts(cutoff=0.6, softness=0.05), of_molecules(molecule))
    np.testing.assert_allclose(found.pieces[0], 1 / (1 + np.exp((distances - 0.6) / 0.05)), atol=1e-4)


def test_contacts_of_chosen_atoms_are_those_of_mdtraj(shaken, of_molecules):
    molecule = shaken(WW, n_frames=5)
    names, distances = in_mdtraj(molecule, 4, scheme="ca")
    found = described(Contacts(cutoff=0.8, softness=0.1, atoms=("CA",), min_separation=4), of_molecules(molecule))
    assert found.columns == names
    np.testing.assert_allclose(found.pieces[0], 1 / (1 + np.exp((distances - 0.8) / 0.1)), atol=1e-5)


@pytest.mark.parametrize(("softness", "expected"), [(0.0, [1, 0, 0]), (0.1, [1 / (1 + np.exp(-2)), 0.5, 0])])
def test_the_nearest_atoms_of_two_residues_decide_and_hydrogens_do_not_count(softness, expected, of_atoms):
    """Nearest heavy atoms 0.4, exactly 0.6 and 100 nm apart; hydrogens are nearer."""
    names = ["ALA1-CA", "ALA1-CB", "ALA1-HB1", "GLY4-CA", "GLY4-N", "GLY4-HA2"]
    frames = [[[0, 0, 0], [0.1, 0, 0], [0.3, 0, 0], [0.8, 0, 0], [gap + 0.1, 0, 0], [0.4, 0, 0]] for gap in (0.4, 0.6)]
    far = [[*frames[0][:3], *([100.1, 0, 0],) * 3]]
    found = described(Contacts(cutoff=0.6, softness=softness), of_atoms(names, np.round(frames + far, 3)))
    assert found.columns == ("ALA1..GLY4",)
    np.testing.assert_allclose(found.pieces[0][:, 0], expected, atol=1e-6)


def test_a_soft_step_becomes_the_hard_one(of_atoms):
    names, frames = ["ALA1-CA", "GLY4-CA"], np.zeros((9, 2, 3))
    frames[:, 1, 0] = np.arange(9) / 10 + 0.05
    hard = described(Contacts(cutoff=0.5), of_atoms(names, frames))
    soft = described(Contacts(cutoff=0.5, softness=1e-6), of_atoms(names, frames))
    np.testing.assert_array_equal(soft.pieces[0], hard.pieces[0])
    assert hard.pieces[0][:, 0].tolist() == [1] * 5 + [0] * 4


def test_working_in_chunks_changes_nothing(monkeypatch, shaken, of_molecules):
    trajectory = of_molecules(shaken("pentapeptide/pentapeptide-impl-solv.pdb"))
    features = Contacts(softness=0.1)
    whole = described(features, trajectory)
    monkeypatch.setattr(framewise, "CHUNK_FRAMES", 7)
    assert whole.pieces[0].dtype == np.float32
    np.testing.assert_array_equal(described(features, trajectory).pieces[0], whole.pieces[0])


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"cutoff": 0.0}, r"^cutoff \(0 nm\) must be above 0 and finite$"),
        ({"cutoff": float("inf")}, r"^cutoff \(inf nm\) must be above 0 and finite$"),
        ({"softness": -0.1}, r"^softness \(-0\.1 nm\) must be at least 0 and finite$"),
        ({"softness": float("nan")}, r"^softness \(nan nm\) must be at least 0 and finite$"),
        ({"atoms": ()}, "^atoms is empty; name at least one kind of atom, for example CA, or null for all$"),
        ({"min_separation": 0}, r"^min_separation \(0\) must be at least 1$"),
    ],
)
def test_every_bad_field_is_named_in_one_line(fields, message):
    with pytest.raises(ValueError, match=message):
        Contacts(**fields)


def test_a_molecule_that_is_too_short_is_refused_before_computing():
    header = Header(tuple(f"ALA{n}-CA.{axis}" for n in (1, 2, 3) for axis in "xyz"), (10,), 1.0, "ps")
    with pytest.raises(ValueError, match=r"^min_separation \(3\) leaves no pair of the 3 residues; lower it$"):
        Contacts().header_of(header)
