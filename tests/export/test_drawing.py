"""Each drawn frame is one of the right state, and the nearest one where it is to be the nearest."""

import numpy as np
import pytest

from mdlm.export import drawing
from mdlm.export.drawing import FramesOfStates, draw_nearest, draw_random, frames_at, places
from mdlm.partition.metrics import Euclidean, MinimalRMSD
from mdlm.trajectory import Dtraj, Trajectory

LENGTHS = (40, 1, 25, 34)
N_STATES = 4


@pytest.fixture
def rng():
    return np.random.default_rng(5)


@pytest.fixture
def states(rng):
    """A hundred frames in four states."""
    return Dtraj(tuple(rng.integers(0, N_STATES, n) for n in LENGTHS), 1.0, "ps", n_states=N_STATES)


@pytest.fixture
def plane(rng):
    return Trajectory(tuple(rng.normal(size=(n, 2)) for n in LENGTHS), 1.0, "ps", columns=("x", "y"))


@pytest.fixture
def molecule(rng):
    """Five atoms, tumbling and drifting: only their shape says how near two frames are."""
    columns = tuple(f"GLY{atom}-CA.{axis}" for atom in range(5) for axis in "xyz")
    return Trajectory(tuple(tumbling(rng, n, 5) for n in LENGTHS), 1.0, "ps", columns=columns)


def tumbling(rng, n_frames, n_atoms):
    """Frames of random shape, orientation and place, as rows."""
    rotations = np.linalg.qr(rng.normal(size=(n_frames, 3, 3)))[0]
    rotations *= np.linalg.det(rotations)[:, None, None]
    frames = rng.normal(size=(n_frames, n_atoms, 3)) @ rotations + rng.normal(size=(n_frames, 1, 3))
    return frames.reshape(n_frames, -1).astype(np.float32)


def kabsch(first, second):
    """Minimal RMSD by Kabsch's way, through a singular value decomposition."""
    first, second = ((a := frame.reshape(-1, 3).astype(float)) - a.mean(axis=0) for frame in (first, second))
    left, singular, right = np.linalg.svd(first.T @ second)
    singular[-1] *= np.sign(np.linalg.det(left @ right))
    squares = (first**2).sum() + (second**2).sum() - 2 * singular.sum()
    return np.sqrt(max(squares, 0.0) / len(first))


def euclid(first, second):
    return np.linalg.norm(first - second)


def nearest_by_hand(path, states, trajectory, distance, first):
    """What `draw_nearest` promises, frame by frame; each state keeps at least one frame that is not yet drawn."""
    all_states, frames = np.concatenate(states.pieces), np.concatenate(trajectory.pieces)
    numbers = [first]
    for state in path[1:]:
        left = [n for n in range(len(frames)) if all_states[n] == state and n not in numbers]
        numbers.append(min(left, key=lambda n: distance(frames[n], frames[numbers[-1]])))
    return numbers


def test_the_frames_of_a_state_are_all_of_them_in_order(states):
    frames, joined = FramesOfStates.of(states), np.concatenate(states.pieces)
    for state in range(N_STATES):
        np.testing.assert_array_equal(frames.of_state(state), np.flatnonzero(joined == state))


def test_frames_are_numbered_through_the_pieces(plane, rng):
    numbers = rng.integers(0, 100, 500)
    np.testing.assert_array_equal(frames_at(plane, numbers), np.concatenate(plane.pieces)[numbers])
    pieces, within = places(LENGTHS, np.array([39, 40, 41, 99]))
    assert (pieces.tolist(), within.tolist()) == ([0, 1, 2, 3], [39, 0, 0, 33])


@pytest.mark.parametrize("chunk", [1, 7, 1000])
@pytest.mark.parametrize(("kind", "metric"), [("plane", Euclidean(np.ones(2))), ("molecule", MinimalRMSD())])
def test_the_nearest_frame_is_the_nearest(kind, metric, chunk, states, rng, request, monkeypatch):
    """Euclidean distances by hand, minimal RMSD by Kabsch's way; the state is held now and then, and left."""
    trajectory, distance = request.getfixturevalue(kind), euclid if kind == "plane" else kabsch
    monkeypatch.setattr(drawing, "frames_per_chunk", lambda width: chunk)
    path = np.repeat(rng.integers(0, N_STATES, 15), rng.integers(1, 4, 15))
    frames = FramesOfStates.of(states)
    assert np.bincount(path).max() < np.diff(frames.starts).min()
    numbers = draw_nearest(path, frames, lambda n: frames_at(trajectory, n), metric, np.random.default_rng(1))
    assert numbers.tolist() == nearest_by_hand(path, states, trajectory, distance, numbers[0])


@pytest.mark.parametrize("draw", ["random", "nearest"])
def test_every_frame_is_of_the_right_state_and_the_seed_decides_which(draw, states, plane, rng):
    path, joined = rng.integers(0, N_STATES, 300), np.concatenate(states.pieces)

    def drawn(seed):
        rng, frames = np.random.default_rng(seed), FramesOfStates.of(states)
        if draw == "random":
            return draw_random(path, frames, rng)
        return draw_nearest(path, frames, lambda n: frames_at(plane, n), Euclidean(np.ones(2)), rng)

    np.testing.assert_array_equal(joined[drawn(0)], path)
    np.testing.assert_array_equal(drawn(0), drawn(0))
    assert (drawn(0) != drawn(1)).any()


def test_random_frames_of_a_state_are_equally_likely():
    frames = FramesOfStates.of(Dtraj((np.array([0, 1, 1, 1, 1]),), 1.0, "ps", n_states=2))
    n = 10_000
    counts = np.bincount(draw_random(np.ones(n, int), frames, np.random.default_rng(0)), minlength=5)
    assert counts[0] == 0
    assert np.abs(counts[1:] - n / 4).max() < 4 * np.sqrt(n * 0.25 * 0.75)  # standard errors


def test_no_frame_is_shown_again_while_its_state_has_others(plane):
    states = Dtraj((np.array([0] * 3 + [1]), *([np.full(32, 2)] * 3)), 1.0, "ps", n_states=3)
    plane = Trajectory((np.concatenate(plane.pieces),), 1.0, "ps", plane.columns)
    path = np.array([0, 0, 0, 0, 0, 0, 1, 1])
    args = FramesOfStates.of(states), lambda n: frames_at(plane, n), Euclidean(np.ones(2)), np.random.default_rng(0)
    numbers = draw_nearest(path, *args).tolist()
    assert sorted(numbers[:3]) == sorted(numbers[3:6]) == [0, 1, 2]
    assert numbers[6:] == [3, 3]


def test_a_state_without_frames_is_named(plane):
    frames = FramesOfStates.of(Dtraj((np.array([0, 2, 2]),), 1.0, "ps", n_states=3))
    path, rng = np.array([0, 2, 1, 0]), np.random.default_rng(0)
    message = "no training frame is in state 1, which the chain visits at number 2"
    with pytest.raises(ValueError, match=message):
        draw_random(path, frames, rng)
    with pytest.raises(ValueError, match=message):
        draw_nearest(path, frames, lambda n: frames_at(plane, n), Euclidean(np.ones(2)), rng)
