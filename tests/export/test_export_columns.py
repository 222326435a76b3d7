"""Frames of a few columns, read back."""

import numpy as np
import pytest

from mdlm.export.columns import write_columns
from mdlm.trajectory import Trajectory


@pytest.fixture
def train():
    return Trajectory((np.random.default_rng(0).normal(size=(200, 2)).astype(np.float32),), 0.5, "ps", ("x", "y"))


def written(path, train, n_frames=20):
    frames = train.pieces[0][:n_frames]
    return frames, write_columns(path, frames, 0.5 * np.arange(n_frames), np.arange(n_frames) % 3, train)


@pytest.mark.parametrize("suffix", [".csv", ".npy", ".npz", ".png"])
def test_the_numbers_are_the_frames_and_two_columns_are_drawn_besides(suffix, train, tmp_path):
    frames, files = written(tmp_path / "deep" / f"path{suffix}", train)
    assert {file.name for file in (tmp_path / "deep").iterdir()} == {file.name for file in files}
    assert {file.name for file in files} == {f"path{suffix}", "path.png"}
    assert (tmp_path / "deep" / "path.png").read_bytes().startswith(b"\x89PNG")
    if suffix == ".csv":
        assert files[0].read_text().startswith("x,y\n")
        np.testing.assert_array_equal(np.loadtxt(files[0], np.float32, delimiter=",", skiprows=1), frames)
    elif suffix == ".npy":
        np.testing.assert_array_equal(np.load(files[0]), frames)
    elif suffix == ".npz":
        with np.load(files[0], allow_pickle=False) as file:
            np.testing.assert_array_equal(file["frames"], frames)
            np.testing.assert_array_equal(file["states"], np.arange(20) % 3)
            np.testing.assert_array_equal(file["times"], 0.5 * np.arange(20))
            assert (file["columns"].tolist(), str(file["time_unit"])) == (["x", "y"], "ps")


def test_one_column_has_no_picture(train, tmp_path):
    one = Trajectory((train.pieces[0][:, :1],), 0.5, "ps", ("x",))
    assert written(tmp_path / "path.csv", one)[1] == [tmp_path / "path.csv"]
