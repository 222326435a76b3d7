import numpy as np
import pytest
import torch
from scipy.optimize import minimize

from mdlm.model.gru import GRUConfig
from mdlm.model.lstm import LSTMConfig
from mdlm.model.transformer import TransformerConfig
from mdlm.tokens.base import Tokens
from mdlm.training.calibration import PRIOR_WIDTH, calibrate, expected_jumps, slow_fluxes, slow_modes
from mdlm.training.evaluate import nll_nats_per_token
from mdlm.training.support import jump_counts
from mdlm.training.training import Training
from mdlm.trajectory import Split

NETWORKS = {
    "lstm": LSTMConfig(8, 16, 1, 0.0),
    "gru": GRUConfig(8, 16, 1, 0.0),
    "transformer": TransformerConfig(8, 2, layers=1, window=6, dropout=0.0),
}
CHAIN = np.array([[0.9, 0.1, 0.0, 0.0], [0.1, 0.898, 0.002, 0.0], [0.0, 0.002, 0.898, 0.1], [0.0, 0.0, 0.1, 0.9]])
"""Two pairs of states with a rare jump between the pairs."""


def drawn(chain, n_frames, seed):
    """A trajectory of a Markov chain."""
    rng, upto = np.random.default_rng(seed), chain.cumsum(axis=1)
    states = np.zeros(n_frames, dtype=np.int64)
    for frame, uniform in enumerate(rng.random(n_frames - 1)):
        states[frame + 1] = min(np.searchsorted(upto[states[frame]], uniform, side="right"), len(chain) - 1)
    return states


def network(config, n_states=4):
    """One with history: random weights."""
    torch.manual_seed(0)
    return config.build(n_states).eval()


def products(jumps, modes):
    """Sums of psi_k(now) psi_l(next)."""
    return modes.T @ jumps @ modes[:, 1:]


def test_the_slow_modes_of_a_ring_with_one_weak_bond_are_those_of_the_counted_chain():
    """Eigenvectors of the reversible transition matrix, by scipy's general solver instead of the symmetric one."""
    counts = np.random.default_rng(0).integers(1, 50, size=(6, 6))
    modes = slow_modes(counts, 3)
    both_ways = counts + counts.T
    transition_matrix = both_ways / both_ways.sum(axis=1, keepdims=True)
    values, vectors = np.linalg.eig(transition_matrix)
    order = np.argsort(-values.real)[1:4]
    np.testing.assert_array_equal(modes[:, 0], 1)
    for mode, vector in zip(modes[:, 1:].T, vectors[:, order].real.T, strict=True):
        scale = both_ways.sum() / (both_ways.sum(axis=1) * vector**2).sum()
        np.testing.assert_allclose(np.outer(mode, mode), scale * np.outer(vector, vector), atol=1e-10)


def test_states_apart_from_the_most_visited_have_no_part_in_the_slow_modes():
    counts = np.zeros((5, 5), dtype=np.int64)
    counts[np.ix_([1, 3], [1, 3])] = [[50, 2], [1, 30]]
    counts[np.ix_([0, 4], [0, 4])] = [[5, 1], [1, 5]]
    modes = slow_modes(counts, 10)
    assert modes.shape == (5, 2)
    assert not modes[[0, 2, 4], 1].any()
    assert modes[1, 1] * modes[3, 1] < 0


@pytest.mark.parametrize("config", NETWORKS.values(), ids=NETWORKS.keys())
def test_expected_jumps_are_the_sums_of_the_predictions_after_each_token(config):
    """Against one forward pass over each whole piece."""
    model = network(config)
    pieces = [drawn(CHAIN, n, seed) for n, seed in ((700, 0), (90, 1), (1, 2))]
    expected = np.zeros((4, 4))
    for piece in pieces[:2]:
        logits = model(torch.from_numpy(piece[None, :-1]))[0][0]
        np.add.at(expected, piece[:-1], logits.softmax(dim=-1).detach().numpy())
    np.testing.assert_allclose(expected_jumps(model, pieces, chunk_length=50), expected, rtol=1e-4)


def test_fluxes_that_are_wrong_by_orders_of_magnitude_are_mended_too():
    """A thousandfold, where most jumps are impossible: full Newton steps would overshoot."""
    chain = np.diag(np.full(30, 0.5)) + np.diag(np.full(29, 0.25), 1) + np.diag(np.full(29, 0.25), -1)
    counts = np.round(1e5 * chain).astype(np.int64)
    counts[14, 15] = counts[15, 14] = 25
    expected = counts.astype(float)
    expected[14, 15] = expected[15, 14] = 25_000
    modes = slow_modes(counts, 10)
    theta = slow_fluxes(counts, expected, modes, np.zeros((11, 10)))
    rows = expected * np.exp(modes @ theta @ modes[:, 1:].T)
    mended = counts.sum(axis=1, keepdims=True) * rows / rows.sum(axis=1, keepdims=True)
    left = prior_precision(counts + expected, modes) * np.abs(theta)  # the prior's pull, by hand
    np.testing.assert_allclose(products(mended, modes), products(counts, modes), atol=2 * left.max())


def prior_precision(jumps, modes):
    """As defined, jump by jump: sum of f^4 over sum of f^2, f = psi_k(now) (psi_l(next) - its mean out of now)."""
    precision = np.zeros((modes.shape[1], modes.shape[1] - 1))
    for k in range(precision.shape[0]):
        for m in range(precision.shape[1]):
            mean = jumps @ modes[:, m + 1] / jumps.sum(axis=1)
            f = modes[:, [k]] * (modes[None, :, m + 1] - mean[:, None])
            precision[k, m] = (jumps * f**4).sum() / (jumps * f**2).sum() / PRIOR_WIDTH**2
    return precision


def test_theta_is_where_an_independent_optimiser_finds_the_maximum():
    """Some fluxes were never seen: the prior keeps theta finite."""
    rng = np.random.default_rng(3)
    counts = rng.poisson(4, size=(5, 5)) * (rng.random((5, 5)) < 0.6)
    expected, modes = rng.gamma(1.0, 5.0, size=(5, 5)), slow_modes(counts, 3)
    start = rng.normal(size=(4, 3))
    precision = prior_precision(counts + expected, modes)

    def loss(flat):
        theta = flat.reshape(4, 3)
        rows = expected * np.exp(modes @ (theta - start) @ modes[:, 1:].T)
        rows /= rows.sum(axis=1, keepdims=True)
        return -(counts * np.log(rows)).sum() + (precision * theta**2).sum() / 2

    found = minimize(loss, np.zeros(12), method="BFGS", options={"gtol": 1e-9})
    theta = slow_fluxes(counts, expected, modes, start)
    np.testing.assert_allclose(theta, found.x.reshape(4, 3), atol=1e-3)


def test_a_flux_that_was_expected_twice_and_never_came_is_lowered_but_not_ruled_out():
    """Two states, the second entered once and never left in three frames, where the network expected it twice."""
    counts = np.array([[50, 1], [0, 3]])
    expected = np.array([[50.0, 1.0], [2.0, 1.0]])
    modes = slow_modes(counts, 1)
    theta = slow_fluxes(counts, expected, modes, np.zeros((2, 1)))
    rows = expected * np.exp(modes @ theta @ modes[:, 1:].T)
    leave = rows[1, 0] / rows[1].sum()
    assert 0.05 < leave < 0.5


@pytest.mark.parametrize("config", NETWORKS.values(), ids=NETWORKS.keys())
def test_calibrated_fluxes_are_the_observed_ones_and_the_likelihood_rises(config):
    """From uniform random guesses, a hundred times the rare jumps; the prior keeps two or three of a hundred events."""
    model, piece = network(config), drawn(CHAIN, 100_000, 0)
    counts = jump_counts([piece], 4)
    modes = slow_modes(counts, 10)
    before, loss = expected_jumps(model, [piece]), nll_nats_per_token(model, [piece])
    calibrate(model, [piece])
    flux_before, flux_after, observed = (
        len(piece) - 1 - np.diag(products(jumps, modes)[1:])
        for jumps in (before, expected_jumps(model, [piece]), counts)
    )
    assert flux_before[0] > 50 * observed[0]
    np.testing.assert_allclose(flux_after, observed, rtol=0.06)
    assert nll_nats_per_token(model, [piece]) < loss


def test_calibration_mends_a_rare_jump_that_a_network_overrates_twofold():
    """With as many modes as states, the one-token transition matrix, and so t2, becomes the counted one."""
    wrong = CHAIN.copy()
    wrong[[1, 2], [2, 1]] *= 2
    wrong[[1, 2], [1, 2]] -= 0.002
    model, piece = network(LSTMConfig(8, 16, 1, 0.0)), drawn(CHAIN, 200_000, 0)
    torch.nn.init.zeros_(model.head.weight)
    torch.nn.init.zeros_(model.head.bias)
    model.anchor_to(torch.from_numpy(wrong))
    calibrate(model, [piece])
    counts = jump_counts([piece], 4)
    counted = counts / counts.sum(axis=1, keepdims=True)
    found = model(torch.arange(4)[:, None])[0][:, 0].softmax(dim=-1).detach().numpy()
    assert found[1, 2] == pytest.approx(counted[1, 2], rel=0.02)
    assert found[2, 1] == pytest.approx(counted[2, 1], rel=0.02)
    t2 = [-1 / np.log(np.sort(np.linalg.eigvals(matrix).real)[-2]) for matrix in (found, counted, wrong)]
    assert t2[0] == pytest.approx(t2[1], rel=0.02)
    assert t2[2] < 0.6 * t2[1]


def test_forbidden_jumps_stay_forbidden():
    model, piece = network(LSTMConfig(8, 16, 1, 0.0)), drawn(CHAIN, 2_000, 0)
    model.forbid(torch.from_numpy(CHAIN == 0))
    calibrate(model, [piece])
    assert (expected_jumps(model, [piece])[CHAIN == 0] == 0).all()
    assert torch.isfinite(model.bias_VV).all()


def test_data_of_one_state_leave_a_model_as_it_was():
    model = network(LSTMConfig(8, 16, 1, 0.0))
    calibrate(model, [np.zeros(50, dtype=np.int64)])
    assert not model.bias_VV.any()


def fit(directory, **changes):
    pieces = tuple(drawn(CHAIN, 3_000, seed) for seed in range(2))
    tokens = Split(*(Tokens(part, tuple("abcd"), 0) for part in (pieces, pieces[:1], pieces[1:])))
    settings = {
        "batching": "streams", "context_length": 25, "batch_size": 8, "max_epochs": 2, "patience": 2,
        "learning_rate": 1e-2, "warmup_fraction": 0.1, "weight_decay": 0.0, "gradient_clip": 1.0,
        "precision": "float32", "device": "cpu",
    }  # fmt: skip
    return Training(**settings | changes).fit(NETWORKS["lstm"], tokens, 0, directory, {}).model


def test_a_run_calibrates_its_best_model_once_however_often_it_is_taken_up_again(tmp_path):
    once, again = fit(tmp_path, calibrate=True), fit(tmp_path, calibrate=True)
    by_hand = fit(tmp_path / "plain")
    assert not by_hand.bias_VV.any()
    calibrate(by_hand, [drawn(CHAIN, 3_000, seed) for seed in range(2)])
    for model in (again, by_hand):
        for name, tensor in once.state_dict().items():
            torch.testing.assert_close(model.state_dict()[name], tensor, rtol=0, atol=0)
