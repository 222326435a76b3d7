"""Running means of slow modes: against the recursion that defines them, and what they do to the logits."""

import numpy as np
import pytest
import torch
from torch.testing import assert_close

from mdlm.model.lstm import LSTMConfig
from mdlm.model.slow_memory import TIMES, SlowMemory


@pytest.fixture
def memory():
    torch.manual_seed(0)
    memory = SlowMemory(n_states=6, n_modes=3)
    torch.nn.init.normal_(memory.modes_VK)
    torch.nn.init.normal_(memory.lift_MV)
    return memory


@pytest.fixture
def tokens():
    return torch.from_numpy(np.random.default_rng(0).integers(6, size=(2, 300)))


def test_means_follow_their_recursion(memory, tokens):
    """m <- e^(-1/T) m + (1 - e^(-1/T)) psi(token), one number at a time in double precision."""
    found, last = memory(tokens, memory.initial_state(2))
    for chain in range(2):
        for n, time in enumerate(TIMES):
            for k in range(3):
                mean, keep = 0.0, np.exp(-1 / time)
                for frame, token in enumerate(tokens[chain].tolist()):
                    mean = keep * mean + (1 - keep) * float(memory.modes_VK[token, k])
                    assert float(found[chain, frame, 3 * n + k]) == pytest.approx(mean, abs=2e-5)
                assert float(last[0, chain, 3 * n + k]) == pytest.approx(mean, abs=2e-5)


def test_a_chain_that_stays_for_long_has_the_means_of_its_state(memory):
    _, last = memory(torch.full((1, 3000), 4), memory.initial_state(1))
    assert_close(last[0, 0], memory.modes_VK[4].repeat(len(TIMES)), rtol=1e-4, atol=1e-5)


def test_means_are_computed_in_single_precision_whatever_the_autocast(memory, tokens):
    with torch.autocast("cpu", torch.bfloat16):
        found, _ = memory(tokens, memory.initial_state(2))
        lift = memory.logits(found)
    expected, _ = memory(tokens, memory.initial_state(2))
    assert_close(found, expected, rtol=0, atol=0)
    assert_close(lift, memory.logits(expected), rtol=0, atol=0)


def test_a_fresh_network_gets_nothing_from_its_memory(tokens):
    torch.manual_seed(0)
    plain = LSTMConfig(4, 8, 1, 0.0, anchor="markov").build(6)
    torch.manual_seed(0)
    remembering = LSTMConfig(4, 8, 1, 0.0, anchor="slow_modes").build(6)
    assert_close(remembering(tokens)[0], plain(tokens)[0], rtol=0, atol=0)


def test_the_means_enter_the_logits_linearly(tokens):
    torch.manual_seed(0)
    model = LSTMConfig(4, 8, 1, 0.0, anchor="slow_modes").build(6)
    before = model(tokens)[0]
    torch.nn.init.normal_(model.slow_memory.modes_VK)
    torch.nn.init.normal_(model.slow_memory.lift_MV)
    means, _ = model.slow_memory(tokens, model.slow_memory.initial_state(2))
    by_hand = torch.einsum("btm,mv->btv", means, model.slow_memory.lift_MV)
    assert_close(model(tokens)[0] - before, by_hand, rtol=1e-4, atol=1e-5)
    assert by_hand.abs().max() > 1
