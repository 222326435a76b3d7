"""`kinetics.estimator=pyemma` against our own path and closed forms; skipped where PyEMMA is not installed."""

import importlib.util
import sys
import warnings
from dataclasses import replace

import numpy as np
import pytest

from mdlm.kinetics import pyemma_estimator
from mdlm.kinetics.compare import Kinetics
from mdlm.kinetics.estimator import Msm, estimator
from mdlm.kinetics.events import slow_sides
from mdlm.kinetics.mfpt import mean_first_passage_time
from mdlm.partition.labels import Labels
from mdlm.partition.pcca import Pcca
from mdlm.trajectory import Dtraj, Trajectory

LAG_TIME = 5.0
TRUE_T2 = -1 / np.log(1 - 0.004)  # of the fixture `four_states`, in frames

needs_pyemma = pytest.mark.skipif(
    importlib.util.find_spec("pyemma") is None, reason="the pyemma extra is not installed (it needs a C compiler)"
)


@pytest.fixture(scope="module")
def chain(sample_chain, four_states):
    return Dtraj(sample_chain(four_states, 30, 4000, seed=21), 1.0, "ps", 4)


@pytest.fixture(scope="module")
def theirs():
    return estimator("pyemma")


@needs_pyemma
def test_the_same_model_as_our_own(chain, theirs):
    """Both maximise one likelihood; PyEMMA stops at a relative change of 1e-8."""
    ours, found = Msm().model(chain, LAG_TIME), theirs.model(chain, LAG_TIME)
    np.testing.assert_allclose(found.matrix, ours.matrix, atol=1e-6)
    np.testing.assert_allclose(found.stationary, ours.stationary, atol=1e-5)
    np.testing.assert_array_equal(found.active, ours.active)
    assert (found.n_states, found.active_share, found.dropped.tolist()) == (4, 1.0, [])


@needs_pyemma
def test_states_that_cannot_be_connected_are_dropped_as_in_our_own(theirs):
    pieces = (np.arange(100) // 3 % 2, np.full(20, 3), np.array([1, 4, 4]))
    dtraj = Dtraj(pieces, 1.0, "ps", 6)
    ours, found = Msm().model(dtraj, 1.0), theirs.model(dtraj, 1.0)
    np.testing.assert_array_equal(found.active, ours.active)
    np.testing.assert_array_equal(found.dropped, ours.dropped)
    assert found.active_share == ours.active_share
    np.testing.assert_allclose(found.matrix, ours.matrix, atol=1e-6)


@needs_pyemma
def test_pieces_no_longer_than_the_lag_give_an_empty_model(theirs):
    short = Dtraj((np.array([0, 1, 0]),), 1.0, "ps", 2)
    model = theirs.model(short, 3.0)
    assert (model.matrix.shape, model.active.tolist(), model.active_share) == ((0, 0), [], 0.0)
    sides = slow_sides(Msm().model(Dtraj((np.arange(20) // 3 % 2,), 1.0, "ps", 2), 1.0))
    at = theirs.sequence(short, 3.0, 20, np.random.default_rng(0)).at(3.0, 1, sides, 20)
    assert np.isinf(at.timescales).all()
    assert np.isinf(at.samples).all()


@needs_pyemma
def test_the_same_passage_times_as_our_own(chain, theirs):
    model = Msm().model(chain, LAG_TIME)
    for origin, target in (([0], [1]), ([0, 1], [2, 3]), ([3], [0, 2])):
        sets = (np.array(origin), np.array(target))
        ours = mean_first_passage_time(model.matrix, model.stationary, *sets, LAG_TIME)
        found = theirs.passage_time(model.matrix, model.stationary, *sets, LAG_TIME)
        assert found == pytest.approx(ours, rel=1e-6)


@needs_pyemma
def test_bayesian_intervals_agree_with_the_bootstrap_and_cover_the_closed_form(chain, theirs):
    sides = slow_sides(Msm().model(chain, LAG_TIME))
    bounds = []
    for method in (Msm(), theirs):
        sequence = method.sequence(chain, LAG_TIME, 200, np.random.default_rng(1))
        point = sequence.at(LAG_TIME, 3, sides, 200)
        low, high = np.percentile(point.samples[:, 0], [5, 95])
        assert low < TRUE_T2 < high
        assert low < point.timescales[0] < high
        bounds.append((low, high))
    (low, high), (their_low, their_high) = bounds
    overlap = min(high, their_high) - max(low, their_low)
    assert overlap > 0.6 * min(high - low, their_high - their_low)
    assert 0.5 < (their_high - their_low) / (high - low) < 2


@needs_pyemma
@pytest.mark.parametrize("lag_time", [1.0, 5.0, 20.0])
def test_bayesian_intervals_cover_the_truth_as_often_as_they_say(lag_time, sample_chain, theirs):
    """100 sets of two-state trajectories: 90 % with a standard error of 3 %."""
    two = np.array([[0.98, 0.02], [0.02, 0.98]])
    pieces = sample_chain(two, 100 * 4, 2000, seed=5)
    covered = 0
    for number in range(100):
        dtraj = Dtraj(pieces[4 * number : 4 * number + 4], 1.0, "ps", 2)
        sides = slow_sides(Msm().model(dtraj, lag_time))
        sequence = theirs.sequence(dtraj, lag_time, 200, np.random.default_rng(number))
        low, high = np.percentile(sequence.at(lag_time, 1, sides, 200).samples, [5, 95])
        covered += low < -1 / np.log(0.96) < high
    assert 82 <= covered <= 97


@needs_pyemma
def test_the_posterior_is_that_of_pyemma_where_all_counts_are_independent(chain, theirs):
    """Bounds of 1000 samples have an error of about a tenth of the standard deviation."""
    sides = slow_sides(Msm().model(chain, 1.0))
    samples = theirs.sequence(chain, 1.0, 1000, np.random.default_rng(2)).at(1.0, 3, sides, 1000).samples
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        bayesian = pyemma_estimator._msm().bayesian_markov_model(
            list(chain.pieces), 1, nsamples=1000, count_mode="sliding", show_progress=False
        )
        expected = np.array([model.timescales() for model in bayesian.samples])
    bounds, expected_bounds = (np.percentile(drawn, [5, 50, 95], axis=0) for drawn in (samples, expected))
    assert (np.abs(bounds - expected_bounds) < 0.45 * expected.std(axis=0)).all()


@needs_pyemma
def test_a_state_seen_once_does_not_spoil_the_interval(chain, theirs):
    """It is a tenth of an independent count at this lag, and its posterior is all but empty."""
    first = chain.pieces[0].copy()
    first[1000] = 4
    seen = Dtraj((first, *chain.pieces[1:]), 1.0, "ps", 5)
    sides = slow_sides(Msm().model(seen, 10.0))
    without = theirs.sequence(chain, 10.0, 200, np.random.default_rng(0)).at(10.0, 1, slow_sides_of(chain), 200).samples
    point = theirs.sequence(seen, 10.0, 200, np.random.default_rng(0)).at(10.0, 1, sides, 200)
    assert point.transition.active.tolist() == [0, 1, 2, 3, 4]
    np.testing.assert_allclose(point.samples, without, rtol=0.01)


@needs_pyemma
def test_a_slow_process_with_less_than_one_independent_count_has_no_interval(theirs):
    """One short visit to the other side: an estimate, but unknown how wrong."""
    piece = np.zeros(2000, dtype=int)
    piece[1000:1003] = 1
    dtraj = Dtraj((piece,), 1.0, "ps", 2)
    sides = slow_sides(Msm().model(dtraj, 10.0))
    point = theirs.sequence(dtraj, 10.0, 20, np.random.default_rng(0)).at(10.0, 1, sides, 20)
    assert np.isfinite(point.timescales).all()
    assert np.isnan(point.samples).all()


def slow_sides_of(dtraj):
    return slow_sides(Msm().model(dtraj, 10.0))


@needs_pyemma
def test_the_same_seed_gives_the_same_samples(chain, theirs):
    sides = slow_sides(Msm().model(chain, LAG_TIME))
    first, again, other = (
        theirs.sequence(chain, LAG_TIME, 20, np.random.default_rng(seed)).at(LAG_TIME, 3, sides, 20).samples
        for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(first, again)
    assert (first != other).all()


@needs_pyemma
def test_a_verdict_by_pyemma_is_that_of_our_own(chain, sample_chain, four_states):
    sampled = Dtraj(sample_chain(four_states, 30, 4000, seed=23), 1.0, "ps", 4)
    ours = Kinetics(lag_time=LAG_TIME, n_resamples=50, n_lags=3)
    first, second = (
        kinetics.judge(chain, chain, chain, None, seed=3).compare(sampled)
        for kinetics in (ours, replace(ours, estimator="pyemma"))
    )
    assert first.verdict.startswith("within")
    assert second.verdict.startswith("within")
    assert second.t2_ratio_to_data.value == pytest.approx(first.t2_ratio_to_data.value, rel=1e-4)
    np.testing.assert_allclose(second.data.mfpt, first.data.mfpt, rtol=1e-4)
    np.testing.assert_allclose(second.markov_timescales, first.markov_timescales, rtol=1e-3)
    np.testing.assert_allclose(second.data_curve.timescales, first.data_curve.timescales, rtol=1e-3)
    assert second.data.n_events == first.data.n_events
    assert second.data.timescales[0].low != first.data.timescales[0].low


@needs_pyemma
def test_pcca_memberships_are_those_of_pyemma(chain):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        memberships = pyemma_estimator._msm().estimate_markov_model(list(chain.pieces), 5).pcca(2).memberships
    described = Trajectory(tuple(piece[:, None].astype(float) for piece in chain.pieces), 1.0, "ps", ("state",))
    ours = Pcca(micro=Labels(), lag_time=LAG_TIME, n_macrostates=2).fit(described).memberships
    order = np.argmax(memberships.T @ ours, axis=1)
    np.testing.assert_allclose(memberships[:, np.argsort(order)], ours, atol=1e-4)


def test_without_pyemma_a_run_is_refused_before_it_begins(mdlm, tiny, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyemma", None)
    monkeypatch.delitem(sys.modules, "pyemma.msm", raising=False)
    ended = mdlm("train", *tiny, "kinetics.estimator=pyemma", "hydra.run.dir=run", cwd=tmp_path)
    assert ended.code == 1
    message = "kinetics.estimator (pyemma): PyEMMA is not installed; pip install 'mdlm-kinetics[pyemma]'"
    assert ended.error == message
    assert not list(tmp_path.rglob("checkpoint"))


def test_another_estimator_is_refused(mdlm, tiny, tmp_path):
    ended = mdlm("train", *tiny, "kinetics.estimator=emma", cwd=tmp_path)
    assert (ended.code, ended.error) == (1, "kinetics.estimator ('emma'): input should be 'msm' or 'pyemma'")


@needs_pyemma
@pytest.mark.slow
def test_a_run_with_pyemma_ends_in_a_verdict(mdlm_process, tiny, tmp_path):
    """In a process of its own, where PyEMMA is imported for the first time."""
    ended = mdlm_process("train", *tiny, "kinetics.estimator=pyemma", "hydra.run.dir=run", cwd=tmp_path)
    assert ended.code == 0, ended.err
    assert "Verdict" in ended.out
    assert "pyemma" not in ended.err.lower()
