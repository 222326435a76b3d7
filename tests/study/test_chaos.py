"""A sweep whose workers and launcher are killed at random ends like one that was left alone."""

import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
KILLS = 20
SWEEP = [
    "hydra/launcher=local",
    "hydra.launcher.pool.n_workers=2",
    "hydra.launcher.pool.attempts=1000",
    "study.name=chaos",
    "system=chain",
    "system.n_trajectories=10",
    "system.n_frames=4000",
    "training.patience=50",
    "training.max_epochs=50",
    "sampling.n_chains=20",
    "sampling.chain_length=500",
    "kinetics.n_resamples=20",
    "kinetics.n_lags=3",
    "model=lstm,gru",
    "seed=0,1,2",
]
OF_THE_CLOCK = ("seconds", "per_second")


def start(folder):
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "mdlm", "train", "-m", *SWEEP]
    with (folder / "launcher.log").open("a") as log:
        return subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=log)


def workers(launcher):
    """Processes of the launcher."""
    children = Path(f"/proc/{launcher.pid}/task/{launcher.pid}/children")
    try:
        return [int(pid) for pid in children.read_text().split()]
    except (FileNotFoundError, ProcessLookupError):
        return []


def results(folder):
    """Every number of every cell that does not depend on the machine's speed."""
    found = {}
    for path in (folder / "outputs/study/chaos/cells").glob("*/metrics.json"):
        metrics = json.loads(path.read_text())
        found[path.parent.name] = {k: v for k, v in metrics.items() if not k.endswith(OF_THE_CLOCK)}
    return found


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="finds the workers through /proc")
def test_twenty_kills_change_nothing(tmp_path):
    calm, stormy = tmp_path / "calm", tmp_path / "stormy"
    for folder in (calm, stormy):
        folder.mkdir()
    assert start(calm).wait() == 0, (calm / "launcher.log").read_text()

    rng = random.Random(0)
    kills = launchers = 0
    launcher = start(stormy)
    while kills < KILLS:
        time.sleep(rng.uniform(1.0, 7.0))
        assert launcher.poll() is None, "the sweep ended before it was killed often enough"
        alive = workers(launcher)
        if rng.random() < 0.3 or not alive:
            os.kill(launcher.pid, signal.SIGKILL)
            launcher.wait()
            launchers += 1
            launcher = start(stormy)
        else:
            try:
                os.kill(rng.choice(alive), signal.SIGKILL)
            except ProcessLookupError:
                continue
        kills += 1
    assert launchers > 2
    assert launcher.wait() == 0, (stormy / "launcher.log").read_text()

    undisturbed = results(calm)
    assert len(undisturbed) == 6
    assert results(stormy) == undisturbed
    cells = stormy / "outputs/study/chaos/cells"
    assert sorted(path.parent.name for path in cells.glob("*/done.json")) == sorted(undisturbed)
    left = [path for path in (stormy / "outputs").rglob("*") if ".tmp" in path.name or path.name == "progress.json"]
    assert left == []
    with sqlite3.connect(stormy / "outputs/mlflow/mlflow.db") as database:
        assert database.execute("pragma integrity_check").fetchall() == [("ok",)]
        assert database.execute("select status from runs").fetchall() == [("FINISHED",)] * 6
        tagged = database.execute("select value from tags where key = 'cell'").fetchall()
    assert sorted(value for (value,) in tagged) == sorted(undisturbed)

    before = {path: path.stat().st_mtime_ns for path in cells.glob("*/metrics.json")}
    assert start(stormy).wait() == 0
    assert {path: path.stat().st_mtime_ns for path in cells.glob("*/metrics.json")} == before
