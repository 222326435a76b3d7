import numpy as np
import pytest
import torch

from mdlm.model.encoder_decoder import EncoderDecoderConfig
from mdlm.model.gru import GRUConfig
from mdlm.model.lstm import LSTMConfig
from mdlm.model.markov import MarkovConfig
from mdlm.model.transformer import TransformerConfig
from mdlm.sampling.sampling import Sampling
from mdlm.tokens.base import Tokens
from mdlm.training.anchor import markov_anchor, seen_once_beyond
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


def test_where_every_jump_was_seen_it_is_what_was_counted():
    """From 0: 0 three times, 1 twice; from 1: 0 once, 1 three times."""
    piece = np.array([0, 0, 0, 1, 1, 1, 1, 0, 0, 1])
    expected = [[3 / 5, 2 / 5], [1 / 4, 3 / 4]]
    for support in SUPPORTS:
        np.testing.assert_allclose(markov_anchor([piece], [], 2, support), expected)


CHAIN = np.array([0, 0, 1, 0, 1, 2, 2, 1, 2, 3, 2, 3, 3, 3, 4, 3, 4])
"""A walk along a line of five states. Out of 3: 2 once, 3 twice, 4 twice; 0 and 1 never."""


def test_unseen_jumps_get_the_share_of_those_seen_once():
    """Out of 3: one of five, and one of prior knowledge makes it one of six. Out of 0, 0 > 0 once and 0 > 1 twice."""
    probability = markov_anchor([CHAIN], [], 5, "seen")
    assert probability[3, [0, 1]].sum() == pytest.approx(1 / 6)
    assert probability[0, 2:].sum() == pytest.approx(1 / 4)
    np.testing.assert_allclose(probability[3, 2:], np.array([1, 2, 2]) / 5 * (5 / 6))


def test_only_what_two_steps_reach_is_possible_where_no_jump_seen_once_led_further():
    """Seen once, 0 > 0, 1 > 0, 2 > 2, 2 > 1, 3 > 2 and 4 > 3 stay or have their reverse seen."""
    probability = markov_anchor([CHAIN], [], 5, "seen")
    assert probability[3, 1] == pytest.approx(1 / 6)
    assert probability[3, 0] == probability[4, 0] == probability[4, 1] == 0


def test_two_steps_share_by_the_symmetrised_counts():
    """Out of 0, 1 is seen; by way of 1, links 1 - 2 of weight 2 and 1 - 3 of weight 4 lead on."""
    pieces = [np.array(p) for p in ([0, 1], [1, 2], [1, 2], [1, 3], [3, 1], [1, 3], [1, 3], [1, 0])]
    row = markov_anchor(pieces, [], 4, "seen")[0]
    assert row[1] == pytest.approx(1 / 2)  # one jump, seen once, and one of prior knowledge
    # of 1's links 2 in 8 lead back to 0, as do 2 to 2 and 4 to 3
    np.testing.assert_allclose(row[[0, 2, 3]], np.array([2, 2, 4]) / 8 / 2)


def test_rings_that_nothing_joins_stay_apart_and_one_jump_between_them_makes_more_possible():
    rings = [np.tile([0, 1, 2], 5), np.tile([3, 4, 5], 5), np.array([0, 1, 1]), np.array([3, 4, 4])]
    apart = markov_anchor(rings, [], 6, "seen")
    assert apart[:3, 3:].sum() == apart[3:, :3].sum() == 0
    joined = markov_anchor([*rings, np.array([0, 3])], [], 6, "seen")
    assert joined[1, 4] > 0  # by eight steps, as 0 > 3 led further than four along other links
    assert joined[1, 0] > joined[1, 3] > joined[1, 4]


def test_how_far_jumps_seen_once_led_is_what_a_search_without_their_own_link_finds():
    counts = np.random.default_rng(1).choice([0, 1, 2], p=[0.93, 0.05, 0.02], size=(40, 40))
    linked = counts + counts.T > 0
    lengths = []
    for start, end in np.argwhere(counts == 1):
        without = linked.copy()
        if counts[end, start] == 0:
            without[start, end] = without[end, start] = False
        reached, length = {start}, 0
        while end not in reached and length < 5:
            reached |= {j for i in reached for j in np.flatnonzero(without[i])}
            length += 1
        lengths.append(length)
    expected = sum(length > 2 for length in lengths), sum(length > 4 for length in lengths)
    assert seen_once_beyond(counts) == expected
    assert expected[0] > expected[1] > 0


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
    """Both by jumps seen just once; the anchor may rule out more, of what is further than two steps."""
    rng = np.random.default_rng(0)
    walk = np.cumsum(rng.choice([-1, 0, 1], size=400)) % 20
    impossible = markov_anchor([walk], [], 20, "seen") == 0
    assert impossible[unseen_jumps([walk], 20)].all()
    assert impossible.any()


def test_out_of_a_state_never_left_every_state_is_possible():
    probability = markov_anchor([np.array([0, 1, 0, 1, 0, 2])], [], 4, "counted")
    np.testing.assert_allclose(probability[[2, 3]], np.tile(np.array([3, 3, 2, 1]) / 9, (2, 1)))


@pytest.mark.parametrize("config", ANCHORED)
def test_an_anchored_model_starts_as_the_counted_chain(config, training, tmp_path):
    """The same likelihood, and with the same random numbers the same chains, as a Markov chain that was counted."""
    rng = np.random.default_rng(0)
    parts = [Tokens((rng.choice(3, p=[0.7, 0.2, 0.1], size=n),), tuple("abc"), 0) for n in (2000, 500, 500)]
    tokens = Split(*parts)
    still = training(learning_rate=STILL, max_epochs=1)
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


def test_a_model_built_without_an_anchor_cannot_be_anchored():
    with pytest.raises(ValueError, match="its configuration must say anchor=markov"):
        LSTMConfig(4, 8, 1, 0.0).build(3).anchor_to(torch.eye(3))


@pytest.mark.parametrize("config", [LSTMConfig, GRUConfig])
def test_another_anchor_is_refused_by_name(config):
    with pytest.raises(ValueError, match=r"^anchor \(semi_markov\) must be one of none, markov$"):
        config(4, 8, 1, 0.0, anchor="semi_markov")
