import numpy as np
import pytest

from mdlm.model.encoder_decoder import EncoderDecoderConfig
from mdlm.model.gru import GRUConfig
from mdlm.model.lstm import LSTMConfig
from mdlm.model.markov import MarkovConfig
from mdlm.model.transformer import TransformerConfig
from mdlm.sampling.sampling import Sampling
from mdlm.tokens.base import Tokens
from mdlm.training.anchor import GO_ON, markov_anchor
from mdlm.training.evaluate import nll_nats_per_token
from mdlm.training.fitted import load
from mdlm.training.support import unseen_jumps
from mdlm.trajectory import Split

ANCHORED = [
    LSTMConfig(4, 8, 2, 0.0, anchor="markov"),
    GRUConfig(4, 8, 1, 0.0, anchor="markov"),
    TransformerConfig(8, 2, 1, 4, 0.0, anchor="markov"),
    EncoderDecoderConfig(8, 2, 1, 1, 4, 0.0, anchor="markov"),
]
SUPPORTS = ["seen", "all", "counted"]
STILL = 1e-30
"""A learning rate at which no weight leaves the place where it started."""


def test_where_every_jump_was_seen_twice_it_is_what_was_counted():
    """From 0: 0 three times, 1 twice; from 1: 0 twice, 1 three times."""
    piece = np.array([0, 0, 0, 1, 1, 1, 0, 0, 1, 1, 0])
    for support in ("seen", "counted"):
        np.testing.assert_allclose(markov_anchor([piece], [], 2, support), [[0.6, 0.4], [0.4, 0.6]])


LINE = np.array([0, 0, 1, 0, 1, 2, 2, 1, 2, 3, 2, 3, 3, 3, 4, 3, 4])
"""A walk along five states in a row. Out of 3: 2 once, 3 twice, 4 twice; 0 and 1 never."""


def test_the_prior_is_the_end_of_a_walk_on_the_symmetrised_chain():
    """Step by step, and as many pseudo-counts as jumps were seen once: one out of 3, and none out of nowhere else."""
    counts = np.zeros((5, 5))
    np.add.at(counts, (LINE[:-1], LINE[1:]), 1)
    step = (counts + counts.T) / (counts + counts.T).sum(axis=1, keepdims=True)
    end = sum((1 - GO_ON) * GO_ON**further * np.linalg.matrix_power(step, 2 + further) for further in range(80))
    probability = markov_anchor([LINE], [], 5, "seen")
    np.testing.assert_allclose(probability[3], (counts[3] + end[3]) / (5 + 1))
    assert probability[3, 1] > probability[3, 0] > 0
    once = (counts == 1).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(probability, (counts + once * end) / (counts.sum(axis=1, keepdims=True) + once))


def test_all_adds_a_pseudo_count_that_lands_anywhere_once_in_as_many_times_as_jumps_were_counted():
    """Two states that each stay: 0 > 0 four times, 1 > 1 four times, so that 0 and 1 are as populated."""
    pieces = [np.zeros(5, int), np.ones(5, int)]
    assert markov_anchor(pieces, [], 2, "seen").tolist() == [[1, 0], [0, 1]]
    far = 1 / 2 / 8  # of a walk whose other weight is one
    expected = far / (1 + 1 / 8) / (4 + 1)
    assert markov_anchor(pieces, [], 2, "all")[0, 1] == pytest.approx(expected)


def test_rings_that_nothing_joins_stay_apart_and_one_jump_between_them_makes_more_possible():
    rings = [np.tile([0, 1, 2], 5), np.tile([3, 4, 5], 5), np.array([0, 1, 1]), np.array([3, 4, 4])]
    apart = markov_anchor(rings, [], 6, "seen")
    assert apart[:3, 3:].sum() == apart[3:, :3].sum() == 0
    joined = markov_anchor([*rings, np.array([0, 3])], [], 6, "seen")
    assert joined[1, 0] > joined[1, 3] > joined[1, 4] > 0


def test_the_prior_leaves_the_slow_timescale_as_it_was_counted(sample_chain, four_states):
    """Ten states for each of four, so that many jumps are seen once; a uniform prior makes t2 far too short."""
    rng = np.random.default_rng(0)
    pieces = [10 * piece + rng.integers(10, size=len(piece)) for piece in sample_chain(four_states, 8, 1000, seed=5)]

    def t2(matrix):
        return -1 / np.log(np.sort(np.abs(np.linalg.eigvals(matrix)))[-2])

    counted, anchor = (markov_anchor(pieces, [], 40, support) for support in ("counted", "seen"))
    assert (anchor > 0).mean() > (counted > 0).mean() + 0.1
    assert t2(anchor) == pytest.approx(t2(counted), rel=0.05)
    leak = (counted == 0).sum(axis=1) / 200  # about the probability that the prior gives to jumps never seen
    assert t2((1 - leak)[:, None] * counted + leak[:, None] / 40) < 0.5 * t2(counted)


@pytest.mark.parametrize("n_states", [4, 12])
def test_every_row_is_a_distribution_that_holds_all_that_was_seen(n_states):
    rng = np.random.default_rng(0)
    train, validation = [[rng.integers(n_states - 1, size=n)] for n in (40, 30)]
    counted = np.zeros((n_states, n_states), bool)
    for piece in (*train, *validation):
        counted[piece[:-1], piece[1:]] = True
    for support in SUPPORTS:
        probability = markov_anchor(train, validation, n_states, support)
        np.testing.assert_allclose(probability.sum(axis=1), 1)
        assert (probability[counted] > 0).all()
        if support == "counted":
            assert (probability[:-1] > 0).sum() == counted.sum()
        if support == "all":
            assert (probability > 0).all()


def test_what_the_support_rules_out_the_anchor_does_too():
    """Both by jumps seen just once, of which the middle of a walk on a line has none."""
    rng = np.random.default_rng(0)
    walk = np.clip(np.cumsum(rng.choice([-1, 0, 1], size=3000)) % 40, 5, 30)
    ruled_out = unseen_jumps([walk], 40)
    assert ruled_out.any()
    np.testing.assert_array_equal((markov_anchor([walk], [], 40, "seen") == 0)[5:31, 5:31], ruled_out[5:31, 5:31])


def test_out_of_a_state_never_left_every_state_is_possible():
    probability = markov_anchor([np.array([0, 1, 0, 1, 0, 2])], [], 4, "counted")
    np.testing.assert_allclose(probability[[2, 3]], np.tile(np.array([3, 3, 2, 1]) / 9, (2, 1)))


@pytest.mark.parametrize("config", ANCHORED)
def test_an_anchored_model_starts_as_the_counted_chain(config, training, tmp_path):
    """The same likelihood, and with the same random numbers the same chains, as a Markov chain that was counted."""
    rng = np.random.default_rng(0)
    parts = [Tokens((rng.choice(3, p=[0.7, 0.2, 0.1], size=n),), tuple("abc"), 0) for n in (2000, 500, 500)]
    tokens = Split(*parts)
    still = training(learning_rate=STILL, max_epochs=1, support="seen")
    fitted = still.fit(config, tokens, 0, tmp_path, {})
    markov = MarkovConfig(1).build(3)
    markov.count(tokens.train.pieces)
    expected = nll_nats_per_token(markov, tokens.test.pieces)
    assert nll_nats_per_token(fitted.model, tokens.test.pieces) == pytest.approx(expected, abs=1e-6)
    sampling = Sampling(n_chains=20, chain_length=200, prompt_length=2, sampling_temperature=1.5)
    found, plain = (sampling.draw(model, tokens.test.pieces, seed=3).chains for model in (fitted.model, markov))
    assert (found == plain).all(axis=1).mean() > 0.9  # a draw between two roundings may differ


@pytest.mark.parametrize("config", ANCHORED)
def test_training_improves_on_the_chain_where_the_past_matters_and_the_file_holds_all_of_it(config, training, tmp_path):
    """0 0 1 1 2 2 0 0 ...: one past frame tells nothing of whether to stay, two tell all."""
    ring = np.tile([0, 0, 1, 1, 2, 2], 100)
    tokens = Split(*(Tokens((ring,), tuple("abc"), 0) for _ in range(3)))
    fitted = training(max_epochs=8, support="seen").fit(config, tokens, 0, tmp_path, {})
    assert fitted.history[0].train_nll < np.log(2)
    assert nll_nats_per_token(fitted.model, [ring]) < 0.5 * np.log(2)
    assert nll_nats_per_token(fitted.model, [ring[::-1].copy()]) == np.inf  # the other way round was never seen
    loaded = load(tmp_path / "best.safetensors", config)
    assert nll_nats_per_token(loaded, [ring]) == nll_nats_per_token(fitted.model, [ring])
    sampling = Sampling(n_chains=5, chain_length=100, prompt_length=2, sampling_temperature=1.0)
    chains = [sampling.draw(model, [ring], seed=0).chains for model in (fitted.model, loaded)]
    np.testing.assert_array_equal(*chains)


@pytest.mark.parametrize("config", [LSTMConfig, GRUConfig])
def test_another_anchor_is_refused_by_name(config):
    with pytest.raises(ValueError, match=r"^anchor \(semi_markov\) must be one of none, markov, slow_modes$"):
        config(4, 8, 1, 0.0, anchor="semi_markov")
