from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mdlm.partition.kcenters import KCenters
from mdlm.trajectory import Header, Trajectory

POINTS = st.integers(1, 3).flatmap(
    lambda n_columns: st.lists(st.tuples(*[st.integers(-9, 9)] * n_columns), min_size=4, max_size=9, unique=True)
)


def frames(*pieces, columns=tuple("abcdef")):
    pieces = tuple(np.asarray(piece, np.float32) for piece in pieces)
    return Trajectory(pieces, 0.5, "ps", columns=columns[: pieces[0].shape[1]])


def all_distances(points):
    return np.sqrt(((points[:, None] - points[None]) ** 2).sum(axis=2))


def farthest(points, n_states, first):
    """Gonzalez' algorithm from the table of all distances."""
    distances, chosen = all_distances(points), [first]
    while len(chosen) < n_states:
        chosen.append(int(distances[:, chosen].min(axis=1).argmax()))
    return chosen


def test_a_line_is_taken_from_its_ends():
    """By hand: 0 is first, 10 the farthest from it, then 4, which is 4 from 0 where 8 is 2 from 10."""
    fitted = KCenters(n_states=3).fit(frames([[0.0], [1], [4]], [[8], [10], [1]]))
    assert fitted.state_names == ("centre 1 (0)", "centre 2 (10)", "centre 3 (4)")  # of 3, 2 and 1 frames
    assert fitted.radius == 2


@settings(max_examples=40, deadline=None)
@given(POINTS, st.integers(2, 4), st.integers(0, 3))
def test_the_centres_are_those_of_the_table_of_all_distances(points, n_states, cut):
    points = np.array(points, float)
    fitted = KCenters(n_states=n_states).fit(frames(points[:cut], points[cut:]))
    expected = points[farthest(points, n_states, 0)]
    assert sorted(map(tuple, fitted.centres)) == sorted(map(tuple, expected))
    distances = np.sqrt(((points[:, None] - fitted.centres[None]) ** 2).sum(axis=2))
    assert fitted.states(points).tolist() == distances.argmin(axis=1).tolist()
    np.testing.assert_allclose(fitted.radius, distances.min(axis=1).max())


@settings(max_examples=40, deadline=None)
@given(POINTS, st.integers(2, 3), st.none() | st.integers(0, 99))
def test_the_radius_is_at_most_twice_the_smallest_possible(points, n_states, seed):
    """The smallest possible: every choice of frames as centres is tried."""
    points = np.array(points, float)
    distances = all_distances(points)
    choices = combinations(range(len(points)), n_states)
    optimum = min(distances[:, list(choice)].min(axis=1).max() for choice in choices)
    radius = KCenters(n_states=n_states, seed=seed).fit(frames(points)).radius
    assert optimum * (1 - 1e-12) <= radius <= 2 * optimum * (1 + 1e-12)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(-50, 50), min_size=4, max_size=12, unique=True), st.integers(2, 3))
def test_on_a_line_the_bound_holds_against_centres_that_are_no_frames(values, n_states):
    """There the optimum covers the sorted values by intervals, whose radius is half their length."""
    line = np.sort(np.array(values, float))
    cuts = combinations(range(1, len(line)), n_states - 1)
    optimum = min(max(np.ptp(part) for part in np.split(line, cut)) / 2 for cut in cuts)
    assert KCenters(n_states=n_states).fit(frames(np.array(values)[:, None])).radius <= 2 * optimum


def test_a_seed_chooses_the_first_centre():
    points = np.random.default_rng(0).normal(size=(200, 2))
    first, one, again, other = (KCenters(n_states=5, seed=seed).fit(frames(points)) for seed in (None, 1, 1, 2))
    assert points[0].astype(np.float32).tolist() in first.centres.tolist()
    assert np.array_equal(one.centres, again.centres)
    assert not np.array_equal(one.centres, other.centres)


def test_scaling_measures_features_in_their_standard_deviation():
    """Along b the farthest frame is 100 away; in standard deviations it is the one that is 3 away along a."""
    points = np.zeros((101, 2))
    points[1::2, 1] = 100
    points[4, 0] = 3
    assert KCenters(n_states=2).fit(frames(points)).centres[:, 1].tolist() == [0, 100]
    scaled = KCenters(n_states=2, scale="standard").fit(frames(points))
    assert sorted(scaled.centres.tolist()) == [[0, 0], [3, 0]]
    np.testing.assert_allclose(scaled.radius, 100 / points[:, 1].std(), rtol=1e-6)


ATOMS = tuple(f"C{number}.{axis}" for number in range(5) for axis in "xyz")


def molecules():
    """Thirty frames of three conformations, each turned and moved at random; and which is which."""
    rng = np.random.default_rng(0)
    shapes = rng.normal(size=(3, 5, 3))
    which = np.repeat([0, 1, 2], [5, 15, 10])
    turns = np.linalg.qr(rng.normal(size=(30, 3, 3)))[0]
    turns *= np.sign(np.linalg.det(turns))[:, None, None]
    return (shapes[which] @ turns + rng.normal(size=(30, 1, 3))).reshape(30, -1), which


def test_rmsd_finds_conformations_however_they_are_turned():
    values, which = molecules()
    trajectory = frames(values[:12], values[12:], columns=ATOMS)
    fitted = KCenters(n_states=3, metric="rmsd").fit(trajectory)
    assert np.concatenate(fitted.assign(trajectory).pieces).tolist() == np.array([2, 0, 1])[which].tolist()
    assert fitted.radius < 1e-3
    assert KCenters(n_states=2, metric="rmsd").fit(trajectory).radius > 0.1
    assert KCenters(n_states=3).fit(trajectory).radius > 0.1  # without superposition


def test_rmsd_needs_the_coordinates_of_atoms():
    KCenters(n_states=2, metric="rmsd").check(Header(ATOMS, (10,), 1.0, "ps"))
    with pytest.raises(ValueError, match=r"^metric \(rmsd\) needs features <atom>\.x, .*; 'phi' is none$"):
        KCenters(n_states=2, metric="rmsd").check(Header(("phi", "psi"), (10,), 1.0, "ps"))


def test_more_states_than_distinct_frames_are_refused():
    repeated = np.repeat([[0.0], [1.0], [7.0]], 4, axis=0)
    assert KCenters(n_states=3).fit(frames(repeated)).n_states == 3
    with pytest.raises(ValueError, match=r"^n_states \(4\) exceeds the 3 distinct frames of training$"):
        KCenters(n_states=4).fit(frames(repeated))
    with pytest.raises(ValueError, match=r"^n_states \(4\) exceeds the number of frames, 3$"):
        KCenters(n_states=4).check(Header(("x",), (3,), 1.0, "ps"))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"n_states": 1}, r"^n_states \(1\) must be at least 2$"),
        ({"seed": -1}, r"^seed \(-1\) must be at least 0, or null to begin with the first training frame$"),
        ({"metric": "rmsd", "scale": "standard"}, r"^scale \(standard\) must be none with metric rmsd: .*$"),
    ],
)
def test_every_bad_field_is_named_in_one_line(fields, message):
    with pytest.raises(ValueError, match=message):
        KCenters(**{"n_states": 4} | fields)
