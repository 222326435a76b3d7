"""`mdlm sample`: more tokens from a finished run."""

import shutil

import numpy as np
import pytest

from mdlm.kinetics.counts import count_matrix

COMMON = ["macrostates=own", "model=markov", "tracking=none", "kinetics.n_resamples=20", "kinetics.n_lags=2"]
CHAINS = ["sampling.n_chains=6", "sampling.chain_length=700", "system.lag_time=5", "seed=3"]
HOPS = np.array([[0.95, 0.05], [0.1, 0.9]])


@pytest.fixture(scope="module")
def folder(tmp_path_factory, mdlm):
    """Finished runs on a user's own states, of tokens that are states and of tokens that are stays."""
    folder = tmp_path_factory.mktemp("sample")
    rng = np.random.default_rng(0)
    states = np.zeros((10, 2000), np.int64)
    for frame in range(1, 2000):
        states[:, frame] = rng.random(10) < HOPS[states[:, frame - 1], 1]
    np.save(folder / "data.npy", states)
    words = ["system=states", "system.path=data.npy", "system.frame_time=0.5", "system.time_unit=ns"]
    for name, more in (
        ("plain", ["stride=2"]),
        ("dwell", ["tokens=dwell"]),
        ("lstm", ["model=lstm", "model.hidden=8"]),
        ("anchored", ["model=lstm", "model.hidden=8", "model.anchor=markov"]),
    ):
        training = ["training.max_epochs=1", "training.context_length=50"] if "model=lstm" in more else []
        ended = mdlm("train", *words, *COMMON, *CHAINS, *more, *training, f"hydra.run.dir={name}", cwd=folder)
        assert ended.code == 0, ended.err
    return folder


@pytest.fixture
def sample(mdlm, folder):
    """Call `mdlm sample` there."""
    return lambda *words: mdlm("sample", *words, cwd=folder)


@pytest.mark.parametrize("run", ["plain", "lstm", "anchored"])
def test_the_runs_own_seed_gives_its_own_chains_bit_for_bit(run, sample, folder):
    ended = sample(f"run={run}", "seed=3", f"out={run}-again.npy")
    assert ended.code == 0, ended.err
    assert (folder / f"{run}-again.npy").read_bytes() == (folder / run / "chains.npy").read_bytes()


def test_the_runs_own_seed_gives_its_own_states_of_tokens_that_stand_for_several_frames(sample, folder):
    assert sample("run=dwell", "seed=3", "out=dwell-again.npz").code == 0
    with np.load(folder / "dwell-again.npz") as found, np.load(folder / "dwell" / "sampled.npz") as own:
        chains = np.split(own["decoded_states"], np.cumsum(own["decoded_lengths"])[:-1])
        assert len(found.files) == len(chains) == 6
        for name, chain in zip(found.files, chains, strict=True):
            np.testing.assert_array_equal(found[name], chain)
    assert not list(folder.glob("*tokens*"))


def test_more_chains_are_others_of_the_same_model(sample, folder):
    """Hops of the training data at a stride of two frames, within five standard errors."""
    ended = sample("run=plain", "n_chains=50", "chain_length=4000")
    assert ended.out.splitlines() == [
        "plain/sampled-seed4.npy",
        "to learn from it: mdlm train system=states system.path=plain/sampled-seed4.npy "
        "system.frame_time=1 system.time_unit=ns",
    ]
    chains = np.load(folder / "plain" / "sampled-seed4.npy")
    assert chains.shape == (50, 4000)
    assert not np.array_equal(chains[:6, :700], np.load(folder / "plain" / "chains.npy"))
    counts = count_matrix(chains, 2, lag=1)
    data = count_matrix(np.load(folder / "data.npy")[:, ::2], 2, lag=1)
    for row, expected in zip(counts, data, strict=True):
        hop = expected[1] / expected.sum()
        error = np.sqrt(hop * (1 - hop) * (1 / row.sum() + 1 / expected.sum()))
        assert row[1] / row.sum() == pytest.approx(hop, abs=5 * error)


def test_what_was_sampled_can_be_learned_from(sample, mdlm, folder, tmp_path):
    for suffix in ("npy", "npz"):
        out = tmp_path / f"more.{suffix}"
        ended = sample("run=plain", "n_chains=10", "chain_length=800", f"out={out}")
        assert ended.code == 0, ended.err
        overrides = ended.out.splitlines()[1].partition("mdlm train ")[2].split()
        ended = mdlm("train", *overrides, *COMMON, *CHAINS, f"hydra.run.dir={suffix}", cwd=tmp_path)
        assert ended.code == 0, ended.err
    with np.load(tmp_path / "more.npz") as file:
        np.testing.assert_array_equal(np.stack([file[name] for name in file.files]), np.load(tmp_path / "more.npy"))


def test_without_the_data_the_runs_prompts_are_used_again(mdlm, folder, tmp_path, caplog):
    for name in ("plain", "dwell"):
        shutil.copytree(folder / name, tmp_path / name)
    ended = mdlm("sample", "run=plain", "seed=3", "out=again.npy", cwd=tmp_path)
    assert ended.code == 0, ended.err
    assert "the run's own prompts are used again" in caplog.text
    np.testing.assert_array_equal(np.load(tmp_path / "again.npy"), np.load(folder / "plain" / "chains.npy"))
    assert mdlm("sample", "run=plain", "n_chains=40", cwd=tmp_path).code == 0
    assert np.load(tmp_path / "plain" / "sampled-seed4.npy").shape == (40, 700)
    error = mdlm("sample", "run=dwell", cwd=tmp_path).error
    assert "run: the data that say what its tokens stand for are gone" in error


@pytest.mark.parametrize(
    ("words", "named"),
    [
        ([], "run is missing"),
        (["run=nowhere"], "run (nowhere) must be the folder of a finished run; it has no config.yaml"),
        (["run=plain", "n_chains=0"], "n_chains (0) must be at least 1"),
        (["run=plain", "chain_length=many"], "chain_length (many) must be a whole number"),
        (["run=plain", "seed=-1"], "seed (-1) must be at least 0"),
        (["run=plain", "out=more.csv"], "out (more.csv) must end in .npy or .npz"),
        (["run=plain", "out=nowhere/more.npy"], "out (nowhere/more.npy) must lie in an existing directory"),
        (["run=plain", "out=plain/chains.npy"], "out (plain/chains.npy) has the name of a run's own file"),
        (["run=dwell", "out=more.npy"], "must end in .npz: a token of this run stands for several frames"),
        (["run=plain", "chains=5"], "chains is no field of mdlm sample; did you mean n_chains?"),
    ],
)
def test_a_mistake_is_one_line_and_writes_nothing(words, named, sample, folder):
    before = set(folder.rglob("*"))
    ended = sample(*words)
    assert ended.code != 0
    assert ended.out == ""
    assert named in ended.error
    assert set(folder.rglob("*")) <= before


def test_the_help_teaches(mdlm, tmp_path):
    text = mdlm("sample", "--help", cwd=tmp_path).out
    for field in ("run=", "n_chains=", "chain_length=", "seed=", "out=", "cache_dir="):
        assert f"  {field}" in text
