"""Two truths: a Markov chain, whose past is worth nothing, and a hidden state, whose past is worth a known amount."""

import numpy as np
import pytest
import torch

from mdlm.model.base import LanguageModel
from mdlm.model.markov import MarkovConfig
from mdlm.training.context import context_curve

HIDDEN = np.array([[0.95, 0.05], [0.05, 0.95]])
SHOWN = np.array([[0.8, 0.2], [0.2, 0.8]])
CHAIN = np.array([[0.9, 0.1, 0.0], [0.1, 0.8, 0.1], [0.0, 0.3, 0.7]])


class Forward(LanguageModel):
    """The exact predictor of the hidden-state process, by the forward algorithm."""

    def __init__(self):
        super().__init__(2)
        self.hidden, self.shown = torch.from_numpy(HIDDEN), torch.from_numpy(SHOWN)

    def initial_state(self, n_chains):
        return (torch.zeros(1, n_chains, 2, dtype=torch.float64),)

    def forward(self, tokens_BT, state=None):
        belief_BH = (state or self.initial_state(len(tokens_BT)))[0][0] + 0.5  # zeros: nothing is known
        logits = []
        for token_B in tokens_BT.T:
            seen_BH = belief_BH * self.shown[:, token_B].T
            belief_BH = seen_BH / seen_BH.sum(dim=1, keepdim=True) @ self.hidden
            logits.append((belief_BH @ self.shown).log())
        return torch.stack(logits, dim=1), (belief_BH[None] - 0.5,)


def hidden_state_pieces(sample_chain, n_pieces, seed):
    rng = np.random.default_rng(seed)
    pieces = sample_chain(HIDDEN, n_pieces, 4000, seed)
    return [(rng.random(len(piece)) < SHOWN[piece, 1]).astype(np.int64) for piece in pieces]


def curve_of(model, train, test):
    markov = MarkovConfig(1).build(model.n_states)
    markov.count(train)
    return context_curve(model, markov, test, 1.0, "ps", n_targets=20_000, max_context=16, confidence=0.9, seed=0)


def counted(order, train, n_states):
    model = MarkovConfig(order, smoothing="contexts").build(n_states)
    model.count(train)
    return model


def entropy_given(length):
    """Exact entropy of what is shown next, given the ``length`` tokens before it: the sum over all of them."""
    total = 0.0
    for code in range(2**length):
        belief = np.array([0.5, 0.5])
        for place in range(length):
            belief = belief * SHOWN[:, code >> place & 1] @ HIDDEN
        shown = belief @ SHOWN / belief.sum()
        total -= belief.sum() * (shown * np.log(shown)).sum()
    return total


@pytest.mark.parametrize("order", [1, 4])
def test_a_markov_chain_has_no_memory_to_be_found(order, sample_chain):
    """A model that could use it finds none, and is not called better than the chain of order one."""
    train, test = sample_chain(CHAIN, 20, 4000, 1), sample_chain(CHAIN, 8, 4000, 2)
    curve = curve_of(counted(order, train, 3), train, test)
    assert not curve.needs_memory
    assert "need memory" not in " ".join(curve.sentences())
    assert abs(curve.markov_gain.value) < 1e-3


def test_a_hidden_state_is_memory_worth_its_exact_amount(sample_chain):
    train, test = (hidden_state_pieces(sample_chain, n, seed) for n, seed in ((20, 1), (8, 2)))
    one, sixteen = entropy_given(1), entropy_given(14)
    curve = curve_of(Forward(), train, test)
    assert one - sixteen > 0.02
    assert curve.markov_gain.low < one - sixteen < curve.markov_gain.high
    assert curve.needs_memory
    assert curve.memory >= 4
    assert curve.sentences()[1].startswith("These tokens need memory")


def test_a_model_that_looks_back_four_tokens_finds_that_part_of_it(sample_chain):
    train, test = (hidden_state_pieces(sample_chain, n, seed) for n, seed in ((20, 1), (8, 2)))
    curve = curve_of(counted(4, train, 2), train, test)
    assert curve.needs_memory
    assert curve.memory == 4
    assert curve.markov_gain.low < entropy_given(1) - entropy_given(4) < curve.markov_gain.high
