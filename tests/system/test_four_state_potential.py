import numpy as np
import pytest
from scipy.integrate import dblquad
from scipy.optimize import minimize, minimize_scalar
from scipy.stats import chisquare

from mdlm.system.four_state_kernels import force, shape_of
from mdlm.system.four_state_potential import (
    CENTRES,
    N_CELLS,
    Boltzmann,
    cell_centres,
    check_shape,
    half_box,
    potential_energy,
)

BETA, WALL, WIDTH = 9.5, 1e-4, 0.8


@pytest.fixture(scope="module")
def boltzmann():
    return Boltzmann.of(BETA, WALL, WIDTH)


def energy_at(point):
    return float(potential_energy(*point, WALL, WIDTH))


def barrier_between(start, end):
    """Lowest saddle between two minima: among the lines across their connection, the highest valley floor."""
    start, end = np.array(start), np.array(end)
    along = (end - start) / np.linalg.norm(end - start)
    across = np.array([-along[1], along[0]])

    def floor(fraction):
        foot = start + fraction * (end - start)
        offsets = np.linspace(-3, 3, 601)
        best = offsets[np.argmin([energy_at(foot + offset * across) for offset in offsets])]
        bracket = (best - 0.01, best + 0.01)
        return minimize_scalar(lambda s: energy_at(foot + s * across), bounds=bracket, method="bounded").fun

    return max(floor(fraction) for fraction in np.linspace(0, 1, 201))


@pytest.mark.parametrize(("wall", "width"), [(1e-4, 0.8), (0.03, 0.5)])
def test_the_force_is_minus_the_gradient_of_the_energy(wall, width):
    points = np.random.default_rng(0).uniform(-3, 3, (200, 2))
    h = 1e-5
    forces = np.array([force(x, y, shape_of(wall, width)) for x, y in points])
    for axis in (0, 1):
        step = h * np.eye(2)[axis]
        difference = potential_energy(*(points + step).T, wall, width) - potential_energy(
            *(points - step).T, wall, width
        )
        np.testing.assert_allclose(forces[:, axis], -difference / (2 * h), rtol=1e-6, atol=1e-8)


def test_the_energy_is_symmetric_under_reflection_at_the_origin():
    x, y = np.random.default_rng(1).uniform(-3, 3, (2, 50))
    np.testing.assert_allclose(potential_energy(x, y, WALL, WIDTH), potential_energy(-x, -y, WALL, WIDTH))


def test_the_energy_broadcasts():
    assert potential_energy(np.zeros((3, 1)), np.zeros(4), WALL, WIDTH).shape == (3, 4)


@pytest.mark.parametrize(
    ("centre", "minimum", "energy"),
    [
        (CENTRES[0], (2.016, -1.021), -0.978),
        (CENTRES[1], (0.508, 2.046), -0.963),
        (CENTRES[2], (-0.508, -2.046), -0.963),
        (CENTRES[3], (-2.016, 1.021), -0.978),
    ],
)
def test_the_minima_lie_where_they_are_known_to(centre, minimum, energy):
    found = minimize(energy_at, centre, tol=1e-12)
    np.testing.assert_allclose(found.x, minimum, atol=6e-4)
    assert found.fun == pytest.approx(energy, abs=6e-4)


def test_the_barriers_are_low_inside_the_pairs_and_high_between_them():
    """In kT, from either side: 5.4 and 5.3 between (2, -1) and (-1/2, -2), 8.2 and 8.1 between the pairs."""
    right, top, bottom = (2.016, -1.021), (0.508, 2.046), (-0.508, -2.046)
    for pair, heights in (((right, bottom), (5.4, 5.3)), ((right, top), (8.2, 8.1))):
        saddle = barrier_between(*pair)
        barriers = [BETA * (saddle - energy_at(end)) for end in pair]
        np.testing.assert_allclose(barriers, heights, atol=0.06)


def test_the_cells_probabilities_are_a_distribution_that_covers_the_plane(boltzmann):
    assert boltzmann.probabilities.sum() == pytest.approx(1)
    assert boltzmann.probabilities[0].max() < 1e-17
    assert boltzmann.half_side == half_box(BETA, WALL, 40)


def test_the_cells_agree_with_adaptive_quadrature(boltzmann):
    """The mean of x^2, by an integrator that knows nothing of cells."""

    def weight(y, x):
        return float(np.exp(-BETA * (energy_at((x, y)) + 1)))

    total = dblquad(weight, -4.5, 4.5, -4.5, 4.5, epsabs=1e-5)[0]
    second_moment = dblquad(lambda y, x: x * x * weight(y, x), -4.5, 4.5, -4.5, 4.5, epsabs=1e-5)[0] / total
    centre = cell_centres(boltzmann.half_side)
    assert boltzmann.probabilities.sum(axis=1) @ centre**2 == pytest.approx(second_moment, rel=1e-4)


def test_populations_of_the_nearest_wells_are_the_known_ones(boltzmann):
    np.testing.assert_allclose(boltzmann.populations(), [0.269, 0.231, 0.231, 0.269], atol=5e-4)


def test_drawn_points_follow_the_boltzmann_distribution(boltzmann):
    """Chi-square over blocks of cells with at least 50 expected points each; the seed is fixed."""
    n_points, n_blocks = 100_000, 50
    points = boltzmann.draw(np.random.default_rng(2), n_points)
    edges = np.linspace(-boltzmann.half_side, boltzmann.half_side, n_blocks + 1)
    observed = np.histogram2d(*points.T, bins=(edges, edges))[0].ravel()
    size = N_CELLS // n_blocks
    blocks = boltzmann.probabilities.reshape(n_blocks, size, n_blocks, size).sum(axis=(1, 3)).ravel()
    expected = n_points * blocks
    common = expected >= 50
    observed = np.append(observed[common], observed[~common].sum())
    expected = np.append(expected[common], expected[~common].sum())
    assert chisquare(observed, expected).pvalue > 0.01


@pytest.mark.parametrize(
    ("wall", "width", "message"),
    [
        (0.0, 0.8, r"^wall \(0\.0\) must be positive and finite$"),
        (np.nan, 0.8, r"^wall \(nan\) must be positive and finite$"),
        (1e-4, 0.1, r"^width \(0\.1\) must be at least 0\.2$"),
        (1e-4, np.inf, r"^width \(inf\) must be at least 0\.2$"),
    ],
)
def test_a_potential_that_does_not_confine_or_overflows_is_refused(wall, width, message):
    with pytest.raises(ValueError, match=message):
        check_shape(wall, width)


def test_the_narrowest_wells_allowed_still_have_a_finite_force_everywhere_a_walker_goes():
    corner = half_box(1.0, 1.0, 40)
    forces = [force(x, y, shape_of(1.0, 0.2)) for x in (-corner, 0, corner) for y in (-corner, 0, corner)]
    assert np.isfinite(forces).all()
