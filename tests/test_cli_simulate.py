"""`mdlm simulate`: trajectories into the cache, and nothing else."""

import os
import signal
import time

import pytest
from safetensors import safe_open

SMALL = [
    "system=alanine_dipeptide",
    "system.n_trajectories=4",
    "system.trajectory_length_ps=30",
    "system.segment_ps=2.5",
    "system.equilibration_ps=2",
    "system.n_processes=2",
    "system.platform=Reference",
]


def pieces_in(folder):
    (path,) = (folder / "outputs" / "cache").glob("*.safetensors")
    with safe_open(path, framework="np") as file:
        return [file.get_tensor(name).tobytes() for name in sorted(file.keys())]


def test_it_fills_the_cache_says_where_and_leaves_nothing_else(mdlm, tmp_path):
    ended = mdlm("simulate", "system=chain", "system.n_frames=100", cwd=tmp_path)
    assert ended.code == 0, ended.err
    first, second = ended.out.splitlines()
    assert first == "chain: 20 trajectories, 2000 reduced and 2,000 frames together"
    assert second == f"In the cache: {tmp_path / 'outputs' / 'cache'}"
    assert [path.name for path in tmp_path.iterdir()] == ["outputs"]
    assert [path.name for path in (tmp_path / "outputs").iterdir()] == ["cache"]


def test_train_finds_what_it_made(mdlm, tiny, tmp_path):
    assert mdlm("simulate", *tiny, cwd=tmp_path).code == 0
    (path,) = (tmp_path / "outputs" / "cache").glob("trajectories-chain-*.safetensors")
    before = path.stat().st_ino
    ended = mdlm("train", *tiny, "model=markov", "tracking=none", "hydra.run.dir=run", cwd=tmp_path)
    assert ended.code == 0, ended.err
    assert path.stat().st_ino == before
    assert len(list(path.parent.glob("trajectories-chain-*.safetensors"))) == 1


def test_several_systems_are_made_one_after_the_other(mdlm, tmp_path):
    ended = mdlm("simulate", "-m", "system=chain", "system.n_frames=50", "system.seed=0,1,-1", cwd=tmp_path)
    assert ended.code == 1
    assert "system.seed (-1) must not be negative" in ended.err
    assert len(list((tmp_path / "outputs" / "cache").glob("*.safetensors"))) == 2


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["sytem=chain"], "sytem is no field; did you mean system?"),
        (["system=chian"], "system (chian) is no option"),
        (["system=chain", "system.n_frames=0"], "system.n_frames (0) must be positive"),
        (["system=chain", "cache_dir=/proc/none"], "/proc/none"),
    ],
)
def test_mistakes_are_told_in_one_line(words, message, mdlm, tmp_path):
    ended = mdlm("simulate", *words, cwd=tmp_path)
    assert ended.code == 1
    assert message in ended.error
    assert list(tmp_path.iterdir()) == []


def test_help_says_what_it_is_for(mdlm, tmp_path):
    assert "Usage: mdlm simulate" in mdlm("simulate", "--help", cwd=tmp_path).out


def children_of(process):
    """Its processes, from /proc; empty where there is none."""
    tasks = f"/proc/{process}/task/{process}/children"
    if not os.path.exists(tasks):
        return []
    with open(tasks) as file:
        return [int(word) for word in file.read().split()]


def alive(process):
    try:
        with open(f"/proc/{process}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_killed_simulation_goes_on_with_the_same_bits(number, mdlm, mdlm_start, tmp_path):
    """Nothing of it lives on, and the next one makes only what is missing."""
    pytest.importorskip("openmm", reason="OpenMM is not installed: pip install 'mdlm-kinetics[simulate]'")
    killed, whole = tmp_path / "killed", tmp_path / "whole"
    killed.mkdir(), whole.mkdir()
    simulating = mdlm_start("simulate", *SMALL, cwd=killed)
    deadline = time.monotonic() + 60
    while len(list(killed.rglob("segment-*.npz"))) < 6 and time.monotonic() < deadline:
        time.sleep(0.02)
    workers = children_of(simulating.pid)
    simulating.send_signal(number)
    simulating.communicate(timeout=30)
    assert 6 <= len(list(killed.rglob("segment-*.npz"))) < 48
    assert list((killed / "outputs" / "cache").glob("*.safetensors")) == []
    while any(map(alive, workers)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(map(alive, workers))
    for folder in (whole, killed):
        ended = mdlm("simulate", *SMALL, cwd=folder)
        assert ended.code == 0, ended.err
    assert pieces_in(killed) == pieces_in(whole)
    assert list(tmp_path.rglob("segment-*.npz")) == []
    assert len(list(killed.rglob("trajectory-*.xtc"))) == 4
