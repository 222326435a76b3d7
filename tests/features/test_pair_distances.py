from itertools import combinations

import numpy as np
import pytest

from mdlm.features import framewise
from mdlm.features.pair_distances import PairDistances
from mdlm.trajectory import Header

WW = "native/1PIN_WW_6-39.pdb"


def described(features, trajectory):
    found = features.fit(trajectory).transform(trajectory)
    assert features.header_of(trajectory.header) == found.header
    return found


def test_all_distances_of_beads_are_those_of_scipy(shaken, of_molecules):
    from scipy.spatial.distance import pdist

    molecule = shaken(WW)
    molecule = molecule.atom_slice(molecule.topology.select("name CA"))
    assert molecule.n_atoms == 34
    found = described(PairDistances(), of_molecules(molecule))
    assert len(found.columns) == 561
    np.testing.assert_allclose(found.pieces[0], [pdist(frame) for frame in molecule.xyz.astype(float)], rtol=1e-6)


@pytest.mark.parametrize("min_separation", [0, 1, 4])
@pytest.mark.parametrize("atoms", [("CA",), ("CB", "N")])
def test_chosen_distances_are_those_of_mdtraj(atoms, min_separation, shaken, of_molecules):
    import mdtraj

    molecule = shaken(WW)
    chosen = [atom for atom in molecule.topology.atoms if atom.name in atoms]
    pairs = [(a, b) for a, b in combinations(chosen, 2) if b.residue.index - a.residue.index >= min_separation]
    found = described(PairDistances(atoms=atoms, min_separation=min_separation), of_molecules(molecule))
    assert found.columns == tuple(f"{a}..{b}" for a, b in pairs)
    expected = mdtraj.compute_distances(molecule, [(a.index, b.index) for a, b in pairs], periodic=False)
    np.testing.assert_allclose(found.pieces[0], expected, atol=1e-5)


def test_atoms_of_different_chains_are_far_enough_apart_whatever_their_numbers(of_atoms):
    trajectory = of_atoms(["A:ALA1-CA", "A:ALA2-CA", "B:ALA2-CA"], [[[0, 0, 0], [3, 4, 0], [0, 0, 12]]])
    found = described(PairDistances(min_separation=5), trajectory)
    assert found.columns == ("A:ALA1-CA..B:ALA2-CA", "A:ALA2-CA..B:ALA2-CA")
    np.testing.assert_array_equal(found.pieces[0], [[12, 13]])


def test_working_in_chunks_changes_nothing(monkeypatch, of_atoms):
    names = [f"ALA{number}-CA" for number in range(1, 6)]
    trajectory = of_atoms(names, *(np.random.default_rng(n).normal(size=(n, 5, 3)) for n in (50, 1, 13)))
    whole = described(PairDistances(), trajectory)
    monkeypatch.setattr(framewise, "CHUNK_FRAMES", 7)
    for piece, again in zip(whole.pieces, described(PairDistances(), trajectory).pieces, strict=True):
        assert piece.dtype == np.float32
        np.testing.assert_array_equal(again, piece)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"atoms": ()}, "^atoms is empty; name at least one kind of atom, for example CA, or null for all$"),
        ({"min_separation": -1}, r"^min_separation \(-1\) must be at least 0$"),
    ],
)
def test_every_bad_field_is_named_in_one_line(fields, message):
    with pytest.raises(ValueError, match=message):
        PairDistances(**fields)


def test_a_choice_without_pairs_is_refused_before_computing():
    header = Header(tuple(f"ALA{n}-CA.{axis}" for n in (1, 2, 3) for axis in "xyz"), (10,), 1.0, "ps")
    message = r"^min_separation \(3\) leaves no pair of the 3 chosen atoms; lower it or choose more atoms$"
    with pytest.raises(ValueError, match=message):
        PairDistances(min_separation=3).header_of(header)
