"""Simulations in segments, with a random walk in place of a molecule."""

import errno
import os
import shutil
import subprocess
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from mdlm.progress import silent
from mdlm.system import segments as module
from mdlm.system.segments import MAX_SEED, PhasePoint, Segments, simulate


@dataclass(frozen=True)
class Walk:
    """Gaussian steps of one atom in one dimension; it can be told to fail, or to leave the process."""

    fails_at: int | None = None
    dies: bool = False

    def begin(self, seed):
        return PhasePoint(np.random.default_rng(seed).normal(size=(1, 1)), np.zeros((1, 1)))

    def advance(self, point, n_frames, seed):
        if self.dies:
            os._exit(9)
        if seed == self.fails_at:
            raise KeyboardInterrupt
        steps = np.random.default_rng(seed).normal(size=(n_frames, 1))
        positions = point.positions + np.cumsum(steps, axis=0)
        return positions.astype(np.float32), PhasePoint(positions[-1:], steps[-1:])

    def seconds(self, n_begun, n_frames):
        return n_begun + n_frames


def segments_in(folder, **changes):
    return replace(
        Segments(folder, n_trajectories=3, n_frames=25, segment_frames=10, seed=4, maker="walk 1"), **changes
    )


def run(segments, dynamics=None, n_processes=1, progress=silent):
    simulate(segments, dynamics or Walk(), 0.1, n_processes, progress)
    return [segments.frames(number) for number in range(segments.n_trajectories)]


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The frames of a simulation that was left alone."""
    return run(segments_in(tmp_path_factory.mktemp("whole")))


def test_the_last_segment_may_be_shorter(whole, tmp_path):
    segments = segments_in(tmp_path)
    assert segments.n_segments == 3
    assert [segments.length(number) for number in range(3)] == [10, 10, 5]
    assert [frames.shape for frames in whole] == [(25, 1)] * 3


def test_a_segment_goes_on_where_the_one_before_ended(whole):
    """A step over the boundary is drawn like any other, with the seed of its own segment."""
    segments = segments_in(Path("none"))
    seed = segments._seed(1, 1)
    steps = np.random.default_rng(seed).normal(size=10)
    np.testing.assert_allclose(np.diff(whole[1][9:20, 0]), steps, rtol=0, atol=1e-5)


def test_every_segment_and_every_start_has_a_seed_of_its_own():
    """Zero would ask OpenMM for a random one."""
    segments = Segments(Path("none"), n_trajectories=100, n_frames=2000, segment_frames=10, seed=0, maker="")
    seeds = {segments._seed(trajectory, segment) for trajectory in range(100) for segment in range(-1, 200)}
    assert len(seeds) == 100 * 201
    assert min(seeds) >= 1
    assert max(seeds) <= MAX_SEED
    assert segments._seed(0, 0) != replace(segments, seed=1)._seed(0, 0)


def test_more_trajectories_leave_the_first_ones_as_they_are(whole, tmp_path):
    more = run(segments_in(tmp_path, n_trajectories=5))
    assert all(np.array_equal(a, b) for a, b in zip(whole, more, strict=False))
    assert not np.array_equal(more[3], more[4])


def test_two_processes_give_the_bits_of_one(whole, tmp_path):
    assert all(np.array_equal(a, b) for a, b in zip(whole, run(segments_in(tmp_path), n_processes=2), strict=True))


@pytest.mark.parametrize(("trajectory", "segment"), [(0, 0), (1, 1), (2, 2)])
def test_a_stopped_simulation_goes_on_with_the_same_bits(trajectory, segment, whole, tmp_path):
    segments = segments_in(tmp_path)
    with pytest.raises(KeyboardInterrupt):
        run(segments, Walk(fails_at=segments._seed(trajectory, segment)))
    finished = [segments.n_finished(number) for number in range(3)]
    assert finished[trajectory] == segment
    reported = []
    again = run(segments, progress=lambda done, total, note="": reported.append((done, total)))
    assert all(np.array_equal(a, b) for a, b in zip(whole, again, strict=True))
    already = sum(segments.length(number) for n in finished for number in range(n))
    assert reported[0] == pytest.approx((already / 10, 7.5))
    assert reported[-1] == pytest.approx((7.5, 7.5))


def test_what_is_finished_is_not_made_again(whole, tmp_path):
    segments = segments_in(tmp_path)
    run(segments)
    reported = []
    simulate(segments, Walk(dies=True), 0.1, 1, lambda *report: reported.append(report))
    assert reported == []


def test_segments_of_another_maker_are_made_again(tmp_path):
    run(segments_in(tmp_path))
    other = segments_in(tmp_path, maker="walk 2")
    other.open()
    assert [other.n_finished(number) for number in range(3)] == [0, 0, 0]


def test_what_is_ahead_is_said_before_anything_is_done(tmp_path):
    reported = []
    run(segments_in(tmp_path), progress=lambda *report: reported.append(report))
    assert reported[0] == (0.0, 7.5, "0.0075 ns to simulate on 1 process, about 78 seconds")
    assert [done for done, *_ in reported] == sorted(done for done, *_ in reported)
    assert all(note.endswith(" ns/day") for *_, note in reported[1:])


def test_a_killed_process_is_told_in_one_line(tmp_path):
    with pytest.raises(ValueError, match=r"^system.n_processes: a simulating process was killed") as raised:
        run(segments_in(tmp_path), Walk(dies=True), n_processes=2)
    assert "\n" not in str(raised.value)
    assert not isinstance(raised.value, BrokenProcessPool)


def full_disk(file, *arrays, **named):
    file.write(b"a beginning")
    raise OSError(errno.ENOSPC, "No space left on device")


def test_a_full_disk_names_the_file_and_leaves_nothing_half_written(whole, tmp_path, monkeypatch):
    segments = segments_in(tmp_path)
    with monkeypatch.context() as patched:
        patched.setattr(module.np, "savez", full_disk)
        with pytest.raises(OSError, match="No space left") as raised:
            run(segments)
    assert raised.value.filename.endswith("segment-000.npz")
    assert [file.name for file in tmp_path.rglob("*") if file.is_file()] == ["maker.txt"]
    assert all(np.array_equal(a, b) for a, b in zip(whole, run(segments), strict=True))


@pytest.fixture
def small_disk(tmp_path):
    """A disk of 64 KiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = shutil.which("mount")
    command = [mount or "mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)]
    if not mount or subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("a small disk cannot be mounted here: that takes root's rights")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.parametrize("n_processes", [1, 2])
def test_a_disk_that_really_fills_up_holds_whole_segments_only(n_processes, small_disk):
    segments = segments_in(small_disk / "segments", n_frames=40_000, segment_frames=2000)
    with pytest.raises(OSError, match="No space left") as raised:
        run(segments, n_processes=n_processes)
    assert raised.value.errno == errno.ENOSPC
    assert "segment-" in raised.value.filename
    finished = sum(segments.n_finished(number) for number in range(3))
    assert 0 < finished < 60
    files = [file for file in small_disk.rglob("*") if file.is_file() and file.name != "maker.txt"]
    assert len(files) == finished
    for file in files:
        assert np.load(file)["frames"].shape == (2000, 1)
