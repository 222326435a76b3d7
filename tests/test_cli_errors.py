"""Every mistake gets one line that names what was given and what is allowed, before anything is computed."""

from pathlib import Path

import pytest

FOUR = [
    "system=four_state_overdamped",
    "system.n_walkers=10",
    "system.n_steps=2_000_000",
    "kinetics.lag_time=10",
    "features=coordinates",
]
RESULTS = ("metrics.json", "config.yaml", "sampled.npz", "*.safetensors", "*.db", "*.tmp")


def nothing_was_written(folder: Path):
    left = [str(file) for pattern in RESULTS for file in folder.rglob(pattern) if ".hydra" not in file.parts]
    return left == []


MISTAKES = {
    "unknown option of a group": (["model=foo"], ["model (foo)", "lstm, lstm_plain"]),
    "unknown group": (["foo=bar"], ["foo", "system", "stride"]),
    "unknown field": (["strid=2"], ["strid is no field", "did you mean stride?"]),
    "unknown field of a group": (["training.max_epoch=3"], ["training.max_epoch", "did you mean max_epochs?"]),
    "field of another option": (["model=markov", "model.hidden=8"], ["model.hidden", "it belongs to model=lstm"]),
    "unknown field of hydra": (["hydra.run.dirr=x"], ["hydra.run.dirr", "--cfg hydra"]),
    "unknown launcher": (["hydra/launcher=foo"], ["hydra/launcher (foo)", "basic"]),
    "added field": (["+foo=3"], ["foo is no option", "stride"]),
    "removed field": (["~seed"], ["seed is missing"]),
    "removed group": (["~model"], ["model is missing"]),
    "wrong type": (["model.hidden=many"], ["model.hidden ('many')", "integer"]),
    "broken number": (["stride=2.5"], ["stride (2.5)", "integer"]),
    "empty number": (["seed="], ["seed ('')", "integer"]),
    "group without option": (["model=null"], ["model (null)", "lstm, lstm_plain"]),
    "nothing before the equals sign": (["=3"], ["=3 names no field", "FIELD=VALUE"]),
    "no value": (["model"], ["'model' cannot be read", "FIELD=VALUE"]),
    "open bracket": (["seed=[1"], ["'seed=[1' cannot be read"]),
    "several values without -m": (["seed=1,2"], ["seed=1,2", "-m"]),
    "missing value": (["seed=???"], ["seed has no value"]),
    "broken reference": (["cache_dir=${nope}"], ["cache_dir", "'nope' not found"]),
    "unset environment variable": (["cache_dir=${oc.env:MDLM_NOT_SET}"], ["cache_dir", "MDLM_NOT_SET"]),
    "stride 0": (["stride=0"], ["stride (0)", "between 1 and 1999"]),
    "stride -1": (["stride=-1"], ["stride (-1)", "between 1 and 1999"]),
    "stride too long": (["stride=2000"], ["stride (2000)", "between 1 and 1999"]),
    "negative seed": (["seed=-1"], ["seed (-1)", "at least 0"]),
    "seed too large": (["seed=99999999999999999999"], ["seed (99999999999999999999)", "2^63"]),
    "negative system seed": (["system.seed=-1"], ["seed (-1)", "system"]),
    "windows longer than the data": (
        ["training.batching=windows", "training.context_length=3000"],
        ["training.context_length (3000)", "2000"],
    ),
    "context of one": (["training.context_length=1"], ["context_length (1)", "at least 2"]),
    "lag between frames": (["kinetics.lag_time=3.5"], ["kinetics.lag_time (3.5 reduced)", "multiple", "1 reduced"]),
    "lag between tokens": (["stride=3"], ["kinetics.lag_time (10 reduced)", "multiple", "3 reduced"]),
    "lag longer than the data": (["kinetics.lag_time=5000"], ["kinetics.lag_time (5000 reduced", "2000 tokens"]),
    "lag longer than the chains": (["sampling.chain_length=5"], ["kinetics.lag_time (10", "chain_length, 5"]),
    "one well": ([*FOUR, "partition=wells", "partition.centres={x:[1],y:[1]}"], ["centres (x: 1, y: 1)", "at least 2"]),
    "one bin": ([*FOUR, "partition=grid", "partition.n_bins=1"], ["n_bins (1)", "at least 2"]),
    "empty grid": ([*FOUR, "partition=grid", "partition.low=2", "partition.high=2"], ["high (2.0)", "low (2.0)"]),
    "grid upside down": ([*FOUR, "partition=grid", "partition.low=3", "partition.high=-3"], ["high (-3.0)", "exceed"]),
    "feature that is not there": (["features=x"], ["features", "'x'", "state"]),
    "no chains": (["sampling.n_chains=0"], ["n_chains (0)", "at least 1"]),
    "fractions that leave nothing": (["validation_fraction=0.6", "test_fraction=0.5"], ["1.1", "train on"]),
    "no such device": (["training.device=tpu9"], ["device (tpu9)", "cuda:N"]),
    "untrusted target": (["model._target_=os.system"], ["model._target_ (os.system)", "must lie in mdlm"]),
    "target that is no dataclass": (["model._target_=mdlm.cli.main"], ["model._target_", "dataclass"]),
    "target that is not there": (["model._target_=mdlm.model.lstm.LSTMs"], ["model._target_", "LSTMs"]),
    "folder below a file": (["hydra.run.dir=file/run"], ["file/run", "Not a directory"]),
    "cache below a file": (["cache_dir=file/cache"], ["cache_dir (file/cache)", "Not a directory"]),
    "store below a file": (
        ["tracking=mlflow", "tracking.directory=file/m"],
        ["tracking.directory (file/m)", "Not a dir"],
    ),
    "server that is not there": (
        ["tracking=mlflow", "tracking.uri=http://127.0.0.1:9"],
        ["tracking.uri (http://127.0.0.1:9)", "does not answer", "tracking=none"],
    ),
    "address that is none": (["tracking=mlflow", "tracking.uri=nonsense"], ["tracking.uri (nonsense)", "https://"]),
    "address of no store": (["tracking=mlflow", "tracking.uri=foo://bar"], ["tracking.uri (foo://bar)", "sqlite:///"]),
    "database that is not there": (
        ["tracking=mlflow", "tracking.uri=sqlite:///file/x.db"],
        ["tracking.uri (sqlite:///file/x.db)", "cannot be opened"],
    ),
    "experiment without a name": (["tracking=mlflow", "tracking.experiment=''"], ["experiment", "name"]),
    "unknown command-line option": (["--frobnicate"], ["--frobnicate", "--multirun"]),
    "misspelt command-line option": (["--multi-run"], ["--multi-run", "did you mean --multirun?"]),
    "field with dashes": (["--stride=2"], ["--stride=2", "without dashes: stride=2"]),
    "no configuration directory": (["--config-dir", "nowhere"], ["--config-dir (nowhere)", "existing directory"]),
    "file for a directory": (["--config-dir=file"], ["--config-dir (file)", "existing directory"]),
    "directory forgotten": (["--config-dir"], ["--config-dir needs a directory"]),
    "--cfg of nothing": (["--cfg", "jobs"], ["--cfg (jobs)", "job, hydra or all"]),
}


@pytest.mark.parametrize(("words", "named"), MISTAKES.values(), ids=MISTAKES.keys())
def test_a_mistake_gets_one_line_and_nothing_is_computed(words, named, mdlm, tiny, tmp_path):
    (tmp_path / "file").touch()
    if FOUR[0] in words:
        tiny = [word for word in tiny if not word.startswith("system")]
    ended = mdlm("train", *tiny, "tracking=none", *words, cwd=tmp_path)
    assert ended.code != 0
    assert ended.out == ""
    for name in named:
        assert name in ended.error
    assert nothing_was_written(tmp_path)


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["trian"], "did you mean train?"),
        (["--config-dir", "x", "train"], "'--config-dir' is no command of mdlm; there are train"),
        (["completion"], "bash, zsh, fish"),
        (["completion", "tcsh"], "bash, zsh, fish"),
        (["ui"], "holds no runs yet"),
        (["ui", "--port", "many"], "--port: invalid int value: 'many'"),
        (["ui", "--frobnicate"], "--frobnicate"),
        (["ui", "--uri", "http://127.0.0.1:9"], "does not answer"),
        (["ui", "--uri", "nonsense"], "must start with"),
    ],
)
def test_other_commands_say_in_one_line_what_is_wrong(words, named, mdlm, tmp_path):
    ended = mdlm(*words, cwd=tmp_path)
    assert ended.code != 0
    assert named in ended.error
    assert list(tmp_path.iterdir()) == []


def test_a_mistake_in_a_process_of_its_own_is_one_line_too(mdlm_process, tiny, tmp_path):
    ended = mdlm_process("train", *tiny, "tracking=none", "sampling.n_chains=0", cwd=tmp_path)
    assert ended.code == 1
    assert "n_chains (0) must be at least 1" in ended.error


def test_a_nan_in_a_trajectory_is_located_and_not_cached(mdlm, holes, tmp_path):
    words = ["train", "system=holes", "tracking=none", "features=coordinates", "--config-dir", holes]
    ended = mdlm(*words, "model=markov", "sampling.chain_length=100", cwd=tmp_path)
    assert ended.code != 0
    assert "trajectory 3 holds nan at frame 7, column x" in ended.error
    assert nothing_was_written(tmp_path)


def test_a_defect_is_shown_with_its_place_and_named_as_the_users_own(mdlm, holes, tmp_path):
    source = holes / "holes_of_a_test.py"
    (holes / "holes_of_another_test.py").write_text(source.read_text().replace("pieces[3][7, 0]", "nothing[3]"))
    option = holes / "system" / "holes.yaml"
    option.write_text(option.read_text().replace("holes_of_a_test", "holes_of_another_test"))
    ended = mdlm("train", "system=holes", "model=markov", "tracking=none", "--config-dir", holes, cwd=tmp_path)
    assert ended.code != 0
    assert "Traceback" in ended.err
    last = ended.err.strip().splitlines()[-1]
    assert "NameError is a defect in " in last
    assert "holes_of_another_test.py" in last


def test_a_damaged_cache_file_is_computed_again_with_a_warning(mdlm, tiny, tmp_path):
    words = ["train", *tiny, "model=markov", "tracking=none"]
    assert mdlm(*words, "hydra.run.dir=first", cwd=tmp_path).code == 0
    (cached,) = (tmp_path / "outputs" / "cache").glob("partition-*.safetensors")
    whole = cached.read_bytes()
    cached.write_bytes(whole[:-100] + bytes(100))
    ended = mdlm(*words, "hydra.run.dir=second", cwd=tmp_path)
    assert ended.code == 0
    assert "WARNING" in ended.err
    assert "is damaged" in ended.err
    assert cached.read_bytes()[-100:] == whole[-100:]
    assert mdlm(*words, "hydra.run.dir=third", cwd=tmp_path).err == ""


def test_one_bad_run_of_several_is_named_and_the_others_finish(mdlm, tiny, tmp_path):
    words = ["train", *tiny, "model=markov", "tracking=none", "hydra.sweep.dir=sweep"]
    ended = mdlm(*words, "-m", "stride=1,0,2", cwd=tmp_path)
    assert ended.code != 0
    lines = ended.err.strip().splitlines()
    assert lines[0].startswith("mdlm: error: run 1 (")
    assert "stride=0" in lines[0]
    assert "stride (0) must lie between 1 and 1999" in lines[0]
    assert lines[1] == "mdlm: error: 1 of the runs failed, see above; the others are finished"
    done = sorted(file.parent.name for file in (tmp_path / "sweep").glob("*/metrics.json"))
    assert done == ["0", "2"]
