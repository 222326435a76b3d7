import numpy as np
import pytest

from mdlm.partition import base
from mdlm.partition.wells import Wells
from mdlm.trajectory import Header, Trajectory

FOUR = {"x": (2.0, 0.5, -0.5, -2.0), "y": (-1.0, 2.0, -2.0, 1.0)}


def frames(*pieces, columns=("x", "y")):
    return Trajectory(tuple(np.array(piece, np.float32) for piece in pieces), 0.5, "reduced", columns=columns)


def header(*columns):
    return Header(columns, (10,), 0.5, "reduced")


def test_each_frame_belongs_to_the_nearest_well():
    trajectory = frames([[2.2, -1], [0, 3], [-3, 0.9]], [[-0.4, -2]])
    fitted = Wells(centres=FOUR).fit(trajectory)
    states = fitted.assign(trajectory)
    assert [piece.tolist() for piece in states.pieces] == [[0, 1, 3], [2]]
    assert (states.n_states, states.frame_time, states.time_unit) == (4, 0.5, "reduced")
    assert fitted.state_names == ("well 1 (2, -1)", "well 2 (0.5, 2)", "well 3 (-0.5, -2)", "well 4 (-2, 1)")


def test_with_x_alone_only_the_centres_along_x_count():
    trajectory = frames([[2.2], [0.4], [-0.1], [-5]], columns=("x",))
    fitted = Wells(centres=FOUR).fit(trajectory)
    assert fitted.assign(trajectory).pieces[0].tolist() == [0, 1, 2, 3]
    assert fitted.state_names[0] == "well 1 (2)"


def test_beyond_the_radius_of_every_well_a_frame_is_between_them():
    trajectory = frames([[2, -1], [3.4, -1], [3.6, -1], [0, 0], [0.5, 0.6]])
    fitted = Wells(centres=FOUR, radius=1.5).fit(trajectory)
    assert fitted.state_names[4:] == ("between",)
    assert fitted.assign(trajectory).pieces[0].tolist() == [0, 0, 4, 4, 1]


def test_the_distance_is_that_to_the_own_centre_and_infinite_between_the_wells():
    trajectory = frames([[2, 0.5], [0.5, 2], [0, 0]])
    distance = Wells(centres=FOUR, radius=1.5).fit(trajectory).distance(trajectory.pieces[0])
    np.testing.assert_allclose(distance, [1.5, 0, np.inf])


def test_without_training_frames_between_the_wells_there_is_no_such_state():
    fitted = Wells(centres=FOUR, radius=1.5).fit(frames([[2, -1], [0.5, 2]]))
    assert fitted.n_states == 4
    assert fitted.assign(frames([[4.6, -1]])).pieces[0].tolist() == [0]


def test_columns_are_matched_by_name_not_by_place():
    trajectory = frames([[-1, 2], [1, -2]], columns=("y", "x"))
    assert Wells(centres=FOUR).fit(trajectory).assign(trajectory).pieces[0].tolist() == [0, 3]


def test_assigning_in_chunks_changes_nothing(monkeypatch):
    trajectory = frames(np.random.default_rng(0).uniform(-3, 3, (1000, 2)))
    fitted = Wells(centres=FOUR).fit(trajectory)
    whole = fitted.assign(trajectory).pieces[0]
    monkeypatch.setattr(base, "CHUNK_FRAMES", 7)
    assert np.array_equal(fitted.assign(trajectory).pieces[0], whole)


def test_other_columns_than_fitted_are_refused():
    fitted = Wells(centres=FOUR).fit(frames([[2, -1]]))
    message = "^the partition was fitted on columns x, y; the trajectory has x$"
    with pytest.raises(ValueError, match=message):
        fitted.assign(frames([[2]], columns=("x",)))


def test_a_feature_without_centres_is_refused_before_anything_is_computed():
    with pytest.raises(ValueError, match=r"^centres gives no wells for the feature 'phi'; it has x, y$"):
        Wells(centres=FOUR).check(header("x", "phi"))


def test_wells_that_coincide_in_the_features_present_are_refused():
    square = Wells(centres={"x": (0.0, 0.0, 1.0, 1.0), "y": (0.0, 1.0, 0.0, 1.0)})
    square.check(header("x", "y"))
    with pytest.raises(ValueError, match=r"^centres .* must be distinct in the features x$"):
        square.check(header("x"))


@pytest.mark.parametrize("radius", [0.0, -1.0, float("inf"), float("nan")])
def test_a_radius_must_be_a_length(radius):
    with pytest.raises(ValueError, match=r"^radius \(.*\) must be above 0 and finite, or null$"):
        Wells(centres=FOUR, radius=radius)


@pytest.mark.parametrize(
    ("centres", "message"),
    [
        ({}, "^centres is empty: the system names no wells; set partition.centres or .*$"),
        ({"x": (0.0,)}, r"^centres \(x: 1\) must give every column the same number of wells, at least 2$"),
        ({"x": (0.0, 1.0), "y": (0.0, 1.0, 2.0)}, r"^centres \(x: 2, y: 3\) must give every column .*$"),
        ({"x": (0.0, float("nan"))}, r"^centres .* must be finite$"),
    ],
)
def test_every_bad_field_is_named_in_one_line(centres, message):
    with pytest.raises(ValueError, match=message):
        Wells(centres=centres)
