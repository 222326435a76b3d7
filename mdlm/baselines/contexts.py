"""A Markov chain of any order as a finite graph: a node is the longest context that training knows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mdlm.trajectory import FloatArray, IntArray

if TYPE_CHECKING:
    from mdlm.model.markov_model import Markov


@dataclass(frozen=True)
class ContextGraph:
    """The contexts of a counted chain, shortest first.

    A chain's next node follows from its node and token alone: a longer context than the longest one known cannot
    become known by a token more, since what training saw it saw with its beginning.

    Attributes:
        probability_NV: Of the next state in each context.
        following_NV: The context after each state.
        codes: Of the contexts of each length, ascending; see `mdlm.model.markov_model`.
        n_states: Size of the alphabet.
    """

    probability_NV: FloatArray
    following_NV: IntArray
    codes: tuple[IntArray, ...]
    n_states: int

    @staticmethod
    def of(model: Markov) -> ContextGraph:
        """The graph of a counted model."""
        lengths = [n for n in range(model.config.order + 1) if len(model.get_buffer(f"codes_{n}"))]
        codes = tuple(model.get_buffer(f"codes_{n}").numpy() for n in lengths)
        tables = [model.get_buffer(f"log_probability_{n}").double().exp().numpy() for n in lengths]
        base = model.n_states + 1
        following = [
            longest_known(code[:, None] * base + np.arange(1, base), min(n + 1, lengths[-1]), codes, base)
            for n, code in zip(lengths, codes, strict=True)
        ]
        return ContextGraph(np.concatenate(tables), np.concatenate(following), codes, model.n_states)

    def after(self, prompts_BT: IntArray) -> IntArray:
        """The node of each chain after its prompt."""
        base, longest = self.n_states + 1, min(len(self.codes) - 1, prompts_BT.shape[1])
        powers = base ** np.arange(longest - 1, -1, -1, dtype=np.int64)
        wanted = (prompts_BT[:, prompts_BT.shape[1] - longest :].astype(np.int64) + 1) @ powers
        return longest_known(wanted, longest, self.codes, base)


def longest_known(wanted: IntArray, length: int, codes: tuple[IntArray, ...], base: int) -> IntArray:
    """Node of the longest known end of each context.

    Args:
        wanted: Codes of contexts, of which the last ``length`` states count; any shape.
        length: The longest that may be known.
        codes: Of the known contexts of each length, ascending.
        base: States plus one.
    """
    first = np.cumsum([0, *(len(code) for code in codes)])
    node = np.zeros(wanted.shape, dtype=np.int32)  # the context of no states is always known
    for n in range(1, length + 1):
        end = wanted % base**n
        row = np.minimum(np.searchsorted(codes[n], end), len(codes[n]) - 1)
        node = np.where(codes[n][row] == end, first[n] + row, node).astype(np.int32)
    return node
