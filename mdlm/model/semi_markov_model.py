"""A strong baseline: where to jump depends on the state, when to leave on how long one has been in it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mdlm.model.base import CountedModel, State
from mdlm.model.semi_markov import SemiMarkovConfig
from mdlm.trajectory import FloatArray, IntArray, visit_starts


class SemiMarkov(CountedModel):
    r"""Jump chain and dwell times, both counted.

    The hazard of leaving at age a, the probability of not being there in the next frame after a frames of the visit,
    is the share of the visits still going on at that age that ended (the life-table estimate): a visit that a
    trajectory's end cuts off counts for as long as it was seen, and so does one that was going on at its beginning,
    whose age is counted from there. A state whose hazard does not change with age is an ordinary Markov state, and
    one that training never visited is left for any other by the populations.

    Source: Cutler & Ederer, J. Chronic Dis. 8, 699 (1958) for life tables; Howard, Dynamic Probabilistic Systems II
    (1971) for the process.
    """

    def __init__(self, config: SemiMarkovConfig, n_states: int) -> None:
        super().__init__(n_states)
        self.config = config
        self.register_buffer("ages", torch.ones(1, dtype=torch.int64))  # first age of each bin, A bins
        self.register_buffer("log_probability", torch.zeros(n_states, 1, n_states))  # V, A, V

    def count(self, pieces: Sequence[IntArray]) -> None:
        """See `CountedModel.count`."""
        starts_and_visits = [_visits(piece) for piece in pieces if len(piece) > 1]
        states = np.concatenate([states for states, _ in starts_and_visits])
        lengths = np.concatenate([lengths for _, lengths in starts_and_visits])
        following = np.concatenate([np.append(states[1:], -1) for states, _ in starts_and_visits])  # -1: cut by the end
        ages = first_ages(int(lengths.max()), self.config.exact_ages, self.config.growth)
        prior_visits = 0.0 if self.config.smoothing == "none" else 1.0
        hazard = life_table(states, lengths, following >= 0, ages, self.n_states, prior_visits)
        jumps = np.zeros((self.n_states, self.n_states))
        np.add.at(jumps, (states[following >= 0], following[following >= 0]), 1.0)
        frames: FloatArray = np.bincount(states, weights=lengths, minlength=self.n_states).astype(np.float64)
        if self.config.smoothing == "all":
            jumps += _unseen(jumps, frames)
            hazard = np.clip(hazard, 1 / (frames.sum() + 1), 1 - 1 / (frames.sum() + 1))
        with np.errstate(invalid="ignore", divide="ignore"):
            jump = np.nan_to_num(jumps / jumps.sum(axis=1, keepdims=True))
            probability = hazard[:, :, None] * jump[:, None, :]
            probability += (1 - hazard)[:, :, None] * np.eye(self.n_states)[:, None, :]
            share = frames if self.config.smoothing != "all" else np.maximum(frames, 0.5)
            probability[frames == 0] = share / share.sum()  # what comes after a state never visited
            log_probability = np.log(probability)
        self.ages = torch.from_numpy(ages)
        self.log_probability = torch.from_numpy(log_probability).float()

    def initial_state(self, n_chains: int) -> State:
        """The last state plus one and the frames spent in it, shape (1, B, 2); zeros before the first frame."""
        return (self.ages.new_zeros(1, n_chains, 2),)

    def forward(self, tokens_BT: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """See `LanguageModel.forward`."""
        (last_1B2,) = state or self.initial_state(len(tokens_BT))
        n_frames = tokens_BT.shape[1]
        before_BT = torch.cat([last_1B2[0, :, :1], tokens_BT[:, :-1] + 1], dim=1)
        frame_T = torch.arange(n_frames, device=tokens_BT.device)
        # The frame at which the visit began: the last change up to here, or as long before frame 0 as was carried.
        began_BT = torch.where(before_BT == tokens_BT + 1, -1, frame_T).cummax(dim=1).values
        age_BT = torch.where(began_BT < 0, frame_T + 1 + last_1B2[0, :, 1:], frame_T - began_BT + 1)
        bin_BT = torch.searchsorted(self.ages, age_BT, right=True) - 1
        carried_1B2 = torch.stack([tokens_BT[:, -1] + 1, age_BT[:, -1]], dim=1)[None]
        return self.allowed(self.log_probability[tokens_BT, bin_BT], tokens_BT), (carried_1B2,)

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *args: Any) -> None:  # noqa: ANN401
        # The tables are as long as the longest visit in the data, so they take the shape that was saved.
        for name in list(self._buffers):
            setattr(self, name, torch.empty_like(state_dict[prefix + name]))
        super()._load_from_state_dict(state_dict, prefix, *args)


def _unseen(jumps: FloatArray, frames: FloatArray) -> FloatArray:
    """What Witten and Bell add to the jumps out of each state: as many as it has targets, shared out by ``frames``.

    A state that training never visited counts as half a frame.
    """
    n_kinds = np.maximum((jumps > 0).sum(axis=1), 1)
    share = np.tile(np.maximum(frames, 0.5), (len(frames), 1))
    np.fill_diagonal(share, 0.0)  # staying is no jump
    return np.asarray(n_kinds[:, None] * share / np.maximum(share.sum(axis=1, keepdims=True), 0.5))


def _visits(piece: IntArray) -> tuple[IntArray, IntArray]:
    """State and length of each visit of one piece, in order."""
    starts = visit_starts(piece)
    return piece[starts].astype(np.int64), np.diff(starts, append=len(piece))


def first_ages(longest: int, exact: int, growth: float) -> IntArray:
    """First age of each bin: 1, 2, ... ``exact``, then growing by a factor, up to ``longest``.

    Example:
        >>> first_ages(20, exact=3, growth=2.0).tolist()
        [1, 2, 3, 6, 12]
    """
    ages = list(range(1, min(exact, longest) + 1))
    while (following := max(ages[-1] + 1, int(ages[-1] * growth))) <= longest:
        ages.append(following)
    return np.array(ages)


def life_table(
    states: IntArray,
    lengths: IntArray,
    ended: NDArray[np.bool_],
    ages: IntArray,
    n_states: int,
    prior_visits: float = 0.0,
) -> FloatArray:
    """Hazard of leaving, per frame, in each bin of ages.

    Args:
        states: State of each visit.
        lengths: Frames of each visit.
        ended: Whether each was seen to end.
        ages: First age of each bin, from 1 on; the last bin has no end.
        n_states: Size of the alphabet.
        prior_visits: Ended visits added to each bin, with as many frames as the state's hazard as a whole takes.

    Returns:
        Shape ``(n_states, n_bins)``; a bin in which a state was never observed has the hazard of the state as a
        whole, and a state never left a hazard of zero.

    Example:
        >>> visits = np.array([0, 0, 0]), np.array([1, 2, 2]), np.array([True, True, False])
        >>> life_table(*visits, ages=np.array([1, 2]), n_states=1).tolist()  # one of three, then one of one
        [[0.3333333333333333, 1.0]]
    """
    n_bins = len(ages)
    left = np.zeros((n_states, n_bins))
    np.add.at(left, (states[ended], np.searchsorted(ages, lengths[ended], side="right") - 1), 1.0)
    # A visit of n frames was at risk at ages 1 ... n, of its last only where what came next was seen.
    at_risk = lengths - ~ended
    spent = np.clip(at_risk[:, None] - (ages - 1), 0, np.append(np.diff(ages), np.iinfo(np.int64).max))
    exposure = np.zeros((n_states, n_bins))
    np.add.at(exposure, states, spent.astype(float))
    with np.errstate(invalid="ignore", divide="ignore"):
        overall = np.nan_to_num(left.sum(axis=1) / exposure.sum(axis=1))
        hazard = left / exposure
        if prior_visits:
            hazard = (left + prior_visits) / (exposure + prior_visits / overall[:, None])
    return np.where(exposure > 0, hazard, overall[:, None])
