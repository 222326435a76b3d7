"""A design whose every cell was checked, and how far it is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from mdlm.study.cells import Cell
from mdlm.study.folder import JOB, NO_JOBS, State, read_json, state, write_json
from mdlm.study.queue import jobs
from mdlm.study.settings import StudySettings

DESIGN = "study.json"
"""In the study's folder: its cells, in order, so that they can be looked at without composing them again."""

SKIPPED_CELLS = "skipped.json"
"""Beside it: what was chosen in the cells that cannot be run, which have no folders of their own, and why not."""


@dataclass(frozen=True)
class Study:
    """A design whose every cell was checked.

    Attributes:
        directory: Its folder.
        settings: Name and treatment of failures.
        cells: All of them; those with a ``problem`` are skipped.
        n_design: Cells of the full design, before a fraction was taken.
    """

    directory: Path
    settings: StudySettings
    cells: tuple[Cell, ...]
    n_design: int

    @classmethod
    def read(cls, directory: Path) -> Study:
        """The study a folder belongs to, as it was when it was last run; its cells without their configuration.

        Raises:
            ValueError: The folder is none of a study.
        """
        found = read_json(directory / DESIGN)
        if found is None:
            raise ValueError(f"directory ({directory}) holds no {DESIGN}; give outputs/study/NAME of a study that ran")
        listed = [
            Cell(number, tuple(cell["overrides"]), cell["levels"], {}, {}, cell["identity"], cell["problem"])
            for number, cell in enumerate(found["cells"])
        ]
        settings = StudySettings(found["name"], retry="none", keep_going=True, fraction=1)
        return cls(directory, settings, tuple(listed), len(listed))

    @property
    def valid(self) -> list[Cell]:
        """The cells that can be run, each identity once."""
        return list({cell.identity: cell for cell in self.cells if cell.problem is None}.values())

    def folder(self, cell: Cell) -> Path:
        """Where a cell's results are."""
        return self.directory / "cells" / cell.identity

    def states(self) -> dict[str, State]:
        """How every valid cell stands, by its identity."""
        submitted = any((self.folder(cell) / JOB).exists() for cell in self.valid)
        known = jobs() if submitted else NO_JOBS  # asked before the files: a job that is gone has written all of them
        return {cell.identity: state(self.folder(cell), known) for cell in self.valid}

    def problems(self) -> Counter[str]:
        """Why cells are skipped, each reason with the number of cells it stops."""
        return Counter(cell.problem for cell in self.cells if cell.problem is not None)

    def to_do(self, states: Mapping[str, State]) -> list[Cell]:
        """The cells to run, in order of the design."""
        skipped = {"done"} if self.settings.retry == "failed" else {"done", "failed"}
        return [cell for cell in self.valid if states[cell.identity].name not in skipped]

    def write_design(self) -> None:
        """Leave the list of cells in the study's folder, and what was chosen in those that cannot be run."""
        skipped = [
            {"overrides": cell.overrides, "choices": cell.choices, "config": cell.config, "problem": cell.problem}
            for cell in self.cells
            if cell.problem is not None
        ]
        write_json(self.directory / SKIPPED_CELLS, {"cells": skipped})
        listed = [
            {"identity": cell.identity, "overrides": cell.overrides, "levels": cell.levels, "problem": cell.problem}
            for cell in self.cells
        ]
        write_json(self.directory / DESIGN, {"name": self.settings.name, "cells": listed})
