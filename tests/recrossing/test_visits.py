import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from mdlm.recrossing.visits import Visits, milestoned, most_common

PIECES = st.lists(st.integers(0, 3), max_size=30).map(lambda states: np.array(states, np.int32))


@given(piece=PIECES)
def test_visits_spell_out_the_sequence_they_were_made_of(piece):
    visits = Visits.of(piece)
    assert np.array_equal(visits.frames, piece)
    assert visits.frames.dtype == piece.dtype
    assert (visits.lengths > 0).all()
    assert (visits.states[1:] != visits.states[:-1]).all()


@given(piece=PIECES, data=st.data())
def test_milestoning_is_following_the_last_core(piece, data):
    in_core = np.array(data.draw(st.lists(st.booleans(), min_size=len(piece), max_size=len(piece))), bool)
    expected, last = [], next((state for state, core in zip(piece, in_core, strict=True) if core), None)
    for state, core in zip(piece, in_core, strict=True):
        last = state if core else last
        expected.append(last)
    treated = milestoned(piece, in_core)
    assert treated.tolist() == (expected if last is not None else most_common(piece).tolist())
    assert treated.dtype == piece.dtype


def test_of_equally_common_states_the_lowest_is_taken():
    assert most_common(np.array([3, 1, 3, 1, 0])).tolist() == [1] * 5
    assert most_common(np.array([], np.int32)).tolist() == []
