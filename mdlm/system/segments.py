"""Long simulations in segments: on several processes, each finished segment on disk, so that a killed one goes on."""

from __future__ import annotations

import errno
import os
import shutil
import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing import connection, get_context, parent_process
from pathlib import Path
from typing import Protocol

import numpy as np

from mdlm.progress import Progress
from mdlm.trajectory import FloatArray

MAX_SEED = 2**31 - 1


@dataclass(frozen=True)
class PhasePoint:
    """Where a simulation is.

    Attributes:
        positions: Shape ``(n_atoms, 3)``, nm.
        velocities: Shape ``(n_atoms, 3)``, nm / ps.
    """

    positions: FloatArray
    velocities: FloatArray


class Dynamics(Protocol):
    """How a molecule moves; what it returns depends on its arguments only. It goes to other processes by pickle."""

    def begin(self, seed: int) -> PhasePoint:
        """Where a trajectory starts."""

    def advance(self, point: PhasePoint, n_frames: int, seed: int) -> tuple[FloatArray, PhasePoint]:
        """The next frames, shape ``(n_frames, n_columns)``, float32, and where they end."""

    def seconds(self, n_begun: int, n_frames: int) -> float:
        """How long one process will take to begin so many trajectories and to make so many frames of them."""


@dataclass(frozen=True)
class Segments:
    """The segments of every trajectory, below one folder.

    Attributes:
        folder: Holds ``trajectory-000/segment-000.npz`` ...
        n_trajectories: Independent trajectories.
        n_frames: Frames of each.
        segment_frames: Frames of a segment; the last one of a trajectory may be shorter.
        seed: With the numbers of trajectory and segment, decides every random number.
        maker: What else decides the bits, such as a version; segments made by another are made again.
    """

    folder: Path
    n_trajectories: int
    n_frames: int
    segment_frames: int
    seed: int
    maker: str

    @property
    def n_segments(self) -> int:
        """Segments of a trajectory."""
        return -(-self.n_frames // self.segment_frames)

    def length(self, segment: int) -> int:
        """Frames of a segment."""
        return min(self.segment_frames, self.n_frames - segment * self.segment_frames)

    def path(self, trajectory: int, segment: int) -> Path:
        """Where a segment is or will be."""
        return self.folder / f"trajectory-{trajectory:03d}" / f"segment-{segment:03d}.npz"

    def n_finished(self, trajectory: int) -> int:
        """Segments of a trajectory that are there, counted from its start."""
        there = (self.path(trajectory, segment).exists() for segment in range(self.n_segments))
        return next((number for number, found in enumerate(there) if not found), self.n_segments)

    def frames(self, trajectory: int) -> FloatArray:
        """All frames of a finished trajectory."""
        return np.concatenate([_load(self.path(trajectory, segment))["frames"] for segment in range(self.n_segments)])

    def open(self) -> None:
        """Make the folder; what another maker left there goes."""
        note = self.folder / "maker.txt"
        if not note.exists() or note.read_text() != self.maker:
            shutil.rmtree(self.folder, ignore_errors=True)
            self.folder.mkdir(parents=True)
            note.write_text(self.maker)
        for leftover in self.folder.glob("*/.*.tmp"):  # of a process that was killed while it wrote
            leftover.unlink(missing_ok=True)

    def make(self, dynamics: Dynamics, trajectory: int, segment: int) -> int:
        """Simulate one segment from the end of the one before, and write it down; returns its number of frames."""
        if segment:
            before = _load(self.path(trajectory, segment - 1))
            point = PhasePoint(before["positions"], before["velocities"])
        else:
            point = dynamics.begin(self._seed(trajectory, -1))
        frames, end = dynamics.advance(point, self.length(segment), self._seed(trajectory, segment))
        arrays = {"frames": frames, "positions": end.positions, "velocities": end.velocities}
        _save(self.path(trajectory, segment), arrays)
        return len(frames)

    def _seed(self, trajectory: int, segment: int) -> int:
        """One of its own, from 1 on, for every segment and every start (segment -1) of the same ``seed``."""
        first = int(np.random.SeedSequence(self.seed).generate_state(1)[0])
        return 1 + (first + trajectory * (self.n_segments + 1) + segment + 1) % MAX_SEED


def simulate(segments: Segments, dynamics: Dynamics, frame_time: float, n_processes: int, progress: Progress) -> None:
    """Make every segment that is not there yet.

    More than one process are started afresh, so a script that calls this needs its ``if __name__ == "__main__":``.

    Args:
        segments: Which.
        dynamics: How the molecule moves.
        frame_time: In ps; only for what is reported.
        n_processes: Processes; the result does not depend on it.
        progress: Called in this process, in ps, first with what is ahead.

    Raises:
        OSError: A segment cannot be written; it names the file.
        ValueError: A process was killed.
    """
    segments.open()
    finished = [segments.n_finished(number) for number in range(segments.n_trajectories)]
    frames_ahead = [max(0, segments.n_frames - n * segments.segment_frames) for n in finished]
    total = segments.n_trajectories * segments.n_frames
    done = at_first = total - sum(frames_ahead)
    if done == total:
        return
    n_processes = min(n_processes, sum(frames > 0 for frames in frames_ahead))
    seconds = dynamics.seconds(finished.count(0), sum(frames_ahead)) / n_processes
    ahead = announcement(sum(frames_ahead) * frame_time, n_processes, seconds)
    progress(done * frame_time, total * frame_time, ahead)
    began = time.perf_counter()
    for n_frames in _made(segments, dynamics, finished, n_processes):
        done += n_frames
        rate = (done - at_first) * frame_time * 86.4 / (time.perf_counter() - began)  # ps / s in ns / day
        progress(done * frame_time, total * frame_time, f"{rate:,.0f} ns/day")


def announcement(duration: float, n_processes: int, seconds: float) -> str:
    """What is ahead, for people.

    Args:
        duration: Of all that is to simulate, ps.
        n_processes: Processes.
        seconds: That it will take.

    Example:
        >>> announcement(10_000, 2, 190)
        '10 ns to simulate on 2 processes, about 3 minutes'
        >>> announcement(500, 1, 6000)
        '0.5 ns to simulate on 1 process, about 1.7 hours'
    """
    if seconds < 90:
        time_ahead = f"{max(1, round(seconds))} seconds"
    elif seconds < 5400:
        time_ahead = f"{round(seconds / 60)} minutes"
    else:
        time_ahead = f"{seconds / 3600:.1f} hours"
    processes = f"{n_processes} process" + "es" * (n_processes > 1)
    return f"{duration / 1000:g} ns to simulate on {processes}, about {time_ahead}"


def _made(segments: Segments, dynamics: Dynamics, finished: list[int], n_processes: int) -> Iterator[int]:
    """Make segments, each trajectory's one after the other; yields the number of frames of each."""
    pool = _pool(n_processes)
    running: dict[Future[int], tuple[int, int]] = {}

    def submit(trajectory: int, segment: int) -> None:
        if segment < segments.n_segments:
            running[pool.submit(segments.make, dynamics, trajectory, segment)] = (trajectory, segment)

    try:
        for trajectory, segment in enumerate(finished):
            submit(trajectory, segment)
        while running:
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                trajectory, segment = running.pop(future)
                yield future.result()
                submit(trajectory, segment + 1)
    except BrokenProcessPool:
        raise ValueError(
            "system.n_processes: a simulating process was killed, perhaps for want of memory; "
            "the same command goes on at the last finished segments"
        ) from None
    finally:
        pool.shutdown(cancel_futures=True)


def _pool(n_processes: int) -> Executor:
    """Fresh processes, for a forked one may inherit a lock that nobody releases; one is this process itself."""
    if n_processes == 1:
        return ThreadPoolExecutor(1)
    return ProcessPoolExecutor(n_processes, mp_context=get_context("spawn"), initializer=_start_worker)


def _start_worker() -> None:
    """Leave Ctrl-C to the parent, and end when it ends, even if it is killed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = parent_process()
    if parent is None:
        return

    def follow() -> None:
        connection.wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=follow, daemon=True).start()


def _save(path: Path, arrays: dict[str, FloatArray]) -> None:
    """Write a file whole or not at all."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("wb") as file:
            np.savez(file, allow_pickle=False, **arrays)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        raise OSError(error.errno or errno.EIO, error.strerror or str(error), str(path)) from error
    finally:
        temporary.unlink(missing_ok=True)


def _load(path: Path) -> dict[str, FloatArray]:
    with np.load(path, allow_pickle=False) as file:
        return {name: file[name] for name in file.files}
