"""What a study looks like on the terminal: the plan, how its cells stand, and the board of a running one."""

from __future__ import annotations

import statistics
import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

from mdlm.study.folder import State, state

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from mdlm.study.cells import Cell
    from mdlm.study.study import Study

LISTED_UP_TO = 60  # cells in a plan; of more only the counts are of use
STYLE = {"done": "green", "failed": "red", "running": "cyan", "interrupted": "yellow", "queued": "blue"}
WIDTH = 110
WATCH_S = 2.0


def show_plan(study: Study) -> None:
    """Print the cells of a design, what is done already, and what the rest will take."""
    console = _console()
    states = study.states()
    to_do = study.to_do(states)
    console.print(_factors(study))
    of = f" (a fraction of {study.n_design})" if study.n_design > len(study.cells) else ""
    console.print(f"{len(study.cells)} cells{of}: " + _counted(study, states))
    say_skipped(study)
    if len(study.valid) <= LISTED_UP_TO:
        console.print(_listed(study.valid, states))
    console.print(_estimate(study, to_do, states), soft_wrap=True)


def show_status(study: Study) -> None:
    """Print how every cell stands."""
    console = _console()
    states = study.states()
    console.print(f"{study.settings.name}: " + _counted(study, states))
    console.print(_listed(study.valid, states))


def watch_status(study: Study) -> None:
    """Show how every cell stands until nothing is left to run, or Ctrl-C."""
    from rich.console import Group
    from rich.live import Live

    def shown() -> Group:
        head = f"{study.settings.name}: {_counted(study, states)}   (Ctrl-C stops looking, not the study)"
        return Group(head, _listed(study.valid, states))

    states = study.states()
    with Live(shown(), console=_console(), auto_refresh=False, vertical_overflow="visible") as live:
        while any(found.name not in ("done", "failed") for found in states.values()):
            time.sleep(WATCH_S)
            states = study.states()
            live.update(shown(), refresh=True)


def say_skipped(study: Study) -> None:
    """Say which cells cannot be run, and why."""
    for problem, number in study.problems().most_common():
        cells = "cell is" if number == 1 else "cells are"
        print(f"{number} {cells} skipped: {problem}", file=sys.stderr)


def _console() -> Console:
    console = Console()
    if not console.is_terminal:
        console.width = WIDTH
    return console


def _counted(study: Study, states: Mapping[str, State]) -> str:
    counts = Counter(found.name for found in states.values())
    invalid = sum(study.problems().values())
    repeated = len(study.cells) - invalid - len(study.valid)
    words = [f"{number} {name}" for name, number in counts.most_common()]
    words += [f"{invalid} skipped"] * bool(invalid) + [f"{repeated} the same as another"] * bool(repeated)
    return ", ".join(words)


def _factors(study: Study) -> Table:
    table = Table(title=f"Study {study.settings.name}", title_justify="left", title_style="bold")
    table.add_column("factor")
    table.add_column("levels")
    names = dict.fromkeys(name for cell in study.cells for name in cell.levels)
    for name in names:
        table.add_row(name, ", ".join(dict.fromkeys(cell.levels[name] for cell in study.cells)))
    return table


def _listed(cells: Sequence[Cell], states: Mapping[str, State]) -> Table:
    table = Table()
    for heading in ("cell", *(cells[0].levels if cells else ()), "state", ""):
        table.add_column(heading, overflow="fold")
    for cell in cells:
        found = states[cell.identity]
        shown = f"[{STYLE.get(found.name, 'default')}]{found.name}[/]"
        table.add_row(str(cell.number), *cell.levels.values(), shown, found.note.partition("\n")[0])
    return table


def _estimate(study: Study, to_do: Sequence[Cell], states: Mapping[str, State]) -> str:
    """Time and disk of what is to do, from the finished cells that are most like each."""
    if not to_do:
        return "Nothing to do."
    done = [cell for cell in study.valid if states[cell.identity].name == "done" and states[cell.identity].seconds]
    if not done:
        return f"{len(to_do)} to run. Their time is not known before a first one is done."
    seconds = sum(_expected(cell, [(other, states[other.identity].seconds) for other in done]) for cell in to_do)
    sizes = [sum(file.stat().st_size for file in study.folder(cell).rglob("*") if file.is_file()) for cell in done]
    disk = statistics.fmean(sizes) * len(to_do)
    return (
        f"{len(to_do)} to run: about {duration(seconds)} of work by what {len(done)} finished ones took, to be "
        f"divided by the cells that run at once; about {disk / 1e6:.0f} MB of disk."
    )


def _expected(cell: Cell, finished: Sequence[tuple[Cell, float]]) -> float:
    """Median seconds of the finished cells that share most of a cell's levels."""
    shared = [
        (sum(other.levels.get(name) == level for name, level in cell.levels.items()), seconds)
        for other, seconds in finished
    ]
    most = max(number for number, _ in shared)
    return statistics.median(seconds for number, seconds in shared if number == most)


def duration(seconds: float) -> str:
    """Seconds as people say them.

    Example:
        >>> duration(42), duration(600), duration(9000)
        ('42 s', '10 min', '2.5 h')
    """
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


class Board:
    """Progress of a running study: one bar for all, one line for each cell at work; plain lines in a batch job."""

    def __init__(self, study: Study, states: Mapping[str, State]) -> None:
        self.study = study
        self.cells = {study.folder(cell): cell for cell in study.valid}
        self.ended_before = sum(found.name == "done" for found in states.values())
        self.n_ended = self.n_failed = 0
        self.start = time.monotonic()
        self.progress: Progress | None = None
        self.lines: dict[Path, TaskID] = {}

    def __enter__(self) -> Board:
        if sys.stderr.isatty():
            from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

            text = TextColumn("{task.description}")
            columns = (text, BarColumn(bar_width=24), TimeElapsedColumn(), TextColumn("{task.fields[note]}"))
            self.progress = Progress(*columns, console=Console(stderr=True))
            self.progress.start()
            total = len(self.cells)
            self.all = self.progress.add_task("cells", total=total, completed=self.ended_before, note="")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.progress is not None:
            self.progress.stop()

    def ended(self, folder: Path, message: str | None) -> None:
        """Count a cell that ended and say so."""
        self.n_ended += 1
        self.n_failed += message is not None
        cell = self.cells[folder]
        found = state(folder)
        name = " ".join(f"{factor}={level}" for factor, level in cell.levels.items())
        text = f"cell {cell.number} ({name}) {found.name} in {duration(found.seconds)}: {found.note}"
        if self.progress is None:
            done = self.ended_before + self.n_ended
            print(f"[{done}/{len(self.cells)}] {text}", file=sys.stderr, flush=True)
        else:
            self.progress.console.print(text, highlight=False, markup=False)
            failed = f"{self.n_failed} failed" if self.n_failed else ""
            self.progress.update(self.all, advance=1, note=failed)

    def watch(self, folders: Sequence[Path]) -> None:
        """Show what is being worked on."""
        if self.progress is None:
            return
        for folder in set(self.lines) - set(folders):
            self.progress.remove_task(self.lines.pop(folder))
        for folder in folders:
            if folder not in self.lines:
                self.lines[folder] = self.progress.add_task(f"  cell {self.cells[folder].number}", total=None, note="")
            self.progress.update(self.lines[folder], note=state(folder).note)
