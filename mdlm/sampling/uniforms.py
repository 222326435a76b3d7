"""Random numbers by counting: that of a chain's n-th frame is a function of the seed, the chain and n alone.

So a sample does not depend on how many chains are advanced together, on how many threads, or on the engine.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from torch import Tensor

Keys = NDArray[np.uint64]

STRIDE = 0x9E3779B97F4A7C15  # 2^64 over the golden ratio, the increment of SplitMix64
FIRST, SECOND = 0xBF58476D1CE4E5B9, 0x94D049BB133111EB  # multipliers of its output function


def keys(seed: int, n_chains: int) -> Keys:
    """Where the stream of each chain starts; shape ``(n_chains,)``."""
    return np.random.SeedSequence(seed).generate_state(n_chains, np.uint64).astype(np.uint64)


def uniforms(keys_B: Keys, first: int, n_frames: int) -> NDArray[np.float64]:
    """Uniform numbers in [0, 1) of frames ``first``, ``first + 1``, ... of each chain, shape ``(n_frames, n_chains)``.

    The output function of SplitMix64 applied to ``key + n * STRIDE``, of which 53 bits are kept.

    Source: Steele, Lea & Flood, OOPSLA 2014.
    """
    with np.errstate(over="ignore"):
        frames = np.arange(first, first + n_frames, dtype=np.uint64) * np.uint64(STRIDE)
        x = keys_B[None, :] + frames[:, None]
        x = (x ^ (x >> np.uint64(30))) * np.uint64(FIRST)
        x = (x ^ (x >> np.uint64(27))) * np.uint64(SECOND)
        x ^= x >> np.uint64(31)
    return np.asarray((x >> np.uint64(11)) * 2.0**-53)


def uniforms_on_device(keys_B: Tensor, frames_T1: Tensor) -> Tensor:
    """The same numbers, counted where the chains are; shape ``(n_frames, n_chains)``.

    Args:
        keys_B: See `keys`, the same bits as int64.
        frames_T1: Their frames, int64, shape ``(n_frames, 1)``.
    """
    x = keys_B + frames_T1 * _signed(STRIDE)
    x = (x ^ _shifted(x, 30)) * _signed(FIRST)
    x = (x ^ _shifted(x, 27)) * _signed(SECOND)
    x = x ^ _shifted(x, 31)
    return _shifted(x, 11).double() * 2.0**-53


def _signed(bits: int) -> int:
    """The int64 of these 64 bits; its products and sums have the bits of unsigned ones."""
    return bits - 2**64 if bits >= 2**63 else bits


def _shifted(x: Tensor, n_bits: int) -> Tensor:
    """Shifted to the right with zeros from the left, where torch copies the sign."""
    return (x >> n_bits).bitwise_and(2 ** (64 - n_bits) - 1)
