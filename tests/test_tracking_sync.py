"""Runs written into files, and what `mdlm study sync` makes of them."""

import json
import shutil

import pytest
from test_tracking import client_of, runs_of

from mdlm.tracking import Files, MLflow
from mdlm.tracking import sync as module
from mdlm.tracking.files import RECORD, Record
from mdlm.tracking.sync import sync

CURVE = [{"epoch": 1, "validation_nll": 0.5}, {"epoch": 2, "validation_nll": 0.25}]


@pytest.fixture
def store(mlflow_store, request):
    """An experiment of this test's own, in the store that is there already."""
    return MLflow(None, mlflow_store, request.node.name)


def make(folder, **metrics):
    """A finished run."""
    folder.mkdir(exist_ok=True)
    (folder / "summary.txt").write_text("all is well")
    with Files().run(folder, folder.name, {"seed": 0, "list": [1, 2]}, {"cell": folder.name}) as tracker:
        tracker.curve(CURVE)
        tracker.metrics({"t2_ps": 3.0, "nothing": float("nan")} | metrics)
        tracker.tags({"verdict": "good"})
        tracker.files([folder / "summary.txt"])


def everything(store):
    """All that the store holds of the experiment, by the runs' names."""
    client = client_of(store.directory)
    found = {}
    for run in runs_of(store.directory, store.experiment):
        values = {
            n: [(m.step, m.value) for m in client.get_metric_history(run.info.run_id, n)] for n in run.data.metrics
        }
        files = {entry.path for entry in client.list_artifacts(run.info.run_id)}
        found[run.info.run_name] = (run.info.status, run.data.params, values, files, run.data.tags.get("verdict"))
    return found


WHOLE = (
    "FINISHED",
    {"seed": "0", "list": "[1, 2]"},
    {"validation_nll": [(1, 0.5), (2, 0.25)], "t2_ps": [(0, 3.0)]},
    {"summary.txt"},
    "good",
)


def test_a_run_arrives_whole_and_once(store, tmp_path):
    make(tmp_path / "a")
    make(tmp_path / "b")
    assert sync(tmp_path, store) == {"new": 2}
    assert everything(store) == {"a": WHOLE, "b": WHOLE}
    assert sync(tmp_path, store) == {"unchanged": 2}
    assert everything(store) == {"a": WHOLE, "b": WHOLE}


def test_a_copy_of_the_folder_is_the_same_run(store, tmp_path):
    make(tmp_path / "a")
    assert sync(tmp_path, store) == {"new": 1}
    shutil.copytree(tmp_path, tmp_path.with_name("copied"))
    assert sync(tmp_path.with_name("copied"), store) == {"unchanged": 1}


@pytest.mark.parametrize("after", ["log_parameters", "metrics", "files"])
def test_an_import_that_was_cut_off_is_completed(store, tmp_path, monkeypatch, after):
    make(tmp_path / "a")
    with monkeypatch.context() as patched:

        def cut_off(*_):
            raise KeyboardInterrupt

        owner = module if after == "log_parameters" else module.RunWriter
        original = getattr(owner, after)
        patched.setattr(owner, after, lambda *given: (original(*given), cut_off()))
        with pytest.raises(KeyboardInterrupt):
            sync(tmp_path, store)
    assert [run.info.status for run in runs_of(store.directory, store.experiment)] == ["RUNNING"]
    assert sync(tmp_path, store) == {"completed": 1}
    assert everything(store) == {"a": WHOLE}


def test_a_run_that_went_on_after_it_was_imported_is_completed(store, tmp_path):
    folder = tmp_path / "a"
    folder.mkdir()
    with pytest.raises(KeyboardInterrupt), Files().run(folder, "a", {"seed": 0, "list": [1, 2]}, {}):
        raise KeyboardInterrupt
    assert sync(tmp_path, store) == {"new": 1}
    (run,) = runs_of(store.directory, store.experiment)
    assert (run.info.status, run.data.tags["error"]) == ("KILLED", "KeyboardInterrupt: ")
    make(folder)
    assert sync(tmp_path, store) == {"completed": 1}
    assert everything(store) == {"a": WHOLE}
    (run,) = runs_of(store.directory, store.experiment)
    assert "error" not in run.data.tags
    assert run.data.tags["attempt"] == "2"


def test_a_process_that_was_killed_is_told_from_one_at_work(store, tmp_path):
    from filelock import FileLock

    make(tmp_path / "a")
    record = Record.read(tmp_path / "a")
    record.status = "RUNNING"
    record.write(tmp_path / "a")
    with FileLock(tmp_path / "a" / ".lock"):
        assert sync(tmp_path, store) == {"still running": 1}
    assert sync(tmp_path, store) == {"new": 1}
    assert everything(store)["a"][0] == "KILLED"


def test_other_parameters_in_the_same_folder_are_another_run(tmp_path):
    keys = set()
    for seed in (0, 0, 1):
        with Files().run(tmp_path, "a", {"seed": seed}, {}):
            pass
        keys.add(json.loads((tmp_path / RECORD).read_text())["key"])
    assert len(keys) == 2


def test_a_failure_is_written_down(tmp_path):
    with pytest.raises(ValueError, match="no"), Files().run(tmp_path, "a", {}, {}):
        raise ValueError("no")
    record = Record.read(tmp_path)
    assert (record.status, record.error) == ("FAILED", "ValueError: no")
    assert [path.name for path in tmp_path.iterdir()] == [RECORD]


def test_a_whole_run_with_files_and_its_import(mdlm, tiny, tmp_path, mlflow_store, request):
    words = ["train", *tiny, "model=markov", "tracking=files", "hydra.run.dir=run"]
    assert mdlm(*words, cwd=tmp_path).code == 0
    name = request.node.name
    words = ["study", "sync", "run", f"tracking.directory={mlflow_store}", f"tracking.experiment={name}"]
    assert mdlm(*words, cwd=tmp_path).out == "1 new\n"
    assert mdlm(*words, cwd=tmp_path).out == "1 unchanged\n"
    (run,) = runs_of(mlflow_store, name)
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text())
    numbers = {name: value for name, value in metrics.items() if isinstance(value, int | float)}
    assert {name: run.data.metrics[name] for name in numbers} == numbers
    names = {entry.path for entry in client_of(mlflow_store).list_artifacts(run.info.run_id)}
    assert {"config.yaml", "metrics.json", "figures"} <= names


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "DIR () must be one directory; see `mdlm study sync --help`"),
        (["nowhere"], "directory (nowhere) does not exist; give one that holds the folders of runs"),
        (["."], "directory (.) holds no tracking.json; runs with tracking=files leave one"),
        ([".", "tracking.url=x"], "tracking.url is no field of mdlm study sync; did you mean tracking.uri?"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(mdlm, tmp_path, words, message):
    ended = mdlm("study", "sync", *words, cwd=tmp_path)
    assert (ended.code, ended.error) == (1, message)
