import numpy as np
import pytest

from mdlm.kinetics.counts import transition_counts
from mdlm.kinetics.entropy import count_entropy_rate, markov_entropy_rate
from mdlm.kinetics.markov_order import markov_cross_entropy, order_entropy


def second_order(n_frames, seed, noise=0.1):
    """The next of two states is the exclusive or of the last two, but for one in ten."""
    rng = np.random.default_rng(seed)
    states, flips = [0, 1], rng.random(n_frames) < noise
    for flip in flips[2:]:
        states.append(states[-1] ^ states[-2] ^ int(flip))
    return np.array(states, dtype=np.uint8)


def test_order_one_is_the_entropy_of_the_counts(sample_chain, four_states):
    pieces = sample_chain(four_states, 5, 2000, seed=0)
    found = order_entropy(pieces, 4, 1)
    assert found.plug_in == pytest.approx(count_entropy_rate(transition_counts(pieces, 4)))
    assert found.n_tokens == 5 * 1999


def test_order_zero_is_the_entropy_of_the_populations():
    from scipy.stats import entropy

    found = order_entropy([np.array([0, 0, 1, 2])], 3, 0)
    assert found.plug_in == pytest.approx(entropy([0.5, 0.25, 0.25]))


def test_a_markov_chain_has_its_entropy_rate_at_every_order_from_one_on(sample_chain, four_states):
    pieces = sample_chain(four_states, 20, 10_000, seed=1)
    expected = markov_entropy_rate(four_states, np.full(4, 0.25))
    for order in (1, 2, 3):
        found = order_entropy(pieces, 4, order)
        assert found.plug_in == pytest.approx(expected, abs=0.01)
        assert found.plug_in <= found.held_out
        assert not found.undersampled
        assert found.perplexity == pytest.approx(np.exp(expected), abs=0.02)


def test_a_chain_of_second_order_shows_at_order_two():
    """One in ten is unpredictable: -0.9 ln 0.9 - 0.1 ln 0.1; one past token tells almost nothing."""
    pieces = [second_order(20_000, seed) for seed in range(4)]
    rate = -0.9 * np.log(0.9) - 0.1 * np.log(0.1)
    found = [order_entropy(pieces, 2, order) for order in (0, 1, 2, 3)]
    assert found[1].held_out > rate + 0.2
    for order in (2, 3):
        assert found[order].held_out == pytest.approx(rate, abs=0.01)


def test_the_plug_in_value_of_too_few_tokens_is_too_low_and_says_so():
    """Independent states of ten kinds: every order has ln 10, but 1000 tokens cannot fill 1000 contexts."""
    pieces = [np.random.default_rng(2).integers(0, 10, 1000)]
    found = order_entropy(pieces, 10, 3)
    assert found.plug_in < 0.5 * np.log(10)
    assert found.held_out > 0.95 * np.log(10)
    assert found.undersampled
    assert not order_entropy(pieces, 10, 0).undersampled


def test_the_bias_to_first_order_is_what_the_plug_in_value_lacks():
    rng = np.random.default_rng(3)
    found = [order_entropy([rng.integers(0, 4, 2000)], 4, 2) for _ in range(100)]
    lacking = np.log(4) - np.array([one.plug_in for one in found])
    assert np.mean([one.bias for one in found]) == pytest.approx(lacking.mean(), rel=0.1)


def test_cross_entropy_is_counted_by_hand():
    """Trained on 0 0 1: n_0 = 2, n_1 = 1, and after 0 one 0 and one 1. Order zero: p_0 = (2 + 1/2) / 4 = 5/8."""
    train, test = [np.array([0, 0, 1])], [np.array([0, 1]), np.array([1, 1])]
    after_zero = (1 + 3 / 8) / 3  # p(1 | 0)
    after_one = (0 + 3 / 8) / 1  # 1 was never left
    assert markov_cross_entropy(train, test, 2, 1) == pytest.approx(-(np.log(after_zero) + np.log(after_one)) / 2)


@pytest.mark.parametrize("order", [0, 1, 2])
def test_the_probabilities_behind_the_cross_entropy_add_up_to_one(order):
    train = [np.random.default_rng(4).integers(0, 3, 20)]
    for context in np.ndindex(*([3] * order)):
        total = sum(np.exp(-markov_cross_entropy(train, [np.array([*context, s])], 3, order)) for s in range(3))
        assert total == pytest.approx(1)


def test_sorted_and_counted_segments_are_the_same(monkeypatch):
    pieces = [np.random.default_rng(5).integers(0, 6, 500).astype(np.uint8) for _ in range(3)]
    counted = order_entropy(pieces, 6, 2)
    monkeypatch.setattr("mdlm.kinetics.markov_order.HISTOGRAM_UP_TO", 0)
    assert order_entropy(pieces, 6, 2) == counted


@pytest.mark.parametrize("pieces", [[], [np.array([], dtype=int)], [np.array([0, 1])]])
def test_pieces_too_short_for_the_order_have_no_entropy(pieces):
    found = order_entropy(pieces, 2, 2)
    assert np.isnan([found.plug_in, found.held_out]).all()
    assert found.undersampled
    assert np.isnan(markov_cross_entropy([np.array([0, 1])], pieces, 2, 2))


def test_one_state_alone_has_no_entropy():
    found = order_entropy([np.zeros(1000, dtype=int)], 2, 1)
    assert found.plug_in == 0
    assert 0 <= found.held_out < 0.01


@pytest.mark.parametrize(("order", "message"), [(-1, r"order \(-1\)"), (40, r"order \(40\) is too high for 3 states")])
def test_an_order_out_of_range_is_refused(order, message):
    with pytest.raises(ValueError, match=message):
        order_entropy([np.array([0, 1, 2])], 3, order)
