"""Eight processes at once on a real PostgreSQL, directly and through a tracking server: nothing is lost."""

import getpass
import glob
import multiprocessing
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from urllib.request import urlopen

import pytest

from mdlm.tracking import MLflow

pytestmark = [pytest.mark.postgres, pytest.mark.filterwarnings("ignore:.*noload")]  # of mlflow's tables
N_PROCESSES, N_RUNS, N_EPOCHS = 8, 3, 50


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture(scope="module")
def database():
    """The address of an empty database, whose server runs as the user postgres in a temporary folder."""
    pytest.importorskip("psycopg2", reason="psycopg2 is missing: pip install 'mdlm-kinetics[cluster]'")
    programs = sorted(glob.glob("/usr/lib/postgresql/*/bin"))
    if not programs or getpass.getuser() != "root":
        pytest.skip("needs root and Debian's package postgresql")
    with tempfile.TemporaryDirectory() as folder:  # not pytest's own, which the user postgres cannot enter
        shutil.chown(folder, "postgres", "postgres")
        port = free_port()

        def run(program, *words):
            command = ["runuser", "-u", "postgres", "--", f"{programs[-1]}/{program}", "-D", f"{folder}/data", *words]
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd="/")

        run("initdb", "--auth=trust", "--username=mdlm", "--no-sync")
        options = f"-c listen_addresses=127.0.0.1 -c port={port} -c unix_socket_directories={folder} -c fsync=off"
        run("pg_ctl", "start", "-w", "-l", f"{folder}/log", "-o", options)
        try:
            yield f"postgresql+psycopg2://mdlm@127.0.0.1:{port}/postgres"
        finally:
            run("pg_ctl", "stop", "-w", "-m", "fast")


@pytest.fixture(scope="module")
def served(database, tmp_path_factory):
    """The address of a tracking server on that database."""
    port = free_port()
    folder = tmp_path_factory.mktemp("server")
    command = [sys.executable, "-m", "mlflow", "server", "--backend-store-uri", database, "--workers", "2"]
    command += ["--artifacts-destination", str(folder), "--host", "127.0.0.1", "--port", str(port)]
    environment = os.environ | {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    with (folder / "log").open("w") as log:
        server = subprocess.Popen(command, start_new_session=True, env=environment, stdout=log, stderr=log, cwd=folder)
    try:
        until = time.monotonic() + 120
        while True:
            try:
                urlopen(f"http://127.0.0.1:{port}/health", timeout=2).close()
                break
            except OSError:
                assert server.poll() is None, (folder / "log").read_text()
                assert time.monotonic() < until, "the server did not answer for two minutes"
                time.sleep(0.5)
        yield f"http://127.0.0.1:{port}"
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        try:
            server.wait(3)
        except subprocess.TimeoutExpired:
            os.killpg(server.pid, signal.SIGKILL)
            server.wait()


@pytest.fixture(scope="module")
def processes():
    """Eight of them, which import mlflow once for all tests."""
    context = multiprocessing.get_context("spawn")
    barrier = context.Barrier(N_PROCESSES)
    with ProcessPoolExecutor(N_PROCESSES, context, initializer=take, initargs=(barrier,)) as pool:
        yield pool


def take(barrier):
    global together
    together = barrier


def log_runs(store, directory, number):
    """In a process of its own: begin at the same moment as the others, and write some runs."""
    together.wait(120)
    for run in range(N_RUNS):
        folder = Path(directory, f"{number}-{run}")
        folder.mkdir()
        (folder / "summary.txt").write_text(folder.name)
        with store.run(folder, folder.name, {"seed": run}, {"cell": folder.name}) as tracker:
            tracker.curve([{"epoch": n, "validation_nll": 1 / n, "train_nll": 2 / n} for n in range(1, N_EPOCHS + 1)])
            tracker.metrics({"number": float(number), "run": float(run)})
            tracker.files([folder / "summary.txt"])


def check_that_nothing_is_lost(store, folder, processes):
    arguments = [[store] * N_PROCESSES, [str(folder)] * N_PROCESSES, range(N_PROCESSES)]
    list(processes.map(log_runs, *arguments, timeout=240))
    client, experiment_id = store.open()
    runs = client.search_runs([experiment_id])
    wanted = {f"{number}-{run}" for number in range(N_PROCESSES) for run in range(N_RUNS)}
    assert sorted(run.data.tags["cell"] for run in runs) == sorted(wanted)
    assert {run.info.status for run in runs} == {"FINISHED"}
    for run in runs:
        name = f"{run.data.metrics['number']:.0f}-{run.data.metrics['run']:.0f}"
        assert (run.info.run_name, run.data.params["seed"]) == (name, name[-1])
        curve = client.get_metric_history(run.info.run_id, "train_nll")
        assert sorted((point.step, point.value) for point in curve) == [(n, 2 / n) for n in range(1, N_EPOCHS + 1)]
        assert Path(client.download_artifacts(run.info.run_id, "summary.txt", str(folder))).read_text() == name


def test_eight_processes_write_to_postgresql_at_once(database, processes, tmp_path):
    """The database is empty, so they also race for its migration."""
    check_that_nothing_is_lost(MLflow(database, tmp_path / "mlflow", "direct"), tmp_path, processes)


def test_eight_processes_write_to_a_tracking_server_at_once(served, processes, tmp_path):
    check_that_nothing_is_lost(MLflow(served, tmp_path / "mlflow", "served"), tmp_path, processes)


def test_eight_processes_write_to_one_sqlite_store_at_once(processes, tmp_path):
    check_that_nothing_is_lost(MLflow(None, tmp_path / "mlflow", "sqlite"), tmp_path, processes)
