"""Jumps of a sample that its training data never make: how often, and how many of them carry the slow process."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mdlm.kinetics.counts import transition_counts
from mdlm.trajectory import IntArray

LISTED = 3  # kinds in the sentence


@dataclass(frozen=True)
class UnseenJumps:
    """Jumps from one token to the next, of states as the model sees them, that training never holds.

    Attributes:
        n_tokens: Jumps of the sample, seen or not, stays included; its tokens but for the first of each chain.
        n_jumps: Those of them that training never holds.
        n_stays: Stays in a state among these, where training leaves it at once whenever it is there.
        n_across: Those that lead from one side of the slowest process to the other.
        n_crossings: All jumps that do so, seen or not.
        kinds: The ordered pairs of states, ``(from, to, jumps)``, most frequent first.
        held_out_rate: Unseen jumps per token of held-out molecular dynamics, which are as unseen and yet right; NaN
            where there are none.
    """

    n_tokens: int
    n_jumps: int
    n_stays: int
    n_across: int
    n_crossings: int
    kinds: tuple[tuple[int, int, int], ...]
    held_out_rate: float

    @property
    def rate(self) -> float:
        """Unseen jumps per token; NaN where no chain has two tokens."""
        return self.n_jumps / self.n_tokens if self.n_tokens else math.nan

    @property
    def share_of_crossings(self) -> float:
        """Share of the crossings between the slow sides; NaN where nothing crosses."""
        return self.n_across / self.n_crossings if self.n_crossings else math.nan

    def metrics(self) -> dict[str, float]:
        """The numbers under their logged names."""
        return {
            "unseen_jumps_per_token": self.rate,
            "n_unseen_jumps": float(self.n_jumps),
            "n_unseen_stays": float(self.n_stays),
            "unseen_jump_kinds": float(len(self.kinds)),
            "n_unseen_crossings": float(self.n_across),
            "unseen_crossings_share": self.share_of_crossings,
            "unseen_jumps_held_out_per_token": self.held_out_rate,
        }

    def sentence(self) -> str:
        """How many there are, how many held-out data have, and how many cross between the slow sides."""
        held_out = "" if math.isnan(self.held_out_rate) else f" (held-out MD: {self.held_out_rate:.2g} per token)"
        if not self.n_jumps:
            return f"None of the sample's {self.n_tokens:,} transitions is unseen in training{held_out}"
        shown = ", ".join(f"{start} to {end} ({number:,})" for start, end, number in self.kinds[:LISTED])
        more = f" and {len(self.kinds) - LISTED} kinds more" if len(self.kinds) > LISTED else ""
        of_all = f"{self.n_jumps:,} of the sample's {self.n_tokens:,} transitions, {self.rate:.2g} per token"
        crossing = f"{self.n_across:,} of the {self.n_crossings:,} single steps between the slow sides"
        return f"{of_all}, are unseen in training{held_out}: states {shown}{more}; {crossing} are such"


def count_unseen(
    sampled: Sequence[IntArray], training: Sequence[IntArray], codes: IntArray, held_out: Sequence[IntArray] = ()
) -> UnseenJumps:
    """Count the jumps of a sample that training never makes; none leads from one piece to the next.

    Args:
        sampled: State sequences, each of shape ``(n_tokens,)``.
        training: Those that the sample was made from, at the same clock; backwards too where they were read so.
        codes: Side of the slowest process that each state is on, 0 or 1, or -1 for none; shape ``(n_states,)``.
        held_out: Others that were not trained on, at the same clock.

    Raises:
        ValueError: A state lies outside ``[0, n_states)``.

    Example:
        >>> found = count_unseen([np.array([0, 1, 2, 2, 0])], [np.array([0, 0, 1, 2])], np.array([0, 0, 1]))
        >>> found.n_jumps, found.n_tokens, found.kinds, found.n_across, found.n_crossings
        (2, 4, ((2, 0, 1), (2, 2, 1)), 1, 2)
    """
    n_states = len(codes)
    never = transition_counts(training, n_states) == 0
    counts = transition_counts(sampled, n_states)
    elsewhere = transition_counts(held_out, n_states)
    unseen = np.where(never, counts, 0)
    start, end = np.nonzero(unseen)
    order = np.argsort(-unseen[start, end], kind="stable")
    across = (codes[:, None] >= 0) & (codes >= 0) & (codes[:, None] != codes)
    total = int(elsewhere.sum())
    return UnseenJumps(
        n_tokens=int(counts.sum()),
        n_jumps=int(unseen.sum()),
        n_stays=int(unseen.trace()),
        n_across=int(unseen[across].sum()),
        n_crossings=int(counts[across].sum()),
        kinds=tuple(zip(start[order].tolist(), end[order].tolist(), unseen[start, end][order].tolist(), strict=True)),
        held_out_rate=int(elsewhere[never].sum()) / total if total else math.nan,
    )
