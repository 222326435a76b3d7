"""The tidy table of a study: one row per run, factors and metrics as columns, nothing left out."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mdlm.report.run_folder import write_atomically
from mdlm.study.factors import varying_factors
from mdlm.study.runs import FAILED, FINISHED, MISSING, SKIPPED, UNDECIDED, Run

if TYPE_CHECKING:
    import pandas as pd

STATUSES = (FINISHED, UNDECIDED, FAILED, MISSING, SKIPPED)

SEEDS = ("seed", "system.seed")
"""Replicates: of the model, and of the data."""

MOST_MISSING = 20_000
"""Combinations up to which those without a run are listed; a fractional design of many factors has more."""


@dataclass(frozen=True)
class StudyTable:
    """Runs with what was chosen and what came of it.

    Attributes:
        rows: One row per run: ``run`` (its folder), ``status``, ``reason``, ``verdict``, a column for each factor and
            replicate, and one for each metric (NaN where a run has none). What was planned and is not done, or cannot
            be run, has rows of its own with status ``missing`` or ``skipped``; so has, where no design says what was
            planned, every other combination of the levels.
        factors: Columns that vary and are no seed.
        replicates: The seeds that vary.
        notes: What a reader must know: runs left out, combinations not listed.
    """

    rows: pd.DataFrame
    factors: tuple[str, ...]
    replicates: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name in (*self.factors, *self.replicates, "status"):
            if name not in self.rows.columns:
                raise ValueError(f"rows ({', '.join(map(str, self.rows.columns))}) lack the column {name}")
        unknown = set(self.rows["status"]) - set(STATUSES)
        if unknown:
            raise ValueError(f"status ({', '.join(sorted(unknown))}) must be one of {', '.join(STATUSES)}")

    @property
    def counts(self) -> dict[str, int]:
        """How many rows have each status."""
        return {name: int((self.rows["status"] == name).sum()) for name in STATUSES}

    def write(self, directory: Path) -> list[Path]:
        """Write ``runs.parquet`` and ``runs.csv``, each whole or not at all."""
        parquet, csv = directory / "runs.parquet", directory / "runs.csv"
        write_atomically(parquet, self.rows.to_parquet)
        write_atomically(csv, lambda path: self.rows.to_csv(path, index=False))
        return [parquet, csv]


def study_table(runs: Sequence[Run]) -> StudyTable:
    """Make the tidy table of some runs.

    Of several runs of the same levels the newest finished one counts; the others are named in the notes.
    """
    import pandas as pd

    columns = varying_factors(runs)
    kept, repeated = _newest([*zip(*columns.values(), strict=True)] if columns else [()] * len(runs), runs)
    records: list[dict[str, Any]] = []
    for index in kept:
        run = runs[index]
        folder = "" if run.status == SKIPPED else str(run.directory)
        record: dict[str, Any] = {"run": folder, "status": run.status, "reason": run.reason}
        record["verdict"] = run.texts.get("verdict", "")
        record |= {name: values[index] for name, values in columns.items()}
        records.append(record | {name: value for name, value in run.metrics.items() if name not in columns})
    levels = {name: [values[index] for index in kept] for name, values in columns.items()}
    missing, notes = _outside_the_design(levels) if all(run.planned for run in runs) else _missing(levels)
    if repeated:
        notes.append(f"{repeated} older or unfinished repetitions of the same levels are left out")
    rows = pd.DataFrame(records + missing)
    for name in columns:
        rows[name] = _as_numbers(rows[name])
    replicates = tuple(name for name in SEEDS if name in columns)
    return StudyTable(rows, tuple(name for name in columns if name not in SEEDS), replicates, tuple(notes))


def _newest(levels: Sequence[tuple[str, ...]], runs: Sequence[Run]) -> tuple[list[int], int]:
    """Index of the run that counts for each combination of levels, and how many others there are."""
    rank = {UNDECIDED: 2, FINISHED: 2, FAILED: 1, MISSING: 0, SKIPPED: 0}
    best: dict[tuple[str, ...], int] = {}
    for index, at in enumerate(levels):
        other = best.setdefault(at, index)
        if _age_rank(runs[index], rank) > _age_rank(runs[other], rank):
            best[at] = index
    return sorted(best.values()), len(runs) - len(best)


def _age_rank(run: Run, rank: dict[str, int]) -> tuple[int, float]:
    return rank[run.status], run.directory.stat().st_mtime if run.directory.exists() else -math.inf


def _missing(columns: dict[str, list[str]]) -> tuple[list[dict[str, Any]], list[str]]:
    """A row for each combination of the levels that no run has."""
    levels = {name: list(dict.fromkeys(values)) for name, values in columns.items()}
    n_combinations = math.prod(map(len, levels.values()))
    if n_combinations > MOST_MISSING:
        return [], [f"combinations without a run are not listed: the levels have {n_combinations} combinations"]
    present = set(zip(*columns.values(), strict=True))
    absent = [at for at in product(*levels.values()) if at not in present] if columns else []
    common: dict[str, Any] = {"run": "", "status": MISSING, "reason": "no run has these levels", "verdict": ""}
    return [common | dict(zip(levels, at, strict=True)) for at in absent], []


def _outside_the_design(columns: dict[str, list[str]]) -> tuple[list[dict[str, Any]], list[str]]:
    """No row for a combination that nobody meant to run, and a note on how many there are."""
    n_combinations = math.prod(len(set(values)) for values in columns.values())
    others = n_combinations - len(set(zip(*columns.values(), strict=True))) if columns else 0
    note = f"{others} of the {n_combinations} combinations of the levels are not part of the design"
    return [], [note] if others else []


def _as_numbers(values: pd.Series[Any]) -> pd.Series[Any]:
    """A column of numbers as numbers."""
    import pandas as pd

    try:
        return pd.to_numeric(values)
    except (ValueError, TypeError):
        return values
