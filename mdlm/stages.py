"""The stages from a system to its treated states: computed when first asked for, once per configuration."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, is_dataclass, replace
from functools import cached_property
from inspect import getmro
from typing import Any, TypeVar

from mdlm.errors import named
from mdlm.features.base import Features, FittedFeatures, SelectedColumns
from mdlm.fingerprint import code_version, digest, part_identity
from mdlm.macrostates.base import Lumping, Macrostates
from mdlm.macrostates.own import Own, each_its_own
from mdlm.partition.base import Discretiser, Partition
from mdlm.progress import bar
from mdlm.recrossing.base import Recrossing
from mdlm.recrossing.effect import Effect, effect
from mdlm.recrossing.keep import Keep
from mdlm.store import Store
from mdlm.system.base import System
from mdlm.trajectory import Dtraj, Split, Trajectory

T = TypeVar("T")


@dataclass(frozen=True)
class Stages:
    """Everything before the tokens. A stage found in the store asks for none of those before it.

    Attributes:
        system: Yields trajectories.
        features: Describe their frames.
        partition: Names their states.
        recrossing: Cleans the state sequence.
        macrostates: What molecular dynamics and sample are judged on.
        validation_fraction: Held out to decide when to stop.
        test_fraction: Held out for prompts and the final likelihood.
        store: Where finished stages are kept.
    """

    system: System
    features: Features
    partition: Partition
    recrossing: Recrossing
    macrostates: Macrostates
    validation_fraction: float
    test_fraction: float
    store: Store

    @cached_property
    def trajectories(self) -> Trajectory:
        """The system's trajectories."""

        def compute() -> Trajectory:
            with bar(f"trajectories of {_name(self.system)}") as progress, named("system"):
                made = self.system.trajectories(progress)
            return made.check()

        found = self._result("trajectories", self.system, compute)
        if self._store.path("trajectories", _name(self.system), self._identities["trajectories"]).exists():
            self.system.tidy()
        return found

    @cached_property
    def parts(self) -> Split[Trajectory]:
        """The trajectories, split."""
        return self.trajectories.split(self.validation_fraction, self.test_fraction)

    @property
    def fitted_features(self) -> FittedFeatures:
        """The features, fitted on training data."""
        return self._described[0]

    @property
    def described(self) -> Split[Trajectory]:
        """The trajectories as the partition sees them."""
        return self._described[1]

    @property
    def discretiser(self) -> Discretiser:
        """The partition, fitted on described training data."""
        return self._discretised[0]

    @property
    def states(self) -> Split[Dtraj]:
        """The state of every frame, untreated."""
        return self._discretised[1]

    @property
    def treated(self) -> Split[Dtraj]:
        """The states without recrossings."""
        return self._recrossed[0]

    @property
    def effect(self) -> Effect:
        """What the treatment did to the training data."""
        return self._recrossed[1]

    @property
    def lumping(self) -> Lumping:
        """The macrostate of each state, found on training data."""
        return self._judged[0]

    @property
    def reference(self) -> Dtraj:
        """Macrostates of all molecular dynamics."""
        return self._judged[1]

    @cached_property
    def _described(self) -> tuple[FittedFeatures, Split[Trajectory]]:
        def compute() -> tuple[FittedFeatures, Split[Trajectory]]:
            parts = self.parts  # before the bar: two cannot be shown at once
            with bar(f"describing: {_name(self.features)}"):
                fitted = self.features.fit(parts.train)
                return fitted, parts.map(fitted.transform)

        return self._result("features", self.features, compute, _is_more_than_columns)

    @cached_property
    def _discretised(self) -> tuple[Discretiser, Split[Dtraj]]:
        def compute() -> tuple[Discretiser, Split[Dtraj]]:
            described = self.described
            with bar(f"partitioning: {_name(self.partition)}"):
                discretiser = self.partition.fit(described.train)
                return discretiser, described.map(discretiser.assign)

        return self._result("partition", self.partition, compute)

    @cached_property
    def _recrossed(self) -> tuple[Split[Dtraj], Effect]:
        if isinstance(self.recrossing, Keep):
            train = self.states.train
            return self.states, effect(train, train, train, (0,) * len(train.pieces))

        def compute() -> tuple[Split[Dtraj], Effect]:
            states, described, discretiser = self.states, self.described, self.discretiser
            with bar(f"treating: {_name(self.recrossing)}"):
                treatment = self.recrossing.fit(discretiser, described.train)
                treated = Split(*map(treatment.treat, states.parts, described.parts))
                again = treatment.treat(treated.train, described.train)
                leading = treatment.leading(states.train, described.train)
                return treated, effect(states.train, treated.train, again, leading)

        return self._result("recrossing", self.recrossing, compute)

    @cached_property
    def _judged(self) -> tuple[Lumping, Dtraj]:
        if isinstance(self.macrostates, Own):  # the states would only be stored twice
            train, *others = self.states.parts
            return each_its_own(self.discretiser.state_names), train.joined(*others)

        def compute() -> tuple[Lumping, Dtraj]:
            parts, states, discretiser = self.parts, self.states, self.discretiser
            with bar(f"finding macrostates: {_name(self.macrostates)}"):
                fitted = self.macrostates.fit(parts.train, states.train, discretiser.state_names)
                train, *others = map(fitted.of_frames, parts.parts, states.parts)
                return fitted.lumping, train.joined(*others)

        return self._result("macrostates", self.macrostates, compute)

    @property
    def digest(self) -> str:
        """Names all that decides the treated states, the code among it."""
        return digest(self._identities["recrossing"])

    def has_states(self) -> bool:
        """Whether all that judging needs is in the store."""
        needed = ["partition"]
        needed += [] if isinstance(self.recrossing, Keep) else ["recrossing"]
        needed += [] if isinstance(self.macrostates, Own) else ["macrostates"]
        return all(map(self._has, needed))

    def has_frames(self) -> bool:
        """Whether the trajectories as the partition sees them are at hand without computing trajectories."""
        return "_described" in vars(self) or "trajectories" in vars(self) or self._has("trajectories")

    def _has(self, stage: str) -> bool:
        part = getattr(self, "system" if stage == "trajectories" else stage)
        return self._store.path(stage, _name(part), self._identities[stage]).exists()

    def after(self, stage: str, part: object, identity: Mapping[str, Any], compute: Callable[[], T]) -> T:
        """A result that follows from the treated states and macrostates and from ``identity``; kept like the stages."""
        before = {name: digest(self._identities[name]) for name in ("recrossing", "macrostates")}
        return self._store.result(stage, _name(part), {**before, **identity}, compute)

    def _result(
        self, stage: str, part: object, compute: Callable[[], T], is_kept: Callable[[T], bool] = lambda result: True
    ) -> T:
        return self._store.result(stage, _name(part), self._identities[stage], compute, is_kept)

    @cached_property
    def _identities(self) -> dict[str, dict[str, Any]]:
        """What decides the result of each stage: its own part, and all that decides the stage before."""
        trajectories = {"system": part_identity(self.system)}
        held_out = {"validation": self.validation_fraction, "test": self.test_fraction, "code": code_version(Split)}
        features = {
            "upstream": digest(trajectories),
            "held_out": held_out,
            "features": part_identity(self.features),
        }
        partition = {"upstream": digest(features), "partition": part_identity(self.partition)}
        recrossing = {
            "upstream": digest(partition),
            "recrossing": part_identity(self.recrossing),
            "effect": code_version(Effect),
        }
        macrostates = {"upstream": digest(partition), "macrostates": part_identity(self.macrostates)}
        return {
            "trajectories": trajectories,
            "features": features,
            "partition": partition,
            "recrossing": recrossing,
            "macrostates": macrostates,
        }

    @cached_property
    def _store(self) -> Store:
        """The store, which may also read the classes of the parts' own modules."""
        parts = (self.system, self.features, self.partition, self.recrossing, self.macrostates)
        return replace(self.store, trusted=self.store.trusted.union(*map(_modules, parts)))


def _name(part: object) -> str:
    return type(part).__module__.rpartition(".")[2]


def _is_more_than_columns(described: tuple[FittedFeatures, Split[Trajectory]]) -> bool:
    """Columns of the trajectories would only be stored twice."""
    return not isinstance(described[0], SelectedColumns)


def _modules(value: object) -> set[str]:
    """Top-level modules of a part, its bases and the parts nested in it."""
    if isinstance(value, dict):
        value = tuple(value.values())
    if isinstance(value, tuple | list):
        return set().union(*map(_modules, value))
    if not is_dataclass(value):
        return set()
    own = {cls.__module__.split(".")[0] for cls in getmro(type(value))} - sys.stdlib_module_names
    return own.union(*(_modules(getattr(value, field.name)) for field in fields(value)))
