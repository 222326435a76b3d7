import re

import numpy as np
import pytest

from mdlm.partition import base
from mdlm.partition.grid import Grid
from mdlm.recrossing.core_set_density import CoreSetDensity
from mdlm.trajectory import Header

HALVES = Grid(low=-2.0, high=2.0, n_bins=2)


@pytest.fixture(scope="module")
def fitted(frames):
    """The partition and the treatment, fitted on given frames."""

    def fitted(train, columns=("x",), partition=HALVES, **settings):
        described = frames(train, columns=columns)
        discretiser = partition.fit(described)
        return discretiser, CoreSetDensity(**settings).fit(discretiser, described)

    return fitted


def test_a_core_is_where_the_free_energy_is_low_for_its_own_state(fitted):
    """Bins of 0.5 on [-2, 2]. The right state is rare: counted without regard to the state, it would have no core.

    Left: 100, 30, 10, 2 frames from the outside in; right: 5 in the outermost, 1 in each other. Within 2 kT are
    e^-2 = 0.135 of the fullest: the first two on the left, all four (1/5) on the right.
    """
    centres = np.array([-1.75, -1.25, -0.75, -0.25, 0.25, 0.75, 1.25, 1.75])
    train = np.concatenate([np.repeat(centres, [99, 30, 10, 2, 1, 1, 1, 4]), [-2.0, 2.0]])
    _, treatment = fitted(train, energy_kT=2.0, n_bins=8)
    expected = [True, True, False, False, True, True, True, True]
    assert treatment.contain(centres[:, None]).tolist() == expected


def test_frames_outside_the_range_of_training_are_in_no_core(fitted):
    _, treatment = fitted(np.linspace(-2, 2, 100), energy_kT=5.0, n_bins=4)
    assert treatment.contain(np.array([[-2.1], [-2.0], [2.0], [2.1]])).tolist() == [False, True, True, False]
    assert not treatment.contain(np.array([[-1e30], [1e30]])).any()


def test_cores_of_gaussian_wells_have_the_width_of_the_energy(fitted):
    """Of a Gaussian of width s, what lies within E kT of its centre lies within s sqrt(2 E)."""
    rng = np.random.default_rng(0)
    side = rng.choice([-1.0, 1.0], 400_000)
    train = np.stack([side, np.zeros(len(side))], axis=1) + 0.2 * rng.normal(size=(len(side), 2))
    partition = Grid(low=(-2.0, -9.0), high=(2.0, 9.0), n_bins=(2, 1))
    _, treatment = fitted(train, columns=("x", "y"), partition=partition, energy_kT=1.5, n_bins=60)
    radius = np.hypot(np.abs(train[:, 0]) - 1, train[:, 1])
    edge = 0.2 * np.sqrt(2 * 1.5)
    inside = treatment.contain(train)
    assert inside[radius < 0.8 * edge].mean() > 0.99
    assert inside[radius > 1.2 * edge].mean() < 0.01


def test_a_boundary_crossed_for_a_moment_is_no_transition(fitted, frames):
    rng = np.random.default_rng(1)
    train = rng.choice([-1.0, 1.0], 5000) + 0.3 * rng.normal(size=5000)
    discretiser, treatment = fitted(train, energy_kT=1.0, n_bins=20)
    described = frames([0.1, -1.0, -0.1, 0.1, -0.1, 0.2, -1.0, 0.1, 1.0, -0.1])
    states = discretiser.assign(described)
    assert states.pieces[0].tolist() == [1, 0, 0, 1, 0, 1, 0, 1, 1, 0]
    assert treatment.treat(states, described).pieces[0].tolist() == [0] * 8 + [1] * 2
    assert treatment.leading(states, described) == (1,)


def test_treating_twice_is_treating_once(fitted, frames):
    rng = np.random.default_rng(2)
    train = np.cumsum(rng.normal(size=2000)) / 20 % 4 - 2
    discretiser, treatment = fitted(train, partition=Grid(low=-2.0, high=2.0, n_bins=5), energy_kT=0.3, n_bins=50)
    described = frames(train, train[::-1], [])
    once = treatment.treat(discretiser.assign(described), described)
    twice = treatment.treat(once, described)
    assert all(map(np.array_equal, once.pieces, twice.pieces))


def test_counting_in_chunks_changes_nothing(fitted, monkeypatch):
    train = np.random.default_rng(3).normal(size=(1000, 3))
    settings = {"columns": ("x", "y", "z"), "energy_kT": 1.0, "n_bins": 5}
    _, whole = fitted(train, **settings)
    monkeypatch.setattr(base, "CHUNK_FRAMES", 17)
    _, chunked = fitted(train, **settings)
    assert np.array_equal(whole.cells, chunked.cells)


def test_a_feature_that_never_varies_is_no_obstacle(fitted):
    train = np.stack([np.linspace(-2, 2, 100), np.full(100, 7.0)], axis=1)
    partition = Grid(low=(-2.0, 0.0), high=(2.0, 9.0), n_bins=(2, 1))
    _, treatment = fitted(train, columns=("x", "y"), partition=partition, energy_kT=1.0, n_bins=4)
    assert treatment.contain(train).all()


def test_more_than_three_features_are_refused_before_anything_is_computed():
    option = CoreSetDensity(energy_kT=2.0, n_bins=30)
    option.check(Header(("a", "b", "c"), (10,), 1.0, "ps"), HALVES)
    message = (
        "n_bins (30) along each of 4 features cannot be filled; a density needs at most 3: take fewer features or "
        "recrossing=coring"
    )
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        option.check(Header(("a", "b", "c", "d"), (10,), 1.0, "ps"), HALVES)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"energy_kT": 0.0}, r"^energy_kT \(0\) must be above 0 and finite$"),
        ({"energy_kT": float("nan")}, r"^energy_kT \(nan\) must be above 0 and finite$"),
        ({"n_bins": 1}, r"^n_bins \(1\) must lie between 2 and 1000$"),
        ({"n_bins": 1001}, r"^n_bins \(1001\) must lie between 2 and 1000$"),
    ],
)
def test_every_bad_field_is_named_in_one_line(settings, message):
    with pytest.raises(ValueError, match=message):
        CoreSetDensity(**({"energy_kT": 2.0, "n_bins": 30} | settings))
