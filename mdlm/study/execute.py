"""Run one cell in its folder: what every worker, cluster job and array task does."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from mdlm.progress import reported_to
from mdlm.study.folder import DONE, FAILED, PROGRESS, Task, write_json


class Busy(Exception):
    """Another process is at work in this folder."""


def execute(folder: Path, in_one_line: Callable[[Exception], str]) -> str | None:
    """Run a cell, or go on with it where it was interrupted; one that is done is left alone.

    Args:
        folder: Holds the cell's task, and gets its results.
        in_one_line: Says what went wrong.

    Returns:
        None where the cell is done, else the error in one line.

    Raises:
        Busy: Another process is at work on it.
        ValueError: The folder holds no task.
    """
    task = Task.read(folder)
    with _held(folder):
        if (folder / DONE).exists():
            return None
        start = time.perf_counter()
        (folder / FAILED).unlink(missing_ok=True)
        sys.path += [path for path in task.paths if path not in sys.path]
        write_json(folder / PROGRESS, {"note": "starting"})
        with reported_to(_Reporter(folder / PROGRESS)):
            message = _run(task, folder, in_one_line)
        seconds = time.perf_counter() - start
        if message is None:
            found = json.loads((folder / "metrics.json").read_text())
            write_json(folder / DONE, {"note": found["verdict"], "seconds": seconds})
        else:
            write_json(folder / FAILED, {"note": message, "seconds": seconds})
        (folder / PROGRESS).unlink(missing_ok=True)
    return message


def _run(task: Task, folder: Path, in_one_line: Callable[[Exception], str]) -> str | None:
    """The error in one line, or None."""
    from mdlm.build import build
    from mdlm.report.table import show

    try:
        show(build(task.config, set(task.trusted)).run(folder, task.config, task.tags))
    except Exception as error:
        return in_one_line(error)
    return None


def log_to(path: Path) -> None:
    """Send everything this process prints from now on to the end of a file, libraries' output too."""
    with path.open("a") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)


@contextmanager
def _held(folder: Path) -> Iterator[None]:
    from filelock import FileLock, Timeout

    try:
        with FileLock(folder / ".cell.lock", timeout=0):
            yield
    except Timeout:
        raise Busy(str(folder)) from None


class _Reporter:
    """Writes the progress of the stage at work into a file, at most once per second."""

    interval_s = 1.0

    def __init__(self, path: Path) -> None:
        self.path = path
        self.last = 0.0

    def __call__(self, description: str, done: float, total: float, note: str) -> None:
        now = time.monotonic()
        if now - self.last >= self.interval_s:
            self.last = now
            write_json(self.path, {"note": f"{description} {100 * done / total:.0f} %  {note}".strip()})
