"""Slurm's queue as `squeue` shows it: all that is asked of the cluster, since many have no accounting (`sacct`)."""

from __future__ import annotations

import getpass
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass

PATIENCE_S = 60.0


@dataclass(frozen=True)
class Job:
    """A job, or one task of a job array, that is pending, running or ending.

    Attributes:
        id: ``12`` or ``12_3``, as `scancel` takes it.
        state: ``PENDING``, ``RUNNING``, ...
    """

    id: str
    state: str

    @property
    def is_running(self) -> bool:
        """Whether it has a machine."""
        return self.state == "RUNNING"


def key(name: str, index: int) -> str:
    """What a cell remembers of its job before there is one: the job's name and its place in the array."""
    return f"{name}/{index}"


def jobs() -> dict[str, Job]:
    """All jobs of this user that have not ended, by their `key`; none where there is no Slurm.

    Raises:
        ValueError: The queue cannot be looked at now, which says nothing about what is in it.
    """
    if shutil.which("squeue") is None:
        return {}
    command = ["squeue", "--noheader", "--array", f"--user={getpass.getuser()}", "--format=%i|%j|%K|%T"]
    found = {}
    for line in _output(command).splitlines():
        identity, name, index, state = line.strip().split("|")
        found[key(name, int(index) if index.isdecimal() else 0)] = Job(identity, state)
    return found


def cancel(ids: Sequence[str]) -> None:
    """End jobs; those that are gone already are left."""
    if ids:
        subprocess.run(["scancel", *ids], capture_output=True, timeout=PATIENCE_S, check=False)


def _output(command: Sequence[str]) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S, check=True)
    except subprocess.TimeoutExpired:
        raise ValueError(f"{command[0]} did not answer within {PATIENCE_S:.0f} s") from None
    except subprocess.CalledProcessError as error:
        last = (error.stderr.strip().splitlines() or [f"code {error.returncode}"])[-1]
        raise ValueError(f"{command[0]} failed: {last}") from None
    return done.stdout
