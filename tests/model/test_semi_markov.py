import numpy as np
import pytest
import torch

from mdlm.model.markov import MarkovConfig
from mdlm.model.semi_markov import SemiMarkovConfig
from mdlm.model.semi_markov_model import first_ages, life_table
from mdlm.sampling.sampling import Sampling

FINE = SemiMarkovConfig(exact_ages=100, growth=1.2)


def counted(pieces, n_states, config=FINE):
    model = config.build(n_states).eval()
    model.count([np.asarray(piece) for piece in pieces])
    return model


def renewal(rng, n_visits, draw):
    """Visits of drawn lengths, going round three states."""
    lengths = draw(rng, n_visits)
    return np.repeat(np.arange(n_visits) % 3, lengths), lengths


def probabilities(model, tokens):
    with torch.inference_mode():
        logits, _ = model(torch.tensor([tokens]))
    return logits.exp().numpy()[0]


def test_hazards_are_counted_by_hand():
    """State 0 for 2, 1 and 2 frames, the last visit cut off: at age 1 one of three leaves, at age 2 one of one."""
    model = counted([[0, 0, 1, 0, 1, 0, 0]], 2)
    found = probabilities(model, [0, 0, 1])
    np.testing.assert_allclose(found, [[2 / 3, 1 / 3], [0, 1], [1, 0]], atol=1e-7)


def test_jumps_follow_the_counts_of_the_jump_chain():
    model = counted([[0, 0, 1, 0, 0, 2, 0, 0, 2, 0]], 3)
    np.testing.assert_allclose(probabilities(model, [0, 0])[1], [0, 1 / 3, 2 / 3], atol=1e-7)


def test_a_markov_chain_has_the_same_hazard_at_every_age(sample_chain, four_states):
    pieces = sample_chain(four_states, 30, 5000, seed=4)
    model = counted(pieces, 4, SemiMarkovConfig(exact_ages=5, growth=2.0))
    markov = MarkovConfig(order=1).build(4)
    markov.count(pieces)
    tokens = [0, 0, 0, 0, 1, 1, 2, 2, 2, 3]
    with torch.inference_mode():
        expected, _ = markov(torch.tensor([tokens]))
    np.testing.assert_allclose(probabilities(model, tokens), expected.exp().numpy()[0], atol=0.03)


def test_a_sample_has_the_dwell_times_of_the_data_where_a_markov_chain_has_not():
    """Visits of 20 to 30 frames; those of a Markov chain of the same mean are geometric, and spread as widely."""
    rng = np.random.default_rng(0)
    piece, _ = renewal(rng, 3000, lambda rng, n: rng.integers(20, 31, n))
    spreads = {}
    for name, config in (("semi", FINE), ("markov", MarkovConfig(order=1))):
        model = counted([piece], 3, config)
        sampling = Sampling(n_chains=20, chain_length=5000, prompt_length=50, sampling_temperature=1.0)
        chains = sampling.draw(model, [piece[:1000]], seed=1).chains
        dwells = np.concatenate([np.diff(np.flatnonzero(np.diff(chain)))[1:] for chain in chains])
        spreads[name] = (dwells.mean(), dwells.std(), dwells.min(), dwells.max())
    mean, deviation, shortest, longest = spreads["semi"]
    assert mean == pytest.approx(25, rel=0.01)
    assert deviation == pytest.approx(np.sqrt((11**2 - 1) / 12), rel=0.05)
    assert (shortest, longest) == (20, 30)
    assert spreads["markov"][1] > 15


def test_visits_cut_off_do_not_bias_the_hazard():
    """Geometric visits watched for 10 frames at a time: counting only complete ones would find them far too short."""
    rng = np.random.default_rng(2)
    piece, _ = renewal(rng, 30_000, lambda rng, n: rng.geometric(0.05, n))
    pieces = np.split(piece[: len(piece) // 10 * 10], len(piece) // 10)
    model = counted(pieces, 3, SemiMarkovConfig(exact_ages=8, growth=1.5))
    leaving = 1 - probabilities(model, [0] * 8)[:, 0]
    np.testing.assert_allclose(leaving, 0.05, atol=0.006)


def test_no_visit_crosses_from_one_piece_to_the_next():
    model = counted([[0, 0, 0], [1, 0, 1]], 2)
    assert probabilities(model, [0, 0])[1, 1] == 0  # seen twice at age 2, and once left at age 1
    assert probabilities(model, [0])[0, 1] == 0.5


def test_a_state_never_visited_is_left_by_the_populations():
    model = counted([[0, 0, 0, 1, 1, 0]], 3)
    np.testing.assert_allclose(probabilities(model, [2])[0], [4 / 6, 2 / 6, 0], atol=1e-7)


def test_ages_beyond_those_seen_keep_the_hazard_of_the_state():
    visits = np.array([0, 1]), np.array([3, 1]), np.array([True, True])
    table = life_table(*visits, ages=np.array([1, 2, 3, 4]), n_states=2)
    assert table[0].tolist() == [0, 0, 1, 1 / 3]
    assert table[1].tolist() == [1, 1, 1, 1]
    assert first_ages(4, exact=10, growth=2.0).tolist() == [1, 2, 3, 4]


@pytest.mark.parametrize(
    ("fields", "message"),
    [({"exact_ages": 0, "growth": 1.2}, "exact_ages"), ({"exact_ages": 5, "growth": 1.0}, "growth")],
)
def test_bad_fields_are_named(fields, message):
    with pytest.raises(ValueError, match=f"^{message}"):
        SemiMarkovConfig(**fields)


def test_smoothing_adds_one_visit_at_the_states_own_hazard_to_each_age():
    """Visits of 1, 2 and, cut off, 2 frames: 2 ends in 4 frames at risk, so one visit adds one end and two frames."""
    visits = np.array([0, 0, 0]), np.array([1, 2, 2]), np.array([True, True, False])
    hazard = life_table(*visits, ages=np.array([1, 2]), n_states=1, prior_visits=1.0)
    assert hazard.tolist() == [[(1 + 1) / (3 + 2), (1 + 1) / (1 + 2)]]


def test_full_smoothing_leaves_nothing_impossible():
    model = SemiMarkovConfig(2, 2.0, "all").build(4)
    model.count([np.array([0, 0, 1, 1, 0, 2, 2, 0])])  # never in 3
    logits, _ = model(torch.tensor([[0, 0, 0, 1, 2, 2, 2, 2, 3]]))
    assert torch.isfinite(logits).all()
    np.testing.assert_allclose(logits.exp().sum(-1), 1, rtol=1e-5)
