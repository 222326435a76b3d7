"""Alanine dipeptide as a system: what it promises, what it yields, what it leaves on disk."""

import re
import sys
from dataclasses import replace

import mdtraj
import numpy as np
import pytest

from mdlm.features.torsions import Torsions
from mdlm.system.alanine_dipeptide import AlanineDipeptide

FIELDS = {
    "lag_time": 10,
    "n_trajectories": 2,
    "trajectory_length_ps": 3.0,
    "equilibration_ps": 1.0,
    "segment_ps": 1.0,
    "temperature_K": 450,
    "friction": 1.0,
    "time_step": 0.004,
    "save_every": 25,
    "atoms": "heavy",
    "seed": 0,
    "platform": "Reference",
    "n_processes": 1,
}
HEAVY = ["ACE1-CH3", "ACE1-C", "ACE1-O", "ALA2-N", "ALA2-CA", "ALA2-CB", "ALA2-C", "ALA2-O", "NME3-N", "NME3-C"]


def system_in(folder, **changes):
    return AlanineDipeptide(**(FIELDS | {"directory": folder} | changes))


@pytest.fixture(scope="module")
def simulated(tmp_path_factory):
    """A small system and its trajectories, from one process."""
    pytest.importorskip("openmm", reason="OpenMM is not installed: pip install 'mdlm-kinetics[simulate]'")
    system = system_in(tmp_path_factory.mktemp("alanine"))
    return system, system.trajectories()


def test_the_header_is_known_without_openmm(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "openmm", None)
    header = system_in(tmp_path, n_trajectories=20, trajectory_length_ps=500, segment_ps=50).header
    assert header.columns == tuple(f"{atom}.{axis}" for atom in HEAVY for axis in "xyz")
    assert header.lengths == (5000,) * 20
    assert (header.frame_time, header.time_unit) == (0.1, "ps")
    assert len(system_in(tmp_path, atoms="all").header.columns) == 66
    assert list(tmp_path.iterdir()) == []


def test_without_openmm_the_error_says_how_to_get_it(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "openmm", None)
    with pytest.raises(ValueError, match=re.escape("pip install 'mdlm-kinetics[simulate]'")) as raised:
        system_in(tmp_path).trajectories()
    assert "\n" not in str(raised.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"n_trajectories": 0}, "n_trajectories (0) must be positive"),
        ({"temperature_K": -1}, "temperature_K (-1) must be positive"),
        ({"time_step": 0}, "time_step (0) must be positive"),
        ({"save_every": 0}, "save_every (0) must be positive"),
        ({"equilibration_ps": -1}, "equilibration_ps (-1) must not be negative"),
        ({"equilibration_ps": float("nan")}, "equilibration_ps (nan) must not be negative"),
        (
            {"trajectory_length_ps": 3.05},
            "trajectory_length_ps (3.05 ps) must be a positive multiple of the frame time",
        ),
        ({"segment_ps": 0.05}, "segment_ps (0.05 ps) must be a positive multiple of the frame time"),
        ({"seed": -1}, "seed (-1) must not be negative"),
        ({"n_processes": 0}, "n_processes (0) must be at least 1"),
    ],
)
def test_what_makes_no_sense_is_named(changes, message, tmp_path):
    with pytest.raises(ValueError, match="^" + re.escape(message)):
        system_in(tmp_path, **changes)


def test_where_and_on_what_it_runs_does_not_name_the_result(tmp_path):
    system = system_in(tmp_path)
    same = replace(system, platform="CPU", n_processes=7, directory=tmp_path / "other", lag_time=5)
    assert same.identity() == system.identity()
    for name, value in {"seed": 1, "temperature_K": 400, "atoms": "all", "segment_ps": 3.0}.items():
        assert replace(system, **{name: value}).identity() != system.identity()
        assert replace(system, **{name: value}).folder != system.folder


def test_trajectories_are_what_the_header_promised(simulated):
    system, trajectories = simulated
    assert trajectories.check().header == system.header
    assert all(piece.dtype == np.float32 for piece in trajectories.pieces)
    assert not np.array_equal(*trajectories.pieces)


def test_atoms_stay_bonded(simulated):
    """Heavy-atom bonds of a peptide are 0.12 to 0.16 nm; heat stretches them by less than a tenth."""
    system, trajectories = simulated
    topology = mdtraj.load(str(system.folder / "topology.pdb")).topology
    xyz = np.concatenate(trajectories.pieces).reshape(-1, 10, 3)
    bonds = np.array([(one.index, other.index) for one, other in topology.bonds])
    assert len(bonds) == 9
    lengths = np.linalg.norm(xyz[:, bonds[:, 0]] - xyz[:, bonds[:, 1]], axis=2)
    assert lengths.min() > 0.11
    assert lengths.max() < 0.175


def test_other_programs_read_the_same_frames(simulated):
    system, trajectories = simulated
    for number, piece in enumerate(trajectories.pieces):
        path = system.folder / f"trajectory-{number:03d}.xtc"
        read = mdtraj.load(str(path), top=str(system.folder / "topology.pdb"))
        assert [str(atom) for atom in read.topology.atoms] == HEAVY
        np.testing.assert_allclose(read.time, 0.1 * np.arange(1, 31), rtol=1e-5)
        np.testing.assert_allclose(read.xyz.reshape(30, 30), piece, atol=1e-3)


def test_phi_and_psi_are_those_of_mdtraj(simulated):
    system, trajectories = simulated
    angles = Torsions(as_angles=True).fit(trajectories).transform(trajectories)
    assert angles.columns == ("phi ALA2", "psi ALA2")
    topology = mdtraj.load(str(system.folder / "topology.pdb")).topology
    for piece, found in zip(trajectories.pieces, angles.pieces, strict=True):
        frames = mdtraj.Trajectory(piece.reshape(-1, 10, 3), topology)
        expected = np.hstack([mdtraj.compute_phi(frames)[1], mdtraj.compute_psi(frames)[1]])
        np.testing.assert_allclose(found, expected, atol=1e-4)


def test_two_processes_give_the_bits_of_one(simulated, tmp_path):
    _, trajectories = simulated
    again = system_in(tmp_path, n_processes=2).trajectories()
    assert all(np.array_equal(a, b) for a, b in zip(trajectories.pieces, again.pieces, strict=True))


def test_tidying_leaves_the_files_for_other_programs(simulated, tmp_path):
    system = system_in(tmp_path, n_trajectories=1, trajectory_length_ps=1.0)
    system.tidy()  # nothing there yet
    system.trajectories()
    assert (system.folder / "segments").is_dir()
    system.tidy()
    assert sorted(file.name for file in system.folder.iterdir()) == ["topology.pdb", "trajectory-000.xtc"]
