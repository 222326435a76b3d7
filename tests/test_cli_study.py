"""`mdlm study` as it is called."""

import json
import re
import shutil

import pytest
import yaml
from test_tracking import client_of, runs_of


def test_the_help_teaches(mdlm, tmp_path):
    assert "analyse" in mdlm("study", "--help", cwd=tmp_path).out
    told = mdlm("study", "analyse", "--help", cwd=tmp_path).out
    assert "response=error" in told
    assert "mdlm study analyse experiment=" in told


@pytest.mark.parametrize("action", ["plan", "run", "submit", "status", "cell", "sync", "analyse"])
def test_every_action_explains_itself(mdlm, tmp_path, action):
    assert f"  {action} " in mdlm("study", "--help", cwd=tmp_path).out
    assert f"Usage: mdlm study {action} " in mdlm("study", action, "--help", cwd=tmp_path).out


TWO = ["model=markov", "seed=0,1", "stride=1,3", "study.name=two", "tracking=none"]  # the lag is 10 frames: no threes


def test_a_study_from_plan_to_analysis(mdlm, tiny, tmp_path):
    """Without a launcher of the experiment's own, the one of this machine; half of the design cannot be run."""
    ended = mdlm("study", "plan", *tiny, *TWO, cwd=tmp_path)
    assert "4 cells: 2 new, 2 skipped" in ended.out, ended.err
    ended = mdlm("study", "run", *tiny, *TWO, cwd=tmp_path)
    assert "two: 2 done" in ended.out, ended.err
    by_name = mdlm("study", "status", *tiny, *TWO, cwd=tmp_path).out
    by_folder = mdlm("study", "status", "outputs/study/two", cwd=tmp_path).out
    assert "two: 2 done" in by_folder
    assert by_folder == by_name
    assert "two: 2 done" in mdlm("study", "status", "outputs/study/two", "--watch", cwd=tmp_path).out
    ended = mdlm("study", "analyse", "outputs/study/two", cwd=tmp_path)
    assert re.search(r"^[02] finished, [02] undecided, 0 failed, 0 missing, 2 skipped$", ended.out, re.MULTILINE), ended
    assert "Not in MLflow, as the runs are not" in ended.out
    page = (tmp_path / "outputs/study/two/study/report.html").read_text()
    assert "<h1>two: what decides" in page
    assert "kinetics.lag_time (10 reduced) must be a positive multiple of the frame time, 3 reduced" in page
    assert mdlm("study", "status", "outputs/study/two", cwd=tmp_path).out == by_folder


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["plan"], "experiment is missing; see `mdlm study plan --help`"),
        (["plan", "experiment=dmeo"], "experiment (dmeo) is no option; there are "),
        (["plan", "experiment=demo", "--cfg", "job"], "--cfg is no option of mdlm study plan; there are --config-dir"),
        (["run", "experiment=demo", "script=x"], "script belongs to `mdlm study submit`"),
        (["submit", "experiment=demo", "script="], "script is empty; give the file to write"),
        (["status", "nowhere"], "directory (nowhere) holds no study.json; give outputs/study/NAME of a study that ran"),
        (["cell", "nowhere"], "nowhere is no cell of a study: it has no cell.json"),
    ],
)
def test_what_is_wrong_with_a_design_is_said_in_one_line(mdlm, tmp_path, words, message):
    ended = mdlm("study", *words, cwd=tmp_path)
    assert ended.code != 0
    assert ended.error.startswith(message)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["analyze"], "analyze is no action of mdlm study; did you mean analyse?"),
        (["analyse"], "DIR is missing; give the directory of the runs, or experiment=NAME"),
        (["analyse", "nowhere"], "directory (nowhere) does not exist; give one that holds the folders of runs"),
        (["analyse", ".", "respons=error"], "respons is no field of mdlm study analyse; did you mean response?"),
        (["analyse", ".", "out="], "out is empty; see `mdlm study analyse --help`"),
        (["analyse", ".", "tracking=files"], "tracking (files) must be none or mlflow"),
        (
            ["analyse", ".", "trackng.uri=x"],
            "trackng.uri is no field of mdlm study analyse; did you mean tracking.uri?",
        ),
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


def rewritten(path, **values):
    content = yaml.safe_load(path.read_text())
    path.write_text(yaml.safe_dump(content | values))


@pytest.fixture
def sweep(finished, tmp_path):
    """A finished run's folder nine times, as three strides with three seeds would leave it."""
    for number in range(9):
        folder = tmp_path / "sweep" / f"{number}"
        shutil.copytree(finished[0] / "run", folder, ignore=shutil.ignore_patterns("figures", "checkpoint", "*.npz"))
        stride, seed = 10 ** (number // 3), number % 3
        rewritten(folder / "config.yaml", stride=stride, seed=seed)
        (folder / ".hydra" / "overrides.yaml").write_text(f"[stride={stride}, seed={seed}]")
        ratio = 1 / (5 - number // 3 + 0.1 * seed)
        values = {"t2_ratio_to_data": ratio, "t2_ratio_to_data_low": 0.9 * ratio, "t2_ratio_to_data_high": 1.1 * ratio}
        rewritten(folder / "metrics.json", verdict="too fast", **values)
        text = (folder / "metrics.json").read_text()
        (folder / "metrics.json").write_text(json.dumps(yaml.safe_load(text)))
    return tmp_path


def test_a_sweep_is_analysed_from_its_folders(mdlm, sweep):
    ended = mdlm("study", "analyse", "sweep", cwd=sweep)
    assert ended.code == 0, ended.err
    assert ended.out.startswith("9 finished, 0 undecided, 0 failed, 0 missing, 0 skipped\n")
    assert "stride 1 → 100: error / 1.6" in ended.out  # (5 / 3)
    assert (
        "C2, a longer saving interval (stride) helps: supported; from 1 to 100 frames (stride): error / " in ended.out
    )
    assert (sweep / "sweep" / "study" / "report.html").is_file()
    assert mdlm("study", "analyse", "sweep", "response=ratio", "out=other", cwd=sweep).code == 0
    assert "(stride) helps" not in (sweep / "other" / "report.html").read_text()
    ended = mdlm("study", "analyse", "sweep", "response=speed", cwd=sweep)
    assert ended.error.startswith("response (speed) needs the metric speed, which no run has; known are error, ratio")


def test_a_report_is_kept_where_the_runs_are_and_is_none_of_them(mdlm, sweep, mlflow_store):
    """Twice into the same folder is one run of the store; the runs that are analysed stay nine."""
    ended = mdlm("study", "analyse", "sweep", cwd=sweep)
    assert "Not in MLflow: outputs/mlflow, where the runs were written down, holds no store" in ended.out
    for number in range(9):  # as if they had been written down in a store that is still here
        path = sweep / "sweep" / f"{number}" / "config.yaml"
        tracking = yaml.safe_load(path.read_text())["tracking"]
        rewritten(path, tracking=tracking | {"directory": str(mlflow_store), "experiment": "reports"})
    for words in ([], [], ["tracking=none"]):
        ended = mdlm("study", "analyse", "sweep", *words, cwd=sweep)
        assert ended.code == 0, ended.err
        assert ended.out.startswith("9 finished, ")
        assert ("In MLflow: run " in ended.out) == (not words)
    (report,) = runs_of(mlflow_store, "reports")
    assert report.info.run_name == "study report: sweep"
    assert report.data.tags["claim.C2"] == "supported"
    assert report.data.tags["finished"] == "9"
    files = {entry.path for entry in client_of(mlflow_store).list_artifacts(report.info.run_id)}
    assert files == {"report.html", "effects.json", "runs.csv", "runs.parquet", "figures"}
