import dataclasses
from unittest.mock import patch

import numpy as np
import pytest
import torch
from torch import nn

from mdlm.model.base import LanguageModel
from mdlm.model.encoder_decoder import EncoderDecoderConfig
from mdlm.model.gru import GRUConfig
from mdlm.model.likelihood import IGNORED, summed_nll
from mdlm.model.lstm import LSTMConfig
from mdlm.model.transformer import TransformerConfig
from mdlm.training.batches import Batch
from mdlm.training.objective import Likelihood
from mdlm.training.scheduled_sampling import ScheduledSampling

N_STATES = 5
CONFIGS = {
    "lstm": LSTMConfig(embedding=4, hidden=8, layers=2, dropout=0.1),
    "gru": GRUConfig(embedding=4, hidden=8, layers=1, dropout=0.0),
    "transformer": TransformerConfig(width=8, heads=2, layers=2, window=6, dropout=0.1),
    "encoder_decoder": EncoderDecoderConfig(8, 2, encoder_layers=1, decoder_layers=1, window=6, dropout=0.1),
}


class Fixed(LanguageModel):
    """A fixed chain, times one weight; carries its last token, and notes what it was asked."""

    def __init__(self, successor):
        super().__init__(N_STATES)
        self.successor = torch.tensor(successor)
        self.weight = nn.Parameter(torch.tensor(1000.0))
        self.asked = []

    def initial_state(self, n_chains):
        return (torch.zeros(1, n_chains),)

    def forward(self, tokens_BT, state=None):
        self.asked.append((tokens_BT.clone(), torch.is_grad_enabled()))
        logits_BTV = self.weight * nn.functional.one_hot(self.successor[tokens_BT], N_STATES).float()
        return logits_BTV, (tokens_BT[None, :, -1].float(),)


def batch_of(n_rows=6, length=12, seed=0, n_states=N_STATES):
    chunk = torch.from_numpy(np.random.default_rng(seed).integers(n_states, size=(n_rows, length + 1)))
    return Batch(chunk[:, :-1], chunk[:, 1:], torch.ones(n_rows, dtype=torch.bool), n_rows * length)


def test_with_probability_one_every_input_but_the_first_is_the_models_own_sample():
    """The chain 0 -> 1 -> 2 -> 3 -> 4 -> 0 predicts for each frame the successor of the true one before."""
    model, batch = Fixed([1, 2, 3, 4, 0]), batch_of()
    loss, _ = ScheduledSampling(probability=1.0, ramp=0.0).loss(model, batch, model.initial_state(6), 0.0)
    (first, first_learns), (second, second_learns) = model.asked
    assert torch.equal(first, batch.inputs_BT)
    assert torch.equal(second[:, :1], batch.inputs_BT[:, :1])
    assert torch.equal(second[:, 1:], (batch.inputs_BT[:, :-1] + 1) % 5)
    assert (first_learns, second_learns) == (False, True)
    with torch.no_grad():
        assert loss == summed_nll(model(second)[0], batch.targets_BT)


def test_the_share_of_replaced_inputs_is_the_probability_along_its_ramp():
    """All predict state 4, which the data lack; four standard errors of a share of 5700 inputs."""
    model, batch = Fixed([4] * 5), batch_of(n_rows=300, length=20, n_states=4)
    for done, probability in ((0.1, 0.2), (0.25, 0.5), (0.4, 0.8), (0.9, 0.8)):
        torch.manual_seed(0)
        ScheduledSampling(probability=0.8, ramp=0.4).loss(model, batch, model.initial_state(300), done)
        share = (model.asked[-1][0] == 4)[:, 1:].float().mean().item()
        assert share == pytest.approx(probability, abs=4 * (0.25 / 5700) ** 0.5)


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS.keys())
def test_gradients_are_those_of_the_second_pass_alone(config):
    torch.manual_seed(0)
    model, batch = dataclasses.replace(config, dropout=0.0).build(N_STATES), batch_of()
    state = model.initial_state(6)
    with patch.object(model, "nll", wraps=model.nll) as second:
        loss, _ = ScheduledSampling(probability=0.7, ramp=0.0).loss(model, batch, state, 0.0)
    loss.backward()
    found = [parameter.grad.clone() for parameter in model.parameters()]
    inputs_BT = second.call_args.args[0]
    assert not torch.equal(inputs_BT, batch.inputs_BT)
    model.zero_grad()
    model.nll(inputs_BT, batch.targets_BT, state)[0].backward()
    assert all(torch.equal(gradient, p.grad) for gradient, p in zip(found, model.parameters(), strict=True))


@pytest.mark.parametrize("objective", [ScheduledSampling(0.0, 0.5), ScheduledSampling(1.0, 0.5)])
def test_with_probability_zero_it_is_plain_training_to_the_bit(objective):
    """Before the ramp has begun as well; random numbers are not touched, so dropout goes on as it would."""
    model, batch = CONFIGS["transformer"].build(N_STATES), batch_of()
    results = []
    for one in (Likelihood(), objective):
        torch.manual_seed(1)
        loss, state = one.loss(model, batch, model.initial_state(6), 0.0)
        results.append((loss, *state, torch.rand(3)))
    assert all(torch.equal(a, b) for a, b in zip(*results, strict=True))


def test_a_training_with_probability_zero_ends_with_the_same_weights(training, tokens, tmp_path):
    ends = [
        training(**changes).fit(CONFIGS["lstm"], tokens(), 0, tmp_path / name, {}).model.state_dict()
        for name, changes in {
            "plain": {},
            "zero": {"scheduled_sampling": 0.0, "scheduled_sampling_ramp": 0.1},
            "half": {"scheduled_sampling": 0.5},
        }.items()
    ]
    plain, zero, half = ([tensor for tensor in end.values()] for end in ends)
    assert all(torch.equal(a, b) for a, b in zip(plain, zero, strict=True))
    assert not all(torch.equal(a, b) for a, b in zip(plain, half, strict=True))


def test_the_state_carried_on_has_read_true_tokens_only():
    torch.manual_seed(0)
    model, batch = CONFIGS["gru"].build(N_STATES), batch_of()
    _, carried = ScheduledSampling(1.0, 0.0).loss(model, batch, model.initial_state(6), 0.0)
    _, true = model(batch.inputs_BT, model.initial_state(6))
    torch.testing.assert_close(carried, true)


def test_a_sample_that_rules_out_the_true_target_is_not_put_in():
    """The chain predicts 4, from which no 0 follows: where 0 is next the true input stays, and the loss is finite."""
    model, batch = Fixed([4] * 5), batch_of(n_states=4)
    forbidden = torch.zeros(N_STATES, N_STATES, dtype=torch.bool)
    forbidden[4, 0] = True
    model.forbid(forbidden)
    ScheduledSampling(1.0, 0.0).loss(model, batch, model.initial_state(6), 0.0)
    used, targets = model.asked[-1][0][:, 1:], batch.targets_BT[:, 1:]
    assert torch.equal(used == 4, targets != 0)


def test_padded_targets_do_not_matter():
    model, batch = Fixed([1, 2, 3, 4, 0]), batch_of()
    padded = dataclasses.replace(batch, targets_BT=batch.targets_BT.masked_fill(batch.targets_BT == 0, IGNORED))
    objective = ScheduledSampling(1.0, 0.0)
    whole, part = (objective.loss(model, b, model.initial_state(6), 0.0)[0].item() for b in (batch, padded))
    assert np.isfinite(part)
    assert part < whole


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS.keys())
@pytest.mark.parametrize("batching", ["streams", "windows"])
@pytest.mark.parametrize("support", ["seen", "all"])
def test_every_network_learns_with_it(training, tokens, tmp_path, config, batching, support):
    """Two states in turn, whatever was read before: a guess costs ln 2; with the third state never met."""
    alternating = tokens(n_states=3).map(
        lambda part: dataclasses.replace(part, pieces=tuple(np.arange(len(piece)) % 2 for piece in part.pieces))
    )
    settings = training(
        batching=batching,
        support=support,
        learning_rate=0.03,
        max_epochs=6,
        scheduled_sampling=0.5,
        scheduled_sampling_ramp=0.5,
    )
    fitted = settings.fit(config, alternating, 0, tmp_path, {})
    assert all(np.isfinite(epoch.train_nll) for epoch in fitted.history)
    assert min(epoch.validation_nll for epoch in fitted.history) < 0.3 * np.log(2)


@pytest.mark.parametrize(
    ("change", "message"),
    [({"probability": -0.1}, r"probability \(-0.1\)"), ({"ramp": 2.0}, r"ramp \(2\)")],
)
def test_a_bad_setting_is_named(change, message):
    with pytest.raises(ValueError, match=rf"^{message} must lie in \[0, 1\]$"):
        ScheduledSampling(**{"probability": 0.5, "ramp": 0.5} | change)
