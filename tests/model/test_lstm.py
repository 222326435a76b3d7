import numpy as np
import pytest
import torch

from mdlm.model.lstm import LSTMConfig


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def by_hand(model, tokens_T):
    """Hochreiter & Schmidhuber in numpy and double precision; torch orders the gates input, forget, cell, output."""
    weights = {name: value.double().numpy() for name, value in model.state_dict().items()}
    x_TE = weights["embedding.weight"][tokens_T]
    for layer in range(model.config.layers):
        hidden = cell = np.zeros(model.config.hidden)
        rows = []
        for x in x_TE:
            gates = weights[f"lstm.weight_ih_l{layer}"] @ x + weights[f"lstm.bias_ih_l{layer}"]
            gates = gates + weights[f"lstm.weight_hh_l{layer}"] @ hidden + weights[f"lstm.bias_hh_l{layer}"]
            enter, forget, new, out = np.split(gates, 4)
            cell = sigmoid(forget) * cell + sigmoid(enter) * np.tanh(new)
            hidden = sigmoid(out) * np.tanh(cell)
            rows.append(hidden)
        x_TE = np.array(rows)
    return x_TE @ weights["head.weight"].T + weights["head.bias"]


@pytest.mark.parametrize("layers", [1, 2])
def test_it_is_the_textbook_lstm(layers):
    torch.manual_seed(3)
    model = LSTMConfig(embedding=3, hidden=5, layers=layers, dropout=0.0).build(4).eval()
    tokens = np.random.default_rng(0).integers(4, size=25)
    logits, _ = model(torch.from_numpy(tokens)[None])
    np.testing.assert_allclose(logits[0].detach(), by_hand(model, tokens), rtol=1e-5, atol=1e-5)


def test_the_parameters_add_up():
    """Embedding V E; each layer four gates of H rows (inputs, units, two biases); head H V + V."""
    model = LSTMConfig(embedding=16, hidden=64, layers=2, dropout=0.0).build(4)
    layers = 4 * 64 * (16 + 64 + 2) + 4 * 64 * (64 + 64 + 2)
    assert model.n_parameters == 4 * 16 + layers + 64 * 4 + 4


def test_dropout_acts_while_training_only():
    model = LSTMConfig(embedding=4, hidden=8, layers=2, dropout=0.5).build(3)
    tokens = torch.zeros(1, 10, dtype=torch.int64)
    assert not torch.equal(model.train()(tokens)[0], model(tokens)[0])
    assert torch.equal(model.eval()(tokens)[0], model(tokens)[0])
