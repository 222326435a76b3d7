"""The folder of one cell: what it is to do, how far it is, how it ended. Files are all that processes share."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

from mdlm.report.run_folder import write_atomically
from mdlm.study.cells import Cell
from mdlm.study.queue import Job
from mdlm.tracking.base import FACTOR_TAG, STUDY_TAG

TASK, DONE, FAILED, PROGRESS, JOB = "cell.json", "done.json", "failed.json", "progress.json", "job.json"

NO_JOBS: Mapping[str, Job] = MappingProxyType({})

Name = Literal["new", "queued", "running", "interrupted", "failed", "done"]


@dataclass(frozen=True)
class State:
    """How a cell stands.

    Attributes:
        name: ``new`` (never started), ``queued`` (a cluster has it), ``running``, ``interrupted`` (started, not
            finished, held by nobody), ``failed``, ``done``.
        note: Progress, the error's line, or the verdict.
        seconds: Spent on it by the process that finished it; 0 where unknown.
    """

    name: Name
    note: str = ""
    seconds: float = 0.0


@dataclass(frozen=True)
class Task:
    """All that a process needs to run a cell, whatever machine it is on.

    Attributes:
        study: The study's name.
        identity: Of the cell.
        overrides: As given.
        levels: Of the factors that vary.
        choices: The option of every group.
        config: Resolved.
        trusted: Top-level modules a ``_target_`` may come from.
        paths: Where those of the user are.
    """

    study: str
    identity: str
    overrides: tuple[str, ...]
    levels: dict[str, str]
    choices: dict[str, str]
    config: dict[str, Any]
    trusted: tuple[str, ...]
    paths: tuple[str, ...]

    @classmethod
    def of(cls, cell: Cell, study: str, trusted: set[str], paths: tuple[str, ...]) -> Task:
        """The task of a valid cell."""
        own = (cell.identity, cell.overrides, cell.levels, cell.choices, cell.config)
        return cls(study, *own, tuple(sorted(trusted)), paths)

    @classmethod
    def read(cls, folder: Path) -> Task:
        """The task in a folder.

        Raises:
            ValueError: There is none, or it cannot be read.
        """
        try:
            found: Any = json.loads((folder / TASK).read_text())
            for name in ("overrides", "trusted", "paths"):
                found[name] = tuple(found[name])
            return cls(**found)
        except FileNotFoundError:
            raise ValueError(f"{folder} is no cell of a study: it has no {TASK}") from None
        except (TypeError, KeyError, json.JSONDecodeError) as error:
            raise ValueError(f"{folder / TASK} cannot be read: {error}") from None

    def write(self, folder: Path) -> None:
        """Leave the task in a folder, unless it is there already."""
        text = json.dumps(asdict(self), indent=1)
        path = folder / TASK
        if not path.exists() or path.read_text() != text:
            write_json(path, asdict(self))

    @property
    def tags(self) -> dict[str, str]:
        """What the MLflow run is found by."""
        factors = {f"{FACTOR_TAG}{name}": level for name, level in self.levels.items()}
        return {STUDY_TAG: self.study, "cell": self.identity, **factors}


def state(folder: Path, jobs: Mapping[str, Job] = NO_JOBS) -> State:
    """How a cell stands, by its files, by who holds it, and by the cluster's queue.

    Args:
        folder: Of the cell.
        jobs: What `mdlm.study.queue.jobs` found; without it a cell that waits in the queue looks like one that nobody
            has.
    """
    for name, path in (("done", folder / DONE), ("failed", folder / FAILED)):
        found = read_json(path)
        if found is not None and not (name == "failed" and is_held(folder)):
            return State("done" if name == "done" else "failed", str(found["note"]), float(found["seconds"]))
    if is_held(folder):
        progress = read_json(folder / PROGRESS) or {"note": "starting"}
        return State("running", str(progress["note"]))
    started = read_json(folder / PROGRESS)
    job = job_of(folder, jobs)
    if job is not None:
        if started and job.is_running:  # on a file system whose locks do not reach other machines
            return State("running", str(started["note"]))
        return State("queued", f"job {job.id} {job.state.lower()}")
    return State("new" if started is None and not (folder / JOB).exists() else "interrupted")


def job_of(folder: Path, jobs: Mapping[str, Job]) -> Job | None:
    """The job in the queue that has a cell, or None."""
    if not jobs:
        return None
    remembered = read_json(folder / JOB)
    return jobs.get(str(remembered["key"])) if remembered else None


def is_held(folder: Path) -> bool:
    """Whether a process is at work in a folder; the lock goes with the process, however that ends."""
    from filelock import FileLock, Timeout

    lock = folder / ".cell.lock"
    if not lock.exists():
        return False
    try:
        with FileLock(lock, timeout=0):
            return False
    except Timeout:
        return True


def write_json(path: Path, values: Mapping[str, Any]) -> None:
    """Write a small file, whole or not at all."""
    text = json.dumps(values, indent=1)
    write_atomically(path, lambda temporary: temporary.write_text(text))


def read_json(path: Path) -> dict[str, Any] | None:
    """A small file's content; None where there is none."""
    try:
        found: dict[str, Any] = json.loads(path.read_text())
    except (FileNotFoundError, json.JSONDecodeError):
        return None
    return found
