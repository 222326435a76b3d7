import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mdlm.partition import base
from mdlm.partition.kmeans import KMeans, evenly_spaced
from mdlm.trajectory import Header, Trajectory


def frames(*pieces):
    pieces = tuple(np.asarray(piece, np.float32) for piece in pieces)
    return Trajectory(pieces, 0.5, "ps", columns=tuple("abcdef"[: pieces[0].shape[1]]))


def blobs(centres, lengths, seed=0):
    """Frames scattered closely around each centre, so many around each, in random order."""
    rng = np.random.default_rng(seed)
    where = rng.permutation(np.repeat(np.arange(len(centres)), lengths))
    return np.array(centres)[where] + rng.normal(scale=0.01, size=(len(where), len(centres[0]))), where


def test_separate_blobs_are_found_the_most_populated_first():
    values, where = blobs([[0.0, 0], [5, 0], [0, 5]], [50, 200, 100])
    trajectory = frames(values[:20], values[20:])
    fitted = KMeans(n_states=3).fit(trajectory)
    np.testing.assert_allclose(fitted.centres, [[5, 0], [0, 5], [0, 0]], atol=0.01)
    states = np.concatenate(fitted.assign(trajectory).pieces)
    assert states.tolist() == np.array([2, 0, 1])[where].tolist()
    assert fitted.state_names[0].startswith("centre 1 (")


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 5), st.integers(2, 8), st.sampled_from(["none", "standard"]))
def test_each_frame_belongs_to_the_nearest_of_all_centres(seed, n_columns, n_states, scale):
    rng = np.random.default_rng(seed)
    train, test = (
        frames(rng.normal(size=(60, n_columns)), rng.normal(size=(7, n_columns))),
        rng.normal(size=(40, n_columns)),
    )
    fitted = KMeans(n_states=n_states, seed=seed, scale=scale).fit(train)
    unit = np.concatenate(train.pieces).astype(float).std(axis=0) if scale == "standard" else 1.0
    distances = np.sqrt((((test[:, None] - fitted.centres[None]) / unit) ** 2).sum(axis=2))
    assert fitted.states(test).tolist() == distances.argmin(axis=1).tolist()
    np.testing.assert_allclose(fitted.distance(test), distances.min(axis=1))


def test_at_convergence_each_centre_is_the_mean_of_its_frames():
    values = np.random.default_rng(0).normal(size=(500, 2)).astype(np.float32)
    fitted = KMeans(n_states=4, max_iterations=1000).fit(frames(values))
    states = fitted.states(values)
    means = [values[states == state].mean(axis=0) for state in range(4)]
    np.testing.assert_allclose(fitted.centres, means, atol=0.02)  # deeptime stops at a change of 1e-5 in the cost
    assert fitted.radius == fitted.distance(values).max()


def test_the_seed_decides_and_nothing_else_does():
    trajectory = frames(np.random.default_rng(0).normal(size=(2000, 3)))
    one, again, other = (KMeans(n_states=20, seed=seed).fit(trajectory) for seed in (3, 3, 4))
    assert np.array_equal(one.centres, again.centres)
    assert not np.array_equal(one.centres, other.centres)


def test_scaling_lets_a_feature_of_small_numbers_count():
    """Two blobs along a, apart by 0.01; b is noise a thousand times wider."""
    rng = np.random.default_rng(0)
    side = np.repeat([0, 1], 500)
    values = np.stack([side * 0.01 + rng.normal(scale=1e-4, size=1000), rng.uniform(-5, 5, 1000)], axis=1)
    shares = {}
    for scale in ("none", "standard"):
        states = KMeans(n_states=2, scale=scale, seed=1).fit(frames(values)).states(frames(values).pieces[0])
        shares[scale] = abs((states == side).mean() - 0.5) * 2
    assert shares["standard"] == 1
    assert shares["none"] < 0.2


def test_centres_that_no_frame_is_nearest_to_are_dropped():
    values = np.repeat([[1.0, 1], [2, 2], [5, 5]], [10, 30, 20], axis=0)
    fitted = KMeans(n_states=6).fit(frames(values))
    assert fitted.centres.tolist() == [[2, 2], [5, 5], [1, 1]]
    assert fitted.state_names == ("centre 1 (2, 2)", "centre 2 (5, 5)", "centre 3 (1, 1)")


def test_frames_to_fit_on_are_evenly_spaced_over_all_pieces():
    numbers = np.arange(20)[:, None]
    train = frames(numbers[:3], numbers[3:4], numbers[4:])
    assert evenly_spaced(train, 5)[:, 0].tolist() == [0, 4, 8, 12, 16]
    assert evenly_spaced(train, 19)[:, 0].tolist() == list(range(19))
    assert evenly_spaced(train, 100)[:, 0].tolist() == list(range(20))
    assert evenly_spaced(train, 5).dtype == np.float32


def test_only_so_many_frames_are_fitted_but_every_one_counts_for_population_and_radius():
    """Of frames 0, 10, 20 ... the centres; the frames between lie elsewhere, mostly near the second."""
    values = np.full((100, 1), 8.0)
    values[::20], values[10::20] = 0.0, 10.0
    fitted = KMeans(n_states=2, max_frames=10).fit(frames(values))
    assert fitted.centres.tolist() == [[10.0], [0.0]]
    assert fitted.radius == 2.0


def test_working_in_chunks_changes_nothing(monkeypatch):
    trajectory = frames(np.random.default_rng(0).normal(size=(1000, 2)))
    fitted = KMeans(n_states=10).fit(trajectory)
    whole = fitted.assign(trajectory).pieces[0]
    monkeypatch.setattr(base, "CHUNK_FRAMES", 13)
    assert np.array_equal(fitted.assign(trajectory).pieces[0], whole)


def test_with_many_features_states_are_named_by_number_alone():
    trajectory = frames(np.random.default_rng(0).normal(size=(50, 4)))
    assert KMeans(n_states=2).fit(trajectory).state_names == ("centre 1", "centre 2")


def test_few_iterations_warn_nobody():
    trajectory = frames(np.random.default_rng(0).normal(size=(500, 2)))
    assert KMeans(n_states=20, max_iterations=1).fit(trajectory).n_states == 20


def test_one_state_is_no_alphabet():
    with pytest.raises(ValueError, match=r"^n_states \(2\) leaves only one state: every training frame is .*$"):
        KMeans(n_states=2).fit(frames(np.ones((5, 2))))


def test_more_states_than_frames_are_refused():
    message = r"^n_states \(9\) exceeds the number of frames, 8$"
    with pytest.raises(ValueError, match=message):
        KMeans(n_states=9).check(Header(("x",), (5, 3), 1.0, "ps"))
    with pytest.raises(ValueError, match=message):
        KMeans(n_states=9).fit(frames(np.ones((5, 2)), np.ones((3, 2))))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"n_states": 1}, r"^n_states \(1\) must be at least 2$"),
        ({"seed": -1}, r"^seed \(-1\) must be at least 0 and below 2\^32$"),
        ({"seed": 2**32}, r"^seed \(4294967296\) must be at least 0 and below 2\^32$"),
        ({"max_iterations": 0}, r"^max_iterations \(0\) must be at least 1$"),
        ({"max_frames": 3}, r"^max_frames \(3\) must be at least n_states \(4\)$"),
    ],
)
def test_every_bad_field_is_named_in_one_line(fields, message):
    with pytest.raises(ValueError, match=message):
        KMeans(**{"n_states": 4} | fields)
