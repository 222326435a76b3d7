import numpy as np
import pytest

from mdlm.kinetics.chapman_kolmogorov import chapman_kolmogorov


def test_predictions_and_estimates_agree_with_deeptimes_own_test(sample_chain, four_states):
    from deeptime.markov import TransitionCountEstimator
    from deeptime.markov._observables import MembershipsObservable
    from deeptime.markov.msm import MaximumLikelihoodMSM
    from deeptime.util.validation import ck_test

    pieces = list(sample_chain(four_states, 5, 5000, seed=1))
    models = [
        MaximumLikelihoodMSM(reversible=False).fit_fetch(TransitionCountEstimator(lag, "sliding").fit_fetch(pieces))
        for lag in (20, 40, 100)
    ]
    whole_matrix = MembershipsObservable(models[0], np.eye(4), ignore_imaginary_parts=True)
    theirs = ck_test(models, whole_matrix, include_lag0=False)
    found = chapman_kolmogorov(pieces, 4, 20, 0.5, steps=[1, 2, 5])
    assert found.times.tolist() == [10, 20, 50]
    np.testing.assert_allclose(found.predicted, theirs.predictions, atol=1e-10)
    np.testing.assert_allclose(found.estimated, theirs.estimates, atol=1e-10)


def test_a_markov_chain_passes_within_its_standard_errors_and_one_with_memory_fails(sample_chain, four_states):
    chain = chapman_kolmogorov(sample_chain(four_states, 50, 20_000, seed=2), 4, 10, 1.0)
    apart = np.abs(chain.predicted - chain.estimated)[1:]
    assert (apart < 4 * chain.standard_error[1:]).mean() > 0.98
    assert chain.rms_error < 0.01
    with_memory = chapman_kolmogorov([np.repeat(np.arange(4000) % 2, 30)], 2, 10, 1.0)
    assert with_memory.max_error > 0.3  # thirty frames later the state is always the other one
    assert with_memory.rms_error > 0.2


def test_errors_are_counted_by_hand():
    """From 0011 0011 ...: half of all stay at one frame, none at two, so the power says 1/2 where 0 and 1 are seen."""
    found = chapman_kolmogorov([np.array([0, 0, 1, 1] * 50 + [0])], 2, 1, 1.0, steps=[1, 2])
    assert found.max_error == pytest.approx(0.5)
    assert found.rms_error == pytest.approx(np.sqrt((0 + 2 * 0.25) / 2))


def test_one_step_is_equal_by_construction(sample_chain, four_states):
    found = chapman_kolmogorov(sample_chain(four_states, 3, 1000, seed=3), 4, 5, 1.0, steps=[1])
    np.testing.assert_array_equal(found.predicted, found.estimated)


def test_states_not_connected_are_left_out_and_named():
    found = chapman_kolmogorov([np.array([0, 1, 0, 1, 1, 0, 3])], 5, 1, 1.0, steps=[1, 2])
    assert found.active.tolist() == [0, 1]


@pytest.mark.parametrize("pieces", [[], [np.array([], dtype=int)], [np.array([1, 1])]])
def test_pieces_too_short_for_the_lag_give_no_error_at_all(pieces):
    found = chapman_kolmogorov(pieces, 2, 5, 1.0)
    assert found.predicted.shape == (0, 0, 0)
    assert np.isnan([found.max_error, found.rms_error]).all()


def test_one_state_alone_is_predicted():
    found = chapman_kolmogorov([np.zeros(20, dtype=int)], 3, 2, 1.0, steps=[1, 2])
    assert (found.active.tolist(), found.max_error) == ([0], 0)


def test_the_standard_error_is_an_upper_one(sample_chain):
    """The spread over repetitions lies between that of all counts and that of windows that do not overlap."""
    chain = np.array([[0.7, 0.3], [0.2, 0.8]])
    pieces = sample_chain(chain, 200, 2000, seed=4)
    found = [chapman_kolmogorov([piece], 2, 5, 1.0, steps=[2]) for piece in pieces]
    spread = np.std([one.estimated[0, 0, 0] for one in found], ddof=1)
    said = np.mean([one.standard_error[0, 0, 0] for one in found])
    assert said / np.sqrt(2 * 5) < spread < said
