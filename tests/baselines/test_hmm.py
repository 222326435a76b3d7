from itertools import product

import numpy as np
import pytest
from deeptime.markov.hmm import HiddenMarkovModel as DeeptimeHMM
from deeptime.markov.hmm import MaximumLikelihoodHMM

from mdlm.baselines.base import Wanted
from mdlm.baselines.hmm import HiddenMarkov, HiddenMarkovModel, bounded, dealt_guess, metastable_guess
from mdlm.trajectory import Dtraj, Split

TRANSITION = np.array([[0.9, 0.1, 0.0], [0.05, 0.9, 0.05], [0.0, 0.2, 0.8]])
EMISSION = np.array([[0.8, 0.2], [0.3, 0.7], [0.5, 0.5]])
STATIONARY = np.array([4, 8, 2]) / 14
MODEL = HiddenMarkov(TRANSITION, EMISSION, STATIONARY)


def probability(seen):
    """Of a sequence, summed over all hidden paths."""
    total = 0.0
    for path in product(range(3), repeat=len(seen)):
        p = STATIONARY[path[0]] * EMISSION[path[0], seen[0]]
        for before, after, shown in zip(path[:-1], path[1:], seen[1:], strict=True):
            p *= TRANSITION[before, after] * EMISSION[after, shown]
        total += p
    return total


def generated(n_frames, seed=0, n_chains=20):
    rng = np.random.default_rng(seed)
    start = rng.integers(2, size=(n_chains, 1))
    return MODEL.sampled(Wanted(start, n_frames, 1.0, 2, seed))


def test_the_stationary_distribution_of_this_file_is_one():
    np.testing.assert_allclose(STATIONARY @ TRANSITION, STATIONARY)


@pytest.mark.parametrize("seen", [(0,), (1, 1), (0, 1, 1, 0), (1, 0, 0, 0, 1, 1)])
def test_the_forward_algorithm_sums_over_all_hidden_paths(seen):
    log_p, _ = MODEL.filtered(np.array(seen))
    assert log_p.sum() == pytest.approx(np.log(probability(seen)))
    for n in range(2, len(seen) + 1):
        assert log_p[n - 1] == pytest.approx(np.log(probability(seen[:n]) / probability(seen[: n - 1])))


def test_the_likelihood_is_deeptimes():
    piece = generated(500, n_chains=1)[0].astype(np.int32)
    theirs = DeeptimeHMM(TRANSITION, EMISSION, STATIONARY)
    estimator = MaximumLikelihoodHMM(theirs, lagtime=1, stride=1, reversible=False, maxit=1)
    first = estimator.fit([piece]).fetch_model().likelihoods[0]  # before the first update
    assert MODEL.filtered(piece)[0].sum() == pytest.approx(first)


def test_the_hidden_state_after_a_prompt_follows_from_bayes():
    seen = (0, 1, 1)
    _, belief = MODEL.filtered(np.array(seen))
    joint = np.zeros(3)
    for path in product(range(3), repeat=3):
        p = STATIONARY[path[0]] * EMISSION[path[0], seen[0]]
        p *= TRANSITION[path[0], path[1]] * EMISSION[path[1], seen[1]]
        joint[path[2]] += p * TRANSITION[path[1], path[2]] * EMISSION[path[2], seen[2]]
    np.testing.assert_allclose(belief, joint / joint.sum())


def test_what_cannot_be_seen_is_impossible():
    model = HiddenMarkov(np.eye(2), np.eye(2), np.array([0.5, 0.5]))
    assert model.nll((np.array([0, 0, 1]),)) == np.inf


def test_sampled_chains_have_the_statistics_of_pairs_of_frames():
    """P(x0, x1) = sum of pi_h B_h,x0 T_hg B_g,x1, and the same at a distance of three frames."""
    chains = generated(20_000)
    for lag in (1, 3):
        pairs = np.zeros((2, 2))
        np.add.at(pairs, (chains[:, :-lag].ravel(), chains[:, lag:].ravel()), 1)
        jump = np.linalg.matrix_power(TRANSITION, lag)
        expected = np.einsum("h,hx,hg,gy->xy", STATIONARY, EMISSION, jump, EMISSION)
        np.testing.assert_allclose(pairs / pairs.sum(), expected, atol=0.003)


def test_a_first_guess_is_a_model():
    pieces = (np.array([0, 0, 1, 1, 2, 0, 0, 1]),)
    for n_hidden, n_slow in ((2, 2), (3, 2), (7, 3), (7, 5)):  # of five metastable sets there are none here
        for transition, emission in (
            metastable_guess(pieces, 3, n_hidden, n_slow),
            dealt_guess(pieces, 3, n_hidden),
        ):
            assert transition.shape == (n_hidden, n_hidden)
            assert emission.shape == (n_hidden, 3)
            assert (transition > 0).all()
            np.testing.assert_allclose(transition.sum(axis=1), 1)
            np.testing.assert_allclose(emission.sum(axis=1), 1)


def test_a_hidden_chain_is_found_again():
    """Two hidden states that show the same two things: the fitted model predicts as well as the true one."""
    truth = HiddenMarkov(np.array([[0.98, 0.02], [0.02, 0.98]]), np.array([[0.9, 0.1], [0.2, 0.8]]), np.full(2, 0.5))
    rng = np.random.default_rng(0)
    chains = truth.sampled(Wanted(rng.integers(2, size=(3, 1)), 20_000, 1.0, 2, 5))
    part = [Dtraj((chain,), 1.0, "ps", 2) for chain in chains]
    wanted = Wanted(chains[2, None, :50], 100, 1.0, 2, 0)
    drawn = HiddenMarkovModel(extra_states=0, max_frames=20_000, max_iterations=100).draw(Split(*part), wanted)
    assert drawn.nll == pytest.approx(truth.nll((chains[2],)), abs=0.001)
    assert drawn.note == "2 hidden states"
    assert len(drawn.chains.pieces[0]) == 100


def test_a_bounded_fit_says_so():
    rng = np.random.default_rng(0)
    part = Dtraj((rng.integers(2, size=3000),), 1.0, "ps", 2)
    wanted = Wanted(np.zeros((2, 5), int), 10, 1.0, 2, 0)
    drawn = HiddenMarkovModel(extra_states=0, max_frames=1000, max_iterations=1).draw(Split(part, part, part), wanted)
    assert "fitted on the first 1000 of 3000 frames" in drawn.note
    assert "stopped after 1 iterations" in drawn.note


def test_frames_beyond_the_bound_are_left_out():
    assert [len(piece) for piece in bounded((np.zeros(4), np.zeros(4), np.zeros(4)), 6)] == [4, 2]
