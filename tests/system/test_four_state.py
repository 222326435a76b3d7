import dataclasses

import numpy as np
import pytest

from mdlm.system.four_state import MEASURED_AT, FourState
from mdlm.system.four_state_potential import CENTRES, Boltzmann, cell_centres, potential_energy

PUBLISHED = FourState(
    lag_time=200.0,
    **MEASURED_AT,
    save_every=100,
    n_walkers=20,
    n_steps=100_000_000,
    seed=0,
)


def nearest_well(piece):
    return np.argmin([(piece[:, 0] - a) ** 2 + (piece[:, 1] - b) ** 2 for a, b in CENTRES], axis=0)


def four_standard_errors(values):
    """Walkers are independent and start in equilibrium, so the spread of their means is the error."""
    return 4 * np.std(values, axis=0, ddof=1) / np.sqrt(len(values))


def test_the_measured_timescales_are_given_with_their_errors():
    truth = PUBLISHED.truth()
    assert truth.timescales == (8531.0, 695.0, 640.0)
    assert truth.errors[0] == 83.0
    assert len(truth.errors) == 3


@pytest.mark.parametrize("name", MEASURED_AT)
def test_nothing_measured_is_claimed_for_other_physics(name):
    assert dataclasses.replace(PUBLISHED, **{name: 1.1 * MEASURED_AT[name]}).truth() is None


@pytest.mark.parametrize("changes", [{"seed": 1}, {"n_steps": 2_000}, {"save_every": 50}, {"n_walkers": 2}])
def test_how_the_motion_is_recorded_does_not_change_the_truth(changes):
    assert dataclasses.replace(PUBLISHED, **changes).truth() == PUBLISHED.truth()


@pytest.mark.parametrize(("mass", "friction"), [(1.0, 1.0), (2.0, 0.5)])
def test_a_run_has_the_boltzmann_populations_and_mean_energy(mass, friction):
    """Hot enough (beta 3) that every walker crosses every barrier some hundred times."""
    beta = 3.0
    system = dataclasses.replace(PUBLISHED, beta=beta, mass=mass, friction=friction, n_steps=10_000_000)
    pieces = system.trajectories().pieces
    shares = np.array([np.bincount(nearest_well(piece), minlength=4) / len(piece) for piece in pieces])
    error = four_standard_errors(shares)
    assert error.max() < 0.06
    assert (np.abs(shares.mean(axis=0) - system.populations()) < error).all()

    boltzmann = Boltzmann.of(beta, system.wall, system.width)
    centre = cell_centres(boltzmann.half_side)
    energies = potential_energy(centre[:, None], centre[None, :], system.wall, system.width)
    exact = (boltzmann.probabilities * energies).sum()
    means = np.array([potential_energy(*piece.T, system.wall, system.width).mean() for piece in pieces])
    assert abs(means.mean() - exact) < four_standard_errors(means)


def test_the_velocities_have_the_temperature_asked_for():
    """The mean of m v^2 is 1 / beta in each direction.

    Velocities a time unit apart, at friction 1, correlate by about exp(-1); 2 x 20,000 of them have a
    relative standard error of their mean square near 1 %. The integrator's own error is of order
    time_step^2, 1e-4.
    """
    system = dataclasses.replace(PUBLISHED, mass=2.0, beta=4.0)
    start, advance = system.dynamics()
    rng = np.random.default_rng(3)
    state, frame, velocities = start(rng), np.empty((1, 2), np.float32), []
    for _ in range(20_000):
        advance(rng, state, frame)
        velocities.append(state[2:4].copy())
    assert 2.0 * 4.0 * np.mean(np.square(velocities)) == pytest.approx(1, abs=0.04)


def test_walkers_start_in_equilibrium():
    """The first frame of many walkers already has the populations, 0.269 / 0.231 / 0.231 / 0.269."""
    n_walkers = 2_000
    system = dataclasses.replace(PUBLISHED, n_walkers=n_walkers, n_steps=100 * n_walkers)
    first = np.concatenate([piece[:1] for piece in system.trajectories().pieces])
    shares = np.bincount(nearest_well(first), minlength=4) / n_walkers
    binomial = np.sqrt(system.populations() * (1 - system.populations()) / n_walkers)
    assert (np.abs(shares - system.populations()) < 4 * binomial).all()


@pytest.mark.slow
def test_a_long_run_has_the_measured_timescales():
    """Four-state model of 3e8 steps at lag 200: each within three bootstrap errors over walkers."""
    system = dataclasses.replace(PUBLISHED, n_steps=300_000_000, seed=1)
    lag, rng = 200, np.random.default_rng(0)
    counts = []
    for piece in system.trajectories().pieces:
        states = nearest_well(piece)
        pairs = np.bincount(4 * states[:-lag] + states[lag:], minlength=16).reshape(4, 4)
        counts.append(pairs + pairs.T)
    counts = np.array(counts)

    def timescales(chosen):
        total = counts[chosen].sum(axis=0)
        eigenvalues = np.sort(np.linalg.eigvals(total / total.sum(axis=1, keepdims=True)).real)[::-1]
        return -lag / np.log(eigenvalues[1:])

    draws = np.array([timescales(rng.integers(0, 20, 20)) for _ in range(200)])
    truth = system.truth()
    allowed = 3 * np.hypot(draws.std(axis=0), truth.errors)
    assert (np.abs(timescales(np.arange(20)) - truth.timescales) < allowed).all()
