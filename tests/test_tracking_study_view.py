"""The view of a study that MLflow's page is given, and where `mdlm ui` says it is."""

import base64
import json
import zlib
from types import SimpleNamespace

import pytest

from mdlm.tracking import MLflow
from mdlm.tracking.study_report import keep_report
from mdlm.tracking.study_view import save_view, studies, view_state


def logged(**levels):
    factors = {f"factor.{name}": level for name, level in levels.items()}
    return SimpleNamespace(tags={"study": "s", "cell": "1", **factors}, params={"seed": "0", **factors})


def read_as_the_page_does(value):
    """A name and a date in plain JSON, the state within deflated and in base64."""
    view = json.loads(value)
    kind, _, packed = view["state"].partition(";")
    assert kind == "deflate"
    assert {type(view[date]) for date in ("createdAt", "updatedAt")} == {int}
    return view["name"], json.loads(zlib.decompress(base64.b64decode(packed)))


@pytest.fixture
def store(mlflow_store, request, tmp_path):
    """Two studies and a run of none in an MLflow experiment of this test's own."""
    store = MLflow(None, mlflow_store, request.node.name)
    for study, model in (("first", "lstm"), ("first", "markov"), ("second", "lstm"), (None, "gru")):
        folder = tmp_path / f"{study}-{model}"
        folder.mkdir()
        tags = {"study": study, "factor.model": model} if study else {}
        with store.run(folder, folder.name, {}, tags) as tracker:
            tracker.metrics({"slow_timescale_log_error": 0.5})
    return store


def saved(store):
    client, experiment_id = store.open()
    tags = client.get_experiment(experiment_id).tags
    return {key: value for key, value in tags.items() if key.startswith("mlflow.sharedViewState.")}


def test_the_report_of_a_study_is_none_of_its_cells_and_makes_no_study(store, tmp_path):
    before = {name: len(runs) for name, runs in studies(*store.open()).items()}
    for name in ("first", "of a sweep"):
        keep_report(store, tmp_path / name, name, [], {"study": name}, "")
    assert {name: len(runs) for name, runs in studies(*store.open()).items()} == before == {"first": 2, "second": 1}


def test_the_columns_are_what_varies_then_what_came_of_it():
    runs = [logged(seed="0", stride="1"), logged(seed="1", stride="1", model="lstm")]
    state = view_state("s", runs)
    assert state["searchFilter"] == "tags.study = 's'"
    first = ["tags.`factor.model`", "tags.`factor.stride`", "tags.`factor.seed`", "metrics.`slow_timescale_log_error`"]
    assert state["selectedColumns"][:4] == first
    assert {"metrics.`t2_ratio_to_data`", "metrics.`train_seconds`"} < set(state["selectedColumns"])
    assert state["orderByKey"] == "metrics.`slow_timescale_log_error`"
    assert state["orderByAsc"]
    assert state["runsHiddenMode"] == "SHOW_ALL"  # else charts have ten runs


def test_every_column_and_every_axis_is_something_a_run_writes(finished):
    written = set(json.loads((finished[0] / "run" / "metrics.json").read_text()))
    state = view_state("s", [logged(model="lstm")])
    metrics = {name.split("`")[1] for name in state["selectedColumns"] if name.startswith("metrics.")}
    for chart in state["compareRunCharts"]:
        metrics |= {chart[axis]["key"] for axis in ("xaxis", "yaxis") if axis in chart}
        metrics |= {chart["metricKey"]} if "metricKey" in chart else set(chart.get("selectedMetrics", ()))
    assert metrics <= written


def test_every_chart_is_in_a_section_that_is_open():
    state = view_state("s", [logged(model="lstm")])
    opened = {section["uuid"] for section in state["compareRunSections"] if section["display"]}
    assert {chart["metricSectionId"] for chart in state["compareRunCharts"]} == opened
    (parallel,) = [chart for chart in state["compareRunCharts"] if chart["type"] == "PARALLEL"]
    assert parallel["selectedParams"] == ["factor.model"]


def test_runs_whose_factors_are_tags_alone_get_no_empty_section():
    """Those of stores written before factors were parameters too."""
    state = view_state("s", [SimpleNamespace(tags={"study": "s", "factor.model": "lstm"}, params={"seed": "0"})])
    assert "tags.`factor.model`" in state["selectedColumns"]
    assert "PARALLEL" not in {chart["type"] for chart in state["compareRunCharts"]}
    filled = {chart["metricSectionId"] for chart in state["compareRunCharts"]}
    assert {section["uuid"] for section in state["compareRunSections"]} == filled | {"Model metrics"}


def test_a_view_is_saved_once_and_changes_with_the_study(store, tmp_path):
    client, experiment_id = store.open()
    runs = studies(client, experiment_id)["first"]
    address = save_view(client, experiment_id, "first", runs)
    assert address == (
        f"#/experiments/{experiment_id}/runs?viewStateShareKey=study-first&workflowType=machine_learning"
    )
    ((key, value),) = saved(store).items()
    assert key == "mlflow.sharedViewState.study-first"
    assert read_as_the_page_does(value) == ("study first", view_state("first", [run.data for run in runs]))
    save_view(client, experiment_id, "first", studies(client, experiment_id)["first"])
    assert saved(store) == {key: value}  # to the letter, dates too
    with store.run(tmp_path, "more", {}, {"study": "first", "factor.stride": "9"}):
        pass
    save_view(client, experiment_id, "first", studies(client, experiment_id)["first"])
    ((_, changed),) = saved(store).items()
    assert "tags.`factor.stride`" in read_as_the_page_does(changed)[1]["selectedColumns"]
    assert json.loads(changed)["createdAt"] == json.loads(value)["createdAt"]


def test_a_view_that_cannot_be_read_is_made_anew(store):
    client, experiment_id = store.open()
    runs = studies(client, experiment_id)["second"]
    for broken in ("broken", "[1]", '{"state": "deflate;AAAA"}', '{"state": 3}'):
        client.set_experiment_tag(experiment_id, "mlflow.sharedViewState.study-second", broken)
        save_view(client, experiment_id, "second", runs)
        (value,) = saved(store).values()
        assert read_as_the_page_does(value)[0] == "study second"


def test_studies_are_found_with_their_own_runs(store):
    client, experiment_id = store.open()
    names = {study: {run.info.run_name for run in runs} for study, runs in studies(client, experiment_id).items()}
    assert names == {"first": {"first-lstm", "first-markov"}, "second": {"second-lstm"}}


def test_a_study_that_is_not_there_is_refused_with_those_that_are(store, mdlm, tmp_path):
    words = ["ui", "--directory", store.directory, "--experiment", store.experiment]
    error = mdlm(*words, "study=third", cwd=tmp_path).error
    assert error.startswith(f"study (third) has no runs in experiment {store.experiment} of sqlite:///")
    assert error.endswith("the studies there are first, second")
    assert saved(store) == {}
    none = mdlm(*words[:-1], "mdlm", "study=third", cwd=tmp_path).error
    assert none.endswith("no study has runs there")


@pytest.mark.parametrize("word", ["experiment=demo", "study=", "demo"])
def test_another_word_is_refused(word, mdlm, tmp_path):
    error = mdlm("ui", word, cwd=tmp_path).error
    assert error == f"{word} is no field of mdlm ui; write study=NAME, or see `mdlm ui --help`"
