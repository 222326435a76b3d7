from dataclasses import replace

import numpy as np
import pytest
import torch

from mdlm.model.base import LanguageModel
from mdlm.model.lstm import LSTMConfig
from mdlm.model.markov import MarkovConfig
from mdlm.model.transformer import TransformerConfig
from mdlm.training.context import Gain, context_curve, context_lengths, target_blocks, window_losses

# The probability that the next state is 1, after the two states (a, b) before it: a chain of order two.
ONE_AFTER = np.array([[0.9, 0.3], [0.2, 0.6]])


class SecondOrder(LanguageModel):
    """The exact predictor of the chain above: with one state of history it knows what follows on average."""

    def __init__(self):
        super().__init__(2)
        self.one_after = torch.tensor(ONE_AFTER)
        pairs = stationary_pairs()
        joint = np.einsum("ab,ab->b", pairs, ONE_AFTER) / pairs.sum(axis=0)
        self.one_after_one = torch.tensor(joint)

    def initial_state(self, n_chains):
        return (torch.zeros(1, n_chains, 1, dtype=torch.int64),)

    def forward(self, tokens_BT, state=None):
        last = (state or self.initial_state(len(tokens_BT)))[0][0]
        before = torch.cat([last, tokens_BT[:, :-1] + 1], dim=1)  # 0 for none
        known = self.one_after[(before - 1).clamp(min=0), tokens_BT]
        p = torch.where(before > 0, known, self.one_after_one[tokens_BT])
        return torch.stack([1 - p, p], dim=-1).log(), (tokens_BT[None, :, -1:] + 1,)


def stationary_pairs():
    """P(a, b) of two neighbouring states, by solving for the stationary distribution of the chain of pairs."""
    jump = np.zeros((4, 4))
    for a in range(2):
        for b in range(2):
            jump[2 * a + b, 2 * b + 1] = ONE_AFTER[a, b]
            jump[2 * a + b, 2 * b] = 1 - ONE_AFTER[a, b]
    values, vectors = np.linalg.eig(jump.T)
    vector = vectors[:, np.argmax(values.real)].real
    return (vector / vector.sum()).reshape(2, 2)


def entropy(p):
    return -(p * np.log(p) + (1 - p) * np.log(1 - p))


def second_order_chain(n_frames, seed=0):
    uniform = np.random.default_rng(seed).random(n_frames)
    piece = np.zeros(n_frames, dtype=np.int64)
    for frame in range(2, n_frames):
        piece[frame] = uniform[frame] < ONE_AFTER[piece[frame - 2], piece[frame - 1]]
    return piece


def exact_entropies():
    """Of the next state given one state before it, and given two."""
    pairs = stationary_pairs()
    after_one = np.einsum("ab,ab->b", pairs, ONE_AFTER) / pairs.sum(axis=0)
    return (pairs.sum(axis=0) * entropy(after_one)).sum(), (pairs * entropy(ONE_AFTER)).sum()


def curve_of(model, markov, pieces, n_targets=60_000, max_context=8, **changes):
    arguments = {"token_time": 0.5, "time_unit": "ps", "confidence": 0.9, "seed": 1} | changes
    return context_curve(model, markov, pieces, n_targets=n_targets, max_context=max_context, **arguments)


@pytest.fixture(scope="module")
def pieces():
    return [second_order_chain(40_000, seed) for seed in (0, 1)]


@pytest.fixture(scope="module")
def markov(pieces):
    model = MarkovConfig(1).build(2)
    model.count(pieces)
    return model


@pytest.fixture(scope="module")
def curve(pieces, markov):
    return curve_of(SecondOrder(), markov, pieces)


def test_a_second_order_chain_reaches_its_exact_entropies(curve):
    one, two = exact_entropies()
    assert one - two > 0.05
    np.testing.assert_allclose(curve.nll, [one, two, two, two], atol=0.006)
    assert curve.markov_nll == pytest.approx(one, abs=0.006)
    assert curve.gains[-1].low < one - two < curve.gains[-1].high
    assert curve.markov_gain.low < one - two < curve.markov_gain.high


def test_its_memory_is_two_states_and_needed(curve):
    assert curve.memory == 2
    assert curve.has_levelled_off
    assert curve.uses_history
    assert curve.needs_memory
    assert curve.metrics()["memory_time_ps"] == 1.0
    first, second = curve.sentences()
    assert "saturates within 2 tokens (1 ps)" in first
    assert second.startswith("These tokens need memory")


def test_differences_are_paired(curve):
    """Beyond two states nothing changes for any target, so that these differences have no error at all."""
    assert curve.remaining[1:] == (Gain(0, 0, 0),) * 3
    assert curve.steps[0] == curve.gains[1]
    assert curve.steps[1:] == (Gain(0, 0, 0),) * 2
    whole = curve.gains[-1]
    single = np.std(-np.log(ONE_AFTER)) / np.sqrt(curve.n_targets)
    assert whole.high - whole.low < 5 * single


def test_a_markov_model_makes_no_use_of_history(pieces, markov):
    curve = curve_of(markov, markov, pieces, n_targets=2048)
    assert not curve.uses_history
    assert curve.memory == 1
    assert "no use of history" in curve.sentences()[0]
    assert curve.sentences()[1].startswith("Too few to tell the model from")


def test_a_model_worse_than_the_markov_chain_is_called_that(curve):
    worse = replace(curve, markov_gain=Gain(-0.02, -0.03, -0.01))
    assert "worse than a Markov chain of order one" in worse.sentences()[1]
    assert "0.0200 [0.0100, 0.0300]" in worse.sentences()[1]


def test_a_gain_that_goes_on_is_not_said_to_saturate(curve):
    rising = replace(curve, remaining=(Gain(3, 2, 4), Gain(2, 1, 3), Gain(1, 0.5, 2), Gain(0, 0, 0)))
    assert not rising.has_levelled_off
    assert "still rising at 8 tokens" in rising.sentences()[0]


@pytest.mark.parametrize(
    "config",
    [
        LSTMConfig(embedding=3, hidden=5, layers=2, dropout=0.2),
        TransformerConfig(width=8, heads=2, layers=2, window=4, dropout=0.1),
        MarkovConfig(order=3),
    ],
)
def test_each_target_is_predicted_from_exactly_that_many_tokens(config):
    """One by one, by hand; a token before the window must not matter."""
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    tape = rng.integers(4, size=200)
    model = config.build(4)
    if isinstance(config, MarkovConfig):
        model.count([tape])
    targets = np.array([20, 21, 150])
    losses = window_losses(model.train(), tape, targets, 6)
    assert model.training  # as it was
    model.eval()
    for target, loss in zip(targets, losses, strict=True):
        with torch.no_grad():
            logits, _ = model(torch.from_numpy(tape[None, target - 6 : target]))
        assert loss == pytest.approx(-torch.log_softmax(logits[0, -1], 0)[tape[target]].item(), rel=1e-5)
    changed = tape.copy()
    changed[:14] = 3 - changed[:14]
    np.testing.assert_allclose(window_losses(model, changed, targets[:1], 6), losses[:1], rtol=1e-5)


def test_the_share_that_counts_is_one_of_the_gain_over_the_markov_chain(curve):
    """One token alone predicts badly where a model never met it alone; that gain must not hide the rest."""
    remaining = (Gain(1.0, 0.9, 1.1), Gain(0.04, 0.03, 0.05), Gain(0.004, 0.003, 0.005), Gain(0, 0, 0))
    made = replace(curve, gains=(*curve.gains[:-1], Gain(1.0, 0.9, 1.1)), remaining=remaining)
    assert replace(made, markov_gain=Gain(0.1, 0.09, 0.11)).memory == 4  # 0.04 is more than 0.005
    assert replace(made, markov_gain=Gain(0.1, -0.2, 0.3)).memory == 2  # 0.04 is less than 0.05


def test_no_history_crosses_a_boundary():
    pieces = [np.full(100, number) for number in range(5)] + [np.full(7, 5)]
    tape, targets = target_blocks(pieces, history=30, n_targets=10_000, rng=np.random.default_rng(0))
    for target in targets.ravel():
        assert len(set(tape[target - 30 : target + 1])) == 1
    assert 5 not in tape[targets]  # too short for any target
    assert len(np.unique(targets)) == targets.size


def test_impossible_targets_are_left_out_and_counted():
    piece = second_order_chain(3000)
    markov = MarkovConfig(1).build(2)
    markov.count([np.array([0, 0, 1, 0, 1, 0, 0])])  # never 1 after 1
    curve = curve_of(SecondOrder(), markov, [piece], n_targets=1024)
    assert curve.n_impossible > 0
    assert curve.n_targets + curve.n_impossible == 1024
    assert np.isfinite(curve.nll).all()


def test_the_longest_history_is_half_of_the_longest_piece():
    markov = MarkovConfig(1).build(2)
    piece = second_order_chain(40)
    markov.count([piece])
    assert curve_of(markov, markov, [piece], max_context=512).lengths.tolist() == [1, 2, 4, 8, 16]


def test_pieces_without_a_target_are_refused():
    with pytest.raises(ValueError, match=r"^history \(5\) leaves no target in held-out pieces of up to 5 tokens"):
        target_blocks([np.zeros(5, int)], 5, 10, np.random.default_rng(0))


def test_intervals_cover_the_exact_gain():
    """90 % intervals of 60 independent chains: the exact gain lies in 54 of them, give or take two deviations."""
    one, two = exact_entropies()
    model, covered = SecondOrder(), 0
    for seed in range(60):
        piece = second_order_chain(3000, seed=100 + seed)
        markov = MarkovConfig(1, "all").build(2)
        markov.count([piece])
        gain = curve_of(model, markov, [piece], n_targets=2560, max_context=2, seed=seed).gains[-1]
        covered += gain.low < one - two < gain.high
    assert 49 <= covered <= 59


def test_lengths_double():
    assert context_lengths(1).tolist() == [1]
    assert context_lengths(1000).tolist() == [1, 2, 4, 8, 16, 32, 64, 128, 256, 512]
