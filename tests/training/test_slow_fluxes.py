from unittest.mock import Mock

import numpy as np
import pytest
import torch
from scipy.optimize import minimize, minimize_scalar
from torch.testing import assert_close

from mdlm.model.gru import GRUConfig
from mdlm.model.lstm import LSTMConfig
from mdlm.model.slow_memory import N_MODES, TIMES
from mdlm.model.transformer import TransformerConfig
from mdlm.sampling.sampling import Sampling
from mdlm.tokens.base import Tokens
from mdlm.training import slow_fluxes
from mdlm.training.anchor import markov_anchor
from mdlm.training.evaluate import nll_nats_per_token
from mdlm.training.slow_fluxes import LARGEST, PRIOR_WIDTH, SIZE_PRIOR_WIDTH, fit_slow_memory, slow_modes
from mdlm.training.support import jump_counts
from mdlm.training.training import Training
from mdlm.trajectory import Split

NETWORKS = {
    "lstm": LSTMConfig(8, 16, 1, 0.0, anchor="slow_modes"),
    "gru": GRUConfig(8, 16, 1, 0.0, anchor="slow_modes"),
    "transformer": TransformerConfig(8, 2, layers=1, window=6, dropout=0.0, anchor="slow_modes"),
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
    model = config.build(n_states).eval()
    torch.nn.init.normal_(model.head.weight, std=0.3)
    return model


def running_means(piece, modes):
    """After each token, those of each time and mode; one by one."""
    means = np.zeros((len(piece), len(TIMES), modes.shape[1]))
    for n, time in enumerate(TIMES):
        mean, keep = np.zeros(modes.shape[1]), np.exp(-1 / time)
        for frame, token in enumerate(piece):
            mean = keep * mean + (1 - keep) * modes[token]
            means[frame, n] = mean
    return means


def features(piece, modes):
    """One, the modes at the last token, and how much their running means differ from them."""
    now = modes[piece]
    apart = running_means(piece, modes) - now[:, None]
    return np.concatenate([np.ones((len(piece), 1)), now, apart.reshape(len(piece), -1)], axis=1)[:-1]


def rows(model, piece):
    """What a model predicts after each token of a piece but the last."""
    with torch.inference_mode():
        return model(torch.from_numpy(piece[None, :-1]))[0][0].double().softmax(dim=-1).numpy()


def test_the_slow_modes_of_a_ring_with_weak_bonds_are_those_of_the_counted_chain():
    """Eigenvectors of the reversible transition matrix, by scipy's general solver instead of the symmetric one."""
    rng = np.random.default_rng(0)
    counts = np.diag(np.full(6, 9000)) + rng.integers(1, 50, size=(6, 6))
    modes = slow_modes(counts, N_MODES)
    both_ways = counts + counts.T
    transition_matrix = both_ways / both_ways.sum(axis=1, keepdims=True)
    values, vectors = np.linalg.eig(transition_matrix)
    order = np.argsort(-values.real)[1:]
    assert modes.shape == (6, 5)
    for mode, vector in zip(modes.T, vectors[:, order].real.T, strict=True):
        scale = both_ways.sum() / (both_ways.sum(axis=1) * vector**2).sum()
        np.testing.assert_allclose(np.outer(mode, mode), scale * np.outer(vector, vector), atol=1e-8)


def line_of(n_states):
    """Counts of a walk on a line that stays where a step would leave it: every state is as populated."""
    counts = np.eye(n_states, k=1, dtype=np.int64) + np.eye(n_states, k=-1, dtype=np.int64)
    counts[0, 0] = counts[-1, -1] = 1
    return counts


def test_slow_modes_of_many_states_are_found_without_the_others(monkeypatch):
    """On a line they are cosines, mode k of k half waves; those of rates k^2 below 20 are slow."""
    monkeypatch.setattr(slow_fluxes, "FEW", 100)
    monkeypatch.setattr(np.linalg, "eigh", None)
    modes = slow_modes(line_of(200), N_MODES)
    for number, mode in enumerate(modes.T, start=1):
        wave = np.sqrt(2) * np.cos(np.pi * number * (np.arange(200) + 0.5) / 200)
        np.testing.assert_allclose(mode * np.sign(mode[0]), wave, atol=1e-4)
    assert modes.shape[1] == 4


def test_where_they_are_not_found_that_way_all_are_computed(monkeypatch):
    monkeypatch.setattr(slow_fluxes, "FEW", 100)
    monkeypatch.setattr(slow_fluxes, "MAX_ITERATIONS", 3)
    monkeypatch.setattr(np.linalg, "eigh", Mock(wraps=np.linalg.eigh))
    modes = slow_modes(line_of(200), N_MODES)
    np.linalg.eigh.assert_called_once()
    np.testing.assert_allclose(abs(modes[:, 0]), abs(np.sqrt(2) * np.cos(np.pi * (np.arange(200) + 0.5) / 200)))


def test_fast_modes_are_left_out():
    """Timescales by hand: of exchange between the pairs about 1000 frames, within a pair 1 / -ln 0.8 = 4.5."""
    counts = np.array([[900, 100, 0, 0], [100, 898, 2, 0], [0, 2, 898, 100], [0, 0, 100, 900]])
    modes = slow_modes(counts, N_MODES)
    assert modes.shape == (4, 1)
    np.testing.assert_allclose(abs(modes[:, 0]), 1, atol=0.03)
    assert (np.sign(modes[:2, 0]) == -np.sign(modes[2:, 0])).all()


def test_states_apart_from_the_most_visited_have_no_part_in_the_slow_modes():
    counts = np.zeros((5, 5), dtype=np.int64)
    counts[np.ix_([1, 3], [1, 3])] = [[50, 2], [1, 30]]
    counts[np.ix_([0, 4], [0, 4])] = [[5, 1], [1, 5]]
    modes = slow_modes(counts, N_MODES)
    assert modes.shape == (5, 1)
    assert not modes[[0, 2, 4]].any()
    assert modes[1, 0] * modes[3, 0] < 0


def test_modes_of_states_hardly_ever_visited_are_cut_off():
    counts = np.array([[100_000, 1], [1, 1]])
    assert abs(slow_modes(counts, N_MODES)).max() == LARGEST


@pytest.mark.parametrize("n_frames", [0, 1, 50])
def test_data_of_one_state_leave_a_model_as_it_was(n_frames):
    model = network(NETWORKS["lstm"])
    fit_slow_memory(model, [np.zeros(n_frames, dtype=np.int64)], [])
    assert not model.added_VV.any()
    assert not model.slow_memory.lift_MV.any()


@pytest.mark.parametrize("config", NETWORKS.values(), ids=NETWORKS.keys())
def test_a_fitted_model_expects_the_products_that_came(config):
    """Of random guesses, a hundred times the rare jumps, computed piece by piece; the prior keeps a few percent."""
    model, piece = network(config), drawn(CHAIN, 10_000, 0)
    modes = slow_modes(jump_counts([piece], 4), N_MODES)
    phi, observed = features(piece, modes), modes[piece[1:]]
    wrong, loss = phi.T @ (observed - rows(model, piece) @ modes), nll_nats_per_token(model, [piece])
    fit_slow_memory(model, [piece], [])
    left = phi.T @ (observed - rows(model, piece) @ modes)
    assert abs(left).max() < 0.03 * abs(wrong).max()
    assert abs(left[1]) < 0.03 * abs(wrong[1])
    assert nll_nats_per_token(model, [piece]) < loss


def test_theta_is_where_an_independent_optimiser_finds_the_maximum():
    """The likelihood of a random network's predictions, tilted, and the prior, both written out as defined."""
    model, piece = network(NETWORKS["lstm"]), drawn(CHAIN, 2_000, 1)
    modes = slow_modes(jump_counts([piece], 4), N_MODES)
    phi, start, taken = features(piece, modes), rows(model, piece), np.arange(len(piece) - 1)
    n_features, n_modes = phi.shape[1], modes.shape[1]
    change = modes[piece[1:]] - start @ modes
    precision = (phi**4).T @ change**4 / ((phi**2).T @ change**2) / PRIOR_WIDTH**2

    def loss(flat):
        theta = flat.reshape(n_features, n_modes)
        tilted = start * np.exp(phi @ theta @ modes.T)
        likelihood = np.log(tilted[taken, piece[1:]] / tilted.sum(axis=1)).sum()
        return -likelihood + (precision * theta**2).sum() / 2

    found = minimize(loss, np.zeros(n_features * n_modes), method="BFGS", options={"gtol": 1e-6})
    theta = found.x.reshape(n_features, n_modes)
    fit_slow_memory(model, [piece], [])
    expected = start * np.exp(phi @ theta @ modes.T)
    np.testing.assert_allclose(rows(model, piece), expected / expected.sum(axis=1, keepdims=True), atol=5e-3)
    assert abs(theta[1 + n_modes :]).max() > 0.1  # the means do matter to what is compared


def added(model):
    """What a fit has changed."""
    return model.added_VV.clone(), model.slow_memory.lift_MV.clone()


def test_the_size_of_theta_is_where_an_independent_optimiser_finds_the_maximum_of_the_held_out_likelihood():
    """Of a network that holds rare jumps for likely, as the held-out data do by half."""
    model, train = network(NETWORKS["lstm"]), drawn(CHAIN, 5_000, 1)
    held_out = drawn((CHAIN + rows(model, np.arange(5) % 4)) / 2, 1_000, 2)
    fit_slow_memory(model, [train], [])
    added_VV, lift_MV = added(model)

    def loss(size):
        model.added_VV.copy_(size * added_VV)
        model.slow_memory.lift_MV.copy_(size * lift_MV)
        return nll_nats_per_token(model, [held_out]) * (len(held_out) - 1) + ((size - 1) / SIZE_PRIOR_WIDTH) ** 2 / 2

    expected = minimize_scalar(loss, (0.2, 1.0)).x
    loss(0)
    fit_slow_memory(model, [train], [held_out])
    assert 0.1 < expected < 0.9
    assert_close(model.added_VV, expected * added_VV, rtol=0.03, atol=1e-3)
    assert_close(model.slow_memory.lift_MV, expected * lift_MV, rtol=0.03, atol=1e-3)


def test_what_held_out_data_do_not_show_is_hardly_added():
    """Anchored to the chain that held-out data come from; in the training data the rare jump is five times rarer."""
    model, rarer = NETWORKS["lstm"].build(4), CHAIN.copy()
    rarer[[1, 2], [2, 1]], rarer[[1, 2], [1, 2]] = 0.0004, 0.8996
    model.anchor_to(torch.from_numpy(CHAIN))
    fit_slow_memory(model, [drawn(rarer, 50_000, 0)], [])
    in_full = added(model)[0]
    model.anchor_to(torch.from_numpy(CHAIN))
    anchor = model.added_VV.clone()
    fit_slow_memory(model, [drawn(rarer, 50_000, 0)], [drawn(CHAIN, 50_000, 1)])
    assert abs(added(model)[0] - anchor).nan_to_num(0).max() < 0.35 * abs(in_full - anchor).nan_to_num(0).max()


def test_a_flux_that_was_expected_and_never_came_is_lowered_but_not_ruled_out():
    """The second state, entered once, was not left in three frames, where the chain expects it 1.2 times."""
    model, piece = NETWORKS["lstm"].build(2), np.repeat([0, 1], [50, 4])
    model.anchor_to(torch.tensor([[0.98, 0.02], [0.4, 0.6]]))
    fit_slow_memory(model, [piece], [])
    leave = rows(model, piece)[-1, 0]
    assert 0.02 < leave < 0.4


def remembering(n_frames, seed):
    """Two states; a jump is taken back twenty times more often while the side before was held for long."""
    rng = np.random.default_rng(seed)
    states, mean = np.zeros(n_frames, dtype=np.int64), 0.0
    for frame in range(1, n_frames):
        last = states[frame - 1]
        mean = np.exp(-1 / 8) * mean + (1 - np.exp(-1 / 8)) * (2 * last - 1)
        against = mean * (1 - 2 * last)  # 1: the chain has been on the other side
        leaves = 0.004 * np.exp(1.5 * (against + 1))
        states[frame] = 1 - last if rng.random() < leaves else last
    return states


def t2_at_100(pieces):
    """Of two-state trajectories, by counting over 100 frames: -100 / ln(1 - leave - return)."""
    counts = np.zeros((2, 2))
    for piece in pieces:
        np.add.at(counts, (piece[:-100], piece[100:]), 1)
    chain = counts / counts.sum(axis=1, keepdims=True)
    return -100 / np.log(chain[0, 0] + chain[1, 1] - 1)


def test_a_network_without_a_memory_of_its_own_learns_here_that_crossings_turn_back():
    """Anchored to the counted chain and nothing else, its t2 is that of lag 1; fitted, that of long lags too."""
    data = remembering(200_000, 0)
    truth = t2_at_100([data])
    model = LSTMConfig(4, 8, 1, 0.0, anchor="slow_modes").build(2)
    counts = jump_counts([data], 2)
    model.anchor_to(torch.from_numpy(counts / counts.sum(axis=1, keepdims=True)))

    def sampled_t2():
        sampling = Sampling(n_chains=100, chain_length=4000, prompt_length=20, sampling_temperature=1.0)
        chains = sampling.draw(model, [data], 0).chains
        return t2_at_100(chains.astype(int))

    before = sampled_t2()
    fit_slow_memory(model, [data], [])
    after = sampled_t2()
    assert before < 0.75 * truth
    assert after == pytest.approx(truth, rel=0.12)


def test_forbidden_jumps_stay_forbidden():
    model, piece = network(NETWORKS["lstm"]), drawn(CHAIN, 2_000, 0)
    model.forbid(torch.from_numpy(CHAIN == 0))
    fit_slow_memory(model, [piece], [])
    predicted = rows(model, piece)
    assert not predicted[CHAIN[piece[:-1]] == 0].any()
    assert torch.isfinite(model.added_VV[CHAIN > 0]).all()
    assert torch.isfinite(model.slow_memory.lift_MV).all()


def test_several_pieces_do_not_remember_each_other():
    """Two pieces at once have the sums of both."""
    pieces = [drawn(CHAIN, 6_000, seed) for seed in range(2)]
    model, modes = network(NETWORKS["lstm"]), slow_modes(jump_counts(pieces, 4), N_MODES)
    wrong = sum(features(p, modes).T @ (modes[p[1:]] - rows(model, p) @ modes) for p in pieces)
    fit_slow_memory(model, pieces, [])
    left = sum(features(p, modes).T @ (modes[p[1:]] - rows(model, p) @ modes) for p in pieces)
    assert abs(left).max() < 0.05 * abs(wrong).max()


def fit(directory, **changes):
    pieces = tuple(drawn(CHAIN, 3_000, seed) for seed in range(2))
    tokens = Split(*(Tokens(part, tuple("abcd"), 0) for part in (pieces, pieces[:1], pieces[1:])))
    settings = {
        "batching": "streams", "context_length": 25, "batch_size": 8, "max_epochs": 2, "patience": 2,
        "learning_rate": 1e-2, "warmup_fraction": 0.1, "weight_decay": 0.0, "gradient_clip": 1.0,
        "precision": "float32", "device": "cpu",
    }  # fmt: skip
    return Training(**settings | changes).fit(NETWORKS["lstm"], tokens, 0, directory, {}).model


def test_a_run_that_learns_nothing_is_the_chain_with_its_memory(tmp_path):
    """By hand on a fresh network, whose output layer is zero, anchored as training does it."""
    model = fit(tmp_path, learning_rate=1e-30)
    pieces = [drawn(CHAIN, 3_000, seed) for seed in range(2)]
    by_hand = NETWORKS["lstm"].build(4)
    by_hand.anchor_to(torch.from_numpy(markov_anchor(pieces, pieces, 4, "seen")))
    fit_slow_memory(by_hand, pieces, pieces[:1])
    assert by_hand.slow_memory.lift_MV.any()
    for name in ("slow_memory.lift_MV", "slow_memory.modes_VK", "added_VV"):
        assert_close(model.state_dict()[name], by_hand.state_dict()[name], rtol=0, atol=1e-6)


def test_a_run_fits_the_memory_to_what_it_has_learned_and_once_only(tmp_path):
    once, again = fit(tmp_path), fit(tmp_path)
    assert once.head.weight.any()
    assert_close(again.state_dict(), once.state_dict(), rtol=0, atol=0)
