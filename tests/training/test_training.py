"""Settings, and what one update does."""

import dataclasses

import numpy as np
import pytest
import torch

from mdlm.model.lstm import LSTMConfig
from mdlm.model.markov import MarkovConfig
from mdlm.model.transformer import TransformerConfig
from mdlm.sampling.sampling import Sampling
from mdlm.tokens.base import Tokens
from mdlm.training import run
from mdlm.training.evaluate import nll_nats_per_token
from mdlm.training.fitted import load
from mdlm.training.optimiser import Schedule
from mdlm.trajectory import Split

LSTM = LSTMConfig(embedding=4, hidden=8, layers=1, dropout=0.0)
TRANSFORMER = TransformerConfig(width=8, heads=2, layers=2, window=6, dropout=0.3)
DEEP_LSTM = LSTMConfig(embedding=4, hidden=8, layers=2, dropout=0.3)


@pytest.fixture
def optimiser_of(monkeypatch):
    """A list that gets the optimiser of every run."""
    made, original = [], run.adamw

    def spy(*arguments):
        made.append(original(*arguments))
        return made[-1]

    monkeypatch.setattr(run, "adamw", spy)
    return made


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"batch_size": 0}, r"batch_size \(0\) must be at least 1"),
        ({"max_epochs": 0}, r"max_epochs \(0\) must be at least 1"),
        ({"patience": 0}, r"patience \(0\) must be at least 1"),
        ({"context_length": 1}, r"context_length \(1\) must be at least 2"),
        ({"weight_decay": -0.1}, r"weight_decay \(-0.1\) must be at least 0"),
        ({"weight_decay": float("nan")}, r"weight_decay \(nan\) must be at least 0"),
        ({"learning_rate": 0.0}, r"learning_rate \(0\) must be above 0 and finite"),
        ({"gradient_clip": float("nan")}, r"gradient_clip \(nan\) must be above 0 and finite"),
        ({"warmup_fraction": 1.5}, r"warmup_fraction \(1.5\) must lie in \[0, 1\]"),
        ({"batching": "stream"}, r"batching \(stream\) must be one of streams, windows"),
        ({"precision": "bf16"}, r"precision \(bf16\) must be one of auto, float32, bfloat16"),
        ({"schedule": "linear"}, r"schedule \(linear\) must be one of cosine, constant"),
        ({"scheduled_sampling": 1.5}, r"scheduled_sampling \(1.5\) must lie in \[0, 1\]"),
        ({"scheduled_sampling_ramp": float("nan")}, r"scheduled_sampling_ramp \(nan\) must lie in \[0, 1\]"),
        ({"support": "some"}, r"support \(some\) must be one of seen, all, counted"),
        ({"micro_batch_size": 0}, r"micro_batch_size \(0\) must be at least 1"),
        ({"checkpoint_minutes": 0.0}, r"checkpoint_minutes \(0\) must be above 0, or null"),
        ({"checkpoint_minutes": float("nan")}, r"checkpoint_minutes \(nan\) must be above 0, or null"),
        ({"device": "mps"}, r"device \(mps\) must be auto, cpu, cuda or cuda:N"),
        ({"device": "gpu"}, r"device \(gpu\) must be auto, cpu, cuda or cuda:N"),
    ],
)
def test_a_bad_setting_is_named_in_one_line(training, change, message):
    with pytest.raises(ValueError, match=f"^{message}$"):
        training(**change)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_that_is_not_there_is_refused(training):
    with pytest.raises(ValueError, match=r"^device \(cuda:1\) is not there: torch sees no GPU; use auto or cpu$"):
        training(device="cuda:1")
    assert training(device="auto").torch_device() == torch.device("cpu")


def test_a_window_longer_than_every_trajectory_is_refused(training, tokens, tmp_path):
    message = (
        r"^context_length \(400\) must be below the longest training trajectory, 400 frames after the stride, "
        "with batching=windows$"
    )
    with pytest.raises(ValueError, match=message):
        training(batching="windows", context_length=400).fit(LSTM, tokens(400, 301), 0, tmp_path, {})
    training(batching="windows", context_length=399).check((400, 301))


def test_trajectories_of_one_token_each_are_refused(training):
    with pytest.raises(ValueError, match=r"^every training trajectory is a single token"):
        training(context_length=400).check((1, 1))
    training(context_length=400).check((1, 2))


def test_a_chunk_is_no_longer_than_the_longest_trajectory(training):
    """Whatever is longer would be padding. 101 frames are 100 inputs, each with a successor."""
    settings, pieces = training(context_length=400), (np.arange(101) % 3, np.arange(41) % 3)
    settings.check((101, 41))
    assert {batch.inputs_BT.shape for batch in settings.batches(pieces).epoch(np.random.default_rng(0))} == {(1, 100)}


def test_windows_shorter_than_the_attention_window_are_refused(training, tokens, tmp_path):
    """Otherwise sampling would attend over distances that training never showed."""
    config = TransformerConfig(width=8, heads=2, layers=1, window=6, dropout=0.0)
    message = r"^context_length \(5\) must be at least the model's window \(6\) with batching=windows"
    with pytest.raises(ValueError, match=message):
        training(batching="windows", context_length=5).fit(config, tokens(), 0, tmp_path, {})
    training(batching="windows", context_length=6).check_model(config)
    training(batching="streams", context_length=5).check_model(config)


def test_the_learning_rate_reaches_the_optimiser_and_follows_the_schedule(training, tokens, tmp_path, optimiser_of):
    """Trap 7. 5 batches x 4 epochs; a warm-up of 4 steps, then half a cosine: at a quarter (2 + sqrt 2) / 4."""
    rates = []

    def progress(*_):
        rates.append([group["lr"] for group in optimiser_of[0].param_groups])

    settings = training(batching="windows", learning_rate=0.05, warmup_fraction=0.2)
    fitted = settings.fit(LSTM, tokens(401), 0, tmp_path, {}, progress)
    used = np.array(rates[:-1])  # the last report is that of the end
    assert used.shape == (20, 2)
    assert (used[:, 0] == used[:, 1]).all()
    np.testing.assert_allclose(used[:5, 0], 0.05 * np.array([0.2, 0.4, 0.6, 0.8, 1.0]))
    np.testing.assert_allclose(used[[8, 12, 16], 0], 0.05 * np.array([2 + 2**0.5, 2, 2 - 2**0.5]) / 4)
    assert 0 < used[-1, 0] < 0.05 * 0.01
    np.testing.assert_allclose([epoch.learning_rate for epoch in fitted.history], [*used[5::5, 0], 0])


@pytest.mark.parametrize(
    ("config", "rate"), [(LSTM, 0.01), (TransformerConfig(8, 2, layers=1, window=6, dropout=0.0), 0.001)]
)
def test_the_learning_rate_is_the_models_own_where_none_is_given(training, tokens, tmp_path, config, rate):
    """Transformers want a tenth of it."""
    settings = training(learning_rate=None, schedule="constant", max_epochs=1)
    assert settings.fit(config, tokens(401), 0, tmp_path, {}).history[0].learning_rate == rate


def test_a_constant_schedule_stays_at_the_peak_after_the_warm_up(training, tokens, tmp_path):
    settings = training(learning_rate=0.05, warmup_fraction=0.25, schedule="constant")
    history = settings.fit(LSTM, tokens(401), 0, tmp_path, {}).history
    assert [epoch.learning_rate for epoch in history] == [0.05] * 4
    assert [Schedule(0.05, 0.25, 16, "constant").rate(n) for n in range(16)] == pytest.approx(
        [0.01, 0.02, 0.03, 0.04, *[0.05] * 12]
    )


def one_update(training, tokens, tmp_path, name, **changes):
    """Weights before and after the only step of a run of one batch."""
    torch.manual_seed(0)
    before = LSTM.build(3)
    settings = training(batching="windows", max_epochs=1, **changes)
    after = settings.fit(LSTM, tokens(81), 0, tmp_path / name, {}).model
    return tuple({name: p.detach() for name, p in model.named_parameters()} for model in (before, after))


@pytest.mark.parametrize("learning_rate", [0.1, 0.001])
def test_the_first_step_of_adam_moves_each_weight_by_the_learning_rate(training, tokens, tmp_path, learning_rate):
    """Its averages after one gradient g give g / |g|; to 1e-3, for gradients a thousand times its epsilon, 1e-8."""
    before, after = one_update(training, tokens, tmp_path, "run", learning_rate=learning_rate)
    for name in before:
        moved = (after[name] - before[name]).abs()
        assert moved.median().item() == pytest.approx(learning_rate, rel=1e-3)
        assert moved.max().item() <= 1.001 * learning_rate


def test_weight_decay_pulls_matrices_only(training, tokens, tmp_path):
    """By learning rate x decay of themselves, 0.01 x 0.5; biases stay where they were."""
    start, plain = one_update(training, tokens, tmp_path, "plain")
    _, decayed = one_update(training, tokens, tmp_path, "decayed", weight_decay=0.5)
    assert {len(tensor.shape) for tensor in start.values()} == {1, 2}
    for name, tensor in start.items():
        pull = 0.005 * tensor if tensor.ndim == 2 else torch.zeros_like(tensor)
        torch.testing.assert_close(plain[name] - decayed[name], pull, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("gradient_clip", [1e-3, 1e3])
def test_the_gradient_is_clipped_to_its_largest_norm(training, tokens, tmp_path, optimiser_of, gradient_clip):
    norms = []

    def progress(*_):
        parameters = [p for group in optimiser_of[0].param_groups for p in group["params"]]
        norms.append(torch.stack([p.grad.norm() for p in parameters]).norm().item())

    training(gradient_clip=gradient_clip).fit(LSTM, tokens(), 0, tmp_path, {}, progress)
    assert np.allclose(norms, 1e-3, rtol=1e-2) == (gradient_clip == 1e-3)
    assert max(norms) < 10


@pytest.mark.parametrize("config", [DEEP_LSTM, TRANSFORMER])
@pytest.mark.parametrize("precision", ["float32", pytest.param("bfloat16", marks=pytest.mark.bfloat16)])
@pytest.mark.parametrize("batching", ["streams", "windows"])
def test_every_precision_and_batching_trains_every_network(training, tokens, tmp_path, config, precision, batching):
    """Two states in turn: their entropy is zero, a guess costs ln 2."""
    alternating = tokens(n_states=2).map(
        lambda part: dataclasses.replace(part, pieces=tuple(np.arange(len(piece)) % 2 for piece in part.pieces))
    )
    settings = training(precision=precision, batching=batching, learning_rate=0.03, max_epochs=6)
    fitted = settings.fit(config, alternating, 0, tmp_path, {})
    assert settings.uses_bfloat16() == (precision == "bfloat16")
    assert fitted.batching == batching
    assert fitted.history[-1].validation_nll < 0.2 * np.log(2)
    assert {parameter.dtype for parameter in fitted.model.parameters()} == {torch.float32}


def test_bfloat16_is_refused_in_one_line_where_the_processor_cannot(training, monkeypatch):
    monkeypatch.setattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", lambda: False)
    with pytest.raises(
        ValueError, match=r"^training.precision \(bfloat16\) is not what this cpu computes in; use auto or float32$"
    ):
        training(precision="bfloat16", device="cpu").uses_bfloat16()
    assert not training(precision="auto", device="cpu").uses_bfloat16()


@pytest.mark.bfloat16
@pytest.mark.parametrize("config", [DEEP_LSTM, TRANSFORMER])
def test_bfloat16_reaches_the_products_and_not_the_evaluation(training, tokens, tmp_path, config):
    """Eight bits: losses differ in the third digit or so, not in the first."""
    data = tokens()
    fits = {p: training(precision=p).fit(config, data, 0, tmp_path / p, {}) for p in ("float32", "bfloat16")}
    full, half = (fits[precision].history[0].train_nll for precision in ("float32", "bfloat16"))
    assert full != half
    assert half == pytest.approx(full, rel=0.01)
    judged = nll_nats_per_token(fits["bfloat16"].model, data.validation.pieces)
    assert judged == fits["bfloat16"].history[fits["bfloat16"].best_epoch - 1].validation_nll


def test_a_loss_that_is_no_number_stops_with_advice(training, tokens, tmp_path):
    settings = training(learning_rate=1e38)
    message = (
        r"^the loss became (nan|inf) in epoch 1; lower training.learning_rate \(1e\+38\) or set training.precision"
    )
    with pytest.raises(FloatingPointError, match=message):
        settings.fit(LSTM, tokens(), 0, tmp_path, {})


def test_a_validation_loss_that_is_no_number_stops_too(training, tokens, tmp_path, monkeypatch):
    """The last update of an epoch may be the one that breaks the weights."""
    monkeypatch.setattr(run, "nll_nats_per_token", lambda *_: float("nan"))
    with pytest.raises(FloatingPointError, match=r"^the loss became nan in epoch 1"):
        training().fit(LSTM, tokens(), 0, tmp_path, {})
    assert not list(tmp_path.iterdir())


def test_a_counted_model_is_counted_from_the_training_data(training, tokens, tmp_path):
    data = tokens()
    fitted = training().fit(MarkovConfig(order=2), data, 0, tmp_path, {"a": 1})
    expected = MarkovConfig(order=2).build(3)
    expected.count(data.train.pieces)
    saved = load(tmp_path / "best.safetensors", MarkovConfig(order=2))
    for name, table in expected.state_dict().items():
        assert torch.equal(fitted.model.state_dict()[name], table)
        assert torch.equal(saved.state_dict()[name], table)
    assert fitted.history == []
    assert fitted.batching == "counted"


@pytest.mark.parametrize("config", [DEEP_LSTM, TRANSFORMER, MarkovConfig(order=1)])
def test_the_model_comes_in_evaluation_mode_from_fit_and_from_the_file(training, tokens, tmp_path, config):
    data = tokens()
    fitted = training().fit(config, data, 0, tmp_path, {})
    loaded = load(tmp_path / "best.safetensors", config)
    for model in (fitted.model, loaded):
        assert not any(part.training for part in model.modules())
    pieces = data.test.pieces
    assert nll_nats_per_token(loaded, pieces) == nll_nats_per_token(fitted.model, pieces)


RING = np.tile([0, 0, 1, 1, 2, 2], 60)
"""0 > 0 > 1 > 1 > 2 > 2 > 0; never backwards."""


def ring_tokens(*validation):
    parts = ((RING,), (RING, *validation), (RING,))
    return Split(*(Tokens(part, tuple("abc"), n_unseen=0) for part in parts))


@pytest.mark.parametrize("config", [DEEP_LSTM, TRANSFORMER])
@pytest.mark.parametrize("support", ["seen", "counted", "all"])
def test_jumps_the_data_rule_out_are_never_sampled_unless_all_are_allowed(training, tmp_path, config, support):
    """Hot, after a short training; from the model at hand and from its file."""
    tokens = ring_tokens()
    fitted = training(support=support, max_epochs=1).fit(config, tokens, 0, tmp_path, {})
    hot = Sampling(n_chains=20, chain_length=300, prompt_length=2, sampling_temperature=5.0)
    for model in (fitted.model, load(tmp_path / "best.safetensors", config)):
        chains = hot.draw(model, tokens.test.pieces, seed=0).chains.astype(int)
        assert set((np.diff(chains) % 3).ravel()) == ({0, 1, 2} if support == "all" else {0, 1})


@pytest.mark.parametrize("config", [DEEP_LSTM, TRANSFORMER])
def test_what_only_validation_shows_is_not_ruled_out(training, tmp_path, config):
    """Or early stopping would compare infinities."""
    tokens = ring_tokens(np.array([0, 2]))
    fitted = training(support="seen", max_epochs=2).fit(config, tokens, 0, tmp_path, {})
    assert np.isfinite([epoch.validation_nll for epoch in fitted.history]).all()
    assert nll_nats_per_token(fitted.model, [np.array([0, 2])]) < np.inf
    assert nll_nats_per_token(fitted.model, [np.array([1, 0])]) == np.inf
