"""The scan: every choice measured, the cheap way first, as long as the time given lasts."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from mdlm.advise.evidence import Choice, Evidence
from mdlm.advise.measure import Subject
from mdlm.advise.rules import Advice, Data, advise, ranked
from mdlm.kinetics.comparison import Interval
from mdlm.progress import Progress, reported_to

N_SMALL_MODELS, MAX_SMALL_MODELS = 3, 6
CHEAP, BASELINES, SMALL = 0.15, 0.35, 0.5
"""Shares of the bar: a first look, baselines, small models."""


JUST_BEGUN = 1e-6  # what a log would take each report of none done for is an announcement


class OutOfTime(Exception):
    """The time given is up; what is under way is given up."""


@dataclass
class Clock:
    """Takes the progress of all that is computed, shows it as one bar, and ends it when the time is up."""

    seconds: float
    progress: Progress
    begin: float = field(default_factory=time.monotonic)
    done: float = 0.0
    doing: str = ""

    def __call__(self, description: str, done: float, total: float, note: str) -> None:
        """Show what is being done."""
        self.check()
        self.progress(
            max(self.done, JUST_BEGUN), 1.0, f"{self.doing}: {description} {100 * done / max(total, 1e-9):.0f} %"
        )

    def check(self) -> None:
        """Raise `OutOfTime` where the time is up."""
        if time.monotonic() - self.begin > self.seconds:
            raise OutOfTime

    def now(self, doing: str, done: float) -> None:
        """Say what comes next, and which share of the scan is done."""
        self.check()
        self.doing, self.done = doing, done
        self.progress(done, 1.0, doing)


@dataclass
class Scan:
    """The choices, and what is known of them so far.

    Attributes:
        subjects: By choice, the user's own first.
        problems: Choices that cannot be, with the reason.
        clock: How long it may take.
        min_events: Slow events a verdict needs.
    """

    subjects: Mapping[str, Subject]
    problems: Mapping[Choice, str]
    clock: Clock
    min_events: int
    evidence: dict[str, Evidence] = field(default_factory=dict)
    data: Data | None = None

    def run(self) -> Advice:
        """Measure until all is measured or the time is up."""
        first = next(iter(self.subjects.values()))
        unknown = Interval(math.nan, math.nan, math.nan)
        nothing = Data(None, math.nan, unknown, math.nan, first.experiment.kinetics.lag_time, "", self.min_events)
        try:
            with reported_to(self.clock):
                self._look()
                if self._enough_events:
                    self._baselines()
                    self._small_models()
        except OutOfTime:
            pass
        impossible = [Evidence(choice, problem=problem) for choice, problem in self.problems.items()]
        return advise(self.data or nothing, [*self.evidence.values(), *impossible])

    @property
    def _enough_events(self) -> bool:
        return self.data is not None and (self.data.n_events or 0) >= self.min_events

    def _look(self) -> None:
        """The cheap look at everything; one that shows too few events in the data is the last."""
        for number, (name, subject) in enumerate(self.subjects.items()):
            self.clock.now(name, CHEAP * number / len(self.subjects))
            try:
                found = subject.cheap()
            except ValueError as error:  # such as a spectrum without a gap
                found = Evidence(subject.choice, problem=" ".join(str(error).split()))
            else:
                self.data = self.data or _data(subject, self.min_events)
                if not self._enough_events:
                    return
            self.evidence[name] = found

    def _baselines(self) -> None:
        """Of all that are choices, best first."""
        names = self._in_order()
        for number, name in enumerate(names):
            self.clock.now(name, CHEAP + BASELINES * number / len(names))
            self._add(name, Subject.with_baselines)

    def _small_models(self) -> None:
        """Of the user's own choice, then of the best by all that is known, until the best of all has one."""
        for number in range(MAX_SMALL_MODELS):
            order = self._in_order()
            untried = [name for name in order if self.evidence[name].small is None]
            if not untried or (number >= N_SMALL_MODELS and order[0] not in untried):
                return
            own = next(iter(self.subjects))
            name = own if number == 0 and own in untried else untried[0]
            self.clock.now(name, CHEAP + BASELINES + SMALL * number / MAX_SMALL_MODELS)
            self._add(name, Subject.with_small_model)

    def _add(self, name: str, measured: Callable[[Subject, Evidence], Evidence]) -> None:
        try:
            self.evidence[name] = measured(self.subjects[name], self.evidence[name])
        except ValueError as error:
            self.evidence[name] = replace(self.evidence[name], problem=" ".join(str(error).split()))

    def _in_order(self) -> list[str]:
        """Names of all that are choices, best first."""
        assert self.data is not None
        return [one.choice.name for one in ranked(self.data, list(self.evidence.values())) if not one.problem]


def _data(subject: Subject, min_events: int) -> Data:
    judge = subject.judge
    return Data(
        n_events=judge.reference.n_events,
        duration=judge.reference.duration,
        t2=subject.reference_t2,
        plateau_lag=judge.convergence.plateau_lag,
        lag_time=judge.measure.lag_time,
        time_unit=judge.all_md.time_unit,
        min_events=min_events,
    )
