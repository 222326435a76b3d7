import mdtraj
import numpy as np
import pytest

from mdlm.features import framewise
from mdlm.features.torsions import KINDS, Torsions
from mdlm.trajectory import Header, Trajectory

STRUCTURES = [
    "pentapeptide/pentapeptide-impl-solv.pdb",
    "alanine_dipeptide/alanine-dipeptide-gbsa.pdb",
    "native/1PIN_WW_6-39.pdb",
    "native/2F4K.pdb",
    "native/2JOF_model1.pdb",
    "native/CLN025_5AWL.pdb",
]


def angles_of(molecule, kind):
    return getattr(mdtraj, f"compute_{kind}")(molecule, periodic=False)


def assert_same_angles(found, expected, atol=2e-4):
    """Up to whole turns; mdtraj works in single precision."""
    np.testing.assert_allclose(np.angle(np.exp(1j * (found.astype(float) - expected))), 0, atol=atol)


def turn(torsion):
    """Four atoms whose torsion about the z axis is known."""
    return [[1, 0, 0], [0, 0, 0], [0, 0, 1], [np.cos(torsion), np.sin(torsion), 1]]


def test_a_torsion_that_is_built_is_found(of_atoms):
    built = np.array([0.0, 0.3, np.pi / 2, 3.0, -3.0, -0.3])
    names = ["GLY1-C", "ALA2-N", "ALA2-CA", "ALA2-C"]
    trajectory = of_atoms(names, [turn(torsion) for torsion in built])
    phi = Torsions(angles=("phi",), as_angles=True)
    found = phi.fit(trajectory).transform(trajectory)
    assert found.columns == ("phi ALA2",)
    np.testing.assert_allclose(found.pieces[0][:, 0], built, atol=1e-6)
    waves = Torsions(angles=("phi",)).fit(trajectory).transform(trajectory)
    assert waves.columns == ("sin phi ALA2", "cos phi ALA2")
    np.testing.assert_allclose(waves.pieces[0], np.stack([np.sin(built), np.cos(built)], axis=1), atol=1e-6)


@pytest.mark.parametrize("path", STRUCTURES)
def test_every_torsion_mdtraj_finds_is_found_and_no_other(shaken, of_molecules, path):
    molecule = shaken(path)
    trajectory = of_molecules(molecule)
    for kind in KINDS:
        atoms, expected = angles_of(molecule, kind)
        if not len(atoms):
            with pytest.raises(ValueError, match=rf"^angles \({kind}\): the system has none, by atoms or by name"):
                Torsions(angles=(kind,)).header_of(trajectory.header)
            continue
        found = Torsions(angles=(kind,), as_angles=True).fit(trajectory).transform(trajectory)
        inner = [molecule.topology.atom(four[1 if kind == "phi" else 0]).residue for four in atoms]
        assert found.columns == tuple(f"{kind} {residue}" for residue in inner)
        assert_same_angles(found.pieces[0], expected)


def test_caps_complete_the_torsions_of_the_residue_between_them(shaken, of_molecules):
    trajectory = of_molecules(shaken("alanine_dipeptide/alanine-dipeptide-gbsa.pdb"))
    assert trajectory.columns[0].startswith("ACE1-")
    expected = ("sin phi ALA2", "cos phi ALA2", "sin psi ALA2", "cos psi ALA2")
    assert Torsions().header_of(trajectory.header).columns == expected


def test_a_real_trajectory_gives_mdtrajs_angles_whatever_the_chunks(pentapeptide, of_molecules, monkeypatch):
    two = [molecule[:999] for molecule in pentapeptide[:2]]
    trajectory = of_molecules(*two)
    features = Torsions(angles=("psi", "chi1"))
    fitted = features.fit(trajectory)
    whole = fitted.transform(trajectory)
    assert whole.columns == features.header_of(trajectory.header).columns
    for piece, molecule in zip(whole.pieces, two, strict=True):
        expected = np.concatenate([angles_of(molecule, kind)[1] for kind in ("psi", "chi1")], axis=1)
        assert piece.dtype == np.float32
        assert_same_angles(np.arctan2(piece[:, 0::2], piece[:, 1::2]), expected)
    monkeypatch.setattr(framewise, "CHUNK_VALUES", 94 * 3 * 7)
    for piece, again in zip(whole.pieces, fitted.transform(trajectory).pieces, strict=True):
        np.testing.assert_array_equal(piece, again)


def test_torsions_reach_neither_into_another_chain_nor_over_missing_residues():
    backbone = ("N", "CA", "C")
    for residues in (("A:GLY1", "B:ALA2"), ("GLY1", "ALA3"), ("GLY7", "ALA1")):
        columns = tuple(f"{residue}-{name}.{axis}" for residue in residues for name in backbone for axis in "xyz")
        with pytest.raises(ValueError, match=r"^angles \(phi\): the system has none"):
            Torsions().header_of(Header(columns, (10,), 1.0, "ps"))


def test_chains_with_the_same_residues_are_told_apart(shaken, of_molecules):
    molecule = shaken("alanine_dipeptide/alanine-dipeptide-gbsa.pdb")
    both = molecule.stack(molecule)
    both.xyz[:, molecule.n_atoms :] += 1
    features = Torsions(angles=("phi",), as_angles=True)
    trajectory = of_molecules(both, chains=True)
    assert features.header_of(trajectory.header).columns == ("phi A:ALA2", "phi B:ALA2")
    assert_same_angles(features.fit(trajectory).transform(trajectory).pieces[0], angles_of(both, "phi")[1])


def test_ready_angles_are_taken_by_their_names():
    columns = ("energy", "psi ALA2", "phi ALA2", "phi", "phi2", "philosophy", "cos phi")
    frames = np.random.default_rng(0).uniform(-np.pi, np.pi, (50, 7))
    trajectory = Trajectory((frames,), 1.0, "ps", columns)
    angles = Torsions(as_angles=True).fit(trajectory).transform(trajectory)
    assert angles.columns == ("phi ALA2", "phi", "psi ALA2")
    np.testing.assert_array_equal(angles.pieces[0], frames[:, [2, 3, 1]].astype(np.float32))
    waves = Torsions(angles=("psi",)).fit(trajectory).transform(trajectory)
    assert waves.columns == ("sin psi ALA2", "cos psi ALA2")
    np.testing.assert_allclose(waves.pieces[0], np.stack([np.sin(frames[:, 1]), np.cos(frames[:, 1])], 1), atol=1e-6)


@pytest.mark.parametrize("angles", [(), ("phi", "phi"), ("phi", "chi9")])
def test_kinds_that_do_not_exist_or_repeat_are_refused(angles):
    with pytest.raises(ValueError, match=r"^angles \(.*\) must be some of phi, psi, omega, chi1, each once$"):
        Torsions(angles=angles)


def test_a_system_without_torsions_is_refused_before_computing():
    with pytest.raises(ValueError, match=r"^angles \(phi\): .*, by atoms or by name; its columns are x, y$"):
        Torsions().header_of(Header(("x", "y"), (10,), 1.0, "ps"))
