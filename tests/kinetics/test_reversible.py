import numpy as np
import pytest
from scipy.optimize import minimize

from mdlm.kinetics.reversible import reversible_flux


def counts_of(flux, n_transitions, seed):
    """Random counts around a known reversible flux; every pair that exchanges is seen both ways."""
    return np.random.default_rng(seed).poisson(flux * n_transitions) + (flux > 0)


def random_flux(n_states, seed):
    """Symmetric, with entries over six orders of magnitude, as metastable systems have them."""
    rng = np.random.default_rng(seed)
    flux = 10 ** rng.uniform(-6, 0, (n_states, n_states))
    flux = flux + flux.T
    return flux / flux.sum()


def diffusion_flux(n_states):
    """A walk over two wells that knows neighbours only: sparse and metastable."""
    x = np.linspace(-1, 1, n_states)
    density = np.exp(-8 * (x**2 - 0.4) ** 2)
    near = np.abs(np.subtract.outer(np.arange(n_states), np.arange(n_states))) <= 3
    flux = np.where(near, np.sqrt(np.outer(density, density)), 0)
    return flux / flux.sum()


def log_likelihood(counts, flux):
    seen = counts > 0
    transition_matrix = flux / flux.sum(axis=1, keepdims=True)
    return np.sum(counts[seen] * np.log(transition_matrix[seen]))


@pytest.mark.parametrize("n_states", [2, 4, 20])
def test_the_estimate_agrees_with_deeptime(n_states):
    """To 1e-8: deeptime's iteration, at its tightest tolerance, stops within 1e-9 of the maximum."""
    from deeptime.markov.tools.estimation import transition_matrix

    for seed in range(3):
        counts = counts_of(random_flux(n_states, seed), 1e5, seed)
        expected, stationary = transition_matrix(
            counts.astype(float), reversible=True, return_statdist=True, maxerr=1e-14
        )
        flux = reversible_flux(counts)
        np.testing.assert_allclose(flux.sum(axis=1), stationary, rtol=1e-8)
        np.testing.assert_allclose(flux / flux.sum(axis=1, keepdims=True), expected, rtol=1e-8, atol=1e-12)


def test_two_states_are_the_row_normalised_counts():
    """Any two-state chain obeys detailed balance, so the constraint changes nothing."""
    flux = reversible_flux(np.array([[90, 10], [3, 47]]))
    np.testing.assert_allclose(flux / flux.sum(axis=1, keepdims=True), [[0.9, 0.1], [0.06, 0.94]], rtol=1e-12)


@pytest.mark.parametrize(("n_states", "make"), [(12, random_flux), (100, None)])
def test_the_equations_of_the_maximum_hold(n_states, make):
    """x_ij (c_i / x_i + c_j / x_j) = c_ij + c_ji, dense and sparse; 1e-7 is a thousandth of a rare count."""
    true = random_flux(n_states, 0) if make else diffusion_flux(n_states)
    counts = counts_of(true, 1e6, 1)
    flux = reversible_flux(counts)
    q = counts.sum(axis=1) / flux.sum(axis=1)
    np.testing.assert_allclose(flux * (q[:, None] + q), counts + counts.T, rtol=1e-7)
    np.testing.assert_array_equal(flux, flux.T)


def test_no_other_reversible_model_is_more_likely():
    """A general optimiser, started elsewhere, climbs to the same likelihood and not above it."""
    counts = counts_of(random_flux(4, 3), 1000, 3)
    best = log_likelihood(counts, reversible_flux(counts))
    upper = np.triu_indices(4)

    def cost(logs):
        flux = np.zeros((4, 4))
        flux[upper] = np.exp(logs)
        return -log_likelihood(counts, flux + flux.T)

    found = minimize(cost, np.zeros(len(upper[0])), method="BFGS")
    assert -found.fun == pytest.approx(best, abs=1e-5)  # the optimiser's own tolerance on the gradient
    assert -found.fun <= best + 1e-9


def test_a_batch_gives_the_same_as_one_matrix_at_a_time():
    counts = np.stack([counts_of(random_flux(5, seed), 1e4, seed) for seed in range(6)]).reshape(2, 3, 5, 5)
    flux = reversible_flux(counts)
    for index in np.ndindex(2, 3):
        np.testing.assert_allclose(flux[index], reversible_flux(counts[index]), rtol=1e-12)


def test_dense_and_sparse_algebra_agree(monkeypatch):
    """The conjugate gradients stop at 1e-4 of a last step below 1e-7, hence 1e-10."""
    counts = counts_of(diffusion_flux(100), 1e6, 2)
    sparse = reversible_flux(counts)
    monkeypatch.setattr("mdlm.kinetics.reversible.BATCHED_UP_TO", 100)
    np.testing.assert_allclose(reversible_flux(counts), sparse, rtol=1e-10)


def test_strongly_unbalanced_counts_still_converge():
    """One return against a million departures: far from the start, where undamped Newton steps overshoot."""
    counts = np.array([[5.0, 1e6, 0.0], [1.0, 5.0, 1e6], [1.0, 1.0, 5.0]])
    flux = reversible_flux(counts)
    q = counts.sum(axis=1) / flux.sum(axis=1)
    np.testing.assert_allclose(flux * (q[:, None] + q), counts + counts.T, rtol=1e-9)


@pytest.mark.parametrize("n_states", [3, 100])
@pytest.mark.parametrize("direction", ["no way", "one way"])
def test_counts_that_are_not_strongly_connected_are_refused(n_states, direction):
    counts = np.ones((n_states, n_states))
    counts[0, 1:] = 0
    if direction == "no way":
        counts[1:, 0] = 0
    with pytest.raises(ValueError, match="strongly connected"):
        reversible_flux(counts)


def test_a_single_state_holds_all_the_flux():
    assert reversible_flux(np.array([[7]])).tolist() == [[1.0]]
