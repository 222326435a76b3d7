import dataclasses

import numpy as np
import pytest
from deeptime.markov import TransitionCountEstimator
from deeptime.markov.msm import MaximumLikelihoodMSM

from mdlm.system.four_state_overdamped import FourStateOverdamped, fokker_planck_timescales
from mdlm.system.four_state_potential import CENTRES

PUBLISHED = FourStateOverdamped(
    lag_time=200.0,
    friction=1.0,
    beta=9.5,
    wall=1e-4,
    width=0.8,
    time_step=0.01,
    save_every=100,
    n_walkers=20,
    n_steps=100_000_000,
    seed=0,
)


def test_the_fokker_planck_operator_in_the_published_box_gives_the_published_timescales():
    """Reflecting walls at 3.6 and a finite grid: 5675, 422, 392, 3.9."""
    found = fokker_planck_timescales(9.5, 1.0, 1e-4, 0.8, half_side=3.6, n_nodes=181)
    np.testing.assert_allclose(found, [5675, 422, 392, 3.9], rtol=6e-3)


def test_the_grid_error_is_of_the_second_order():
    """Halving the spacing quarters what is left."""
    coarse, middle, fine = (
        np.array(fokker_planck_timescales(9.5, 1.0, 1e-4, 0.8, half_side=4.8, n_nodes=n)) for n in (49, 97, 193)
    )
    np.testing.assert_allclose((middle - coarse)[:3] / (fine - middle)[:3], 4, rtol=0.1)


def test_the_truth_is_that_of_the_open_plane():
    """Without walls the slow processes are 0.2 % faster, and the fast one has more room."""
    truth = PUBLISHED.truth()
    np.testing.assert_allclose(truth.timescales, [5666, 422.5, 392.5, 4.28], rtol=1e-3)
    assert all(0 < error < 0.01 * time for error, time in zip(truth.errors, truth.timescales, strict=True))


def test_truth_follows_the_parameters():
    """Brownian time is measured in units of the friction; heat makes everything faster."""
    thick = dataclasses.replace(PUBLISHED, friction=3.0).truth()
    np.testing.assert_allclose(thick.timescales, 3 * np.array(PUBLISHED.truth().timescales), rtol=1e-6)
    assert fokker_planck_timescales(5.0, 1.0, 1e-4, 0.8, 5.0, 61)[0] < 1000


def test_truth_does_not_depend_on_how_the_motion_is_recorded():
    assert dataclasses.replace(PUBLISHED, n_steps=2_000, seed=5).truth() == PUBLISHED.truth()


def test_free_diffusion_spreads_by_twice_the_diffusion_constant():
    """In the flat middle between two steps the spread of one step is that of the noise alone."""
    system = dataclasses.replace(PUBLISHED, friction=2.0, save_every=1, time_step=1e-4)
    _, advance = system.dynamics()
    rng, moved, frame = np.random.default_rng(0), [], np.empty((1, 2), np.float32)
    for _ in range(20_000):
        state = np.zeros(2)
        advance(rng, state, frame)
        moved.append(state)
    expected = 2 * system.time_step / (system.beta * system.friction)
    # 40,000 squares: a relative standard error of sqrt(2 / 40,000) = 0.7 %
    assert np.mean(np.square(moved)) == pytest.approx(expected, rel=0.03)


def test_a_run_has_the_boltzmann_populations():
    """Hot (beta 3), so that walkers mix; four standard errors from the spread of the walkers."""
    system = dataclasses.replace(PUBLISHED, beta=3.0, n_steps=10_000_000)
    shares = []
    for piece in system.trajectories().pieces:
        nearest = np.argmin([(piece[:, 0] - a) ** 2 + (piece[:, 1] - b) ** 2 for a, b in CENTRES], axis=0)
        shares.append(np.bincount(nearest, minlength=4) / len(piece))
    error = 4 * np.std(shares, axis=0, ddof=1) / np.sqrt(len(shares))
    assert error.max() < 0.06
    assert (np.abs(np.mean(shares, axis=0) - system.populations()) < error).all()


@pytest.mark.slow
def test_a_long_run_on_a_fine_grid_has_the_exact_timescales():
    """20 x 20 cells at lag 200, 4e8 steps; each within its own 90 % interval by bootstrap over walkers.

    At lag 50 the grid alone makes t3 and t4 about 0.8 % too fast (seen in 4e9 steps), at lag 200 it does not.
    """
    lag, n_bins, n_walkers, rng = 200, 20, 80, np.random.default_rng(0)
    cells = []
    for piece in dataclasses.replace(PUBLISHED, n_walkers=n_walkers, n_steps=400_000_000).trajectories().pieces:
        bins = np.clip(np.floor((piece + 3) * (n_bins / 6)), 0, n_bins - 1).astype(int)
        cells.append(n_bins * bins[:, 0] + bins[:, 1])

    def timescales(chosen):
        counts = TransitionCountEstimator(lag, "sliding", n_states=n_bins**2).fit_fetch(chosen)
        return MaximumLikelihoodMSM(reversible=True).fit_fetch(counts.submodel_largest()).timescales(k=3)

    draws = np.array([timescales([cells[i] for i in rng.integers(0, n_walkers, n_walkers)]) for _ in range(20)])
    errors = draws.std(axis=0)
    truth = PUBLISHED.truth().timescales[:3]
    assert (errors < 0.1 * np.array(truth)).all(), "otherwise the comparison says nothing"
    assert (np.abs(timescales(cells) - truth) < 1.645 * errors).all()
