"""Which data are read backwards, and what follows."""

import numpy as np
import pytest

from mdlm.backwards import Backwards
from mdlm.trajectory import Dtraj

RING = np.array([[0.6, 0.3, 0.1], [0.1, 0.6, 0.3], [0.3, 0.1, 0.6]])  # round and round


def dtraj(pieces, n_states):
    return Dtraj(tuple(pieces), 1.0, "ps", n_states)


@pytest.mark.parametrize(("directions", "read"), [("auto", False), ("both", True), ("forward", False)])
def test_driven_dynamics_are_read_backwards_only_if_told_so(sample_chain, directions, read):
    found = Backwards.decided(directions, dtraj(sample_chain(RING, 20, 5000, seed=0), 3), 1)
    assert found.read is read
    assert found.p_value < 0.01
    assert len(found.notes) == 1
    assert ("backwards all the same" in found.notes[0]) is read
    assert found.metrics() == {"read_backwards": float(read), "detailed_balance_p_value_tokens": found.p_value}


@pytest.mark.parametrize(("directions", "read"), [("auto", True), ("both", True), ("forward", False)])
def test_equilibrium_dynamics_are(sample_chain, four_states, directions, read):
    found = Backwards.decided(directions, dtraj(sample_chain(four_states, 20, 5000, seed=1), 4), 1)
    assert found.read is read
    assert found.p_value > 0.01
    assert found.notes == ()


def test_so_are_dynamics_with_memory(sample_chain, four_states):
    """Two of four states on a ring seen as one: reversible, and not Markovian."""
    pieces = [np.minimum(piece, 2) for piece in sample_chain(four_states, 20, 5000, seed=2)]
    found = Backwards.decided("auto", dtraj(pieces, 3), 1)
    assert found.read
    assert 0.01 < found.p_value < 1


def test_where_data_are_too_few_to_tell_they_are_taken_to_be_in_equilibrium():
    found = Backwards.decided("auto", dtraj([np.array([0, 1, 2, 0, 1, 1, 0])], 3), 1)
    assert found.read
    assert np.isnan(found.p_value)
    assert found.notes == ()


def test_data_that_all_begin_far_from_equilibrium_are_not():
    """From state 0 on to where hardly anything returns from: the way there is in every piece, the way back in few."""
    downhill = np.array([[0.98, 0.02, 0.0], [0.0005, 0.9795, 0.02], [0.0, 0.0005, 0.9995]])
    rng = np.random.default_rng(3)
    pieces = []
    for _ in range(40):
        piece = [0]
        for draw in rng.random(400):
            piece.append(int(np.searchsorted(downhill[piece[-1]].cumsum(), draw)))
        pieces.append(np.array(piece))
    found = Backwards.decided("auto", dtraj(pieces, 3), 1)
    assert not found.read
    assert found.p_value < 0.01


def test_it_is_decided_at_the_clock_of_the_tokens(sample_chain, four_states):
    pieces = sample_chain(four_states, 20, 5000, seed=4)
    found = Backwards.decided("auto", dtraj(pieces, 4), 3)
    assert found == Backwards.decided("auto", dtraj([piece[::3] for piece in pieces], 4), 1)
    assert found.p_value != Backwards.decided("auto", dtraj(pieces, 4), 1).p_value
