"""Training as a process of its own: stopped from outside, and on a machine that lacks this and that."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest
from safetensors import safe_open

BARE = """
import os, sys
os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
from mdlm.cli import main
main(sys.argv[1:])
"""


def description_of(run):
    with safe_open(run / "checkpoint" / "last.safetensors", framework="np") as file:
        return json.loads(file.metadata()["description"])


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_run_stopped_within_its_first_epoch_is_saved_there_and_goes_on(number, mdlm, mdlm_start, tiny, tmp_path):
    """It does not finish the epoch first."""
    words = ["train", *tiny, "system.n_frames=100000", "tracking=none", "training.checkpoint_minutes=0.0001"]
    process = mdlm_start(*words, "hydra.run.dir=run", cwd=tmp_path)
    last = tmp_path / "run" / "checkpoint" / "last.safetensors"
    deadline = time.monotonic() + 120
    while not last.exists() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(number)
    process.communicate(timeout=60)
    assert process.returncode == 128 + number
    stopped = description_of(tmp_path / "run")
    assert stopped["history"] == []
    assert stopped["position"]["n_updates"] > 0
    ended = mdlm(*words, "hydra.run.dir=run", cwd=tmp_path)
    assert ended.code == 0, ended.err
    assert len(description_of(tmp_path / "run")["history"]) == 1


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="cores cannot be taken away here")
def test_without_a_compiler_without_numbas_threading_layer_and_on_one_core(tiny, tmp_path):
    environment = {name: value for name, value in os.environ.items() if name not in ("CC", "CXX", "OMP_NUM_THREADS")}
    environment |= {"PATH": str(tmp_path), "NUMBA_THREADING_LAYER": "tbb"}  # no program at all; no such library
    words = ["train", *tiny, "tracking=none", "hydra.run.dir=run"]
    command = [sys.executable, "-c", BARE, *words]
    ended = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300)
    assert ended.returncode == 0, ended.stderr
    assert (tmp_path / "run" / "metrics.json").exists()
