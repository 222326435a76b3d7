"""What the analysis of a study leaves, as the artifacts of one MLflow run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from mdlm.tracking.base import KIND_TAG, REPORT
from mdlm.tracking.mlflow import FOLDER_TAG, MLflow
from mdlm.tracking.writer import RunWriter, first_line, shown

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

NOTE_TAG = "mlflow.note.content"  # what the UI shows as the description of a run


def keep_report(
    store: MLflow, folder: Path, name: str, files: Sequence[Path], tags: Mapping[str, str], note: str
) -> str:
    """Keep the files of an analysis; a later analysis into the same folder replaces them in the same run.

    The run is none of the study's cells: it has neither parameters nor metrics, and its tag ``kind`` says what it is.

    Args:
        store: Where it is kept.
        folder: Of the analysis.
        name: Of the run.
        files: Files and directories in the folder.
        tags: Short texts the run can be found by.
        note: What the UI shows as the description of the run, in Markdown.

    Returns:
        The run's id.

    Raises:
        ValueError: The store failed.
    """
    client, experiment_id = store.open()
    from mlflow.exceptions import MlflowException

    try:
        run_id = _run_of(client, experiment_id, str(folder.resolve()), name)
        try:
            writer = RunWriter(client, run_id)
            writer.tags({**tags, NOTE_TAG: note})
            writer.files(files)
            _delete_others(client, run_id, store.tracking_uri, {str(path) for path in _below(folder, files)})
        except BaseException:
            with suppress(MlflowException):
                client.set_terminated(run_id, "FAILED")
            raise
        client.set_terminated(run_id, "FINISHED")
    except MlflowException as error:
        raise ValueError(
            f"tracking.uri ({shown(store.tracking_uri)}) failed: {first_line(error)}; the report is in {folder}"
        ) from error
    return run_id


def _run_of(client: MlflowClient, experiment_id: str, folder: str, name: str) -> str:
    """The run of the analyses into a folder, made first where there is none."""
    quoted = folder.replace("'", "\\'")
    wanted = f"tags.{FOLDER_TAG} = '{quoted}' and tags.{KIND_TAG} = '{REPORT}'"
    found = client.search_runs([experiment_id], wanted, max_results=1)
    if not found:
        tags = {FOLDER_TAG: folder, KIND_TAG: REPORT}
        return str(client.create_run(experiment_id, run_name=name, tags=tags).info.run_id)
    run_id = str(found[0].info.run_id)
    client.update_run(run_id, status="RUNNING", name=name)
    return run_id


def _below(folder: Path, files: Sequence[Path]) -> Iterator[Path]:
    """Every file of an analysis, relative to its folder."""
    for path in files:
        for file in path.rglob("*") if path.is_dir() else (path,):
            yield file.relative_to(folder)


def _delete_others(client: MlflowClient, run_id: str, uri: str, kept: set[str]) -> None:
    """Delete what an earlier analysis left and this one did not write."""
    from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

    others = set(_artifacts(client, run_id)) - kept
    if others:
        repository = get_artifact_repository(client.get_run(run_id).info.artifact_uri, tracking_uri=uri)
        for path in others:
            repository.delete_artifacts(path)


def _artifacts(client: MlflowClient, run_id: str, below: str | None = None) -> Iterator[str]:
    for entry in client.list_artifacts(run_id, below):
        if entry.is_dir:
            yield from _artifacts(client, run_id, entry.path)
        else:
            yield entry.path
