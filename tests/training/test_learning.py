"""What training achieves where the answer is known."""

from dataclasses import dataclass

import numpy as np
import pytest
import torch
from torch import nn

from mdlm.model.base import LanguageModel, ModelConfig
from mdlm.model.lstm import LSTMConfig
from mdlm.system.chain import Chain
from mdlm.tokens.base import Tokens
from mdlm.trajectory import Split

BIT_EVERY, FILLER, MARKER = 60, 2, 3


class Latch(LanguageModel):
    """Remembers the last 0 or 1 it saw, for ever; a table of logits for each token and memory is all it learns."""

    def __init__(self, n_states):
        super().__init__(n_states)
        self.table = nn.Embedding(3 * n_states, n_states)
        nn.init.zeros_(self.table.weight)

    def initial_state(self, n_chains):
        return (torch.zeros(1, n_chains),)

    def forward(self, tokens_BT, state=None):
        (memory_1B,) = state or self.initial_state(len(tokens_BT))
        seen_BT = torch.where(tokens_BT < 2, tokens_BT + 1, 0)  # 1: a zero, 2: a one, 0: neither
        seen_BS = torch.cat([memory_1B[0, :, None].long(), seen_BT], dim=1)
        last_BS = torch.where(seen_BS > 0, torch.arange(seen_BS.shape[1]), 0).cummax(dim=1).values
        memory_BT = seen_BS.gather(1, last_BS)[:, 1:]
        return self.table(3 * tokens_BT + memory_BT), (memory_BT[None, :, -1].float(),)


@dataclass(frozen=True)
class LatchConfig(ModelConfig):
    def build(self, n_states):
        return Latch(n_states)


def repeated_bits(n_pieces, seed):
    """One bit for each piece, every 60 frames, announced by a marker; neighbouring pieces have different bits."""
    rng, pieces = np.random.default_rng(seed), []
    for number in range(n_pieces):
        period = np.array([number % 2, *[FILLER] * (BIT_EVERY - 2), MARKER])
        pieces.append(np.tile(period, 9)[rng.integers(BIT_EVERY) :])
    return Tokens(tuple(pieces), tuple("abcd"), n_unseen=0)


def loss_at_bits(model, part):
    """Mean of the negative log probability of each bit but the first of its piece, read with carried state."""
    losses = []
    for piece in part.pieces:
        with torch.no_grad():
            log_p = torch.log_softmax(model(torch.from_numpy(piece)[None, :-1])[0][0], dim=-1)
        frames = np.flatnonzero(piece < 2)[1:]
        losses += [-log_p[frame - 1, piece[frame]].item() for frame in frames]
    return np.mean(losses)


def test_streams_carry_what_windows_forget(training, tmp_path):
    """Trap 6. The next token is that of 60 frames ago, the context 20 frames.

    In streams the memory at a marker is the bit. In windows with a fresh state a marker is only ever met with an
    empty memory, so what follows a marker and a bit stays as it was made: all four states alike.
    """
    tokens = Split(repeated_bits(16, 0), repeated_bits(2, 1), repeated_bits(4, 2))
    changes = {"context_length": 20, "learning_rate": 0.3, "max_epochs": 4}
    streams, windows = (
        training(batching=batching, **changes).fit(LatchConfig(), tokens, 0, tmp_path / batching, {})
        for batching in ("streams", "windows")
    )
    assert loss_at_bits(streams.model, tokens.test) < 0.1 * np.log(2)
    assert loss_at_bits(windows.model, tokens.test) == pytest.approx(np.log(4), rel=1e-6)


@pytest.mark.parametrize("batching", ["streams", "windows"])
def test_an_lstm_reaches_the_entropy_rate_of_a_markov_chain(training, tmp_path, batching):
    """The held-out frames have an entropy rate of their own, 1.5 % (one standard error) from the closed form.

    Against the true chain on the same frames the network is to lose less than 0.5 %; it lost 0.1 %.
    """
    matrix = np.array([[0.90, 0.08, 0.02], [0.10, 0.85, 0.05], [0.02, 0.08, 0.90]])
    system = Chain(
        lag_time=1.0,
        transition_matrix=tuple(map(tuple, matrix.tolist())),
        n_trajectories=10,
        n_frames=6000,
        frame_time=1.0,
        time_unit="ps",
        seed=0,
    )
    entropy_rate = -system.stationary_distribution @ (matrix * np.log(matrix)).sum(axis=1)
    pieces = tuple(piece[:, 0].astype(np.int64) for piece in system.trajectories().pieces)
    true_nll = -np.mean([np.log(matrix[piece[:-1], piece[1:]]).mean() for piece in pieces[7:]])
    tokens = Split(*(Tokens(part, tuple("abc"), n_unseen=0) for part in (pieces[:7], pieces[7:], pieces[7:])))
    settings = training(batching=batching, context_length=20, batch_size=32, max_epochs=3, learning_rate=0.02)
    fitted = settings.fit(LSTMConfig(embedding=4, hidden=8, layers=1, dropout=0.0), tokens, 0, tmp_path, {})
    reached = min(epoch.validation_nll for epoch in fitted.history)
    assert reached == pytest.approx(entropy_rate, rel=4 * 0.015)
    assert reached == pytest.approx(true_nll, rel=0.005)
