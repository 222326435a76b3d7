"""The running mean of the weights, in numbers, and what of a run it is."""

import numpy as np
import pytest
import torch

from mdlm.model.gru import GRUConfig
from mdlm.model.lstm import LSTMConfig
from mdlm.model.transformer import TransformerConfig
from mdlm.training import checkpoint, run
from mdlm.training.evaluate import nll_nats_per_token
from mdlm.training.running_mean import RunningMean

LSTM = LSTMConfig(embedding=4, hidden=8, layers=1, dropout=0.0)


def with_weights(model, value):
    for weight in model.parameters():
        torch.nn.init.constant_(weight, value)


def weights(model):
    return torch.cat([weight.detach().flatten() for weight in model.parameters()])


def test_it_is_the_mean_over_the_latest_quarter_and_at_most_the_horizon():
    """Updates 4, 6, 8 and 16 of their quarters 1, 1.5, 2 and 4, of which a horizon of 3 leaves 3."""
    model = LSTM.build(3)
    mean = RunningMean(model, 3)
    found = []
    for number, value in ((4, 1.0), (6, 4.0), (8, 9.0), (16, 0.0)):
        with_weights(model, value)
        mean.include(number)
        found.append(weights(mean.model).unique().tolist())
    assert np.allclose(found, [[1.0], [1 + 3 / 1.5], [3 + 6 / 2], [6 - 6 / 3]], rtol=1e-6)
    assert weights(model).unique().tolist() == [0.0]


@pytest.mark.parametrize(
    "config",
    [
        LSTM,
        GRUConfig(embedding=4, hidden=8, layers=2, dropout=0.3),
        TransformerConfig(width=8, heads=2, layers=2, window=6, dropout=0.3),
    ],
    ids=["lstm", "gru", "transformer"],
)
def test_it_has_weights_of_its_own_and_shares_everything_else(config):
    model = config.build(3)
    mean = RunningMean(model, 2)
    twins = dict(mean.model.named_buffers())
    assert all(buffer.data_ptr() == twins[name].data_ptr() for name, buffer in model.named_buffers())
    before = weights(mean.model).clone()
    with_weights(model, 0.5)
    assert torch.equal(weights(mean.model), before)
    mean.include(1)
    assert weights(mean.model).unique().tolist() == [0.5]
    tokens_BT = torch.tensor([[0, 1, 2]])
    assert torch.equal(mean.model.eval()(tokens_BT)[0], model.eval()(tokens_BT)[0])


def test_a_mean_over_no_epochs_is_the_last_update():
    model = LSTM.build(3)
    mean = RunningMean(model, 0)
    for number in (1, 2):
        with_weights(model, 0.1 * number)
        mean.include(number)
        assert torch.equal(weights(mean.model), weights(model))


def test_a_run_judges_and_keeps_the_mean(training, tokens, tmp_path, monkeypatch):
    """Counted from the weights after each update: over the latest quarter, at most an epoch."""
    seen = []

    class Watched(RunningMean):
        def include(self, n_updates):
            super().include(n_updates)
            seen.append(weights(run_of[0].model).clone())

    run_of, original = [], run.Run.__init__

    def remembering(self, *arguments):
        run_of.append(self)
        original(self, *arguments)

    monkeypatch.setattr(run.Run, "__init__", remembering)
    monkeypatch.setattr(run, "RunningMean", Watched)
    data = tokens()
    fitted = training(max_epochs=2, averaged_epochs=1.0).fit(LSTM, data, 0, tmp_path, {})
    n_batches = run_of[0].batches.n_batches
    assert len(seen) == 2 * n_batches
    expected = torch.zeros_like(seen[0])
    for number, after in enumerate(seen[: fitted.best_epoch * n_batches], start=1):
        share = 1 / max(1, min(number / 4, n_batches))
        expected = (1 - share) * expected + share * after
    torch.testing.assert_close(weights(fitted.model), expected)
    assert not torch.allclose(weights(fitted.model), seen[fitted.best_epoch * n_batches - 1], atol=1e-4)
    nll = nll_nats_per_token(fitted.model, data.validation.pieces)
    assert fitted.history[fitted.best_epoch - 1].validation_nll == pytest.approx(nll, abs=1e-6)
    last, _ = checkpoint.read(tmp_path / "last.safetensors")
    kept = {name: tensor for name, tensor in last.items() if name.startswith(checkpoint.MEAN)}
    assert len(kept) == len(list(fitted.model.parameters()))
