import numpy as np
import pytest

from mdlm.partition.labels import Labels
from mdlm.trajectory import Header, Trajectory


def labelled(*values, columns=("state",)):
    return Trajectory((np.array(values, np.float32)[:, None],), 2.0, "ns", columns=columns)


def test_labels_are_the_states():
    states = Labels().fit(labelled(0, 3, 1)).assign(labelled(2, 0, 3))
    assert states.pieces[0].tolist() == [2, 0, 3]
    assert (states.n_states, states.frame_time, states.time_unit) == (4, 2.0, "ns")
    assert np.issubdtype(states.pieces[0].dtype, np.integer)


def test_a_declared_alphabet_may_be_larger_than_what_training_visits():
    fitted = Labels(n_states=5).fit(labelled(0, 1))
    assert fitted.state_names == ("state 0", "state 1", "state 2", "state 3", "state 4")
    assert fitted.assign(labelled(4)).pieces[0].tolist() == [4]


@pytest.mark.parametrize("value", [0.5, -1.0, 2.0, float("nan"), float("inf")])
def test_a_value_that_is_no_state_index_is_refused(value):
    message = rf"^the column 'state' holds {value:g}; state indices are whole numbers, 0 to 1$"
    with pytest.raises(ValueError, match=message):
        Labels().fit(labelled(0, 1)).assign(labelled(0, value))


@pytest.mark.parametrize("values", [(0, 1, 0.5), (0, 1, float("nan")), (0, 1, float("inf")), (0, 1, 2)])
def test_training_is_checked_too(values):
    with pytest.raises(ValueError, match=r"^the column 'state' holds .*; state indices are whole numbers, 0 to 1$"):
        Labels(n_states=2).fit(labelled(*values))


def test_one_state_is_no_alphabet():
    with pytest.raises(ValueError, match=r"^n_states is 1: training holds only one state, 0; .*$"):
        Labels().fit(labelled(0, 0))
    with pytest.raises(ValueError, match=r"^n_states \(1\) must be at least 2, or null to read it from training$"):
        Labels(n_states=1)


def test_more_than_one_feature_is_refused_before_anything_is_computed():
    with pytest.raises(ValueError, match=r"^partition labels needs one feature that holds state indices, not x, y$"):
        Labels().check(Header(("x", "y"), (10,), 1.0, "ps"))
