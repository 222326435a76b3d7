"""Run folders as they lie on disk: what was chosen, and what came of it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mdlm.build import flat
from mdlm.progress import bar

FINISHED, UNDECIDED, FAILED, MISSING = "finished", "undecided", "failed", "missing"
TASK, FAILURE = "cell.json", "failed.json"
"""What a study's workers leave in the folder of a cell: its choices and configuration, and what it died of (note)."""


@dataclass(frozen=True)
class Run:
    """One run folder.

    Attributes:
        directory: The folder.
        choices: The option taken in each group, such as ``{"model": "lstm"}``.
        leaves: Every value of the resolved configuration under its dotted name.
        overridden: Names that were given on the command line or by the design.
        metrics: Every finite number of ``metrics.json``.
        texts: Its texts: verdict, reference, notes.
        status: ``finished``, ``undecided`` (finished, but its verdict is undecided) or ``failed``.
        reason: Why it is not ``finished``, else empty.
    """

    directory: Path
    choices: Mapping[str, str]
    leaves: Mapping[str, Any]
    overridden: frozenset[str]
    metrics: Mapping[str, float]
    texts: Mapping[str, str]
    status: str
    reason: str


def find_runs(root: Path, experiment: str | None = None) -> list[Run]:
    """Every run below a directory, in the order of their paths.

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
            run = read_run(folder)
            if experiment in (None, run.choices.get("experiment")):
                runs.append(run)
            progress(number, len(folders), "")
    if not runs:
        of_experiment = f" of experiment={experiment}" if experiment else ""
        raise ValueError(f"directory ({root}) holds no run{of_experiment}; `mdlm train -m ...` makes them")
    return runs


def read_run(folder: Path) -> Run:
    """Read one folder; whatever a killed run left half-done makes it ``failed``, never an error here."""
    choices, config, overrides = _configured(folder)
    results, damage = _results(folder)
    metrics = {k: float(v) for k, v in results.items() if isinstance(v, int | float)}
    texts = {k: v for k, v in results.items() if isinstance(v, str)}
    verdict = texts.get("verdict", "")
    if damage:
        status, reason = FAILED, _why_failed(folder) or damage
    elif not verdict or verdict.startswith("undecided"):
        status, reason = UNDECIDED, verdict.removeprefix("undecided: ") or "no verdict was written"
    else:
        status, reason = FINISHED, ""
    return Run(
        directory=folder,
        choices={group: str(choice) for group, choice in choices.items() if choice is not None},
        leaves=flat(config),
        overridden=frozenset(word.partition("=")[0].lstrip("+~") for word in overrides),
        metrics=metrics,
        texts=texts,
        status=status,
        reason=reason,
    )


def _configured(folder: Path) -> tuple[dict[str, Any], dict[str, Any], list[str]]:
    """Choices, configuration and overrides: of a study's cell, or as Hydra leaves them."""
    task = _json(folder / TASK)
    if task:
        return task.get("choices", {}), task.get("config", {}), task.get("overrides", [])
    hydra = _yaml(folder / ".hydra" / "hydra.yaml") or {}
    resolved = folder / "config.yaml"
    config = _yaml(resolved if resolved.is_file() else folder / ".hydra" / "config.yaml") or {}
    overrides = _yaml(folder / ".hydra" / "overrides.yaml") or []
    return hydra.get("hydra", {}).get("runtime", {}).get("choices", {}), config, overrides


def _results(folder: Path) -> tuple[dict[str, Any], str]:
    """The content of ``metrics.json``, and what is wrong with it."""
    try:
        found = json.loads((folder / "metrics.json").read_text())
    except FileNotFoundError:
        return {}, "no metrics.json: it failed, was stopped or is still running"
    except (OSError, ValueError) as error:
        return {}, f"metrics.json cannot be read: {error}"
    return (found, "") if isinstance(found, dict) else ({}, "metrics.json holds no mapping")


def _why_failed(folder: Path) -> str:
    """What the run died of, where that was written down."""
    return str(_json(folder / FAILURE).get("note", ""))


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
