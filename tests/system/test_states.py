import logging

import numpy as np
import pytest

from mdlm.system.states import States


def system(path, **changes):
    given = tuple(map(str, path)) if isinstance(path, list) else str(path)
    return States(**{"lag_time": 10.0, "path": given, "frame_time": 0.5, "time_unit": "ns"} | changes)


def pieces_of(made):
    trajectory = made.trajectories()
    assert trajectory.header == made.header
    assert trajectory.columns == ("state",)
    assert all(piece.dtype == np.float32 for piece in trajectory.pieces)
    return [piece[:, 0].tolist() for piece in trajectory.pieces]


@pytest.fixture
def text(tmp_path):
    def write(content, name="a.txt"):
        (tmp_path / name).write_text(content)
        return tmp_path / name

    return write


def test_a_text_file_is_one_trajectory(text):
    path = text("# state of every frame\n0\n1  # a comment\n\t1\n0\n")
    assert pieces_of(system(path)) == [[0, 1, 1, 0]]
    header = system(path).header
    assert (header.lengths, header.frame_time, header.time_unit) == ((4,), 0.5, "ns")


def test_several_text_files_are_several_trajectories(text, tmp_path):
    text("0\n1\n", "run10.txt")
    text("1\n0\n1\n", "run9.txt")
    assert pieces_of(system(tmp_path / "run*.txt")) == [[1, 0, 1], [0, 1]]


def test_an_empty_line_and_a_negative_label_end_a_trajectory(text):
    assert pieces_of(system(text("\n0\n1\n\n1\n1\n-1\n-7\n0\n0\n1\n\n\n"))) == [[0, 1], [1, 1], [0, 0, 1]]


def test_the_end_of_a_file_ends_a_trajectory(tmp_path):
    np.savez(tmp_path / "a.npz", np.array([0, 1, -1]), np.array([-1, 1, 0, 0]))
    assert pieces_of(system(tmp_path / "a.npz")) == [[0, 1], [1, 0, 0]]


def test_single_frames_are_left_out_and_counted(tmp_path, caplog):
    np.save(tmp_path / "a.npy", [0, 1, -1, 1, -1, 0, 0, -1, -1, 1])
    with caplog.at_level(logging.WARNING):
        assert pieces_of(system(tmp_path / "a.npy")) == [[0, 1], [0, 0]]
    assert caplog.messages == ["system.path: 2 of 4 unbroken sequences are a single frame and are left out"]


@pytest.mark.parametrize("dtype", [np.uint8, np.int32, np.int64, np.float32, ">i2"])
def test_every_kind_of_whole_number_is_read(tmp_path, dtype):
    np.save(tmp_path / "a.npy", np.array([0, 2, 1, 1], dtype=dtype))
    assert pieces_of(system(tmp_path / "a.npy")) == [[0, 2, 1, 1]]


def test_nan_is_a_gap(tmp_path):
    np.save(tmp_path / "a.npy", [0.0, 1.0, np.nan, 1.0, 0.0])
    assert pieces_of(system(tmp_path / "a.npy")) == [[0, 1], [1, 0]]


def test_rows_are_trajectories_but_one_column_is_one(tmp_path):
    np.save(tmp_path / "rows.npy", [[0, 1, 1], [1, 0, 0]])
    np.save(tmp_path / "column.npy", [[0], [1], [1]])
    assert pieces_of(system(tmp_path / "rows.npy")) == [[0, 1, 1], [1, 0, 0]]
    assert pieces_of(system(tmp_path / "column.npy")) == [[0, 1, 1]]


def test_labels_with_holes_are_numbered_anew_and_said(tmp_path, caplog):
    np.savez(tmp_path / "a.npz", np.array([3, 17, 3]), np.array([900, 17]))
    with caplog.at_level(logging.WARNING):
        assert pieces_of(system(tmp_path / "a.npz")) == [[0, 1, 0], [2, 1]]
    assert caplog.messages == [
        "system.path: states are numbered anew, for some labels are absent: 3 is 0, 17 is 1, 900 is 2"
    ]


def test_a_long_list_of_labels_is_cut_short(tmp_path, caplog):
    np.save(tmp_path / "a.npy", np.arange(20) * 10**12)
    with caplog.at_level(logging.WARNING):
        assert pieces_of(system(tmp_path / "a.npy")) == [list(range(20))]
    assert caplog.messages[0].endswith("11000000000000 is 11, ...")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("0\n1\nfolded\n", "path: .*a.txt, line 3: 'folded' is no whole number; give one state per line$"),
        ("0\n1 2\n", "path: .*a.txt, line 2: '1 2' is no whole number"),
        ("0\n1.5\n", "path: .*a.txt, line 2: '1.5' is no whole number"),
        ("# a comment\n\n0\nnan\n", "path: .*a.txt, line 4: 'nan' is no whole number"),
        ("0\n--1\n", "path: .*a.txt, line 2: '--1' is no whole number"),
        ("0\n" + 30 * "9" + "\n", "path: .*a.txt, line 2: '9{30}' is no whole number"),
        ("", "path holds no two frames in a row that are in a state; there is nothing to learn"),
        ("0\n\n1\n-1\n0\n", "path holds no two frames in a row that are in a state"),
        ("4\n4\n4\n", "path holds no other state than 4; at least two are needed"),
    ],
)
def test_what_is_wrong_in_a_text_is_said_with_its_line(text, content, message):
    with pytest.raises(ValueError, match=f"^{message}"):
        system(text(content)).header  # noqa: B018


def test_a_file_that_is_no_text_is_refused(tmp_path):
    (tmp_path / "a.xtc").write_bytes(b"\x00\x00\x07\xcb\xff\xfe")
    with pytest.raises(ValueError, match=r"^path: .*a.xtc must be a .npy, .npz or text file$"):
        system(tmp_path / "a.xtc").header  # noqa: B018


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([0.0, 1.5, 2.0], "path: .*a.npy holds 1.5 at frame 1; states must be whole numbers"),
        ([0.0, np.inf], "path: .*a.npy holds inf at frame 1; states must be whole numbers"),
        (["a", "b"], "path: .*a.npy holds <U1; states must be whole numbers"),
        ([True, False], "path: .*a.npy holds bool; states must be whole numbers"),
        (np.zeros((2, 2, 2)), r"path: .*a.npy has shape \(2, 2, 2\); a sequence is \(n_frames,\)"),
        (3, r"path: .*a.npy has shape \(\); a sequence is"),
        (np.array([None]), "path: .*a.npy cannot be read: "),
    ],
)
def test_what_is_no_sequence_is_refused(tmp_path, values, message):
    np.save(tmp_path / "a.npy", values)
    with pytest.raises(ValueError, match=f"^{message}"):
        system(tmp_path / "a.npy").header  # noqa: B018


@pytest.mark.parametrize("name", ["a.npy", "a.npz"])
@pytest.mark.parametrize("kept", [0.0, 0.02, 0.5, 0.99])
def test_a_file_that_was_cut_off_is_refused(tmp_path, name, kept):
    path = tmp_path / name
    (np.save if name == "a.npy" else np.savez)(path, np.arange(500) % 3)
    content = path.read_bytes()
    path.write_bytes(content[: int(kept * len(content))])
    with pytest.raises(ValueError, match=rf"^path: .*{name} cannot be read: "):
        system(path).header  # noqa: B018


@pytest.mark.parametrize("field", ["path", "frame_time", "time_unit"])
def test_nothing_is_guessed(text, field):
    fields = {"lag_time": 1.0, "path": str(text("0\n1\n")), "frame_time": 1.0, "time_unit": "ps"} | {field: None}
    with pytest.raises(ValueError, match=f"^{field} is missing: give {field}="):
        States(**fields).header  # noqa: B018


def test_the_contents_and_not_the_names_are_the_identity(text):
    identity = system(text("0\n1\n")).identity()
    assert system(text("0\n1\n", "b.txt")).identity() == identity
    assert system(text("0\n1\n", "b.txt"), time_unit="ps").identity() != identity
    assert system(text("0\n1\n1\n", "b.txt")).identity() != identity
