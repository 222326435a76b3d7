"""Where runs are written down: an MLflow store, or nowhere. The only file that imports mlflow."""

from __future__ import annotations

import math
import os
import re
import signal
import socket
import subprocess
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from urllib.request import urlopen

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

RUN_ID_FILE = "mlflow_run_id"
FOLDER_TAG = "run_folder"
SCHEMES = ("http", "https", "sqlite", "postgresql", "mysql", "mssql")
LONGEST_PARAMETER = 6000  # characters the store takes


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

    @property
    def _served(self) -> bool:
        return self.tracking_uri.startswith(("http://", "https://"))

    def check(self) -> None:
        """Reach the server or the database, or make sure that the local directory can be written."""
        uri = self.tracking_uri
        if self._served:
            try:
                with urlopen(f"{uri.rstrip('/')}/health", timeout=10):
                    return
            except (OSError, ValueError) as error:
                raise ValueError(
                    f"uri ({_shown(uri)}) does not answer ({error}); start the MLflow server, correct tracking.uri, "
                    "or set tracking=none"
                ) from error
        if self.uri is not None:
            _check_database(self.uri)
        try:
            self.directory.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ValueError(f"directory ({self.directory}) cannot be made: {error.strerror}") from error
        if not os.access(self.directory, os.W_OK):
            raise ValueError(f"directory ({self.directory}) cannot be written; set tracking.directory")

    def open(self) -> tuple[MlflowClient, str]:
        """A client of the store and the experiment's id, both made first where they do not exist yet."""
        from filelock import FileLock

        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
        os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "WARNING")
        from mlflow.exceptions import MlflowException

        if self._served:
            lock: Any = nullcontext()
        else:  # processes racing to migrate a new database kill each other
            self.directory.mkdir(parents=True, exist_ok=True)
            lock = FileLock(self.directory / "create.lock")
        with lock:
            try:
                return self._client_and_experiment()
            except MlflowException as error:
                raise ValueError(
                    f"tracking.uri ({_shown(self.tracking_uri)}) cannot be used: {_first_line(error)}"
                ) from error

    def _client_and_experiment(self) -> tuple[MlflowClient, str]:
        from mlflow.exceptions import MlflowException
        from mlflow.tracking import MlflowClient

        client = MlflowClient(self.tracking_uri)
        experiment = client.get_experiment_by_name(self.experiment)
        if experiment is None:
            artifacts = None if self._served else (self.directory.resolve() / "artifacts").as_uri()
            try:
                return client, str(client.create_experiment(self.experiment, artifact_location=artifacts))
            except MlflowException:  # another machine was faster
                experiment = client.get_experiment_by_name(self.experiment)
                if experiment is None:
                    raise
        if experiment.lifecycle_stage != "active":
            raise ValueError(
                f"tracking.experiment ({self.experiment}) was deleted in MLflow; restore it there "
                f"(`mlflow experiments restore -x {experiment.experiment_id}`) or name another one"
            )
        return client, str(experiment.experiment_id)

    def serve(self, host: str, port: int) -> None:
        """Run the MLflow UI on this store until it is stopped, and say where to look."""
        if self.uri is None and not (self.directory / "mlflow.db").exists():
            raise ValueError(
                f"directory ({self.directory}) holds no runs yet; run `mdlm train` in this directory first, "
                "or give --directory"
            )
        self.check()
        _, experiment_id = self.open()
        page = f"#/experiments/{experiment_id}/runs?workflowType=machine_learning"
        if self._served:
            print(f"The runs are at {self.tracking_uri.rstrip('/')}/{page}")
        else:
            _serve(self.tracking_uri, host, port, page)

    @contextmanager
    def run(
        self, directory: Path, name: str, parameters: Mapping[str, Any], tags: Mapping[str, str]
    ) -> Iterator[Tracker]:
        """A flat run, marked FINISHED, FAILED (with the error) or KILLED at the end.

        A run folder that already belongs to an MLflow run (it was interrupted) goes on writing to that one.
        """
        client, experiment_id = self.open()
        from mlflow.exceptions import MlflowException

        remembered = directory / RUN_ID_FILE
        folder = str(directory.resolve())
        logged = {_allowed(name): _shown(value)[:LONGEST_PARAMETER] for name, value in parameters.items()}
        run_id = _unfinished(client, experiment_id, remembered, folder, logged)
        if run_id is None:
            run_id = client.create_run(experiment_id, run_name=name, tags={FOLDER_TAG: folder}).info.run_id
        else:
            client.update_run(run_id, status="RUNNING")
        remembered.write_text(run_id)
        _log_parameters(client, run_id, logged)
        tracker = _MLflowTracker(client, run_id)
        tracker.tags(tags)
        try:
            yield tracker
        except MlflowException as error:  # a store that is gone cannot be told
            raise ValueError(
                f"tracking.uri ({_shown(self.tracking_uri)}) failed during the run: {_first_line(error)}; "
                f"what is finished is in {directory}; the same command with hydra.run.dir={directory} goes on there"
            ) from error
        except BaseException as error:
            stopped = isinstance(error, KeyboardInterrupt | SystemExit)
            with suppress(MlflowException):
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
        known = self.client.get_metric_history(self.run_id, "validation_nll")  # where a finished run is repeated
        done = {metric.step for metric in known}
        points = [point for point in points if int(point["epoch"]) not in done]
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


def _unfinished(
    client: MlflowClient, experiment_id: str, remembered: Path, folder: str, parameters: Mapping[str, str]
) -> str | None:
    """The MLflow run a run folder belongs to; None where there is none, or its parameters are not these.

    A process that was killed between making the run and noting its name is found by the folder the run is tagged with.
    """
    from mlflow.exceptions import MlflowException

    try:
        if remembered.exists():
            run = client.get_run(remembered.read_text().strip())
        else:
            quoted = folder.replace("'", "\\'")
            found = client.search_runs([experiment_id], f"tags.{FOLDER_TAG} = '{quoted}'", max_results=1)
            if not found:
                return None
            run = found[0]
    except MlflowException:  # the store is another one, or the run is gone
        return None
    same = all(parameters.get(name) == value for name, value in run.data.params.items())
    unfinished = remembered.exists() or run.info.status == "RUNNING"
    return str(run.info.run_id) if same and unfinished and run.info.lifecycle_stage == "active" else None


def _log_parameters(client: MlflowClient, run_id: str, parameters: Mapping[str, str]) -> None:
    from mlflow.entities import Param

    logged = [Param(name, value) for name, value in parameters.items()]
    for first in range(0, len(logged), 100):  # the store takes at most 100 at once
        client.log_batch(run_id, params=logged[first : first + 100])


def _allowed(name: str) -> str:
    """A name as the store takes it: letters, digits and ``_-. :/``."""
    return re.sub(r"[^\w\-. :/]", "_", name)[:250]


def _shown(value: object) -> str:
    """A value as text, without the password of a database URI."""
    return re.sub(r"(://[^:/@\s]*:)[^@/\s]+@", r"\1***@", str(value))


def _first_line(error: Exception) -> str:
    return _shown((str(error).splitlines() or [type(error).__name__])[0])[:300]


def _check_database(uri: str) -> None:
    """Raise `ValueError` unless the database can be connected to."""
    if urlsplit(uri).scheme.partition("+")[0] not in SCHEMES:
        raise ValueError(f"uri ({_shown(uri)}) must start with http://, https://, sqlite:/// or postgresql://")
    from sqlalchemy import create_engine
    from sqlalchemy.exc import SQLAlchemyError
    from sqlalchemy.pool import NullPool

    try:
        engine = create_engine(uri, poolclass=NullPool)
        if engine.url.get_backend_name() == "sqlite" and engine.url.database:
            Path(engine.url.database).parent.mkdir(parents=True, exist_ok=True)
        engine.connect().close()
    except (SQLAlchemyError, ImportError, OSError) as error:
        raise ValueError(f"uri ({_shown(uri)}) cannot be opened: {_first_line(error)}") from error


def _serve(tracking_uri: str, host: str, port: int, page: str) -> None:
    """Run the MLflow server; say where to look once it answers, and leave none of its processes behind."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except (OSError, OverflowError) as error:
            raise ValueError(f"{host}:{port} cannot be listened on ({error}); give another --port or --host") from None
    command = [sys.executable, "-m", "mlflow", "ui", "--backend-store-uri", tracking_uri, "--workers", "1"]
    command += ["--host", host, "--port", str(port), "--uvicorn-opts", "--log-level warning"]
    environment = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"} | os.environ  # eight processes nobody needs
    # A group of its own: the server has workers, and they must end together with it.
    server = subprocess.Popen(command, start_new_session=True, env=environment)
    try:
        while server.poll() is None and not _answers(f"http://{host}:{port}/health"):
            time.sleep(0.2)
        if server.poll() is None:
            print(f"Open http://{host}:{port}/{page}\nStop with Ctrl-C.", flush=True)
        if server.wait():
            raise ValueError(f"the MLflow UI on {host}:{port} ended with an error (see above)")
    finally:
        _end_group(server)


def _answers(address: str) -> bool:
    try:
        with urlopen(address, timeout=2):
            return True
    except OSError:
        return False


def _end_group(server: subprocess.Popen[bytes]) -> None:
    """End a process and all it started: politely, then for good."""
    for end, seconds in ((signal.SIGTERM, 5.0), (signal.SIGKILL, 5.0)):
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(server.pid, end)
        with suppress(subprocess.TimeoutExpired):
            server.wait(seconds)
