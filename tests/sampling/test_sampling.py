import numpy as np
import pytest
import torch
from scipy.stats import chisquare
from torch.testing import assert_close

from mdlm.model.base import LanguageModel
from mdlm.model.lstm import LSTMConfig
from mdlm.model.markov import MarkovConfig
from mdlm.model.transformer import TransformerConfig
from mdlm.sampling.engines import inverse_cdf
from mdlm.sampling.sampling import Sampling, prompts

PROMPTS = [np.array([0, 1, 0, 1, 0, 1])]
TWO_STATES = np.array([[0.9, 0.1], [0.3, 0.7]])


def sampling(**changes):
    fields = {"n_chains": 100, "chain_length": 300, "prompt_length": 3, "sampling_temperature": 1.0}
    return Sampling(**fields | changes)


class Constant(LanguageModel):
    """The same logits after every history; has no parameters."""

    def __init__(self, logits):
        super().__init__(len(logits))
        self.logits = torch.tensor(logits)

    def initial_state(self, n_chains):
        return (torch.zeros(1, n_chains),)

    def forward(self, tokens_BT, state=None):
        return self.logits.expand(*tokens_BT.shape, -1), state


def counted(pieces, n_states, order=1):
    model = MarkovConfig(order).build(n_states)
    model.count(pieces)
    return model


def with_jumps(matrix, n=100):
    """A Markov chain of exactly these probabilities: n jumps from each state, in pieces of two frames."""
    counts = np.rint(n * np.array(matrix)).astype(int)
    return counted([np.array([i, j]) for i, j in np.ndindex(counts.shape) for _ in range(counts[i, j])], len(counts))


def jumps(chains, n_states):
    counts = np.zeros((n_states, n_states))
    np.add.at(counts, (chains[:, :-1].astype(int), chains[:, 1:].astype(int)), 1)
    return counts


def test_equal_logits_give_every_state_equally_often():
    """Chi-square of 30,000 tokens, the seed fixed."""
    chains = sampling().draw(Constant([0.0] * 7), PROMPTS, seed=0).chains
    assert chisquare(np.bincount(chains.ravel(), minlength=7)).pvalue > 0.001


def test_neighbouring_tokens_and_chains_are_independent():
    """Each of 3 x 3 pairs equally often, in time and across chains; no token in two pairs."""
    chains = sampling().draw(Constant([0.0] * 3), PROMPTS, seed=1).chains
    for neighbours in (chains, chains.T):
        assert chisquare(jumps(neighbours.reshape(-1, 2), 3).ravel()).pvalue > 0.001


def test_a_known_chain_is_sampled_with_its_transition_matrix():
    """Chi-square of every row; all expected counts are above 500."""
    matrix = np.array([[0.90, 0.08, 0.02], [0.10, 0.85, 0.05], [0.02, 0.08, 0.90]])
    counts = jumps(sampling(chain_length=1000).draw(with_jumps(matrix), PROMPTS, seed=0).chains, 3)
    for row, expected in zip(counts, matrix, strict=True):
        assert chisquare(row, row.sum() * expected).pvalue > 0.001


def test_a_chain_of_order_two_is_sampled_with_its_memory():
    """After a state and its predecessor; a sampler that lost the state between steps would know only the state."""
    rng = np.random.default_rng(0)
    piece = np.zeros(3000, dtype=np.int64)
    for t in range(2, 3000):
        piece[t] = (piece[t - 1] if rng.random() < 0.6 else 0) ^ (rng.random() < (0.1 if piece[t - 2] else 0.4))
    model = counted([piece], 2, order=2)
    chains = sampling(n_chains=50, chain_length=1000).draw(model, [piece], seed=0).chains.astype(int)
    for before in (0, 1):
        for state in (0, 1):
            at = (chains[:, :-2] == before) & (chains[:, 1:-1] == state)
            expected = model(torch.tensor([[before, state]]))[0][0, -1].exp()[1].item()
            error = np.sqrt(expected * (1 - expected) / at.sum())
            assert chains[:, 2:][at].mean() == pytest.approx(expected, abs=4 * error)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
def test_the_temperature_is_a_power_of_the_probabilities(temperature):
    """p^(1/T), normalised: hops of 0.1 become 0.012 at T = 1/2, and 0.25 at 2. Within four standard errors."""
    settings = sampling(chain_length=500, sampling_temperature=temperature)
    counts = jumps(settings.draw(with_jumps(TWO_STATES), PROMPTS, seed=3).chains, 2)
    power = TWO_STATES ** (1 / temperature)
    for row, expected in zip(counts, power / power.sum(axis=1, keepdims=True), strict=True):
        error = np.sqrt(expected[0] * expected[1] / row.sum())
        assert row[0] / row.sum() == pytest.approx(expected[0], abs=4 * error)


def test_a_jump_that_never_occurred_is_never_sampled():
    model = counted([np.array([0, 1, 1, 2, 2, 0, 0, 1, 2, 0])], 3)
    chains = sampling(chain_length=2000, sampling_temperature=3.0).draw(model, PROMPTS, seed=0).chains
    assert set(np.diff(chains.astype(int)).ravel()) == {0, 1, -2}


@pytest.mark.parametrize(
    "config",
    [
        LSTMConfig(embedding=4, hidden=8, layers=2, dropout=0.5),
        TransformerConfig(width=8, heads=2, layers=2, window=4, dropout=0.5),
    ],
)
def test_the_seed_decides_everything_and_dropout_is_off(config):
    """Trap 4: a model left in training mode is sampled as if it had been put into evaluation mode."""
    torch.manual_seed(0)
    model = config.build(2)
    one = sampling().draw(model.train(), PROMPTS, seed=5)
    torch.rand(3)
    same, other = sampling().draw(model.eval(), PROMPTS, seed=5), sampling().draw(model, PROMPTS, seed=6)
    assert np.array_equal(one.chains, same.chains)
    assert np.array_equal(one.prompts, same.prompts)
    assert not np.array_equal(one.chains, other.chains)
    assert len(np.unique(one.chains, axis=0)) == 100
    assert not any(part.training for part in model.modules())


@pytest.mark.parametrize(
    "config",
    [
        LSTMConfig(embedding=4, hidden=8, layers=2, dropout=0.0),
        TransformerConfig(width=8, heads=2, layers=2, window=4, dropout=0.0),
        MarkovConfig(order=3),
    ],
)
def test_every_token_has_the_probability_of_a_forward_over_all_before_it(config):
    """So cold that the likeliest state is as good as certain: the chain must be the one a full forward predicts."""
    torch.manual_seed(1)
    model, piece = config.build(3).eval(), np.random.default_rng(0).integers(3, size=60)
    if isinstance(model.config, MarkovConfig):
        model.count([piece])
    else:
        for parameter in model.parameters():
            parameter.data *= 3  # away from a constant sequence
    settings = sampling(n_chains=5, chain_length=40, prompt_length=10, sampling_temperature=1e-9)
    sampled = settings.draw(model, [piece], seed=0)
    whole = torch.from_numpy(np.hstack([sampled.prompts, sampled.chains]))
    with torch.no_grad():
        logits = model(whole[:, :-1])[0][:, 9:]
    best_two = logits.topk(2).values
    clear = best_two[..., 0] - best_two[..., 1] > 1e-4  # no tie
    assert clear.float().mean() > 0.5
    assert torch.equal(logits.argmax(dim=-1)[clear], whole[:, 10:][clear])


@pytest.mark.parametrize(("n_states", "dtype"), [(3, np.uint8), (256, np.uint8), (257, np.int32), (1000, np.int32)])
def test_chains_continue_their_prompts_in_the_smallest_integers_that_hold_the_states(n_states, dtype):
    """A ring 0 > 1 > ... > 0; the prompt is not part of the chain; longer than the 256 frames of a block."""
    ring = np.arange(3 * n_states) % n_states
    settings = sampling(n_chains=4, chain_length=1100, prompt_length=5)
    sampled = settings.draw(counted([ring], n_states), [ring], seed=0)
    assert sampled.chains.shape == (4, 1100)
    assert sampled.chains.dtype == dtype
    assert sampled.prompts.shape == (4, 5)
    expected = (sampled.prompts[:, -1:] + 1 + np.arange(1100)) % n_states
    assert np.array_equal(sampled.chains, expected)


def test_progress_never_goes_back_and_ends_at_the_total():
    reports = []
    sampled = sampling(n_chains=10, chain_length=600).draw(
        Constant([0.0, 0.0]), PROMPTS, 0, lambda *report: reports.append(report[:2])
    )
    assert reports == [(2560, 6000), (5120, 6000), (6000, 6000)]
    assert sampled.tokens_per_second == pytest.approx(6000 / sampled.seconds)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"n_chains": 0}, r"n_chains \(0\) must be at least 1"),
        ({"chain_length": 0}, r"chain_length \(0\) must be at least 1"),
        ({"prompt_length": 0}, r"prompt_length \(0\) must be at least 1"),
        ({"sampling_temperature": 0.0}, r"sampling_temperature \(0\) must be above 0"),
        ({"sampling_temperature": float("nan")}, r"sampling_temperature \(nan\) must be above 0"),
    ],
)
def test_a_bad_setting_is_named_in_one_line(change, message):
    with pytest.raises(ValueError, match=f"^{message}$"):
        sampling(**change)


def test_the_inverse_agrees_with_numpy():
    rng = np.random.default_rng(0)
    logits = rng.normal(scale=3, size=(2000, 9)).astype(np.float32)
    logits[rng.random(logits.shape) < 0.3] = -np.inf
    logits[:, 4] = 0.0
    uniform = rng.random(2000)
    weights = np.exp(logits.astype(np.float64))
    cumulative = weights.cumsum(axis=1)
    expected = [np.searchsorted(c, u * c[-1], side="right") for c, u in zip(cumulative, uniform, strict=True)]
    found = inverse_cdf(torch.from_numpy(logits), torch.from_numpy(uniform))
    assert found.tolist() == expected


@pytest.mark.parametrize("uniform", [0.0, 5e-324, 0.5, np.nextafter(1.0, 0.0)])
def test_a_state_of_probability_zero_is_never_drawn(uniform):
    """Not at either end of the unit interval, where it would be found by rounding; 7 states of 1/7 do not add to 1."""
    rng = np.random.default_rng(1)
    for n_possible in (1, 3, 7):
        logits = np.full((500, 12), -np.inf, dtype=np.float32)
        for row in logits:
            row[rng.choice(12, n_possible, replace=False)] = rng.normal()
        drawn = inverse_cdf(torch.from_numpy(logits), torch.full((500,), uniform, dtype=torch.float64))
        assert np.isfinite(logits[np.arange(500), drawn]).all()


def test_both_ends_of_the_unit_interval_reach_the_first_and_the_last_state():
    logits = torch.zeros(1, 5)
    assert inverse_cdf(logits, torch.zeros(1, dtype=torch.float64)).item() == 0
    assert inverse_cdf(logits, torch.tensor([np.nextafter(1.0, 0.0)])).item() == 4


def test_a_probability_of_one_in_ten_million_is_resolved_to_a_tenth_of_a_per_cent():
    """In single precision the numbers just below 1 are 6e-8 apart. The logits, in single precision, hold to 1e-6."""
    logits = torch.tensor([[0.0, np.log(1e-7)]], dtype=torch.float32).expand(2, -1)
    uniform = 1 - 1e-7 * torch.tensor([1.001, 0.999], dtype=torch.float64)
    assert_close(inverse_cdf(logits, uniform), torch.tensor([0, 1]))


def test_prompts_are_contiguous_and_never_cross_a_boundary():
    pieces = [100 * number + np.arange(length) for number, length in enumerate((9, 4, 30, 5))]
    cut = prompts(pieces, 500, 5, np.random.default_rng(0))
    assert cut.shape == (500, 5)
    assert (np.diff(cut) == 1).all()
    assert set(np.unique(cut // 100)) == {0, 2, 3}  # the second is too short


def test_every_possible_prompt_is_equally_likely():
    """5 starts in 9 frames, 1 in 5, none in 4. Chi-square, the seed fixed."""
    pieces = [np.arange(9), 100 + np.arange(5), 200 + np.arange(4)]
    starts, counts = np.unique(prompts(pieces, 6000, 5, np.random.default_rng(0))[:, 0], return_counts=True)
    assert starts.tolist() == [0, 1, 2, 3, 4, 100]
    assert chisquare(counts).pvalue > 0.001


def test_prompts_are_as_long_as_the_longest_piece_where_none_is_long_enough():
    cut = prompts(
        [np.array([1, 2], dtype=np.uint8), np.array([3, 4, 5], dtype=np.uint8)], 4, 10, np.random.default_rng(0)
    )
    assert cut.tolist() == [[3, 4, 5]] * 4
    assert cut.dtype == np.int64
