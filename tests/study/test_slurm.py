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
    "training.batch_size=32",
    "training.patience=100",
    "sampling.n_chains=20",
    "sampling.chain_length=500",
    "kinetics.n_resamples=20",
    "kinetics.n_lags=3",
    "baselines=none",
    "tracking=files",
    "model=slow",
]
SLURM = ["hydra/launcher=slurm", "hydra.launcher.pool.timeout_min=60", "hydra.launcher.pool.poll_s=0.5"]
LENGTHS = "training.max_epochs=10,11,12"  # in all much longer than the 30 s between Slurm's looks at time limits
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


def said(ended):
    assert ended.code == 0, ended.err
    return ended.out


def until(condition, seconds=300):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"waited {seconds} s for {condition.__name__}"
        time.sleep(0.2)


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
def test_cancelled_requeued_out_of_time_and_left_alone_by_its_launcher(slurm, mdlm, tmp_path):
    """Each of three cells is stopped in its own way, and ends with the numbers of one that was not."""
    # A warning that comes while Python starts would be lost: the time limit is lowered when all are training.
    words = ["run", *CELLS, *SLURM, LENGTHS, "hydra.launcher.pool.signal_delay_s=59"]
    launcher = start(tmp_path, *words)

    def all_are_training():
        cells = cells_of(tmp_path / "outputs")
        return len(cells) == 3 and all(map(is_training, cells))

    until(all_are_training)
    launcher.kill()
    launcher.wait()
    cancelled, requeued, out_of_time = cells = cells_of(tmp_path / "outputs")
    jobs = queue.jobs()
    assert {state(cell, jobs).name for cell in cells} == {"running"}
    late = job_of(out_of_time, jobs).id
    subprocess.run(["scancel", job_of(cancelled, jobs).id], check=True)
    subprocess.run(["scontrol", "requeue", job_of(requeued, jobs).id], check=True)
    subprocess.run(["scontrol", "update", f"JobId={late}", "TimeLimit=1"], check=True)

    def it_has_stopped():
        return state(cancelled, queue.jobs()).name == "interrupted"

    until(it_has_stopped)
    assert "1 interrupted" in said(mdlm("study", "status", "outputs/study/on_slurm", cwd=tmp_path))

    launcher = start(tmp_path, *words)

    def it_was_warned():
        return "back into the queue (1 of 50 times)" in (out_of_time / "log.txt").read_text()

    def it_has_time_again():  # which Slurm refuses while the job is ending
        return not subprocess.run(["scontrol", "update", f"JobId={late}", "TimeLimit=60"], check=False).returncode

    until(it_was_warned)
    until(it_has_time_again)
    (tmp_path / "fast").touch()
    undisturbed = tmp_path / "undisturbed"
    undisturbed.mkdir()
    said(mdlm("train", "-m", *CELLS, LENGTHS, "model.pause=0", cwd=undisturbed))
    assert launcher.wait(300) == 0, (tmp_path / "launcher.log").read_text()
    assert [state(cell).name for cell in cells] == ["done"] * 3
    assert submissions(tmp_path) == 2  # the array, and the cancelled one again
    alone = sorted(path.parent for path in undisturbed.rglob("metrics.json"))
    assert [numbers(cell) for cell in cells] == [numbers(folder) for folder in alone]
    records = [json.loads((cell / "tracking.json").read_text()) for cell in cells]
    assert {record["status"] for record in records} == {"FINISHED"}
    assert min(record["attempt"] for record in records) >= 2

    said(mdlm("study", *words, cwd=tmp_path))
    assert submissions(tmp_path) == 2
    until(lambda: not queue.jobs())


@pytest.mark.slurm
def test_a_script_needs_no_launcher_and_goes_on_after_a_warning(slurm, mdlm, tmp_path):
    words = ["submit", *CELLS, *SLURM, "script=array.sh", "seed=0,1", "training.max_epochs=3"]
    shown = said(mdlm("study", *words, cwd=tmp_path))
    assert "2 cells in array.sh.cells beside it; submit it with: sbatch array.sh" in shown
    subprocess.run(["sbatch", "array.sh"], check=True, cwd=tmp_path, capture_output=True)
    warned, left_alone = cells = cells_of(tmp_path / "outputs")
    until(lambda: all(map(is_training, cells)))
    batch = next(job.id for key, job in queue.jobs().items() if key.startswith("array/1"))
    subprocess.run(["scancel", "--batch", "--signal=USR2", batch], check=True)
    (tmp_path / "fast").touch()

    def both_are_done():
        return all(state(cell).name == "done" for cell in cells)

    until(both_are_done)
    attempts = [json.loads((cell / "tracking.json").read_text())["attempt"] for cell in cells]
    assert dict(zip((warned, left_alone), attempts, strict=True)) == {warned: 2, left_alone: 1}


@pytest.mark.slurm
def test_nothing_is_submitted_twice_but_a_failed_cell_that_is_to_be_retried(slurm, mdlm, tmp_path):
    """Two jobs have four cells; the first of each job fails until there is a file."""
    missing = tmp_path / "missing"
    words = [*CELLS, *SLURM, "seed=0,1", f"model.needs={missing},''", "training.max_epochs=1", "model.pause=0"]
    words += ["hydra.launcher.pool.cells_per_job=2", "hydra.launcher.pool.mem_gb=0.5"]
    held = "hydra.launcher.pool.options=[hold,'comment=of_a_test']"  # until they are released
    assert "4 cells submitted" in said(mdlm("study", "submit", *words, held, cwd=tmp_path))
    assert "0 cells submitted, 4 are queued or running" in said(mdlm("study", "submit", *words, cwd=tmp_path))
    assert "4 queued" in said(mdlm("study", "status", "outputs/study/on_slurm", cwd=tmp_path))
    for job in queue.jobs().values():
        subprocess.run(["scontrol", "release", job.id], check=True)
    cells = sorted(path.parent for path in tmp_path.rglob("cell.json"))

    def all_have_ended():
        return {state(cell).name for cell in cells} == {"failed", "done"}

    until(all_have_ended)
    failed = [cell for cell in cells if state(cell).name == "failed"]
    assert [state(cell).note for cell in failed] == [f"{missing}: No such file or directory"] * 2
    first = {cell: json.loads((cell / "job.json").read_text())["key"] for cell in cells}
    assert len(set(first.values())) == 2
    assert "nothing to do" in said(mdlm("study", "submit", *words, cwd=tmp_path))

    missing.touch()
    assert "on_slurm: 4 done" in said(mdlm("study", "run", *words, "study.retry=failed", cwd=tmp_path))
    again = {cell: json.loads((cell / "job.json").read_text())["key"] for cell in cells}
    assert [cell for cell in cells if again[cell] != first[cell]] == failed
    assert submissions(tmp_path) == 2


@pytest.mark.slurm
def test_what_sbatch_refuses_is_said_in_one_line_and_forgotten(slurm, mdlm, tmp_path):
    words = ["submit", *CELLS, *SLURM, "hydra.launcher.pool.partition=nowhere"]
    ended = mdlm("study", *words, cwd=tmp_path)
    assert ended.code == 1
    error = ended.err.splitlines()[-1]  # before it sbatch speaks itself
    assert error.startswith("mdlm: error: sbatch refused the jobs: ")
    assert "nvalid partition" in error
    (cell,) = cells_of(tmp_path / "outputs")
    assert state(cell).name == "new"


@pytest.mark.slow
def test_a_cell_that_is_stopped_says_so_by_its_exit_code(mdlm, tmp_path, monkeypatch):
    """What any other scheduler's script goes by; no Slurm is needed."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    said(mdlm("study", "submit", *CELLS, "script=array.sh", "training.max_epochs=2", cwd=tmp_path))
    (cell,) = cells_of(tmp_path / "outputs")
    process = start(tmp_path, "cell", str(cell))
    until(lambda: is_training(cell))
    process.send_signal(signal.SIGUSR2)
    assert process.wait(30) == 75
    assert state(cell).name == "interrupted"
    assert json.loads((cell / "tracking.json").read_text())["status"] == "KILLED"
    assert "stopped by SIGUSR2; the same command goes on" in (tmp_path / "launcher.log").read_text()
    (tmp_path / "fast").touch()
    assert start(tmp_path, "cell", str(cell)).wait(300) == 0
    assert state(cell).name == "done"
