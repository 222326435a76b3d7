import mdtraj
import numpy as np
import pytest
from scipy.spatial.distance import pdist

from mdlm.features import framewise
from mdlm.features.pair_distances import PairDistances
from mdlm.trajectory import Header

WW = [f"LYS{number}-CA" for number in range(6, 40)]


def test_34_beads_have_561_distances_and_they_are_scipys(of_atoms, monkeypatch):
    beads = np.random.default_rng(0).normal(size=(20, 34, 3))
    trajectory = of_atoms(WW, beads)
    features = PairDistances(atoms=("CA",))
    fitted = features.fit(trajectory)
    found = fitted.transform(trajectory)
    assert len(found.columns) == 561
    assert (found.columns[0], found.columns[-1]) == ("LYS6-CA..LYS7-CA", "LYS38-CA..LYS39-CA")
    assert features.header_of(trajectory.header) == found.header
    assert found.pieces[0].dtype == np.float32
    np.testing.assert_allclose(found.pieces[0], [pdist(frame) for frame in beads], rtol=1e-6)
    monkeypatch.setattr(framewise, "CHUNK_VALUES", 561 * 3)
    np.testing.assert_array_equal(fitted.transform(trajectory).pieces[0], found.pieces[0])


@pytest.mark.parametrize(
    ("min_separation", "expected"),
    [
        (0, ["ALA1-N..ALA1-CA", "ALA1-N..ALA2-N", "ALA1-N..ALA4-N"]),
        (1, ["ALA1-N..ALA2-N", "ALA1-N..ALA4-N", "ALA1-CA..ALA2-N"]),
        (2, ["ALA1-N..ALA4-N", "ALA1-CA..ALA4-N", "ALA2-N..ALA4-N"]),
        (3, ["ALA1-N..ALA4-N", "ALA1-CA..ALA4-N"]),
    ],
)
def test_atoms_of_near_residues_are_left_out(of_atoms, min_separation, expected):
    header = of_atoms(["ALA1-N", "ALA1-CA", "ALA2-N", "ALA4-N"], np.zeros((1, 4, 3))).header
    columns = PairDistances(min_separation=min_separation).header_of(header).columns
    assert list(columns[:3]) == expected


def test_atoms_of_two_chains_are_always_far_enough_apart(of_atoms):
    header = of_atoms(["A:ALA1-CA", "A:ALA2-CA", "B:ALA1-CA"], np.zeros((1, 3, 3))).header
    columns = PairDistances(min_separation=5).header_of(header).columns
    assert columns == ("A:ALA1-CA..B:ALA1-CA", "A:ALA2-CA..B:ALA1-CA")


def test_a_real_trajectory_gives_mdtrajs_distances(pentapeptide, of_molecules):
    molecule = pentapeptide[0][:200]
    trajectory = of_molecules(molecule)
    chosen = [atom for atom in molecule.topology.atoms if atom.name in ("N", "CA", "CB")]
    pairs = [
        (a, b) for i, a in enumerate(chosen) for b in chosen[i + 1 :] if abs(a.residue.index - b.residue.index) >= 2
    ]
    expected = mdtraj.compute_distances(molecule, [(a.index, b.index) for a, b in pairs], periodic=False)
    found = PairDistances(atoms=("N", "CA", "CB"), min_separation=2).fit(trajectory).transform(trajectory)
    assert found.columns == tuple(f"{a}..{b}" for a, b in pairs)
    np.testing.assert_allclose(found.pieces[0], expected, rtol=1e-5)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"atoms": ()}, r"^atoms is empty; name at least one kind of atom, for example CA, or null for all$"),
        ({"min_separation": -1}, r"^min_separation \(-1\) must be at least 0$"),
    ],
)
def test_every_bad_field_is_named_in_one_line(fields, message):
    with pytest.raises(ValueError, match=message):
        PairDistances(**fields)


def test_a_choice_that_leaves_no_pair_is_refused_before_computing(of_atoms):
    header = of_atoms(["ALA1-CA", "ALA2-CA"], np.zeros((1, 2, 3))).header
    with pytest.raises(ValueError, match=r"^min_separation \(2\) leaves no pair of the 2 chosen atoms; .*$"):
        PairDistances(min_separation=2).header_of(header)
    with pytest.raises(ValueError, match=r"^atoms: the system has no atoms \(.*\); available are x$"):
        PairDistances().header_of(Header(("x",), (10,), 1.0, "ps"))
