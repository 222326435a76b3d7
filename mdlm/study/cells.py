"""The cells of a design: composed, built and checked, all of them before the first one runs."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from typing import TYPE_CHECKING, Any

from mdlm import __version__
from mdlm.fingerprint import digest, part_identity

if TYPE_CHECKING:
    from mdlm.experiment import Experiment

Compose = Callable[[Sequence[str]], tuple[dict[str, Any], dict[str, str]]]
"""From a cell's overrides to its resolved configuration and the option of every group."""

ELSEWHERE = ("tracking", "cache_dir", "figures", "study")
"""Fields of an experiment that say where things are kept and how they are shown, not what they are."""


@dataclass(frozen=True)
class Cell:
    """One run of a study.

    Attributes:
        number: Position in the design, from 0.
        overrides: What was said on the command line and in the experiment's file, in Hydra's words.
        levels: The level of every factor that varies over the design, by its short name.
        choices: The option of every configuration group.
        config: The resolved configuration.
        identity: A hash of all that decides the result, the code among it; empty where the cell is invalid.
        problem: Why it cannot be run, in one line; None where it can.
    """

    number: int
    overrides: tuple[str, ...]
    levels: dict[str, str]
    choices: dict[str, str]
    config: dict[str, Any]
    identity: str
    problem: str | None


def identity_of(experiment: Experiment, describe: Callable[[Any], dict[str, Any]] = part_identity) -> str:
    """A hash of all that decides an experiment's result, whatever way it was configured.

    Args:
        experiment: Checked.
        describe: What gives the `part_identity` of a part.
    """
    parts = {field.name: getattr(experiment, field.name) for field in fields(experiment)}
    described = {
        name: describe(part) if is_dataclass(part) else part for name, part in parts.items() if name not in ELSEWHERE
    }
    return digest(described | {"version": __version__})


def fraction(overrides: Sequence[Sequence[str]], n: int) -> list[Sequence[str]]:
    """The regular 1/n fraction of a full design.

    Args:
        overrides: The full design, ``KEY=VALUE`` texts for each cell.
        n: Cells are kept whose levels, counted from zero in order of appearance over all factors but the seed, sum
            to a multiple of n.

    Raises:
        ValueError: If n divides no factor's number of levels: what is left would miss levels or hold some more often.

    Example:
        >>> [cell[0] + " " + cell[1] for cell in fraction([["a=1", "b=x"], ["a=1", "b=y"], ["a=2", "b=y"]], 2)]
        ['a=1 b=x', 'a=2 b=y']
    """
    order: dict[str, dict[str, int]] = {}
    for key, value in map(_pair, itertools.chain.from_iterable(overrides)):
        values = order.setdefault(key, {})
        values.setdefault(value, len(values))
    order.pop("seed", None)
    numbers = sorted({len(values) for values in order.values()} - {1})
    if not any(number % n == 0 for number in numbers):
        given = ", ".join(map(str, numbers)) or "none"
        raise ValueError(f"study.fraction ({n}) must divide the number of levels of a factor (here: {given})")
    return [cell for cell in overrides if sum(order[k][v] for k, v in map(_pair, cell) if k in order) % n == 0]


def varying(overrides: Sequence[Sequence[str]]) -> dict[str, str]:
    """The factors of a design: every overridden name with more than one value, and its short name.

    Example:
        >>> varying([["model=lstm", "kinetics.lag_time=5", "seed=0"], ["model=gru", "kinetics.lag_time=9", "seed=0"]])
        {'model': 'model', 'kinetics.lag_time': 'lag_time'}
    """
    values: dict[str, set[str]] = {}
    for key, value in map(_pair, itertools.chain.from_iterable(overrides)):
        values.setdefault(key, set()).add(value)
    names = [key for key, found in values.items() if len(found) > 1]
    last = [name.rpartition(".")[2] for name in names]
    return {name: short if last.count(short) == 1 else name for name, short in zip(names, last, strict=True)}


def cells(compose: Compose, overrides: Sequence[Sequence[str]], trusted: set[str]) -> Iterator[Cell]:
    """Compose, build and check every cell, in order.

    Args:
        compose: Hydra's part of it.
        overrides: Those of each cell.
        trusted: Top-level modules a ``_target_`` may come from.
    """
    factors, check = varying(overrides), _Check(trusted)
    for number, own in enumerate(overrides):
        config, choices = compose(own)
        identity, problem = check(config)
        levels = {factors[key]: value for key, value in map(_pair, own) if key in factors}
        yield Cell(number, tuple(own), levels, choices, config, identity, problem)


class _Check:
    """Builds, checks and names cells; a part that several of them share is built and described once."""

    def __init__(self, trusted: set[str]) -> None:
        self.trusted = trusted
        self.built: dict[str, Any] = {}
        self.known: dict[tuple[str, int], tuple[Any, Any]] = {}
        self.described: dict[int, tuple[Any, dict[str, Any]]] = {}

    def __call__(self, config: Mapping[str, Any]) -> tuple[str, str | None]:
        """Identity of a valid cell; else what is wrong with it."""
        from mdlm.build import build

        try:
            parts = {name: self._part(name, value) for name, value in config.items()}
            experiment: Experiment = build(parts, self.trusted)
            experiment.check()
            return identity_of(experiment, self._described), None
        except (ValueError, OSError) as error:
            return "", " ".join(str(error).split())

    def _part(self, name: str, config: Any) -> Any:  # noqa: ANN401
        same = name, id(config)  # most cells share it with others, and to write it as text takes longer than the rest
        if same not in self.known:
            from mdlm.build import build

            key = json.dumps([name, config], default=repr)
            if key not in self.built:
                self.built[key] = build(config, self.trusted, name)
            self.known[same] = config, self.built[key]  # the configuration too, or its id would be another's
        return self.known[same][1]

    def _described(self, part: Any) -> dict[str, Any]:  # noqa: ANN401
        if id(part) not in self.described:
            self.described[id(part)] = part, part_identity(part)  # likewise
        return self.described[id(part)][1]


def _pair(override: str) -> tuple[str, str]:
    """Name and value of an override without the sign before it."""
    key, _, value = override.partition("=")
    return key.lstrip("+~"), value
