import numpy as np
import pytest
import torch

from mdlm.model.lstm import LSTMConfig
from mdlm.model.transformer import TransformerConfig
from mdlm.training.support import forbidden_jumps, unseen_jumps


def test_never_seen_jumps_are_ruled_out_only_where_no_jump_was_seen_just_once():
    """From 0: 0->0 and 0->1 twice each, so 0->2 is ruled out. From 1: 1->0 once, so nothing is."""
    pieces = [np.array([0, 0, 1, 1, 1]), np.array([0, 0, 1, 0])]
    assert unseen_jumps(pieces, 3).tolist() == [[False, False, True], [False] * 3, [False] * 3]


def test_a_state_never_left_rules_out_nothing():
    assert not unseen_jumps([np.array([0, 0, 0, 1])], 3)[1:].any()


def test_two_pieces_that_never_connect_are_not_connected():
    """0 and 1 in one piece, 2 and 3 in the other: 1->2, where one follows the other, stays ruled out."""
    jumps = unseen_jumps([np.tile([0, 0, 1, 1], 5), np.tile([2, 2, 3, 3], 5)], 4)
    expected = np.kron(np.array([[0, 1], [1, 0]]), np.ones((2, 2)))
    np.testing.assert_array_equal(jumps, expected)


def test_the_estimated_unseen_mass_of_a_well_known_state_is_as_small_as_claimed():
    """Out of 10,000 visits with jumps of at least 1 %, no jump is missed, so only impossible ones are ruled out."""
    matrix = np.array([[0.98, 0.02, 0.0], [0.01, 0.98, 0.01], [0.0, 0.02, 0.98]])
    rng = np.random.default_rng(0)
    walk = [0]
    for _ in range(30_000):
        walk.append(rng.choice(3, p=matrix[walk[-1]]))
    np.testing.assert_array_equal(unseen_jumps([np.array(walk)], 3), matrix == 0)


@pytest.mark.parametrize("config", [LSTMConfig(4, 8, 1, 0.0), TransformerConfig(8, 2, 1, 4, 0.0)])
def test_a_forbidden_jump_has_probability_zero_and_the_others_keep_their_ratios(config):
    model = config.build(3).eval()
    tokens = torch.tensor([[0, 1, 2, 0]])
    before = model(tokens)[0].softmax(-1)
    jumps = torch.tensor([[False, True, False], [False, False, False], [True, False, False]])
    model.forbid(jumps)
    after = model(tokens)[0].softmax(-1)
    expected = before.masked_fill(jumps[tokens], 0)
    torch.testing.assert_close(after, expected / expected.sum(-1, keepdim=True))


def test_each_support_rules_out_what_it_says():
    """From 0: 0, 1 and 1 again, never 2; from 1: 0 twice; 2 is never left, 3 never seen."""
    pieces = [np.array([0, 0, 1, 0, 1, 0, 1, 2])]
    possible = {support: ~forbidden_jumps(pieces, 4, support) for support in ("seen", "all", "counted")}
    assert possible["all"].all()
    assert possible["counted"].tolist() == [[1, 1, 0, 0], [1, 0, 1, 0], [1, 1, 1, 1], [1, 1, 1, 1]]
    assert possible["seen"].all()  # 0 > 0 and 1 > 2 happened once
    assert not forbidden_jumps([*pieces, *pieces], 4, "seen")[2:].any()
    assert (forbidden_jumps([*pieces, *pieces], 4, "seen")[:2] == ~possible["counted"][:2]).all()
