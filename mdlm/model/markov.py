"""The baseline: a Markov chain counted from the tokens, of any order, with back-off for contexts never seen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mdlm.model.base import CountedModel, ModelConfig, State, check_at_least
from mdlm.trajectory import IntArray


@dataclass(frozen=True)
class MarkovConfig(ModelConfig):
    """Hyper-parameters of `Markov`.

    Attributes:
        order: Number of past states the next one depends on.
    """

    order: int

    def __post_init__(self) -> None:
        check_at_least(1, order=self.order)

    def build(self, n_states: int) -> Markov:
        """A chain over ``n_states`` states; `Markov.count` fills it."""
        if (n_states + 1) ** self.order > 2**62:
            raise ValueError(f"order ({self.order}) is too high for {n_states} states: contexts overflow 64 bits")
        return Markov(self, n_states)


class Markov(CountedModel):
    """Maximum-likelihood Markov chain of order k, not forced to be reversible.

    A context of the last k states that never occurred in training backs off to the last k-1, and so on down to
    the populations. A jump never seen after its context has probability zero.
    """

    def __init__(self, config: MarkovConfig, n_states: int) -> None:
        super().__init__(n_states)
        self.config = config
        for length in range(config.order + 1):
            self.register_buffer(f"codes_{length}", torch.zeros(0, dtype=torch.int64))
            self.register_buffer(f"log_probability_{length}", torch.zeros(0, n_states))

    def count(self, pieces: Sequence[IntArray]) -> None:
        """See `CountedModel.count`."""
        for length in range(self.config.order + 1):
            codes = np.concatenate([_context_codes(piece, length, self.n_states)[:-1] for piece in pieces])
            targets = np.concatenate([piece[max(length, 1) :] for piece in pieces])
            contexts, rows = np.unique(codes, return_inverse=True)
            counts = np.bincount(rows * self.n_states + targets, minlength=len(contexts) * self.n_states)
            counts = counts.reshape(len(contexts), self.n_states).astype(np.float64)
            with np.errstate(divide="ignore"):
                log_probability = np.log(counts / counts.sum(axis=1, keepdims=True))
            setattr(self, f"codes_{length}", torch.from_numpy(contexts))
            setattr(self, f"log_probability_{length}", torch.from_numpy(log_probability).float())

    def initial_state(self, n_chains: int) -> State:
        """The last k states plus one, newest last, shape (1, B, k); zero means not seen yet."""
        return (self.get_buffer("codes_0").new_zeros(1, n_chains, self.config.order),)

    def forward(self, tokens_BT: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """See `LanguageModel.forward`."""
        order = self.config.order
        populations_V: Tensor = self.get_buffer("log_probability_0")[0]
        (past_1BK,) = state or self.initial_state(len(tokens_BT))
        history_BS = torch.cat([past_1BK[0], tokens_BT + 1], dim=1)  # S = k + T
        context_BTK = history_BS[:, 1:].unfold(1, order, 1)
        logits_BTV = populations_V.expand(*tokens_BT.shape, -1)
        for length in range(1, order + 1):
            table = self.get_buffer(f"log_probability_{length}")
            if len(table) == 0:  # no piece was long enough
                break
            row_BT, known_BT = self._rows(context_BTK[..., order - length :], length)
            logits_BTV = torch.where(known_BT[..., None], table[row_BT], logits_BTV)
        return logits_BTV, (history_BS[None, :, -order:],)

    def _rows(self, context_BTK: Tensor, length: int) -> tuple[Tensor, Tensor]:
        """Row of each context in the table of its length, and whether it is there."""
        codes = self.get_buffer(f"codes_{length}")
        powers = (self.n_states + 1) ** torch.arange(length - 1, -1, -1, device=context_BTK.device)
        wanted = (context_BTK * powers).sum(-1)
        rows = torch.searchsorted(codes, wanted.contiguous()).clamp(max=len(codes) - 1)
        return rows, codes[rows] == wanted

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *args: Any) -> None:  # noqa: ANN401
        # The tables are as long as the contexts in the data, so they take the shape that was saved.
        for name in list(self._buffers):
            setattr(self, name, torch.empty_like(state_dict[prefix + name]))
        super()._load_from_state_dict(state_dict, prefix, *args)


def _context_codes(piece: IntArray, length: int, n_states: int) -> IntArray:
    """One number for the ``length`` states up to and including each frame that has as many; 0 for none.

    States count from one, so that an incomplete context (with a zero in it) is never mistaken for a known one.
    """
    if length == 0:
        return np.zeros(len(piece), dtype=np.int64)
    if len(piece) < length:
        return np.zeros(0, dtype=np.int64)
    windows = np.lib.stride_tricks.sliding_window_view(piece.astype(np.int64) + 1, length)
    return np.asarray(windows @ (n_states + 1) ** np.arange(length - 1, -1, -1, dtype=np.int64))
