"""A pool of processes on one machine: cells are shared out, a process that dies costs its cell one attempt."""

from __future__ import annotations

import json
import os
import selectors
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from mdlm.cores import available_cores
from mdlm.errors import check_at_least
from mdlm.study.folder import FAILED, PROGRESS, write_json

Ended = Callable[[Path, str | None], None]
"""Told a cell's folder and its error, None where it is done."""

THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS")
PATIENCE_S = 20.0  # a worker that was asked to stop may save its checkpoint
POLL_S = 0.5


@dataclass(frozen=True)
class Local:
    """How cells are shared out on this machine.

    Attributes:
        n_workers: Cells at once; None: one per place on a GPU where there are GPUs, else one per core.
        threads_per_worker: Of each cell; None: the cores shared out equally.
        jobs_per_gpu: Cells that share a GPU.
        attempts: Times a cell whose process died is tried.
    """

    n_workers: int | None = None
    threads_per_worker: int | None = None
    jobs_per_gpu: int = 1
    attempts: int = 3

    def __post_init__(self) -> None:
        check_at_least(1, jobs_per_gpu=self.jobs_per_gpu, attempts=self.attempts)
        for name in ("n_workers", "threads_per_worker"):
            if getattr(self, name) is not None:
                check_at_least(1, **{name: getattr(self, name)})

    def check(self) -> None:
        """Nothing can be wrong with this machine."""

    def run(self, folders: Sequence[Path], keep_going: bool, ended: Ended, watch: Callable[[list[Path]], None]) -> None:
        """Run the cells in these folders.

        Args:
            folders: Each holds a task; the order is kept as far as workers are free.
            keep_going: Whether the others go on when one fails.
            ended: Told each cell that ends.
            watch: Told, twice a second, the folders that are worked on.
        """
        _Pool(self, folders, keep_going, ended, watch).run()

    def environments(self, n_cells: int) -> list[dict[str, str]]:
        """What each worker is to find in its environment: its share of the threads, and its GPU."""
        gpus = _gpus()
        places = [gpu for _ in range(self.jobs_per_gpu) for gpu in gpus]
        wanted = self.n_workers or len(places) or available_cores()
        n_workers = max(1, min(wanted, n_cells))
        threads = self.threads_per_worker or max(1, available_cores() // n_workers)
        share = dict.fromkeys(THREADS, str(threads))
        if not gpus:
            return [share] * n_workers
        return [share | {"CUDA_VISIBLE_DEVICES": places[number % len(places)]} for number in range(n_workers)]


@dataclass(eq=False)
class _Worker:
    """A process and the cell it is at work on."""

    environment: dict[str, str]
    process: subprocess.Popen[str]
    folder: Path | None = None


@dataclass
class _Pool:
    local: Local
    folders: Sequence[Path]
    keep_going: bool
    ended: Ended
    watch: Callable[[list[Path]], None]
    died: dict[Path, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.waiting = deque(self.folders)
        self.elsewhere: deque[tuple[float, Path]] = deque()  # when to look again at cells of another launcher
        self.selector = selectors.DefaultSelector()
        self.workers: list[_Worker] = []

    def run(self) -> None:
        try:
            for environment in self.local.environments(len(self.folders)) if self.folders else []:
                self._start(environment)
            while self.waiting or self.elsewhere or any(worker.folder for worker in self.workers):
                self._share_out()
                for key, _ in self.selector.select(POLL_S):
                    self._hear(key.data)
                self.watch([worker.folder for worker in self.workers if worker.folder])
        finally:
            self._stop()

    def _start(self, environment: dict[str, str]) -> None:
        process = subprocess.Popen(
            [sys.executable, "-m", "mdlm.cli_worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | environment,
            start_new_session=True,  # Ctrl-C reaches the launcher alone, which then ends its workers in order
        )
        worker = _Worker(environment, process)
        self.workers.append(worker)
        self.selector.register(process.stdout or sys.stdin, selectors.EVENT_READ, worker)

    def _share_out(self) -> None:
        while self.elsewhere and self.elsewhere[0][0] <= time.monotonic():
            self.waiting.append(self.elsewhere.popleft()[1])
        for worker in self.workers:
            if worker.folder is None and self.waiting:
                worker.folder = self.waiting.popleft()
                with suppress(BrokenPipeError):  # it just died, which `_hear` is told as well
                    print(worker.folder, file=worker.process.stdin, flush=True)

    def _hear(self, worker: _Worker) -> None:
        """Take a worker's answer, or see that it died."""
        line = worker.process.stdout.readline() if worker.process.stdout else ""
        folder = worker.folder
        if not line.endswith("\n"):
            self._bury(worker)
            return
        worker.folder = None
        if folder is None:
            return
        answer = json.loads(line)
        if answer.get("busy"):
            self.elsewhere.append((time.monotonic() + 2.0, folder))
            return
        self._end(folder, answer["error"])

    def _bury(self, worker: _Worker) -> None:
        """Replace a worker that died, and try its cell again a few times."""
        self.selector.unregister(worker.process.stdout or sys.stdin)
        self.workers.remove(worker)
        code = worker.process.wait()
        _close(worker.process)
        self._start(worker.environment)
        if worker.folder is None:
            return
        folder = worker.folder
        self.died[folder] = self.died.get(folder, 0) + 1
        if self.died[folder] < self.local.attempts:
            self.waiting.appendleft(folder)
            return
        how = signal.Signals(-code).name if code < 0 else f"code {code}"
        message = f"its process died {self.died[folder]} times ({how}; the last words are in log.txt)"
        write_json(folder / FAILED, {"note": message, "seconds": 0.0})
        (folder / PROGRESS).unlink(missing_ok=True)
        self._end(folder, message)

    def _end(self, folder: Path, message: str | None) -> None:
        self.ended(folder, message)
        if message is not None and not self.keep_going:
            self.waiting.clear()
            self.elsewhere.clear()
            for worker in self.workers:  # the others keep their checkpoints
                worker.folder = None

    def _stop(self) -> None:
        """Ask every worker to stop, wait for their checkpoints, then end them for good."""
        for worker in self.workers:
            with suppress(BrokenPipeError):
                if worker.process.stdin:
                    worker.process.stdin.close()
        until = time.monotonic() + PATIENCE_S
        for worker in self.workers:
            try:
                worker.process.wait(max(0.1, until - time.monotonic()))
            except subprocess.TimeoutExpired:
                worker.process.kill()
                worker.process.wait()
            _close(worker.process)
        self.selector.close()


def _close(process: subprocess.Popen[str]) -> None:
    for pipe in (process.stdin, process.stdout):
        if pipe:
            with suppress(BrokenPipeError):
                pipe.close()


def _gpus() -> list[str]:
    """The GPUs this process may use, without starting CUDA, which a parent of workers must not."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return [gpu for gpu in visible.split(",") if gpu and gpu != "-1"]
    try:
        listed = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, timeout=10, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return []
    return [str(number) for number, line in enumerate(listed.splitlines()) if line.startswith("GPU")]
