"""A study on a real Slurm of one node: jobs cancelled, requeued and out of time, and a launcher that dies."""

import getpass
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from mdlm.study import queue
from mdlm.study.folder import job_of, state

HERE = Path(__file__).parent / "slurm"
ROOT = Path(__file__).parents[2]
NEEDED = ("slurmctld", "slurmd", "sbatch", "squeue", "scontrol", "srun", "munged")
CELLS = [
    f"--config-dir={HERE / 'conf'}",
    "study.name=on_slurm",
    "system=chain",
    "system.n_trajectories=10",
    "system.n_frames=2000",
    "training.batch_size=8",
    "training.patience=100",
    "sampling.n_chains=20",
    "sampling.chain_length=500",
    "kinetics.n_resamples=20",
    "kinetics.n_lags=3",
    "baselines=none",
    "tracking=files",
    "model=slow",
]
SLURM = ["hydra.launcher.pool.timeout_min=1", "hydra.launcher.pool.signal_delay_s=5"]
LENGTHS = "training.max_epochs=5,6,13"
OF_THE_CLOCK = ("seconds", "per_second")


@pytest.fixture(scope="module")
def cluster():
    """The SLURM_CONF of a running cluster."""
    pytest.importorskip("submitit", reason="submitit is missing: pip install 'mdlm-kinetics[cluster]'")
    path = f"{os.environ['PATH']}:/usr/sbin"
    missing = [name for name in NEEDED if shutil.which(name, path=path) is None]
    if missing or getpass.getuser() != "root":
        pytest.skip("needs root and Debian's slurmctld slurmd slurm-client munge; missing: " + ", ".join(missing))
    with tempfile.TemporaryDirectory() as folder:  # not pytest's own, which munge's user cannot enter
        ports = []
        for _ in range(2):
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", 0))
                ports.append(str(probe.getsockname()[1]))
        Path(folder).chmod(0o755)
        try:
            subprocess.run([HERE / "up.sh", folder, *ports], check=True, stdout=subprocess.DEVNULL)
            yield f"{folder}/slurm.conf"
        finally:
            subprocess.run([HERE / "down.sh", folder], check=True)


@pytest.fixture
def slurm(cluster, monkeypatch):
    monkeypatch.setenv("SLURM_CONF", cluster)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))


def start(folder, *words):
    """An `mdlm study` of its own, its words kept in a log."""
    with (folder / "launcher.log").open("a") as log:
        command = [sys.executable, "-m", "mdlm", "study", *words]
        return subprocess.Popen(command, cwd=folder, stdout=log, stderr=log)


def finish(folder, *words):
    process = start(folder, *words)
    assert process.wait(240) == 0, (folder / "launcher.log").read_text()
    return (folder / "launcher.log").read_text()


def until(condition, seconds=60):
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end, f"waited {seconds} s for {condition.__name__}"
        time.sleep(0.5)
    return found


def cells_of(folder):
    """The folders of a study's cells in the order of their lengths and seeds."""
    found = []
    for path in folder.rglob("cell.json"):
        config = json.loads(path.read_text())["config"]
        found.append((config["training"]["max_epochs"], config["seed"], path.parent))
    return [cell for *_, cell in sorted(found)]


def numbers(cell):
    metrics = json.loads((cell / "metrics.json").read_text())
    return {name: value for name, value in metrics.items() if not name.endswith(OF_THE_CLOCK)}


def is_training(cell):
    return (cell / "checkpoint" / "last.safetensors").exists()


def submissions(folder):
    return len(list(folder.rglob("*_submission.sh")))


@pytest.mark.slurm
def test_cancelled_requeued_timed_out_and_left_alone_by_its_launcher(slurm, tmp_path):
    """The last of the cells sleeps longer than the time limit: it cannot end but by going on where it was stopped."""
    words = ["run", *CELLS, "hydra/launcher=slurm", *SLURM, "hydra.launcher.pool.poll_s=1"]
    words += [LENGTHS]
    launcher = start(tmp_path, *words)

    def all_are_training():
        cells = cells_of(tmp_path / "outputs")
        return len(cells) == 3 and all(map(is_training, cells))

    until(all_are_training)
    launcher.kill()
    launcher.wait()
    cancelled, requeued, timed_out = cells = cells_of(tmp_path / "outputs")
    jobs = queue.jobs()
    assert {state(cell, jobs).name for cell in cells} == {"running"}
    subprocess.run(["scancel", job_of(cancelled, jobs).id], check=True)
    subprocess.run(["scontrol", "requeue", job_of(requeued, jobs).id], check=True)

    def cancelled_is_gone():
        return state(cancelled, queue.jobs()).name == "interrupted"

    until(cancelled_is_gone)
    log = finish(tmp_path, "status", "outputs/study/on_slurm")
    assert "1 interrupted" in log
    assert "1 queued" in log

    launcher = start(tmp_path, *words)
    undisturbed = tmp_path / "undisturbed"
    undisturbed.mkdir()
    finish(undisturbed, "run", *CELLS, LENGTHS, "model.pause=0")
    assert launcher.wait(240) == 0, (tmp_path / "launcher.log").read_text()
    assert [state(cell).name for cell in cells] == ["done"] * 3
    assert submissions(tmp_path) == 2  # the array, and the cancelled one again
    assert "back into the queue (1 of 50 times)" in (timed_out / "log.txt").read_text()
    assert [numbers(cell) for cell in cells] == list(map(numbers, cells_of(undisturbed)))
    records = [json.loads((cell / "tracking.json").read_text()) for cell in cells]
    assert {record["status"] for record in records} == {"FINISHED"}
    assert min(record["attempt"] for record in records) >= 2

    finish(tmp_path, *words)
    assert submissions(tmp_path) == 2
    assert queue.jobs() == {}


@pytest.mark.slurm
def test_a_script_needs_no_launcher_and_goes_on_after_a_warning(slurm, tmp_path):
    words = ["submit", *CELLS, "script=array.sh", "seed=0,1", "training.max_epochs=3", "hydra/launcher=slurm", *SLURM]
    assert "2 cells in array.sh.cells beside it; submit it with: sbatch array.sh" in finish(tmp_path, *words)
    subprocess.run(["sbatch", "array.sh"], check=True, cwd=tmp_path, capture_output=True)
    warned, left_alone = cells = cells_of(tmp_path / "outputs")

    def both_are_training():
        return all(map(is_training, cells))

    until(both_are_training)
    batch = next(job.id for key, job in queue.jobs().items() if key.startswith("array/1"))
    subprocess.run(["scancel", "--batch", "--signal=USR2", batch], check=True)

    def both_are_done():
        return all(state(cell).name == "done" for cell in cells)

    until(both_are_done, 120)
    attempts = [json.loads((cell / "tracking.json").read_text())["attempt"] for cell in cells]
    assert dict(zip((warned, left_alone), attempts, strict=True)) == {warned: 2, left_alone: 1}


@pytest.mark.slurm
def test_submit_returns_at_once_and_submits_nothing_twice(slurm, tmp_path):
    words = ["submit", *CELLS, *SLURM, "seed=0,1,2", "training.max_epochs=1", "model=markov"]
    words += ["hydra.launcher.pool.cells_per_job=2", "hydra.launcher.pool.mem_gb=0.5"]
    words += ["hydra.launcher.pool.options=[hold,'comment=of_a_test']"]  # until they are released
    assert "3 cells submitted" in finish(tmp_path, *words)
    assert "0 cells submitted, 3 are queued or running already" in finish(tmp_path, *words)
    for job in queue.jobs().values():
        subprocess.run(["scontrol", "release", job.id], check=True)
    cells = cells_of(tmp_path / "outputs")

    def all_are_done():
        return all(state(cell).name == "done" for cell in cells)

    until(all_are_done)
    until(lambda: not queue.jobs())
    assert submissions(tmp_path) == 1
    assert len({json.loads((cell / "job.json").read_text())["key"] for cell in cells}) == 2


@pytest.mark.slurm
def test_what_sbatch_refuses_is_said_in_one_line_and_forgotten(slurm, tmp_path):
    words = ["submit", *CELLS, *SLURM, "model=markov", "hydra.launcher.pool.partition=nowhere"]
    process = start(tmp_path, *words)
    assert process.wait(60) == 1
    error = (tmp_path / "launcher.log").read_text().splitlines()[-1]
    assert error.startswith("mdlm: error: sbatch refused the jobs: ")
    assert "nvalid partition" in error
    (cell,) = cells_of(tmp_path / "outputs")
    assert state(cell).name == "new"


@pytest.mark.slow
def test_a_cell_that_is_stopped_says_so_by_its_exit_code(tmp_path, monkeypatch):
    """What any other scheduler's script goes by; no Slurm is needed."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    finish(tmp_path, "submit", *CELLS, "script=array.sh", "training.max_epochs=2")
    (cell,) = cells_of(tmp_path / "outputs")
    process = start(tmp_path, "cell", str(cell))

    def it_is_training():
        return is_training(cell)

    until(it_is_training)
    process.send_signal(signal.SIGUSR2)
    assert process.wait(30) == 75
    assert state(cell).name == "interrupted"
    assert json.loads((cell / "tracking.json").read_text())["status"] == "KILLED"
    assert "stopped by SIGUSR2; the same command goes on" in finish(tmp_path, "cell", str(cell))
    assert state(cell).name == "done"
