"""What `mdlm` prints about itself, and options of a user's own."""

import os
from pathlib import Path

import pytest
import yaml

from mdlm import __version__
from mdlm.cli import conf_directory

HEAVY = {"torch", "numpy", "hydra", "omegaconf", "mlflow", "pandas", "matplotlib", "deeptime", "numba", "pydantic"}
LOADED = "import sys; from mdlm.cli import main; main(sys.argv[1:]); print(*sys.modules, file=sys.stderr)"
OWN_PARTITION = """\
from dataclasses import dataclass
import numpy as np
from mdlm.partition.base import Discretiser, Partition

@dataclass(frozen=True)
class Halved(Discretiser):
    above: float
    def states(self, frames):
        return (frames[:, 0] > self.above).astype(np.int64)

@dataclass(frozen=True, kw_only=True)
class Halves(Partition):
    above: float
    def check(self, header):
        pass
    def fit(self, train):
        return Halved(train.columns, ("low", "high"), self.above)
"""


@pytest.fixture
def my_conf(tmp_path):
    """A user's own partition: one .py and one .yaml, outside the repository."""
    conf = tmp_path / "my_conf"
    (conf / "partition").mkdir(parents=True)
    (conf / "partition" / "halves.yaml").write_text("# two halves\n_target_: halves_of_a_test.Halves\nabove: 1.5\n")
    (conf / "halves_of_a_test.py").write_text(OWN_PARTITION)
    return conf


@pytest.mark.parametrize("words", [[], ["--help"], ["-h"], ["help"]])
def test_help_lists_the_commands(words, mdlm, tmp_path):
    ended = mdlm(*words, cwd=tmp_path)
    assert ended.code == 0
    commands = ("train", "simulate", "advise", "sample", "evaluate", "report", "export", "study", "ui", "cache")
    for command in (*commands, "fetch", "completion"):
        assert f"\n  {command} " in ended.out


@pytest.mark.parametrize(
    "words",
    [
        *(
            ["--help"],
            ["--version"],
            ["train", "--help"],
            ["simulate", "--help"],
            ["advise", "--help"],
            ["export", "--help"],
            ["cache", "--help"],
        ),
        *(["completion", "bash"], ["completion", "--words", "tr"], ["completion", "--words", "cache", ""]),
    ],
)
def test_answers_about_itself_import_nothing_heavy(words, mdlm_process, tmp_path):
    ended = mdlm_process(*words, code=LOADED, cwd=tmp_path)
    assert ended.code == 0
    assert {name.partition(".")[0] for name in ended.err.split()} & HEAVY == set()


@pytest.mark.parametrize("words", [["--version"], ["-V"], ["train", "--version"]])
def test_version_is_this_packages(words, mdlm, tmp_path):
    assert mdlm(*words, cwd=tmp_path).out == f"mdlm {__version__}\n"


def test_train_help_shows_every_group_option_and_field(mdlm, tmp_path):
    text = mdlm("train", "--help", cwd=tmp_path).out
    for file in conf_directory().glob("*/*.yaml"):
        assert f"\n  {file.parent.name}\n" in text
        assert f" {file.stem} " in text
    for field, value in yaml.safe_load((conf_directory() / "config.yaml").read_text()).items():
        if not isinstance(value, list | dict) and field != "_target_":
            assert f"\n  {field}=" in text


def test_train_help_shows_the_users_own_options_with_their_meaning(mdlm, my_conf, tmp_path):
    for words in (["--config-dir", "my_conf"], ["--config-dir=my_conf"], ["-cd", "my_conf"]):
        text = mdlm("train", *words, "--help", cwd=tmp_path).out
        assert any(line.split() == ["halves", "two", "halves"] for line in text.splitlines())


def test_a_users_own_partition_runs_from_another_directory(mdlm, tiny, my_conf, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    words = ["train", "--config-dir", "../my_conf", *tiny, "partition=halves", "model=markov", "tracking=none"]
    ended = mdlm(*words, "hydra.run.dir=run", cwd=elsewhere)
    assert ended.code == 0, ended.err
    config = yaml.safe_load((elsewhere / "run" / "config.yaml").read_text())
    assert config["partition"] == {"_target_": "halves_of_a_test.Halves", "above": 1.5}


def test_what_a_users_own_partition_made_is_read_by_the_next_run(mdlm, tiny, my_conf, tmp_path):
    words = ["train", "--config-dir", my_conf, *tiny, "partition=halves", "model=markov", "tracking=none"]
    for run in ("first", "second"):
        ended = mdlm(*words, f"hydra.run.dir={run}", cwd=tmp_path)
        assert (ended.code, ended.err) == (0, "")
        (cached,) = (tmp_path / "outputs" / "cache").glob("partition-*.safetensors")
        assert cached.name.startswith("partition-halves_of_a_test-")
        if run == "first":
            os.utime(cached, (0, 0))
    assert cached.stat().st_mtime > 0


def test_a_mistake_in_a_users_own_option_is_named_like_any_other(mdlm, tiny, my_conf, tmp_path):
    words = ["train", *tiny, "--config-dir", my_conf, "partition=halves", "tracking=none"]
    assert "partition.above ('x')" in mdlm(*words, "partition.above=x", cwd=tmp_path).error
    assert "did you mean above?" in mdlm(*words, "+partition.abov=1", cwd=tmp_path).error


def test_a_users_module_does_not_replace_one_that_is_installed(mdlm, tiny, my_conf, tmp_path):
    """A helper called like a module of the standard library must not break every library that needs it."""
    (my_conf / "colorsys.py").write_text("raise RuntimeError('imported in place of the real one')\n")
    words = ["train", *tiny, "--config-dir", my_conf, "model=markov", "tracking=none", "hydra.run.dir=run"]
    assert mdlm(*words, cwd=tmp_path).code == 0
    ended = mdlm(*words, "model._target_=colorsys.Model", "hydra.run.dir=other", cwd=tmp_path)
    assert "model._target_ (colorsys.Model) cannot be imported" in ended.error


def test_options_may_stand_between_overrides(mdlm, tmp_path):
    ended = mdlm("train", "stride=2", "--cfg", "job", "system=chain", "--resolve", "seed=4", cwd=tmp_path)
    shown = yaml.safe_load(ended.out)
    assert (shown["stride"], shown["seed"], shown["partition"]["_target_"]) == (2, 4, "mdlm.partition.labels.Labels")
    assert list(Path(tmp_path).iterdir()) == []
