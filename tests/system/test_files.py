import contextlib
import logging
from unittest import mock

import mdtraj
import numpy as np
import pytest

from mdlm.system import paths, readers
from mdlm.system.files import Files

HEAVY = "not element H"
PERIODIC = np.diag([3.0, 2.0, 2.0])  # nm


def files(topology, path, **changes):
    paths = tuple(map(str, path)) if isinstance(path, (list, tuple)) else str(path)
    return Files(**{"lag_time": 10.0, "topology": str(topology), "path": paths} | changes)


@pytest.fixture
def two(peptide, shapes, save):
    """A topology and two xtc files of 30 and 40 frames, 2 ps apart; and what they hold."""
    topology = peptide()
    positions = (shapes(30), shapes(40, seed=1))
    top = save("peptide.pdb", topology, positions[0][:1])
    made = [
        save(f"run{number}.xtc", topology, piece, times=2.0 * np.arange(len(piece)))
        for number, piece in enumerate(positions, start=9)
    ]
    return top, made, positions


@pytest.fixture(scope="module")
def pentapeptide(shared_data):
    """The 25 files of the pentapeptide as a system."""
    folder = shared_data / "pentapeptide"
    return files(folder / "pentapeptide-impl-solv.pdb", folder / "*.xtc")


def test_what_is_known_before_anything_is_read(two, tmp_path):
    top, _, _ = two
    header = files(top, tmp_path / "*.xtc").header
    assert header.lengths == (30, 40)  # run9 comes before run10
    assert header.frame_time == 2.0
    assert header.time_unit == "ps"
    assert len(header.columns) == 3 * 15
    assert header.columns[:3] == ("ALA1-N.x", "ALA1-N.y", "ALA1-N.z")


def test_every_file_is_a_piece_of_its_own(two):
    top, made, positions = two
    system = files(top, made, atoms="name CA O")
    trajectory = system.trajectories()
    assert trajectory.header == system.header
    chosen = mdtraj.load_topology(top).select("name CA O")
    for piece, true in zip(trajectory.pieces, positions, strict=True):
        assert piece.dtype == np.float32
        np.testing.assert_allclose(piece, true[:, chosen].reshape(len(true), -1), atol=6e-4)  # xtc keeps 0.001 nm


@pytest.mark.parametrize("kind", ["xtc", "trr", "dcd", "nc", "h5", "pdb"])
@pytest.mark.parametrize("cell", [None, PERIODIC], ids=["free", "periodic"])
def test_every_format_gives_what_was_written(peptide, shapes, save, kind, cell, capfd):
    if kind == "h5":
        pytest.importorskip("tables")
    positions = shapes(12)
    times = 5.0 + 0.5 * np.arange(12)
    path = save(f"run.{kind}", peptide(), positions, times, cell)
    top = save("top.pdb", peptide(), positions[:1])
    capfd.readouterr()
    frame_time = 0.5 if kind in ("dcd", "pdb") else None
    trajectory = files(top, path, frame_time=frame_time, atoms="all").trajectories()
    assert trajectory.frame_time == 0.5
    np.testing.assert_allclose(trajectory.pieces[0], positions.reshape(12, -1), atol=6e-4)
    assert capfd.readouterr() == ("", "")  # mdtraj's readers print what nobody asked


@pytest.mark.parametrize("kind", ["xtc", "trr", "dcd", "nc", "h5", "pdb"])
def test_molecules_are_whole_whatever_the_format_unless_told_otherwise(peptide, shapes, save, kind):
    if kind == "h5":
        pytest.importorskip("tables")
    true = shapes(8)
    cut = (true + np.array([2.5, 1.9, 1.9], np.float32)) % PERIODIC.diagonal().astype(np.float32)
    path = save(f"run.{kind}", peptide(), cut, np.arange(8.0), PERIODIC)
    top = save("top.pdb", peptide(), true[:1])
    for whole, expected in ((True, true), (False, cut)):
        (piece,) = files(top, path, frame_time=1.0, whole=whole, atoms="all").trajectories().pieces
        from_first = piece.reshape(cut.shape) - piece.reshape(cut.shape)[:, :1]
        np.testing.assert_allclose(from_first, expected - expected[:, :1], atol=2e-3)


def test_the_size_of_chunks_decides_nothing(two, monkeypatch):
    top, made, _ = two
    expected = files(top, made).trajectories()
    monkeypatch.setattr(readers, "READ_BYTES", 12 * 15 * 7)
    seen = []
    again = files(top, made).trajectories(lambda done, total, note="": seen.append((done, total)))
    assert seen == [(done, 70) for done in (7, 14, 21, 28, 30, 37, 44, 51, 58, 65, 70)]
    for piece, same in zip(again.pieces, expected.pieces, strict=True):
        np.testing.assert_array_equal(piece, same)


def test_large_sets_lie_in_a_file(two, monkeypatch):
    top, made, _ = two
    expected = files(top, made).trajectories()
    monkeypatch.setattr(paths, "IN_MEMORY", 0)
    for piece, same in zip(files(top, made).trajectories().pieces, expected.pieces, strict=True):
        np.testing.assert_array_equal(piece, same)


def test_times_are_turned_into_the_unit_or_overridden(two):
    top, made, _ = two
    assert files(top, made, time_unit="ns").header.frame_time == 0.002
    assert files(top, made, time_unit="ns").trajectories().frame_time == 0.002
    assert files(top, made, frame_time=7.0).header.frame_time == 7.0


def test_a_frame_time_that_is_given_is_taken_instead_of_wrong_stamps(peptide, shapes, save):
    top = save("top.pdb", peptide(), shapes(1))
    path = save("run.xtc", peptide(), shapes(5), np.zeros(5))
    assert files(top, path, frame_time=3.0).trajectories().frame_time == 3.0
    with pytest.raises(ValueError, match=r"^path: the times in .*run.xtc do not rise \(0, 0 ps\); give frame_time="):
        files(top, path).header  # noqa: B018


def test_a_gap_in_the_middle_is_found_while_reading(peptide, shapes, save):
    times = np.array([0.0, 1, 2, 4, 3, 5])
    path = save("run.xtc", peptide(), shapes(6), times)
    with pytest.raises(ValueError, match=r"^path: .*run.xtc bears 4 ps at frame 3 instead of 3 ps"):
        files(save("top.pdb", peptide(), shapes(1)), path).trajectories()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"topology": None, "path": None}, "topology, path are missing: give topology=FILE.pdb, path=FILE.xtc"),
        ({"path": None}, "path is missing: give path=FILE.xtc"),
        ({"topology": "nope.pdb"}, r"topology \(nope.pdb\) does not exist; looked for /"),
        ({"path": "nope*.xtc"}, r"path \(nope\*.xtc\) matches no file; looked in /"),
        ({"path": ("nope.xtc",)}, r"path \(nope.xtc\) does not exist"),
        ({"atoms": "name XX"}, r"atoms \(name XX\) selects none of the 18 atoms of /"),
        ({"atoms": "nme CA"}, r"atoms \(nme CA\) is no selection in mdtraj's language: "),
        ({"atoms": ""}, r"atoms \(\) is no selection in mdtraj's language: "),
    ],
)
def test_wrong_fields_are_named(two, changes, message):
    top, made, _ = two
    fields = {"lag_time": 1.0, "topology": str(top), "path": str(made[0])} | changes
    with pytest.raises(ValueError, match=f"^{message}") as raised:
        Files(**fields).header  # noqa: B018
    assert "\n" not in str(raised.value)


def test_a_frame_time_must_be_positive():
    with pytest.raises(ValueError, match=r"^frame_time \(-1.0\) must be positive"):
        Files(lag_time=1.0, frame_time=-1.0)


def test_another_number_of_atoms_than_in_the_topology_is_refused(two, peptide, shapes, save):
    top, made, _ = two
    longer = save("longer.xtc", peptide(4), shapes(5, n_residues=4), np.arange(5.0))
    with pytest.raises(ValueError, match=r"^path: .*longer.xtc has 24 atoms and topology .*peptide.pdb has 18$"):
        files(top, [*made, longer]).header  # noqa: B018


def test_a_file_of_another_frame_time_is_refused(two, peptide, shapes, save):
    top, made, _ = two
    slower = save("slower.xtc", peptide(), shapes(5), 20.0 * np.arange(5))
    with pytest.raises(ValueError, match=r"^path: .*slower.xtc has a frame every 20 ps, .*run9.xtc every 2 ps"):
        files(top, [*made, slower]).header  # noqa: B018


@pytest.mark.parametrize("kind", ["dcd", "pdb"])
def test_formats_without_times_need_a_frame_time(peptide, shapes, save, kind):
    path = save(f"run.{kind}", peptide(), shapes(5), np.arange(5.0))
    with pytest.raises(ValueError, match=rf"^frame_time is missing: .*run.{kind} holds no times; give frame_time=TIME"):
        files(save("top.pdb", peptide(), shapes(1)), path).header  # noqa: B018


def test_a_single_frame_is_no_trajectory(two, peptide, shapes, save):
    with pytest.raises(ValueError, match=r"^path: .*one.xtc holds 1 frames; a trajectory needs at least two"):
        files(two[0], save("one.xtc", peptide(), shapes(1))).header  # noqa: B018


def test_coordinates_that_are_no_numbers_are_refused(peptide, shapes, save):
    positions = shapes(9)
    positions[7, 4, 1] = np.nan
    path = save("run.dcd", peptide(), positions)
    with pytest.raises(ValueError, match=r"^path: .*run.dcd holds nan at frame 7; every coordinate"):
        files(save("top.pdb", peptide(), shapes(1)), path, frame_time=1.0).trajectories()


@pytest.mark.parametrize("cell", [None, PERIODIC], ids=["free", "periodic"])
def test_infinite_coordinates_are_refused(peptide, shapes, save, cell):
    positions = shapes(9)
    positions[7, 4, 1] = np.inf
    path = save("run.trr", peptide(), positions, np.arange(9.0), cell)
    with pytest.raises(ValueError, match=r"^path: .*run.trr holds inf at frame 7; every coordinate"):
        files(save("top.pdb", peptide(), shapes(1)), path).trajectories()


@pytest.mark.parametrize("kind", ["xtc", "trr", "dcd", "nc", "pdb"])
@pytest.mark.parametrize("kept", [0.0, 0.02, 0.5, 0.97])
def test_a_file_that_was_cut_off_is_refused_before_anything_is_read(peptide, shapes, save, capfd, kind, kept):
    path = save(f"run.{kind}", peptide(), shapes(37), np.arange(37.0))
    content = path.read_bytes()
    path.write_bytes(content[: int(kept * len(content))])
    top = save("top.pdb", peptide(), shapes(1))
    capfd.readouterr()
    with pytest.raises(ValueError, match=r"^path: .*run\.[a-z]+ (cannot be read|holds|is cut off)") as raised:
        files(top, path, frame_time=1.0).header  # noqa: B018
    assert "\n" not in str(raised.value)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("kind", ["xtc", "trr"])
@pytest.mark.parametrize("n_atoms", [5, 18])  # up to nine atoms are not compressed
def test_every_cut_but_one_between_frames_is_found(peptide, shapes, save, monkeypatch, kind, n_atoms):
    monkeypatch.setattr(readers, "gc", mock.Mock())  # which takes the longest by far
    topology = peptide().subset(range(n_atoms))
    lengths = [save(f"{n}.{kind}", topology, shapes(9)[:n, :n_atoms], np.arange(n)).stat().st_size for n in (7, 8, 9)]
    path = save(f"run.{kind}", topology, shapes(9)[:, :n_atoms], np.arange(9.0))
    content = path.read_bytes()
    found = {}
    for length in range(lengths[0], lengths[2] + 1):
        path.write_bytes(content[:length])
        with contextlib.suppress(ValueError):
            found[length] = readers.look(path).n_frames
    assert found == dict(zip(lengths, (7, 8, 9), strict=True))


def test_a_file_damaged_in_the_middle_is_refused(two):
    """The frame that no longer says how long it is hides all that follow."""
    top, made, _ = two
    content = bytearray(made[1].read_bytes())
    middle = content.find(b"\x00\x00\x07\xcb", len(content) // 2)  # 1995, with which a frame begins
    content[middle : middle + 4] = b"\xff\xff\xff\xff"
    made[1].write_bytes(bytes(content))
    with pytest.raises(ValueError, match=r"^path: .*run10.xtc"):
        files(top, made).trajectories()


def test_another_format_is_refused(two, tmp_path):
    (tmp_path / "run.txt").write_text("no trajectory")
    with pytest.raises(ValueError, match=r"^path \(.*run.txt\) must be of a format that is read: .xtc, .trr, .dcd"):
        files(two[0], tmp_path / "run.txt").header  # noqa: B018
    with pytest.raises(ValueError, match=r"^topology: .*run.txt cannot be read"):
        files(tmp_path / "run.txt", two[1]).header  # noqa: B018


def test_hdf5_without_pytables_says_what_to_install(two, tmp_path, monkeypatch):
    monkeypatch.setattr(readers, "find_spec", lambda name: None)
    (tmp_path / "run.h5").touch()
    for top, path, field in ((two[0], tmp_path / "run.h5", "path"), (tmp_path / "run.h5", two[1], "topology")):
        with pytest.raises(ValueError, match=rf"^{field} \(.*run.h5\): .*pip install 'mdlm-kinetics\[hdf5\]'"):
            files(top, path).header  # noqa: B018


def test_several_molecules_in_a_periodic_cell_are_warned_of(peptide, shapes, save, caplog):
    positions = np.concatenate([shapes(5), shapes(5) + 0.5], axis=1)
    topology = peptide(n_chains=2)
    top = save("top.pdb", topology, positions[:1])
    with caplog.at_level(logging.WARNING):
        files(top, save("free.xtc", topology, positions, np.arange(5.0))).trajectories()
        assert caplog.messages == []
        files(top, save("cell.xtc", topology, positions, np.arange(5.0), PERIODIC)).trajectories()
    assert caplog.messages == [
        "system.atoms: the selection lies in 2 molecules; each is made whole by itself, but from one to "
        "another distances may still jump by the edge of the periodic cell"
    ]


def test_the_contents_of_files_and_not_their_names_are_the_identity(two, tmp_path):
    top, made, _ = two
    identity = files(top, made).identity()
    moved = [path.rename(tmp_path / f"moved{number}.xtc") for number, path in enumerate(made)]
    assert files(top, moved).identity() == identity
    assert files(top, moved, lag_time=99.0).identity() == identity  # judged otherwise, but the same data
    assert files(top, moved, atoms="name CA").identity() != identity
    assert files(top, moved[::-1]).identity() != identity
    moved[0].write_bytes(moved[0].read_bytes()[:-4] + b"\0\0\0\1")
    assert files(top, moved).identity() != identity


def test_the_pentapeptide_is_25_trajectories_of_44_heavy_atoms(pentapeptide):
    header = pentapeptide.header
    assert header.lengths == (5001,) * 25
    assert header.frame_time == 100.0  # ps: 0.1 ns
    assert len(header.columns) == 132


def test_the_pentapeptide_is_what_mdtraj_loads(pentapeptide, shared_data):
    folder = shared_data / "pentapeptide"
    path = folder / "pentapeptide-07-500ns-impl-solv.xtc"
    theirs = mdtraj.load(path, top=folder / "pentapeptide-impl-solv.pdb")
    heavy = theirs.topology.select(HEAVY)
    (ours,) = files(folder / "pentapeptide-impl-solv.pdb", path).trajectories().pieces
    np.testing.assert_array_equal(ours.reshape(5001, -1, 3), theirs.xyz[:, heavy])
    topology = theirs.topology.subset(heavy)
    bonds = np.array([[bond[0].index, bond[1].index] for bond in topology.bonds])
    lengths = np.linalg.norm(np.diff(ours.reshape(5001, -1, 3)[:, bonds], axis=2), axis=3)
    assert 0.11 < lengths.min() < lengths.max() < 0.173


@pytest.mark.parametrize("cut", [5, 100, 440 * 2500 + 123])
def test_a_truncated_pentapeptide_is_refused(shared_data, tmp_path, cut, capfd):
    folder = shared_data / "pentapeptide"
    content = (folder / "pentapeptide-00-500ns-impl-solv.xtc").read_bytes()
    (tmp_path / "cut.xtc").write_bytes(content[:-cut])
    with pytest.raises(ValueError, match=r"^path: .*cut.xtc cannot be read; it is damaged, cut off or"):
        files(folder / "pentapeptide-impl-solv.pdb", tmp_path / "cut.xtc").header  # noqa: B018
    assert capfd.readouterr() == ("", "")
