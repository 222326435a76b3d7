"""The pool of processes: every cell once, whatever dies."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mdlm.cores import available_cores
from mdlm.study import local
from mdlm.study.folder import state
from mdlm.study.local import Local

WORKER = """
import json, os, signal, sys, time
from pathlib import Path
for line in sys.stdin:
    folder = Path(line.strip())
    (folder / "starts").open("a").write("x")
    starts = len((folder / "starts").read_text())
    what = folder.name.partition("-")[0]
    if what == "dies" and starts == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    if what == "doomed":
        os.kill(os.getpid(), signal.SIGKILL)
    if what == "busy" and starts == 1:
        print(json.dumps({"busy": True}), flush=True)
        continue
    if what == "slow":
        time.sleep(1.0)
    (folder / "threads").write_text(os.environ["OMP_NUM_THREADS"])
    print(json.dumps({"error": "it failed" if what == "fails" else None}), flush=True)
"""


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Runs folders whose names say what becomes of them, with a worker that costs no imports."""
    script = tmp_path / "worker.py"
    script.write_text(WORKER)
    start = subprocess.Popen
    monkeypatch.setattr(local.subprocess, "Popen", lambda command, **k: start([sys.executable, str(script)], **k))

    def of(pool, *names, keep_going=True):
        folders = [tmp_path / name for name in names]
        for folder in folders:
            folder.mkdir()
        ended, at_once = [], [0]
        pool.run(
            folders,
            keep_going,
            lambda folder, error: ended.append((folder.name, error)),
            lambda busy: at_once.append(len(busy)),
        )
        return dict(ended), max(at_once)

    return of


def test_every_cell_ends_once_and_no_more_run_at_once_than_asked_for(run, tmp_path):
    names = [f"slow-{number}" for number in range(4)] + ["fails-0", "good-0"]
    ended, at_once = run(Local(n_workers=2), *names)
    assert ended == {**dict.fromkeys(names, None), "fails-0": "it failed"}
    assert at_once == 2
    assert {(tmp_path / name / "starts").read_text() for name in names} == {"x"}


def test_a_cell_whose_process_died_is_tried_again_and_given_up_in_the_end(run, tmp_path):
    ended, _ = run(Local(n_workers=2, attempts=3), "dies-0", "doomed-0", "good-0")
    assert ended["dies-0"] is ended["good-0"] is None
    assert "died 3 times (SIGKILL" in ended["doomed-0"]
    assert (tmp_path / "doomed-0" / "starts").read_text() == "xxx"
    found = state(tmp_path / "doomed-0")
    assert found.name == "failed"
    assert "SIGKILL" in found.note


def test_a_cell_that_another_launcher_is_at_work_on_is_waited_for(run, tmp_path):
    ended, _ = run(Local(n_workers=1), "busy-0", "good-0")
    assert ended == {"busy-0": None, "good-0": None}
    assert (tmp_path / "busy-0" / "starts").read_text() == "xx"


def test_the_first_failure_stops_the_rest_where_that_is_asked_for(run, tmp_path):
    ended, _ = run(Local(n_workers=1), "fails-0", "good-0", "good-1", keep_going=False)
    assert ended == {"fails-0": "it failed"}
    assert not (tmp_path / "good-1" / "starts").exists()


def test_cores_are_shared_out(run, tmp_path):
    run(Local(n_workers=1), "good-0")
    assert (tmp_path / "good-0" / "threads").read_text() == str(available_cores())
    run(Local(n_workers=2, threads_per_worker=3), "good-1")
    assert (tmp_path / "good-1" / "threads").read_text() == "3"


def test_gpus_are_shared_out_before_any_is_used_twice(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,5")
    given = Local(jobs_per_gpu=2).environments(n_cells=10)
    assert [environment["CUDA_VISIBLE_DEVICES"] for environment in given] == ["4", "5", "4", "5"]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert all("CUDA_VISIBLE_DEVICES" not in environment for environment in Local().environments(3))


@pytest.mark.parametrize("field", ["n_workers", "threads_per_worker", "jobs_per_gpu", "attempts"])
def test_counts_below_one_are_refused(field):
    with pytest.raises(ValueError, match=field):
        Local(**{field: 0})


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="needs /proc to look at a process that is not a child")
def test_workers_end_with_a_launcher_that_is_killed(tmp_path):
    """Their standard input ends, and they stop as after Ctrl-C."""
    code = (
        "import subprocess, sys, time; "
        "p = subprocess.Popen([sys.executable, '-m', 'mdlm.cli_worker'], stdin=subprocess.PIPE, "
        "start_new_session=True); print(p.pid, flush=True); time.sleep(60)"
    )
    launcher = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    worker = int(launcher.stdout.readline())
    time.sleep(1.0)
    launcher.kill()
    launcher.communicate()
    until = time.monotonic() + 30
    while time.monotonic() < until:
        try:
            if Path(f"/proc/{worker}/stat").read_text().split()[2] == "Z":
                break
        except FileNotFoundError:
            break
        time.sleep(0.1)
    else:
        os.kill(worker, signal.SIGKILL)
        pytest.fail("the worker outlived its launcher")
