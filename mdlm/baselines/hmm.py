"""Hidden Markov model, by deeptime's Baum-Welch."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from itertools import accumulate
from typing import ClassVar

import numpy as np

from mdlm.baselines.base import Baseline, Drawn, Wanted
from mdlm.baselines.chains import blocks, cumulative, empty_chains, to_itself, walked
from mdlm.errors import check_at_least
from mdlm.kinetics.counts import count_matrix
from mdlm.trajectory import Dtraj, FloatArray, IntArray, Split

GUESS_LAG = 10  # frames, of the Markov state model that Baum-Welch begins from
ENTERED, LEFT, SMALL = 0.02, 0.3, 1e-4  # its hidden states that are no metastable sets; what may be found yet
TRIAL = 4  # a number of hidden states is tried on this part of the frames, with this part of the iterations
ACCURACY = 1e-6  # nats per frame; a smaller rise of the likelihood ends the iterations
MIN_FRAMES = 1000
NEVER = 1e-3  # expected jumps in the data to a hidden state drawn at random; far fewer than any slow event there
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

    Tried are as many as there are macrostates, and up to ``extra_states`` more in steps of two, each on a quarter of
    the frames with a quarter of the iterations; the best number is then fitted in full, from two first guesses, of
    which the validation likelihood chooses too.

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
        check_at_least(MIN_FRAMES, max_frames=self.max_frames)
        check_at_least(1, max_iterations=self.max_iterations)

    def draw(self, states: Split[Dtraj], wanted: Wanted) -> Drawn:
        """See `Baseline.draw`."""
        fewest = max(2, wanted.n_macrostates)
        trial = bounded(states.train.pieces, max(MIN_FRAMES, self.max_frames // TRIAL))

        def tried(n_hidden: int) -> float:
            n_iterations = -(-self.max_iterations // TRIAL)
            model, _ = fitted(metastable_guess(trial, states.train.n_states, n_hidden, fewest), trial, n_iterations)
            return model.nll(states.validation.pieces)

        sizes = range(fewest, fewest + self.extra_states + 1, 2)
        n_hidden = min(sizes, key=tried) if len(sizes) > 1 else fewest
        pieces = bounded(states.train.pieces, self.max_frames)
        guesses = (
            metastable_guess(pieces, states.train.n_states, n_hidden, fewest),
            dealt_guess(pieces, states.train.n_states, n_hidden),
        )
        both = [fitted(guess, pieces, self.max_iterations) for guess in guesses]
        model, finished = min(both, key=lambda fit: fit[0].nll(states.validation.pieces))
        chains = Dtraj(
            tuple(model.sampled(wanted)), states.train.frame_time, states.train.time_unit, states.train.n_states
        )
        note = f"{len(model.transition_HH)} hidden states"
        if sum(map(len, pieces)) < states.train.n_frames:
            note += f", fitted on the first {sum(map(len, pieces))} of {states.train.n_frames} frames read"
        if not finished:
            note += f", stopped after {self.max_iterations} iterations"
        return Drawn(chains, model.nll(states.test.pieces), note)


def fitted(
    guess: tuple[FloatArray, FloatArray], pieces: tuple[IntArray, ...], n_iterations: int
) -> tuple[HiddenMarkov, bool]:
    """Baum-Welch from a first guess.

    Args:
        guess: Transitions and emissions.
        pieces: What was seen.
        n_iterations: At most.

    Returns:
        The model, and whether its likelihood had stopped rising.
    """
    from deeptime.markov.hmm import HiddenMarkovModel as Guess
    from deeptime.markov.hmm import MaximumLikelihoodHMM

    observed = [piece.astype(np.int32) for piece in pieces if len(piece) > 1]
    n_frames = sum(map(len, observed))
    estimator = MaximumLikelihoodHMM(
        Guess(*guess), stride=1, lagtime=1, reversible=True, maxit=n_iterations, accuracy=ACCURACY * n_frames
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that the iterations ended; said in the note
        found = estimator.fit(observed).fetch_model()
    seen = np.bincount(np.concatenate(observed), minlength=guess[1].shape[1]) + 0.5
    # No state may be impossible only because the fit did not see it.
    shown = (1 - 1 / n_frames) * found.output_model.output_probabilities + seen / seen.sum() / n_frames
    # Nor may it be impossible to leave or to reach: data without a slow event leave the fit in pieces.
    n_hidden, away = len(guess[0]), NEVER / n_frames
    transition = (1 - away) * found.transition_model.transition_matrix + away / n_hidden
    model = HiddenMarkov(transition, shown, _stationary(transition))
    return model, len(found.likelihoods) < n_iterations


def _stationary(transition: FloatArray) -> FloatArray:
    """Stationary distribution of a chain that reaches every state from every other."""
    equations = np.vstack([transition.T - np.eye(len(transition)), np.ones(len(transition))])
    solution = np.linalg.lstsq(equations, np.append(np.zeros(len(transition)), 1.0), rcond=None)[0]
    positive = np.maximum(solution, 0.0)
    return np.asarray(positive / positive.sum())


def bounded(pieces: tuple[IntArray, ...], max_frames: int) -> tuple[IntArray, ...]:
    """The first ``max_frames`` frames.

    Example:
        >>> [piece.tolist() for piece in bounded((np.array([0, 1, 1]), np.array([2, 2, 0])), 5)]
        [[0, 1, 1], [2, 2]]
    """
    before = accumulate((len(piece) for piece in pieces), initial=0)
    cut = (piece[: max(0, max_frames - first)] for piece, first in zip(pieces, before, strict=False))
    return tuple(piece for piece in cut if len(piece) > 1)


def metastable_guess(
    pieces: tuple[IntArray, ...], n_states: int, n_hidden: int, n_slow: int
) -> tuple[FloatArray, FloatArray]:
    """Where Baum-Welch begins: metastable sets by PCCA+, and hidden states beside them that are left soon.

    The slow ones are those of a Markov state model over ten frames, with its rates per frame. Each of the others is
    entered from one of these, by turns, and shows half of what it shows and half of everything.

    Args:
        pieces: What was seen.
        n_states: Size of the alphabet.
        n_hidden: Hidden states.
        n_slow: How many of them are metastable sets.

    Returns:
        Transitions, shape ``(n_hidden, n_hidden)``, and emissions, shape ``(n_hidden, n_states)``; all positive.
    """
    slow, shown = _metastable(pieces, n_states, n_slow)
    n_slow = len(slow)
    populations = np.bincount(np.concatenate(pieces), minlength=n_states) / sum(map(len, pieces))
    transition, emission = np.zeros((n_hidden, n_hidden)), np.empty((n_hidden, n_states))
    transition[:n_slow, :n_slow], emission[:n_slow] = slow, shown
    for extra in range(n_slow, n_hidden):
        owner = extra % n_slow
        transition[owner, extra] = ENTERED
        transition[extra, owner], transition[extra, extra] = LEFT, 1 - LEFT
        emission[extra] = (shown[owner] + populations) / 2
    transition, emission = transition + SMALL, emission + SMALL
    return transition / transition.sum(axis=1, keepdims=True), emission / emission.sum(axis=1, keepdims=True)


def dealt_guess(pieces: tuple[IntArray, ...], n_states: int, n_hidden: int) -> tuple[FloatArray, FloatArray]:
    """The other beginning of Baum-Welch: hidden states dealt out to the observed ones, the most frequent first.

    Each shows its own mostly and everything else as the populations say; the second one of an observed state lasts
    four times as long as its first, and so on. It converges more slowly than `metastable_guess`, and sometimes higher.
    """
    counts = count_matrix(pieces, n_states, 1) + 1e-3
    populations = counts.sum(axis=0) / counts.sum()
    owner = np.argsort(-populations, kind="stable")[np.arange(n_hidden) % n_states]
    emission = np.tile(0.2 * populations, (n_hidden, 1))
    emission[np.arange(n_hidden), owner] += 0.8
    leave = 0.02 * 4.0 ** -(np.arange(n_hidden) // n_states).astype(float)
    flux = (counts + counts.T)[owner][:, owner] + 1e-2 * counts.max()
    np.fill_diagonal(flux, 0.0)
    transition = leave[:, None] * flux / flux.sum(axis=1, keepdims=True)
    np.fill_diagonal(transition, 1 - leave)
    return transition, emission


def _metastable(pieces: tuple[IntArray, ...], n_states: int, n_slow: int) -> tuple[FloatArray, FloatArray]:
    """Transitions per frame between metastable sets and what these show; single states where PCCA+ finds no sets."""
    from deeptime.markov.hmm import init

    try:
        observed = [piece.astype(np.int32) for piece in pieces if len(piece) > GUESS_LAG]
        guess = init.discrete.metastable_from_data(observed, n_hidden_states=n_slow, lagtime=GUESS_LAG)
        jump, shown = guess.transition_model.transition_matrix, np.zeros((n_slow, n_states))
        shown[:, : guess.n_observation_states] = guess.output_probabilities
        return np.eye(n_slow) + (jump - np.eye(n_slow)) / GUESS_LAG, shown
    except (ValueError, ArithmeticError, np.linalg.LinAlgError):  # too few connected states for so many sets
        counts = count_matrix(pieces, n_states, 1).astype(np.float64)
        most = np.argsort(-counts.sum(axis=1), kind="stable")[: min(n_slow, n_states)]
        jump = counts[np.ix_(most, most)] + np.eye(len(most))
        return jump / jump.sum(axis=1, keepdims=True), np.eye(n_states)[most]
