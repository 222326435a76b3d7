from collections import Counter

import numpy as np
import pytest
import torch
from deeptime.markov import TransitionCountEstimator
from deeptime.markov.msm import MaximumLikelihoodMSM

from mdlm.model.markov import MarkovConfig
from mdlm.training import checkpoint
from mdlm.training.training import load


def counted(pieces, n_states, order=1):
    model = MarkovConfig(order).build(n_states)
    model.count([np.array(piece) for piece in pieces])
    return model


def probabilities(model, *history):
    """Of the next state after these."""
    logits, _ = model(torch.tensor([history]))
    return logits[0, -1].exp().tolist()


def test_jumps_are_counted_within_pieces_only():
    """0 > 1, 1 > 1, 1 > 0 and 2 > 2, 2 > 1; never 0 > 2 across the boundary."""
    model = counted([[0, 1, 1, 0], [2, 2, 1]], 3)
    assert probabilities(model, 0) == pytest.approx([0, 1, 0])
    assert probabilities(model, 1) == pytest.approx([0.5, 0.5, 0])
    assert probabilities(model, 2) == pytest.approx([0, 0.5, 0.5])


def test_pieces_in_different_states_never_connect():
    model = counted([[0, 1, 0, 1, 0], [2, 3, 2, 3, 2]], 4, order=2)
    for history in ([0], [1], [0, 1], [1, 0], [0, 1, 0]):
        assert probabilities(model, *history)[2:] == [0, 0]


def test_a_jump_never_seen_has_probability_zero_and_not_just_a_small_one():
    logits, _ = counted([[0, 1, 2, 0, 1, 2, 0]], 3)(torch.tensor([[0]]))
    assert logits[0, 0].tolist() == [-np.inf, 0, -np.inf]


def test_order_one_agrees_with_deeptime():
    rng = np.random.default_rng(0)
    pieces = [rng.integers(6, size=n) for n in (300, 50, 7)]
    counts = TransitionCountEstimator(lagtime=1, count_mode="sliding").fit_fetch(pieces)
    expected = MaximumLikelihoodMSM(reversible=False).fit_fetch(counts).transition_matrix
    found = counted(pieces, 6)(torch.arange(6)[:, None])[0][:, 0].exp()
    np.testing.assert_allclose(found, expected, rtol=1e-6)


@pytest.mark.parametrize("order", [1, 2, 3])
def test_higher_orders_agree_with_counting_in_a_dictionary(order):
    rng = np.random.default_rng(order)
    pieces = [rng.integers(3, size=n) for n in (400, 60, order + 1, order, 1)]
    model, jumps = counted(pieces, 3, order), Counter()
    for piece in pieces:
        for t in range(order, len(piece)):
            jumps[(*piece[t - order : t].tolist(), int(piece[t]))] += 1
    for context in {jump[:-1] for jump in jumps}:
        row = np.array([jumps[(*context, state)] for state in range(3)])
        assert probabilities(model, *context) == pytest.approx(row / row.sum(), rel=1e-6)


def test_only_the_last_states_of_a_long_history_count():
    model = counted([np.random.default_rng(0).integers(3, size=500)], 3, order=2)
    assert probabilities(model, 2, 0, 1, 2, 1, 0) == probabilities(model, 1, 0)
    assert probabilities(model, 2, 0) != probabilities(model, 1, 0)


BACK_OFF = [[0, 1, 0, 2, 0, 1], [3, 3]]
"""Of order 2: 01 > 0, 10 > 2, 02 > 0, 20 > 1; of order 1: 0 > 1 2 1, 1 > 0, 2 > 0, 3 > 3; all but the first
frame of each piece: 1 0 2 0 1 3."""


@pytest.mark.parametrize(
    ("history", "expected"),
    [
        ([0, 1], [1, 0, 0, 0]),
        ([1, 0], [0, 0, 1, 0]),
        ([0], [0, 2 / 3, 1 / 3, 0]),  # too short for order 2
        ([0, 0], [0, 2 / 3, 1 / 3, 0]),  # never seen: what follows 0
        ([3, 3], [0, 0, 0, 1]),  # seen at the end only, where nothing follows
        ([0, 4], [2 / 6, 2 / 6, 1 / 6, 1 / 6]),  # 4 was never seen at all: the populations
        ([4, 1], [1, 0, 0, 0]),  # what follows 1
    ],
)
def test_an_unknown_context_backs_off_to_a_shorter_one(history, expected):
    model = counted(BACK_OFF, 5, order=2)
    assert probabilities(model, *history) == pytest.approx([*expected, 0], rel=1e-6)


def test_a_short_history_is_not_taken_for_one_that_begins_with_state_zero():
    model = counted([[0, 1, 2, 1, 0, 1, 2, 1, 1]], 3, order=2)
    assert probabilities(model, 0, 1) == pytest.approx([0, 0, 1])
    assert probabilities(model, 1) == pytest.approx([1 / 4, 1 / 4, 2 / 4])


def test_pieces_shorter_than_the_order_are_counted_as_far_as_they_go():
    assert probabilities(counted([[0, 1], [0, 1, 0, 1, 1]], 2, order=4), 0) == pytest.approx([0, 1])
    assert probabilities(counted([[0, 1], [1, 0]], 2, order=4), 0, 1, 0, 1, 0) == pytest.approx([0, 1])


def test_small_integers_do_not_overflow():
    """States of a grid often come as one byte; 16 x 250 is beyond it."""
    piece = np.tile(np.arange(250, dtype=np.uint8), 3)
    assert probabilities(counted([piece], 250, order=2), 7, 8)[9] == pytest.approx(1)


@pytest.mark.parametrize("order", [1, 3])
def test_the_tables_survive_a_checkpoint_file(order, tmp_path):
    model = counted([np.random.default_rng(0).integers(4, size=200)], 4, order)
    path = tmp_path / "best.safetensors"
    checkpoint.write(path, model.state_dict(), {"n_states": 4})
    tokens = torch.from_numpy(np.random.default_rng(1).integers(4, size=(3, 20)))
    assert torch.equal(load(path, MarkovConfig(order))(tokens)[0], model(tokens)[0])


def test_counting_again_starts_anew():
    model = counted([[0, 1, 0, 1]], 2)
    model.count([np.array([0, 0, 0])])
    assert probabilities(model, 0) == pytest.approx([1, 0])


def test_smoothing_mixes_orders_as_witten_and_bell_do():
    """0 0 1 0 0 1 0: after 0 0 comes 1 (2 of 2); after 0 comes 0 (2) or 1 (2); of all that follow, 0 (4), 1 (2)."""
    pieces = [np.array([0, 0, 1, 0, 0, 1, 0])]
    for smoothing, lower in (("contexts", [0.5, 0.5]), ("all", None)):
        model = MarkovConfig(2, smoothing).build(2)
        model.count(pieces)
        if lower is None:
            populations = [(4 + 2 * 0.5) / 8, (2 + 2 * 0.5) / 8]
            lower = [(2 + 2 * p) / 6 for p in populations]
        assert probabilities(model, 0, 0) == pytest.approx([lower[0] / 3, (2 + lower[1]) / 3])  # one kind follows
        assert probabilities(model, 0) == pytest.approx(lower)


def test_smoothing_of_contexts_makes_no_jump_possible_that_training_never_saw():
    model = MarkovConfig(2, "contexts").build(3)
    model.count([np.array([0, 1, 1, 2, 1, 0, 1, 2, 2, 1])])
    for history in ([0], [2, 0], [1, 0]):
        assert probabilities(model, *history)[2] == 0
    with pytest.raises(ValueError, match=r"^smoothing \(some\) must be one of none, contexts, all"):
        MarkovConfig(2, "some")


def test_a_forbidden_jump_is_forbidden():
    model = counted([[0, 1, 2, 0, 2, 1, 0]], 3)
    model.forbid(torch.tensor([[0, 1, 0], [0, 0, 0], [0, 0, 0]], dtype=torch.bool))
    assert probabilities(model, 0)[1] == 0
