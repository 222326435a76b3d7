import math
from dataclasses import replace

import numpy as np
import pytest

from mdlm.kinetics.compare import Kinetics
from mdlm.kinetics.comparison import Interval
from mdlm.kinetics.masked import Masked, compare_masked
from mdlm.trajectory import Dtraj

SLOW, LEAK = 0.002, 0.006
RESTS = "t2 rests on transitions never seen in training: masked, it would be "


def pairs(slow, leak):
    """Two fast pairs, {0, 1} and {2, 3}: 1 and 2 are neighbours, and only a leak leads between 0 and 3."""
    matrix = np.array([[0, 0.2, 0, leak], [0.2, 0, slow, 0], [0, slow, 0, 0.2], [leak, 0, 0.2, 0]])
    return matrix + np.diag(1 - matrix.sum(axis=1))


def t2(matrix):
    return -1 / np.log(np.sort(np.linalg.eigvals(matrix).real)[-2])


@pytest.fixture(scope="module")
def chains(sample_chain):
    """Sixty of each; the same random numbers make the chains with the leak and without."""
    return {
        leak: Dtraj(sample_chain(pairs(SLOW, leak), 60, 5000, seed), 1.0, "ps", 4)
        for leak, seed in ((LEAK, 1), (0.0, 1))
    }


@pytest.fixture(scope="module")
def judge(sample_chain):
    data = Dtraj(sample_chain(pairs(SLOW, 0.0), 60, 5000, seed=2), 1.0, "ps", 4)
    return Kinetics(lag_time=20.0, n_lags=2, confidence=0.99).judge(data, data, data, None, seed=0)


def test_a_leak_is_found_with_its_factor(chains, judge):
    expected = t2(pairs(SLOW, 0.0)) / t2(pairs(SLOW, LEAK))
    assert expected == pytest.approx((SLOW + LEAK) / SLOW, rel=0.01)
    found = compare_masked(judge, chains[0.0], chains[LEAK])
    assert found.ratio.low < expected < found.ratio.high
    assert found.ratio_to_data.low < 1 < found.ratio_to_data.high
    assert found.t2.low < t2(pairs(SLOW, 0.0)) < found.t2.high
    assert found.objection == found.sentence()
    assert found.objection.startswith(RESTS)
    assert found.objection.endswith("longer")
    values = found.metrics()
    assert values["t2_masked_ps"] == found.t2.value
    assert values["t2_masked_ratio_low"] == found.ratio.low
    assert values["masked_n_chains"] == 60


def test_what_both_share_drops_out(chains, judge):
    """Of the very same chains the ratio has no error, although each t2 has."""
    found = compare_masked(judge, chains[0.0], chains[0.0])
    assert found.ratio == Interval(1.0, 1.0, 1.0)
    assert found.t2.high > 1.1 * found.t2.low
    assert found.objection == ""
    assert found.sentence().startswith("No sign that t2 rests on")


def test_masked_chains_that_never_cross_give_a_bound(chains, judge):
    still = replace(chains[0.0], pieces=tuple(piece % 2 for piece in chains[0.0].pieces))
    found = compare_masked(judge, still, chains[LEAK])
    assert math.isinf(found.ratio.value)
    assert found.objection == f"{RESTS}more than {found.ratio.low:.3g} times longer"
    assert math.isnan(found.metrics()["t2_masked_ratio"])


@pytest.mark.parametrize(
    ("ratio", "objection", "sentence"),
    [
        ((1.5, 1.2, 1.8), "1.5 times [1.2, 1.8] longer", "t2 rests on"),
        ((0.5, 0.4, 0.8), "2 times [1.25, 2.5] shorter", "t2 rests on"),
        ((1.05, 1.01, 1.08), "", "t2 hardly rests on"),
        ((1.5, 0.9, 2.0), "", "No sign that t2 rests on"),
        ((0.7, 0.1, 1.04), "", "Whether t2 rests on"),
        ((1.5, math.nan, math.nan), "", "Whether t2 rests on"),
        ((math.inf, 0.8, math.inf), "", "Whether t2 rests on"),
        ((math.nan, math.nan, math.nan), "", "Whether t2 rests on"),
    ],
)
def test_each_outcome_has_its_sentence(ratio, objection, sentence):
    found = Masked("ps", ratio=Interval(*ratio), n_chains=20)
    assert found.objection == (RESTS + objection if objection else "")
    assert found.sentence().startswith(sentence)


def test_what_was_not_sampled_says_why():
    assert Masked("ps", skipped="since a reason").sentence().endswith("not sampled, since a reason")
    assert "is the same" in Masked("ps", ratio=Interval(1.0, 1.0, 1.0)).sentence()


def test_chains_of_other_lengths_cannot_be_paired(chains, judge):
    with pytest.raises(ValueError, match="must be of the same lengths"):
        compare_masked(judge, chains[0.0], replace(chains[0.0], pieces=chains[0.0].pieces[:3]))
