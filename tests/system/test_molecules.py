import mdtraj
import numpy as np
import pytest

from mdlm.system.molecules import coordinate_columns, molecules

CUBE = np.diag([1.0, 1.0, 1.0])  # nm; the molecule is 1.2 nm long
SKEW = np.array([[1.5, 0, 0], [0.5, 1.4, 0], [-0.5, 0.6, 1.2]])


def wrapped(positions, cell):
    """Every atom inside the cell, as simulation programs write them."""
    fractions = positions @ np.linalg.inv(cell)
    return ((fractions - np.floor(fractions)) @ cell).astype(np.float32)


def moved_through(positions, cell):
    """Each frame somewhere else, so that the edge cuts the molecule everywhere."""
    places = np.random.default_rng(1).random((len(positions), 1, 3)) * 5 @ cell
    return (positions + places).astype(np.float32)


def made_whole(positions, cell, topology, selection="all"):
    found = molecules(topology, topology.select(selection))
    cells = np.tile(cell.astype(np.float32), (len(positions), 1, 1))
    return found.of_selected(found.made_whole(positions[:, found.atoms], cells))


def inside(positions):
    """All vectors between atoms, which do not depend on where a molecule is."""
    return positions[:, :, None] - positions[:, None]


@pytest.mark.parametrize("cell", [CUBE, SKEW, 3 * CUBE], ids=["cube", "triclinic", "large"])
@pytest.mark.parametrize("selection", ["all", "not element H", "name CA", "name H", "name O CB and resid 0 2"])
def test_a_cut_molecule_gets_its_shape_back(peptide, shapes, cell, selection):
    """Selected atoms that no bond joins are joined through those in between."""
    topology = peptide()
    true = shapes(200)
    whole = made_whole(wrapped(moved_through(true, cell), cell), cell, topology, selection)
    expected = true[:, topology.select(selection)]
    np.testing.assert_allclose(inside(whole), inside(expected), atol=1e-5)


def test_atoms_move_by_whole_cells_only(peptide, shapes):
    cut = wrapped(moved_through(shapes(50), SKEW), SKEW)
    moves = (made_whole(cut, SKEW, peptide()) - cut) @ np.linalg.inv(SKEW)
    np.testing.assert_allclose(moves, np.rint(moves), atol=1e-5)
    assert np.abs(moves).max() > 0.9


def test_mdtraj_makes_the_same_molecules_of_a_real_structure(shared_data):
    path = shared_data / "alanine_dipeptide" / "alanine-dipeptide-gbsa.pdb"
    molecule = mdtraj.load_pdb(str(path), no_boxchk=True)
    cell = np.diag([1.1, 0.9, 1.0])
    cut = wrapped(moved_through(np.repeat(molecule.xyz, 50, axis=0), cell), cell)
    theirs = mdtraj.Trajectory(cut, molecule.topology)
    theirs.unitcell_vectors = np.tile(cell.astype(np.float32), (50, 1, 1))
    theirs.make_molecules_whole(inplace=True)
    ours = made_whole(cut, cell, molecule.topology)
    np.testing.assert_allclose(inside(ours), inside(theirs.xyz), atol=1e-5)


def test_a_molecule_that_is_whole_stays_where_it_is(peptide, shapes):
    positions = shapes(20)
    np.testing.assert_array_equal(made_whole(positions, 3 * CUBE, peptide()), positions)


def test_only_the_atoms_that_join_selected_ones_are_read(peptide):
    topology = peptide()
    alphas = molecules(topology, topology.select("name CA"))
    assert {str(topology.atom(int(atom))) for atom in alphas.atoms} == {
        *("ALA1-CA", "ALA1-C", "ALA2-N", "ALA2-CA", "ALA2-C", "ALA3-N", "ALA3-CA")
    }
    heavy = molecules(topology, topology.select("not element H"))
    np.testing.assert_array_equal(heavy.atoms, topology.select("not element H"))


def test_each_chain_is_a_molecule_of_its_own(peptide, shapes):
    topology = peptide(n_chains=2)
    assert molecules(topology, topology.select("name CA")).n_molecules == 2
    first, second = shapes(50), shapes(50, seed=1)
    both = np.concatenate([moved_through(first, CUBE), moved_through(second, CUBE) + 0.4], axis=1)
    whole = made_whole(wrapped(both, CUBE), CUBE, topology)
    half = topology.n_atoms // 2
    np.testing.assert_allclose(inside(whole[:, :half]), inside(first), atol=1e-5)
    np.testing.assert_allclose(inside(whole[:, half:]), inside(second), atol=1e-5)


@pytest.mark.parametrize("selection", ["all", "name CA"])
def test_unknown_bonds_are_refused_where_the_molecule_may_be_cut(peptide, shapes, selection):
    topology = peptide(bonds=False)
    cut = wrapped(moved_through(shapes(20), CUBE), CUBE)
    with pytest.raises(ValueError, match=r"^whole: the topology lacks bonds of ALA1, so .* or say whole=false"):
        made_whole(cut, CUBE, topology, selection)


def test_unknown_bonds_between_beads_are_refused_too(shapes):
    """A topology of C-alphas alone has no bonds, and no residue of it shows that."""
    topology = mdtraj.Topology()
    chain = topology.add_chain()
    for number in range(4):
        topology.add_atom("CA", mdtraj.element.carbon, topology.add_residue("GLY", chain, resSeq=number + 1))
    cut = np.array([[[0.1, 0, 0], [0.5, 0, 0], [0.9, 0, 0], [0.3, 0, 0]]], np.float32)
    with pytest.raises(ValueError, match=r"^whole: the topology lacks bonds of GLY1"):
        made_whole(cut, CUBE, topology)


def test_unknown_bonds_do_no_harm_where_no_edge_is_near(peptide, shapes):
    positions = shapes(20)
    np.testing.assert_array_equal(made_whole(positions, 3 * CUBE, peptide(bonds=False)), positions)


def test_a_cell_without_volume_is_refused(peptide, shapes):
    with pytest.raises(ValueError, match=r"^whole: a periodic cell has no volume"):
        made_whole(3 * shapes(2), np.diag([1.0, 1.0, 0.0]), peptide())


def test_columns_are_named_by_residue_and_atom(peptide):
    names = coordinate_columns(peptide(), peptide().select("name CA"))
    assert names[:4] == ("ALA1-CA.x", "ALA1-CA.y", "ALA1-CA.z", "ALA2-CA.x")


def test_the_chain_is_named_only_where_it_must_be(peptide):
    topology = peptide(n_chains=2)
    assert coordinate_columns(topology, np.array([0, 6])) == tuple(f"ALA{n}-N.{axis}" for n in (1, 2) for axis in "xyz")
    assert coordinate_columns(topology, np.array([0, 18]))[::3] == ("0:ALA1-N.x", "1:ALA1-N.x")
    for chain, letter in zip(topology.chains, "AB", strict=True):
        chain.chain_id = letter
    assert coordinate_columns(topology, np.array([0, 18]))[::3] == ("A:ALA1-N.x", "B:ALA1-N.x")


def test_a_name_that_is_there_twice_is_refused():
    topology = mdtraj.Topology()
    chain = topology.add_chain()
    for _ in range(2):
        topology.add_atom("O", mdtraj.element.oxygen, topology.add_residue("HOH", chain, resSeq=1))
    with pytest.raises(ValueError, match=r"^atoms: the selection holds two atoms of the name 0:HOH1-O; select fewer"):
        coordinate_columns(topology, np.array([0, 1]))
