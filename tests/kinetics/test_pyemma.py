"""PyEMMA, an independent reading of the same trajectories; skipped where that extra is not installed."""

import warnings

import numpy as np
import pytest

from mdlm.kinetics.counts import count_matrix
from mdlm.kinetics.mfpt import mean_first_passage_time
from mdlm.kinetics.msm import reversible_transition_matrix
from mdlm.kinetics.timescales import implied_timescales

LAG = 3


@pytest.fixture(scope="module")
def pyemma_msm():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PyEMMA is no longer developed and uses much that is deprecated
        return pytest.importorskip("pyemma.msm", reason="the pyemma extra is not installed (it needs a C compiler)")


@pytest.fixture(scope="module")
def pieces(four_states):
    """Two independent trajectories of the four-state chain."""
    rng = np.random.default_rng(3)
    cumulative = four_states.cumsum(axis=1)
    walks = []
    for _ in range(2):
        walk = [0]
        for uniform in rng.random(20_000):
            walk.append(min(int(np.searchsorted(cumulative[walk[-1]], uniform)), 3))
        walks.append(np.array(walk))
    return walks


def test_a_reversible_model_its_timescales_and_passage_times_agree_with_pyemma(pyemma_msm, pieces):
    """Both maximise the same likelihood; PyEMMA stops at a relative change of 1e-6, hence the tolerances."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = pyemma_msm.estimate_markov_model(pieces, LAG)
        their_mfpt = theirs.mfpt([0, 1], [2, 3])
    ours = reversible_transition_matrix(count_matrix(pieces, 4, LAG))
    np.testing.assert_array_equal(theirs.count_matrix_active, count_matrix(pieces, 4, LAG))
    np.testing.assert_allclose(ours.matrix, theirs.P, atol=1e-6)
    np.testing.assert_allclose(implied_timescales(ours.matrix, LAG, 3), theirs.timescales()[:3], rtol=1e-4)
    mfpt = mean_first_passage_time(ours.matrix, ours.stationary, np.array([0, 1]), np.array([2, 3]), LAG)
    np.testing.assert_allclose(mfpt, their_mfpt, rtol=1e-4)
