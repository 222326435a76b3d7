import json

import pytest


def run(mdlm, tmp_path, tiny, name, *words):
    folder = tmp_path / name
    folder_words = (f"hydra.run.dir={folder}", f"cache_dir={tmp_path / 'cache'}", "tracking=none")
    ended = mdlm("train", *tiny, "baselines=standard", *folder_words, *words, cwd=tmp_path)
    assert ended.code == 0, ended.err
    return json.loads((folder / "metrics.json").read_text()), (folder / "summary.txt").read_text(), folder


def of_baselines(metrics):
    return {name: value for name, value in metrics.items() if name.startswith("baseline_")}


def cached(tmp_path):
    return len(list((tmp_path / "cache").glob("baselines-*.safetensors")))


@pytest.mark.slow
def test_a_run_has_its_baselines_and_a_sweep_over_models_computes_them_once(mdlm, tmp_path, tiny):
    metrics, summary, folder = run(mdlm, tmp_path, tiny, "markov", "model=markov")
    for name in ("markov", "markov_k", "semi_markov", "hmm", "msm"):
        assert f"baseline_{name}_t2_ratio_to_data" in metrics
    assert metrics["baseline_msm_nll_nats_per_frame"] is None
    assert "semi-Markov process" in summary
    assert "The model makes no use of history" in summary  # it is a Markov chain itself
    assert metrics["memory_tokens"] == 1
    assert (folder / "figures" / "context.png").exists()
    again, _, _ = run(mdlm, tmp_path, tiny, "semi_markov", "model=semi_markov")
    assert of_baselines(again) == of_baselines(metrics)
    assert cached(tmp_path) == 1
    run(
        mdlm, tmp_path, tiny, "later", "model=markov", "kinetics.n_resamples=21", "baselines.methods.hmm.extra_states=0"
    )
    assert cached(tmp_path) == 2


def test_a_run_can_do_without_them(mdlm, tmp_path, tiny):
    metrics, summary, _ = run(mdlm, tmp_path, tiny, "none", "model=markov", "baselines=none")
    assert not of_baselines(metrics)
    assert not [name for name in metrics if name.startswith("memory_")]
    assert "Baselines" not in summary
    assert cached(tmp_path) == 0


def test_one_baseline_can_be_left_out(mdlm, tmp_path, tiny):
    metrics, _, _ = run(
        mdlm, tmp_path, tiny, "less", "model=markov", "~baselines.methods.hmm", "baselines.context_targets=0"
    )
    assert {name.split("_t2")[0] for name in of_baselines(metrics) if name.endswith("_to_data")} == {
        f"baseline_{name}" for name in ("markov", "markov_k", "semi_markov", "msm")
    }
    assert "memory_tokens" not in metrics


def test_run_length_tokens_are_judged_by_frames(mdlm, tmp_path, tiny):
    metrics, _, _ = run(
        mdlm, tmp_path, tiny, "dwell", "model=markov", "tokens=dwell", "baselines.methods.hmm.max_iterations=3"
    )
    assert metrics["baseline_markov_nll_nats_per_frame"] > 0
    assert metrics["memory_time_reduced"] == metrics["memory_tokens"] * metrics["frames_per_token"]
