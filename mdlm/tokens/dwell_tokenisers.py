"""Fitted run-length tokens: runs of states to tokens, and any tokens a model may sample back to states."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mdlm.tokens.base import Tokeniser, Tokens
from mdlm.tokens.residence import ResidenceTimes, Runs, runs_from_first_jump
from mdlm.trajectory import Dtraj, IntArray

ONE_FRAME = -1
"""Stands for the bin of a state token that no dwell token follows."""


@dataclass(frozen=True)
class DwellTokeniser(Tokeniser):
    """Encodes runs as pairs of a state and a bin of residence times, and decodes such pairs.

    Attributes:
        residence_times: Their distribution in each state, from training.
        edges: Shortest residence time of each bin, in frames, ascending from 1; the last bin has no end.
        nearest: Bin nearest to each bin among those that have a residence time of the state, itself where it has;
            shape ``(n_states, n_bins)``.
        occurs: Whether training has a run of each state, shape ``(n_states,)``.
        seed: Of the residence times that are drawn.
    """

    residence_times: ResidenceTimes
    edges: IntArray
    nearest: IntArray
    occurs: NDArray[np.bool_]
    seed: int

    def encode(self, states: Dtraj) -> Tokens:
        """Tokens of each piece's runs from its first jump on; see `mdlm.tokens.dwell.Dwell` for the runs at its ends.

        Pieces without a jump are left out. Counted as unseen is each run whose state and bin never come together
        in training.
        """
        self.check(states)
        rng = np.random.default_rng([self.seed, 0])
        pieces, n_unseen = [], 0
        for piece in states.pieces:
            run_states, bins = self._binned(runs_from_first_jump(piece), rng)
            n_unseen += int((~self.known(run_states, bins)).sum())
            pieces.append(self.tokens(run_states, bins))
        if max(len(piece) for piece in pieces) < 2:
            raise ValueError("no trajectory is left two dwell tokens; lower the stride, hold out more or take states")
        return Tokens(tuple(piece for piece in pieces if len(piece)), self.token_names, n_unseen)

    def decode(self, chains: IntArray | Sequence[IntArray], max_frames: int | None = None) -> Dtraj:
        """States of each chain; a bin becomes a residence time drawn from those of its state within the bin."""
        rng = np.random.default_rng([self.seed, 1])
        pieces = tuple(self._decode_chain(chain, max_frames, rng) for chain in chains)
        return Dtraj(pieces, self.frame_time, self.time_unit, n_states=self.n_states).check()

    def n_violations(self, chains: IntArray | Sequence[IntArray]) -> int:
        """See `Tokeniser.n_violations`."""
        return sum(self.violations(np.asarray(chain)) for chain in chains)

    def known(self, states: IntArray, bins: IntArray) -> NDArray[np.bool_]:
        """Whether training has a run in this state and this bin."""
        return np.asarray(self.occurs[states] & (self.nearest[states, bins] == bins))

    @abstractmethod
    def tokens(self, states: IntArray, bins: IntArray) -> IntArray:
        """Tokens of consecutive runs."""

    @abstractmethod
    def runs(self, chain: IntArray) -> tuple[IntArray, IntArray]:
        """States and bins of consecutive runs, from any tokens; a bin may be `ONE_FRAME`."""

    @abstractmethod
    def violations(self, chain: IntArray) -> int:
        """Places in one chain that decoding has to mend."""

    def _binned(self, runs: Runs, rng: np.random.Generator) -> tuple[IntArray, IntArray]:
        """States and bins of runs, the last of which is cut."""
        states, lengths = runs
        end = slice(-1, None)
        limit = self.residence_times.longest[states[end]]
        if (lengths[end] <= limit).all():  # a run longer than all of training's has the length that was seen
            lengths[end] = self.residence_times.draw(states[end], lengths[end], limit, rng)
        return states, np.searchsorted(self.edges, lengths, side="right") - 1

    def _decode_chain(self, chain: IntArray, max_frames: int | None, rng: np.random.Generator) -> IntArray:
        states, bins = self.runs(np.asarray(chain))
        lengths = np.ones(len(states), np.int64)
        long = bins != ONE_FRAME
        bins = self.nearest[states[long], bins[long]]
        last_lengths = np.append(self.edges[1:] - 1, self.residence_times.lengths.max())
        lengths[long] = self.residence_times.draw(states[long], self.edges[bins], last_lengths[bins], rng)
        if max_frames is not None:  # before they are written out, which could take any amount of memory
            lengths = np.clip(max_frames - (lengths.cumsum() - lengths), 0, lengths)
        return np.repeat(states.astype(np.min_scalar_type(self.n_states)), lengths)


@dataclass(frozen=True)
class ProductTokeniser(DwellTokeniser):
    """One token per run: its state and bin. A pair that training never has counts as the nearest one of its state."""

    @property
    def pairs(self) -> IntArray:
        """``state * n_bins + bin`` of each token."""
        return np.flatnonzero(self.nearest == np.arange(len(self.edges)))

    def tokens(self, states: IntArray, bins: IntArray) -> IntArray:
        """See `DwellTokeniser.tokens`."""
        pairs = states * len(self.edges) + self.nearest[states, bins]
        return np.searchsorted(self.pairs, pairs)

    def runs(self, chain: IntArray) -> tuple[IntArray, IntArray]:
        """See `DwellTokeniser.runs`."""
        return np.divmod(self.pairs[chain], len(self.edges))

    def violations(self, chain: IntArray) -> int:
        """Runs that follow one of the same state; they become one run."""
        states, _ = self.runs(chain)
        return int((states[1:] == states[:-1]).sum())


@dataclass(frozen=True)
class InterleavedTokeniser(DwellTokeniser):
    """Two tokens per run: its state, then ``n_states`` plus its bin."""

    def tokens(self, states: IntArray, bins: IntArray) -> IntArray:
        """See `DwellTokeniser.tokens`."""
        return np.stack([states, self.n_states + bins], axis=1).ravel()

    def runs(self, chain: IntArray) -> tuple[IntArray, IntArray]:
        """A state token without a dwell token is one frame; a dwell token without a state token is skipped."""
        where = np.flatnonzero(chain < self.n_states)
        following = np.append(chain, 0)[where + 1].astype(np.int64)
        bins = np.where(following < self.n_states, ONE_FRAME, following - self.n_states)
        return chain[where].astype(np.int64), bins

    def violations(self, chain: IntArray) -> int:
        """Tokens of the same kind in a row, runs that follow one of the same state, bins unknown of their state.

        A chain may begin with a dwell token, its state being the last token of the prompt, and end with a state.
        """
        is_state = chain < self.n_states
        states, bins = self.runs(chain)
        apart = np.diff(np.flatnonzero(is_state)) > 1  # neighbours are counted as tokens of the same kind
        repeated = (states[1:] == states[:-1]) & apart
        long = bins != ONE_FRAME
        unknown = ~self.known(states[long], bins[long])
        return int((is_state[1:] == is_state[:-1]).sum() + repeated.sum() + unknown.sum())
