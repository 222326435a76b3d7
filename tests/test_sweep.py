"""One sweep over the factors: every stage once, every row on common ground."""

import json

import pytest

SMALL = [
    "system.n_walkers=10",
    "system.n_steps=20_000_000",
    "system.beta=6.0",  # hotter than published: hundreds of slow events in little data
    "sampling.n_chains=20",
    "sampling.chain_length=5000",
    "kinetics.n_resamples=20",
    "kinetics.n_lags=3",
    "tracking=none",
    "baselines=none",
    "model=markov",
]


def results(folder):
    """Metrics of every run, by its folder's name."""
    return {path.parent.name: json.loads(path.read_text()) for path in sorted(folder.glob("*/metrics.json"))}


@pytest.mark.slow
def test_partitions_recrossings_and_strides_make_comparable_rows(mdlm, tmp_path):
    factors = ["partition=wells,grid,kmeans,kcenters,pcca", "recrossing=keep,coring", "stride=1,10"]
    ended = mdlm("train", "-m", *SMALL, *factors, "hydra.sweep.dir=sweep", cwd=tmp_path)
    assert ended.code == 0, ended.err
    found = results(tmp_path / "sweep")
    assert len(found) == 20
    cached = sorted(path.name for path in (tmp_path / "outputs" / "cache").glob("*.safetensors"))
    stages = [name.partition("-")[0] for name in cached]
    assert {stage: stages.count(stage) for stage in set(stages)} == {
        "trajectories": 1,
        "partition": 5,
        "recrossing": 5,
        "macrostates": 5,
    }
    keep = [metrics for name, metrics in found.items() if metrics["recrossing_fraction_changed"] == 0]
    assert len(keep) >= 10
    assert len({metrics["t2_reference_reduced"] for metrics in found.values()}) == 1
    # Without a treatment all partitions see the same slow process through the same macrostates.
    times = [metrics["t2_data_reduced"] for metrics in keep]
    assert max(times) < 1.1 * min(times)


def test_coring_of_wells_lifts_the_markov_timescale_to_that_of_the_data(mdlm, tmp_path):
    for recrossing in ("keep", "coring"):
        ended = mdlm("train", *SMALL, f"recrossing={recrossing}", f"hydra.run.dir={recrossing}", cwd=tmp_path)
        assert ended.code == 0, ended.err
    keep, coring = (json.loads((tmp_path / run / "metrics.json").read_text()) for run in ("keep", "coring"))
    assert keep["markov_t2_ratio_to_data"] < 0.5
    assert coring["markov_t2_ratio_to_data"] > 0.8
    assert keep["n_states"] == coring["n_states"] == 5


def test_dwell_tokens_are_judged_in_frames(mdlm, tmp_path):
    ended = mdlm("train", *SMALL, "tokens=dwell", "partition=wells", "hydra.run.dir=run", cwd=tmp_path)
    assert ended.code == 0, ended.err
    found = json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert found["frames_per_token"] > 10
    assert found["n_tokens"] > found["n_states"] == 4
    assert 0.5 < found["t2_ratio_to_data"] < 2  # in tokens it would be smaller by frames_per_token
