import numpy as np
import pytest

from mdlm.kinetics.counts import transition_counts
from mdlm.kinetics.entropy import count_entropy_rate, markov_entropy_rate


def test_independent_tokens_have_the_entropy_of_their_distribution():
    p = np.array([0.2, 0.3, 0.5])
    assert markov_entropy_rate(np.tile(p, (3, 1)), p) == pytest.approx(-(p * np.log(p)).sum())


def test_a_deterministic_cycle_has_no_entropy():
    cycle = np.roll(np.eye(3), 1, axis=1)
    assert markov_entropy_rate(cycle, np.full(3, 1 / 3)) == 0
    assert count_entropy_rate(transition_counts([np.arange(31) % 3], 3)) == pytest.approx(0, abs=1e-12)


def test_two_state_chain_matches_the_closed_form():
    a, b = 0.1, 0.3

    def entropy(p):
        return -p * np.log(p) - (1 - p) * np.log(1 - p)

    found = markov_entropy_rate(np.array([[1 - a, a], [b, 1 - b]]), np.array([b, a]) / (a + b))
    assert found == pytest.approx((b * entropy(a) + a * entropy(b)) / (a + b))


def test_the_plug_in_rate_is_the_cross_entropy_of_the_counted_model():
    counts = np.array([[7, 3, 0], [2, 5, 1], [0, 1, 9]])
    model = counts / counts.sum(axis=1, keepdims=True)
    assert count_entropy_rate(counts) == pytest.approx(markov_entropy_rate(model, counts.sum(axis=1) / counts.sum()))


def test_no_counts_give_an_unknown_rate():
    assert np.isnan(count_entropy_rate(np.zeros((2, 2), dtype=int)))
