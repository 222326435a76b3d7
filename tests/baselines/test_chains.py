import numpy as np
import pytest
import torch

from mdlm.baselines.base import Wanted
from mdlm.baselines.chains import cumulative, to_itself, walked
from mdlm.baselines.contexts import ContextGraph
from mdlm.baselines.semi_markov import _walked
from mdlm.model.markov import MarkovConfig
from mdlm.model.semi_markov import SemiMarkovConfig
from mdlm.sampling.sampling import Sampling, prompts


def pieces_of(n_states, n_pieces=4, length=600, seed=0):
    """Sticky random walks on a ring: visits of many lengths, jumps that never occur."""
    rng = np.random.default_rng(seed)
    steps = rng.choice([0, 0, 0, 1, n_states - 1], size=(n_pieces, length))
    return [row.cumsum() % n_states for row in steps]


def torch_chains(model, held_out):
    """The plain way: the model's own forward pass, one token at a time, with the same random numbers."""
    sampling = Sampling(n_chains=50, chain_length=300, prompt_length=20, sampling_temperature=1.0, engine="torch")
    return sampling.draw(model.eval(), held_out, seed=7)


def seed_after_prompts(held_out):
    """That of the random numbers in `Sampling.draw`."""
    rng = np.random.default_rng(7)
    prompts(held_out, 50, 20, rng)
    return int(rng.integers(2**62))


@pytest.mark.parametrize("smoothing", ["none", "contexts", "all"])
@pytest.mark.parametrize("order", [1, 2, 4])
def test_a_chain_on_the_graph_of_contexts_is_the_chain_the_model_itself_samples(order, smoothing):
    """Token for token, contexts that back off among them: the same random numbers and the same probabilities."""
    pieces = pieces_of(5)
    model = MarkovConfig(order, smoothing).build(5)
    model.count(pieces[:2])
    drawn = torch_chains(model, pieces[2:])
    graph = ContextGraph.of(model)
    seed = seed_after_prompts(pieces[2:])
    chains = walked(seed, graph.after(drawn.prompts), graph.probability_NV, graph.following_NV, 300)
    assert len(np.unique(drawn.chains)) == 5
    np.testing.assert_array_equal(chains, drawn.chains)


@pytest.mark.parametrize("smoothing", ["none", "contexts"])
def test_compiled_visits_are_those_the_model_itself_samples(smoothing):
    pieces = pieces_of(4)
    model = SemiMarkovConfig(5, 1.5, smoothing).build(4)
    model.count(pieces[:2])
    drawn = torch_chains(model, pieces[2:])
    wanted = Wanted(drawn.prompts, 300, 1.0, 2, seed_after_prompts(pieces[2:]))
    np.testing.assert_array_equal(_walked(model, wanted), drawn.chains)


def test_a_long_chain_has_the_transition_probabilities_it_was_given():
    chain = np.array([[0.7, 0.3, 0.0], [0.1, 0.6, 0.3], [0.0, 0.5, 0.5]])
    tokens = walked(0, np.zeros(50, int), chain, to_itself(3), 20_000)
    counts = np.zeros((3, 3))
    np.add.at(counts, (tokens[:, :-1].ravel(), tokens[:, 1:].ravel()), 1)
    np.testing.assert_allclose(counts / counts.sum(axis=1, keepdims=True), chain, atol=0.004)
    assert counts[0, 2] == counts[2, 0] == 0


def test_a_state_of_probability_zero_is_never_reached_by_rounding():
    row = cumulative(np.array([[0.1] * 10 + [0.0]]))
    assert row[0, 9] == row[0, 10] == 1.0


def test_every_chain_has_random_numbers_of_its_own():
    chains = walked(0, np.zeros(20, int), np.full((2, 2), 0.5), to_itself(2), 200)
    assert len(np.unique(chains, axis=0)) == 20


def test_a_chain_does_not_depend_on_how_long_it_becomes():
    arguments = (3, np.zeros(4, int), np.full((2, 2), 0.5), to_itself(2))
    np.testing.assert_array_equal(walked(*arguments, 700)[:, :300], walked(*arguments, 300))


def test_the_node_after_a_prompt_is_its_longest_known_end():
    model = MarkovConfig(2).build(3)
    model.count([np.array([0, 1, 2, 0, 1, 2, 0])])  # known: 01, 12, 20
    graph = ContextGraph.of(model)
    nodes = graph.after(np.array([[2, 0, 1], [0, 2, 1]]))
    wanted, _ = model(torch.tensor([[2, 0, 1], [0, 2, 1]]))
    np.testing.assert_allclose(graph.probability_NV[nodes], wanted[:, -1].exp())
