import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mdlm.partition import metrics
from mdlm.partition.regular_space import RegularSpace
from mdlm.trajectory import Trajectory


def frames(*pieces):
    pieces = tuple(np.asarray(piece, np.float32) for piece in pieces)
    return Trajectory(pieces, 0.5, "ps", columns=tuple("abcdef"[: pieces[0].shape[1]]))


def leaders(points, min_distance):
    """The algorithm as it reads: a frame farther than the distance from all centres becomes one."""
    centres = [points[0]]
    for point in points[1:]:
        if min(np.sqrt(((point - centre) ** 2).sum()) for centre in centres) > min_distance:
            centres.append(point)
    return np.array(centres)


def test_frames_that_keep_the_distance_become_centres_in_order():
    """By hand: 0 is first, 1 too near, 2.5 a centre, 4 too near to it, 9 a centre; most frames are nearest to 2.5."""
    fitted = RegularSpace(min_distance=2.0).fit(frames([[0.0], [1], [2.5]], [[4], [9]]))
    assert fitted.state_names == ("centre 1 (0)", "centre 2 (2.5)", "centre 3 (9)")
    assert fitted.radius == 1.5
    assert fitted.assign(frames([[1.3], [1.2], [99]])).pieces[0].tolist() == [1, 0, 2]


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 3), st.floats(0.1, 1.0), st.sampled_from(["none", "standard"]))
def test_centres_keep_their_distance_and_every_frame_is_within_it(seed, n_columns, min_distance, scale):
    values = np.random.default_rng(seed).normal(size=(80, n_columns)).astype(np.float32)
    fitted = RegularSpace(min_distance=min_distance, scale=scale).fit(frames(values[:30], values[30:]))
    unit = values.astype(float).std(axis=0) if scale == "standard" else np.ones(n_columns)
    expected = leaders(values.astype(float) / unit, min_distance)
    np.testing.assert_allclose(np.sort(fitted.centres / unit, axis=0), np.sort(expected, axis=0), rtol=1e-6)
    between = np.sqrt((((fitted.centres[:, None] - fitted.centres[None]) / unit) ** 2).sum(axis=2))
    assert between[~np.eye(len(between), dtype=bool)].min() > min_distance * (1 - 1e-9)
    assert fitted.distance(values).max() == fitted.radius <= min_distance * (1 + 1e-9)


def test_the_size_of_blocks_changes_nothing(monkeypatch):
    trajectory = frames(np.random.default_rng(0).normal(size=(300, 2)))
    whole = RegularSpace(min_distance=0.5).fit(trajectory)
    monkeypatch.setattr(metrics, "BLOCK_FRAMES", 7)
    assert np.array_equal(RegularSpace(min_distance=0.5).fit(trajectory).centres, whole.centres)


def test_too_many_states_are_an_error_that_says_where_and_what_to_change():
    line = np.arange(10.0)[:, None]
    assert RegularSpace(min_distance=0.5, max_states=10).fit(frames(line)).n_states == 10
    message = (
        r"^max_states \(9\) is exceeded within the first 10 of 12 training frames; "
        r"raise it, or min_distance \(0\.5\)$"
    )
    with pytest.raises(ValueError, match=message):
        RegularSpace(min_distance=0.5, max_states=9).fit(frames(line[:4], line[4:], line[:2]))


def test_one_state_is_no_alphabet():
    with pytest.raises(ValueError, match=r"^min_distance \(5\) leaves only one state: every training frame is .*$"):
        RegularSpace(min_distance=5.0).fit(frames([[0.0], [1.0]]))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"min_distance": 0.0}, r"^min_distance \(0\) must be above 0 and finite$"),
        ({"min_distance": float("nan")}, r"^min_distance \(nan\) must be above 0 and finite$"),
        ({"max_states": 1}, r"^max_states \(1\) must be at least 2$"),
    ],
)
def test_every_bad_field_is_named_in_one_line(fields, message):
    with pytest.raises(ValueError, match=message):
        RegularSpace(**{"min_distance": 1.0} | fields)
