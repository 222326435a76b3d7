"""Mean first-passage times counted in the trajectories themselves, without a Markov state model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mdlm.trajectory import FloatArray, IntArray


@dataclass(frozen=True)
class PassageTimes:
    """First-passage times between sets of states; row = origin, column = target.

    Attributes:
        times: Mean first-passage times, in the time unit, shape ``(n_sets, n_sets)``; zero on the diagonal, NaN
            where no passage was seen.
        n_passages: Passages behind each, same shape; the mean over the offsets of a lag, so not always whole.
        cut_share: Share of the waits that were cut off by the end of a piece, same shape; NaN where an origin is
            never visited. The more, the more the time rests on passage times being exponential.
    """

    times: FloatArray
    n_passages: FloatArray
    cut_share: FloatArray


def trajectory_mfpt(
    pieces: Sequence[IntArray],
    n_states: int,
    sets: Sequence[Sequence[int] | IntArray],
    lag: int,
    frame_time: float,
) -> PassageTimes:
    r"""Mean time from any frame in one set to the first in another, looking every ``lag`` frames.

    A clock starts in *every* frame of the origin, so that the origin has its equilibrium weights, and stops at
    the first of the frames ``lag``, ``2 lag`` ... later that lies in the target. That is what a Markov state model
    at this lag predicts (`mdlm.kinetics.mfpt.mean_first_passage_time`): where the two disagree by more than
    statistics, the sets are not Markovian at the lag.

    A piece that ends first cuts a wait off. It still counts for as long as it lasted:

    .. math:: m = \frac{\text{time waited, ended or cut off}}{\text{waits that ended}}

    the maximum-likelihood estimate under censoring for geometric (exponential) passage times. For other laws it is
    consistent as pieces grow longer than the passage; leaving the cut ones out would make every time too short. For the
    walk 0 - 1 - 2 it is a fifth too long in pieces of one passage time, an eighth in pieces of two, right to 1 % in
    pieces of five (two thirds, half and a fifth of the waits cut off): mind ``cut_share``.

    Args:
        pieces: State sequences, each of shape ``(n_frames,)``; no passage crosses from one to the next.
        n_states: Size of the alphabet.
        sets: Disjoint sets of states; an empty one is allowed.
        lag: In frames.
        frame_time: Of a frame, in the system's time unit.

    Raises:
        ValueError: The lag is below one frame, or the sets share a state or hold one outside the alphabet.

    Source: Norris, Markov Chains, Cambridge University Press (1997), section 1.3, for the passage times; Kalbfleisch &
    Prentice, The Statistical Analysis of Failure Time Data, Wiley (2002), section 3.3, for the censored mean.

    Example:
        >>> found = trajectory_mfpt([np.array([0, 0, 1, 1, 0])], 2, [[0], [1]], lag=1, frame_time=0.5)
        >>> found.times.tolist(), found.n_passages.tolist()  # 0 to 1: waits of 2 and 1 frames, one of 0 frames cut
        ([[0.0, 0.75], [0.75, 0.0]], [[0.0, 1.0], [1.0, 0.0]])
    """
    from mdlm.kinetics.passage_kernels import add_passages  # compiled

    if lag < 1:
        raise ValueError(f"lag ({lag}) must be at least 1 frame")
    set_of_state = set_codes(sets, n_states)
    waits, ended, cut, passages = np.zeros((4, len(sets), len(sets)), dtype=np.int64)
    for piece in pieces:
        add_passages(set_of_state[piece], lag, waits, ended, cut, passages)
    with np.errstate(invalid="ignore", divide="ignore"):
        times = np.where(ended > 0, waits * frame_time / ended, np.nan)
        cut_share = cut / (ended + cut)
    visited = np.array([len(states) > 0 for states in sets], dtype=np.bool_)
    for matrix in (times, cut_share):
        np.fill_diagonal(matrix, np.where(visited, 0.0, np.nan))
    return PassageTimes(times, passages / lag, cut_share)


def set_codes(sets: Sequence[Sequence[int] | IntArray], n_states: int) -> IntArray:
    """Number of the set that each state is in, -1 for none, shape ``(n_states,)``.

    Raises:
        ValueError: Two sets share a state, or one holds a state outside the alphabet.

    Example:
        >>> set_codes([[2], [0, 3]], 4).tolist()
        [1, -1, 0, 1]
    """
    members = [np.asarray(states, dtype=np.intp) for states in sets]
    listed = np.concatenate([np.zeros(0, dtype=np.intp), *members])
    if listed.size and not (listed.min() >= 0 and listed.max() < n_states):
        raise ValueError(f"sets hold states {listed.min()}..{listed.max()}; allowed are 0..{n_states - 1}")
    if len(np.unique(listed)) < len(listed):
        raise ValueError(f"sets ({[states.tolist() for states in members]}) must not share a state")
    codes = np.full(n_states, -1, dtype=np.int32)
    for number, states in enumerate(members):
        codes[states] = number
    return codes
