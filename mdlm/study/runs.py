"""Run folders as they lie on disk: what was chosen, and what came of it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mdlm.build import flat
from mdlm.progress import bar
from mdlm.study.folder import TASK, state
from mdlm.study.study import SKIPPED_CELLS

FINISHED, UNDECIDED, FAILED, MISSING, SKIPPED = "finished", "undecided", "failed", "missing", "skipped"
UNFINISHED = {
    "new": "not run yet",
    "running": "still running",
    "queued": "waits in the queue of a cluster",
    "interrupted": "interrupted before it was done",
    "done": "its metrics.json is gone",
}
"""By the state of a study's cell without results."""
NO_RESULTS = "no metrics.json: it failed, was stopped or is still running"


@dataclass(frozen=True)
class Run:
    """One run folder, or a cell of a design that was never run.

    Attributes:
        directory: The folder; of a skipped cell that of its study.
        choices: The option taken in each group, such as ``{"model": "lstm"}``.
        leaves: Every value of the resolved configuration under its dotted name.
        overridden: Names that were given on the command line or by the design.
        metrics: Every finite number of ``metrics.json``.
        texts: Its texts: verdict, reference, notes.
        status: ``finished``, ``undecided`` (finished, but its verdict is undecided), ``failed``, ``missing`` (planned,
            but not done yet) or ``skipped`` (its combination of choices cannot be run).
        reason: Why it is not ``finished``, else empty.
        planned: Whether it is a cell of a study, whose design says what is to be run.
    """

    directory: Path
    choices: Mapping[str, str]
    leaves: Mapping[str, Any]
    overridden: frozenset[str]
    metrics: Mapping[str, float]
    texts: Mapping[str, str]
    status: str
    reason: str
    planned: bool = False


def find_runs(root: Path, experiment: str | None = None) -> list[Run]:
    """Every run below a directory, in the order of their paths, then the cells that the designs there skip.

    Args:
        root: Searched at every depth.
        experiment: Only runs of this ``conf/experiment``.

    Raises:
        ValueError: There is no such directory, or no run in it.
    """
    if not root.is_dir():
        raise ValueError(f"directory ({root}) does not exist; give one that holds the folders of runs")
    by_hydra = {path.parent.parent for path in root.rglob(".hydra/hydra.yaml")}
    folders = sorted(by_hydra | {path.parent for path in root.rglob(TASK)})
    runs = []
    with bar("reading runs") as progress:
        for number, folder in enumerate(folders, start=1):
            runs.append(read_run(folder))
            progress(number, len(folders), "")
    runs += [run for path in sorted(root.rglob(SKIPPED_CELLS)) for run in _skipped(path)]
    runs = [run for run in runs if experiment in (None, run.choices.get("experiment"))]
    if all(run.status == SKIPPED for run in runs):
        of_experiment = f" of experiment={experiment}" if experiment else ""
        raise ValueError(f"directory ({root}) holds no run{of_experiment}; `mdlm train -m ...` makes them")
    return runs


def read_run(folder: Path) -> Run:
    """Read one folder; whatever a killed run left half-done gives it a status, never an error here."""
    results, damage = _results(folder)
    planned = (folder / TASK).is_file()
    verdict = results.get("verdict", "")
    if damage:
        status, reason = _without_results(folder, planned, damage)
    elif not verdict or verdict.startswith("undecided"):
        status, reason = UNDECIDED, verdict.removeprefix("undecided: ") or "no verdict was written"
    else:
        status, reason = FINISHED, ""
    return _run(folder, _configured(folder), results, status, reason, planned)


def _skipped(path: Path) -> list[Run]:
    """The cells of a design that cannot be run."""
    return [
        _run(path.parent, cell, {}, SKIPPED, cell["problem"], planned=True) for cell in _json(path).get("cells", [])
    ]


def _run(
    directory: Path, configured: Mapping[str, Any], results: Mapping[str, Any], status: str, reason: str, planned: bool
) -> Run:
    overrides = configured.get("overrides") or []
    return Run(
        directory=directory,
        choices={group: str(choice) for group, choice in configured["choices"].items() if choice is not None},
        leaves=flat(configured["config"]),
        overridden=frozenset(word.partition("=")[0].lstrip("+~") for word in overrides),
        metrics={k: float(v) for k, v in results.items() if isinstance(v, int | float)},
        texts={k: v for k, v in results.items() if isinstance(v, str)},
        status=status,
        reason=reason,
        planned=planned,
    )


def _configured(folder: Path) -> Mapping[str, Any]:
    """Choices, configuration and overrides: of a study's cell, or as Hydra leaves them."""
    task = _json(folder / TASK)
    if task:
        return {"choices": {}, "config": {}} | task
    hydra = _yaml(folder / ".hydra" / "hydra.yaml") or {}
    resolved = folder / "config.yaml"
    return {
        "choices": hydra.get("hydra", {}).get("runtime", {}).get("choices", {}),
        "config": _yaml(resolved if resolved.is_file() else folder / ".hydra" / "config.yaml") or {},
        "overrides": _yaml(folder / ".hydra" / "overrides.yaml"),
    }


def _results(folder: Path) -> tuple[dict[str, Any], str]:
    """The content of ``metrics.json``, and what is wrong with it."""
    try:
        found = json.loads((folder / "metrics.json").read_text())
    except FileNotFoundError:
        return {}, NO_RESULTS
    except (OSError, ValueError) as error:
        return {}, f"metrics.json cannot be read: {error}"
    return (found, "") if isinstance(found, dict) else ({}, "metrics.json holds no mapping")


def _without_results(folder: Path, planned: bool, damage: str) -> tuple[str, str]:
    """Status of a folder without a usable ``metrics.json``, and the reason."""
    found = state(folder) if planned else None
    if found and found.name == "failed":
        return FAILED, found.note
    if found and damage == NO_RESULTS:
        return MISSING, UNFINISHED[found.name]
    return FAILED, damage


def _json(path: Path) -> dict[str, Any]:
    """A JSON file's mapping, empty where there is none or it is damaged."""
    try:
        found = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _yaml(path: Path) -> Any:  # noqa: ANN401
    """A YAML file's content, None where there is none or it is damaged."""
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # ten times as fast, which a thousand runs need
    try:
        return yaml.load(path.read_text(), Loader=loader)
    except (OSError, yaml.YAMLError):
        return None
