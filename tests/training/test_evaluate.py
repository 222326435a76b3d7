import numpy as np
import pytest
import torch
import torch.nn.functional as F

from mdlm.model.lstm import LSTMConfig
from mdlm.model.markov import MarkovConfig
from mdlm.model.transformer import TransformerConfig
from mdlm.training.evaluate import nll_nats_per_token

NEURAL = [
    LSTMConfig(embedding=4, hidden=8, layers=2, dropout=0.5),
    TransformerConfig(width=8, heads=2, layers=2, window=6, dropout=0.5),
]


def random_pieces(*lengths, n_states=3, seed=0):
    rng = np.random.default_rng(seed)
    return [rng.integers(n_states, size=length) for length in lengths]


def markov(pieces, order=1, n_states=3):
    model = MarkovConfig(order).build(n_states)
    model.count(pieces)
    return model


def mean_of_whole_pieces(model, pieces):
    """Each piece in one forward, from a fresh state."""
    losses = []
    with torch.no_grad():
        for piece in pieces:
            logits, _ = model(torch.from_numpy(piece)[None, :-1])
            losses.append(F.cross_entropy(logits[0], torch.from_numpy(piece)[1:], reduction="none"))
    return float(torch.cat(losses).double().mean())


def test_a_fixed_chain_has_the_likelihood_of_its_jumps():
    """Of 0 follows 0, 1, 1: ln 3/2 twice and ln 3; of 1 follows 0: nothing. Held-out 0 1 0 0: mean of three."""
    model = markov([np.array([0, 0, 1, 0, 1])], n_states=2)
    expected = (np.log(3 / 2) + 0 + np.log(3)) / 3
    assert nll_nats_per_token(model, [np.array([0, 1, 0, 0])]) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("order", [1, 2, 3])
@pytest.mark.parametrize("chunk_length", [3, 50, 512])
def test_a_chain_of_any_order_is_judged_exactly_however_the_data_are_cut(order, chunk_length):
    pieces = random_pieces(1000, 700, 2, 1)
    model = markov(pieces, order)
    found = nll_nats_per_token(model, pieces, chunk_length)
    assert found == pytest.approx(mean_of_whole_pieces(model, [p for p in pieces if len(p) > 1]), rel=1e-6)


@pytest.mark.parametrize("config", NEURAL)
@pytest.mark.parametrize("chunk_length", [40, 512])
def test_a_network_is_judged_as_if_each_piece_were_read_whole(config, chunk_length):
    """A fresh LSTM halves its memory with every frame: 40 frames of warm-up are plenty."""
    torch.manual_seed(0)
    model, pieces = config.build(3).eval(), random_pieces(1500, 30, 400, 2)
    found = nll_nats_per_token(model, pieces, chunk_length)
    assert found == pytest.approx(mean_of_whole_pieces(model, pieces), rel=1e-6)


def test_an_impossible_jump_makes_it_infinite():
    model = markov([np.array([0, 1, 0, 1, 2, 0])])
    assert nll_nats_per_token(model, [np.array([0, 1, 0, 1, 0])]) < np.inf
    assert nll_nats_per_token(model, [np.array([0, 1, 0, 2, 0])]) == np.inf


@pytest.mark.parametrize("config", NEURAL)
@pytest.mark.parametrize("training", [True, False])
def test_dropout_is_off_and_the_mode_is_put_back(config, training):
    torch.manual_seed(0)
    model, pieces = config.build(3), random_pieces(300)
    expected = mean_of_whole_pieces(model.eval(), pieces)
    assert nll_nats_per_token(model.train(training), pieces) == pytest.approx(expected, rel=1e-6)
    assert all(module.training == training for module in model.modules())


@pytest.mark.parametrize("config", NEURAL)
def test_judging_leaves_no_gradient_behind(config):
    """Trap 3: validation gradients that end up in the next training step."""
    model = config.build(3)
    nll_nats_per_token(model, random_pieces(100))
    assert all(parameter.grad is None for parameter in model.parameters())
    for parameter in model.parameters():
        parameter.grad = torch.ones_like(parameter)
    nll_nats_per_token(model, random_pieces(100))
    assert all((parameter.grad == 1).all() for parameter in model.parameters())
