"""Runs in an MLflow store: a local sqlite file, a database, or a tracking server."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from urllib.request import urlopen

from mdlm.tracking.base import Tracker, Tracking, ending
from mdlm.tracking.serve import say, serve
from mdlm.tracking.study_view import save_view, studies
from mdlm.tracking.writer import RunWriter, first_line, log_parameters, shown, stored_parameters

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

RUN_ID_FILE = "mlflow_run_id"
FOLDER_TAG = "run_folder"
SCHEMES = ("http", "https", "sqlite", "postgresql", "mysql", "mssql")


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
        return (self.uri or "").startswith(("http://", "https://"))

    def check(self) -> None:
        """Reach the server or the database, or make sure that the local directory can be written."""
        if self._served:
            uri = self.tracking_uri
            try:
                with urlopen(f"{uri.rstrip('/')}/health", timeout=10):
                    return
            except (OSError, ValueError) as error:
                raise ValueError(
                    f"uri ({shown(uri)}) does not answer ({error}); start the MLflow server, correct tracking.uri, "
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
                if not self._served:
                    self._make_file()
                return self._client_and_experiment()
            except MlflowException as error:
                raise ValueError(
                    f"tracking.uri ({shown(self.tracking_uri)}) cannot be used: {first_line(error)}"
                ) from error

    def _make_file(self) -> None:
        """Make a new sqlite store in a folder of its own: a kill amid its migration leaves one that nothing can use."""
        from mlflow.tracking import MlflowClient
        from sqlalchemy.engine import make_url

        url = make_url(self.tracking_uri)
        if url.get_backend_name() != "sqlite" or not url.database:
            return
        file = Path(url.database)
        if file.exists() and file.stat().st_size > 0:
            return
        folder = file.with_name(f"{file.name}.unfinished")
        shutil.rmtree(folder, ignore_errors=True)  # of one that was killed, with its journal
        folder.mkdir(parents=True)
        MlflowClient(str(url.set(database=str(folder / file.name)))).get_experiment_by_name(self.experiment)
        (folder / file.name).replace(file)
        folder.rmdir()

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

    def serve(self, host: str, port: int, study: str | None = None) -> None:
        """Run the MLflow UI on this store until it is stopped, and say where to look.

        Args:
            host: Address to listen on.
            port: Port to listen on.
            study: Whose table and charts to point at; None: all runs, and each study's table.

        Raises:
            ValueError: There is no store or no such study, or the port is taken.
        """
        if self.uri is None and not (self.directory / "mlflow.db").exists():
            raise ValueError(
                f"directory ({self.directory}) holds no runs yet; run `mdlm train` in this directory first, "
                "or give --directory"
            )
        self.check()
        pages = self._pages(study)
        if self._served:
            say(self.tracking_uri.rstrip("/"), pages)
        else:
            serve(self.tracking_uri, host, port, pages)

    def _pages(self, study: str | None) -> dict[str, str]:
        """Addresses below the server's, each under what is seen there; the views of studies are saved first."""
        client, experiment_id = self.open()
        found = studies(client, experiment_id)
        if study is None:
            tables = {f"Study {name}": save_view(client, experiment_id, name, runs) for name, runs in found.items()}
            return {"All runs": f"#/experiments/{experiment_id}/runs?workflowType=machine_learning", **tables}
        if study not in found:
            there = f"the studies there are {', '.join(found)}" if found else "no study has runs there"
            raise ValueError(
                f"study ({study}) has no runs in experiment {self.experiment} of {shown(self.tracking_uri)}; {there}"
            )
        table = save_view(client, experiment_id, study, found[study])
        return {f"Study {study}": table, "Its charts": f"{table}&compareRunsMode=CHART"}

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
        logged = stored_parameters(parameters, tags)
        run_id = _unfinished(client, experiment_id, remembered, folder, logged)
        if run_id is None:
            run_id = client.create_run(experiment_id, run_name=name, tags={FOLDER_TAG: folder}).info.run_id
        else:
            client.update_run(run_id, status="RUNNING")
        remembered.write_text(run_id)
        log_parameters(client, run_id, logged)
        tracker = RunWriter(client, run_id)
        tracker.tags(tags)
        try:
            yield tracker
        except MlflowException as error:  # a store that is gone cannot be told
            raise ValueError(
                f"tracking.uri ({shown(self.tracking_uri)}) failed during the run: {first_line(error)}; "
                f"what is finished is in {directory}; the same command with hydra.run.dir={directory} goes on there"
            ) from error
        except BaseException as error:
            status, reason = ending(error)
            with suppress(MlflowException):
                tracker.tags({"error": reason})
                client.set_terminated(run_id, status)
            raise
        if "error" in client.get_run(run_id).data.tags:  # of an earlier attempt
            client.delete_tag(run_id, "error")
        client.set_terminated(run_id, "FINISHED")


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


def _check_database(uri: str) -> None:
    """Raise `ValueError` unless the database can be connected to."""
    if urlsplit(uri).scheme.partition("+")[0] not in SCHEMES:
        raise ValueError(f"uri ({shown(uri)}) must start with http://, https://, sqlite:/// or postgresql://")
    from sqlalchemy import create_engine
    from sqlalchemy.exc import SQLAlchemyError
    from sqlalchemy.pool import NullPool

    try:
        engine = create_engine(uri, poolclass=NullPool)
        if engine.url.get_backend_name() == "sqlite" and engine.url.database:
            Path(engine.url.database).parent.mkdir(parents=True, exist_ok=True)
        engine.connect().close()
    except (SQLAlchemyError, ImportError, OSError) as error:
        raise ValueError(f"uri ({shown(uri)}) cannot be opened: {first_line(error)}") from error
