"""From a design to its results: check every cell, say what is skipped and why, run what is not done yet."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mdlm.cli_compose import Composer
from mdlm.study.cells import Cell, cells, fraction
from mdlm.study.folder import FAILED, JOB, Task
from mdlm.study.settings import StudySettings
from mdlm.study.study import Study
from mdlm.study.table import Board, say_skipped, show_plan, show_status, watch_status

if TYPE_CHECKING:
    from hydra.core.config_loader import ConfigLoader
    from omegaconf import DictConfig

SHOWN = {"plan": show_plan, "status": show_status, "watch": watch_status}
"""Actions that only look."""


def launch(
    loader: ConfigLoader,
    master: DictConfig,
    overrides: Sequence[Sequence[str]],
    action: str,
    settings: Mapping[str, Any],
) -> None:
    """Compose a study and do what the launcher's ``action`` says.

    Args:
        loader: Hydra's.
        master: The configuration of the sweep itself.
        overrides: Those of every cell.
        action: ``run``, ``submit``, ``plan``, ``status`` or ``watch``.
        settings: Of the launcher: under ``pool`` what runs the cells.
    """
    from mdlm.build import build
    from mdlm.cli import trusted_modules

    trusted, paths = trusted_modules(master.hydra)
    pool = build(dict(settings), trusted, "hydra.launcher")["pool"]
    known = ["run", *(["submit"] if hasattr(pool, "submit") else []), *SHOWN]
    if action not in known:
        only = "; submit needs hydra/launcher=slurm" if action == "submit" else ""
        raise ValueError(f"hydra.launcher.action ({action}) must be one of {', '.join(known)}{only}")
    if action in SHOWN:
        SHOWN[action](_study(loader, master, overrides, trusted))
        return
    pool.check()
    study = _study(loader, master, overrides, trusted)
    to_do = _prepared(study, trusted, paths)
    if action == "submit":
        print(pool.submit([study.folder(cell) for cell in to_do]) if to_do else "nothing to do: no cell is left to run")
        print(f"Next: mdlm study status {study.directory}")
    else:
        _run(study, to_do, pool)


def _study(loader: ConfigLoader, master: DictConfig, overrides: Sequence[Sequence[str]], trusted: set[str]) -> Study:
    from omegaconf import OmegaConf

    from mdlm.build import build
    from mdlm.progress import bar

    plain: Any = OmegaConf.to_container(master.study, resolve=True)
    settings: StudySettings = build(plain, trusted, "study")
    kept = fraction(overrides, settings.fraction) if settings.fraction > 1 else list(overrides)
    composed = []
    with bar("checking cells") as progress:
        for cell in cells(Composer(loader, master, kept), kept, trusted):
            composed.append(cell)
            progress(len(composed), len(kept))
    directory = Path("outputs") / "study" / settings.name
    return Study(directory, settings, tuple(composed), len(overrides))


def _prepared(study: Study, trusted: set[str], paths: tuple[str, ...]) -> list[Cell]:
    """The cells to run, each with its task in its folder."""
    if not study.valid:
        raise ValueError(f"no cell of the design can be run: {study.problems().most_common(1)[0][0]}")
    say_skipped(study)
    states = study.states()
    to_do = study.to_do(states)
    for cell in study.valid:
        Task.of(cell, study.settings.name, trusted, paths).write(study.folder(cell))
    study.write_design()
    for cell in to_do:
        if states[cell.identity].name == "failed":  # a job that has more cells goes on without this one
            for name in (FAILED, JOB):
                (study.folder(cell) / name).unlink(missing_ok=True)
    if to_do:
        _first_connection(to_do[0], trusted)
    return to_do


def _run(study: Study, to_do: Sequence[Cell], pool: Any) -> None:  # noqa: ANN401
    """Run what is not done, and end with an error where a cell failed."""
    if to_do:
        with Board(study, study.states()) as board:
            pool.run([study.folder(cell) for cell in to_do], study.settings.keep_going, board.ended, board.watch)
    states = study.states()
    counted = Counter(found.name for found in states.values())
    print(f"{study.settings.name}: " + ", ".join(f"{number} {name}" for name, number in counted.items()))
    print(f"Results: {study.directory}\nNext: mdlm study analyse {study.directory}")
    failed = [(cell, states[cell.identity]) for cell in study.valid if states[cell.identity].name == "failed"]
    for cell, found in failed:
        print(f"mdlm: error: cell {cell.number} ({' '.join(cell.overrides)}): {found.note}", file=sys.stderr)
    if failed:
        raise ValueError(f"{len(failed)} of {len(states)} cells failed, see above; study.retry=failed runs them again")


def _first_connection(cell: Cell, trusted: set[str]) -> None:
    """Make the tracking store before several processes race for it."""
    from mdlm.build import build
    from mdlm.tracking import MLflow

    tracking = build(cell.config["tracking"], trusted, "tracking")
    if isinstance(tracking, MLflow):
        tracking.check()
        tracking.open()
