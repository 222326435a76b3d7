"""How much of the next token the last k tokens tell: entropies of Markov models of order k."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mdlm.trajectory import IntArray

HISTOGRAM_UP_TO = 2**20  # possible segments that are counted in an array; above it they are sorted
UNDERSAMPLED = 0.02  # estimated bias, as a share of the held-out entropy, from which on the plug-in value means little

Segments = tuple[IntArray, IntArray]
"""Segments as numbers to the base of the alphabet, ascending, and how often each occurs."""


@dataclass(frozen=True)
class OrderEntropy:
    """Entropy rate of the Markov model of one order.

    Attributes:
        order: k, the number of past tokens.
        plug_in: Conditional entropy of the counts, nats per token: too low where contexts are undersampled.
        held_out: Cross-entropy of one half of the tokens under the model of the other (see `markov_cross_entropy`),
            mean of both ways, nats per token: what a model of this order really reaches; an upper bound of the entropy.
        bias: By how much the plug-in value is too low to first order (Miller and Madow), nats per token.
        n_contexts: Contexts of k tokens that occur.
        n_tokens: Tokens that were predicted.
    """

    order: int
    plug_in: float
    held_out: float
    bias: float
    n_contexts: int
    n_tokens: int

    @property
    def undersampled(self) -> bool:
        """Whether there are too few tokens: the bias exceeds 2 % of the held-out value, or is not known."""
        return not self.bias <= UNDERSAMPLED * self.held_out

    @property
    def perplexity(self) -> float:
        """Exponential of the held-out value: as uncertain as a choice among this many tokens."""
        return float(np.exp(self.held_out))


def order_entropy(pieces: Sequence[IntArray], n_states: int, order: int) -> OrderEntropy:
    r"""Entropy of the next token given the last k, :math:`-\sum_{c,s} \frac{n_{cs}}{N} \ln \frac{n_{cs}}{n_c}`.

    Args:
        pieces: State sequences, each of shape ``(n_frames,)``; no context crosses from one to the next. The halves
            for the held-out value are every second piece, or the two halves in time of a single one.
        n_states: Size of the alphabet.
        order: k, zero or more.

    Returns:
        NaN where no piece is longer than k.

    Raises:
        ValueError: The order is negative, or segments of k + 1 tokens do not fit into 62 bits.

    Source: Cover & Thomas, Elements of Information Theory, section 4.2; Miller, in Information Theory in Psychology
    (1955), for the bias.

    Example:
        >>> found = order_entropy([np.array([0, 0, 1, 1] * 50 + [0])], 2, order=1)
        >>> round(found.plug_in, 6), round(order_entropy([np.array([0, 0, 1, 1] * 50)], 2, order=2).plug_in, 6)
        (0.693147, 0.0)
    """
    codes, counts = _segments(pieces, n_states, order + 1)
    total = int(counts.sum())
    if not total:
        return OrderEntropy(order, np.nan, np.nan, np.nan, 0, 0)
    of_context = _contexts((codes, counts), n_states)[1]
    plug_in = (_sum_log(of_context) - _sum_log(counts)) / total  # rounding may take it below zero
    bias = (len(codes) - len(of_context)) / (2 * total)
    halves = _halves([piece for piece in pieces if len(piece) > order])
    held_out = [markov_cross_entropy(*pair, n_states, order) for pair in (halves, halves[::-1])]
    return OrderEntropy(order, max(0.0, plug_in), float(np.mean(held_out)), bias, len(of_context), total)


def markov_cross_entropy(train: Sequence[IntArray], test: Sequence[IntArray], n_states: int, order: int) -> float:
    r"""Cross-entropy of ``test`` under the Markov model of order k of ``train``, in nats per token.

    Each order is drawn towards the next lower one by one count, and order zero towards equal shares,
    :math:`p_k(s|c) = (n_{cs} + p_{k-1}(s|c')) / (n_c + 1)`, so that contexts and jumps never seen in training cost much
    but not infinitely much. Tokens without k predecessors in their piece are not predicted.

    Args:
        train: State sequences, each of shape ``(n_frames,)``.
        test: Others.
        n_states: Size of the alphabet.
        order: k, zero or more.

    Returns:
        NaN where no test piece is longer than k.

    Raises:
        ValueError: See `order_entropy`.

    Source: MacKay & Peto, Nat. Lang. Eng. 1, 289 (1995), with a weight of one.

    Example:
        >>> round(markov_cross_entropy([np.array([0, 1, 1])], [np.array([1])], 2, order=0), 6)  # ln(4 / 2.5)
        0.470004
    """
    codes, counts = _segments(test, n_states, order + 1)
    if not counts.sum():
        return np.nan
    probability = np.full(len(codes), 1 / n_states)
    for length in range(1, order + 2):
        known = _segments(train, n_states, length)
        suffix = codes % n_states**length
        seen, in_context = _look_up(known, suffix), _look_up(_contexts(known, n_states), suffix // n_states)
        probability = (seen + probability) / (in_context + 1)
    return float(-(counts @ np.log(probability)) / counts.sum())


def _segments(pieces: Sequence[IntArray], n_states: int, length: int) -> Segments:
    """Count all segments of ``length`` tokens."""
    if length < 1:
        raise ValueError(f"order ({length - 1}) must not be negative")
    if n_states**length >= 2**62:
        raise ValueError(f"order ({length - 1}) is too high for {n_states} states: segments overflow 62 bits")
    if n_states**length <= HISTOGRAM_UP_TO:
        counts = np.zeros(n_states**length, dtype=np.int64)
        for piece in pieces:
            counts += np.bincount(_codes(piece, n_states, length), minlength=len(counts))
        occurring = np.flatnonzero(counts)
        return occurring, counts[occurring]
    codes = [np.zeros(0, dtype=np.int64), *(_codes(piece, n_states, length) for piece in pieces)]
    return np.unique_counts(np.concatenate(codes))


def _codes(piece: IntArray, n_states: int, length: int) -> IntArray:
    """One number for the segment of ``length`` tokens that begins at each frame."""
    n_segments = max(0, len(piece) - length + 1)
    codes = np.zeros(n_segments, dtype=np.int64)
    for place in range(length if n_segments else 0):
        codes *= n_states
        codes += piece[place : place + n_segments]
    return codes


def _contexts(segments: Segments, n_states: int) -> Segments:
    """Segments without their last token."""
    contexts, index = np.unique(segments[0] // n_states, return_inverse=True)
    return contexts, np.bincount(index, weights=segments[1], minlength=len(contexts)).astype(np.int64)


def _look_up(segments: Segments, wanted: IntArray) -> IntArray:
    """How often each wanted segment occurs."""
    codes, counts = segments
    if not len(codes):
        return np.zeros(len(wanted), dtype=np.int64)
    place = np.minimum(np.searchsorted(codes, wanted), len(codes) - 1)
    return np.where(codes[place] == wanted, counts[place], 0)


def _halves(pieces: Sequence[IntArray]) -> tuple[Sequence[IntArray], Sequence[IntArray]]:
    """Every second piece, or the two halves of a single one."""
    if len(pieces) > 1:
        return pieces[::2], pieces[1::2]
    middle = len(pieces[0]) // 2
    return [pieces[0][:middle]], [pieces[0][middle:]]


def _sum_log(counts: IntArray) -> float:
    """Sum of n ln n."""
    return float((counts * np.log(counts)).sum())
