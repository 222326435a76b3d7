"""A study's report in the MLflow store."""

from pathlib import Path

import pytest
from test_tracking import client_of, runs_of

from mdlm.tracking import MLflow
from mdlm.tracking.study_report import keep_report


@pytest.fixture
def store(mlflow_store, request):
    """An experiment of this test's own, in the store that is there already."""
    return MLflow(None, mlflow_store, request.node.name)


def analysed(folder, text, figures):
    """What an analysis leaves in a folder."""
    (folder / "figures").mkdir(parents=True, exist_ok=True)
    for old in (folder / "figures").iterdir():
        old.unlink()
    (folder / "report.html").write_text(text)
    for name in figures:
        (folder / "figures" / name).write_text(text)
    return [folder / "report.html", folder / "figures"]


def kept(store):
    """Name, status, tags and files with their text, of every run of the experiment."""
    client = client_of(store.directory)
    found = []
    for run in runs_of(store.directory, store.experiment):
        folder = Path(client.download_artifacts(run.info.run_id, ""))
        files = {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*") if path.is_file()}
        found.append((run, files))
    return found


def test_a_report_is_a_run_of_its_kind_without_parameters_or_metrics(store, tmp_path):
    files = analysed(tmp_path, "first", ["effects.svg", "grid.svg"])
    keep_report(store, tmp_path, "study report: demo", files, {"study": "demo", "claim.C2": "supported"}, "- stride")
    ((run, found),) = kept(store)
    assert (run.info.run_name, run.info.status) == ("study report: demo", "FINISHED")
    assert run.data.tags["kind"] == "study report"
    assert (run.data.tags["study"], run.data.tags["claim.C2"]) == ("demo", "supported")
    assert run.data.tags["mlflow.note.content"] == "- stride"
    assert "cell" not in run.data.tags
    assert not run.data.params
    assert not run.data.metrics
    assert found == dict.fromkeys(["report.html", "figures/effects.svg", "figures/grid.svg"], "first")


def test_another_analysis_into_the_folder_replaces_the_report_and_what_is_no_more(store, tmp_path):
    first = keep_report(store, tmp_path, "a", analysed(tmp_path, "first", ["effects.svg", "grid.svg"]), {}, "")
    again = keep_report(store, tmp_path, "a", analysed(tmp_path, "second", ["grid.svg"]), {}, "")
    other = keep_report(store, tmp_path / "b", "b", analysed(tmp_path / "b", "third", ["grid.svg"]), {}, "")
    assert again == first != other
    found = {run.info.run_name: files for run, files in kept(store)}
    assert found == {
        "a": {"report.html": "second", "figures/grid.svg": "second"},
        "b": {"report.html": "third", "figures/grid.svg": "third"},
    }


def test_a_store_that_fails_is_told_in_one_line_and_the_next_analysis_goes_on(store, tmp_path, monkeypatch):
    from mlflow.exceptions import MlflowException

    from mdlm.tracking import study_report

    files = analysed(tmp_path, "first", ["grid.svg"])
    with monkeypatch.context() as patched:

        def full(*_):
            raise MlflowException("the disk is full")

        patched.setattr(study_report.RunWriter, "files", full)
        with pytest.raises(ValueError, match=r"^tracking.uri \(sqlite.*\) failed: the disk is full; the report is in "):
            keep_report(store, tmp_path, "a", files, {}, "")
    (run,) = runs_of(store.directory, store.experiment)
    assert run.info.status == "FAILED"
    keep_report(store, tmp_path, "a", files, {}, "")
    ((run, found),) = kept(store)
    assert run.info.status == "FINISHED"
    assert len(found) == 2
