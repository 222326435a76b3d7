"""What a launcher makes of the queue, without one: a scripted queue in place of `squeue` and `sbatch`."""

import subprocess
from dataclasses import replace

import pytest

from mdlm.study import queue, watch
from mdlm.study.array_script import write_script
from mdlm.study.folder import DONE, FAILED, JOB, state, write_json
from mdlm.study.queue import Job
from mdlm.study.slurm import Slurm

POOL = Slurm(timeout_min=60, poll_s=0.001)
WARNED = "trap 'exit 75' USR2; sleep 0.2; kill -USR2 $PPID; for n in {1..200}; do sleep 0.05; done"


class Cluster:
    """Takes jobs and lets each do what the name of its cell says, one step per look at the queue."""

    def __init__(self):
        self.queue, self.sent, self.cancelled, self.looks = {}, [], [], 0

    def send(self, folders):
        for folder in folders:
            self.sent.append(folder.name)
            key = queue.key(folder.name, len(self.sent))
            write_json(folder / JOB, {"key": key})
            self.queue[key] = (Job(str(len(self.sent)), "PENDING"), folder)

    def jobs(self):
        self.looks += 1
        if self.looks % 3 == 0:
            raise ValueError("squeue failed: the controller is away")
        before = {key: job for key, (job, _) in self.queue.items()}
        for key, (_, folder) in list(self.queue.items()):
            if folder.name.startswith("waits"):
                continue
            del self.queue[key]
            if folder.name.startswith("done"):
                write_json(folder / DONE, {"note": "good", "seconds": 1.0})
            if folder.name.startswith("fails"):
                write_json(folder / FAILED, {"note": "it failed", "seconds": 1.0})
        return before


@pytest.fixture
def cluster(monkeypatch):
    cluster = Cluster()
    monkeypatch.setattr(watch, "SETTLE_S", 0.0)
    monkeypatch.setattr(Slurm, "send", lambda _, folders: cluster.send(folders))
    monkeypatch.setattr(queue, "jobs", cluster.jobs)
    monkeypatch.setattr(queue, "cancel", cluster.cancelled.extend)
    return cluster


def run(tmp_path, *names, keep_going=True):
    folders = [tmp_path / name for name in names]
    for folder in folders:
        folder.mkdir(exist_ok=True)
    ended = {}
    POOL.run(folders, keep_going, lambda folder, error: ended.update({folder.name: error}), lambda running: None)
    return ended


def test_every_cell_is_submitted_once_and_waited_for(cluster, tmp_path):
    assert run(tmp_path, "done-0", "fails-0", "done-1") == {"done-0": None, "fails-0": "it failed", "done-1": None}
    assert sorted(cluster.sent) == ["done-0", "done-1", "fails-0"]


def test_a_cell_whose_jobs_vanish_is_given_up_after_some(cluster, tmp_path):
    ended = run(tmp_path, "vanishes", "done-0")
    assert ended["vanishes"].startswith("its job vanished 3 times")
    assert cluster.sent.count("vanishes") == 3
    assert state(tmp_path / "vanishes").name == "failed"


def test_jobs_of_an_earlier_launcher_are_waited_for_and_not_submitted_again(cluster, tmp_path):
    (tmp_path / "done-0").mkdir()
    cluster.send([tmp_path / "done-0"])
    assert run(tmp_path, "done-0") == {"done-0": None}
    assert cluster.sent == ["done-0"]


def test_the_first_failure_cancels_the_rest_where_that_is_asked_for(cluster, tmp_path):
    assert run(tmp_path, "waits", "fails-0", keep_going=False) == {"fails-0": "it failed"}
    assert cluster.cancelled == ["1"]


def test_a_job_in_the_queue_says_how_its_cell_stands(tmp_path):
    write_json(tmp_path / JOB, {"key": "sweep-1a2b/3"})
    assert state(tmp_path).name == "interrupted"  # its job is gone
    assert state(tmp_path, {"sweep-1a2b/3": Job("7_3", "PENDING")}).note == "job 7_3 pending"
    write_json(tmp_path / "progress.json", {"note": "training 5 %"})
    assert state(tmp_path, {"sweep-1a2b/3": Job("7_3", "PENDING")}).name == "queued"
    assert state(tmp_path, {"sweep-1a2b/3": Job("7_3", "RUNNING")}).name == "running"


def test_squeue_is_read(monkeypatch):
    monkeypatch.setattr(queue.shutil, "which", lambda name: name)
    monkeypatch.setattr(queue, "_output", lambda command: "7_3|sweep-1a2b|3|PENDING\n9|sweep-3c4d|N/A|COMPLETING\n")
    assert queue.jobs() == {"sweep-1a2b/3": Job("7_3", "PENDING"), "sweep-3c4d/0": Job("9", "COMPLETING")}
    monkeypatch.setattr(queue.shutil, "which", lambda name: None)
    assert queue.jobs() == {}


def test_the_script_asks_for_what_was_configured(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    pool = replace(
        POOL,
        mem_gb=2.5,
        partition="gpu",
        gpus_per_node=1,
        setup=("module load cuda",),
        options=("--nice=5", "exclusive"),
    )
    write_script(pool, tmp_path / "it.sh", [tmp_path / "a", tmp_path / "b c"])
    lines = (tmp_path / "it.sh").read_text().splitlines()
    wanted = [
        "--array=1-2%256",
        "--signal=B:USR2@120",
        "--requeue",
        "--mem=2560M",
        "--partition=gpu",
        "--nice=5",
        "--exclusive",
    ]
    assert {f"#SBATCH {option}" for option in wanted} <= set(lines)
    assert lines.index("module load cuda") < lines.index("export OMP_NUM_THREADS=1")
    assert (tmp_path / "it.sh.cells").read_text() == f"{tmp_path}/a\n{tmp_path}/b c\n"


@pytest.mark.parametrize(
    ("cell", "code", "requeued"),
    [("exit 0", 0, ""), ("exit 1", 1, ""), ("kill -KILL $$", 137, ""), (WARNED, 0, "requeue 7_1\n")],
    ids=["done", "failed", "killed", "warned"],
)
def test_a_task_of_the_script_ends_as_its_cell_does_or_goes_back_into_the_queue(cell, code, requeued, tmp_path):
    """In place of Python a shell plays the cell; the queue is a file."""
    for name, does in (("python", cell), ("scontrol", f'echo "$@" >> {tmp_path}/queue')):
        (tmp_path / name).write_text(f"#!/bin/bash\n{does}\n")
        (tmp_path / name).chmod(0o755)
    write_script(replace(POOL, python=str(tmp_path / "python")), tmp_path / "it.sh", [tmp_path / "a"])
    environment = {"PATH": f"{tmp_path}:/usr/bin:/bin", "SLURM_ARRAY_JOB_ID": "7", "SLURM_ARRAY_TASK_ID": "1"}
    ended = subprocess.run(["bash", tmp_path / "it.sh"], env=environment, timeout=20, capture_output=True, check=False)
    assert ended.returncode == code
    queue = tmp_path / "queue"
    assert (queue.read_text() if queue.exists() else "") == requeued


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"timeout_min": 0}, "timeout_min"),
        ({"timeout_min": 2}, r"signal_delay_s \(120\) must be below the time limit, 120 s"),
        ({"attempts": 0}, "attempts"),
        ({"requeues": -1}, "requeues"),
        ({"poll_s": 0.0}, "poll_s"),
    ],
)
def test_what_cannot_be_is_refused(fields, message):
    with pytest.raises(ValueError, match=message):
        Slurm(**{"timeout_min": 60} | fields)


def test_without_slurm_the_launcher_says_what_to_do(mdlm, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", "")
    ended = mdlm("study", "run", "experiment=demo", "hydra/launcher=slurm", cwd=tmp_path)
    assert ended.error.startswith("hydra/launcher (slurm) needs sbatch, which is not on the PATH")
    ended = mdlm("study", "submit", "experiment=demo", "hydra/launcher=local", cwd=tmp_path)
    assert "submit needs hydra/launcher=slurm" in ended.error
