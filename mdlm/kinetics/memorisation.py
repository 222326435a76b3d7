"""Memorisation: the longest segment a sample copies from its training data, and what chance would copy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mdlm.kinetics.visits import Visits
from mdlm.trajectory import IntArray


@dataclass(frozen=True)
class CopiedSegment:
    """The longest segment of a sequence that another one holds, too.

    Attributes:
        length: Entries of it; 0 where nothing is shared.
        piece: Piece of the sample it is in.
        start: Its first entry there.
    """

    length: int
    piece: int
    start: int


@dataclass(frozen=True)
class Memorisation:
    """Longest segments copied from the training data, beside those of sequences that cannot have copied.

    Attributes:
        tokens: Longest segment of the sample in tokens; one long visit counts as a copy of any longer one.
        tokens_by_chance: The same of a surrogate as long as the sample.
        visits: Longest sequence of whole visits, equal in state *and* length, without the first and last of a piece.
        visits_by_chance: The same of the surrogate.
        tokens_held_out: Longest segment of held-out data, which may be shorter; None where none is given.
        visits_held_out: The same in whole visits.
    """

    tokens: CopiedSegment
    tokens_by_chance: int
    visits: CopiedSegment
    visits_by_chance: int
    tokens_held_out: int | None
    visits_held_out: int | None

    @property
    def visits_ratio(self) -> float:
        """Longest copy in visits over that by chance; about one where nothing is memorised. NaN for zero by chance."""
        return self.visits.length / self.visits_by_chance if self.visits_by_chance else np.nan


def longest_copy(training: Sequence[IntArray], sampled: Sequence[IntArray], n_symbols: int) -> CopiedSegment:
    """Find the longest segment of ``sampled`` that ``training`` holds; one of them where several are as long.

    Where a segment is shared, so are all its parts; so its length is bisected. For each length all windows of the
    training data go into a hash table, and those of the sample are looked up and compared entry by entry. Time grows
    with the length of both (ten million against a million entries take seconds), memory with the training data, 50 to
    100 bytes an entry.

    Args:
        training: Sequences, each of shape ``(n_entries,)``; no segment crosses from one to the next.
        sampled: The same.
        n_symbols: Entries lie in ``[0, n_symbols)``; those of ``sampled`` may be -1, which matches nothing.

    Source: Karp & Rabin, IBM J. Res. Dev. 31, 249 (1987) for the rolling hash. Two different windows have the same
    one with a probability of some 1e-19; that could only hide a copy, never invent one.

    Example:
        >>> longest_copy([np.array([0, 1, 2, 2]), np.array([1, 0])], [np.array([2, 1]), np.array([0, 1, 2, 1])], 3)
        CopiedSegment(length=3, piece=1, start=0)
    """
    from mdlm.kinetics.memorisation_kernels import enter_windows, find_window  # compiled

    (known, known_edges), (text, edges) = _joined(training), _joined(sampled)
    text[text < 0] = n_symbols
    values = np.random.default_rng(0).integers(2**64, size=n_symbols + 1, dtype=np.uint64)
    n_slots = 1 << int(2 * len(known) + 1).bit_length()
    keys, starts = np.empty(n_slots, dtype=np.uint64), np.empty(n_slots, dtype=np.int64)
    seen = np.empty(4 * n_slots, dtype=np.uint8)
    best, shortest_missing = CopiedSegment(0, 0, 0), min(_longest(known_edges), _longest(edges)) + 1
    while best.length + 1 < shortest_missing:
        width = min(2 * best.length + 1, (best.length + shortest_missing) // 2)
        enter_windows(known, known_edges, values, width, keys, starts, seen)
        piece, start, _ = find_window(text, edges, values, width, keys, starts, seen, known)
        if piece < 0:
            shortest_missing = width
        else:
            best = CopiedSegment(width, int(piece), int(start - edges[piece]))
    return best


def memorisation(
    training: Sequence[IntArray],
    sampled: Sequence[IntArray],
    n_states: int,
    seed: int,
    held_out: Sequence[IntArray] | None = None,
) -> Memorisation:
    """Compare the longest copied segments of a sample with those of sequences that cannot have copied.

    Chance is a surrogate of the sample's shape: a semi-Markov chain of the training data's own jumps and dwells
    (`semi_markov_surrogate`), so that long visits, which copy one another trivially, are as long as in the data.
    Memory beyond that makes real sequences repeat more than the surrogate; held-out data show by how much. The longest
    copy grows with the logarithm of the sample's length.

    Args:
        training: State sequences, each of shape ``(n_frames,)``.
        sampled: The same of the sample, at the same frame time.
        n_states: Size of the alphabet.
        seed: Of the surrogate.
        held_out: Data that were not trained on.

    Source: Karlin & Ost, Ann. Probab. 16, 535 (1988) for longest common segments by chance.
    """
    surrogate = semi_markov_surrogate(training, [len(piece) for piece in sampled], n_states, seed)
    sequences = [sampled, surrogate] + ([] if held_out is None else [held_out])
    tokens = [longest_copy(training, pieces, n_states) for pieces in sequences]
    symbols, known = _whole_visits(training, n_states)
    places = _places(symbols, known)
    visits = [
        longest_copy(places, _places(_whole_visits(pieces, n_states)[0], known), len(known)) for pieces in sequences
    ]
    held = (tokens[2].length, visits[2].length) if held_out is not None else (None, None)
    return Memorisation(tokens[0], tokens[1].length, visits[0], visits[1].length, *held)


def semi_markov_surrogate(
    training: Sequence[IntArray], lengths: Sequence[int], n_states: int, seed: int
) -> tuple[IntArray, ...]:
    """Sequences with the jumps and dwells of the training data and no other memory.

    Args:
        training: State sequences, each of shape ``(n_frames,)``.
        lengths: Frames of each sequence to draw.
        n_states: Size of the alphabet.
        seed: Of the random numbers.

    Returns:
        One for each length; they begin in states drawn by the populations, and a state that the data never leave is
        kept. Empty ones where there are no data.
    """
    from mdlm.kinetics.memorisation_kernels import walk_visits  # compiled

    visits = Visits.of(training)
    if not len(visits):
        return tuple(np.zeros(0, dtype=np.int32) for _ in lengths)
    left = np.flatnonzero(~visits.last)
    jumps = np.zeros((n_states, n_states))
    np.add.at(jumps, (visits.states[left], visits.states[left + 1]), 1)
    leavable = jumps.sum(axis=1) > 0
    cumulative = np.cumsum(jumps, axis=1) / np.maximum(jumps.sum(axis=1, keepdims=True), 1)
    of_state = left[np.argsort(visits.states[left], kind="stable")]
    offsets = np.searchsorted(visits.states[of_state], np.arange(n_states + 1))
    rng = np.random.default_rng(seed)
    weight = np.bincount(visits.states, weights=visits.lengths, minlength=n_states)
    starts = rng.choice(n_states, size=len(lengths), p=weight / weight.sum())
    drawn = [np.empty(length, dtype=np.int32) for length in lengths]
    for frames, start in zip(drawn, starts.tolist(), strict=True):
        walk_visits(rng, frames, start, cumulative, visits.lengths[of_state], offsets, leavable)
    return tuple(drawn)


def _whole_visits(pieces: Sequence[IntArray], n_states: int) -> tuple[list[IntArray], IntArray]:
    """One number for state and length of each visit whose ends were both seen, and the numbers that occur."""
    visits = Visits.of(pieces)
    codes = visits.lengths * n_states + visits.states
    whole = ~(visits.first | visits.last)
    starts = np.flatnonzero(visits.first)
    parts = np.split(codes, starts[1:]), np.split(whole, starts[1:])
    return [part[inside] for part, inside in zip(*parts, strict=True)], np.unique(codes[whole])


def _places(pieces: list[IntArray], known: IntArray) -> list[IntArray]:
    """Place of each number among the ``known``, -1 for those that are not there."""
    places = [np.searchsorted(known, piece) for piece in pieces]
    padded = np.append(known, -1)
    return [np.where(padded[place] == piece, place, -1) for place, piece in zip(places, pieces, strict=True)]


def _joined(pieces: Sequence[IntArray]) -> tuple[IntArray, IntArray]:
    """All pieces one after the other, and where each begins and ends."""
    edges = np.cumsum([0, *(len(piece) for piece in pieces)], dtype=np.int64)
    text = np.empty(edges[-1], dtype=np.int32)
    for piece, start, end in zip(pieces, edges, edges[1:], strict=False):
        text[start:end] = piece
    return text, edges


def _longest(edges: IntArray) -> int:
    """Length of the longest piece."""
    return int(np.diff(edges).max(initial=0))
