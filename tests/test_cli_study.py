"""`mdlm study` as it is called."""

import pytest

from mdlm.study.runs import FINISHED


@pytest.fixture(scope="module")
def swept(tmp_path_factory):
    return tmp_path_factory.mktemp("study")


def test_the_help_teaches(mdlm):
    assert "analyse" in mdlm("study", "--help").out
    told = mdlm("study", "analyse", "--help").out
    assert "response=error" in told
    assert "mdlm study analyse experiment=" in told


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["analyze"], "analyze is no action of mdlm study; did you mean analyse?"),
        (["analyse"], "DIR is missing; give the directory of the runs, or experiment=NAME"),
        (["analyse", "nowhere"], "directory (nowhere) does not exist; give one that holds the folders of runs"),
        (["analyse", ".", "respons=error"], "respons is no field of mdlm study analyse; did you mean response?"),
        (["analyse", ".", "out="], "out is empty; see `mdlm study analyse --help`"),
        (["analyse", ".", "seed=x"], "seed (x) must be a whole number"),
        (["analyse", ".", "b"], "DIR (. b) must be one directory"),
        (["analyse", ".", "--quick"], "unrecognized arguments: --quick; see `mdlm study analyse --help`"),
        (["analyse", "."], "directory (.) holds no run; `mdlm train -m ...` makes them"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(mdlm, tmp_path, words, message):
    ended = mdlm("study", *words, cwd=tmp_path)
    assert ended.code != 0
    assert ended.error == message


def test_a_sweep_is_analysed_from_its_folders(mdlm, tiny, tmp_path):
    words = [*tiny, "model=markov", "tracking=none", "stride=1,2,5", "seed=0,1,2", "hydra.sweep.dir=sweep"]
    assert mdlm("train", "-m", *words, cwd=tmp_path).code == 0
    ended = mdlm("study", "analyse", "sweep", cwd=tmp_path)
    assert ended.code == 0, ended.err
    assert f"9 {FINISHED}" in ended.out or "undecided" in ended.out
    assert "C2, a longer saving interval (stride) helps: " in ended.out
    assert (tmp_path / "sweep" / "study" / "report.html").is_file()
    assert mdlm("study", "analyse", "sweep", "response=nll_nats_per_token", "out=other", cwd=tmp_path).code == 0
    assert (tmp_path / "other" / "effects.json").is_file()
    ended = mdlm("study", "analyse", "sweep", "response=speed", cwd=tmp_path)
    assert ended.error.startswith("response (speed) needs the metric speed, which no run has; known are error, ratio")
