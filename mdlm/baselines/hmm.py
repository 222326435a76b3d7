"""Hidden Markov model, by deeptime's Baum-Welch."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from itertools import accumulate
from typing import ClassVar

import numpy as np

from mdlm.baselines.base import Baseline, Drawn, Wanted
from mdlm.baselines.chains import blocks, cumulative, empty_chains, to_itself, walked
from mdlm.kinetics.counts import count_matrix
from mdlm.model.base import check_at_least
from mdlm.trajectory import Dtraj, FloatArray, IntArray, Split

EMISSION_SEED = 1  # added to the seed: what is shown must not hang together with where the chain goes


@dataclass(frozen=True)
class HiddenMarkov:
    """A fitted hidden Markov model.

    Attributes:
        transition_HH: Between hidden states, per frame.
        emission_HV: Of what each hidden state shows.
        stationary_H: Of the hidden states, where a piece begins.
    """

    transition_HH: FloatArray
    emission_HV: FloatArray
    stationary_H: FloatArray

    def filtered(self, piece: IntArray) -> tuple[FloatArray, FloatArray]:
        """Log-probability of each frame given all before it, and of each hidden state after the last one."""
        from mdlm.baselines.chain_kernels import forward_filter

        belief_H, log_p = self.stationary_H.copy(), np.empty(len(piece))
        forward_filter(piece, self.transition_HH, self.emission_HV, belief_H, log_p)
        return log_p, belief_H

    def nll(self, pieces: tuple[IntArray, ...]) -> float:
        """Nats per frame given all frames before it in its piece; the first one of a piece is not scored."""
        scored = [self.filtered(piece)[0][1:] for piece in pieces if len(piece) > 1]
        return -float(np.concatenate(scored).mean())

    def sampled(self, wanted: Wanted) -> IntArray:
        """Chains that continue the prompts: a hidden path each, and what it shows."""
        from mdlm.baselines.chain_kernels import emit

        belief_BH = np.stack([self.filtered(prompt)[1] for prompt in wanted.prompts_BT])
        rng = np.random.default_rng(wanted.seed)
        start_B = (cumulative(belief_BH) <= rng.random(len(belief_BH))[:, None]).sum(axis=1)
        n_frames, n_hidden = wanted.chain_length, len(self.transition_HH)
        hidden_BT = walked(wanted.seed, start_B, self.transition_HH, to_itself(n_hidden), n_frames)
        chains_BT = empty_chains(len(start_B), n_frames, self.emission_HV.shape[1])
        emission = cumulative(self.emission_HV)
        for frames, uniforms_TB in blocks(wanted.seed + EMISSION_SEED, len(start_B), n_frames):
            emit(uniforms_TB, emission, hidden_BT[:, frames], chains_BT[:, frames])
        return chains_BT


@dataclass(frozen=True)
class HiddenMarkovModel(Baseline):
    """Hidden Markov model; the validation likelihood chooses the number of hidden states.

    Tried are as many as there are macrostates, and up to ``extra_states`` more in steps of two.

    Attributes:
        extra_states: Hidden states above the number of macrostates.
        max_frames: Training frames used at most, from the first pieces on: the fit is bounded.
        max_iterations: Of the Baum-Welch algorithm.
    """

    extra_states: int
    max_frames: int
    max_iterations: int
    title: ClassVar[str] = "hidden Markov model"

    def __post_init__(self) -> None:
        check_at_least(0, extra_states=self.extra_states)
        check_at_least(1000, max_frames=self.max_frames)
        check_at_least(1, max_iterations=self.max_iterations)

    def draw(self, states: Split[Dtraj], wanted: Wanted) -> Drawn:
        """See `Baseline.draw`."""
        pieces = bounded(states.train.pieces, self.max_frames)
        fewest = max(2, wanted.n_macrostates)
        sizes = range(fewest, fewest + self.extra_states + 1, 2)
        fitted = [self._fitted(pieces, states.train, n_hidden) for n_hidden in sizes]
        model, finished = min(fitted, key=lambda pair: pair[0].nll(states.validation.pieces))
        chains = Dtraj(
            tuple(model.sampled(wanted)), states.train.frame_time, states.train.time_unit, states.train.n_states
        )
        note = f"{len(model.transition_HH)} hidden states"
        if sum(map(len, pieces)) < states.train.n_frames:
            note += f", fitted on the first {sum(map(len, pieces))} of {states.train.n_frames} frames"
        if not finished:
            note += f", stopped after {self.max_iterations} iterations"
        return Drawn(chains, model.nll(states.test.pieces), note)

    def _fitted(self, pieces: tuple[IntArray, ...], train: Dtraj, n_hidden: int) -> tuple[HiddenMarkov, bool]:
        """The model of a number of hidden states, and whether its likelihood had stopped rising."""
        from deeptime.markov.hmm import HiddenMarkovModel as Guess
        from deeptime.markov.hmm import MaximumLikelihoodHMM

        transition, emission = first_guess(pieces, train.n_states, n_hidden)
        guess = Guess(transition, emission)
        observed = [piece.astype(np.int32) for piece in pieces if len(piece) > 1]
        accuracy = 1e-6 * sum(map(len, observed))  # nats of the whole likelihood
        estimator = MaximumLikelihoodHMM(
            guess, stride=1, lagtime=1, reversible=True, maxit=self.max_iterations, accuracy=accuracy
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that the iterations ended; said in the note
            found = estimator.fit(observed).fetch_model()
        populations = np.bincount(np.concatenate(train.pieces), minlength=train.n_states) + 0.5
        background = populations / populations.sum()
        rare = 1 / sum(map(len, observed))  # no state may be impossible only because the fit did not see it
        shown = (1 - rare) * found.output_model.output_probabilities + rare * background
        chain = found.transition_model
        finished = len(found.likelihoods) < self.max_iterations
        return HiddenMarkov(chain.transition_matrix.copy(), shown, chain.stationary_distribution.copy()), finished


def bounded(pieces: tuple[IntArray, ...], max_frames: int) -> tuple[IntArray, ...]:
    """The first ``max_frames`` frames.

    Example:
        >>> [piece.tolist() for piece in bounded((np.array([0, 1, 1]), np.array([2, 2, 0])), 5)]
        [[0, 1, 1], [2, 2]]
    """
    before = accumulate((len(piece) for piece in pieces), initial=0)
    cut = (piece[: max(0, max_frames - first)] for piece, first in zip(pieces, before, strict=False))
    return tuple(piece for piece in cut if len(piece) > 1)


def first_guess(pieces: tuple[IntArray, ...], n_states: int, n_hidden: int) -> tuple[FloatArray, FloatArray]:
    """Where Baum-Welch begins: every observed state has hidden ones of its own that differ in how long they last.

    The hidden states are dealt out to the observed ones, most populated first, over and over; each shows its own
    mostly, and everything else as the populations say.
    """
    counts = count_matrix(pieces, n_states, 1) + 1e-3
    populations = counts.sum(axis=0) / counts.sum()
    owner = np.argsort(-populations, kind="stable")[np.arange(n_hidden) % n_states]
    nth = np.arange(n_hidden) // n_states
    emission = np.tile(0.2 * populations, (n_hidden, 1))
    emission[np.arange(n_hidden), owner] += 0.8
    leave = 0.02 * 4.0 ** -nth.astype(float)
    flux = (counts + counts.T)[owner][:, owner] + 1e-2 * counts.max()
    np.fill_diagonal(flux, 0.0)
    transition = leave[:, None] * flux / flux.sum(axis=1, keepdims=True)
    np.fill_diagonal(transition, 1 - leave)
    return transition, emission
