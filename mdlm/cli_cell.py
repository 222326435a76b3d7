"""`mdlm study cell`, and what a Slurm job does: run cells so that a signal stops them where they can go on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from mdlm.cli import fail
from mdlm.cli_errors import in_one_line
from mdlm.study.execute import Busy, execute, log_to
from mdlm.study.folder import FAILED, PROGRESS, Task, write_json

INTERRUPTED = 75
"""Exit code of a cell that was stopped and can go on: EX_TEMPFAIL of sysexits.h, "try again"."""
PATIENCE_S = 60.0  # for the process that had a cell before to save it and end

USAGE = """\
Run one cell of a study, or go on with it: what the tasks of a job array do.

Usage: mdlm study cell FOLDER

FOLDER is outputs/study/NAME/cells/IDENTITY, which `mdlm study submit experiment=NAME script=FILE` prepares and lists.
SIGTERM or SIGUSR2 stops it after it has saved a checkpoint; the same command goes on there.
Exit codes: 0 done, 1 failed, 75 stopped.
"""


class Stop:
    """The first signal ends the process in order; later ones must not disturb that."""

    def __init__(self) -> None:
        self.number: int | None = None
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR2):
            signal.signal(number, self)

    def __call__(self, number: int, frame: FrameType | None) -> None:
        """Take a signal."""
        if self.number is None:
            self.number = number
            raise SystemExit(INTERRUPTED)


def run(words: Sequence[str]) -> None:
    """Run the cell in a folder; ends with an exit code.

    Raises:
        ValueError: The folder is no cell, or another process is at work on it.
    """
    if any(word in ("--help", "-h") for word in words):
        print(USAGE.rstrip())
        return
    from mdlm.cli_parser import Parser

    parser = Parser(prog="mdlm study cell", add_help=False, allow_abbrev=False)
    parser.add_argument("folder", type=Path)
    folder: Path = parser.parse_args(list(words)).folder
    Task.read(folder)  # an error here needs no signals held
    stop = Stop()
    try:
        message = _once_free(folder)
    except SystemExit:
        fail(f"stopped by {signal.Signals(stop.number or 0).name}; the same command goes on", code=INTERRUPTED)
    if message is not None:
        raise ValueError(message)


def _once_free(folder: Path) -> str | None:
    """Run a cell as soon as nobody else is at work on it; its error, or None."""
    until = time.monotonic() + PATIENCE_S
    while True:
        try:
            return execute(folder, in_one_line)
        except Busy:
            if time.monotonic() > until:
                raise ValueError(f"{folder} is in use by another process") from None
            time.sleep(1.0)


@dataclass(frozen=True)
class Job:
    """What submitit calls on a node: run cells one after the other, and back into the queue where time is short.

    SIGUSR2 is Slurm's warning before the time limit or a preemption. submitit's own answer to it would put the job
    back into the queue at once, with the training unsaved and half of the process still running; here the run is
    ended in order first. SIGTERM (`scancel`, `scontrol requeue`, preemption) stops the same way, and what becomes of
    the job is then Slurm's business.

    Attributes:
        requeues: Times the job is put back into the queue.
    """

    requeues: int

    def __call__(self, folders: Sequence[str]) -> None:
        """Run the cells in these folders; ends with exit code 1 where one failed."""
        stop = Stop()
        failed = False
        for folder in map(Path, folders):
            log_to(folder / "log.txt")
            try:
                failed |= _once_free(folder) is not None
            except ValueError as error:  # another process has it
                print(f"mdlm: error: {error}", file=sys.stderr)
            except SystemExit:
                if stop.number == signal.SIGUSR2:
                    self._requeue(folder)
                raise
        if failed:
            raise SystemExit(1)

    def _requeue(self, folder: Path) -> None:
        """Put this job back into the queue, unless that has been done too often."""
        restarts = int(os.environ.get("SLURM_RESTART_COUNT", 0))
        if restarts >= self.requeues:
            message = f"its job reached its time limit or was preempted {restarts + 1} times; see pool.requeues"
            write_json(folder / FAILED, {"note": message, "seconds": 0.0})
            (folder / PROGRESS).unlink(missing_ok=True)
            return
        print(f"stopped by SIGUSR2, back into the queue ({restarts + 1} of {self.requeues} times)", flush=True)
        done = subprocess.run(["scontrol", "requeue", _job_id()], capture_output=True, text=True, timeout=PATIENCE_S)
        if done.returncode:  # then the job is gone, which the launcher sees
            print(f"scontrol requeue failed: {done.stderr.strip()}", file=sys.stderr)


def _job_id() -> str:
    """This job alone: the last task of an array has the array's own SLURM_JOB_ID, which stands for all of it."""
    array = os.environ.get("SLURM_ARRAY_JOB_ID")
    return f"{array}_{os.environ['SLURM_ARRAY_TASK_ID']}" if array else os.environ["SLURM_JOB_ID"]
