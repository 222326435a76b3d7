import json
import os
import shutil

import pandas as pd
import pytest
import yaml
from filelock import FileLock

from mdlm.study.cells import Cell
from mdlm.study.factors import varying_factors
from mdlm.study.folder import Task
from mdlm.study.runs import find_runs
from mdlm.study.settings import StudySettings
from mdlm.study.study import Study
from mdlm.study.tidy import StudyTable, study_table

DECIDED = {"verdict": "too fast by 2x [1.9, 2.1]", "t2_ratio_to_data": 0.5, "mfpt_log_error_rms": None, "notes": []}


@pytest.fixture
def made(tmp_path):
    """Write a run's folder as Hydra and `mdlm train` leave it."""

    def make(name, choices, config, overrides=(), results=DECIDED):
        hidden = tmp_path / name / ".hydra"
        hidden.mkdir(parents=True)
        hydra = {"hydra": {"runtime": {"choices": {"experiment": "demo", "hydra/launcher": "basic"} | choices}}}
        for file, content in (("hydra", hydra), ("config", config), ("overrides", list(overrides))):
            (hidden / f"{file}.yaml").write_text(yaml.safe_dump(content))
        if results is not None:
            (tmp_path / name / "metrics.json").write_text(json.dumps(results))
        return tmp_path / name

    return make


def lstm(hidden=16, **rest):
    return {"model": {"_target_": "mdlm.model.lstm.LSTMConfig", "hidden": hidden}, "stride": 1, **rest}


def test_factors_are_choices_and_values_that_vary_under_their_short_names(made, tmp_path):
    for number, (stride, seed) in enumerate([(1, 0), (1, 1), (10, 0), (10, 1)]):
        config = lstm(seed=seed, cache_dir=f"somewhere/{number}") | {"stride": stride}
        made(str(number), {"model": "lstm", "tracking": f"{number}"}, config, ["model=lstm", f"stride={stride}"])
    table = study_table(find_runs(tmp_path))
    assert table.factors == ("stride",)
    assert table.replicates == ("seed",)
    assert table.rows["stride"].tolist() == [1, 1, 10, 10]
    assert table.counts == {"finished": 4, "undecided": 0, "failed": 0, "missing": 0, "skipped": 0}
    assert table.rows["t2_ratio_to_data"].tolist() == [0.5] * 4


def test_what_options_do_not_share_belongs_to_their_labels(made, tmp_path):
    """The residence time exists for coring only, the width of the model for both models."""
    for i, (treatment, options) in enumerate(
        [("keep", {}), ("coring", {"residence_time": 5}), ("coring", {"residence_time": 20.0})]
    ):
        for j, hidden in enumerate((16, 64)):
            for k, model in enumerate(("lstm", "gru")):
                config = lstm(hidden) | {"recrossing": {"_target_": f"mdlm.{treatment}", **options}}
                made(f"{i}{j}{k}", {"recrossing": treatment, "model": model}, config, [f"model.hidden={hidden}"])
    columns = varying_factors(find_runs(tmp_path))
    assert list(columns) == ["model", "recrossing", "model.hidden"]
    assert set(columns["recrossing"]) == {"keep", "coring residence_time=5", "coring residence_time=20"}
    assert set(columns["model.hidden"]) == {"16", "64"}


def test_an_option_inside_another_belongs_to_its_label(made, tmp_path):
    made("0", {"partition": "wells"}, {"partition": {}})
    for micro in ("kmeans", "grid"):
        made(micro, {"partition": "pcca", "partition@partition.micro": micro}, {"partition": {"micro": {}}})
    columns = varying_factors(find_runs(tmp_path))
    assert columns == {"partition": ["wells", "pcca micro=grid", "pcca micro=kmeans"]}


def test_values_that_a_choice_brings_along_are_no_factors_unless_asked_for(made, tmp_path):
    for model, rate in (("lstm", 0.01), ("transformer", 0.001)):
        made(model, {"model": model}, lstm(training={"learning_rate": rate}))
    assert list(varying_factors(find_runs(tmp_path))) == ["model"]
    made("asked", {"model": "lstm"}, lstm(training={"learning_rate": 0.01}), ["training.learning_rate=0.01"])
    assert list(varying_factors(find_runs(tmp_path))) == ["model", "training.learning_rate"]


def test_undecided_failed_damaged_and_missing_runs_stay_with_their_reasons(made, tmp_path):
    undecided = DECIDED | {"verdict": "undecided: 3 events in the data (10 needed)"}
    config = {(m, s): {"stride": s} for m in ("lstm", "gru", "markov") for s in (1, 10)}
    made("a", {"model": "lstm"}, config["lstm", 1])
    made("b", {"model": "lstm"}, config["lstm", 10], results=undecided)
    made("c", {"model": "gru"}, config["gru", 1], results=None)
    made("d", {"model": "gru"}, config["gru", 10], results=None)
    damaged = made("e", {"model": "markov"}, config["markov", 1])
    (damaged / "metrics.json").write_text('{"verdict": ')
    table = study_table(find_runs(tmp_path))
    rows = table.rows.set_index(["model", "stride"])
    assert table.counts == {"finished": 1, "undecided": 1, "failed": 3, "missing": 1, "skipped": 0}
    assert rows.loc[("lstm", 10), "reason"] == "3 events in the data (10 needed)"
    assert rows.loc[("gru", 10), "reason"] == "no metrics.json: it failed, was stopped or is still running"
    assert rows.loc[("markov", 1), "reason"].startswith("metrics.json cannot be read")
    assert rows.loc[("markov", 10), ["status", "reason"]].tolist() == ["missing", "no run has these levels"]


@pytest.fixture
def study(tmp_path):
    """A study's folder while it runs: of its five cells one cannot be run, and half of the design was left out."""

    def made(name, features, partition, seed, problem=None):
        overrides = (f"features={features}", f"partition={partition}", f"recrossing.window={seed + 1}", f"seed={seed}")
        config = {"seed": seed, "stride": 1, "recrossing": {"window": seed + 1}}
        choices = {"features": features, "partition": partition, "recrossing": "window_filter"}
        return Cell(0, overrides, {}, choices, config, "" if problem else name, problem)

    problem = "partition: sin_bins needs one feature, an angle in radians"
    cells = [made("done", "phi", "sin_bins", 0), made("new", "phi", "sin_bins", 1)]
    cells += [made("died", "coordinates", "rmsd", 0), made("stopped", "coordinates", "rmsd", 1)]
    cells += [made("", "coordinates", "sin_bins", 0, problem)]
    study = Study(tmp_path, StudySettings("half", "none", keep_going=True, fraction=2), tuple(cells), 10)
    study.write_design()
    for cell in study.valid:
        Task.of(cell, "half", set(), ()).write(study.folder(cell))
    (tmp_path / "cells/done/metrics.json").write_text(json.dumps(DECIDED))
    (tmp_path / "cells/died/failed.json").write_text('{"note": "the loss became nan", "seconds": 0.1}')
    (tmp_path / "cells/stopped/progress.json").write_text('{"note": "training 10 %"}')
    return tmp_path


def test_the_cells_of_a_study_stand_with_their_reasons_and_nothing_else_is_missing(study):
    table = study_table(find_runs(study))
    rows = table.rows.set_index(["features", "partition", "seed"])
    assert len(rows) == 5
    assert table.factors == ("features", "partition", "recrossing.window")
    found = {at: tuple(row) for at, row in rows[["status", "reason"]].iterrows()}
    assert found == {
        ("phi", "sin_bins", 0): ("finished", ""),
        ("phi", "sin_bins", 1): ("missing", "not run yet"),
        ("coordinates", "rmsd", 0): ("failed", "the loss became nan"),
        ("coordinates", "rmsd", 1): ("missing", "interrupted before it was done"),
        ("coordinates", "sin_bins", 0): ("skipped", "partition: sin_bins needs one feature, an angle in radians"),
    }
    # 2 features, 2 partitions, 2 windows and 2 seeds
    assert table.notes == ("11 of the 16 combinations of the levels are not part of the design",)


def test_a_cell_at_work_is_still_running(study):
    with FileLock(study / "cells/stopped/.cell.lock"):
        rows = study_table(find_runs(study)).rows
    assert "still running" in set(rows["reason"])


def test_a_study_of_which_every_cell_is_skipped_holds_no_run(study):
    shutil.rmtree(study / "cells")
    with pytest.raises(ValueError, match=r"holds no run; `mdlm train -m ...` makes them"):
        find_runs(study)


def test_of_repeated_runs_the_newest_finished_one_counts(made, tmp_path):
    for name, age, ratio in (("new", 10, 0.7), ("old", 1000, 0.1)):
        folder = made(name, {"model": "lstm"}, {"stride": 1}, results=DECIDED | {"t2_ratio_to_data": ratio})
        os.utime(folder, (1e9 - age, 1e9 - age))
    made("failed", {"model": "lstm"}, {"stride": 1}, results=None)
    made("other", {"model": "lstm"}, {"stride": 10})
    table = study_table(find_runs(tmp_path))
    assert table.rows["t2_ratio_to_data"].tolist() == [0.7, 0.5]
    assert table.notes == ("2 older or unfinished repetitions of the same levels are left out",)


def test_the_table_is_written_twice_and_whole(made, tmp_path):
    for stride in (1, 10):
        made(str(stride), {"model": "lstm"}, {"stride": stride, "seed": 0})
    table = study_table(find_runs(tmp_path))
    files = table.write(tmp_path / "out")
    assert sorted(os.listdir(tmp_path / "out")) == ["runs.csv", "runs.parquet"]
    for found in (pd.read_parquet(files[0]), pd.read_csv(files[1], keep_default_na=False)):
        assert found["stride"].tolist() == [1, 10]
        assert found["verdict"].tolist() == [DECIDED["verdict"]] * 2


def test_only_runs_of_the_experiment_asked_for_count(made, tmp_path):
    made("a", {"experiment": "demo"}, {"stride": 1})
    made("b", {"experiment": "other"}, {"stride": 10})
    assert [run.leaves["stride"] for run in find_runs(tmp_path, "other")] == [10]
    with pytest.raises(ValueError, match=r"holds no run of experiment=third"):
        find_runs(tmp_path, "third")


def test_the_cells_of_a_study_are_read_as_hydras_folders_are(tmp_path):
    for stride in (1, 10):
        folder = tmp_path / "cells" / f"{stride}"
        folder.mkdir(parents=True)
        task = {"choices": {"model": "lstm"}, "config": {"stride": stride}, "overrides": [f"stride={stride}"]}
        (folder / "cell.json").write_text(json.dumps(task))
        (folder / "metrics.json").write_text(json.dumps(DECIDED))
    table = study_table(find_runs(tmp_path))
    assert table.factors == ("stride",)
    assert table.counts["finished"] == 2


def test_nothing_to_read_is_told(tmp_path):
    with pytest.raises(ValueError, match=r"^directory \(.*nowhere\) does not exist"):
        find_runs(tmp_path / "nowhere")
    with pytest.raises(ValueError, match=r"holds no run; `mdlm train -m ...` makes them"):
        find_runs(tmp_path)


def test_a_table_checks_itself():
    with pytest.raises(ValueError, match=r"^rows \(status\) lack the column stride"):
        StudyTable(pd.DataFrame({"status": ["finished"]}), ("stride",))
    with pytest.raises(ValueError, match=r"^status \(fine\) must be one of finished, undecided"):
        StudyTable(pd.DataFrame({"status": ["fine"]}), ())
