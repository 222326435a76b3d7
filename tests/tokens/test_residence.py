import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import CensoredData, ecdf

from mdlm.tokens.residence import ResidenceTimes, kaplan_meier, runs_from_first_jump


@given(st.lists(st.integers(0, 2), max_size=40))
def test_runs_from_the_first_jump_on_are_those_of_itertools(states):
    from itertools import groupby

    expected = [(state, len(list(run))) for state, run in groupby(states)][1:]
    run_states, lengths = runs_from_first_jump(np.array(states, np.int32))
    assert list(zip(run_states.tolist(), lengths.tolist(), strict=True)) == expected


def test_without_cut_runs_it_is_the_histogram():
    support, probability = kaplan_meier(np.array([3, 1, 3, 7]), np.zeros(4, bool))
    assert support.tolist() == [1, 3, 7]
    np.testing.assert_allclose(probability, [0.25, 0.5, 0.25])


def test_the_mass_of_a_cut_run_goes_in_equal_parts_to_the_runs_at_least_as_long():
    """Efron's redistribution to the right by hand: 1/5 each, the cut 2 gives 1/15 to 2, 4 and the cut 5 each."""
    support, probability = kaplan_meier(np.array([1, 2, 2, 4, 5]), np.array([False, False, True, False, True]))
    assert support.tolist() == [1, 2, 4, 5]
    np.testing.assert_allclose(probability, [3 / 15, 4 / 15, 4 / 15, 4 / 15])


@given(st.lists(st.tuples(st.integers(1, 12), st.booleans()), min_size=1, max_size=60))
def test_it_agrees_with_scipy_up_to_the_longest_run(runs):
    """scipy holds a run cut after c frames to have been longer than c; ours is known to be longer than c - 1."""
    lengths, cut = (np.array(part) for part in zip(*runs, strict=True))
    support, probability = kaplan_meier(lengths, cut)
    assert probability.sum() == pytest.approx(1)
    cut &= lengths < lengths.max()
    theirs = ecdf(CensoredData(uncensored=lengths[~cut], right=lengths[cut] - 1)).cdf
    np.testing.assert_allclose(probability.cumsum(), theirs.evaluate(support), atol=1e-12)


def two_states():
    """State 0: residence times 2 and 9 with 3/4 and 1/4; state 1: 5; state 2: never seen; state 3: 1."""
    runs = [(np.array([0, 1, 0, 1, 0, 1, 0, 3]), np.array([2, 5, 2, 5, 9, 5, 2, 1]))]
    return ResidenceTimes.estimate(runs, n_states=4)


def test_every_state_has_its_own_distribution_and_one_frame_where_it_has_no_runs():
    times = two_states()
    assert times.states.tolist() == [0, 0, 1, 2, 3]
    assert times.lengths.tolist() == [2, 9, 5, 1, 1]
    np.testing.assert_allclose(times.probability, [0.75, 0.25, 1, 1, 1])
    np.testing.assert_allclose(times.mean, [3.75, 5, 1, 1])
    assert times.longest.tolist() == [9, 5, 1, 1]


def test_draws_follow_the_distribution_within_the_limits():
    times, n = two_states(), 20_000
    states = np.repeat([0, 1, 0, 2], n)
    shortest, longest = np.repeat([1, 4, 3, 1], n), np.repeat([9, 100, 9, 1], n)
    drawn = times.draw(states, shortest, longest, np.random.default_rng(0)).reshape(4, n)
    assert set(drawn[0]) == {2, 9}
    assert (drawn[0] == 9).mean() == pytest.approx(0.25, abs=4 * np.sqrt(0.25 * 0.75 / n))
    assert (drawn[1:] == np.array([[5], [9], [1]])).all()


@given(st.data())
def test_a_draw_never_leaves_its_limits(data):
    n_states = data.draw(st.integers(1, 5))
    runs = data.draw(st.lists(st.tuples(st.integers(0, n_states - 1), st.integers(1, 30)), min_size=1, max_size=40))
    states, lengths = (np.array(part) for part in zip(*runs, strict=True))
    times = ResidenceTimes.estimate([(states, lengths)], n_states)
    entry = data.draw(st.integers(0, len(times.states) - 1))
    shortest = data.draw(st.integers(0, int(times.lengths[entry])))
    longest = data.draw(st.integers(int(times.lengths[entry]), 99))
    many = np.ones(50, int)
    drawn = times.draw(times.states[entry] * many, shortest * many, longest * many, np.random.default_rng(0))
    allowed = times.lengths[times.states == times.states[entry]]
    assert set(drawn) <= {length for length in allowed if shortest <= length <= longest}
