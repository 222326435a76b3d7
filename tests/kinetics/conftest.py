"""Chains whose kinetics are known in closed form."""

import numpy as np
import pytest

collect_ignore = ["conftest.py"]  # no doctests here, and pytest cannot tell files of one name apart


def draw_chain(transition_matrix, n_pieces, n_frames, seed):
    """Independent pieces of a Markov chain, started from its stationary distribution."""
    rng = np.random.default_rng(seed)
    cumulative = np.cumsum(transition_matrix, axis=1)
    cumulative[:, -1] = 1
    stationary = np.linalg.matrix_power(transition_matrix, 2**20)[0]
    states = np.empty((n_frames, n_pieces), dtype=np.int64)
    states[0] = rng.choice(len(stationary), size=n_pieces, p=stationary / stationary.sum())
    for frame in range(1, n_frames):
        draw = rng.random(n_pieces)
        states[frame] = (cumulative[states[frame - 1]] <= draw[:, None]).sum(axis=1)
    return tuple(np.ascontiguousarray(states.T))


@pytest.fixture(scope="session")
def sample_chain():
    return draw_chain


@pytest.fixture(scope="session")
def four_states():
    """Two fast pairs, {0, 1} and {2, 3}, with rare exchange: t2 = 1 / 0.004 frames to first order."""
    fast, slow = 0.1, 0.002
    stay = 1 - fast - slow
    return np.array([[stay, fast, slow, 0], [fast, stay, 0, slow], [slow, 0, stay, fast], [0, slow, fast, stay]])
