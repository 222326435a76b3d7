"""Compiled sampling of chains whose next state depends on a node of a finite graph, or on the age of a visit.

A token is drawn as in `mdlm.sampling.engines.inverse_cdf`: the first one whose cumulative probability exceeds the
random number. T frames, B chains, N nodes, V states, A bins of ages, H hidden states.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from mdlm.trajectory import FloatArray, IntArray


@njit(nogil=True, cache=True)
def walk_nodes(
    uniforms_TB: FloatArray, cumulative_NV: FloatArray, following_NV: IntArray, node_B: IntArray, chains_BT: IntArray
) -> None:
    """Draw tokens into ``chains_BT``; each moves its chain's node, in place, along ``following_NV``."""
    n_frames, n_chains = uniforms_TB.shape
    for frame in range(n_frames):
        for chain in range(n_chains):
            node = node_B[chain]
            token = np.searchsorted(cumulative_NV[node], uniforms_TB[frame, chain], side="right")
            chains_BT[chain, frame] = token
            node_B[chain] = following_NV[node, token]


@njit(nogil=True, cache=True)
def walk_visits(
    uniforms_TB: FloatArray,
    cumulative_VAV: FloatArray,
    ages: IntArray,
    state_B: IntArray,
    age_B: IntArray,
    chains_BT: IntArray,
) -> None:
    """Draw states that depend on the last one and on its age; ``ages`` are the first ages of the bins."""
    n_frames, n_chains = uniforms_TB.shape
    for frame in range(n_frames):
        for chain in range(n_chains):
            here = state_B[chain]
            of_age = np.searchsorted(ages, age_B[chain], side="right") - 1
            there = np.searchsorted(cumulative_VAV[here, of_age], uniforms_TB[frame, chain], side="right")
            chains_BT[chain, frame] = there
            age_B[chain] = age_B[chain] + 1 if there == here else 1
            state_B[chain] = there


@njit(nogil=True, cache=True)
def emit(uniforms_TB: FloatArray, cumulative_HV: FloatArray, hidden_BT: IntArray, chains_BT: IntArray) -> None:
    """Draw what each hidden state shows, into ``chains_BT``."""
    n_frames, n_chains = uniforms_TB.shape
    for chain in range(n_chains):
        for frame in range(n_frames):
            shown = cumulative_HV[hidden_BT[chain, frame]]
            chains_BT[chain, frame] = np.searchsorted(shown, uniforms_TB[frame, chain], side="right")


@njit(nogil=True, cache=True)
def forward_filter(
    piece: IntArray, transition_HH: FloatArray, emission_HV: FloatArray, belief_H: FloatArray, log_p: FloatArray
) -> None:
    """Forward algorithm with scaling.

    Args:
        piece: What was seen, shape ``(n_frames,)``.
        transition_HH: Row-stochastic.
        emission_HV: Row-stochastic.
        belief_H: Probability of each hidden state in frame 0 before it was seen; in the end that of the last frame
            after it was seen, in place.
        log_p: Filled with the log-probability of each frame given all before it, shape ``(n_frames,)``.
    """
    n_hidden = len(belief_H)
    ahead_H = belief_H.copy()
    for frame in range(len(piece)):
        total = 0.0
        for hidden in range(n_hidden):
            belief_H[hidden] = ahead_H[hidden] * emission_HV[hidden, piece[frame]]
            total += belief_H[hidden]
        if total <= 0.0:
            log_p[frame:] = -np.inf
            return
        log_p[frame] = np.log(total)
        for hidden in range(n_hidden):
            belief_H[hidden] /= total
        for after in range(n_hidden):
            ahead_H[after] = 0.0
            for before in range(n_hidden):
                ahead_H[after] += belief_H[before] * transition_HH[before, after]
