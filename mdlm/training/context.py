"""Does a model use history, how far back, and is there any to be used? Held-out loss against context length."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from mdlm.model.base import LanguageModel, fitting_threads
from mdlm.progress import Progress, silent
from mdlm.trajectory import FloatArray, IntArray

BLOCK = 64  # neighbouring targets resampled together
BATCH_TOKENS = 65_536  # read at once
N_RESAMPLES = 1000
NEGLIGIBLE = 0.05  # share of the whole gain below which more history does not count as a gain


@dataclass(frozen=True)
class Gain:
    """A paired difference of losses and its interval, in nats per token; positive where the loss falls."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class ContextCurve:
    """Held-out loss against the history a model is shown, always on the same tokens.

    Attributes:
        lengths: Tokens of history, ascending from 1, shape ``(n_lengths,)``.
        token_time: Mean time of a token, in ``time_unit``.
        time_unit: Unit of ``token_time``.
        nll: Nats per token with each history, from a fresh state, shape ``(n_lengths,)``.
        gains: Loss with one token of history less that with each, paired.
        remaining: Loss with each history less that with the longest, paired.
        steps: Loss with each history less that with the next longer one, paired, one fewer.
        markov_nll: Of a Markov chain of order one on the same tokens.
        markov_gain: Its loss less that of the model with the longest history, paired.
        confidence: Probability mass of the intervals.
        n_targets: Tokens that were predicted.
        n_impossible: Tokens left out because the model or the Markov chain holds them to be impossible.
    """

    lengths: IntArray
    token_time: float
    time_unit: str
    nll: FloatArray
    gains: tuple[Gain, ...]
    remaining: tuple[Gain, ...]
    steps: tuple[Gain, ...]
    markov_nll: float
    markov_gain: Gain
    confidence: float
    n_targets: int
    n_impossible: int

    @property
    def uses_history(self) -> bool:
        """Whether the longest history predicts better than one token, beyond the error."""
        return self.gains[-1].low > 0

    @property
    def memory(self) -> int:
        """The shortest history from which on a longer one gains nothing, in tokens.

        Nothing is what is within its error, or below a twentieth of the whole gain: that over one token or, where it
        is smaller, over the Markov chain. A model trained on long histories predicts badly from one token that it was
        never shown alone, which the chain does not. One where no history is used.
        """
        if not self.uses_history:
            return 1
        whole = self.gains[-1].value
        if self.needs_memory:
            whole = min(whole, self.markov_gain.value)
        needed = [gain.low > 0 and gain.value > NEGLIGIBLE * whole for gain in self.remaining]
        return int(self.lengths[max((i + 1 for i, more in enumerate(needed) if more), default=0)])

    @property
    def has_levelled_off(self) -> bool:
        """Whether a longer history than ``memory`` was tried."""
        return self.memory < int(self.lengths[-1])

    @property
    def needs_memory(self) -> bool:
        """Whether the model predicts these tokens better than a Markov chain of order one, beyond the error."""
        return self.markov_gain.low > 0

    def time_of(self, tokens: FloatArray) -> FloatArray:
        """Time that so many tokens of history span, in the time unit."""
        return tokens * self.token_time

    def tokens_of(self, time: FloatArray) -> FloatArray:
        """Tokens of history in a time."""
        return time / self.token_time

    def metrics(self) -> dict[str, float]:
        """The numbers under their logged names."""
        return {
            "memory_gain_nats_per_token": self.gains[-1].value,
            "memory_gain_nats_per_token_low": self.gains[-1].low,
            "memory_gain_nats_per_token_high": self.gains[-1].high,
            "memory_gain_over_markov_nats_per_token": self.markov_gain.value,
            "memory_gain_over_markov_nats_per_token_low": self.markov_gain.low,
            "memory_gain_over_markov_nats_per_token_high": self.markov_gain.high,
            "memory_tokens": float(self.memory),
            f"memory_time_{self.time_unit}": self.memory * self.token_time,
        }

    def sentences(self) -> tuple[str, ...]:
        """What it means: whether history is used, how far back, and whether it is needed."""
        longest, unit = int(self.lengths[-1]), self.time_unit
        on = f"on {self.n_targets} held-out tokens"
        if not self.uses_history:
            first = f"The model makes no use of history that shows {on}: {longest} tokens predict no better than 1"
        else:
            within = f"{self.memory} tokens ({self.memory * self.token_time:g} {unit})"
            reach = f"which saturates within {within}" if self.has_levelled_off else f"still rising at {within}"
            first = f"History gains the model {_nats(self.gains[-1])} over one token {on}, {reach}"
        beside = "a Markov chain of order one on the same tokens"
        if self.needs_memory:
            second = f"These tokens need memory: the model beats {beside} by {_nats(self.markov_gain)}"
        elif self.markov_gain.high < 0:
            second = f"The model is worse than {beside} by {_nats(_negative(self.markov_gain))}"
        else:
            second = f"Too few to tell the model from {beside}: its lead is {_nats(self.markov_gain)}"
        return first, second


def _nats(gain: Gain) -> str:
    return f"{gain.value:.4f} [{gain.low:.4f}, {gain.high:.4f}] nats/token"


def _negative(gain: Gain) -> Gain:
    return Gain(-gain.value, -gain.high, -gain.low)


def context_curve(
    model: LanguageModel,
    markov: LanguageModel,
    held_out: Sequence[IntArray],
    token_time: float,
    time_unit: str,
    n_targets: int,
    max_context: int,
    confidence: float,
    seed: int,
    progress: Progress = silent,
) -> ContextCurve:
    """Show a model 1, 2, 4, ... tokens of history and compare its losses on the same held-out tokens.

    The targets are contiguous blocks at random places, so that rare events come as often as they do, and intervals are
    those of a bootstrap over the blocks.

    Args:
        model: Reads every history from a fresh state.
        markov: A Markov chain of order one, counted on the training tokens.
        held_out: Pieces; no history crosses a boundary.
        token_time: Mean time of a token, in ``time_unit``.
        time_unit: Unit of ``token_time``.
        n_targets: Tokens to predict, at most; a multiple of the length of a block is taken.
        max_context: Longest history; half of the longest piece at most.
        confidence: Probability mass of the intervals.
        seed: Of the places and the bootstrap.
        progress: Told the tokens read.

    Raises:
        ValueError: No piece holds a history and a target.
    """
    rng = np.random.default_rng(seed)
    lengths = context_lengths(min(max_context, max(map(len, held_out)) // 2))
    tape, targets_NK = target_blocks(held_out, int(lengths[-1]), n_targets, rng)
    total, done = int(lengths.sum()) * targets_NK.size, 0
    losses = []
    for length in lengths.tolist():
        losses.append(window_losses(model, tape, targets_NK.ravel(), length))
        done += length * targets_NK.size
        progress(done, total, f"{length} tokens of history")
    losses.append(window_losses(markov, tape, targets_NK.ravel(), 1))
    loss_LNK = np.stack(losses).reshape(len(losses), *targets_NK.shape)
    return _curve(loss_LNK, lengths, token_time, time_unit, confidence, rng)


def _curve(
    loss_LNK: FloatArray,
    lengths: IntArray,
    token_time: float,
    time_unit: str,
    confidence: float,
    rng: np.random.Generator,
) -> ContextCurve:
    """Means and paired differences; the last row of losses is the Markov chain's."""
    possible_NK = np.isfinite(loss_LNK).all(axis=0)
    count_N = possible_NK.sum(axis=1)
    sums_LN = np.where(possible_NK, loss_LNK, 0.0).sum(axis=2)
    weights_RN = rng.multinomial(len(count_N), np.full(len(count_N), 1 / len(count_N)), size=N_RESAMPLES)
    tails = [(1 - confidence) / 2, (1 + confidence) / 2]

    def gain(before: int, after: int) -> Gain:
        difference_N = sums_LN[before] - sums_LN[after]
        drawn_R = (weights_RN @ difference_N) / np.maximum(weights_RN @ count_N, 1)
        low, high = np.quantile(drawn_R, tails)
        return Gain(float(difference_N.sum() / max(count_N.sum(), 1)), float(low), float(high))

    last = len(lengths) - 1
    nll = sums_LN.sum(axis=1) / (count_N.sum() or math.nan)
    return ContextCurve(
        lengths=lengths,
        token_time=token_time,
        time_unit=time_unit,
        nll=nll[:-1],
        gains=tuple(gain(0, i) for i in range(last + 1)),
        remaining=tuple(gain(i, last) for i in range(last + 1)),
        steps=tuple(gain(i, i + 1) for i in range(last)),
        markov_nll=float(nll[-1]),
        markov_gain=gain(last + 1, last),
        confidence=confidence,
        n_targets=int(count_N.sum()),
        n_impossible=int((~possible_NK).sum()),
    )


def context_lengths(longest: int) -> IntArray:
    """1, 2, 4, ... up to ``longest``.

    Example:
        >>> context_lengths(9).tolist()
        [1, 2, 4, 8]
    """
    return 2 ** np.arange(int(math.log2(max(longest, 1))) + 1)


def target_blocks(
    pieces: Sequence[IntArray], history: int, n_targets: int, rng: np.random.Generator
) -> tuple[IntArray, IntArray]:
    """Contiguous blocks of targets that all have the longest history before them.

    Args:
        pieces: Held-out tokens.
        history: Tokens before each target.
        n_targets: At most, up to whole blocks.
        rng: Chooses among the blocks.

    Returns:
        All tokens in a row, and places in it, shape ``(n_blocks, block_length)``.

    Raises:
        ValueError: No piece is long enough for one target.
    """
    room = max(len(piece) for piece in pieces) - history
    if room < 1:
        raise ValueError(f"history ({history}) leaves no target in held-out pieces of up to {room + history} tokens")
    length = min(BLOCK, room)
    offsets = np.cumsum([0, *(len(piece) for piece in pieces)])
    starts = [
        offset + np.arange(history, len(piece) - length + 1, length)
        for offset, piece in zip(offsets[:-1], pieces, strict=True)
    ]
    first_N = np.concatenate(starts)
    n_blocks = min(len(first_N), max(1, n_targets // length))
    chosen_N = np.sort(rng.choice(first_N, size=n_blocks, replace=False))
    return np.concatenate(pieces), chosen_N[:, None] + np.arange(length)


@torch.inference_mode()
def window_losses(model: LanguageModel, tape: IntArray, targets: IntArray, length: int) -> NDArray[np.float64]:
    """Loss of each target given exactly the ``length`` tokens before it, from a fresh state.

    Args:
        model: Put into evaluation mode here, and back afterwards.
        tape: Tokens, shape ``(n_tokens,)``.
        targets: Places in it, each at least ``length``, shape ``(n_targets,)``.
        length: Tokens of history.

    Returns:
        Nats, shape ``(n_targets,)``; infinite where the model holds a target to be impossible.
    """
    was_training, device = model.training, model.device
    tokens = torch.from_numpy(tape.astype(np.int64)).to(device)
    before = torch.arange(-length, 0, device=device)
    losses = []
    model.eval()
    with fitting_threads(model):
        for batch in torch.split(torch.from_numpy(targets).to(device), max(1, BATCH_TOKENS // length)):
            logits_BTV, _ = model(tokens[batch[:, None] + before], model.initial_state(len(batch)))
            losses.append(F.cross_entropy(logits_BTV[:, -1].double(), tokens[batch], reduction="none"))
    model.train(was_training)
    return np.asarray(torch.cat(losses).cpu().numpy())
