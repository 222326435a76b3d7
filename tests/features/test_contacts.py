import mdtraj
import numpy as np
import pytest

from mdlm.features import framewise
from mdlm.features.contacts import Contacts


def on_a_line(*places):
    return [[place, 0, 0] for place in places]


def test_residues_touch_where_their_nearest_heavy_atoms_do(of_atoms):
    names = ["GLY1-C", "GLY1-HA", "ALA4-C", "ALA4-HA"]
    apart, near, by_hydrogens = on_a_line(0, 0.1, 0.6, 0.5), on_a_line(0, 0.1, 0.4, 0.5), on_a_line(0, 0.2, 0.5, 0.3)
    trajectory = of_atoms(names, [apart, near, by_hydrogens])
    found = Contacts(cutoff=0.45).fit(trajectory).transform(trajectory)
    assert found.columns == ("GLY1..ALA4",)
    assert found.pieces[0].dtype == np.float32
    assert found.pieces[0][:, 0].tolist() == [0, 1, 0]
    chosen = Contacts(cutoff=0.45, atoms=("C", "HA")).fit(trajectory).transform(trajectory)
    assert chosen.pieces[0][:, 0].tolist() == [1, 1, 1]


def test_a_soft_contact_is_one_half_at_the_cutoff_and_falls_as_the_formula_says(of_atoms):
    distances = np.array([1e-3, 0.3, 0.45, 0.5, 0.7, 300.0])
    trajectory = of_atoms(["GLY1-CA", "ALA4-CA"], [on_a_line(0, distance) for distance in distances])
    found = Contacts(cutoff=0.45, softness=0.05).fit(trajectory).transform(trajectory).pieces[0][:, 0]
    with np.errstate(over="ignore"):
        expected = 1 / (1 + np.exp((distances - 0.45) / 0.05))
    np.testing.assert_allclose(found, expected, atol=1e-6)
    assert found[2] == pytest.approx(0.5)


@pytest.mark.parametrize("scheme", ["closest-heavy", "ca"])
@pytest.mark.parametrize("path", ["pentapeptide/pentapeptide-impl-solv.pdb", "native/2JOF_model1.pdb"])
def test_contacts_are_where_mdtraj_has_them(shaken, of_molecules, path, scheme, monkeypatch):
    molecule = shaken(path, 10)
    distances, pairs = mdtraj.compute_contacts(molecule, "all", scheme=scheme, periodic=False)
    cutoff = float(np.median(distances))
    assert np.abs(distances - cutoff).min() > 1e-6  # or rounding decides
    trajectory = of_molecules(molecule)
    fitted = Contacts(cutoff=cutoff, atoms=None if scheme == "closest-heavy" else ("CA",)).fit(trajectory)
    found = fitted.transform(trajectory)
    residues = [str(residue) for residue in molecule.topology.residues]
    assert found.columns == tuple(f"{residues[first]}..{residues[second]}" for first, second in pairs)
    np.testing.assert_array_equal(found.pieces[0], distances < cutoff)
    monkeypatch.setattr(framewise, "CHUNK_VALUES", 1)
    np.testing.assert_array_equal(fitted.transform(trajectory).pieces[0], found.pieces[0])


def test_near_residues_are_left_out_but_those_of_another_chain_are_not(of_atoms):
    names = ["A:GLY1-CA", "A:GLY2-CA", "A:GLY3-CA", "B:GLY1-CA"]
    header = of_atoms(names, np.zeros((1, 4, 3))).header
    columns = Contacts(min_separation=2).header_of(header).columns
    assert columns == ("A:GLY1..A:GLY3", "A:GLY1..B:GLY1", "A:GLY2..B:GLY1", "A:GLY3..B:GLY1")


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"cutoff": 0.0}, r"^cutoff \(0 nm\) must be above 0 and finite$"),
        ({"softness": -0.1}, r"^softness \(-0\.1 nm\) must be at least 0 and finite$"),
        ({"atoms": ()}, r"^atoms is empty; .*$"),
        ({"min_separation": 0}, r"^min_separation \(0\) must be at least 1$"),
    ],
)
def test_every_bad_field_is_named_in_one_line(fields, message):
    with pytest.raises(ValueError, match=message):
        Contacts(**fields)


def test_a_choice_that_leaves_no_pair_is_refused_before_computing(of_atoms):
    header = of_atoms(["ALA1-CA", "ALA2-CA"], np.zeros((1, 2, 3))).header
    with pytest.raises(ValueError, match=r"^min_separation \(3\) leaves no pair of the 2 residues; lower it$"):
        Contacts().header_of(header)
