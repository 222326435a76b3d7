"""The loss without its logits: against torch's own on logits written out, in double precision."""

import numpy as np
import pytest
import torch
from torch.testing import assert_close

from mdlm.model import likelihood
from mdlm.model.encoder_decoder import EncoderDecoderConfig
from mdlm.model.gru import GRUConfig
from mdlm.model.likelihood import IGNORED, LinearOutput, summed_nll
from mdlm.model.lstm import LSTMConfig
from mdlm.model.transformer import TransformerConfig

N_STATES, WIDTH = 7, 5
ATTENTION = {"width": 8, "heads": 2, "window": 6, "dropout": 0.0}
NETWORKS = {
    "lstm": LSTMConfig(4, 8, 2, 0.0),
    "gru": GRUConfig(4, 8, 1, 0.0),
    "transformer": TransformerConfig(layers=2, **ATTENTION),
    "encoder_decoder": EncoderDecoderConfig(encoder_layers=1, decoder_layers=1, **ATTENTION),
}


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def drawn(rng, *shape):
    return torch.from_numpy(rng.normal(size=shape).astype(np.float32))


@pytest.fixture
def data(rng):
    """Tokens, and targets of which some are padded; jumps to the state two further are ruled out and never come."""
    tokens_BT = torch.from_numpy(rng.integers(N_STATES, size=(3, 11)))
    targets_BT = (tokens_BT + torch.from_numpy(rng.choice([0, 1, 3, 4], size=(3, 11)))) % N_STATES
    targets_BT[1, 8:] = IGNORED
    return tokens_BT, targets_BT


@pytest.fixture
def added_VV(rng):
    return drawn(rng, N_STATES, N_STATES).masked_fill(torch.eye(N_STATES).roll(2, 1) > 0, -torch.inf)


def output(x_BTH, weight, bias, added_VV, tokens_BT, targets_BT):
    return LinearOutput(x_BTH.flatten(0, 1), weight, bias, added_VV, tokens_BT.flatten(), targets_BT.flatten())


def as_double(x, weight, bias, added_VV, tokens, targets):
    """Loss and gradients of logits that are written out."""
    leaves = [part.detach().double().requires_grad_() for part in (x, weight, bias)]
    loss = summed_nll(leaves[0] @ leaves[1].T + leaves[2] + added_VV.double()[tokens], targets)
    return loss, torch.autograd.grad(loss, leaves)


@pytest.mark.parametrize("size", [1, 16, 17 * N_STATES, 10**6], ids=lambda size: f"{size} logits at once")
def test_loss_and_gradients_are_those_of_logits_written_out(size, rng, data, added_VV, monkeypatch):
    monkeypatch.setitem(likelihood.SLICE, "cpu", size)
    leaves = [drawn(rng, *shape).requires_grad_() for shape in ((3, 11, WIDTH), (N_STATES, WIDTH), (N_STATES,))]
    loss = output(*leaves, added_VV, *data).nll()
    found = torch.autograd.grad(3 * loss, leaves)
    expected_loss, expected = as_double(*leaves, added_VV, *data)
    assert loss.item() == pytest.approx(expected_loss.item(), rel=1e-6)
    for part, true in zip(found, expected, strict=True):
        assert_close(part.double(), 3 * true, rtol=1e-5, atol=1e-5)
    assert found[0][1, 8:].abs().max() == 0
    with torch.no_grad():
        assert_close(output(*leaves, added_VV, *data).nll(), loss.detach(), rtol=1e-6, atol=0)


def test_a_second_derivative_is_refused_and_not_wrong(rng, data, added_VV):
    bias = drawn(rng, N_STATES).requires_grad_()
    loss = output(drawn(rng, 3, 11, WIDTH), drawn(rng, N_STATES, WIDTH), bias, added_VV, *data).nll()
    (slope,) = torch.autograd.grad(loss**2, bias, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        slope.sum().backward()


def test_a_target_of_vanishing_probability_has_a_finite_loss():
    """Logits 0 and -200 after each other: e^-200 is no number in single precision, 200 nats are."""
    bias = torch.tensor([0.0, -200.0])
    tokens, targets = torch.tensor([[0, 0]]), torch.tensor([[1, 0]])
    loss = output(torch.zeros(1, 2, 1), torch.zeros(2, 1), bias, torch.zeros(2, 2), tokens, targets).nll()
    assert loss.item() == 200


def test_a_target_that_was_ruled_out_has_an_infinite_loss(rng, data, added_VV):
    tokens, targets = data[0], (data[0] + 2) % N_STATES
    x, weight, bias = drawn(rng, 3, 11, WIDTH), drawn(rng, N_STATES, WIDTH), drawn(rng, N_STATES)
    assert output(x, weight, bias, added_VV, tokens, targets).nll().item() == torch.inf


@pytest.mark.parametrize("anchor", ["none", "markov", "slow_modes"])
@pytest.mark.parametrize("name", NETWORKS)
def test_a_network_has_the_loss_of_its_logits(name, anchor, data, added_VV):
    """And their gradients and state; with a memory of slow modes that was fitted."""
    torch.manual_seed(0)
    model = type(NETWORKS[name])(**{**vars(NETWORKS[name]), "anchor": anchor}).build(N_STATES)
    torch.nn.init.normal_(model.head.weight)
    model.anchor_to(added_VV.softmax(dim=1))
    for part in (model.slow_memory.modes_VK, model.slow_memory.lift_MV):
        torch.nn.init.normal_(part)
    state = model(data[0], model.initial_state(3))[1]
    loss, after = model.nll(*data, state)
    logits_BTV, expected_after = model(data[0], state)
    expected = summed_nll(logits_BTV, data[1])
    assert_close(loss, expected, rtol=1e-5, atol=1e-4)
    assert_close(after, expected_after, rtol=0, atol=0)
    weights = list(model.parameters())
    found = torch.autograd.grad(loss, weights, retain_graph=True)
    for part, true in zip(found, torch.autograd.grad(expected, weights), strict=True):
        assert_close(part, true, rtol=1e-3, atol=1e-4)


def test_the_loss_is_in_single_precision_whatever_the_autocast(rng, data, added_VV):
    model = LSTMConfig(4, 8, 1, 0.0).build(N_STATES)
    model.anchor_to(added_VV.softmax(dim=1))
    with torch.autocast("cpu", torch.bfloat16):
        loss, _ = model.nll(*data, model.initial_state(3))
        expected = summed_nll(model(data[0])[0], data[1])
    assert loss.dtype == torch.float32
    assert_close(loss, expected, rtol=1e-6, atol=1e-5)
