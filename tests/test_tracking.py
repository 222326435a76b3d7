"""What reaches the MLflow store, and how a run's end is told there."""

import json
import math
import multiprocessing
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from mdlm.build import flat
from mdlm.tracking import MLflow, NoTracking


def client_of(store):
    from mlflow.tracking import MlflowClient

    return MlflowClient(f"sqlite:///{store / 'mlflow.db'}")


def runs_of(store, experiment):
    client = client_of(store)
    return client.search_runs([client.get_experiment_by_name(experiment).experiment_id])


@pytest.fixture
def tracking(mlflow_store, request):
    """An experiment of this test's own, in the store that is there already."""
    return MLflow(None, mlflow_store, request.node.name)


@pytest.fixture(scope="module")
def run(finished, mlflow_store):
    (only,) = runs_of(mlflow_store, "mdlm")
    return only


def test_every_resolved_value_is_a_parameter(run, finished):
    config = yaml.safe_load((finished[0] / "run" / "config.yaml").read_text())
    assert run.data.params == {name: str(value) for name, value in flat(config).items()}
    assert run.data.params["kinetics.lag_time"] == "10"  # resolved, not ${system.lag_time}


def test_a_run_is_flat_named_and_carries_its_verdict(run, finished):
    tags = run.data.tags
    assert "mlflow.parentRunId" not in tags
    assert run.info.run_name == "lstm-seed0-stride1-labels-coordinates-chain"
    assert run.info.status == "FINISHED"
    assert tags["verdict"] == json.loads((finished[0] / "run" / "metrics.json").read_text())["verdict"]
    assert tags["run_folder"] == str(finished[0] / "run")
    assert {"mdlm", "python", "torch", "numpy"} <= set(tags)


def test_the_files_of_a_run_are_artifacts(run, finished, mlflow_store):
    client = client_of(mlflow_store)
    names = {entry.path for entry in client.list_artifacts(run.info.run_id)}
    texts = {"config.yaml", "metrics.json", "learning.json", "summary.txt", "report.html"}
    assert names == {*texts, "best.safetensors", "figures"}
    kept = Path(client.download_artifacts(run.info.run_id, "summary.txt")).read_text()
    table, _, _ = (finished[0] / "run" / "summary.txt").read_text().partition("Training:")
    assert kept.startswith(table)  # mlflow remembers where a run's files go, so copies of it may have judged it again


def test_the_training_curve_has_a_point_per_epoch(run, mlflow_store):
    (point,) = client_of(mlflow_store).get_metric_history(run.info.run_id, "validation_nll")
    assert point.step == 1


def test_the_levels_of_a_study_are_parameters_too(tracking, tmp_path):
    """MLflow's charts and its comparison of runs know no tags."""
    with tracking.run(tmp_path, "cell", {"seed": 0}, {"study": "s", "factor.model": "lstm"}):
        pass
    (written,) = runs_of(tracking.directory, tracking.experiment)
    assert written.data.params == {"seed": "0", "factor.model": "lstm"}
    assert written.data.tags["factor.model"] == "lstm"


def test_more_values_than_the_store_takes_at_once_arrive(tracking, tmp_path):
    values = {f"value_{number}": float(number) for number in range(1500)}
    parameters = {f"parameter_{number}": number for number in range(250)}
    with tracking.run(tmp_path, "many", parameters, {}) as tracker:
        tracker.metrics(values | {"nothing": math.nan, "endless": math.inf})
    (written,) = runs_of(tracking.directory, tracking.experiment)
    assert written.data.metrics == values
    assert len(written.data.params) == 250


def test_values_the_store_would_refuse_are_made_fit(tracking, tmp_path):
    """A long matrix, a set named with brackets, and a password that is nobody's business."""
    parameters = {
        "matrix": [0.25] * 5000,
        "kinetics.sets.folded(A)": 1,
        "tracking.uri": "postgresql://me:secret@host/db",
    }
    with tracking.run(tmp_path, "odd", parameters, {}):
        pass
    (written,) = runs_of(tracking.directory, tracking.experiment)
    assert len(written.data.params["matrix"]) == 6000
    assert written.data.params["kinetics.sets.folded_A_"] == "1"
    assert written.data.params["tracking.uri"] == "postgresql://me:***@host/db"


@pytest.mark.parametrize(
    ("error", "status"),
    [(FloatingPointError("the loss became nan"), "FAILED"), (KeyboardInterrupt(), "KILLED"), (SystemExit(1), "KILLED")],
    ids=["failure", "Ctrl-C", "terminated"],
)
def test_a_run_that_ends_early_says_how(error, status, tracking, tmp_path):
    with pytest.raises(type(error)), tracking.run(tmp_path, "early", {}, {}):
        raise error
    (written,) = runs_of(tracking.directory, tracking.experiment)
    assert written.info.status == status
    assert written.data.tags["error"].startswith(f"{type(error).__name__}: {error}")


def test_a_second_attempt_goes_on_with_the_same_run_and_clears_the_error(tracking, tmp_path):
    with pytest.raises(KeyboardInterrupt), tracking.run(tmp_path, "again", {"seed": 0}, {}):
        raise KeyboardInterrupt
    point = {"epoch": 1, "validation_nll": 0.5}
    for _ in range(2):
        with tracking.run(tmp_path, "again", {"seed": 0}, {}) as tracker:
            tracker.curve([point])
    (written,) = runs_of(tracking.directory, tracking.experiment)
    assert written.info.status == "FINISHED"
    assert "error" not in written.data.tags
    assert len(client_of(tracking.directory).get_metric_history(written.info.run_id, "validation_nll")) == 1


def test_other_parameters_in_the_same_folder_are_another_run(tracking, tmp_path):
    for seed in (0, 1):
        with tracking.run(tmp_path, "seeds", {"seed": seed}, {}):
            pass
    written = runs_of(tracking.directory, tracking.experiment)
    assert {run.data.params["seed"] for run in written} == {"0", "1"}


def test_a_run_deleted_in_the_store_is_written_anew(tracking, tmp_path):
    with tracking.run(tmp_path, "gone", {}, {}):
        pass
    (first,) = runs_of(tracking.directory, tracking.experiment)
    client_of(tracking.directory).delete_run(first.info.run_id)
    with tracking.run(tmp_path, "gone", {}, {}):
        pass
    (second,) = runs_of(tracking.directory, tracking.experiment)
    assert second.info.run_id != first.info.run_id


def test_a_deleted_experiment_is_named(tracking):
    client, experiment_id = tracking.open()
    client.delete_experiment(experiment_id)
    with pytest.raises(ValueError, match=r"tracking.experiment \(.*\) was deleted in MLflow; restore it"):
        tracking.open()


def test_a_store_that_fails_during_the_run_says_how_to_go_on(tracking, tmp_path):
    from mlflow.exceptions import MlflowException

    with pytest.raises(ValueError, match=r"hydra.run.dir=.* goes on there"), tracking.run(tmp_path, "x", {}, {}):
        raise MlflowException("the server went away")


def test_a_failing_run_of_the_command_line_is_failed_in_mlflow(mdlm, tiny, mlflow_store, tmp_path):
    words = ["train", *tiny, f"tracking.directory={mlflow_store}", "tracking.experiment=failing"]
    ended = mdlm(*words, "kinetics.sets={a: [0], b: [9]}", "hydra.run.dir=run", cwd=tmp_path)
    assert ended.code != 0
    assert "sets hold state 9" in ended.err.splitlines()[-1]
    (written,) = runs_of(mlflow_store, "failing")
    assert written.info.status == "FAILED"
    assert "sets hold state 9" in written.data.tags["error"]


@pytest.mark.slow
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_run_stopped_from_outside_is_killed_in_mlflow(number, code, mdlm_start, tiny, mlflow_store, tmp_path):
    experiment = f"stopped by {number.name}"
    words = ["train", *tiny, f"tracking.directory={mlflow_store}", f"tracking.experiment={experiment}"]
    process = mdlm_start(
        *words, "training.max_epochs=2000", "training.patience=2000", "hydra.run.dir=run", cwd=tmp_path
    )
    deadline = time.monotonic() + 120
    while not (tmp_path / "run/checkpoint/last.safetensors").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    assert process.returncode == code
    assert out == ""
    assert err.startswith("mdlm: error: ")
    assert len(err.splitlines()) == 1
    (written,) = runs_of(mlflow_store, experiment)
    assert written.info.status == "KILLED"


OPENS = "import sys, pathlib; from mdlm.tracking import MLflow; MLflow(None, pathlib.Path(sys.argv[1]), 'e').open()"


@pytest.mark.slow
def test_a_store_that_was_killed_while_it_was_made_is_made_anew(tmp_path):
    """Half of MLflow's tables are worse than none: every later start would end with an error."""
    unfinished = tmp_path / "mlflow.db.unfinished" / "mlflow.db"
    process = subprocess.Popen([sys.executable, "-c", OPENS, str(tmp_path)])
    while not (unfinished.exists() and unfinished.stat().st_size):
        assert process.poll() is None
        time.sleep(0.001)
    process.kill()
    process.wait()
    assert not (tmp_path / "mlflow.db").exists()
    client, experiment_id = MLflow(None, tmp_path, "e").open()
    assert client.get_experiment(experiment_id).name == "e"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["create.lock", "mlflow.db"]


def log_one_run(directory, number, barrier):
    """In a process of its own: open the store at the same moment as the others, and write."""
    barrier.wait(120)
    with MLflow(None, directory, "mdlm").run(directory / str(number), f"run {number}", {}, {}) as tracker:
        tracker.metrics({"number": float(number)})


@pytest.mark.slow
def test_eight_processes_open_a_fresh_store_at_once(tmp_path):
    context = multiprocessing.get_context("spawn")
    barrier = context.Barrier(8)
    for number in range(8):
        (tmp_path / str(number)).mkdir()
    processes = [context.Process(target=log_one_run, args=(tmp_path, number, barrier)) for number in range(8)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(300)
    assert [process.exitcode for process in processes] == [0] * 8
    written = runs_of(tmp_path, "mdlm")
    assert sorted(run.data.metrics["number"] for run in written) == list(range(8))


def test_no_tracking_writes_nothing(tmp_path):
    tracking = NoTracking()
    tracking.check()
    with tracking.run(tmp_path, "name", {"a": 1}, {"b": "2"}) as tracker:
        tracker.curve([{"epoch": 1, "loss": 0.1}])
        tracker.metrics({"x": 1.0})
        tracker.tags({"y": "z"})
        tracker.files([tmp_path])
    assert list(tmp_path.iterdir()) == []
