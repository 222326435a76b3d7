"""`mdlm train` on anyone's own data, from the command line to the verdict."""

import json
import shutil

import numpy as np
import pytest
from safetensors import safe_open

SMALL = [
    "tracking=none",
    "model=markov",
    "sampling.n_chains=20",
    "sampling.chain_length=500",
    "kinetics.n_resamples=20",
    "kinetics.n_lags=3",
    "hydra.run.dir=run",
]


def metrics_of(folder):
    return json.loads((folder / "run" / "metrics.json").read_text())


def nothing_is_left_of(folder):
    """No result, no cache file, nothing half-written."""
    files = [path for path in folder.rglob("*") if path.is_file() and "run" in path.relative_to(folder).parts]
    cached = list(folder.rglob("*.safetensors*"))
    return not [path for path in files if path.suffix in (".json", ".npz", ".png")] and not cached


@pytest.fixture
def chain(tmp_path):
    """Two states with hops of 0.02 and 0.05 per frame as a text file: t2 = -1 / ln 0.93 = 13.8 frames."""
    rng = np.random.default_rng(0)
    states = [0]
    for draw in rng.random(20_000):
        states.append(states[-1] if draw > (0.02, 0.05)[states[-1]] else 1 - states[-1])
    (tmp_path / "chain.txt").write_text("\n".join(map(str, states)))
    return tmp_path


STATES = ["system=states", "system.path=chain.txt", "system.frame_time=0.5", "system.time_unit=ns"]


def test_states_in_a_text_file_are_judged_in_their_unit(mdlm, chain):
    ended = mdlm("train", *STATES, *SMALL, "system.lag_time=1", cwd=chain)
    assert ended.code == 0, ended.err
    assert ended.err == ""
    assert ended.out.startswith("Slow kinetics at lag 1 ns")
    assert metrics_of(chain)["t2_reference_ns"] == pytest.approx(0.5 * -1 / np.log(0.93), rel=0.1)


def test_gaps_become_boundaries_and_single_frames_are_told(mdlm, chain):
    lines = (chain / "chain.txt").read_text().split("\n")
    lines[9000] = lines[9002] = lines[15000] = "-1"
    (chain / "chain.txt").write_text("\n".join(lines))
    ended = mdlm("train", *STATES, *SMALL, "system.lag_time=1", cwd=chain)
    assert ended.code == 0, ended.err
    assert ended.err == "WARNING: system.path: 1 of 4 unbroken sequences are a single frame and are left out\n"
    (cached,) = (chain / "outputs" / "cache").glob("trajectories-states-*.safetensors")
    with safe_open(cached, framework="np") as file:
        assert [len(file.get_tensor(name)) for name in sorted(file.keys())] == [9000, 5997, 5000]


def test_a_file_that_changed_is_read_anew(mdlm, chain):
    words = ["train", *STATES, *SMALL, "system.lag_time=1"]
    assert mdlm(*words, cwd=chain).code == 0
    before = metrics_of(chain)["t2_reference_ns"]
    (chain / "chain.txt").write_text((chain / "chain.txt").read_text() + 2000 * "\n0")
    refused = mdlm(*words, cwd=chain)  # its model was trained on what was there before
    assert refused.code == 1
    assert "belongs to another configuration (data was" in refused.error
    shutil.rmtree(chain / "run")
    assert mdlm(*words, cwd=chain).code == 0
    assert metrics_of(chain)["t2_reference_ns"] != before
    assert len(list((chain / "outputs" / "cache").glob("trajectories-states-*.safetensors"))) == 2


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["system=states"], "system.path, frame_time, time_unit are missing: give path=FILE (or a pattern, or a list)"),
        (["system=arrays"], "system.path, frame_time, time_unit are missing: give path=FILE (or a pattern, or a list)"),
        (["system=files"], "system.topology, path are missing: give topology=FILE.pdb, path=FILE.xtc"),
        (STATES[:3], "system.time_unit is missing: give time_unit=UNIT of every time, such as ps"),
        ([*STATES, "system.path=nope*.txt"], "system.path (nope*.txt) matches no file; looked in /"),
        ([*STATES, "system.path=word.txt"], "system.path: word.txt, line 2: 'folded' is no whole number; give one"),
        ([*STATES, "system.frame_time=0"], "system.frame_time (0.0) must be positive and finite"),
        ([*STATES, "system.pth=a.txt"], "system.pth"),
    ],
)
def test_what_is_missing_or_wrong_is_said_in_one_line_and_nothing_is_left(mdlm, chain, words, message):
    (chain / "word.txt").write_text("0\nfolded\n")
    ended = mdlm("train", *words, *SMALL, cwd=chain)
    assert ended.code == 1
    assert ended.error.startswith(message)
    assert nothing_is_left_of(chain)


def test_values_that_are_no_numbers_leave_nothing(mdlm, tmp_path):
    values = np.random.default_rng(0).normal(size=(2000, 2))
    values[1234, 1] = np.nan
    np.save(tmp_path / "a.npy", values)
    own = ["system=arrays", "system.path=a.npy", "system.frame_time=1", "system.time_unit=ps"]
    ended = mdlm("train", *own, *SMALL, cwd=tmp_path)
    assert ended.code == 1
    assert ended.error == "system.path: a.npy holds nan at frame 1234, column f2; every value must be finite"
    assert nothing_is_left_of(tmp_path)


FEW = ["macrostates.partition.micro.n_states=30"]  # of 100 microstates


@pytest.mark.slow
@pytest.mark.parametrize(
    "partition",
    [["features=torsions", "partition.micro.n_states=30"], ["partition=periodic", "partition.n_bins=6"]],
    ids=["torsions", "periodic"],
)
def test_the_alanine_arrays_go_in_with_one_command(mdlm, tmp_path, shared_data, partition):
    """A tenth of each trajectory, or the clustering would take the longest."""
    with np.load(shared_data / "alanine_dipeptide" / "alanine-dipeptide-3x250ns-backbone-dihedrals.npz") as file:
        np.savez(tmp_path / "angles.npz", *(file[name][:25_000] for name in file.files))
    own = ["system=arrays", "system.path=angles.npz", "system.frame_time=1", "system.time_unit=ps"]
    own += ["system.columns=[phi,psi]", "macrostates=pcca_torsions"]
    ended = mdlm("train", *own, *partition, *FEW, *SMALL, cwd=tmp_path)
    assert ended.code == 0, ended.err
    assert ended.out.startswith("Slow kinetics at lag 10 ps")
    assert 500 < metrics_of(tmp_path)["t2_reference_ps"] < 3000  # 1438 in the whole set


@pytest.mark.slow
def test_the_pentapeptide_goes_in_with_one_command(mdlm, tmp_path, shared_data):
    folder = shared_data / "pentapeptide"
    for number in range(10):
        shutil.copy(folder / f"pentapeptide-0{number}-500ns-impl-solv.xtc", tmp_path)
    own = ["system=files", f"system.topology={folder}/pentapeptide-impl-solv.pdb", "system.path='*.xtc'"]
    own += ["system.time_unit=ns", "system.lag_time=2", "partition.micro.n_states=30"]
    ended = mdlm("train", *own, *FEW, *SMALL, cwd=tmp_path)
    assert ended.code == 0, ended.err
    assert ended.err == ""
    assert ended.out.startswith("Slow kinetics at lag 2 ns")
    assert 3 < metrics_of(tmp_path)["t2_reference_ns"] < 15
