import math
from itertools import pairwise

import numpy as np
import pytest
from deeptime.markov import TransitionCountEstimator
from deeptime.markov.msm import MaximumLikelihoodMSM

from mdlm.baselines.base import Wanted
from mdlm.baselines.chains import to_itself, walked
from mdlm.baselines.chosen import Baselines
from mdlm.baselines.hmm import HiddenMarkovModel
from mdlm.baselines.judgement import judge_baselines, judged
from mdlm.baselines.markov import MarkovChain, n_distinct
from mdlm.baselines.msm import MarkovStateModel
from mdlm.baselines.semi_markov import SemiMarkovProcess
from mdlm.kinetics.compare import Kinetics
from mdlm.macrostates.base import Lumping
from mdlm.sampling.sampling import Sampling
from mdlm.trajectory import Dtraj, Split

OWN = Lumping(np.arange(3), ("0", "1", "2"), 0.0)
SAMPLING = Sampling(n_chains=40, chain_length=3000, prompt_length=20, sampling_temperature=1.0)


def wanted(states, n_chains=40, chain_length=2000, lag_time=2.0, seed=0):
    prompts = np.stack([states.test.pieces[0][start : start + 20] for start in range(n_chains)])
    return Wanted(prompts, chain_length, lag_time, 3, seed)


def split(pieces, n_states=3, frame_time=0.5):
    parts = Split(tuple(pieces[:4]), tuple(pieces[4:6]), tuple(pieces[6:8]))
    return parts.map(lambda some: Dtraj(some, frame_time, "ps", n_states))


CHAIN = np.array([[0.97, 0.03, 0.0], [0.02, 0.96, 0.02], [0.0, 0.03, 0.97]])


def markov_pieces(chain=CHAIN, length=5000, seed=0):
    return list(walked(seed, np.zeros(8, int), chain, to_itself(len(chain)), length).astype(np.int32))


def second_order_pieces(length=5000, seed=0):
    """After 0 1 comes 2, after 2 1 comes 0, mostly: pairs of states say what single ones cannot."""
    rng = np.random.default_rng(seed)
    pieces = []
    for _ in range(8):
        piece = [0, 1]
        for uniform in rng.random(length - 2):
            before, last = piece[-2:]
            onward = {0: 2, 2: 0}.get(before, int(2 * rng.random() < 1) * 2) if last == 1 else 1
            piece.append(onward if uniform < 0.9 else int(rng.integers(3)))
        pieces.append(np.array(piece, dtype=np.int32))
    return pieces


@pytest.fixture(scope="module")
def states():
    return split(markov_pieces())


@pytest.fixture(scope="module")
def judge(states):
    return Kinetics(lag_time=2.0, n_resamples=50).judge(states.train, states.train, states.train, None, seed=0)


def entropy_rate(chain):
    values, vectors = np.linalg.eig(chain.T)
    weight = vectors[:, np.argmax(values.real)].real
    weight /= weight.sum()
    return -(weight @ np.where(chain > 0, chain * np.log(np.where(chain > 0, chain, 1)), 0).sum(axis=1))


@pytest.mark.parametrize(
    "method", [MarkovChain(1), MarkovChain(3), SemiMarkovProcess(10, 1.5), HiddenMarkovModel(0, 20_000, 50)]
)
def test_on_a_markov_chain_every_baseline_reaches_the_entropy_rate_and_the_true_timescale(method, states, judge):
    """All four contain the chain; its second eigenvalue is 0.97."""
    assert sorted(np.linalg.eigvals(CHAIN).real)[-2] == pytest.approx(0.97)
    drawn = method.draw(states, wanted(states, chain_length=10_000))
    assert drawn.nll == pytest.approx(entropy_rate(CHAIN), abs=0.01)  # 10,000 held-out frames of about 300 jumps
    result = judged("it", method.title, drawn, judge, OWN)
    data = judge.data.timescales[0]
    assert result.timescales[0].value == pytest.approx(-0.5 / np.log(0.97), rel=0.15)
    assert result.t2_ratio_to_data.value == pytest.approx(result.timescales[0].value / data.value)


def test_of_all_orders_validation_chooses_the_true_one():
    for pieces, note in ((second_order_pieces(), "order 2"), (markov_pieces(), "order 1")):
        states = split(pieces)
        assert MarkovChain(5).draw(states, wanted(states)).note == note


def test_a_higher_order_than_the_memory_allows_is_not_tried(monkeypatch):
    monkeypatch.setattr("mdlm.baselines.markov.MAX_ENTRIES", 20)
    states = split(second_order_pieces())
    note = MarkovChain(5).draw(states, wanted(states)).note
    assert note == "order 1; 9 contexts of order 2 are too many for the memory allowed"


def test_a_chain_samples_no_jump_that_training_never_saw_but_has_a_likelihood_for_it():
    """0 > 2 never occurs in training, once in the test data; state 0 has jumps seen just once."""
    train = np.array([0, 0, 1, 2, 1, 1, 2, 2, 1, 0, 0, 1, 1] * 3)
    test = np.array([0, 0, 1, 1, 0, 2, 2, 1])
    rare = np.concatenate([train, [0, 3, 0]])  # 0 > 3 once: Good and Turing then rule out nothing from 0
    states = Split(*(Dtraj((piece,), 1.0, "ps", 4) for piece in (rare, train, test)))
    asked = Wanted(np.zeros((30, 5), int), 2000, 1.0, 3, 0)
    for method in (MarkovChain(1), MarkovChain(2), SemiMarkovProcess(3, 2.0)):
        drawn = method.draw(states, asked)
        assert math.isfinite(drawn.nll)
        pairs = {pair for chain in drawn.chains.pieces for pair in pairwise(chain.tolist())}
        assert (0, 1) in pairs
        assert (0, 2) not in pairs


def test_the_msm_is_deeptimes_and_its_clock_is_the_lag(states):
    drawn = MarkovStateModel().draw(states, wanted(states, chain_length=100_000))
    assert drawn.chains.frame_time == 2.0
    assert drawn.chains.lengths == (100_000 // 4,) * 40  # of equal length in time
    assert math.isnan(drawn.nll)
    counts = TransitionCountEstimator(4, "sliding").fit_fetch(list(states.train.pieces))
    theirs = MaximumLikelihoodMSM(reversible=True).fit_fetch(counts).transition_matrix
    seen = TransitionCountEstimator(1, "sliding").fit_fetch(list(drawn.chains.pieces)).count_matrix
    np.testing.assert_allclose(seen / seen.sum(axis=1, keepdims=True), theirs, atol=0.004)


def test_states_that_the_msm_cannot_connect_are_said_to_be_left_out():
    states = split([np.array([0, 0, 1, 1, 0, 1, 0, 1, 1, 2])] * 8)  # nothing leads back from 2
    asked = Wanted(np.full((3, 4), 2), 40, 0.5, 3, 0)  # which the prompts end in
    drawn = MarkovStateModel().draw(states, asked)
    assert "1 states are left out" in drawn.note
    assert not any((chain == 2).any() for chain in drawn.chains.pieces)


def test_all_of_them_are_judged_on_as_much_time_as_the_model(states, judge):
    methods = {"markov": MarkovChain(1), "msm": MarkovStateModel()}
    seen = []
    results = judge_baselines(methods, judge, states, OWN, SAMPLING, 3, lambda done, of, note: seen.append((done, of)))
    assert [result.name for result in results] == ["markov", "msm"]
    assert seen[-1] == (2, 2)
    for result in results:
        ratio = result.t2_ratio_to_data
        assert ratio.low < 1 < ratio.high
        assert result.n_events > 10
    again = judge_baselines(methods, judge, states, OWN, SAMPLING, 3)
    assert repr(again) == repr(results)  # NaN is not equal to itself


def test_a_baseline_is_judged_on_macrostates(states):
    lumping = Lumping(np.array([0, 0, 1]), ("a", "b"), 0.0)
    judge = Kinetics(lag_time=2.0, n_resamples=20, n_lags=2).judge(
        lumping.lump(states.train), lumping.lump(states.train), states.train, None, 0, of_state=lumping.of_state
    )
    (result,) = judge_baselines({"markov": MarkovChain(1)}, judge, states, lumping, SAMPLING, 0)
    assert len(result.timescales) == 1
    assert 0.7 < result.t2_ratio_to_data.value < 1.3


def test_metrics_carry_the_name_of_the_baseline_and_the_unit(states, judge):
    (result,) = judge_baselines({"msm": MarkovStateModel()}, judge, states, OWN, SAMPLING, 0)
    metrics = result.metrics("ps")
    assert metrics["baseline_msm_t2_ps"] == result.timescales[0].value
    assert metrics["baseline_msm_t2_ratio_to_data_low"] == result.t2_ratio_to_data.low
    assert math.isnan(metrics["baseline_msm_nll_nats_per_frame"])


def test_runs_of_states_are_counted_without_crossing_pieces():
    assert n_distinct((np.array([0, 1]), np.array([2, 2])), 2, 3) == 2
    assert n_distinct((np.array([0]),), 2, 3) == 0


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Baselines({"a b": MarkovStateModel()}, 10, 8), r"^methods \(a b\) must have names"),
        (lambda: Baselines({}, -1, 8), r"^context_targets \(-1\) must be at least 0"),
        (lambda: Baselines({}, 1, 1), r"^max_context \(1\) must be at least 2"),
        (lambda: MarkovChain(0), r"^max_order \(0\) must be at least 1"),
        (lambda: SemiMarkovProcess(0, 2.0), r"^exact_ages \(0\) must be at least 1"),
        (lambda: HiddenMarkovModel(-1, 1000, 1), r"^extra_states \(-1\) must be at least 0"),
    ],
)
def test_wrong_settings_are_refused_by_name(make, message):
    with pytest.raises(ValueError, match=message):
        make()
