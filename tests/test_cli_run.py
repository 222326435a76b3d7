"""`mdlm train` from end to end, on runs of about a second."""

import json
import math
import shutil
import time

import numpy as np
import pytest
import yaml
from filelock import FileLock
from PIL import Image
from safetensors import safe_open

from mdlm.build import build

REQUIRED = [
    *(f"{name}{end}" for name in ("t2_ratio_to_data", "t2_ratio_to_truth") for end in ("", "_low", "_high")),
    *(f"t2_{which}_reduced" for which in ("reference", "data", "sampled")),
    "slow_timescale_log_error",
    "markov_t2_ratio_to_data",
    "mfpt_log_error_rms",
    "population_tv_distance",
    "n_slow_events_data",
    "n_slow_events_sampled",
    "train_seconds",
    "sample_tokens_per_second",
    "nll_nats_per_token",
    "perplexity_per_token",
]
FIGURES = (  # the chain has one feature: no landscape, no surfaces
    *("autocorrelation", "chapman_kolmogorov", "drift", "dwell", "mfpt"),
    *("partition", "populations", "ratio", "timescales", "traces", "training"),
)
TEXTS = {"verdict", "notes", "reference"}
CLOSED_FORM_T2 = -1 / math.log(0.996)  # of the chain in conf/system/chain.yaml: two pairs, 0.002 out of each


def metrics_of(run):
    """The numbers of a run; anything but strict JSON is refused."""

    def refuse(constant):
        raise AssertionError(f"{constant} is no JSON")

    return json.loads((run / "metrics.json").read_text(), parse_constant=refuse)


def without_timings(metrics):
    return {name: value for name, value in metrics.items() if not name.endswith(("seconds", "per_second"))}


def history_of(run):
    with safe_open(run / "checkpoint" / "last.safetensors", framework="np") as file:
        return json.loads(file.metadata()["description"])["history"]


def runs_of(folder):
    from mlflow.tracking import MlflowClient

    client = MlflowClient(f"sqlite:///{folder / 'outputs' / 'mlflow' / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("mdlm")
    return client.search_runs([experiment.experiment_id])


def test_a_run_ends_with_the_table_and_where_to_look_next(finished):
    folder, ended = finished
    assert ended.out.startswith("Slow kinetics at lag 10 reduced")
    summary = (folder / "run" / "summary.txt").read_text()
    assert [line.rstrip() for line in ended.out.splitlines()] == [line.rstrip() for line in summary.splitlines()]
    results, runs = ended.out.rstrip().splitlines()[-2:]
    assert results.startswith("Results: ")
    assert runs == "All runs side by side: mdlm ui"


def test_a_run_prints_nothing_on_stderr(finished):
    assert finished[1].err == ""


def test_metrics_are_strict_json_with_every_promised_name(finished):
    metrics = metrics_of(finished[0] / "run")
    assert [name for name in REQUIRED if name not in metrics] == []
    assert all(value is None or math.isfinite(value) for name, value in metrics.items() if name not in TEXTS)
    assert isinstance(metrics["verdict"], str)


def test_a_value_that_is_not_finite_is_null(mdlm, tiny, tmp_path):
    """Two hundred sampled tokens hold no slow event, so some passage times are never seen."""
    words = ["train", *tiny, "model=markov", "tracking=none", "hydra.run.dir=run"]
    words += ["sampling.n_chains=1", "sampling.chain_length=60"]
    assert mdlm(*words, cwd=tmp_path).code == 0
    assert None in metrics_of(tmp_path / "run").values()


def test_the_chains_are_readable_without_pickle(finished):
    chains = np.load(finished[0] / "run" / "chains.npy", allow_pickle=False)
    assert chains.shape == (20, 500)
    with np.load(finished[0] / "run" / "sampled.npz", allow_pickle=False) as file:
        assert chains.max() < len(file["state_names"])
        assert (float(file["frame_time"]), str(file["time_unit"])) == (1.0, "reduced")
        assert len(file["prompts"]) == 20


def test_the_best_checkpoint_holds_finite_weights(finished):
    with safe_open(finished[0] / "run" / "checkpoint" / "best.safetensors", framework="np") as file:
        assert all(np.isfinite(file.get_tensor(name)).all() for name in file.keys())  # noqa: SIM118


def test_every_figure_is_a_picture(finished):
    figures = finished[0] / "run" / "figures"
    for suffix in ("png", "svg"):
        assert [figure.stem for figure in sorted(figures.glob(f"*.{suffix}"))] == list(FIGURES)
    for figure in figures.glob("*.png"):
        with Image.open(figure) as picture:
            picture.load()
            assert len(picture.convert("RGB").getcolors(maxcolors=10**6)) > 10


def test_no_temporary_file_is_left(finished):
    assert [str(file) for file in finished[0].rglob("*.tmp*")] == []


def test_the_written_configuration_builds_the_same_experiment(finished):
    config = yaml.safe_load((finished[0] / "run" / "config.yaml").read_text())
    assert build(config).name == "lstm-seed0-stride1-labels-coordinates-chain"


def test_the_written_configuration_runs_again_and_gives_the_same_numbers(mdlm, tracked):
    (tracked / "conf").mkdir()
    shutil.copy(tracked / "run" / "config.yaml", tracked / "conf" / "again.yaml")
    words = ["train", "--config-dir", "conf", "--config-name", "again", "hydra.run.dir=second"]
    ended = mdlm(*words, cwd=tracked)
    assert ended.code == 0, ended.err
    first, second = (metrics_of(tracked / run) for run in ("run", "second"))
    assert without_timings(first) == without_timings(second)
    first, second = ((tracked / run / "config.yaml").read_text() for run in ("run", "second"))
    assert first == second


def test_mlflow_holds_the_same_names_and_values(finished):
    folder, _ = finished
    (run,) = runs_of(folder)
    numbers = {name: value for name, value in metrics_of(folder / "run").items() if name not in TEXTS}
    curve = {"train_nll", "validation_nll", "learning_rate", "seconds", "tokens_per_second"}
    logged = {name: value for name, value in run.data.metrics.items() if name not in curve}
    assert logged == {name: value for name, value in numbers.items() if value is not None}


def test_the_four_state_system_runs_from_one_coordinate(mdlm, tiny, tmp_path):
    words = [word for word in tiny if not word.startswith("system")]
    words += ["system=four_state", "features=x", "system.n_walkers=10", "system.n_steps=2_000_000"]
    words += ["kinetics.lag_time=10", "model=markov", "tracking=none", "hydra.run.dir=run"]
    ended = mdlm("train", *words, cwd=tmp_path)
    assert ended.code == 0, ended.err
    metrics = metrics_of(tmp_path / "run")
    assert metrics["n_states"] == 4
    assert [name for name in REQUIRED if name not in metrics and "truth" not in name] == []


@pytest.mark.parametrize("model", ["lstm", "transformer", "markov"])
def test_every_model_runs_on_grid_cells_with_a_stride(model, mdlm, tiny, tmp_path):
    words = [word for word in tiny if not word.startswith("system")]
    words += ["system=four_state_overdamped", "system.n_walkers=10", "system.n_steps=1_000_000", "stride=5"]
    words += ["partition=grid", "partition.n_bins=3", "kinetics.lag_time=10", f"model={model}", "tracking=none"]
    words += ["sampling.n_chains=10", "sampling.chain_length=100"]
    ended = mdlm("train", *words, "hydra.run.dir=run", cwd=tmp_path)
    assert ended.code == 0, ended.err
    assert metrics_of(tmp_path / "run")["n_states"] > 2


def test_without_tracking_mlflow_is_not_even_imported(mdlm_process, tiny, tmp_path):
    code = "import sys; from mdlm.cli import main; main(sys.argv[1:]); print('mlflow' in sys.modules, file=sys.stderr)"
    ended = mdlm_process("train", *tiny, "model=markov", "tracking=none", "hydra.run.dir=run", code=code, cwd=tmp_path)
    assert ended.code == 0
    assert ended.err == "False\n"
    assert not list(tmp_path.rglob("mlflow*"))


def test_the_same_command_in_the_same_folder_does_not_train_again(mdlm, tiny, tracked):
    before, curve = metrics_of(tracked / "run"), history_of(tracked / "run")
    ended = mdlm("train", *tiny, "hydra.run.dir=run", cwd=tracked)
    assert ended.code == 0, ended.err
    assert history_of(tracked / "run") == curve  # with the seconds the first attempt took
    assert without_timings(metrics_of(tracked / "run")) == without_timings(before)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("model.hidden=32", "model.hidden was 64, is 32"),
        ("model.anchor=markov", "model.anchor was 'slow_modes', is 'markov'"),
    ],
)
def test_a_folder_of_another_configuration_is_refused_by_name_and_stays_as_it_is(change, message, mdlm, tiny, tracked):
    kept = {name: (tracked / "run" / name).read_bytes() for name in ("metrics.json", "config.yaml", "sampled.npz")}
    ended = mdlm("train", *tiny, "hydra.run.dir=run", change, cwd=tracked)
    assert ended.code != 0
    assert message in ended.error
    assert {name: (tracked / "run" / name).read_bytes() for name in kept} == kept
    assert "FINISHED" in [run.info.status for run in runs_of(tracked)]


def test_judging_again_in_the_same_folder_is_another_mlflow_run(mdlm, tiny, tracked):
    """MLflow parameters cannot change, and a run must not show numbers beside parameters they do not belong to."""
    ended = mdlm("train", *tiny, "hydra.run.dir=run", "kinetics.lag_time=20", cwd=tracked)
    assert ended.code == 0, ended.err
    words = [run.data.params["kinetics.lag_time"] for run in runs_of(tracked)]
    assert words in (["20.0", "10"], ["20", "10"])


def test_two_runs_in_one_folder_at_once_are_refused(mdlm, tiny, tmp_path):
    run = tmp_path / "run"
    run.mkdir()
    with FileLock(run / ".lock"):
        ended = mdlm("train", *tiny, "tracking=none", "model=markov", "hydra.run.dir=run", cwd=tmp_path)
    assert ended.code != 0
    assert "is in use by another run" in ended.error
    assert not (run / "metrics.json").exists()


@pytest.mark.parametrize("stride", [1, 5])
def test_the_pipeline_finds_the_closed_form_of_a_known_chain(stride, mdlm, tmp_path):
    """A stride thins the tokens but not the clock: the timescale in time units stays what it is."""
    words = ["train", "system=chain", "model=markov", f"stride={stride}", "tracking=none", "hydra.run.dir=run"]
    words += ["system.n_frames=20_000", "sampling.n_chains=100", f"sampling.chain_length={10_000 // stride}"]
    ended = mdlm(*words, "kinetics.n_resamples=50", "kinetics.n_lags=2", cwd=tmp_path)
    assert ended.code == 0, ended.err
    metrics = metrics_of(tmp_path / "run")
    assert metrics["t2_reference_reduced"] == pytest.approx(CLOSED_FORM_T2)
    for which in ("data", "sampled"):
        low, high = (metrics[f"t2_{which}_reduced_{end}"] for end in ("low", "high"))
        assert low <= CLOSED_FORM_T2 <= high
    assert metrics["t2_sampled_reduced"] == pytest.approx(CLOSED_FORM_T2, rel=0.15)


@pytest.mark.slow
def test_a_killed_run_goes_on_where_it_was_and_ends_as_if_undisturbed(mdlm, mdlm_start, tiny, tracked):
    n_runs = len(runs_of(tracked))
    words = ["train", *tiny, "system.n_frames=6000", "training.max_epochs=6", "training.patience=6"]
    last = tracked / "killed" / "checkpoint" / "last.safetensors"
    process = mdlm_start(*words, "hydra.run.dir=killed", cwd=tracked)
    deadline = time.monotonic() + 120
    while not last.exists() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.005)
    process.kill()
    process.communicate()
    before = history_of(tracked / "killed")
    assert 1 <= len(before) < 6
    assert not (tracked / "killed" / "metrics.json").exists()
    assert [run.info.status for run in runs_of(tracked)].count("RUNNING") == 1

    ended = mdlm(*words, "hydra.run.dir=killed", cwd=tracked)
    assert ended.code == 0, ended.err
    after = history_of(tracked / "killed")
    assert len(after) == 6
    assert after[: len(before)] == before  # the seconds of the first attempt too: these epochs were not repeated
    statuses = [run.info.status for run in runs_of(tracked)]
    assert statuses == ["FINISHED"] * (n_runs + 1)
    assert [str(file) for file in tracked.rglob("*.tmp*")] == []

    assert mdlm(*words, "hydra.run.dir=undisturbed", "tracking=none", cwd=tracked).code == 0
    resumed, undisturbed = metrics_of(tracked / "killed"), metrics_of(tracked / "undisturbed")
    assert without_timings(resumed) == without_timings(undisturbed)


@pytest.mark.parametrize(("first", "second"), [("markov", "lstm"), ("lstm", "markov"), ("markov", "markov")])
def test_a_folder_of_another_model_is_refused_and_its_mlflow_run_stays_finished(first, second, mdlm, tiny, tracked):
    words = ["train", *tiny, "hydra.run.dir=other"]
    assert mdlm(*words, f"model={first}", cwd=tracked).code == 0
    before = (tracked / "other" / "metrics.json").read_bytes()
    statuses = [run.info.status for run in runs_of(tracked)]
    other = ["model.order=2"] if first == second else []
    ended = mdlm(*words, f"model={second}", *other, cwd=tracked)
    assert ended.code != 0
    assert "belongs to another configuration" in ended.error
    assert "model." in ended.error
    assert (tracked / "other" / "metrics.json").read_bytes() == before
    assert [run.info.status for run in runs_of(tracked)] == statuses


def test_leftovers_of_a_killed_writer_are_cleared_away(mdlm, tiny, tmp_path):
    (tmp_path / "run" / "checkpoint").mkdir(parents=True)
    leftovers = [tmp_path / "run" / "checkpoint" / ".last.safetensors.1.tmp", tmp_path / "run" / ".metrics.1.tmp.json"]
    for leftover in leftovers:
        leftover.touch()
    assert mdlm("train", *tiny, "model=markov", "tracking=none", "hydra.run.dir=run", cwd=tmp_path).code == 0
    assert not any(leftover.exists() for leftover in leftovers)


def test_a_run_without_figures_leaves_its_numbers_and_the_report_draws_them(mdlm, tiny, tmp_path):
    folder = tmp_path / "run"
    ended = mdlm(
        "train", *tiny, "model=markov", "tracking=none", "figures=false", f"hydra.run.dir={folder}", cwd=tmp_path
    )
    assert ended.code == 0, ended.err
    assert (folder / "metrics.json").exists()
    assert not (folder / "figures").exists()
    assert not (folder / "report.html").exists()
    ended = mdlm("report", f"run={folder}", "--no-browser", cwd=tmp_path)
    assert ended.code == 0, ended.err
    assert (folder / "figures" / "timescales.png").exists()
    assert (folder / "report.html").exists()


def test_the_path_of_the_results_is_never_broken(mdlm, tiny, tmp_path):
    """A terminal narrower than the path would wrap it, and nobody could copy it."""
    folder = tmp_path / "a rather long name of a folder" / ("x" * 100)
    ended = mdlm("train", *tiny, "model=markov", "tracking=none", f"hydra.run.dir='{folder}'", cwd=tmp_path)
    assert ended.code == 0, ended.err
    assert f"Results: {folder}\n" in ended.out
