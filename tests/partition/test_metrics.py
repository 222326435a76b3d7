import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from mdlm.partition import metrics
from mdlm.partition.metrics import Euclidean, MinimalRMSD, check_atoms
from mdlm.trajectory import Trajectory

WHOLE = st.integers(-3, 3).map(float)  # so that sums are exact and equal distances occur


def rotation(rng):
    """A random proper rotation."""
    turned, _ = np.linalg.qr(rng.normal(size=(3, 3)))
    return turned * np.sign(np.linalg.det(turned))


def kabsch(one, other):
    """Minimal RMSD from the singular values of the correlation, the last one negated for a mirror image."""
    one, other = one - one.mean(axis=0), other - other.mean(axis=0)
    left, singular, right = np.linalg.svd(one.T @ other)
    singular[-1] *= np.sign(np.linalg.det(left @ right))
    squared = ((one**2).sum() + (other**2).sum() - 2 * singular.sum()) / len(one)
    return np.sqrt(max(squared, 0.0))


@given(st.data(), st.integers(1, 5))
def test_the_nearest_centre_is_that_of_all_distances_written_out_and_of_equal_ones_the_first(data, n_columns):
    frames = data.draw(hnp.arrays(np.float32, (20, n_columns), elements=WHOLE))
    centres = data.draw(hnp.arrays(np.float64, (6, n_columns), elements=WHOLE))
    distances = np.sqrt(((frames[:, None].astype(float) - centres[None]) ** 2).sum(axis=2))
    states, distance = Euclidean(np.ones(n_columns)).nearest(frames, centres)
    assert states.tolist() == distances.argmin(axis=1).tolist()
    np.testing.assert_allclose(distance, distances.min(axis=1), rtol=1e-14)


@pytest.mark.parametrize("order", ["C", "F"])
def test_far_from_the_origin_nothing_cancels(order):
    """A thousandth apart at a distance of a million, where a product of coordinates would drown it."""
    centres = 1e6 + np.arange(5)[:, None] * np.full(3, 1e-3)
    frames = np.asarray(centres[[3, 0, 4, 1]] + 1e-4, order=order)
    states, distance = Euclidean(np.ones(3)).nearest(frames, centres)
    assert states.tolist() == [3, 0, 4, 1]
    np.testing.assert_allclose(distance, np.sqrt(3) * 1e-4, rtol=1e-5)


def test_features_are_measured_in_their_standard_deviation_over_all_training_frames():
    rng = np.random.default_rng(0)
    pieces = tuple(rng.normal([1e4, 0], [0.5, 30], (length, 2)).astype(np.float32) for length in (5000, 1, 7000))
    metric = Euclidean.scaled(Trajectory(pieces, 1.0, "ps", columns=("a", "b")), "standard")
    np.testing.assert_allclose(metric.scale, np.concatenate(pieces).astype(float).std(axis=0), rtol=1e-9)
    _, distance = metric.nearest(np.array([[3.0, 4.0]]), np.zeros((1, 2)))
    np.testing.assert_allclose(distance, np.hypot(3 / metric.scale[0], 4 / metric.scale[1]))


def test_a_feature_constant_in_training_is_taken_as_it_is():
    frames = np.full((9000, 2), 0.1, np.float32)
    frames[::2, 1] += 4
    metric = Euclidean.scaled(Trajectory((frames,), 1.0, "ps", columns=("a", "b")), "standard")
    np.testing.assert_allclose(metric.scale, [1.0, 2.0], rtol=1e-6)
    assert Euclidean.scaled(Trajectory((frames,), 1.0, "ps", columns=("a", "b")), "none").scale.tolist() == [1, 1]


@pytest.mark.parametrize("n_atoms", [3, 4, 5, 22])
def test_the_rmsd_is_that_of_an_independent_superposition(n_atoms):
    rng = np.random.default_rng(n_atoms)
    frames, centres = rng.normal(size=(50, n_atoms, 3)), rng.normal(size=(7, n_atoms, 3))
    expected = np.array([[kabsch(frame, centre) for centre in centres] for frame in frames])
    flat = frames.reshape(50, -1).astype(np.float32), centres.reshape(7, -1)
    states, distance = MinimalRMSD().nearest(*flat)
    assert states.tolist() == expected.argmin(axis=1).tolist()
    np.testing.assert_allclose(distance, expected.min(axis=1), atol=1e-4)


def test_turning_and_moving_a_molecule_does_not_change_its_rmsd_but_mirroring_does():
    rng = np.random.default_rng(0)
    molecule = rng.normal(size=(8, 3))
    moved = molecule @ rotation(rng).T + rng.normal(size=3)
    mirrored = molecule * [1, 1, -1]
    frames = np.stack([moved, mirrored]).reshape(2, -1)
    states, distance = MinimalRMSD().nearest(frames, molecule.reshape(1, -1))
    assert states.tolist() == [0, 0]
    assert distance[0] < 1e-3 < 0.1 < distance[1]


@pytest.mark.parametrize("metric", [Euclidean(np.ones(12)), MinimalRMSD()])
def test_the_size_of_blocks_changes_nothing_and_frames_stay_as_they_are(metric, monkeypatch):
    frames = np.random.default_rng(0).normal(size=(100, 12)).astype(np.float32)
    kept, centres = frames.copy(), frames[::9]
    whole = metric.nearest(frames, centres)
    monkeypatch.setattr(metrics, "BLOCK_FRAMES", 7)
    for one, other in zip(whole, metric.nearest(frames, centres), strict=True):
        assert np.array_equal(one, other)
    assert np.array_equal(frames, kept)


def named(*atoms, axes="xyz"):
    return tuple(f"{atom}.{axis}" for atom in atoms for axis in axes)


def test_atoms_are_columns_by_threes():
    check_atoms(named("ALA2-N", "ALA2-CA", "ALA2-C"))


@pytest.mark.parametrize(
    ("columns", "end"),
    [
        (("phi", "psi"), "'phi' is none"),
        (("x", "y", "z"), "'x' is none"),
        (named("N", "CA", "C", axes="xzy"), "'N.z' is none"),
        (("N.x", "CA.y", "N.z", *named("C", "O", "H")), "'CA.y' is none"),
        (named("N", "CA", "C")[:-1], "at least three atoms; there are N.x, .*"),
        (named("N", "CA"), "at least three atoms; there are N.x, N.y, N.z, CA.x, CA.y, CA.z"),
    ],
)
def test_other_columns_are_no_atoms(columns, end):
    message = r"^metric \(rmsd\) needs features <atom>.x, <atom>.y, <atom>.z of one atom after the other[;,] "
    with pytest.raises(ValueError, match=message + end + "$"):
        check_atoms(columns)
