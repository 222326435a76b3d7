import pytest

from mdlm.features.molecule import atoms_of, chosen_atoms


def columns(*names):
    return tuple(f"{name}.{axis}" for name in names for axis in "xyz")


@pytest.mark.parametrize(
    ("label", "residue", "name"),
    [
        ("ALA2-CA", "ALA2", "CA"),
        ("A:ALA2-CA", "A:ALA2", "CA"),
        ("MET-1-N", "MET-1", "N"),
        ("2HP3-O1'", "2HP3", "O1'"),
        ("Cl-5-Cl-", "Cl-5", "Cl-"),
        ("HIP12-1HB", "HIP12", "1HB"),
    ],
)
def test_an_atom_is_read_from_the_name_of_its_columns(label, residue, name):
    (atom,) = atoms_of(("time", *columns(label), "energy"))
    assert (atom.label, atom.residue, atom.name, atom.column) == (label, residue, name, 1)


def test_columns_that_are_no_three_coordinates_of_an_atom_are_passed_over():
    assert atoms_of(("x", "y", "ALA2-CA.x", "ALA2-CA.z", "ALA2-CA.y", "other.x", "other.y", "other.z")) == ()


def test_residues_have_places_along_chains_that_end_where_names_change_or_numbers_fall():
    labels = ["A:ALA5-N", "A:ALA5-CA", "A:GLY6-N", "A:GLY9-N", "B:ALA5-N", "B:GLY6-N", "B:LEU1-N"]
    places = [(atom.chain, atom.place) for atom in atoms_of(columns(*labels))]
    assert places == [(0, 0), (0, 0), (0, 1), (0, 4), (1, 0), (1, 1), (2, 0)]


def test_an_inserted_residue_of_the_same_number_is_one_further():
    atoms = atoms_of(columns("SER52-CA", "THR52-CA", "GLY53-CA"))
    assert [atom.place for atom in atoms] == [0, 1, 2]


def test_separation_counts_residues_within_a_chain_and_is_infinite_between_chains():
    first, _, third, other = atoms_of(columns("A:ALA1-CA", "A:ALA2-CA", "A:ALA3-CA", "B:ALA1-CA"))
    assert first.separation(third) == third.separation(first) == 2
    assert first.separation(other) == float("inf")


@pytest.mark.parametrize(("name", "heavy"), [("CA", True), ("HA", False), ("1HB", False), ("OH", True), ("NH1", True)])
def test_hydrogens_are_told_by_their_names(name, heavy):
    (atom,) = atoms_of(columns(f"ARG1-{name}"))
    assert atom.is_heavy is heavy


def test_what_atoms_cannot_be_told_apart_or_are_not_there_is_said_in_one_line():
    with pytest.raises(ValueError, match=r"^columns: ALA1-N\.x is there twice; tell chains .*, as in A:ALA1-N\.x$"):
        atoms_of(columns("ALA1-N", "ALA1-N"))
    with pytest.raises(ValueError, match=r"^atoms: the system has no atoms \(columns such as ALA2-CA\.x\); .* x, y$"):
        chosen_atoms(("x", "y"), None)
    with pytest.raises(ValueError, match=r"^atoms \(CB\) must be names of atoms of this system: N, CA$"):
        chosen_atoms(columns("ALA1-N", "ALA1-CA", "ALA2-N"), ("CA", "CB"))
