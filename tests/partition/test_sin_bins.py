import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mdlm.partition.sin_bins import SinBins
from mdlm.trajectory import Header, Trajectory

EDGES = np.arange(-9, 11) / 10  # as published: -0.9 ... 1.0, step 0.1


def angle(*values):
    return Trajectory((np.array(values, float)[:, None],), 0.5, "ps", columns=("phi",))


def test_a_whole_turn_visits_all_twenty_bins_and_meets_each_twice():
    turn = angle(*np.linspace(-math.pi, math.pi, 5000))
    fitted = SinBins().fit(turn)
    assert fitted.n_states == 20
    assert fitted.state_names[::19] == ("sin(phi) -0.95", "sin(phi) 0.95")
    assert fitted.assign(angle(0.25, math.pi - 0.25)).pieces[0].tolist() == [12, 12]  # both sin 0.247


@given(st.lists(st.floats(-math.pi, math.pi), min_size=2, max_size=40))
def test_the_bins_are_those_of_the_published_edges(values):
    values = [value for value in values if np.abs(EDGES[:-1] - math.sin(value)).min() > 1e-9]
    expected = np.minimum(np.digitize(np.sin(values), EDGES), 19)  # a sine of exactly 1 is no bin of its own
    if len(set(expected)) < 2:
        return
    fitted = SinBins().fit(angle(*values))
    assert fitted.assign(angle(*values)).pieces[0].tolist() == np.unique(expected, return_inverse=True)[1].tolist()


def test_a_bin_training_never_visited_counts_as_the_nearest_one_that_it_did():
    fitted = SinBins().fit(angle(-math.pi / 2, math.pi / 2))
    assert fitted.state_names == ("sin(phi) -0.95", "sin(phi) 0.95")
    assert fitted.assign(angle(-0.1, 0.2, math.pi / 2)).pieces[0].tolist() == [0, 1, 1]


def test_degrees_are_refused():
    with pytest.raises(ValueError, match=r"^sin_bins needs radians, at most 2 pi; 'phi' reaches 179$"):
        SinBins().fit(angle(-179.0, 40.0))


def test_one_state_is_no_alphabet():
    with pytest.raises(ValueError, match=r"^n_bins \(20\) leaves only one state, sin\(phi\) 0\.05; take finer bins$"):
        SinBins().fit(angle(0.01, 0.02))


def test_more_than_one_feature_is_refused_before_anything_is_computed():
    with pytest.raises(ValueError, match=r"^sin_bins needs one feature, an angle in radians, not phi, psi$"):
        SinBins().check(Header(("phi", "psi"), (10,), 1.0, "ps"))
