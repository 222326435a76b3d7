import numpy as np
import pytest

from mdlm.kinetics.unseen import count_unseen

SIDES = np.array([0, 0, 1, 1, -1])
TRAINING = [np.array([0, 0, 1, 2, 3, 3]), np.array([4, 0])]  # 0-0 0-1 1-2 2-3 3-3 4-0, and no 3-4


def test_unseen_jumps_are_counted_by_hand():
    """Of 0-0 0-3 3-4 4-0 and 1-1 1-2 2-1 2-1 (two chains), 0-3, 3-4, 1-1 and twice 2-1 were never seen."""
    found = count_unseen([np.array([0, 0, 3, 4, 0]), np.array([1, 1, 2, 1]), np.array([2, 1])], TRAINING, SIDES)
    assert (found.n_tokens, found.n_jumps, found.n_stays) == (8, 5, 1)
    assert found.kinds == ((2, 1, 2), (0, 3, 1), (1, 1, 1), (3, 4, 1))
    assert found.rate == 5 / 8
    assert (found.n_across, found.n_crossings) == (3, 4)  # 0-3 and twice 2-1, beside 1-2; state 4 is on no side
    assert found.metrics()["unseen_crossings_share"] == 3 / 4
    assert "5 of the sample's 8 transitions" in found.sentence()
    assert "2 to 1 (2), 0 to 3 (1), 1 to 1 (1) and 1 kinds more" in found.sentence()
    assert "3 of the 4 single steps" in found.sentence()


def test_no_jump_is_counted_across_a_boundary():
    """3-4 is where one training piece ends and the next begins, and 1-3 where one chain does."""
    found = count_unseen([np.array([3, 4])], TRAINING, SIDES)
    assert found.n_jumps == 1
    assert count_unseen([np.array([0, 1]), np.array([3, 3])], TRAINING, SIDES).n_jumps == 0


def test_held_out_data_have_unseen_jumps_of_their_own():
    found = count_unseen([np.array([0, 1])], TRAINING, SIDES, [np.array([0, 1, 0, 1]), np.array([3, 3])])
    assert found.held_out_rate == 1 / 4
    assert found.sentence() == "None of the sample's 1 transitions is unseen in training (held-out MD: 0.25 per token)"


def test_without_transitions_there_is_no_rate():
    metrics = count_unseen([np.array([0])], TRAINING, SIDES).metrics()
    assert metrics["n_unseen_jumps"] == 0
    for name in ("unseen_jumps_per_token", "unseen_crossings_share", "unseen_jumps_held_out_per_token"):
        assert np.isnan(metrics[name])


def test_a_foreign_state_is_refused():
    with pytest.raises(ValueError, match=r"^states 0..5 found; allowed are 0..4$"):
        count_unseen([np.array([0, 5])], TRAINING, SIDES)
