import numpy as np
import pytest

from mdlm.features.molecule import atoms_of, chosen_atoms, squared_distances


def columns(*names):
    return tuple(f"{name}.{axis}" for name in names for axis in "xyz")


@pytest.mark.parametrize(
    ("label", "residue", "name"),
    [
        ("ALA2-CA", "ALA2", "CA"),
        ("A:ALA2-CA", "A:ALA2", "CA"),
        ("ALA2-1HB", "ALA2", "1HB"),
        ("GLY-1-CA", "GLY-1", "CA"),
        ("2MR12-C5'", "2MR12", "C5'"),
        ("HOH101-O", "HOH101", "O"),
        ("ACE1-H-1", "ACE1", "H-1"),
    ],
)
def test_a_columns_name_tells_residue_and_atom(label, residue, name):
    (atom,) = atoms_of(columns(label))
    assert (atom.label, atom.residue, atom.name, atom.column) == (label, residue, name, 0)


def test_what_is_no_atom_is_passed_over():
    names = ("phi", *columns("ALA1-N"), "x", "y", "z", "ALA1-C.x", "ALA1-C.y", *columns("ALA1-CA", "centre"))
    assert [(atom.label, atom.column) for atom in atoms_of(names)] == [("ALA1-N", 1), ("ALA1-CA", 9)]
    assert atoms_of(("x", "y", "phi ALA2")) == ()


def test_residues_are_counted_along_each_chain_and_a_gap_stays_a_gap():
    names = ["A:ALA3-N", "A:ALA3-CA", "A:GLY4-CA", "A:LEU8-CA", "B:GLY9-CA", "B:ALA10-CA"]
    atoms = atoms_of(columns(*names))
    assert [(atom.chain, atom.place) for atom in atoms] == [(0, 0), (0, 0), (0, 1), (0, 5), (1, 0), (1, 1)]
    assert atoms[0].separation(atoms[1]) == 0
    assert atoms[3].separation(atoms[0]) == 5
    assert atoms[3].separation(atoms[4]) == np.inf


def test_a_chain_without_a_name_begins_where_residue_numbers_fall():
    atoms = atoms_of(columns("ALA7-CA", "GLY8-CA", "LEU1-CA", "TRP2-CA"))
    assert [(atom.chain, atom.place) for atom in atoms] == [(0, 0), (0, 1), (1, 0), (1, 1)]


def test_residues_of_one_number_follow_each_other():
    """Insertion codes: 52, 52A."""
    assert [atom.place for atom in atoms_of(columns("SER52-CA", "GLY52-CA", "ALA53-CA"))] == [0, 1, 2]


def test_two_atoms_of_one_name_are_refused():
    message = r"^columns: ALA1-CA\.x is there twice; tell chains apart by their names, as in A:ALA1-CA\.x$"
    with pytest.raises(ValueError, match=message):
        atoms_of(columns("ALA1-CA", "GLY2-CA", "ALA1-CA"))


def test_hydrogens_are_told_by_their_names(shared_data):
    import mdtraj

    topology = mdtraj.load_topology(shared_data / "native" / "1PIN_WW_6-39.pdb")
    atoms = atoms_of(columns(*map(str, topology.atoms)))
    assert [atom.is_heavy for atom in atoms] == [atom.element.symbol != "H" for atom in topology.atoms]
    assert [atom.place for atom in atoms] == [atom.residue.index for atom in topology.atoms]


@pytest.mark.parametrize(
    ("names", "atoms", "message"),
    [
        (("x", "y"), None, r"^atoms: the system has no atoms \(columns such as ALA2-CA\.x\); available are x, y$"),
        (columns("ALA1-CA", "ALA1-N"), ("CB",), r"^atoms \(CB\) must be names of atoms of this system: CA, N$"),
    ],
)
def test_atoms_that_are_not_there_are_named(names, atoms, message):
    with pytest.raises(ValueError, match=message):
        chosen_atoms(names, atoms)


def test_distances_are_those_of_pythagoras():
    frames = np.array([[0, 1, 2, 3, 3, 8], [5, 5, 5, 5, 5, 5]], np.float32)
    found = squared_distances(frames, np.array([0, 3]), np.array([3, 0]))
    np.testing.assert_array_equal(found, [[9 + 4 + 36] * 2, [0, 0]])
