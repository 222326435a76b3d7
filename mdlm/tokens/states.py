"""The states themselves: one token per frame."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mdlm.tokens.base import Tokenisation, Tokeniser, Tokens
from mdlm.trajectory import Dtraj, Header, IntArray


@dataclass(frozen=True)
class StateTokeniser(Tokeniser):
    """The token is the state. A state that training never visits keeps its token, so that it can be scored.

    Attributes:
        occurs: Whether training visits each state, shape ``(n_states,)``.
    """

    occurs: NDArray[np.bool_]

    def encode(self, states: Dtraj) -> Tokens:
        """The states as they are; frames in states that training never visits are counted as unseen."""
        self.check(states)
        if max(states.lengths) < 2:
            raise ValueError("no trajectory is left two frames; lower the stride or hold out more")
        n_unseen = sum(int((~self.occurs[piece]).sum()) for piece in states.pieces)
        return Tokens(states.pieces, self.token_names, n_unseen)

    def decode(self, chains: IntArray | Sequence[IntArray], max_frames: int | None = None) -> Dtraj:
        """The tokens as they are."""
        pieces = tuple(chain[:max_frames] for chain in chains)
        return Dtraj(pieces, self.frame_time, self.time_unit, n_states=self.n_states).check()


@dataclass(frozen=True)
class States(Tokenisation):
    """One token per frame, its state."""

    def check(self, header: Header) -> None:
        """Nothing can go wrong."""

    def fit(self, train: Dtraj) -> StateTokeniser:
        """Note which states training visits."""
        occurs = np.zeros(train.n_states, bool)
        for piece in train.pieces:
            occurs[piece] = True
        names = tuple(f"state {state}" for state in range(train.n_states))
        return StateTokeniser(train.n_states, train.frame_time, train.time_unit, names, 1.0, occurs)
