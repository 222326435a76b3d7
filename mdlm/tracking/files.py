"""Runs written down in their own folders, where there is no way to an MLflow store; `mdlm study sync` imports them."""

from __future__ import annotations

import json
import math
import os
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from mdlm.tracking.base import Tracker, Tracking, ending
from mdlm.tracking.writer import stored_parameters

RECORD = "tracking.json"


@dataclass
class Record:
    """What MLflow would have been told of one run; times in milliseconds since 1970.

    Attributes:
        key: Names the run for ever, so that it is imported once however often that is tried.
        name: Of the run.
        folder: Where it ran.
        parameters: As a store keeps them.
        started: When its first attempt began.
        attempt: Counted from 1.
        status: ``RUNNING``, ``FINISHED``, ``FAILED`` or ``KILLED``.
        error: What ended it early, else empty.
        ended: When its last attempt ended.
        tags: Short texts.
        curve: One mapping per epoch.
        metrics: Final numbers.
        files: To be kept with the run, relative to its folder.
    """

    key: str
    name: str
    folder: str
    parameters: dict[str, str]
    started: int
    attempt: int = 1
    status: str = "RUNNING"
    error: str = ""
    ended: int | None = None
    tags: dict[str, str] = field(default_factory=dict)
    curve: list[dict[str, float]] = field(default_factory=list)
    metrics: dict[str, float] = field(default_factory=dict)
    files: list[str] = field(default_factory=list)

    @classmethod
    def read(cls, folder: Path) -> Record:
        """The record in a run's folder.

        Raises:
            ValueError: It is missing or cannot be read.
        """
        path = folder / RECORD
        try:
            return cls(**json.loads(path.read_text()))
        except (OSError, ValueError, TypeError) as error:
            raise ValueError(f"{path} cannot be read: {error}") from None

    def write(self, folder: Path) -> None:
        """Replace the record in a run's folder, whole or not at all."""
        temporary = folder / f".{RECORD}.{os.getpid()}.tmp"
        try:
            temporary.write_text(json.dumps(asdict(self), indent=1))
            os.replace(temporary, folder / RECORD)
        finally:
            temporary.unlink(missing_ok=True)


@dataclass(frozen=True)
class Files(Tracking):
    """Write each run into ``tracking.json`` in its own folder."""

    def check(self) -> None:
        """Nothing can go wrong that the run's folder does not say by itself."""

    @contextmanager
    def run(
        self, directory: Path, name: str, parameters: Mapping[str, Any], tags: Mapping[str, str]
    ) -> Iterator[Tracker]:
        """A record, marked FINISHED, FAILED (with the error) or KILLED at the end; an interrupted run's goes on."""
        record = _begun(directory, name, stored_parameters(parameters, tags))
        tracker = _RecordWriter(record, directory)
        tracker.tags(tags)
        try:
            yield tracker
        except BaseException as error:
            record.status, record.error = ending(error)
            raise
        else:
            record.status = "FINISHED"
        finally:
            record.ended = _now()
            record.write(directory)


class _RecordWriter(Tracker):
    """Fills a record; it reaches the disk with every tag and file, of which there are few."""

    def __init__(self, record: Record, directory: Path) -> None:
        self.record, self.directory = record, directory

    def curve(self, points: Sequence[Mapping[str, float]]) -> None:
        self.record.curve = [{k: v for k, v in point.items() if math.isfinite(v)} for point in points]

    def metrics(self, values: Mapping[str, float]) -> None:
        self.record.metrics.update({name: float(v) for name, v in values.items() if math.isfinite(v)})

    def tags(self, values: Mapping[str, str]) -> None:
        self.record.tags.update(values)
        self.record.write(self.directory)

    def files(self, paths: Sequence[Path]) -> None:
        known = [*self.record.files, *(str(path.relative_to(self.directory)) for path in paths)]
        self.record.files = list(dict.fromkeys(known))
        self.record.write(self.directory)


def _begun(directory: Path, name: str, parameters: dict[str, str]) -> Record:
    """The next attempt of the run whose folder this is, or a new one's first."""
    if (directory / RECORD).exists():
        record = Record.read(directory)
        if record.parameters == parameters:
            record.attempt += 1
            record.status, record.error, record.ended = "RUNNING", "", None
            return record
    return Record(uuid.uuid4().hex, name, str(directory.resolve()), parameters, _now())


def _now() -> int:
    return int(time.time() * 1000)
