"""The ratio of each combination of levels over its seeds."""

import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from mdlm.study.across_seeds import combinations
from mdlm.study.runs import FINISHED
from mdlm.study.tidy import StudyTable

Z = stats.norm.ppf(0.95)


def rows(model, ratios, own=0.0, shared=0.0):
    return [
        {
            "status": FINISHED,
            "model": model,
            "seed": seed,
            "t2_ratio_to_data": ratio,
            "t2_sampled_ps_low": 100 * ratio * math.exp(-Z * own),
            "t2_sampled_ps_high": 100 * ratio * math.exp(Z * own),
            "t2_data_ps_low": 100 * math.exp(-Z * shared),
            "t2_data_ps_high": 100 * math.exp(Z * shared),
        }
        for seed, ratio in enumerate(ratios)
    ]


def table(*groups):
    return StudyTable(pd.DataFrame([row for group in groups for row in group]), ("model",), ("seed",))


def test_the_interval_is_students_over_the_seeds_of_each_combination():
    ratios = np.array([0.8, 1.0, 1.3, 0.9])
    lstm, markov = combinations(table(rows("lstm", ratios), rows("markov", [0.3, 0.31])))
    assert (lstm.levels, lstm.found.n_seeds) == ({"model": "lstm"}, 4)
    assert lstm.found.ratio.value == pytest.approx(stats.gmean(ratios))
    low, high = stats.t.interval(0.95, 3, np.log(ratios).mean(), stats.sem(np.log(ratios)))
    assert (lstm.found.ratio.low, lstm.found.ratio.high) == pytest.approx((math.exp(low), math.exp(high)))
    assert markov.levels == {"model": "markov"}


def test_errors_are_read_from_the_runs_intervals():
    """Seeds that scatter as their own errors say have nothing between them; the data's error widens the interval."""
    (found,) = combinations(table(rows("lstm", np.exp([-0.1, 0.1]), own=0.2)))
    assert found.found.within == pytest.approx(0.2)
    assert found.found.between == 0
    (wide,) = combinations(table(rows("lstm", np.exp([-0.1, 0.1]), own=0.2, shared=0.5)))
    assert wide.found.ratio.high > found.found.ratio.high


def test_single_seeds_and_ratios_that_do_not_exist_are_left_out():
    assert combinations(table(rows("lstm", [1.0]), rows("markov", [math.nan, math.inf, 0.3]))) == []
