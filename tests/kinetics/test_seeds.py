import math

import numpy as np
import pytest
from scipy import stats

from mdlm.kinetics.seeds import across_seeds


def test_without_a_shared_error_the_interval_is_the_t_interval_of_the_logarithms():
    logs = np.log([0.8, 1.1, 0.9, 1.3])
    found = across_seeds(logs, [0.05] * 4, 0.0, 0.9)
    low, high = stats.t.interval(0.9, 3, loc=logs.mean(), scale=stats.sem(logs))
    assert (found.ratio.low, found.ratio.high) == pytest.approx((math.exp(low), math.exp(high)))
    assert found.ratio.value == pytest.approx(stats.gmean([0.8, 1.1, 0.9, 1.3]))


def test_the_scatter_between_seeds_is_that_of_an_independent_random_effects_analysis():
    from statsmodels.stats.meta_analysis import combine_effects

    logs, errors = np.log([0.5, 0.9, 1.6, 1.1, 0.7]), np.full(5, 0.15)
    expected = combine_effects(logs, errors**2, method_re="chi2").tau2
    assert across_seeds(logs, errors, 0.0, 0.9).between ** 2 == pytest.approx(expected)


def test_seeds_that_scatter_less_than_their_own_errors_have_nothing_between_them():
    assert across_seeds([0.0, 0.01, -0.01], [0.2] * 3, 0.0, 0.9).between == 0


def test_the_error_of_shared_data_does_not_average_out():
    few, many = (across_seeds(np.tile([-0.1, 0.1], n), [0.1] * 2 * n, 0.3, 0.9) for n in (2, 500))
    assert few.ratio.high > many.ratio.high > math.exp(1.645 * 0.3) - 1e-3


def test_the_interval_covers_the_truth_as_often_as_it_says():
    """Shared data error 0.1, between seeds 0.2, own error 0.1: 2000 studies of four seeds; 90 % is 1800 +- 13.4."""
    rng = np.random.default_rng(0)
    covered = 0
    for _ in range(2000):
        logs = rng.normal(0, 0.1) + rng.normal(0, math.hypot(0.2, 0.1), 4)
        found = across_seeds(logs, [0.1] * 4, 0.1, 0.9).ratio
        covered += found.low <= 1 <= found.high
    assert 1800 - 4 * 13.4 <= covered <= 1800 + 4 * 13.4


def test_one_seed_has_a_value_and_no_interval_and_a_lost_transition_is_not_averaged():
    assert math.isnan(across_seeds([0.1], [0.1], 0.0, 0.9).ratio.low)
    lost = across_seeds([0.1, math.inf], [0.1, 0.1], 0.0, 0.9).ratio
    assert lost.value == math.inf
    assert math.isnan(lost.low)


@pytest.mark.parametrize(
    ("logs", "errors", "shared", "message"),
    [
        ([], [], 0.0, r"^within_errors \(0\) must be one for each of at least one seed \(0\)$"),
        ([0.0, 0.1], [0.1], 0.0, r"^within_errors \(1\)"),
        ([0.0], [0.1], -1.0, "must not be negative"),
    ],
)
def test_what_cannot_be_combined_is_refused(logs, errors, shared, message):
    with pytest.raises(ValueError, match=message):
        across_seeds(logs, errors, shared, 0.9)
