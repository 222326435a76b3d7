"""How long work says how far it is: a callback for the parts, a terminal bar for people."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol


class Progress(Protocol):
    """What a long computation calls as it goes; ``done`` never decreases and ends at ``total``."""

    def __call__(self, done: float, total: float, note: str = "") -> None:
        """Report ``done`` of ``total`` units of work, with a short ``note`` such as a rate or a loss."""


def silent(done: float, total: float, note: str = "") -> None:
    """Report nothing."""


def part_of(progress: Progress, before: float, whole: float) -> Progress:
    """Report on one part of a longer work to ``progress``.

    Args:
        progress: Told of the whole work.
        before: Units of work done before this part.
        whole: Units of the whole.

    Example:
        >>> part_of(lambda done, total, note="": print(done, total, note), 3, 10)(1, 2, "lag 1 ps")
        4 10 lag 1 ps
    """

    def report(done: float, total: float, note: str = "") -> None:
        progress(before + done, whole, note)

    return report


class Report(Protocol):
    """What takes the progress of all bars, in place of a terminal."""

    def __call__(self, description: str, done: float, total: float, note: str) -> None:
        """Take one report; ``description`` is that of its bar."""


_report: Report | None = None


@contextmanager
def reported_to(report: Report) -> Iterator[None]:
    """Send every progress to ``report`` instead of showing it, in this process, until the context ends."""
    global _report
    before, _report = _report, report
    try:
        yield
    finally:
        _report = before


_spent: dict[str, float] | None = None


@contextmanager
def timed() -> Iterator[dict[str, float]]:
    """Add up the seconds of all bars by their description, in this process, until the context ends."""
    global _spent
    before, _spent = _spent, {}
    try:
        yield _spent
    finally:
        _spent = before


@contextmanager
def bar(description: str) -> Iterator[Progress]:
    """Show a progress bar on stderr; where stderr is no terminal (a batch job), a line now and then.

    Args:
        description: What is being done, for example ``"simulating four_state"``.

    Yields:
        The callback to hand to the computation.
    """
    start = time.perf_counter()
    try:
        with _shown(description) as progress:
            yield progress
    finally:
        if _spent is not None:
            _spent[description] = _spent.get(description, 0.0) + time.perf_counter() - start


@contextmanager
def _shown(description: str) -> Iterator[Progress]:
    """Where progress goes: to whoever asked for all of it, into a log, or onto the terminal."""
    report_all = _report
    if report_all is not None:
        yield lambda done, total, note="": report_all(description, done, total, note)
        return
    if not sys.stderr.isatty():
        yield _Lines(description)
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description:<22}"),
        BarColumn(bar_width=32),
        TextColumn("{task.percentage:>3.0f}%"),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
    )
    with Progress(*columns, console=Console(stderr=True)) as shown:
        task = shown.add_task(description, total=None, note="")

        def report(done: float, total: float, note: str = "") -> None:
            shown.update(task, completed=done, total=total, note=note)

        yield report


class _Lines:
    """A log line at most every ten seconds, so that a cluster job's log stays readable.

    A note before anything is done says what is ahead, and is shown at once.
    """

    interval_s = 10.0

    def __init__(self, description: str) -> None:
        self.description = description
        self.last = time.monotonic()

    def __call__(self, done: float, total: float, note: str = "") -> None:
        now = time.monotonic()
        announced = done == 0 and note
        if now - self.last < self.interval_s and not announced:
            return
        self.last = now
        print(f"{self.description}: {100 * done / total:.0f} % {note}", file=sys.stderr, flush=True)
