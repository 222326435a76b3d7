"""Each published defect of training, shown by numbers; what belongs to other parts is shown there.

Interleaved strides: test_trajectory.py and test_experiment.py; encoders that see their target: test_encoder_decoder.py;
state carried over shuffled windows: also test_learning.py, beside the correct way.
"""

from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch
from torch import nn

from mdlm.model.base import LanguageModel
from mdlm.model.config import ModelConfig
from mdlm.model.gru import GRUConfig
from mdlm.model.likelihood import summed_nll
from mdlm.model.lstm import LSTMConfig
from mdlm.model.transformer import TransformerConfig
from mdlm.tokens.base import Tokens
from mdlm.training.defects import LeakingValidation, StatefulWindows
from mdlm.training.objective import Likelihood
from mdlm.training.published import Defects
from mdlm.training.training import Training
from mdlm.trajectory import Split

SMALL = LSTMConfig(embedding=4, hidden=8, layers=1, dropout=0.0)


class Table(LanguageModel):
    """A row of logits for each state: a Markov chain that is trained."""

    def __init__(self, n_states):
        super().__init__(n_states)
        self.table = nn.Embedding(n_states, n_states)
        nn.init.zeros_(self.table.weight)

    def initial_state(self, n_chains):
        return (torch.zeros(1, n_chains),)

    def forward(self, tokens_BT, state=None):
        return self.table(tokens_BT), state or self.initial_state(len(tokens_BT))


@dataclass(frozen=True)
class TableConfig(ModelConfig):
    def build(self, n_states):
        return Table(n_states)


def test_every_defect_is_off_unless_asked_for(training):
    assert Defects() == Defects(0.0, 0.0, False, False)
    plain = training(batching="windows")
    assert plain.penalty() is None
    assert type(plain.objective([])) is Likelihood
    assert type(plain.batches([np.arange(40)])).__name__ == "Windows"


def test_the_l2_terms_are_the_sums_of_squares_of_the_kernels_of_recurrent_layers():
    """Every entry of the inputs' weights 2, of the outputs' 3: embedding, head and biases do not count.

    LSTM of one layer, 4 gates of 8 units: 32 x 4 and 32 x 8; GRU of two, 3 gates: 24 x 4 + 24 x 8 and 2 x 24 x 8.
    """
    sizes = {
        SMALL: (128, 256),
        GRUConfig(embedding=4, hidden=8, layers=2, dropout=0.0): (288, 384),
        TransformerConfig(width=8, heads=2, layers=1, window=4, dropout=0.0): (0, 0),
    }
    for config, (n_input, n_recurrent) in sizes.items():
        model = config.build(3)
        for name, parameter in model.named_parameters():
            nn.init.constant_(parameter, 2.0 if "weight_ih" in name else 3.0)
        assert Defects(kernel_l2=0.01).penalty(model).item() == pytest.approx(0.01 * 4 * n_input)
        assert Defects(recurrent_kernel_l2=0.1).penalty(model).item() == pytest.approx(0.1 * 9 * n_recurrent)


def echo(rng, n_frames):
    """A state is that of two frames ago with probability 0.9, else any of three."""
    piece = rng.integers(3, size=n_frames)
    for frame in np.flatnonzero(rng.random(n_frames) < 0.9):
        piece[frame] = piece[frame - 2] if frame > 1 else piece[frame]
    return piece


def test_l2_on_kernels_flattens_the_probabilities_of_a_known_chain(training, tmp_path):
    """The state of two frames ago comes back with probability 0.9 + 0.1 / 3 = 0.933; both nets train alike.

    The plain one is 0.004 nats from the true chain on the same frames, whose entropy rate is 0.291 nats. With the
    published penalty it is ten times as far, and gives the likely state 0.87 at most: 1.9 times as many errors.
    """
    rng, likely = np.random.default_rng(0), 0.9 + 0.1 / 3
    pieces = [echo(rng, 4000) for _ in range(9)]
    tokens = Split(*(Tokens(tuple(part), tuple("abc"), 0) for part in (pieces[:7], pieces[7:], pieces[7:])))
    held_out = torch.from_numpy(np.stack(pieces[7:]))
    comes_back = held_out[:, 2:] == held_out[:, :-2]
    true_nll = -np.where(comes_back, np.log(likely), np.log((1 - likely) / 2)).mean()
    settings = {"context_length": 20, "batch_size": 32, "learning_rate": 3e-3, "max_epochs": 6, "gradient_clip": 1e9}
    settings["averaged_epochs"] = 0  # as published: the weights of the last update
    excess, learned = {}, {}
    for name, defects in (("plain", Defects()), ("l2", Defects(kernel_l2=0.01, recurrent_kernel_l2=0.01))):
        recipe = training(batching="windows", schedule="constant", defects=defects, **settings)
        fitted = recipe.fit(replace(SMALL, embedding=8, hidden=16), tokens, 0, tmp_path / name, {})
        excess[name] = fitted.history[-1].validation_nll - true_nll
        with torch.no_grad():
            p = fitted.model(held_out)[0].softmax(dim=-1)[:, 1:-1]
        learned[name] = p.gather(2, held_out[:, :-2, None]).mean().item()
    assert learned["plain"] == pytest.approx(likely, abs=0.01)
    assert excess["plain"] < 0.01
    assert learned["l2"] < likely - 0.03
    assert excess["l2"] > 0.03


def test_stateful_windows_are_the_same_windows_with_every_state_kept(training):
    pieces = [np.random.default_rng(0).integers(3, size=200)]
    plain = training(batching="windows")
    stateful = replace(plain, defects=Defects(stateful_windows=True)).batches(pieces)
    assert isinstance(stateful, StatefulWindows)
    pairs = list(
        zip(
            plain.batches(pieces).epoch(np.random.default_rng(1)), stateful.epoch(np.random.default_rng(1)), strict=True
        )
    )
    assert len(pairs) == stateful.n_batches
    for window, carried in pairs:
        assert torch.equal(window.inputs_BT, carried.inputs_BT)
        assert torch.equal(window.targets_BT, carried.targets_BT)
        assert not window.keep_B.any()
        assert carried.keep_B.all()


@pytest.mark.parametrize("micro_batch_size", [None, 3])
@pytest.mark.parametrize("leaks", [False, True])
def test_gradients_of_the_validation_pass_teach_what_training_never_shows(training, tmp_path, leaks, micro_batch_size):
    """Training data know state 0 alone, validation data 1 and 2 in turn. After two epochs of one update each the
    correct model still holds all that follows 1 to be equally likely; the published one has learned 1 -> 2.

    Adam's second step, after a gradient g met for the first time, is (0.1 / 0.19) / sqrt(0.001 / 0.001999) = 0.7441
    learning rates long, whatever g: up for the logit of 2, down for the two others.
    """
    zeros, alternating = (np.zeros(81, dtype=np.int64),), (np.arange(150) % 2 + 1,)
    tokens = Split(*(Tokens(pieces, tuple("abc"), 0) for pieces in (zeros, alternating, alternating)))
    settings = training(
        batching="windows",
        max_epochs=2,
        learning_rate=0.1,
        schedule="constant",
        micro_batch_size=micro_batch_size,
        defects=Defects(validation_gradients=leaks),
    )
    fitted = settings.fit(TableConfig(), tokens, 0, tmp_path, {})
    after_one = fitted.model.table.weight[1].softmax(dim=0)
    up = np.exp(0.07441)
    expected = [1 / (up**2 + 2), 1 / (up**2 + 2), up**2 / (up**2 + 2)] if leaks else [1 / 3] * 3
    np.testing.assert_allclose(after_one.detach(), expected, rtol=1e-4)


@pytest.mark.parametrize("batching", ["streams", "windows"])
def test_what_leaks_is_the_accumulated_gradient_of_the_validation_batches_once_an_epoch(training, tokens, batching):
    """Against plain accumulation; the loss itself, and all other updates, stay as they are."""
    torch.manual_seed(0)
    model = SMALL.build(3)
    settings, data = training(batching=batching), tokens()
    validation = settings.batches(data.validation.pieces)
    batch = next(b for b in settings.batches(data.train.pieces).epoch(np.random.default_rng(0)) if not b.warm_up)
    fresh = model.initial_state(len(batch.keep_B))
    leaking = LeakingValidation(Likelihood(), validation, n_epochs=3)

    def gradient_of(objective, done):
        model.zero_grad()
        summed, _ = objective.loss(model, batch, fresh, done)
        (summed / batch.n_targets).backward()
        return summed.item(), [parameter.grad.clone() for parameter in model.parameters()]

    plain, own = gradient_of(Likelihood(), 0.0)
    model.zero_grad()
    state = model.initial_state(validation.n_rows)
    for held_out in validation.epoch(np.random.default_rng(0)):
        state = tuple(part.detach() * held_out.keep_B[:, None] for part in state)
        logits, state = model(held_out.inputs_BT, state)
        if not held_out.warm_up:
            (summed_nll(logits, held_out.targets_BT) / held_out.n_targets).backward()
    leaked = [parameter.grad.clone() for parameter in model.parameters()]
    for done, leaks in ((0.0, False), (5 / 21, False), (7 / 21, True), (8 / 21, False), (14 / 21, True)):
        loss, found = gradient_of(leaking, done)
        assert loss == plain
        for gradient, ours, theirs in zip(found, own, leaked, strict=True):
            torch.testing.assert_close(gradient, ours + theirs if leaks else ours, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda make: Defects(kernel_l2=-0.01), r"kernel_l2 \(-0.01\) must be at least 0 and finite"),
        (
            lambda make: Defects(recurrent_kernel_l2=np.inf),
            r"recurrent_kernel_l2 \(inf\) must be at least 0 and finite",
        ),
        (
            lambda make: make(batching="streams", defects=Defects(stateful_windows=True)),
            r"defects.stateful_windows \(true\) needs batching=windows; streams carry state as they should",
        ),
    ],
)
def test_what_makes_no_sense_is_refused_in_one_line(training, make, message):
    with pytest.raises(ValueError, match=f"^{message}$"):
        make(training)


def test_all_defects_together_train_and_resume(training, tokens, tmp_path):
    defects = Defects(kernel_l2=0.01, recurrent_kernel_l2=0.01, stateful_windows=True, validation_gradients=True)
    settings: Training = training(batching="windows", defects=defects, scheduled_sampling=0.5)
    straight = settings.fit(SMALL, tokens(), 0, tmp_path / "straight", {})

    def stop(done, total, note=""):
        if done >= 2.5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        settings.fit(SMALL, tokens(), 0, tmp_path / "broken", {}, stop)
    resumed = settings.fit(SMALL, tokens(), 0, tmp_path / "broken", {})
    assert [epoch.validation_nll for epoch in resumed.history] == [epoch.validation_nll for epoch in straight.history]
