"""Whether a sequence looks the same backwards: net fluxes, entropy production, and what chance gives."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mdlm.kinetics.bootstrap import MIN_BLOCKS, block_edges
from mdlm.kinetics.counts import piece_count_matrices
from mdlm.trajectory import FloatArray, IntArray

if TYPE_CHECKING:
    from scipy.sparse import csr_array

N_REVERSALS = 200
BY_CHANCE = 0.95


@dataclass(frozen=True)
class DetailedBalance:
    """Violation of detailed balance, beside what a reversible process of this length shows.

    Attributes:
        net_flux: See `net_flux`, 0 to 1.
        net_flux_by_chance: Its mean where blocks are run forwards or backwards at random; NaN for too few blocks.
        net_flux_by_chance_high: What it exceeds in 5 % of those.
        entropy_production: See `entropy_production`, nats per lag.
        entropy_production_by_chance: Its mean, like ``net_flux_by_chance``.
        p_value: Share of those, this one included, whose net flux is as large: small where the violation is real.
        n_one_way: Pairs of states seen in one direction only, whose entropy production is left out.
    """

    net_flux: float
    net_flux_by_chance: float
    net_flux_by_chance_high: float
    entropy_production: float
    entropy_production_by_chance: float
    p_value: float
    n_one_way: int


def net_flux(counts: IntArray) -> float:
    r"""Net flux between the states, :math:`\frac12 \sum_{ij} |\pi_i P_{ij} - \pi_j P_{ji}|`.

    P is the maximum-likelihood estimate without detailed balance, :math:`\pi_i` the share of transitions that start in
    i, so :math:`\pi_i P_{ij}` is the share of transitions from i to j.

    Args:
        counts: Shape ``(n_states, n_states)``.

    Returns:
        From 0 (as many forwards as backwards) to 1 (every transition has a direction); NaN without counts.

    Example:
        >>> net_flux(np.array([[4, 2, 0], [0, 4, 2], [2, 0, 4]]))  # round and round
        0.3333333333333333
    """
    return _net_flux(*_pairs(counts), float(counts.sum()))


def entropy_production(counts: IntArray) -> float:
    r"""Entropy production, :math:`\frac12 \sum_{ij} (J_{ij} - J_{ji}) \ln (J_{ij}/J_{ji})`, of fluxes J between states.

    A pair seen in one direction only would make it infinite and is left out: a lower bound then.

    Args:
        counts: Shape ``(n_states, n_states)``; :math:`J_{ij}` is the share of transitions from i to j.

    Returns:
        Nats per lag of the counts; NaN without counts.

    Source: Schnakenberg, Rev. Mod. Phys. 48, 571 (1976).

    Example:
        >>> round(entropy_production(np.array([[0, 3, 1], [1, 0, 3], [3, 1, 0]])), 6)  # ln(3) / 2
        0.549306
    """
    return _entropy_production(*_pairs(counts), float(counts.sum()))


def _pairs(counts: IntArray) -> tuple[FloatArray, FloatArray]:
    """Counts of every pair of states, i to j and j to i."""
    upper = np.triu_indices(len(counts), 1)
    return counts[upper].astype(np.float64), counts.T[upper].astype(np.float64)


def _net_flux(forward: FloatArray, backward: FloatArray, total: float) -> float:
    return float(np.abs(forward - backward).sum() / total) if total else np.nan


def _entropy_production(forward: FloatArray, backward: FloatArray, total: float) -> float:
    both = (forward > 0) & (backward > 0)
    forward, backward = forward[both], backward[both]
    return float(((forward - backward) * np.log(forward / backward)).sum() / total) if total else np.nan


def detailed_balance(pieces: Sequence[IntArray], n_states: int, lag: int, seed: int) -> DetailedBalance:
    """Measure the violation of detailed balance and what finite counts show of it by chance.

    Of a reversible process every piece is as likely as the same piece backwards, whatever its memory. So turning
    pieces (blocks of long ones) round at random gives what chance shows; neither independent counts nor a Markov
    chain is assumed. A strong violation widens what the reversals show, too, to about itself over the root of the
    number of pieces, so judge by the p value or the 95 % point.

    Args:
        pieces: State sequences, each of shape ``(n_frames,)``.
        n_states: Size of the alphabet.
        lag: In frames.
        seed: Of the reversals.
    """
    rows = piece_count_matrices(pieces, n_states, lag, block_edges([len(piece) for piece in pieces], lag))
    counts = rows.sum(axis=0).reshape(n_states, n_states)
    one_way = int(((counts > 0) & (counts.T == 0)).sum())
    flux, production = net_flux(counts), entropy_production(counts)
    by_chance = np.full((1, 2), np.nan)
    if np.count_nonzero(rows.sum(axis=1)) >= MIN_BLOCKS:
        by_chance = _by_chance(rows, n_states, seed)
    fluxes, productions = by_chance.T
    as_large = np.count_nonzero(fluxes >= flux * (1 - 1e-9))
    return DetailedBalance(
        net_flux=flux,
        net_flux_by_chance=float(fluxes.mean()),
        net_flux_by_chance_high=float(np.quantile(fluxes, BY_CHANCE)),
        entropy_production=production,
        entropy_production_by_chance=float(productions.mean()),
        p_value=float((1 + as_large) / (1 + len(fluxes))) if np.isfinite(fluxes).all() else np.nan,
        n_one_way=one_way,
    )


def _by_chance(rows: csr_array, n_states: int, seed: int) -> FloatArray:
    """Net flux and entropy production of every reversal, shape ``(n_reversals, 2)``.

    Turning a block changes the sign of the differences between its forward and backward counts, and not their sums.
    """
    from scipy.sparse import csr_array

    entries = rows.tocoo()
    start, end = np.divmod(entries.col.astype(np.int64), n_states)
    occupied, pair = np.unique(np.minimum(start, end) * n_states + np.maximum(start, end), return_inverse=True)
    sums = np.bincount(pair, np.where(start != end, entries.data, 0), len(occupied))
    differences = csr_array(
        (entries.data * np.sign(end - start), (entries.row, pair)), shape=(rows.shape[0], len(occupied))
    )
    rng, total = np.random.default_rng(seed), float(rows.sum())
    found = np.empty((N_REVERSALS, 2))
    for index in range(N_REVERSALS):
        net = np.where(rng.random(rows.shape[0]) < 0.5, -1, 1) @ differences
        both_ways = (sums + net) / 2, (sums - net) / 2
        found[index] = _net_flux(*both_ways, total), _entropy_production(*both_ways, total)
    return found
