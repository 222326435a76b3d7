import numpy as np
import pytest

from mdlm.features import framewise
from mdlm.features.torsions import Torsions
from mdlm.trajectory import Header, Trajectory

STRUCTURES = [
    "alanine_dipeptide/alanine-dipeptide-gbsa.pdb",
    "pentapeptide/pentapeptide-impl-solv.pdb",
    "native/1PIN_WW_6-39.pdb",
    "native/2F4K.pdb",
    "native/CLN025_5AWL.pdb",
]
FOUR = ("ALA1-N", "ALA1-CA", "ALA1-C", "ALA2-N")  # the atoms of psi


def described(features, trajectory):
    found = features.fit(trajectory).transform(trajectory)
    assert features.header_of(trajectory.header) == found.header
    return found


def apart(a, b):
    """Largest difference of angles, whatever their turns."""
    return np.abs(np.angle(np.exp(1j * (np.asarray(a, float) - b)))).max()


def in_mdtraj(molecule, kind):
    """Names and angles of one kind as mdtraj gives them."""
    import mdtraj

    atoms, angles = getattr(mdtraj, f"compute_{kind}")(molecule, periodic=False)
    own = 1 if kind == "phi" else 0  # its first atom is of the residue before
    return [f"{kind} {molecule.topology.atom(four[own]).residue}" for four in atoms], angles


@pytest.mark.parametrize("path", STRUCTURES)
@pytest.mark.parametrize("kind", ["phi", "psi", "omega", "chi1"])
def test_torsions_of_molecules_are_those_of_mdtraj(path, kind, shaken, of_molecules):
    molecule = shaken(path)
    names, angles = in_mdtraj(molecule, kind)
    features = Torsions(angles=(kind,), as_angles=True)
    if not names:
        with pytest.raises(ValueError, match=rf"^angles \({kind}\): the system has none"):
            features.header_of(of_molecules(molecule).header)
        return
    found = described(features, of_molecules(molecule))
    assert list(found.columns) == names
    assert apart(found.pieces[0], angles) < 1e-4


def test_caps_are_part_of_alanine_dipeptides_angles(shaken, of_molecules):
    found = described(Torsions(), of_molecules(shaken(STRUCTURES[0])))
    assert found.columns == ("sin phi ALA2", "cos phi ALA2", "sin psi ALA2", "cos psi ALA2")


def test_torsions_of_a_trajectory_in_all_its_pieces_are_those_of_mdtraj(pentapeptide, of_molecules):
    molecules = [molecule[:300] for molecule in pentapeptide[:2]]
    found = described(Torsions(angles=("phi", "psi", "chi1")), of_molecules(*molecules))
    assert len(found.columns) == 24
    for molecule, piece in zip(molecules, found.pieces, strict=True):
        angles = np.concatenate([in_mdtraj(molecule, kind)[1] for kind in ("phi", "psi", "chi1")], axis=1)
        np.testing.assert_allclose(piece[:, 0::2], np.sin(angles), atol=2e-5)
        np.testing.assert_allclose(piece[:, 1::2], np.cos(angles), atol=2e-5)


@pytest.mark.parametrize("degrees", [-179.0, -90.0, -60.0, 0.0, 30.0, 90.0, 180.0])
def test_four_atoms_turned_by_hand_give_their_angle(degrees, of_atoms):
    """Seen along the axis, the far atom is turned clockwise from the near one: a positive angle (IUPAC)."""
    turn = np.radians(degrees)
    place = [[1, 0, 0], [0, 0, 0], [0, 0, 1], [2 * np.cos(turn), 2 * np.sin(turn), 1.5]]
    trajectory = of_atoms(FOUR, [place, np.multiply(place, 0.1) + 7])
    angles = described(Torsions(angles=("psi",), as_angles=True), trajectory)
    assert angles.columns == ("psi ALA1",)
    assert apart(angles.pieces[0], turn) < 1e-5
    both = described(Torsions(angles=("psi",)), trajectory)
    np.testing.assert_allclose(both.pieces[0], [[np.sin(turn), np.cos(turn)]] * 2, atol=1e-5)


def test_no_torsion_reaches_over_a_gap_or_into_another_chain(of_atoms):
    """Across a gap in the residue numbers mdtraj goes on; but there is no peptide bond, and hence no angle here."""
    backbone = [
        f"{residue}-{atom}" for residue in ("A:ALA1", "A:ALA2", "A:ALA4", "B:ALA5") for atom in ("N", "CA", "C")
    ]
    trajectory = of_atoms(backbone, np.random.default_rng(0).normal(size=(1, 12, 3)))
    found = Torsions(angles=("phi", "psi", "omega"), as_angles=True).header_of(trajectory.header)
    assert found.columns == ("phi A:ALA2", "psi A:ALA1", "omega A:ALA1")


def test_chains_by_name_are_told_apart_and_angles_stay_the_same(shaken, of_molecules):
    molecule = shaken("native/2F4K.pdb")
    plain = described(Torsions(), of_molecules(molecule))
    chains = described(Torsions(), of_molecules(molecule, chains=True))
    assert chains.columns[0] == "sin phi A:SER43"
    np.testing.assert_array_equal(chains.pieces[0], plain.pieces[0])


@pytest.mark.parametrize(
    ("columns", "angles", "chosen"),
    [
        (("phi", "psi"), ("phi", "psi"), ("phi", "psi")),
        (("psi", "phi"), ("phi", "psi"), ("phi", "psi")),
        (("x", "phi ALA2", "phi LEU3", "psi ALA2"), ("phi",), ("phi ALA2", "phi LEU3")),
        (("phi ALA2", "psi ALA2", "phi LEU3"), ("phi", "psi"), ("phi ALA2", "phi LEU3", "psi ALA2")),
        (("phi2", "phi", "phil"), ("phi",), ("phi",)),
    ],
)
def test_ready_angles_are_found_by_their_names(columns, angles, chosen):
    values = np.random.default_rng(0).uniform(-np.pi, np.pi, (5, len(columns)))
    trajectory = Trajectory((values, values[:2]), 1.0, "ps", columns)
    as_angles = described(Torsions(angles=angles, as_angles=True), trajectory)
    expected = values[:, [columns.index(name) for name in chosen]]
    assert as_angles.columns == chosen
    np.testing.assert_array_equal(as_angles.pieces[0], expected.astype(np.float32))
    both = described(Torsions(angles=angles), trajectory)
    assert both.columns == tuple(f"{function} {name}" for name in chosen for function in ("sin", "cos"))
    np.testing.assert_allclose(both.pieces[1][:, 0::2], np.sin(expected[:2]), atol=1e-6)
    np.testing.assert_allclose(both.pieces[1][:, 1::2], np.cos(expected[:2]), atol=1e-6)


def test_working_in_chunks_changes_nothing(monkeypatch, shaken, of_molecules):
    trajectory = of_molecules(shaken(STRUCTURES[0]), shaken(STRUCTURES[0], 3))
    whole = described(Torsions(), trajectory)
    monkeypatch.setattr(framewise, "CHUNK_FRAMES", 7)
    for piece, again in zip(whole.pieces, described(Torsions(), trajectory).pieces, strict=True):
        np.testing.assert_array_equal(again, piece)


@pytest.mark.parametrize("angles", [(), ("phi", "phi"), ("phi", "chi9")])
def test_a_senseless_choice_of_angles_is_refused(angles):
    message = rf"^angles \({', '.join(angles)}\) must be some of phi, psi, omega, chi1, each once$"
    with pytest.raises(ValueError, match=message):
        Torsions(angles=angles)


def test_a_system_without_torsions_is_refused_before_computing():
    message = r"^angles \(phi\): the system has none, by atoms or by name; its columns are x, y$"
    with pytest.raises(ValueError, match=message):
        Torsions().header_of(Header(("x", "y"), (10,), 1.0, "ps"))
