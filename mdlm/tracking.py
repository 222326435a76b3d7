"""Where runs are written down: an MLflow store, or nowhere. The only file that imports mlflow."""

from __future__ import annotations

import math
import os
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from urllib.request import urlopen

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

RUN_ID_FILE = "mlflow_run_id"


class Tracker:
    """Where one run is written down; this one writes nothing."""

    url: str | None = None

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


@dataclass(frozen=True)
class MLflow(Tracking):
    """Write runs to an MLflow store.

    Attributes:
        uri: ``http(s)://`` of a tracking server, a database URI, or None: sqlite in ``directory``.
        directory: Holds the sqlite store and the artifacts of a store without a server.
        experiment: Name of the MLflow experiment.
    """

    uri: str | None
    directory: Path
    experiment: str

    def __post_init__(self) -> None:
        if not self.experiment.strip():
            raise ValueError("experiment is empty; it must name the MLflow experiment")

    @property
    def tracking_uri(self) -> str:
        """The store's address, with an absolute path where it is a local file."""
        return self.uri or f"sqlite:///{self.directory.resolve() / 'mlflow.db'}"

    def check(self) -> None:
        """Reach the server, or make sure that the local directory can be written."""
        uri = self.tracking_uri
        if uri.startswith(("http://", "https://")):
            try:
                with urlopen(f"{uri.rstrip('/')}/health", timeout=10):
                    return
            except (OSError, ValueError) as error:
                raise ValueError(
                    f"uri ({uri}) does not answer ({error}); start the MLflow server, correct tracking.uri, "
                    "or set tracking=none"
                ) from error
        if self.uri is None:
            try:
                self.directory.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise ValueError(f"directory ({self.directory}) cannot be made: {error.strerror}") from error
            if not os.access(self.directory, os.W_OK):
                raise ValueError(f"directory ({self.directory}) cannot be written; set tracking.directory")
        elif urlsplit(uri).scheme == "":
            raise ValueError(f"uri ({uri}) must start with http://, https://, sqlite:/// or postgresql://")

    def open(self) -> tuple[MlflowClient, str]:
        """A client of the store and the experiment's id, both made first where they do not exist yet."""
        from filelock import FileLock

        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
        from mlflow.exceptions import MlflowException
        from mlflow.tracking import MlflowClient

        self.directory.mkdir(parents=True, exist_ok=True)
        with FileLock(self.directory / "create.lock"):  # processes racing to migrate a new database kill each other
            try:
                client = MlflowClient(self.tracking_uri)
                experiment = client.get_experiment_by_name(self.experiment)
                if experiment is not None:
                    return client, str(experiment.experiment_id)
                served = self.tracking_uri.startswith("http")
                artifacts = None if served else (self.directory.resolve() / "artifacts").as_uri()
                return client, str(client.create_experiment(self.experiment, artifact_location=artifacts))
            except MlflowException as error:
                first_line = str(error).splitlines()[0]
                raise ValueError(f"uri ({self.tracking_uri}) cannot be used: {first_line}") from error

    def serve(self, host: str, port: int) -> None:
        """Run the MLflow UI on this store until it is stopped, and say where to look."""
        import subprocess
        import sys

        if self.uri is None and not (self.directory / "mlflow.db").exists():
            raise ValueError(
                f"directory ({self.directory}) holds no runs yet; run `mdlm train` in this directory first, "
                "or give --directory"
            )
        _, experiment_id = self.open()
        page = f"#/experiments/{experiment_id}/runs?workflowType=machine_learning"
        if self.tracking_uri.startswith("http"):
            print(f"The runs are at {self.tracking_uri.rstrip('/')}/{page}")
            return
        print(f"Open http://{host}:{port}/{page}\nStop with Ctrl-C.", flush=True)
        command = [sys.executable, "-m", "mlflow", "ui", "--backend-store-uri", self.tracking_uri]
        command += ["--host", host, "--port", str(port)]
        if subprocess.run(command, check=False).returncode:
            raise ValueError(f"the MLflow UI on {host}:{port} ended with an error (see above)")

    @contextmanager
    def run(
        self, directory: Path, name: str, parameters: Mapping[str, Any], tags: Mapping[str, str]
    ) -> Iterator[Tracker]:
        """A flat run, marked FINISHED, FAILED (with the error) or KILLED at the end.

        A run folder that already belongs to an MLflow run (it was interrupted) goes on writing to that one.
        """
        client, experiment_id = self.open()
        remembered = directory / RUN_ID_FILE
        run_id = _unfinished(client, remembered)
        if run_id is None:
            run_id = client.create_run(experiment_id, run_name=name).info.run_id
            remembered.write_text(run_id)
            _log_parameters(client, run_id, parameters)
        else:
            client.update_run(run_id, status="RUNNING")
        tracker = _MLflowTracker(client, run_id)
        tracker.tags({**tags, "run_folder": str(directory.resolve())})
        try:
            yield tracker
        except BaseException as error:
            stopped = isinstance(error, KeyboardInterrupt | SystemExit)
            tracker.tags({"error": f"{type(error).__name__}: {error}"[:500]})
            client.set_terminated(run_id, "KILLED" if stopped else "FAILED")
            raise
        if "error" in client.get_run(run_id).data.tags:  # of an earlier attempt
            client.delete_tag(run_id, "error")
        client.set_terminated(run_id, "FINISHED")


class _MLflowTracker(Tracker):
    """Writes one MLflow run."""

    batch = 900  # the store takes at most 1000 values at once

    def __init__(self, client: MlflowClient, run_id: str) -> None:
        self.client, self.run_id = client, run_id

    def curve(self, points: Sequence[Mapping[str, float]]) -> None:
        self._log([(name, value, int(p["epoch"])) for p in points for name, value in p.items() if name != "epoch"])

    def metrics(self, values: Mapping[str, float]) -> None:
        self._log([(name, value, 0) for name, value in values.items()])

    def _log(self, values: Sequence[tuple[str, float, int]]) -> None:
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        logged = [Metric(name, float(v), now, step) for name, v, step in values if math.isfinite(v)]
        for first in range(0, len(logged), self.batch):
            self.client.log_batch(self.run_id, metrics=logged[first : first + self.batch])

    def tags(self, values: Mapping[str, str]) -> None:
        from mlflow.entities import RunTag

        self.client.log_batch(self.run_id, tags=[RunTag(name, value) for name, value in values.items()])

    def files(self, paths: Sequence[Path]) -> None:
        for path in paths:
            if path.is_dir():
                self.client.log_artifacts(self.run_id, str(path), path.name)
            else:
                self.client.log_artifact(self.run_id, str(path))


def _unfinished(client: MlflowClient, remembered: Path) -> str | None:
    """The MLflow run a run folder belongs to, or None."""
    from mlflow.exceptions import MlflowException

    if not remembered.exists():
        return None
    run_id = remembered.read_text().strip()
    try:
        client.get_run(run_id)
    except MlflowException:  # the store is another one, or the run was deleted
        return None
    return run_id


def _log_parameters(client: MlflowClient, run_id: str, parameters: Mapping[str, Any]) -> None:
    from mlflow.entities import Param

    logged = [Param(name, str(value)) for name, value in parameters.items()]
    for first in range(0, len(logged), 100):  # the store takes at most 100 at once
        client.log_batch(run_id, params=logged[first : first + 100])
