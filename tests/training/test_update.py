"""A batch in parts, and what happens where a GPU's memory does not hold it.

A wrong share of a part would be wrong in the first digits of a gradient, not in the last ones of float32.
"""

from contextlib import nullcontext

import numpy as np
import pytest
import torch

from mdlm.model.base import masked
from mdlm.model.gru import GRUConfig
from mdlm.model.lstm import LSTMConfig
from mdlm.model.transformer import TransformerConfig
from mdlm.training.batches import Batch, Streams, Windows
from mdlm.training.objective import Likelihood, Objective
from mdlm.training.update import Update

CPU = torch.device("cpu")
CONFIGS = [
    LSTMConfig(embedding=4, hidden=8, layers=2, dropout=0.0),
    GRUConfig(embedding=4, hidden=8, layers=1, dropout=0.0),
    TransformerConfig(width=8, heads=2, layers=2, window=6, dropout=0.0),
]
every_model = pytest.mark.parametrize("config", CONFIGS, ids=lambda config: type(config).__name__)


class NoOptimiser:
    """Leaves weights and gradients as they are."""

    def __init__(self, model):
        self.model = model

    def zero_grad(self, set_to_none):
        self.model.zero_grad(set_to_none)

    def step(self):
        pass


def update_of(config, micro_batch_size, objective=None, penalty=None):
    torch.manual_seed(0)
    model = config.build(3)
    return Update(model, objective or Likelihood(), penalty, NoOptimiser(model), nullcontext(), 1e9, micro_batch_size)


def gradients(model):
    return {name: parameter.grad.clone() for name, parameter in model.named_parameters()}


def pieces(*lengths):
    rng = np.random.default_rng(0)
    return [rng.integers(3, size=length) for length in lengths]


@every_model
@pytest.mark.parametrize("kind", [Streams, Windows])
@pytest.mark.parametrize("micro_batch_size", [1, 3, 7])
def test_the_gradients_of_the_parts_add_up_to_that_of_the_batch(config, kind, micro_batch_size):
    """Unequal numbers of padded targets, rows with none at all, and a last part that is smaller."""
    batches = kind(pieces(300, 41, 7, 2), 5, 8, CPU)
    updates = [update_of(config, size) for size in (batches.n_rows, micro_batch_size)]
    states = [update.model.initial_state(batches.n_rows) for update in updates]
    n_padded = set()
    for batch in batches.epoch(np.random.default_rng(0)):
        n_padded |= set((batch.targets_BT < 0).sum(dim=1).tolist())
        states = [masked(state, batch.keep_B) for state in states]
        if batch.warm_up:
            states = [update.warm_up(batch, state) for update, state in zip(updates, states, strict=True)]
            continue
        results = [update(batch, state, 0.0) for update, state in zip(updates, states, strict=True)]
        (whole, _), (parts, _) = results
        states = [state for _, state in results]
        torch.testing.assert_close(parts, whole, rtol=1e-5, atol=0)
        torch.testing.assert_close(gradients(updates[1].model), gradients(updates[0].model), rtol=1e-4, atol=1e-6)
        for one, other in zip(*states, strict=True):
            torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-6)
    assert len(n_padded) > 1


def test_the_gradient_is_that_of_the_mean_over_targets_plus_the_penalty():
    """By hand: sum of squared head weights has the gradient 2 w."""

    def penalty(model):
        return (model.head.weight**2).sum()

    (batch, *_) = Windows(pieces(50, 3), 5, 8, CPU).epoch(np.random.default_rng(0))
    plain, punished = update_of(CONFIGS[0], 4), update_of(CONFIGS[0], 4, penalty=penalty)
    state = plain.model.initial_state(8)
    loss, _ = plain(batch, state, 0.0)
    same_loss, _ = punished(batch, state, 0.0)
    logits_BTV, _ = plain.model(batch.inputs_BT, state)
    real_BT = batch.targets_BT >= 0
    nll = -logits_BTV.log_softmax(-1)[real_BT].gather(1, batch.targets_BT[real_BT][:, None]).mean()
    torch.testing.assert_close(loss, nll.detach(), rtol=1e-5, atol=0)
    assert torch.equal(loss, same_loss)
    difference = punished.model.head.weight.grad - plain.model.head.weight.grad
    torch.testing.assert_close(difference, 2 * plain.model.head.weight.detach(), rtol=1e-4, atol=1e-6)


class SmallMemory(Objective):
    """Holds a few rows at once."""

    def __init__(self, n_rows):
        self.n_rows = n_rows
        self.asked = []

    def loss(self, model, batch, state, done):
        self.asked.append(len(batch.keep_B))
        if len(batch.keep_B) > self.n_rows:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB")
        return Likelihood().loss(model, batch, state, done)


def test_out_of_memory_the_parts_are_halved_once_and_the_gradient_is_the_same():
    (batch, *_) = Windows(pieces(50), 5, 8, CPU).epoch(np.random.default_rng(0))
    small, large = update_of(CONFIGS[0], 8, SmallMemory(4)), update_of(CONFIGS[0], 8)
    state = large.model.initial_state(8)
    small(batch, state, 0.0)
    large(batch, state, 0.0)
    assert small.objective.asked == [8, 4, 4]
    assert (small.micro_batch_size, small.halved) == (4, True)
    torch.testing.assert_close(gradients(small.model), gradients(large.model), rtol=1e-4, atol=1e-6)
    small(batch, state, 0.0)
    assert small.objective.asked == [8, 4, 4, 4, 4]


@pytest.mark.parametrize(("n_rows", "micro_batch_size", "tried"), [(3, 8, [8, 4]), (0, 1, [1])])
def test_out_of_memory_again_it_says_what_to_change(n_rows, micro_batch_size, tried):
    batch = next(iter(Windows(pieces(50), 5, 8, CPU).epoch(np.random.default_rng(0))))
    update = update_of(CONFIGS[0], micro_batch_size, SmallMemory(n_rows))
    message = f"does not hold {tried[-1]} rows of training.context_length tokens; "
    with pytest.raises(MemoryError, match=message):
        update(batch, update.model.initial_state(8), 0.0)
    assert update.objective.asked == tried


def test_a_run_says_that_the_parts_were_halved(training, tokens, tmp_path, monkeypatch):
    notes = []
    monkeypatch.setattr(type(training()), "objective", lambda self, validation: SmallMemory(5))
    training().fit(CONFIGS[0], tokens(), 0, tmp_path, {}, lambda done, total, note="": notes.append(note))
    assert all("out of GPU memory, so in parts of 4 rows" in note for note in notes)


def test_a_run_in_parts_learns_what_the_whole_one_learns(training, tokens, tmp_path):
    fits = [
        training(micro_batch_size=size).fit(CONFIGS[0], tokens(), 0, tmp_path / str(size), {}) for size in (None, 3)
    ]
    whole, parts = ([epoch.train_nll for epoch in fitted.history] for fitted in fits)
    np.testing.assert_allclose(parts, whole, rtol=1e-4)


def test_a_batch_falls_into_parts_by_rows():
    batch = Batch(torch.arange(10).view(5, 2), torch.arange(10).view(5, 2) + 1, torch.arange(5) > 2, n_targets=10)
    parts = list(batch.parts(2))
    assert [len(part.keep_B) for part in parts] == [2, 2, 1]
    assert {part.n_targets for part in parts} == {10}
    assert torch.equal(torch.cat([part.inputs_BT for part in parts]), batch.inputs_BT)
