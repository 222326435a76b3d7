"""`mdlm evaluate`: a finished run anew, and sequences from anywhere."""

import json
import re
import shutil

import numpy as np
import pytest

FILES = ["frame_time=1", "time_unit=ps", "kinetics.n_lags=3", "out=out"]


def two_states(hop, n_frames, n_pieces, seed):
    """Independent pieces of a chain that leaves either state with probability ``hop``: t2 = -1 / ln(1 - 2 hop)."""
    hops = np.random.default_rng(seed).random((n_pieces, n_frames)) < hop
    return np.cumsum(hops, axis=1) % 2


@pytest.fixture
def judged(mdlm, tmp_path):
    """Judge one array against another; gives how the command ended, and the numbers it wrote."""

    def judge(reference, sampled, *words):
        np.save(tmp_path / "reference.npy", reference)
        np.save(tmp_path / "sampled.npy", sampled)
        command = ["evaluate", "reference=reference.npy", "sampled=sampled.npy", *FILES, *words]
        ended = mdlm(*command, cwd=tmp_path)
        metrics = tmp_path / "out" / "metrics.json"
        return ended, json.loads(metrics.read_text()) if metrics.exists() else {}

    return judge


def test_a_sequence_against_itself_is_within_its_own_error(judged):
    chain = two_states(0.01, 3000, 20, seed=0)
    ended, metrics = judged(chain, chain, "lag_time=20")
    assert ended.code == 0, ended.err
    assert metrics["t2_ratio_to_data"] == 1
    assert metrics["verdict"].startswith("within the data's own error (ratio 1 [")
    assert metrics["population_tv_distance"] == 0
    assert metrics["free_energy_error_rms_kT"] == 0


@pytest.mark.slow
def test_a_chain_that_is_twice_as_fast_is_found_out(judged):
    """Its hop probability h' satisfies 1 - 2 h' = (1 - 2 h)^2, so that t2 is exactly half."""
    hop = 0.01
    twice = (1 - (1 - 2 * hop) ** 2) / 2
    n_covered = 0
    for seed in (0, 1, 2):  # a 90 % interval misses now and then
        slow, fast = two_states(hop, 4000, 40, seed=10 + seed), two_states(twice, 4000, 40, seed=20 + seed)
        _, metrics = judged(slow, fast, "lag_time=10")
        found = re.fullmatch(r"too fast by ([\d.]+)x \[([\d.]+), ([\d.]+)\]", metrics["verdict"])
        assert found, metrics["verdict"]
        factor, low, high = map(float, found.groups())
        assert factor == pytest.approx(2, rel=0.15)
        assert metrics["t2_data_ps"] == pytest.approx(-1 / np.log(1 - 2 * hop), rel=0.15)
        n_covered += low < 2 < high
    assert n_covered >= 2


def test_three_events_decide_nothing(judged):
    """In the sample they are as rare as the data's own rate says, or else it would be clear that they are too few."""
    many, three = two_states(0.01, 3000, 20, seed=0), np.repeat([0, 1, 0, 1], 100)
    _, metrics = judged(many, three, "lag_time=20")
    assert metrics["n_slow_events_sampled"] == 3
    assert metrics["verdict"].startswith("undecided: ")
    _, metrics = judged(three, many, "lag_time=20")
    assert metrics["verdict"] == "undecided: 3 events in the data (10 needed)"


def test_everything_is_written_and_the_same_words_give_the_same_numbers(judged, tmp_path):
    chain = two_states(0.02, 1000, 10, seed=0)
    ended, first = judged(chain, chain[:, ::-1], "lag_time=10", "seed=3")
    written = {path.relative_to(tmp_path / "out").as_posix() for path in (tmp_path / "out").rglob("*.*")}
    assert {
        "config.yaml",
        "metrics.json",
        "summary.txt",
        "report.html",
        "figures/mfpt.png",
        "figures/mfpt.svg",
    } <= written
    assert f"Verdict: {first['verdict']}" in ended.out
    assert (tmp_path / "out" / "summary.txt").read_text().splitlines()[0] in ended.out
    figures = {path.name: path.read_bytes() for path in (tmp_path / "out" / "figures").glob("*.svg")}
    _, second = judged(chain, chain[:, ::-1], "lag_time=10", "seed=3")
    assert first == second
    assert figures.keys() == {path.name for path in (tmp_path / "out" / "figures").glob("*.svg")}


def test_text_files_gaps_and_labels_that_are_no_counting_numbers(mdlm, tmp_path):
    """Labels 5 and 9 are states 0 and 1; a negative label ends a trajectory."""
    rng = np.random.default_rng(0)
    for name in ("md1", "md2", "made"):
        labels = np.where(two_states(0.02, 4000, 1, seed=rng.integers(99))[0] == 0, 5, 9)
        labels[2000] = -1
        np.savetxt(tmp_path / f"{name}.txt", labels, fmt="%d")
    ended = mdlm("evaluate", "reference=md*.txt", "sampled=made.txt", "lag_time=10", *FILES, cwd=tmp_path)
    assert ended.code == 0, ended.err
    metrics = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert "states are numbered anew, for some labels are absent: 0 is 5, 1 is 9" in metrics["notes"]
    assert "length (ps)" in ended.out
    assert "7,998" in ended.out  # two files of 4000 frames, one gap each
    assert "3,999" in ended.out


def test_a_sample_at_a_longer_frame_time_is_judged_in_the_same_time(judged):
    chain = two_states(0.01, 6000, 20, seed=0)
    _, metrics = judged(chain, chain[:, ::5], "lag_time=20", "sampled_frame_time=5")
    assert metrics["t2_ratio_to_data"] == pytest.approx(1, abs=0.05)
    assert metrics["verdict"].startswith("within")


def test_macrostates_come_from_a_file_or_from_the_reference(judged, sample_chain, four_states, tmp_path):
    reference, sampled = (np.array(sample_chain(four_states, 20, 3000, seed)) for seed in (0, 1))
    (tmp_path / "map.txt").write_text("# state macrostate\n0 left\n1 left\n2 right\n3 right\n")
    _, of_file = judged(reference, sampled, "lag_time=50", "macrostates=map.txt")
    _, of_pcca = judged(reference, sampled, "lag_time=50", "macrostates=pcca", "n_macrostates=2")
    assert "4 states are judged as 2 macrostates" in of_file["notes"]
    assert of_pcca["t2_data_ps"] == pytest.approx(of_file["t2_data_ps"])  # the pairs {0, 1} and {2, 3} are its sets too
    assert of_pcca["t2_data_ps"] == pytest.approx(1 / 0.004, rel=0.2)


def test_training_data_are_judged_apart_from_the_reference(judged, tmp_path):
    chain = two_states(0.01, 3000, 20, seed=0)
    np.save(tmp_path / "part.npy", chain[:5])
    ended, metrics = judged(chain, chain, "lag_time=20", "training=part.npy")
    assert metrics["t2_reference_ps"] != metrics["t2_data_ps"]
    assert "15,000" in ended.out


def test_states_that_are_not_connected_are_named_and_never_dropped_in_silence(judged):
    chain = np.concatenate([two_states(0.02, 3000, 10, seed=0), np.full((1, 3000), 2)])
    _, metrics = judged(chain, chain, "lag_time=20")
    assert any("state 2 not connected to the rest, dropped" in note for note in metrics["notes"])
    assert metrics["verdict"].startswith("within")


def test_a_reference_without_two_connected_states_decides_nothing(judged):
    apart = np.stack([np.zeros(500, int), np.ones(500, int)])
    _, metrics = judged(apart, apart, "lag_time=20")
    assert metrics["verdict"].startswith("undecided: the reference holds no slow process")


CHAIN = two_states(0.02, 500, 4, seed=0)


@pytest.mark.parametrize(
    ("reference", "sampled", "words", "message"),
    [
        (CHAIN, CHAIN + 1, ["lag_time=5"], "sampled holds states that the reference never visits (2); both must be in"),
        (CHAIN, CHAIN, ["lag_time=500"], "lag_time (500 ps, 500 frames) must be shorter than the longest sequence of"),
        (CHAIN, CHAIN[:, :100], ["lag_time=200"], "longest sequence of sampled, 100 frames"),
        (CHAIN, CHAIN, ["lag_time=1.5"], "lag_time (1.5 ps) must be a positive multiple of the frame time, 1 ps"),
        (CHAIN, CHAIN[:, :0], ["lag_time=5"], "sampled holds no two frames in a row that are in a state"),
        (CHAIN, CHAIN - 5, ["lag_time=5"], "sampled holds no two frames in a row that are in a state"),
        (
            CHAIN * 0 + 3,
            CHAIN * 0 + 3,
            ["lag_time=5"],
            "reference holds no other state than 3; at least two are needed",
        ),
        (CHAIN, CHAIN + 0.5, ["lag_time=5"], "sampled: sampled.npy holds"),
        (CHAIN, CHAIN, [], "lag_time missing: give lag_time=..."),
        (CHAIN, CHAIN, ["lag_time=five"], "lag_time (five) must be a time in time_unit, such as 10"),
        (CHAIN, CHAIN, ["lag_time=-5"], "lag_time (-5.0) must be a positive time"),
        (CHAIN, CHAIN, ["lag_time=5", "lagtime=5"], "lagtime is no field of mdlm evaluate; did you mean lag_time?"),
        (
            CHAIN,
            CHAIN,
            ["lag_time=5", "kinetics.n_resample=5"],
            "kinetics.n_resample is no option of Kinetics; did you",
        ),
        (CHAIN, CHAIN, ["lag_time=5", "training=none.npy"], "training (none.npy) does not exist"),
        (CHAIN, CHAIN, ["lag_time=5", "macrostates=four"], "macrostates (four) must be own, pcca or a file"),
        (CHAIN, CHAIN, ["lag_time=5", "n_macrostates=2"], "n_macrostates (2) is of macrostates=pcca only"),
        (CHAIN, CHAIN, ["lag_time=5", "tracking=wandb"], "tracking (wandb) must be none or mlflow"),
        (CHAIN, CHAIN, ["lag_time=5", "run=x"], "is no field of a finished run: give run or reference and sampled"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(reference, sampled, words, message, judged):
    ended, metrics = judged(reference, sampled, *words)
    assert ended.code == 1
    assert message in ended.error
    assert not metrics


def test_a_missing_unit_and_missing_files_are_named(mdlm, tmp_path):
    np.save(tmp_path / "a.npy", CHAIN)
    both = ["reference=a.npy", "sampled=a.npy", "frame_time=1", "lag_time=5"]
    assert mdlm("evaluate", *both, cwd=tmp_path).error == "time_unit missing: give time_unit=..."
    ended = mdlm("evaluate", *both, "time_unit=ps", "sampled=b*.npy", cwd=tmp_path)
    assert ended.error.startswith("sampled (b*.npy) matches no file")
    assert "run=DIR of a finished run" in mdlm("evaluate", cwd=tmp_path).error


def test_a_finished_run_is_judged_again_with_the_same_numbers(mdlm, finished):
    folder, _ = finished
    ended = mdlm("evaluate", "run=run", "out=again", cwd=folder)
    assert ended.code == 0, ended.err
    first, again = (json.loads((folder / name / "metrics.json").read_text()) for name in ("run", "again"))
    assert {"t2_ratio_to_data", "nll_nats_per_token", "verdict", "notes"} <= again.keys()
    assert again == {name: first[name] for name in again}
    assert not (folder / "again" / "checkpoint").exists()


def test_a_finished_run_is_judged_at_another_lag(mdlm, finished):
    folder, _ = finished
    ended = mdlm("evaluate", "run=run", "kinetics.lag_time=20", "out=at_20", cwd=folder)
    assert ended.code == 0, ended.err
    assert "Slow kinetics at lag 20 " in ended.out
    first, again = (json.loads((folder / name / "metrics.json").read_text()) for name in ("run", "at_20"))
    assert again["t2_data_reduced"] != first["t2_data_reduced"]
    assert again["nll_nats_per_token"] == first["nll_nats_per_token"]  # of the model, which nobody asked again


def test_a_run_whose_states_are_gone_says_so(mdlm, tracked):
    shutil.rmtree(tracked / "outputs" / "cache")
    ended = mdlm("evaluate", "run=run", "out=out", cwd=tracked)
    assert ended.error.startswith("run (run): its states are no longer in the cache (outputs/cache)")
    assert "run (nothing) must be the folder of a finished run" in mdlm("evaluate", "run=nothing", cwd=tracked).error
    assert "out (run) must be another folder" in mdlm("evaluate", "run=run", "out=run", cwd=tracked).error


def test_an_evaluation_is_written_to_mlflow(mdlm, tracked):
    np.save(tracked / "a.npy", CHAIN)
    words = ["reference=a.npy", "sampled=a.npy", "lag_time=5", "tracking=mlflow", *FILES]
    assert mdlm("evaluate", *words, cwd=tracked).code == 0
    from mlflow.tracking import MlflowClient

    client = MlflowClient(f"sqlite:///{tracked}/outputs/mlflow/mlflow.db")
    run = client.get_run((tracked / "out" / "mlflow_run_id").read_text())
    assert run.data.metrics["t2_ratio_to_data"] == 1
    assert run.data.tags["verdict"].startswith("within")
    assert "report.html" in {entry.path for entry in client.list_artifacts(run.info.run_id)}


def test_the_help_teaches_with_examples(mdlm, tmp_path):
    out = mdlm("evaluate", "--help", cwd=tmp_path).out
    assert "mdlm evaluate reference=md.npy sampled=generated.npz" in out
    for name in (
        "run",
        "reference",
        "sampled",
        "training",
        "frame_time",
        "time_unit",
        "lag_time",
        "macrostates",
        "out",
    ):
        assert f"\n  {name}=" in out
