"""Random numbers by counting: that of a chain's n-th frame is a function of the seed, the chain and n alone.

So a sample does not depend on how many chains are advanced together, on how many threads, or on the engine.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

STRIDE = 0x9E3779B97F4A7C15  # 2^64 over the golden ratio, the increment of SplitMix64


def keys(seed: int, n_chains: int) -> NDArray[np.uint64]:
    """Where the stream of each chain starts; shape ``(n_chains,)``."""
    return np.random.SeedSequence(seed).generate_state(n_chains, np.uint64).astype(np.uint64)


def uniforms(keys_B: NDArray[np.uint64], first: int, n_frames: int) -> NDArray[np.float64]:
    """Uniform numbers in [0, 1) of frames ``first``, ``first + 1``, ... of each chain, shape ``(n_frames, n_chains)``.

    The output function of SplitMix64 applied to ``key + n * STRIDE``, of which 53 bits are kept.

    Source: Steele, Lea & Flood, OOPSLA 2014.
    """
    with np.errstate(over="ignore"):
        frames = np.arange(first, first + n_frames, dtype=np.uint64) * np.uint64(STRIDE)
        x = keys_B[None, :] + frames[:, None]
        x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        x ^= x >> np.uint64(31)
    return np.asarray((x >> np.uint64(11)) * 2.0**-53)
