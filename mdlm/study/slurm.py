"""Cells as jobs of a Slurm cluster, watched through their files and `squeue`; the watching process may die.

submitit writes the batch script, ships the settings to the node and starts Python there with srun. Its waiting is not
used: without `sacct` it waits for ever on a job that was cancelled, and it needs the process that submitted. What a
cell's job is called is written into the cell's folder before it is submitted, so at every moment another launcher can
tell a cell that is queued from one that nobody has.
"""

from __future__ import annotations

import importlib
import shlex
import shutil
import sys
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mdlm.errors import check_at_least
from mdlm.study import queue
from mdlm.study.array_script import write_script
from mdlm.study.folder import JOB, state, write_json
from mdlm.study.local import THREADS, Ended
from mdlm.study.watch import Watch

if TYPE_CHECKING:
    from submitit import SlurmExecutor

JOB_CLASS = "mdlm.cli_cell", "Job"
"""What a job runs: by name, as the pool's workers are, since the command line stands above this module."""
LARGEST_ARRAY = 1000
"""Slurm's own limit (MaxArraySize) is 1001 unless it was changed."""


@dataclass(frozen=True)
class Slurm:
    """How cells become jobs.

    Attributes:
        timeout_min: Time limit of a job; a cell that needs longer goes on in the next.
        cpus_per_task: Cores of a job, and threads of its cell.
        mem_gb: Memory of a job; None: the cluster's default.
        gpus_per_node: GPUs of a job; None: none.
        partition: None: the cluster's default; the same for ``account`` and ``qos``.
        account: Who pays.
        qos: Quality of service.
        cells_per_job: Cells one job runs one after the other, so that Python starts once for them.
        array_parallelism: Jobs of an array at once.
        signal_delay_s: How long before the time limit, or a preemption, a cell is told to save and stop.
        requeues: Times a job is put back into the queue after that.
        attempts: Times a cell whose job vanished (scancel, node failure, out of memory) is submitted by one launcher.
        setup: Shell lines before Python, such as ``module load cuda``.
        python: The interpreter on the nodes; None: this one.
        options: More of sbatch's options, such as ``("constraint=a100", "exclusive")``.
        poll_s: Time between two looks at the queue.
        script: Write a job array script here instead of submitting; it needs neither submitit nor Slurm here.
    """

    timeout_min: int
    cpus_per_task: int = 1
    mem_gb: float | None = None
    gpus_per_node: int | None = None
    partition: str | None = None
    account: str | None = None
    qos: str | None = None
    cells_per_job: int = 1
    array_parallelism: int = 256
    signal_delay_s: int = 120
    requeues: int = 50
    attempts: int = 3
    setup: tuple[str, ...] = ()
    python: str | None = None
    options: tuple[str, ...] = ()
    poll_s: float = 10.0
    script: Path | None = None

    def __post_init__(self) -> None:
        for name in ("timeout_min", "cpus_per_task", "cells_per_job", "array_parallelism", "signal_delay_s"):
            check_at_least(1, **{name: getattr(self, name)})
        check_at_least(0, requeues=self.requeues)
        check_at_least(1, attempts=self.attempts)
        if self.signal_delay_s >= 60 * self.timeout_min:
            raise ValueError(
                f"signal_delay_s ({self.signal_delay_s}) must be below the time limit, {60 * self.timeout_min} s"
            )
        if not self.poll_s > 0:
            raise ValueError(f"poll_s ({self.poll_s:g}) must be above 0")

    def check(self) -> None:
        """Raise `ValueError` where nothing could be submitted from here."""
        if self.script is not None:
            return
        for command in ("sbatch", "squeue", "srun"):
            if shutil.which(command) is None:
                raise ValueError(
                    f"hydra/launcher (slurm) needs {command}, which is not on the PATH; submit from a login node, or "
                    "write a script with `mdlm study submit ... script=FILE`"
                )
        try:
            importlib.import_module("submitit")
        except ImportError:
            raise ValueError("hydra/launcher (slurm) needs submitit: pip install 'mdlm-kinetics[cluster]'") from None
        queue.jobs()

    def run(self, folders: Sequence[Path], keep_going: bool, ended: Ended, watch: Callable[[list[Path]], None]) -> None:
        """Submit the cells that no job has yet, and wait for all of them; see `mdlm.study.local.Local.run`."""
        if self.script is not None:
            raise ValueError(f"script ({self.script}) is written by `mdlm study submit`, which does not wait")
        Watch(self, list(folders), keep_going, ended, watch).run()

    def submit(self, folders: Sequence[Path]) -> str:
        """Submit the cells that no job has yet, or write the script, and return what was done."""
        if self.script is not None:
            return write_script(self, self.script, folders)
        jobs = queue.jobs()
        free = [folder for folder in folders if state(folder, jobs).name not in ("queued", "running")]
        self.send(free)
        waiting = len(folders) - len(free)
        return f"{len(free)} cells submitted" + (f", {waiting} are queued or running already" if waiting else "")

    def send(self, folders: Sequence[Path]) -> None:
        """Submit cells as job arrays."""
        chunks = [folders[first : first + self.cells_per_job] for first in range(0, len(folders), self.cells_per_job)]
        for first in range(0, len(chunks), LARGEST_ARRAY):
            self._send_array(chunks[first : first + LARGEST_ARRAY])

    def _send_array(self, chunks: Sequence[Sequence[Path]]) -> None:
        study = chunks[0][0].resolve().parents[1]
        name = f"{study.name}-{uuid.uuid4().hex[:8]}"
        executor = self._executor(study / "slurm", name)
        module, cls = JOB_CLASS
        job = getattr(importlib.import_module(module), cls)(self.requeues)
        for folder, key in _keys(chunks, name):
            write_json(folder / JOB, {"key": key})
        try:
            executor.map_array(job, [[str(folder.resolve()) for folder in chunk] for chunk in chunks])
        except Exception as error:  # submitit has a class for it, but sbatch's own words are all that matters
            for folder, _ in _keys(chunks, name):
                (folder / JOB).unlink()
            words = [line for line in str(error).splitlines() if "error" in line.lower()] or [str(error)]
            raise ValueError(f"sbatch refused the jobs: {words[-1].strip()}") from error

    def _executor(self, directory: Path, name: str) -> SlurmExecutor:
        from submitit import SlurmExecutor

        # Until Python is ready to stop in order, the signal must not end it.
        python = f'sh -c \'trap "" USR2; exec "$0" "$@"\' {self.python or shlex.quote(sys.executable)}'
        executor = SlurmExecutor(directory, python=python)
        executor.update_parameters(**self.parameters(name))
        return executor

    def parameters(self, name: str) -> dict[str, Any]:
        """Submitit's parameters of a job array."""
        given: Mapping[str, Any] = {
            "partition": self.partition,
            "account": self.account,
            "qos": self.qos,
            "gpus_per_node": self.gpus_per_node,
            "mem": None if self.mem_gb is None else f"{round(1024 * self.mem_gb)}M",
        }
        return {
            "job_name": name,
            "time": self.timeout_min,
            "cpus_per_task": self.cpus_per_task,
            "array_parallelism": self.array_parallelism,
            "signal_delay_s": self.signal_delay_s,
            "setup": [*self.setup, *self.threads],
            "srun_args": [f"--cpus-per-task={self.cpus_per_task}"],  # which srun has not taken from sbatch since 22.05
            "stderr_to_stdout": True,
            "additional_parameters": {"requeue": True, **self.more},
            **{option: value for option, value in given.items() if value is not None},
        }

    @property
    def more(self) -> dict[str, str | bool]:
        """The ``options`` by name; those without a value are switches."""
        pairs = (option.lstrip("-").partition("=") for option in self.options)
        return {name: value if equals else True for name, equals, value in pairs}

    @property
    def threads(self) -> list[str]:
        """Shell lines that bind the threads of a cell to the cores of its job."""
        return [f"export {name}={self.cpus_per_task}" for name in THREADS]


def _keys(chunks: Sequence[Sequence[Path]], name: str) -> Iterator[tuple[Path, str]]:
    """Every cell with what is remembered of its job."""
    for index, chunk in enumerate(chunks):
        for folder in chunk:
            yield folder, queue.key(name, index)
