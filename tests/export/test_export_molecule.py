"""A written molecule, read back with mdtraj: names, times, and each frame up to superposition."""

import mdtraj
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from mdlm.export.molecule import SUFFIXES, topology_of, write_molecule
from mdlm.features.molecule import atoms_of

DIPEPTIDE = ("ACE1-CH3", "ACE1-C", "ACE1-O", "ALA2-N", "ALA2-CA", "ALA2-CB", "ALA2-C", "ALA2-O", "NME3-N", "NME3-C")
N_FRAMES = 12


def columns(*labels):
    return tuple(f"{label}.{axis}" for label in labels for axis in "xyz")


@pytest.fixture
def tumbling():
    """A shape that wobbles while it tumbles and drifts, nm."""
    rng = np.random.default_rng(2)
    shape = 0.3 * rng.normal(size=(len(DIPEPTIDE), 3))
    frames = shape + 0.02 * rng.normal(size=(N_FRAMES, len(DIPEPTIDE), 3))
    turned = np.stack([Rotation.random(rng=rng).apply(frame) for frame in frames])
    return (turned + 3 * rng.normal(size=(N_FRAMES, 1, 3))).astype(np.float32)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_every_written_frame_is_the_given_one_superposed_onto_the_first(suffix, tumbling, tmp_path):
    atoms, times = atoms_of(columns(*DIPEPTIDE)), 0.5 * np.arange(N_FRAMES) + 3
    given = tumbling.copy()
    files = write_molecule(tmp_path / f"movie{suffix}", tumbling.reshape(N_FRAMES, -1), times, "ns", atoms)
    assert {file.name for file in tmp_path.iterdir()} == {file.name for file in files}
    np.testing.assert_array_equal(tumbling, given)
    topology = {} if suffix == ".pdb" else {"top": files[1]}
    movie = mdtraj.load(files[0], **topology)
    assert [str(atom) for atom in movie.topology.atoms] == list(DIPEPTIDE)
    precision = 0.001  # nm, of xtc and pdb
    np.testing.assert_allclose(movie.xyz[0], given[0], atol=precision)
    for frame, wanted in zip(movie.xyz, given, strict=True):
        moved, wanted = frame - frame.mean(axis=0), wanted - wanted.mean(axis=0)
        turned = Rotation.align_vectors(moved, wanted)[0].apply(wanted)
        np.testing.assert_allclose(moved, turned, atol=2 * precision)
        first = movie.xyz[0] - movie.xyz[0].mean(axis=0)
        left_to_turn = Rotation.align_vectors(first, moved)[0].magnitude()
        assert left_to_turn < 0.01
    np.testing.assert_allclose(
        movie.xyz.mean(axis=1), np.broadcast_to(given[0].mean(axis=0), (N_FRAMES, 3)), atol=0.001
    )
    if suffix in (".xtc", ".trr"):
        np.testing.assert_allclose(movie.time, 1000 * times)


def test_chains_residues_and_elements_come_from_the_names():
    labels = ["A:ALA-1-N", "A:ALA-1-CA", "A:GLY2-HA2", "B:CYS2-SG", "B:CA7-CA", "B:DUM8-X1"]
    topology = topology_of(atoms_of(columns(*labels)))
    assert [chain.chain_id for chain in topology.chains] == ["A", "B"]
    assert [(r.name, r.resSeq) for r in topology.residues] == [
        *(("ALA", -1), ("GLY", 2), ("CYS", 2), ("CA", 7), ("DUM", 8)),
    ]
    assert [atom.name for atom in topology.atoms] == [label.rpartition("-")[2] for label in labels]
    assert [atom.element.symbol for atom in topology.atoms] == ["N", "C", "H", "S", "Ca", "VS"]


def test_the_topology_of_a_molecule_is_what_mdtraj_named(tmp_path):
    """Labels are mdtraj's own; a protein that goes through them comes back with its bonds."""
    peptide = mdtraj.Topology()
    chain = peptide.add_chain()
    for number, name in enumerate(["GLY", "ALA"], start=5):
        residue = peptide.add_residue(name, chain, resSeq=number)
        for atom in ("N", "CA", "C", "O"):
            peptide.add_atom(atom, mdtraj.element.get_by_symbol(atom[0]), residue)
    peptide.create_standard_bonds()
    assert topology_of(atoms_of(columns(*map(str, peptide.atoms)))) == peptide


def test_a_model_of_one_bead_per_residue_is_kept(tmp_path):
    rng = np.random.default_rng(0)
    beads = [f"{name}{number}-CA" for number, name in enumerate(["LYS", "LEU", "PRO", "PRO"], start=6)]
    frames = rng.normal(size=(3, 12))
    files = write_molecule(tmp_path / "m.xtc", frames, np.arange(3.0), "reduced", atoms_of(columns(*beads)))
    movie = mdtraj.load(files[0], top=files[1])
    assert [str(atom) for atom in movie.topology.atoms] == beads
    np.testing.assert_array_equal(movie.time, [0, 1, 2])


def test_two_atoms_have_no_orientation_and_are_centred(tmp_path, capfd):
    frames = np.array([[0, 0, 0, 1, 0, 0], [5, 5, 5, 5, 7, 5]], float)
    write_molecule(tmp_path / "m.pdb", frames, np.arange(2.0), "ps", atoms_of(columns("N1-N1", "N1-N2")))
    movie = mdtraj.load(tmp_path / "m.pdb")
    np.testing.assert_allclose(movie.xyz.mean(axis=1), 0, atol=0.001)
    assert capfd.readouterr() == ("", "")  # mdtraj's superposition complains in C
