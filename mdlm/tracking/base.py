"""What a run is written down with, whatever it is written to."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

STUDY_TAG, FACTOR_TAG = "study", "factor."
"""What a run of a study is found by: the study's name, and the level of each factor under ``factor.NAME``."""

KIND_TAG, REPORT = "kind", "study report"
"""What marks the run that holds the analysis of a study and is none of its cells."""


class Tracker:
    """Where one run is written down; this one writes nothing."""

    def curve(self, points: Sequence[Mapping[str, float]]) -> None:
        """Write a training curve: one mapping per epoch, with its number under ``epoch``."""

    def metrics(self, values: Mapping[str, float]) -> None:
        """Write final numbers; those that are not finite are left out."""

    def tags(self, values: Mapping[str, str]) -> None:
        """Write short texts a run table can be filtered by."""

    def files(self, paths: Sequence[Path]) -> None:
        """Keep files (or whole directories) with the run."""


@dataclass(frozen=True)
class Tracking(ABC):
    """A way to write runs down."""

    @abstractmethod
    def check(self) -> None:
        """Raise `ValueError` where nothing could be written; cheap enough to come before all compute."""

    @abstractmethod
    def run(self, directory: Path, name: str, parameters: Mapping[str, Any], tags: Mapping[str, str]) -> Any:  # noqa: ANN401
        """A context that yields the run's `Tracker` and records how the run ended."""


@dataclass(frozen=True)
class NoTracking(Tracking):
    """Write nothing down beyond the run's own folder."""

    def check(self) -> None:
        """Nothing can go wrong."""

    @contextmanager
    def run(
        self, directory: Path, name: str, parameters: Mapping[str, Any], tags: Mapping[str, str]
    ) -> Iterator[Tracker]:
        """Yield a tracker that writes nothing."""
        yield Tracker()


def ending(error: BaseException) -> tuple[str, str]:
    """How a run that raised is marked, and the text that says why: stopped from outside, or failed by itself."""
    stopped = isinstance(error, KeyboardInterrupt | SystemExit)
    return "KILLED" if stopped else "FAILED", f"{type(error).__name__}: {error}"[:500]
