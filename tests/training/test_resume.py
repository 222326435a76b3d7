"""Runs that are repeated, interrupted, stopped early, or found in a directory that is not theirs."""

import dataclasses
import shutil
import time

import pytest
import torch

from mdlm.model.lstm import LSTMConfig
from mdlm.model.transformer import TransformerConfig
from mdlm.training import checkpoint, run
from mdlm.training.evaluate import nll_nats_per_token
from mdlm.trajectory import Split

# with dropout, so that its random numbers must match too
CONFIGS = {
    "lstm": LSTMConfig(embedding=4, hidden=8, layers=2, dropout=0.3),
    "transformer": TransformerConfig(width=8, heads=2, layers=2, window=6, dropout=0.3),
}
LSTM = CONFIGS["lstm"]
both = pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS.keys())


class Interrupted(Exception):
    """What ends a process in the middle."""


def interrupt_after(epochs):
    def progress(done, total, note=""):
        if done >= epochs:
            raise Interrupted

    return progress


def same_weights(one, other):
    pairs = zip(one.state_dict().items(), other.state_dict().items(), strict=True)
    return all(name == twin and torch.equal(a, b) for (name, a), (twin, b) in pairs)


def curve(fitted):
    return [(e.epoch, e.train_nll, e.validation_nll, e.learning_rate) for e in fitted.history]


@both
def test_the_same_seed_gives_the_same_bits_and_another_seed_others(training, tokens, tmp_path, config):
    one, same, other = (
        training().fit(config, tokens(), seed, tmp_path / name, {}) for name, seed in (("a", 5), ("b", 5), ("c", 6))
    )
    assert same_weights(one.model, same.model)
    assert curve(one) == curve(same)
    assert not same_weights(one.model, other.model)
    assert curve(one) != curve(other)


def test_the_callers_random_numbers_are_left_alone(training, tokens, tmp_path):
    torch.manual_seed(0)
    before = torch.get_rng_state()
    training().fit(LSTM, tokens(), 7, tmp_path / "a", {})
    assert torch.equal(torch.get_rng_state(), before)
    torch.rand(10)
    again = training().fit(LSTM, tokens(), 7, tmp_path / "b", {})
    assert again.history[-1].train_nll == training().fit(LSTM, tokens(), 7, tmp_path / "a", {}).history[-1].train_nll


@both
@pytest.mark.parametrize("done", [2.0, 2.5])
def test_an_interrupted_run_ends_as_if_it_had_not_been(training, tokens, tmp_path, config, done):
    """Ended in the third epoch, at its first step or in its middle: two are done, two are to do."""
    straight = training().fit(config, tokens(), 0, tmp_path / "straight", {"x": 1})
    with pytest.raises(Interrupted):
        training().fit(config, tokens(), 0, tmp_path / "broken", {"x": 1}, interrupt_after(done + 1e-9))
    shutil.copytree(tmp_path / "broken", tmp_path / "copied")
    for name in ("broken", "copied"):
        resumed = training().fit(config, tokens(), 0, tmp_path / name, {"x": 1})
        assert resumed.resumed_at == 2
        assert same_weights(resumed.model, straight.model)
        assert curve(resumed) == curve(straight)
        assert resumed.best_epoch == straight.best_epoch
        for file in ("best.safetensors", "last.safetensors"):
            one, _ = checkpoint.read(tmp_path / name / file)
            other, _ = checkpoint.read(tmp_path / "straight" / file)
            assert one.keys() == other.keys()
            assert all(torch.equal(tensor, other[key]) for key, tensor in one.items())
    assert straight.resumed_at is None


def in_the_middle(update, error):
    """Ends a process after an update of the third epoch."""
    seen = []

    def progress(done, total, note=""):
        if done > 2:
            seen.append(done)
            if len(seen) == update:
                raise error

    return progress


@both
@pytest.mark.parametrize("batching", ["streams", "windows"])
@pytest.mark.parametrize("precision", ["float32", pytest.param("bfloat16", marks=pytest.mark.bfloat16)])
@pytest.mark.parametrize("end", ["killed", "stopped"])
def test_a_run_ended_within_an_epoch_goes_on_there_with_the_same_bits(
    training, tokens, tmp_path, config, batching, precision, end
):
    """Killed: one that saves after each update. Stopped from outside: any other is saved then, too."""
    settings = training(batching=batching, precision=precision, checkpoint_minutes=1e-12 if end == "killed" else None)
    error = Interrupted if end == "killed" else KeyboardInterrupt
    straight = training(batching=batching, precision=precision).fit(config, tokens(), 0, tmp_path / "straight", {})
    for update in (1, 4):  # twice: what was restored is saved again; a killed one has not saved the last update
        with pytest.raises(error):
            settings.fit(config, tokens(), 0, tmp_path / "broken", {}, in_the_middle(update, error))
    _, description = checkpoint.read(tmp_path / "broken" / "last.safetensors")
    assert description["position"]["n_updates"] == (3 if end == "killed" else 5)
    resumed = settings.fit(config, tokens(), 0, tmp_path / "broken", {})
    assert resumed.resumed_at == 2
    assert curve(resumed) == curve(straight)
    for file in ("best.safetensors", "last.safetensors"):
        one, other = (checkpoint.read(tmp_path / name / file)[0] for name in ("broken", "straight"))
        assert one.keys() == other.keys()
        assert all(torch.equal(tensor, other[key]) for key, tensor in one.items())


def test_the_time_of_an_epoch_is_that_of_all_attempts_at_it(training, tokens, tmp_path):
    def stopped_late(done, total, note=""):
        time.sleep(0.3)
        raise KeyboardInterrupt

    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            training().fit(LSTM, tokens(), 0, tmp_path, {}, stopped_late)
    resumed = training(max_epochs=4).fit(LSTM, tokens(), 0, tmp_path, {})
    assert resumed.resumed_at == 0
    assert resumed.history[0].seconds > 0.6 > resumed.history[1].seconds


def test_stopped_while_it_is_judged_an_epoch_is_only_judged_again(training, tokens, tmp_path, monkeypatch):
    straight = training().fit(LSTM, tokens(), 0, tmp_path / "straight", {})
    reports = []

    def stopped(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(run, "nll_nats_per_token", stopped)
        with pytest.raises(KeyboardInterrupt):
            training().fit(LSTM, tokens(), 0, tmp_path / "broken", {})
    resumed = training().fit(LSTM, tokens(), 0, tmp_path / "broken", {}, lambda done, *_: reports.append(done))
    assert min(reports) > 1
    assert same_weights(resumed.model, straight.model)
    assert curve(resumed) == curve(straight)


def test_a_run_whose_loss_is_no_number_is_not_saved(training, tokens, tmp_path, monkeypatch):
    """Where the loss is looked at now and then only, as on a GPU, a checkpoint is not written without a look."""
    monkeypatch.setitem(run.LOOK_EVERY, "cpu", 10**9)
    settings = training(learning_rate=1e38, checkpoint_minutes=1e-12)
    with pytest.raises(FloatingPointError, match="the loss became"):
        settings.fit(LSTM, tokens(), 0, tmp_path, {})
    saved = checkpoint.read(tmp_path / "last.safetensors")[0]
    assert torch.isfinite(saved["position.total"])


def test_another_vocabulary_is_refused_naming_what_differs(training, tokens, tmp_path):
    def named(*names):
        parts = tokens(n_states=2).parts
        return Split(*(dataclasses.replace(part, token_names=names) for part in parts))

    training().fit(LSTM, named("folded", "unfolded"), 0, tmp_path, {})
    message = r"^checkpoint .*last.safetensors belongs to another vocabulary \(token 1 was 'unfolded', is 'misfolded'\)"
    with pytest.raises(ValueError, match=message):
        training().fit(LSTM, named("folded", "misfolded"), 0, tmp_path, {})
    with pytest.raises(
        ValueError, match=r"another vocabulary \(2 tokens, not 3\); give this run a directory of its own"
    ):
        training().fit(LSTM, named("folded", "unfolded", "misfolded"), 0, tmp_path, {})


def test_a_run_killed_before_its_first_checkpoint_starts_again(training, tokens, tmp_path):
    with pytest.raises(Interrupted):
        training().fit(LSTM, tokens(), 0, tmp_path, {}, interrupt_after(0.5))
    again = training().fit(LSTM, tokens(), 0, tmp_path, {})
    assert again.resumed_at is None
    assert len(again.history) == 4


def test_a_finished_run_is_not_trained_again(training, tokens, tmp_path):
    first = training().fit(LSTM, tokens(), 0, tmp_path, {})
    reports = []
    again = training().fit(LSTM, tokens(), 0, tmp_path, {}, lambda *report: reports.append(report[:2]))
    assert reports == [(4, 4)]
    assert again.history == first.history
    assert again.seconds == first.seconds
    assert same_weights(again.model, first.model)


def test_progress_never_goes_back_and_ends_at_the_total(training, tokens, tmp_path):
    reports = []
    training().fit(LSTM, tokens(), 0, tmp_path, {}, lambda *report: reports.append(report))
    done = [report[0] for report in reports]
    assert done == sorted(done)
    assert done[-1] == 4
    assert {report[1] for report in reports} == {4}
    assert "nats/token" in reports[-1][2]


def test_a_checkpoint_of_another_configuration_is_refused_naming_what_differs(training, tokens, tmp_path):
    identity = {"stride": 1, "model.hidden": 8, "columns": ("x", "y")}
    training().fit(LSTM, tokens(), 0, tmp_path, identity)
    before = (tmp_path / "last.safetensors").read_bytes()
    message = r"last.safetensors belongs to another configuration \(stride was 1, is 5\); give this run"
    with pytest.raises(ValueError, match=message):
        training().fit(LSTM, tokens(), 0, tmp_path, identity | {"stride": 5})
    with pytest.raises(ValueError, match=r"\(extra was None, is 'new'; stride was 1, is None\)"):
        training().fit(
            LSTM, tokens(), 0, tmp_path, {k: v for k, v in identity.items() if k != "stride"} | {"extra": "new"}
        )
    assert (tmp_path / "last.safetensors").read_bytes() == before
    assert training().fit(LSTM, tokens(), 0, tmp_path, identity).resumed_at == 4


@pytest.mark.parametrize(("name", "how"), [("best", "damaged"), ("best", "missing"), ("last", "damaged")])
def test_a_broken_checkpoint_is_refused_by_name_before_any_work(training, tokens, tmp_path, name, how):
    with pytest.raises(Interrupted):
        training().fit(LSTM, tokens(), 0, tmp_path, {}, interrupt_after(2.5))
    path = tmp_path / f"{name}.safetensors"
    if how == "damaged":
        path.write_bytes(path.read_bytes()[:-9])
    else:
        path.unlink()
    with pytest.raises(ValueError, match=f"^checkpoint .*{name}.safetensors is {how}"):
        training().fit(LSTM, tokens(), 0, tmp_path, {}, interrupt_after(0))


def test_only_the_two_checkpoints_are_left(training, tokens, tmp_path):
    training().fit(LSTM, tokens(), 0, tmp_path, {})
    assert sorted(path.name for path in tmp_path.iterdir()) == ["best.safetensors", "last.safetensors"]


def test_dying_between_the_two_checkpoints_of_an_epoch_loses_nothing(training, tokens, tmp_path, monkeypatch):
    """The best is a newer epoch's then than the last; the epoch is trained again and gives the same."""
    losses = [3.0, 2.0, 1.0, 4.0]
    monkeypatch.setattr(run, "nll_nats_per_token", lambda *_: losses[calls.pop(0)])
    calls = [0, 1, 2, 3]
    straight = training().fit(LSTM, tokens(), 0, tmp_path / "straight", {})
    original, written = checkpoint.write, []

    def dies_at_the_third_last(path, *rest):
        written.append(path.name)
        if written.count("last.safetensors") == 3:
            raise Interrupted
        original(path, *rest)

    calls = [0, 1, 2]
    monkeypatch.setattr(checkpoint, "write", dies_at_the_third_last)
    with pytest.raises(Interrupted):
        training().fit(LSTM, tokens(), 0, tmp_path / "broken", {})
    assert written.count("best.safetensors") == 3
    monkeypatch.setattr(checkpoint, "write", original)
    calls = [2, 3]
    resumed = training().fit(LSTM, tokens(), 0, tmp_path / "broken", {})
    assert resumed.resumed_at == 2
    assert resumed.best_epoch == straight.best_epoch == 3
    assert same_weights(resumed.model, straight.model)


def test_training_stops_when_patience_is_out_and_returns_the_best_weights(training, tokens, tmp_path, monkeypatch):
    seen, losses = [], iter([3.0, 1.0, 2.0, 1.0, 0.5])

    def scripted(model, pieces):
        seen.append({name: tensor.clone() for name, tensor in model.state_dict().items()})
        return next(losses)

    monkeypatch.setattr(run, "nll_nats_per_token", scripted)
    fitted = training(max_epochs=10, patience=2).fit(LSTM, tokens(), 0, tmp_path, {})
    assert len(fitted.history) == 4  # the fourth is no better than the second
    assert fitted.best_epoch == 2
    assert all(torch.equal(tensor, seen[1][name]) for name, tensor in fitted.model.state_dict().items())
    assert not torch.equal(fitted.model.state_dict()["head.bias"], seen[3]["head.bias"])


@both
def test_the_validation_loss_is_that_of_the_returned_weights_without_dropout(training, tokens, tmp_path, config):
    """Trap 4."""
    data = tokens()
    fitted = training().fit(config, data, 0, tmp_path, {})
    losses = [epoch.validation_nll for epoch in fitted.history]
    assert losses[fitted.best_epoch - 1] == min(losses)
    assert nll_nats_per_token(fitted.model, data.validation.pieces) == min(losses)


@both
def test_validation_data_never_change_the_weights(training, tokens, tmp_path, config):
    """Trap 3: validation gradients that reach the first step of the next epoch."""
    for seed in (1, 9):
        training().fit(config, tokens(validation_seed=seed), 0, tmp_path / str(seed), {})
    one, other = (checkpoint.read(tmp_path / str(seed) / "last.safetensors") for seed in (1, 9))
    assert one[1]["history"][0]["validation_nll"] != other[1]["history"][0]["validation_nll"]
    assert all(torch.equal(tensor, other[0][name]) for name, tensor in one[0].items())
