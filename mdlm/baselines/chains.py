"""Chains from tables, block by block, with random numbers that depend on seed, chain and frame alone."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from mdlm.sampling.uniforms import keys, uniforms
from mdlm.trajectory import FloatArray, IntArray

BLOCK = 256  # frames whose random numbers are held at once


def blocks(seed: int, n_chains: int, n_frames: int) -> Iterator[tuple[slice, NDArray[np.float64]]]:
    """Random numbers of all chains, ``BLOCK`` frames at a time, each with the frames it is for."""
    of_chain = keys(seed, n_chains)
    for first in range(0, n_frames, BLOCK):
        n_drawn = min(BLOCK, n_frames - first)
        yield slice(first, first + n_drawn), uniforms(of_chain, first, n_drawn)


def empty_chains(n_chains: int, n_frames: int, n_states: int) -> IntArray:
    """Room for chains, in the smallest integers that hold every state."""
    return np.empty((n_chains, n_frames), np.uint8 if n_states <= 256 else np.int32)


def cumulative(probability: FloatArray) -> FloatArray:
    """Cumulative distributions along the last axis, exactly 1 from the last possible state on.

    Example:
        >>> cumulative(np.array([[0.25, 0.75, 0.0]])).tolist()
        [[0.25, 1.0, 1.0]]
    """
    total = np.cumsum(probability, axis=-1, dtype=np.float64)
    return np.asarray(total / total[..., -1:])


def walked(seed: int, start_B: IntArray, probability_NV: FloatArray, following_NV: IntArray, n_frames: int) -> IntArray:
    """Chains on a graph: each node draws a token, each token leads to the next node.

    Args:
        seed: Of the random numbers.
        start_B: Node at which each chain begins; it is not part of the chain.
        probability_NV: Of each token in each node.
        following_NV: The node after each token.
        n_frames: Tokens per chain.

    Returns:
        Shape ``(n_chains, n_frames)``.
    """
    from mdlm.baselines.chain_kernels import walk_nodes

    cumulative_NV, node_B = cumulative(probability_NV), start_B.astype(np.int32)
    chains_BT = empty_chains(len(start_B), n_frames, probability_NV.shape[1])
    for frames, uniforms_TB in blocks(seed, len(start_B), n_frames):
        walk_nodes(uniforms_TB, cumulative_NV, following_NV.astype(np.int32), node_B, chains_BT[:, frames])
    return chains_BT


def to_itself(n_states: int) -> IntArray:
    """The graph of a Markov chain of order one: a token leads to the node of its own."""
    return np.tile(np.arange(n_states, dtype=np.int32), (n_states, 1))
