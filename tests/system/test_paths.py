import errno
import os

import numpy as np
import pytest

from mdlm.system import paths
from mdlm.system.paths import content_of, empty_frames, files_of


@pytest.fixture
def runs(tmp_path, monkeypatch):
    """Files run1.dat, run2.dat and run10.dat in the current folder."""
    monkeypatch.chdir(tmp_path)
    for number in (10, 2, 1):
        (tmp_path / f"run{number}.dat").write_bytes(bytes([number]))
    return tmp_path


def names(found):
    return [path.name for path in found]


def test_a_pattern_is_sorted_by_numbers_in_names(runs):
    assert names(files_of("run*.dat")) == ["run1.dat", "run2.dat", "run10.dat"]
    assert names(files_of(str(runs / "*.dat"))) == ["run1.dat", "run2.dat", "run10.dat"]


def test_a_list_keeps_its_order(runs):
    assert names(files_of(("run10.dat", "run[12].dat"))) == ["run10.dat", "run1.dat", "run2.dat"]


def test_a_name_with_the_signs_of_a_pattern_is_a_name_where_it_exists(runs):
    (runs / "a[1].dat").touch()
    assert names(files_of("a[1].dat")) == ["a[1].dat"]


def test_the_home_folder_is_known(runs, monkeypatch):
    monkeypatch.setenv("HOME", str(runs))
    assert names(files_of("~/run1.dat")) == ["run1.dat"]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("nope.dat", r"path \(nope.dat\) does not exist; looked for /"),
        ("nope*.dat", r"path \(nope\*.dat\) matches no file; looked in /"),
        (("run1.dat", "run*.dat"), "path: run1.dat is named twice; every trajectory counts once"),
        (".", r"path \(.\) is a folder; give its files, as in \*"),
        ((), "path is empty; name at least one file"),
    ],
)
def test_what_names_no_file_or_one_twice_is_refused(runs, given, message):
    with pytest.raises(ValueError, match=f"^{message}"):
        files_of(given)


def test_contents_are_told_apart_wherever_they_lie(runs):
    (runs / "copy").write_bytes((runs / "run1.dat").read_bytes())
    assert content_of(runs / "copy") == content_of(runs / "run1.dat") != content_of(runs / "run2.dat")


def test_of_a_large_file_the_ends_and_the_time_of_change_count(runs, monkeypatch):
    monkeypatch.setattr(paths, "HASHED_WHOLE", 4)
    file = runs / "large"
    file.write_bytes(b"0123456789")
    os.utime(file, ns=(1, 1))
    was = content_of(file)
    assert content_of(file) == was
    for changed in (b"x123456789", b"012345678x", b"01234567890"):
        file.write_bytes(changed)
        os.utime(file, ns=(1, 1))
        assert content_of(file) != was
    file.write_bytes(b"0123x56789")
    assert content_of(file) != was


def test_large_frames_lie_in_a_file_that_is_gone_with_them(tmp_path, monkeypatch):
    monkeypatch.setattr(paths.tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(paths, "IN_MEMORY", 4 * 99)
    small, large = empty_frames(33, 3), empty_frames(34, 3)
    assert small.base is None
    assert type(large) is np.ndarray
    assert isinstance(large.base, np.memmap)
    large[:] = np.arange(102).reshape(34, 3)
    assert large.dtype == np.float32
    assert large.sum() == 102 * 101 / 2
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_told_in_one_line(monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(paths, "IN_MEMORY", 0)
    monkeypatch.setattr(paths.os, "posix_fallocate", full)
    with pytest.raises(ValueError, match=r"^path: no room for 0.4 GB of frames in .*No space left.*; set TMPDIR"):
        empty_frames(10**6, 100)
