"""How a run is written into an MLflow store, and what the store takes."""

from __future__ import annotations

import math
import re
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mdlm.tracking.base import FACTOR_TAG, Tracker

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

LONGEST_PARAMETER = 6000  # characters the store takes


class RunWriter(Tracker):
    """Writes one MLflow run.

    Attributes:
        client: Of the store.
        run_id: Of the run.
        timestamp_ms: What the values are dated; None: now. The store keeps equal values of one date once, so with a
            date nothing is doubled however often it is written.
    """

    batch = 900  # the store takes at most 1000 values at once

    def __init__(self, client: MlflowClient, run_id: str, timestamp_ms: int | None = None) -> None:
        self.client, self.run_id, self.timestamp_ms = client, run_id, timestamp_ms

    def curve(self, points: Sequence[Mapping[str, float]]) -> None:
        """See `Tracker.curve`."""
        if self.timestamp_ms is None:  # where a finished run is repeated
            known = self.client.get_metric_history(self.run_id, "validation_nll")
            done = {metric.step for metric in known}
            points = [point for point in points if int(point["epoch"]) not in done]
        self._log([(name, value, int(p["epoch"])) for p in points for name, value in p.items() if name != "epoch"])

    def metrics(self, values: Mapping[str, float]) -> None:
        """See `Tracker.metrics`."""
        self._log([(name, value, 0) for name, value in values.items()])

    def _log(self, values: Sequence[tuple[str, float, int]]) -> None:
        from mlflow.entities import Metric

        now = self.timestamp_ms if self.timestamp_ms is not None else int(time.time() * 1000)
        logged = [Metric(name, float(v), now, step) for name, v, step in values if math.isfinite(v)]
        for first in range(0, len(logged), self.batch):
            self.client.log_batch(self.run_id, metrics=logged[first : first + self.batch])

    def tags(self, values: Mapping[str, str]) -> None:
        """See `Tracker.tags`."""
        from mlflow.entities import RunTag

        self.client.log_batch(self.run_id, tags=[RunTag(name, value) for name, value in values.items()])

    def files(self, paths: Sequence[Path]) -> None:
        """See `Tracker.files`."""
        for path in paths:
            if path.is_dir():
                self.client.log_artifacts(self.run_id, str(path), path.name)
            else:
                self.client.log_artifact(self.run_id, str(path))


def log_parameters(client: MlflowClient, run_id: str, parameters: Mapping[str, str]) -> None:
    """Write parameters; those that are there already must be the same."""
    from mlflow.entities import Param

    logged = [Param(name, value) for name, value in parameters.items()]
    for first in range(0, len(logged), 100):  # the store takes at most 100 at once
        client.log_batch(run_id, params=logged[first : first + 100])


def stored_parameters(parameters: Mapping[str, Any], tags: Mapping[str, str]) -> dict[str, str]:
    """Parameters as the store keeps them, the levels of a study's factors among them: MLflow's charts know no tags."""
    levels = {name: level for name, level in tags.items() if name.startswith(FACTOR_TAG)}
    return {allowed(name): shown(value)[:LONGEST_PARAMETER] for name, value in {**parameters, **levels}.items()}


def allowed(name: str) -> str:
    """A name as the store takes it: letters, digits and ``_-. :/``."""
    return re.sub(r"[^\w\-. :/]", "_", name)[:250]


def shown(value: object) -> str:
    """A value as text, without the password of a database URI."""
    return re.sub(r"(://[^:/@\s]*:)[^@/\s]+@", r"\1***@", str(value))


def first_line(error: Exception) -> str:
    """The first line of an error, short and without a password."""
    return shown((str(error).splitlines() or [type(error).__name__])[0])[:300]
