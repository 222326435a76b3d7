"""Which jumps the training data rule out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from mdlm.trajectory import IntArray

Support = Literal["seen", "all", "counted"]
"""Which jumps may happen: all but those the data rule out; all; only those that were counted."""


def forbidden_jumps(pieces: Sequence[IntArray], n_states: int, support: Support) -> NDArray[np.bool_]:
    """Jumps that a network must not make.

    Args:
        pieces: Discrete trajectories; no jump leads from one to the next.
        n_states: Size of the alphabet.
        support: ``seen``: those of `unseen_jumps`; ``all``: none; ``counted``: every one never seen, but out of states
            that were never left none.

    Returns:
        Row: from, column: to; shape ``(n_states, n_states)``.

    Example:
        >>> forbidden_jumps([np.array([0, 1, 1])], 3, "counted").astype(int).tolist()
        [[1, 0, 1], [1, 0, 1], [0, 0, 0]]
    """
    if support == "seen":
        return unseen_jumps(pieces, n_states)
    counts = jump_counts(pieces, n_states)
    return np.asarray((counts == 0) & (counts.sum(axis=1, keepdims=True) > 0) & (support == "counted"))


def unseen_jumps(pieces: Sequence[IntArray], n_states: int) -> NDArray[np.bool_]:
    """Jumps that never occurred, out of states observed well enough to say that this is no accident.

    A softmax gives every jump some probability. Where real slow events are as rare as 1e-5 per frame, those
    leaks are a good part of them: the model splits its events between jumps that exist and jumps that do not.

    The probability that the next jump out of a state is one never seen there is estimated as the share of jumps
    seen exactly once (Good-Turing). Where no jump was seen just once, it is nil, and what was never seen is ruled
    out. Where some were, the state is too poorly known, and nothing is.

    Args:
        pieces: Discrete trajectories; no jump leads from one to the next.
        n_states: Size of the alphabet.

    Returns:
        Row: from, column: to; shape ``(n_states, n_states)``.

    Source: Good, Biometrika 40, 237 (1953).

    Example:
        >>> unseen_jumps([np.array([0, 0, 0, 1, 0, 1, 2, 1, 2])], 3).astype(int).tolist()
        [[0, 0, 1], [0, 0, 0], [0, 0, 0]]
    """
    counts = jump_counts(pieces, n_states)
    well_known = (counts != 1).all(axis=1) & (counts.sum(axis=1) > 0)
    return np.asarray((counts == 0) & well_known[:, None])


def jump_counts(pieces: Sequence[IntArray], n_states: int) -> NDArray[np.int64]:
    """How often each jump occurred over one token, stays included; row: from, column: to.

    Args:
        pieces: Discrete trajectories; no jump leads from one to the next.
        n_states: Size of the alphabet.

    Example:
        >>> jump_counts([np.array([0, 0, 1]), np.array([1, 0])], 2).tolist()
        [[1, 1], [1, 0]]
    """
    flat = np.zeros(n_states * n_states, dtype=np.int64)
    for piece in pieces:
        jumps = piece[:-1].astype(np.int64) * n_states + piece[1:]
        flat += np.bincount(jumps, minlength=n_states * n_states)
    return flat.reshape(n_states, n_states)
