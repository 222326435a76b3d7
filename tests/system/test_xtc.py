"""Trajectory files for other programs."""

import errno

import mdtraj
import numpy as np
import pytest

from mdlm.system.xtc import PRECISION, write_trajectories

FRAME_TIME = 0.1


@pytest.fixture
def topology():
    topology = mdtraj.Topology()
    residue = topology.add_residue("ALA", topology.add_chain())
    for name in ("N", "CA", "C"):
        topology.add_atom(name, mdtraj.element.carbon, residue)
    return topology


@pytest.fixture
def pieces():
    rng = np.random.default_rng(0)
    return [rng.normal(size=(n_frames, 9)).astype(np.float32) for n_frames in (40, 25)]


def test_files_hold_the_frames_with_their_times(topology, pieces, tmp_path):
    write_trajectories(tmp_path / "new" / "folder", topology, pieces, FRAME_TIME)
    names = sorted(file.name for file in (tmp_path / "new" / "folder").iterdir())
    assert names == ["topology.pdb", "trajectory-000.xtc", "trajectory-001.xtc"]
    for number, piece in enumerate(pieces):
        path = tmp_path / "new" / "folder" / f"trajectory-{number:03d}.xtc"
        read = mdtraj.load(str(path), top=str(path.with_name("topology.pdb")))
        np.testing.assert_allclose(read.xyz.reshape(piece.shape), piece, rtol=0, atol=PRECISION)
        np.testing.assert_allclose(read.time, FRAME_TIME * np.arange(1, len(piece) + 1), rtol=1e-6)


def test_files_that_are_there_are_left_as_they_are(topology, pieces, tmp_path):
    (tmp_path / "trajectory-001.xtc").write_text("mine")
    write_trajectories(tmp_path, topology, pieces, FRAME_TIME)
    assert (tmp_path / "trajectory-001.xtc").read_text() == "mine"


def test_a_file_that_was_not_written_whole_does_not_stay(topology, pieces, tmp_path, monkeypatch):
    """As on a full disk, of which mdtraj says nothing."""
    save = mdtraj.Trajectory.save

    def cut(self, path):
        save(self, path)
        if path.endswith(".xtc"):
            with open(path, "r+b") as file:
                file.truncate(200)

    monkeypatch.setattr(mdtraj.Trajectory, "save", cut)
    with pytest.raises(OSError, match=r"cannot be written whole|is not what was written") as raised:
        write_trajectories(tmp_path, topology, pieces, FRAME_TIME)
    assert raised.value.errno == errno.EIO
    assert raised.value.filename.endswith("trajectory-000.xtc")
    assert [file.name for file in tmp_path.iterdir()] == ["topology.pdb"]
