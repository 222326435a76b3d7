import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mdlm.partition.periodic import Periodic
from mdlm.trajectory import Header, Trajectory


def angles(*pieces, columns=("phi", "psi")):
    pieces = [np.array(piece, float).reshape(len(piece), -1) for piece in pieces]
    return Trajectory(tuple(pieces), 0.5, "ps", columns=columns[: pieces[0].shape[1]])


def test_bins_cover_the_circle_from_minus_pi_to_pi():
    """Six bins of 60 degrees; the last angle of the list is the first one again."""
    degrees = [-180, -121, -119, -1, 1, 119, 179.9, 180, 540]
    trajectory = angles(np.radians(degrees))
    assert Periodic(n_bins=6).fit(trajectory).assign(trajectory).pieces[0].tolist() == [0, 0, 1, 2, 3, 4, 5, 0, 0]


@given(
    st.lists(st.tuples(st.floats(-3.14, 3.14), st.floats(-3.14, 3.14)), min_size=2, max_size=30),
    st.lists(st.integers(-3, 3), min_size=60, max_size=60),
    st.integers(2, 40),
)
def test_whole_turns_change_nothing(values, turns, n_bins):
    width = 2 * math.pi / n_bins
    inside = np.array([pair for pair in values if min(abs(math.remainder(v + math.pi, width)) for v in pair) > 1e-9])
    if len({tuple(cell) for cell in np.floor((inside + math.pi) / width)}) < 2:
        return
    turned = inside + 2 * math.pi * np.array(turns)[: inside.size].reshape(inside.shape)
    fitted = Periodic(n_bins=n_bins).fit(angles(inside))
    assert np.array_equal(fitted.assign(angles(inside)).pieces[0], fitted.assign(angles(turned)).pieces[0])
    assert Periodic(n_bins=n_bins).fit(angles(turned)).state_names == fitted.state_names


def test_nearest_is_meant_around_the_circle():
    """Of the cells at -175 and 95 degrees, -175 is 30 degrees from 155 and 95 is 60."""
    fitted = Periodic(n_bins=36).fit(angles(np.radians([-175, 95])))
    assert fitted.assign(angles(np.radians([155, 120, -60]))).pieces[0].tolist() == [0, 1, 0]


@given(st.integers(0, 1000))
def test_an_unvisited_cell_counts_as_the_nearest_on_the_torus(seed):
    """Against all distances written out; where two cells are equally near, either will do."""
    rng = np.random.default_rng(seed)
    train, test = rng.uniform(-math.pi, math.pi, (6, 2)), rng.uniform(-9, 9, (20, 2))
    fitted = Periodic(n_bins=(9, 13)).fit(angles(train))
    width = 2 * math.pi / np.array([9, 13])

    def middle(frames):
        return -math.pi + (np.floor((frames + math.pi) / width) + 0.5) * width

    centres = fitted.bins.centres(fitted.visited)
    away = middle(test)[:, None] - centres[None]
    away = np.abs(away - 2 * math.pi * np.round(away / (2 * math.pi)))
    distances = np.sqrt((away**2).sum(axis=2))
    chosen = distances[np.arange(20), fitted.states(test)]
    np.testing.assert_allclose(chosen, distances.min(axis=1), atol=1e-9)


def test_another_period_and_start_serve_degrees():
    fitted = Periodic(n_bins=4, period=360.0, start=0.0).fit(angles([45, 135, 225]))
    assert fitted.state_names == ("phi 45", "phi 135", "phi 225")
    assert fitted.assign(angles([405, -226, 900])).pieces[0].tolist() == [0, 1, 2]


def test_single_precision_does_not_put_pi_beyond_the_last_bin():
    """float32(pi) is a little above pi, which is the first bin from below; -float32(pi) is the last from above."""
    ends = np.array([[np.pi], [-np.pi], [0.0]], np.float32)
    fitted = Periodic(n_bins=10).fit(Trajectory((ends,), 0.5, "ps", columns=("phi",)))
    assert fitted.bins.cells(ends).tolist() == [0, 9, 5]


def test_one_state_is_no_alphabet():
    with pytest.raises(ValueError, match=r"^n_bins \(3 x 3\) leaves only one state, phi 0, psi 0; take finer bins$"):
        Periodic(n_bins=3).fit(angles([[0.1, 0.2], [0.2, 0.3]]))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"n_bins": 1}, r"^n_bins \(1\) must make at least 2 cells$"),
        ({"n_bins": (4, 0)}, r"^n_bins \(\(4, 0\)\) must be at least 1 along every feature$"),
        ({"period": 0.0}, r"^period \(0\) must be above 0 and finite$"),
        ({"period": math.nan}, r"^period \(nan\) must be above 0 and finite$"),
        ({"start": math.inf}, r"^start \(inf\) must be finite$"),
    ],
)
def test_every_bad_field_is_named_in_one_line(fields, message):
    with pytest.raises(ValueError, match=message):
        Periodic(**{"n_bins": 4} | fields)


def test_bins_that_do_not_fit_the_features_are_refused_before_computing():
    with pytest.raises(ValueError, match=r"^n_bins \(\(4, 4, 4\)\) has 3 values; give one, or one per feature \(2\)$"):
        Periodic(n_bins=(4, 4, 4)).check(Header(("phi", "psi"), (10,), 1.0, "ps"))
