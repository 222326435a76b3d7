"""Which choices vary between runs, under what names and with what levels."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from mdlm.study.runs import Run

IGNORED_GROUPS = ("experiment", "tracking", "study", "hydra/")
IGNORED_LEAVES = (
    "cache_dir",
    "figures",
    "tracking.",
    "study.",
    "training.device",
    "system.directory",
    "system.n_processes",
)
ABSENT = "-"
Columns = dict[str, list[str]]


def varying_factors(runs: Sequence[Run]) -> Columns:
    """The level of every varying choice in every run.

    A choice of a group (``model=lstm``) is a factor named by the group. A value inside a varying group that the
    options do not share belongs to the option's own label (``coring residence_time=20``). Every other value that
    varies is a factor under its dotted name if it was asked for, or if the factors so far do not explain it.

    Returns:
        One list per factor, with one level per run. Seeds are among them.
    """
    taken = _varying({group: [run.choices.get(group, ABSENT) for run in runs] for group in _groups(runs)})
    choices = {group: values for group, values in taken.items() if "@" not in group}
    inner = {group.partition("@")[2]: values for group, values in taken.items() if "@" in group}
    leaves = _varying({name: [_text(run.leaves.get(name, ABSENT)) for run in runs] for name in _leaves(runs)}) | inner
    columns = dict(choices)
    own: Columns = {}
    for name, values in leaves.items():
        group = _group_of(name, choices)
        if group is None or _is_crossed(choices[group], values):
            own[name] = values
        elif not _explains({group: columns[group]}, values):
            short = name.removeprefix(f"{group}.")
            labels = zip(columns[group], values, strict=True)
            columns[group] = [label if value == ABSENT else f"{label} {short}={value}" for label, value in labels]
    asked = frozenset().union(*(run.overridden for run in runs), inner)
    for name in sorted(own, key=lambda name: name not in asked):
        if name in asked or not _explains(columns, own[name]):
            columns[name] = own[name]
    return columns


def _groups(runs: Sequence[Run]) -> list[str]:
    found = sorted({group for run in runs for group in run.choices})
    return [group for group in found if not group.startswith(IGNORED_GROUPS)]


def _leaves(runs: Sequence[Run]) -> list[str]:
    found = dict.fromkeys(name for run in runs for name in run.leaves)
    return [name for name in found if not name.startswith(IGNORED_LEAVES) and not name.endswith("_target_")]


def _varying(columns: Columns) -> Columns:
    return {name: values for name, values in columns.items() if len(set(values)) > 1}


def _group_of(name: str, choices: Mapping[str, Sequence[str]]) -> str | None:
    """The varying group a dotted name lies in."""
    return next((group for group in choices if name.startswith(f"{group}.")), None)


def _is_crossed(choices: Sequence[str], values: Sequence[str]) -> bool:
    """Whether every option of a group was run with the same several values."""
    found = defaultdict(set)
    for choice, value in zip(choices, values, strict=True):
        found[choice].add(value)
    first, *others = found.values()
    return len(first) > 1 and all(other == first for other in others)


def _explains(columns: Mapping[str, Sequence[str]], values: Sequence[str]) -> bool:
    """Whether runs that agree in all columns agree in these values too."""
    known: dict[tuple[str, ...], str] = {}
    rows = zip(*columns.values(), strict=True) if columns else ((),) * len(values)
    return all(known.setdefault(tuple(row), value) == value for row, value in zip(rows, values, strict=True))


def _text(value: Any) -> str:  # noqa: ANN401
    """A value as it is written on the command line.

    Example:
        >>> _text(1e-2), _text([1, 2.0]), _text(None), _text(True)
        ('0.01', '[1, 2]', 'null', 'true')
    """
    if isinstance(value, list):
        return f"[{', '.join(map(_text, value))}]"
    if isinstance(value, bool) or value is None:
        return {None: "null", True: "true", False: "false"}[value]
    return f"{value:.12g}" if isinstance(value, float) else str(value)
