"""The baseline: a Markov chain counted from the tokens, of any order, with back-off for contexts never seen."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mdlm.model.base import CountedModel, State
from mdlm.model.markov import MarkovConfig
from mdlm.trajectory import FloatArray, IntArray


class Markov(CountedModel):
    """Maximum-likelihood Markov chain of order k, not forced to be reversible.

    A context of the last k states that never occurred in training backs off to the last k-1, and so on down to
    the populations. Without smoothing a jump never seen after its context has probability zero.

    Source of the smoothing: Witten & Bell, IEEE Trans. Inf. Theory 37, 1085 (1991), method C.
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
            counted = np.bincount(rows * self.n_states + targets, minlength=len(contexts) * self.n_states)
            counts: FloatArray = counted.reshape(len(contexts), self.n_states).astype(np.float64)
            lower = self._smoothed_with(contexts, length)
            with np.errstate(divide="ignore"):
                log_probability = np.log(witten_bell(counts, lower))
            setattr(self, f"codes_{length}", torch.from_numpy(contexts))
            setattr(self, f"log_probability_{length}", torch.from_numpy(log_probability).float())

    def _smoothed_with(self, contexts: IntArray, length: int) -> FloatArray | None:
        """What each context of this length is mixed with: the row of the one a state shorter, or nothing."""
        if self.config.smoothing == "none" or (self.config.smoothing == "contexts" and length <= 1):
            return None
        if length == 0:
            return np.full((1, self.n_states), 1 / self.n_states)
        shorter = contexts % (self.n_states + 1) ** (length - 1)
        rows = np.searchsorted(self.get_buffer(f"codes_{length - 1}").numpy(), shorter)
        return np.asarray(np.exp(self.get_buffer(f"log_probability_{length - 1}").numpy()[rows].astype(np.float64)))

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
        return self.allowed(logits_BTV, tokens_BT), (history_BS[None, :, -order:],)

    def _rows(self, context_BTK: Tensor, length: int) -> tuple[Tensor, Tensor]:
        """Row of each context in the table of its length, and whether it is there."""
        codes = self.get_buffer(f"codes_{length}")
        powers = (self.n_states + 1) ** torch.arange(length - 1, -1, -1, device=context_BTK.device)
        wanted = (context_BTK * powers).sum(-1)
        rows = torch.searchsorted(codes, wanted.contiguous()).clamp(max=len(codes) - 1)
        return rows, codes[rows] == wanted

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *args: Any) -> None:  # noqa: ANN401
        # The tables are as long as the contexts in the data, so they take the shape that was saved.
        for name in self.state_dict():
            setattr(self, name, torch.empty_like(state_dict[prefix + name]))
        super()._load_from_state_dict(state_dict, prefix, *args)


def witten_bell(counts: FloatArray, lower: FloatArray | None) -> FloatArray:
    """Probabilities from counts, mixed with ``lower`` by as much as different things were seen.

    Args:
        counts: Shape ``(n_contexts, n_states)``.
        lower: Less specific probabilities, same shape; None for the counts alone.

    Example:
        >>> witten_bell(np.array([[3.0, 1.0, 0.0]]), np.array([[0.25, 0.25, 0.5]])).round(3).tolist()
        [[0.583, 0.25, 0.167]]
    """
    total = counts.sum(axis=1, keepdims=True)
    if lower is None:
        return np.asarray(counts / total)
    n_kinds = np.maximum((counts > 0).sum(axis=1, keepdims=True), 1)
    return np.asarray((counts + n_kinds * lower) / (total + n_kinds))


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
