import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mdlm.kinetics.counts import transition_counts
from mdlm.kinetics.memorisation import CopiedSegment, longest_copy, memorisation, semi_markov_surrogate
from mdlm.kinetics.visits import Visits

PIECES = st.lists(st.lists(st.integers(0, 2), max_size=25), min_size=1, max_size=4)


def longest_by_brute_force(training, sampled):
    """Every segment of every sampled piece, longest first, looked up as text."""
    known = ["".join(map(str, piece)) for piece in training]
    texts = ["".join(map(str, piece)) for piece in sampled]
    segments = {text[i:j] for text in texts for i in range(len(text)) for j in range(i + 1, len(text) + 1)}
    return max((len(segment) for segment in segments if any(segment in text for text in known)), default=0)


@settings(max_examples=150, deadline=None)
@given(PIECES, PIECES)
def test_the_longest_copy_is_that_of_brute_force(training, sampled):
    arrays = [[np.array(piece, dtype=np.uint8) for piece in pieces] for pieces in (training, sampled)]
    found = longest_copy(*arrays, 3)
    assert found.length == longest_by_brute_force(training, sampled)
    if found.length:
        segment = sampled[found.piece][found.start : found.start + found.length]
        assert len(segment) == found.length
        assert longest_by_brute_force(training, [segment]) == found.length


def test_a_planted_copy_is_found_where_it_lies():
    rng = np.random.default_rng(0)
    training = [rng.integers(0, 20, 5000) for _ in range(3)]
    sampled = [rng.integers(0, 20, 4000) for _ in range(4)]
    sampled[2][1234 : 1234 + 400] = training[1][700 : 700 + 400]
    found = longest_copy(training, sampled, 20)
    assert found.piece == 2
    assert found.start <= 1234 <= found.start + 5
    assert 400 <= found.length <= 410  # a neighbour may agree by chance


def test_the_longest_copy_by_chance_grows_as_the_theory_of_random_sequences_says():
    """About ln(n m) / ln(q) between n and m independent letters of q kinds (Karlin & Ost)."""
    rng = np.random.default_rng(1)
    n, m, q = 20_000, 50_000, 4
    lengths = []
    for _ in range(10):
        lengths.append(longest_copy([rng.integers(0, q, n)], [rng.integers(0, q, m)], q).length)
    assert np.mean(lengths) == pytest.approx(np.log(n * m) / np.log(q), abs=1.5)


def test_a_chain_that_did_not_copy_copies_as_much_as_chance(sample_chain, four_states):
    training = sample_chain(four_states, 5, 4000, seed=1)
    found = memorisation(training, sample_chain(four_states, 20, 4000, seed=2), 4, seed=0)
    assert 0.5 < found.visits_ratio < 2
    assert 0.5 < found.tokens.length / found.tokens_by_chance < 2
    assert found.tokens_held_out is None


def test_a_chain_that_copied_stands_out_against_chance_and_held_out_data(sample_chain, four_states):
    training = sample_chain(four_states, 5, 4000, seed=1)
    copied = (training[3][500:2500],)
    found = memorisation(training, copied, 4, seed=0, held_out=sample_chain(four_states, 1, 2000, seed=9))
    assert found.tokens == CopiedSegment(2000, 0, 0)
    assert found.visits.length == len(Visits.of(copied)) - 2
    assert found.visits_ratio > 20
    assert found.tokens_held_out < 200
    assert found.visits_held_out < 10


def test_one_long_visit_is_a_trivial_copy_in_tokens_but_not_in_visits():
    training = [np.repeat([0, 1, 0, 1, 2], [5, 300, 4, 2, 9])]
    sampled = [np.repeat([0, 1, 0], [3, 250, 6])]
    found = memorisation(training, sampled, 3, seed=0)
    assert found.tokens.length == 250 + 4  # the end of the long visit and all of the next
    assert found.visits.length == 0


def test_whole_visits_must_agree_in_state_and_length():
    """Between the first and the last: (1, 3), (0, 2), (1, 1), (2, 4) against (1, 3), (0, 2), (1, 2), (0, 9)."""
    training = [np.repeat([0, 1, 0, 1, 2, 0], [1, 3, 2, 1, 4, 1])]
    sampled = [np.repeat([2, 1, 0, 1, 0, 1], [7, 3, 2, 2, 9, 1])]
    assert memorisation(training, sampled, 3, seed=0).visits == CopiedSegment(2, 0, 0)


def test_the_surrogate_has_the_jumps_and_the_dwells_of_the_data():
    """States 0 and 1 are left for each other two times of three; visits last 20 to 30 frames."""
    rng = np.random.default_rng(3)
    jump = np.array([[0, 2, 1], [2, 0, 1], [1, 1, 0]]) / np.array([[3], [3], [2]])
    states = [0]
    for _ in range(2000):
        states.append(rng.choice(3, p=jump[states[-1]]))
    training = [np.repeat(states, rng.integers(20, 31, len(states)))]
    (drawn,) = semi_markov_surrogate(training, [200_000], 3, seed=4)
    visits = Visits.of([drawn])
    lengths = visits.lengths[~visits.last]
    assert len(drawn) == 200_000
    assert (lengths.min(), lengths.max()) == (20, 30)
    assert lengths.mean() == pytest.approx(25, abs=0.2)
    counts = transition_counts([drawn], 3).astype(float)
    np.fill_diagonal(counts, 0)
    np.testing.assert_allclose(counts / counts.sum(axis=1, keepdims=True), jump, atol=0.04)


def test_one_state_alone_gives_a_surrogate_that_stays():
    (drawn,) = semi_markov_surrogate([np.full(9, 2)], [4], 3, seed=0)
    assert drawn.tolist() == [2, 2, 2, 2]
    found = memorisation([np.full(9, 2)], [np.full(4, 2)], 3, seed=0)
    assert (found.tokens.length, found.tokens_by_chance, found.visits.length) == (4, 4, 0)
    assert np.isnan(found.visits_ratio)


@pytest.mark.parametrize("empty", [[], [np.array([], dtype=np.uint8)]])
def test_empty_sequences_copy_nothing(empty):
    some = [np.array([0, 1, 0, 1])]
    assert memorisation(some, empty, 2, seed=0).tokens.length == 0
    assert memorisation(empty, some, 2, seed=0).tokens.length == 0
    assert memorisation(empty, some, 2, seed=0).visits_by_chance == 0


def test_the_first_and_the_last_visit_of_a_piece_are_not_whole():
    piece = np.repeat([0, 1, 2, 0, 1], [3, 1, 4, 1, 5])
    assert memorisation([piece], [piece], 3, seed=0).visits == CopiedSegment(3, 0, 0)
