"""`mdlm` as its users call it: in this process where that is the same, in one of its own where it is not."""

import contextlib
import importlib.util
import io
import logging
import os
import shutil
import sqlite3
import subprocess
import sys
import warnings
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

import numpy as np
import pytest

from mdlm import fingerprint
from mdlm.cli import main


def pytest_runtest_setup(item):
    if item.get_closest_marker("bfloat16"):
        import torch

        from mdlm.model.base import can_bfloat16

        if not can_bfloat16(torch.device("cpu")):
            pytest.skip("this processor cannot compute in bfloat16")


collect_ignore = ["conftest.py"]  # no doctests here, and pytest cannot tell files of one name apart

TINY = [
    "system=chain",
    "system.n_trajectories=10",
    "system.n_frames=2000",
    "training.max_epochs=1",
    "sampling.n_chains=20",
    "sampling.chain_length=500",
    "kinetics.n_resamples=20",
    "kinetics.n_lags=3",
    "baselines=none",
]
ROOT = Path(__file__).parent.parent
UNSET = ("MDLM_CACHE_DIR", "MDLM_MLFLOW_DIR", "MDLM_DEBUG", "MLFLOW_TRACKING_URI")


@pytest.fixture(autouse=True)
def _one_thread():
    """The models of the tests are tiny, and threads that wait for each other cost more than they share."""
    torch = sys.modules.get("torch")  # a test that does without it must not wait for it
    if torch is None:
        yield
        return
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def edited(monkeypatch):
    """Makes a module look as if a line had been added to it."""
    original = fingerprint.read_code

    def edit(name):
        changed = Path(importlib.util.find_spec(name).origin)

        def read_code(file):
            return original(file) + ("\nADDED = 1\n" if file == changed else "")

        forget()
        monkeypatch.setattr(fingerprint, "read_code", read_code)

    def forget():
        fingerprint.code_version.cache_clear()
        fingerprint.module_code.cache_clear()

    yield edit
    monkeypatch.undo()
    forget()


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def error(self):
        """The one line that says what is wrong."""
        lines = self.err.strip().splitlines()
        assert len(lines) == 1, self.err
        assert lines[0].startswith("mdlm: error: ")
        return lines[0].removeprefix("mdlm: error: ")


def _call(*words, cwd):
    """Run a command in this process and leave the process as it was."""
    out, err = io.StringIO(), io.StringIO()
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    environment = {name: value for name, value in os.environ.items() if name not in UNSET}
    with (
        mock.patch.dict(os.environ, environment, clear=True),
        mock.patch.object(sys, "argv", list(sys.argv)),
        mock.patch.object(sys, "path", list(sys.path)),
        contextlib.chdir(cwd),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
        warnings.catch_warnings(),
    ):
        warnings.filterwarnings("ignore", module=r"(?!mdlm)")  # other people's warnings are not ours to mend
        try:
            main([str(word) for word in words])
            code = 0
        except SystemExit as end:
            code = end.code
        finally:
            for handler in set(root.handlers) - set(handlers):
                handler.close()
            root.handlers[:] = handlers
            root.setLevel(level)
    return Ended(code, out.getvalue(), err.getvalue())


def _environment():
    return {name: value for name, value in os.environ.items() if name not in UNSET}


def _process(*words, cwd, code=None):
    """Run a command, or some Python, in a process of its own."""
    command = [sys.executable, *(["-c", code] if code else ["-m", "mdlm"]), *map(str, words)]
    ended = subprocess.run(command, cwd=cwd, env=_environment(), capture_output=True, text=True, timeout=300)
    return Ended(ended.returncode, ended.stdout, ended.stderr)


def _start(*words, cwd, stdout=subprocess.PIPE):
    """Start a command and leave it running."""
    command = [sys.executable, "-m", "mdlm", *map(str, words)]
    return subprocess.Popen(command, cwd=cwd, env=_environment(), stdout=stdout, stderr=subprocess.PIPE, text=True)


@pytest.fixture(scope="session")
def shared_data():
    """Folder of real trajectories, which are too large for the repository; its README says what they are."""
    beside = [folder / "shared" / "data" for folder in (ROOT.parent, ROOT.parent.parent)]
    given = os.environ.get("MDLM_TEST_DATA")
    for folder in [Path(given)] if given else beside:
        if folder.is_dir():
            return folder
    pytest.skip("real trajectories are not here: set MDLM_TEST_DATA to their folder, or put it at ../shared/data")


@pytest.fixture(scope="session")
def mdlm():
    return _call


@pytest.fixture(scope="session")
def mdlm_process():
    return _process


@pytest.fixture(scope="session")
def mdlm_start():
    return _start


@pytest.fixture(scope="session")
def tiny():
    """Settings of a run of about a second."""
    return list(TINY)


@pytest.fixture(scope="session")
def finished(tmp_path_factory):
    """A folder in which one tiny run was made, written to MLflow: ``run`` and ``outputs``; with what it printed."""
    folder: Path = tmp_path_factory.mktemp("finished")
    ended = _call("train", *TINY, "hydra.run.dir=run", cwd=folder)
    assert ended.code == 0, ended.err
    return folder, ended


@pytest.fixture
def tracked(finished, tmp_path):
    """A copy of the finished run and its store, to go on with; the store's absolute paths lead into the copy."""
    folder = shutil.copytree(finished[0], tmp_path / "copy")
    with contextlib.closing(sqlite3.connect(folder / "outputs" / "mlflow" / "mlflow.db")) as database, database:
        for table, column in (("experiments", "artifact_location"), ("runs", "artifact_uri")):
            moved = f"UPDATE {table} SET {column} = replace({column}, ?, ?)"
            database.execute(moved, (str(finished[0]), str(folder)))
    return folder


@pytest.fixture(scope="session")
def mlflow_store(finished):
    """Where that run is written down; opening a store of its own costs a test several seconds."""
    return finished[0] / "outputs" / "mlflow"


@pytest.fixture
def holes(tmp_path):
    """A user's system whose third trajectory holds a NaN."""
    conf = tmp_path / "holes_conf"
    (conf / "system").mkdir(parents=True)
    (conf / "system" / "holes.yaml").write_text(
        "# a system with a hole\n_target_: holes_of_a_test.Holes\nlag_time: 10\nwells: {x: [-1.0, 1.0]}\n"
    )
    (conf / "holes_of_a_test.py").write_text(
        "from dataclasses import dataclass\n"
        "import numpy as np\n"
        "from mdlm.system.base import System\n"
        "from mdlm.trajectory import Header, Trajectory\n"
        "@dataclass(frozen=True, kw_only=True)\n"
        "class Holes(System):\n"
        "    @property\n"
        "    def header(self):\n"
        "        return Header(('x',), (2000,) * 10, 1.0, 'ps')\n"
        "    def trajectories(self, progress=None):\n"
        "        pieces = tuple(np.zeros((2000, 1), np.float32) for _ in range(10))\n"
        "        pieces[3][7, 0] = np.nan\n"
        "        return Trajectory(pieces, 1.0, 'ps', columns=('x',))\n"
    )
    return conf


def draw_chain(transition_matrix, n_pieces, n_frames, seed):
    """Independent pieces of a Markov chain, started from its stationary distribution."""
    rng = np.random.default_rng(seed)
    cumulative = np.cumsum(transition_matrix, axis=1)
    cumulative[:, -1] = 1
    stationary = np.linalg.matrix_power(transition_matrix, 2**20)[0]
    states = np.empty((n_frames, n_pieces), dtype=np.int64)
    states[0] = rng.choice(len(stationary), size=n_pieces, p=stationary / stationary.sum())
    for frame in range(1, n_frames):
        draw = rng.random(n_pieces)
        states[frame] = (cumulative[states[frame - 1]] <= draw[:, None]).sum(axis=1)
    return tuple(np.ascontiguousarray(states.T))


@pytest.fixture(scope="session")
def sample_chain():
    return draw_chain


@pytest.fixture(scope="session")
def four_states():
    """Two fast pairs, {0, 1} and {2, 3}, with rare exchange: t2 = 1 / 0.004 frames to first order."""
    fast, slow = 0.1, 0.002
    stay = 1 - fast - slow
    return np.array([[stay, fast, slow, 0], [fast, stay, 0, slow], [slow, 0, stay, fast], [0, slow, fast, stay]])
