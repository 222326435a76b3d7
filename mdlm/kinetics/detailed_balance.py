"""Whether a sequence looks the same backwards: net fluxes, entropy production, and what chance gives."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mdlm.kinetics.bootstrap import MIN_BLOCKS, block_edges
from mdlm.kinetics.counts import piece_count_matrices
from mdlm.trajectory import FloatArray, IntArray

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
    total = counts.sum()
    return float(np.abs(counts - counts.T).sum() / 2 / total) if total else np.nan


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
    total = counts.sum()
    both = (counts > 0) & (counts.T > 0)
    forward, backward = counts[both], counts.T[both]
    return float(((forward - backward) * np.log(forward / backward)).sum() / 2 / total) if total else np.nan


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
        by_chance = _by_chance([rows[[b]].toarray().reshape(n_states, n_states) for b in range(rows.shape[0])], seed)
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


def _by_chance(blocks: list[IntArray], seed: int) -> FloatArray:
    """Net flux and entropy production of every reversal, shape ``(n_reversals, 2)``."""
    rng = np.random.default_rng(seed)
    found = np.empty((N_REVERSALS, 2))
    for index in range(N_REVERSALS):
        turned = rng.random(len(blocks)) < 0.5
        counts = sum((block.T if turn else block for block, turn in zip(blocks, turned, strict=True)), 0 * blocks[0])
        found[index] = net_flux(counts), entropy_production(counts)
    return found
