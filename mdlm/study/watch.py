"""The wait for cells that a cluster runs: by their files and its queue, so that it can end and begin at any time."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mdlm.study import queue
from mdlm.study.folder import FAILED, PROGRESS, job_of, state, write_json
from mdlm.study.local import Ended

if TYPE_CHECKING:
    from mdlm.study.slurm import Slurm

SETTLE_S = 5.0
"""A job may be gone from the queue before its last files are seen on this machine."""


@dataclass
class Watch:
    """One launcher's wait for cells, whoever submitted their jobs.

    Attributes:
        slurm: Submits them.
        open: Folders of the cells that have not ended.
        keep_going: Whether the others go on when one fails.
        ended: Told each cell that ends.
        watch: Told, at every look, the folders that are worked on.
    """

    slurm: Slurm
    open: list[Path]
    keep_going: bool
    ended: Ended
    watch: Callable[[list[Path]], None]

    def __post_init__(self) -> None:
        self.submitted: Counter[Path] = Counter()
        self.missing: dict[Path, float] = {}  # since when no job has a cell

    def run(self) -> None:
        """Wait until every cell has ended."""
        try:
            while self.open:
                self._look()
                if self.open:
                    time.sleep(self.slurm.poll_s)
        except KeyboardInterrupt:
            print("\nThe jobs go on. The same command waits for them again; `scancel` ends them.")
            raise

    def _look(self) -> None:
        """Take what has ended, and submit what no job has."""
        try:
            jobs = queue.jobs()
        except ValueError as error:  # the controller restarts, or is busy; the jobs do not depend on it
            print(f"{error}; looking again in {self.slurm.poll_s:g} s")
            return
        now = time.monotonic()
        running = []
        for folder in list(self.open):
            found = state(folder, jobs)
            if found.name in ("done", "failed"):
                self._end(folder, found.note if found.name == "failed" else None, jobs)
            elif found.name in ("queued", "running"):
                self.missing.pop(folder, None)
                running += [folder] * (found.name == "running")
            else:
                self.missing.setdefault(folder, now if self.submitted[folder] else now - SETTLE_S)
        self.watch(running)
        self._submit([folder for folder, since in self.missing.items() if now - since >= SETTLE_S], jobs)

    def _submit(self, folders: Sequence[Path], jobs: Mapping[str, queue.Job]) -> None:
        again = [folder for folder in folders if self.submitted[folder] < self.slurm.attempts]
        for folder in folders:
            self.missing.pop(folder, None)
            if folder not in again:
                log = folder.parents[1] / "slurm"
                message = f"its job vanished {self.slurm.attempts} times; the last words are in log.txt and in {log}"
                write_json(folder / FAILED, {"note": message, "seconds": 0.0})
                (folder / PROGRESS).unlink(missing_ok=True)
                self._end(folder, message, jobs)
        if again and self.open:
            self.submitted.update(again)
            self.slurm.send(again)

    def _end(self, folder: Path, message: str | None, jobs: Mapping[str, queue.Job]) -> None:
        self.ended(folder, message)
        if folder in self.open:
            self.open.remove(folder)
        self.missing.pop(folder, None)
        if message is not None and not self.keep_going:
            queue.cancel([job.id for other in self.open if (job := job_of(other, jobs)) is not None])
            self.open.clear()
