import numpy as np
import pytest

from mdlm.features.columns import Columns
from mdlm.features.coordinates import Coordinates
from mdlm.trajectory import Trajectory


@pytest.fixture
def trajectory():
    pieces = (np.arange(12.0).reshape(4, 3), np.arange(6.0).reshape(2, 3))
    return Trajectory(pieces, 0.5, "ps", columns=("x", "y", "z"))


def test_coordinates_are_the_systems_own_columns(trajectory):
    assert Coordinates().header_of(trajectory.header) == trajectory.header
    assert Coordinates().fit(trajectory).transform(trajectory) is trajectory


@pytest.mark.parametrize("columns", [("x",), ("z", "x"), ("x", "y", "z")])
def test_named_columns_are_taken_in_the_order_given(trajectory, columns):
    features = Columns(columns=columns)
    chosen = features.fit(trajectory).transform(trajectory)
    assert chosen.columns == columns
    assert features.header_of(trajectory.header) == chosen.header
    assert (chosen.frame_time, chosen.time_unit, chosen.lengths) == (0.5, "ps", (4, 2))
    for piece, original in zip(chosen.pieces, trajectory.pieces, strict=True):
        np.testing.assert_array_equal(piece, original[:, ["xyz".index(name) for name in columns]])


def test_a_column_the_system_lacks_is_refused_before_and_after_it_is_computed(trajectory):
    features = Columns(columns=("x", "phi"))
    message = "^columns: 'phi' is not a column of this system; available are x, y, z$"
    with pytest.raises(ValueError, match=message):
        features.header_of(trajectory.header)
    with pytest.raises(ValueError, match=message):
        features.fit(trajectory)


def test_a_trajectory_of_another_system_is_refused(trajectory):
    other = Trajectory(trajectory.pieces, 0.5, "ps", columns=("a", "b", "c"))
    with pytest.raises(ValueError, match=r"^columns: 'x' is not a column of this system; available are a, b, c$"):
        Coordinates().fit(trajectory).transform(other)


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ((), "^columns is empty; name at least one column of the system$"),
        (("x", "x"), r"^columns \(x, x\) must name each column once$"),
    ],
)
def test_a_senseless_selection_is_refused(columns, message):
    with pytest.raises(ValueError, match=message):
        Columns(columns=columns)
