"""From the files of runs that could not reach it into an MLflow store, each run once."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from mdlm.progress import bar
from mdlm.tracking.files import RECORD, Record
from mdlm.tracking.mlflow import FOLDER_TAG, MLflow
from mdlm.tracking.writer import RunWriter, first_line, log_parameters, shown

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

KEY_TAG = "record"
SYNCED_TAG = "synced"
"""Written last: the attempt and status that are in the store with all their values and files."""


def sync(root: Path, store: MLflow) -> Counter[str]:
    """Import every run below a directory that was written with ``tracking=files``.

    A run that is in the store as it is on disk is left alone; one of which a part is there, because an earlier import
    was cut off or the run has gone on since, is completed.

    Args:
        root: Searched at every depth.
        store: Where they go.

    Returns:
        How many runs were ``new``, ``completed``, ``unchanged``, or are ``still running`` and left for later.

    Raises:
        ValueError: There are none, one cannot be read, or the store cannot be used.
    """
    if not root.is_dir():
        raise ValueError(f"directory ({root}) does not exist; give one that holds the folders of runs")
    folders = sorted(path.parent for path in root.rglob(RECORD))
    if not folders:
        raise ValueError(f"directory ({root}) holds no {RECORD}; runs with tracking=files leave one")
    from filelock import FileLock

    store.check()
    counted: Counter[str] = Counter()
    client, experiment_id = store.open()
    from mlflow.exceptions import MlflowException

    with FileLock(root / ".sync.lock"), bar("importing runs") as progress:  # two at once would make a run twice
        for number, folder in enumerate(folders, start=1):
            try:
                counted[_import(folder, client, experiment_id)] += 1
            except MlflowException as error:
                raise ValueError(
                    f"tracking.uri ({shown(store.tracking_uri)}) failed at {folder}: {first_line(error)}; "
                    "the same command goes on there"
                ) from error
            progress(number, len(folders))
    return counted


def _import(folder: Path, client: MlflowClient, experiment_id: str) -> str:
    """Bring one run into the store, and say what that was."""
    record = Record.read(folder)
    if record.status == "RUNNING":
        if _is_held(folder):
            return "still running"
        record.status, record.error = "KILLED", "its process died"
    state = f"{record.attempt} {record.status}"
    found = client.search_runs([experiment_id], f"tags.{KEY_TAG} = '{record.key}'", max_results=1)
    if found and found[0].data.tags.get(SYNCED_TAG) == state:
        return "unchanged"
    if found:
        run_id = found[0].info.run_id
        client.update_run(run_id, status="RUNNING")
    else:
        tags = {KEY_TAG: record.key, FOLDER_TAG: record.folder}
        run_id = client.create_run(experiment_id, record.started, tags, record.name).info.run_id
    _write(record, folder, client, run_id)
    client.set_tag(run_id, SYNCED_TAG, state)
    return "completed" if found else "new"


def _write(record: Record, folder: Path, client: MlflowClient, run_id: str) -> None:
    writer = RunWriter(client, run_id, record.started)
    log_parameters(client, run_id, record.parameters)
    writer.curve(record.curve)
    writer.metrics(record.metrics)
    writer.tags(record.tags | {"attempt": str(record.attempt)})
    if record.error:
        writer.tags({"error": record.error})
    elif "error" in client.get_run(run_id).data.tags:  # of an earlier attempt
        client.delete_tag(run_id, "error")
    writer.files([folder / name for name in record.files if (folder / name).exists()])
    client.set_terminated(run_id, record.status, record.ended)


def _is_held(folder: Path) -> bool:
    """Whether the run's process is at work."""
    from filelock import FileLock, Timeout

    try:
        with FileLock(folder / ".lock", timeout=0):
            return False
    except Timeout:
        return True
