"""Compiled suffix automaton: the longest segment of one sequence that occurs in another, in linear time."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from mdlm.trajectory import FloatArray, IntArray

Automaton = tuple[IntArray, IntArray, IntArray]
"""Length and suffix link of each node; hash table of edges, each its key (node and symbol) and the node it leads to."""


@njit(nogil=True, cache=True)
def _first_place(key: int | np.int64, mask: int) -> np.int64:
    """Where to begin to look for a key."""
    mixed = np.uint64(key) * np.uint64(0x9E3779B97F4A7C15)
    return np.int64((mixed ^ (mixed >> np.uint64(29))) & np.uint64(mask))


@njit(nogil=True, cache=True)
def _slot(key: int | np.int64, edge_key: IntArray, table: IntArray) -> np.int64:
    """Place of a key in the table: where it is, or the free place where it belongs."""
    mask = len(table) - 1
    place = _first_place(key, mask)
    while table[place] >= 0 and edge_key[table[place]] != key:
        place = (place + 1) & mask
    return place


@njit(nogil=True, cache=True)
def build(text: IntArray, n_symbols: int) -> Automaton:
    """Suffix automaton of ``text``, whose symbols lie in ``[0, n_symbols)``.

    Source: Blumer et al., Theor. Comput. Sci. 40, 31 (1985): at most 2 n nodes and 3 n edges, built in linear time.
    """
    n_nodes, n_edges = 1, 0
    most_nodes, most_edges = 2 * len(text) + 2, 3 * len(text) + 4
    length = np.zeros(most_nodes, dtype=np.int32)
    link = np.full(most_nodes, -1, dtype=np.int32)
    newest = np.full(most_nodes, -1, dtype=np.int32)  # last edge of each node ...
    older = np.empty(most_edges, dtype=np.int32)  # ... and the one before each edge
    edge_key = np.empty(most_edges, dtype=np.int64)
    target = np.empty(most_edges, dtype=np.int32)
    size = 16
    while size < 2 * most_edges:
        size *= 2
    table = np.full(size, -1, dtype=np.int32)
    last = 0
    for position in range(len(text)):
        symbol = np.int64(text[position])
        current = n_nodes
        n_nodes += 1
        length[current] = position + 1
        node = last
        edge = -1
        while node >= 0:
            key = node * n_symbols + symbol
            place = _slot(key, edge_key, table)
            edge = table[place]
            if edge >= 0:
                break
            table[place] = n_edges
            edge_key[n_edges], target[n_edges], older[n_edges] = key, current, newest[node]
            newest[node] = n_edges
            n_edges += 1
            node = link[node]
        last = current
        if node < 0:
            link[current] = 0
            continue
        found = target[edge]
        if length[found] == length[node] + 1:
            link[current] = found
            continue
        clone = n_nodes
        n_nodes += 1
        length[clone], link[clone] = length[node] + 1, link[found]
        copied = newest[found]
        while copied >= 0:
            key = clone * n_symbols + edge_key[copied] % n_symbols
            table[_slot(key, edge_key, table)] = n_edges
            edge_key[n_edges], target[n_edges], older[n_edges] = key, target[copied], newest[clone]
            newest[clone] = n_edges
            n_edges += 1
            copied = older[copied]
        while node >= 0:
            edge = table[_slot(node * n_symbols + symbol, edge_key, table)]
            if edge < 0 or target[edge] != found:
                break
            target[edge] = clone
            node = link[node]
        link[found] = link[current] = clone
    return length[:n_nodes].copy(), link[:n_nodes].copy(), _transitions(edge_key[:n_edges], target[:n_edges])


@njit(nogil=True, cache=True)
def _transitions(edge_key: IntArray, target: IntArray) -> IntArray:
    """Hash table with key and target side by side, so that looking one up touches memory once."""
    size = 16
    while 2 * size < 3 * len(edge_key):
        size *= 2
    table = np.full((size, 2), -1, dtype=np.int64)
    for edge in range(len(edge_key)):
        place = _first_place(edge_key[edge], size - 1)
        while table[place, 0] >= 0:
            place = (place + 1) & (size - 1)
        table[place, 0], table[place, 1] = edge_key[edge], target[edge]
    return table


@njit(nogil=True, cache=True)
def _follow(key: int | np.int64, transitions: IntArray) -> np.int64:
    """Node that the edge of this key leads to, -1 for none."""
    mask = len(transitions) - 1
    place = _first_place(key, mask)
    while transitions[place, 0] >= 0 and transitions[place, 0] != key:
        place = (place + 1) & mask
    return transitions[place, 1]


@njit(nogil=True, cache=True)
def longest_match(automaton: Automaton, n_symbols: int, text: IntArray) -> tuple[int, int]:
    """Length of the longest segment of ``text`` that the automaton's text holds, and the frame after its end.

    Symbols of ``text`` outside ``[0, n_symbols)`` match nothing.
    """
    length, link, transitions = automaton
    best, best_end = 0, 0
    node, matched = np.int64(0), np.int64(0)
    for position in range(len(text)):
        symbol = np.int64(text[position])
        if symbol < 0 or symbol >= n_symbols:
            node, matched = np.int64(0), np.int64(0)
            continue
        following = _follow(node * n_symbols + symbol, transitions)
        while following < 0 and node > 0:
            node = np.int64(link[node])
            matched = np.int64(length[node])
            following = _follow(node * n_symbols + symbol, transitions)
        if following >= 0:
            node = following
            matched += 1
        if matched > best:
            best, best_end = matched, position + 1
    return best, best_end


@njit(nogil=True, cache=True)
def walk_visits(
    rng: np.random.Generator,
    frames: IntArray,
    start: int,
    jumps: FloatArray,
    dwells: IntArray,
    offsets: IntArray,
    leavable: NDArray[np.bool_],
) -> None:
    """Fill ``frames`` with visits: dwells drawn from those of the state, the next state from its jumps.

    Args:
        rng: Random numbers.
        frames: Shape ``(n_frames,)``, filled.
        start: First state.
        jumps: Cumulative jump probabilities, shape ``(n_states, n_states)``; the rows of leavable states end at 1.
        dwells: Dwells of all states in frames, those of a state together.
        offsets: Where those of each state begin and end, shape ``(n_states + 1,)``.
        leavable: Whether each state has jumps; one that has none is kept to the end.
    """
    here, frame = start, 0
    while frame < len(frames):
        stay = len(frames)
        if leavable[here]:
            stay = dwells[offsets[here] + int(rng.random() * (offsets[here + 1] - offsets[here]))]
        end = min(len(frames), frame + stay)
        frames[frame:end] = here
        frame = end
        if leavable[here]:
            drawn = rng.random()
            row = jumps[here]
            here = 0
            while row[here] <= drawn:
                here += 1
