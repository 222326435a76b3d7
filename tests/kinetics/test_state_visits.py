import numpy as np
import pytest

from mdlm.kinetics.visits import Visits


def test_visits_are_counted_by_hand_and_do_not_cross_from_piece_to_piece():
    visits = Visits.of([np.array([1, 1, 0]), np.array([], dtype=int), np.array([0, 0, 2, 2, 2, 0])])
    assert visits.states.tolist() == [1, 0, 0, 2, 0]
    assert visits.lengths.tolist() == [2, 1, 2, 3, 1]
    assert visits.first.tolist() == [True, False, True, False, False]
    assert visits.last.tolist() == [False, True, False, False, True]
    assert visits.numbers(4).tolist() == [3, 1, 1, 0]


def test_visits_put_together_are_the_sequence():
    piece = np.random.default_rng(0).integers(0, 3, 500).astype(np.uint8)
    visits = Visits.of([piece])
    np.testing.assert_array_equal(np.repeat(visits.states, visits.lengths), piece)
    assert (visits.states[1:] != visits.states[:-1]).all()


@pytest.mark.parametrize("pieces", [[], [np.array([], dtype=np.uint8)]])
def test_no_frames_are_no_visits(pieces):
    assert len(Visits.of(pieces)) == 0


def test_a_mapped_file_of_bytes_need_not_be_copied(tmp_path):
    np.save(tmp_path / "states.npy", np.array([3, 3, 1], dtype=np.uint8))
    visits = Visits.of([np.load(tmp_path / "states.npy", mmap_mode="r")])
    assert visits.states.tolist() == [3, 1]
