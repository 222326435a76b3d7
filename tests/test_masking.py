"""The same chains with and without what training never saw; a model whose jumps are known shows by how much."""

from dataclasses import replace
from itertools import pairwise
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from mdlm.evaluation import Sequences, evaluate
from mdlm.kinetics.compare import Kinetics
from mdlm.macrostates.own import each_its_own
from mdlm.masking import masked, without_unseen
from mdlm.model.base import LanguageModel
from mdlm.model.encoder_decoder import EncoderDecoderConfig
from mdlm.model.gru import GRUConfig
from mdlm.model.lstm import LSTMConfig
from mdlm.model.markov import MarkovConfig
from mdlm.model.semi_markov import SemiMarkovConfig
from mdlm.model.transformer import TransformerConfig
from mdlm.outcome import Outcome
from mdlm.sampling.sampling import Sampling
from mdlm.trajectory import Dtraj

SLOW, LEAK = 0.002, 0.004
NAMES = ("a", "b", "c", "d")
SAMPLING = Sampling(n_chains=40, chain_length=4000, prompt_length=1, sampling_temperature=1.0)


def pairs(leak):
    """Two fast pairs, {0, 1} and {2, 3}: 1 and 2 are neighbours, and only a leak leads between 0 and 3."""
    matrix = np.array([[0, 0.2, 0, leak], [0.2, 0, SLOW, 0], [0, SLOW, 0, 0.2], [leak, 0, 0.2, 0]])
    return matrix + np.diag(1 - matrix.sum(axis=1))


class Chain(LanguageModel):
    """A Markov chain with these probabilities."""

    def __init__(self, probability_VV):
        super().__init__(len(probability_VV))
        self.table_VV = torch.from_numpy(probability_VV).log()

    def initial_state(self, n_chains):
        return (torch.zeros(1, n_chains, 1),)

    def forward(self, tokens_BT, state=None):
        return self.allowed(self.table_VV[tokens_BT], tokens_BT), self.initial_state(len(tokens_BT))


def evaluated(data, sampled):
    lumping = each_its_own(NAMES)
    sequences = Sequences(data, data, data, sampled, NAMES, lumping, held_out=data)
    return evaluate(Kinetics(lag_time=20.0, n_lags=2, n_resamples=100), sequences, None, seed=0)


@pytest.fixture(scope="module")
def data(sample_chain):
    return Dtraj(sample_chain(pairs(0.0), 30, 5000, seed=2), 1.0, "ps", 4)


def drawn(model, data):
    found = SAMPLING.draw(model, data.pieces, seed=4)
    return replace(data, pieces=tuple(found.chains)), (found.prompts, found.seed)


@pytest.fixture(scope="module")
def leaking(data):
    model = Chain(pairs(LEAK))
    sampled, began = drawn(model, data)
    return evaluated(data, sampled), model, began


def test_a_model_that_leaks_is_told_by_how_much(leaking):
    """Of twice as many leaks as real crossings t2 is a third; half of the chains are sampled again."""
    evaluation, model, began = leaking
    assert evaluation.unseen.rate == pytest.approx(LEAK / 2, rel=0.15)  # half of the time is spent in 0 and 3
    assert evaluation.unseen.share_of_crossings == pytest.approx(LEAK / (LEAK + SLOW), rel=0.15)
    assert evaluation.unseen.held_out_rate == 0
    assert evaluation.metrics()["n_unseen_jumps"] == evaluation.unseen.n_jumps
    found = masked(evaluation, SAMPLING, 1.0, model, began)
    assert found.n_chains == 20
    assert found.ratio.low < 3 < found.ratio.high
    assert found.ratio.high / found.ratio.low < 3
    assert found.objection
    assert not model.added_VV.any()  # as it was


@pytest.mark.parametrize(("held_out", "said"), [(0.0123, "0.012 of held-out MD's)"), (np.nan, "longer")])
def test_the_verdict_says_whether_held_out_data_make_such_jumps_too(leaking, tmp_path, held_out, said):
    evaluation, model, began = leaking
    found = SimpleNamespace(masked=masked(evaluation, SAMPLING, 1.0, model, began))
    unseen = replace(evaluation.unseen, n_jumps=2, n_tokens=100, held_out_rate=held_out)
    verdict = Outcome(tmp_path, replace(evaluation, unseen=unseen), {}, "", found).verdict
    assert "t2 rests on transitions never seen in training" in verdict
    assert verdict.endswith(said)
    assert ("(0.02 of its transitions are such" in verdict) == (not np.isnan(held_out))


def test_a_model_without_unseen_jumps_is_not_sampled_again(data):
    model = Chain(pairs(0.0))
    sampled, began = drawn(model, data)
    evaluation = evaluated(data, sampled)
    found = masked(evaluation, SAMPLING, 1.0, None, began)
    assert (found.ratio.value, found.n_chains) == (1.0, 0)
    assert found.t2 == evaluation.comparison.sampled.timescales[0]
    assert found.ratio_to_data == evaluation.comparison.t2_ratio_to_data


def test_tokens_of_several_frames_are_not_masked(leaking):
    evaluation, _, began = leaking
    found = masked(evaluation, SAMPLING, 2.5, None, began)
    assert "a token stands for several frames" in found.sentence()
    assert np.isnan(found.metrics()["t2_masked_ratio"])


@pytest.mark.parametrize(
    "config",
    [
        LSTMConfig(embedding=3, hidden=5, layers=2, dropout=0.0, anchor="markov"),
        GRUConfig(embedding=3, hidden=5, layers=1, dropout=0.0),
        TransformerConfig(width=8, heads=2, layers=2, window=4, dropout=0.0),
        EncoderDecoderConfig(width=8, heads=2, encoder_layers=1, decoder_layers=1, window=4, dropout=0.0),
        MarkovConfig(order=2, smoothing="all"),
        SemiMarkovConfig(exact_ages=3, growth=1.5, smoothing="all"),
    ],
    ids=lambda config: type(config).__name__.removesuffix("Config"),
)
def test_every_model_makes_only_seen_jumps_for_a_while(config):
    """A cycle 0, 1, 2 with stays in 0; training ends in 3 and never leaves it, so that anything may follow there."""
    pieces = [np.array([0, 0, 1, 2, 0, 1, 2, 0, 0, 1, 2, 3])]
    torch.manual_seed(0)
    model = config.build(4)
    if hasattr(model, "count"):
        model.count(pieces)
    sampling = Sampling(n_chains=30, chain_length=40, prompt_length=3, sampling_temperature=1.0)
    seen = {(0, 0), (0, 1), (1, 2), (2, 0), (2, 3)}

    def jumps():
        chains = sampling.draw(model, pieces, seed=0).chains
        return {(a, b) for chain in chains.tolist() for a, b in pairwise(chain) if a != 3}

    assert jumps() - seen
    with without_unseen(model, pieces):
        assert jumps() <= seen
    assert jumps() - seen


def forbidden(model):
    return (model.added_VV == -torch.inf).tolist()


def test_a_state_left_without_any_jump_keeps_those_it_had():
    """What the model itself rules out is all that training does there: it must go on somewhere."""
    model = Chain(np.full((3, 3), 1 / 3))
    model.forbid(torch.tensor([[True, False, False], [False] * 3, [False] * 3]))
    with without_unseen(model, [np.array([0, 0, 0]), np.array([1, 2, 1])]):
        assert forbidden(model) == [[True, False, False], [True, True, False], [True, False, True]]
    assert forbidden(model) == [[True, False, False], [False] * 3, [False] * 3]


@pytest.mark.parametrize(("backwards", "unseen"), [(False, 1), (True, 0)])
def test_a_jump_is_seen_if_its_way_back_was_and_was_read_backwards(data, backwards, unseen):
    there, back = (data.joined(replace(data, pieces=(np.array(jump),))) for jump in ([0, 3], [3, 0]))
    sequences = Sequences(data, there, there, back, NAMES, each_its_own(NAMES), backwards=backwards)
    judged = evaluate(Kinetics(lag_time=20.0, n_lags=2, n_resamples=20), sequences, None, seed=0)
    assert judged.unseen.n_jumps == unseen
    assert same_pieces(sequences.read, there.both_ways() if backwards else there)


def same_pieces(one, other):
    return all(np.array_equal(a, b) for a, b in zip(one.pieces, other.pieces, strict=True))
