import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from scipy import stats
from statsmodels.formula.api import ols
from statsmodels.stats.multitest import multipletests

from mdlm.study.design import make_design
from mdlm.study.effects import Estimated, estimate_effects, estimated, holm
from mdlm.study.least_squares import least_squares

NAMES = ("partition", "recrossing", "stride", "model")
TWO_BY_TWO = {"a": ("low", "up"), "b": ("left", "right")}


def contrast(effects, factor, level):
    return next(c for c in effects.contrasts if c.factor == factor and c.level == level)


def test_a_balanced_two_by_two_is_what_one_computes_by_hand(factorial):
    """Cell means 1, 2, 3, 8 (low-left, low-right, up-left, up-right), each twice at +-0.5."""
    rows = factorial(TWO_BY_TWO, n_seeds=4)
    values = np.repeat([1.0, 2.0, 3.0, 8.0], 4) + np.tile([0.5, -0.5, 0.5, -0.5], 4)
    effects = estimate_effects(make_design(rows, ("a", "b")), values)
    means = {tuple(m.at.values()): m.estimate.value for m in effects.means}
    assert means == pytest.approx({("low",): 1.5, ("up",): 5.5, ("left",): 2.0, ("right",): 5.0})
    # sums of squares: 16 d^2 / 4 with d = 4, 3 and 2 * half the interaction contrast (8 - 3 - 2 + 1) / 2 = 2
    total = 64 + 36 + 16 + 4.0
    assert [t.share for t in effects.terms] == pytest.approx([64 / total, 36 / total, 16 / total])
    assert [t.partial_eta2 for t in effects.terms] == pytest.approx([64 / 68, 36 / 40, 16 / 20])
    mean_error = 4 / 12
    expected = [(s - mean_error) / (s + 15 * mean_error) for s in (64, 36, 16)]
    assert [t.partial_omega2 for t in effects.terms] == pytest.approx(expected)
    assert [t.largest for t in effects.terms] == pytest.approx(np.exp([4, 3, 1]))  # cells depart by +-1
    # equal leverage 1/4 and equal residuals: HC3 = sum of (0.5 / 0.75)^2 over 16 / 16^2 for a half difference
    error = 2 * np.sqrt((0.5 / 0.75) ** 2 / 16)
    half = stats.t.ppf(0.975, 12) * error
    found = contrast(effects, "a", "up").estimate
    assert (found.value, found.low, found.high) == pytest.approx((4, 4 - half, 4 + half))
    assert found.p == pytest.approx(2 * stats.t.sf(4 / error, 12))
    assert effects.r_squared == pytest.approx(1 - 4 / total)


def unbalanced(factorial, seed=3):
    rng = np.random.default_rng(seed)
    rows = factorial()[rng.random(500) < 0.4].reset_index(drop=True)
    scale = np.where(rows["model"] == "lstm", 0.2, 0.8)
    values = 1 + 0.3 * (rows["recrossing"] == "keep") + rng.normal(size=len(rows)) * scale
    return rows, values.to_numpy()


def test_unbalanced_data_agree_with_statsmodels(factorial):
    """Robust type III tests, HC3 covariance and sums of squares of an independent implementation."""
    rows, values = unbalanced(factorial)
    effects = estimate_effects(make_design(rows, NAMES), values)
    assert len(effects.terms) == 10
    formula = "y ~ (" + " + ".join(f"C({name}, Sum)" for name in NAMES) + ")**2"
    theirs = ols(formula, rows.assign(y=values)).fit()
    table = sm.stats.anova_lm(theirs, typ=3, robust="hc3").iloc[1:-1]
    np.testing.assert_allclose([t.f for t in effects.terms], table["F"], rtol=1e-8)
    np.testing.assert_allclose([t.p for t in effects.terms], table["PR(>F)"], rtol=1e-6, atol=1e-300)
    squares = sm.stats.anova_lm(theirs, typ=3).iloc[1:-1]["sum_sq"]
    total = ((values - values.mean()) ** 2).sum()
    np.testing.assert_allclose([t.share for t in effects.terms], squares / total, rtol=1e-8)
    fit = sm.OLS(values, effects.design.matrix).fit(cov_type="HC3", use_t=True)
    np.testing.assert_allclose(effects.fit.covariance, fit.cov_params(), rtol=1e-7, atol=1e-14)


def test_marginal_means_are_predictions_averaged_equally_over_the_other_levels(factorial):
    """However unbalanced the runs are: by prediction of an independent fit on the full grid of levels."""
    rows, values = unbalanced(factorial)
    effects = estimate_effects(make_design(rows, NAMES), values)
    formula = "y ~ (" + " + ".join(f"C({name})" for name in NAMES) + ")**2"
    grid = factorial(n_seeds=1)
    grid["predicted"] = ols(formula, rows.assign(y=values)).fit().predict(grid)
    for name in NAMES:
        expected = grid.groupby(grid[name].astype(str))["predicted"].mean()
        found = {m.at[name]: m.estimate.value for m in effects.means if name in m.at}
        assert found == pytest.approx(expected.to_dict())
    first, second = effects.design.factors[:2]
    pairs = {(m.at["partition"], m.at["recrossing"]): m.estimate.value for m in effects.pair_means(first, second)}
    assert pairs == pytest.approx(grid.groupby(["partition", "recrossing"])["predicted"].mean().to_dict())


def test_planted_effects_lie_inside_their_intervals_at_the_nominal_rate(factorial):
    """2000 synthetic 500-cell studies whose models scatter differently.

    In a balanced design each leverage is h = n_columns / n_rows, and HC3 divides by (1 - h)^2 where the expected
    square of a residual is (1 - h) times the variance: intervals are wide by 1 / sqrt(1 - h), here 5 %, which makes
    95 % of the t distribution 96 %.
    """
    rows = factorial()
    design = make_design(rows, NAMES)
    rng = np.random.default_rng(1)
    truth = rng.normal(0, 0.3, design.matrix.shape[1])
    scale = np.where(rows["model"] == "lstm", 0.2, 0.6)
    studies = design.matrix @ truth + rng.normal(size=(2000, 500)) * scale
    fit = least_squares(design.matrix, studies)
    weights = np.array(
        [
            design.mean(**{f.name: level}) - design.mean(**{f.name: f.levels[0]})
            for f in design.factors
            for level in f.levels[1:]
        ]
    )
    values, errors = fit.combination(weights)
    inside = np.abs(values - weights @ truth) < stats.t.ppf(0.975, fit.df) * errors
    rates = inside.mean(axis=0)
    assert len(rates) == 10
    deviation = np.sqrt(0.95 * 0.05 / 2000)
    assert (np.abs(rates - 0.95) < 4 * deviation).all()
    widened = stats.t.ppf(0.975, fit.df) / np.sqrt(1 - design.matrix.shape[1] / 500)
    assert rates.mean() == pytest.approx(2 * stats.t.cdf(widened, fit.df) - 1, abs=0.006)


def test_many_responses_at_once_are_what_each_is_alone(factorial):
    design = make_design(factorial(n_seeds=2), NAMES)
    studies = np.random.default_rng(0).normal(size=(3, 200))
    together = least_squares(design.matrix, studies)
    for number, study in enumerate(studies):
        alone = least_squares(design.matrix, study)
        np.testing.assert_allclose(together.coefficients[number], alone.coefficients)
        np.testing.assert_allclose(together.covariance[number], alone.covariance)


def test_holm_agrees_with_statsmodels():
    p = np.random.default_rng(0).random(20) ** 3
    np.testing.assert_allclose(holm(p.tolist()), multipletests(p, method="holm")[1])


def test_pure_noise_is_undecided_but_for_the_rate_of_false_findings(factorial):
    """In 100 studies, Holm lets any term at all be called significant in at most 5 % of them."""
    design = make_design(factorial(n_seeds=2)[::2], NAMES)
    rng = np.random.default_rng(5)
    wrong = sum(
        any(term.conclusion == "matters" for term in estimate_effects(design, rng.normal(size=100)).terms)
        for _ in range(100)
    )
    assert wrong <= stats.binom.ppf(0.999, 100, 0.05)


def test_a_run_that_alone_decides_a_coefficient_does_not_make_it_certain():
    """Leverage one: its residual is zero, its error is not."""
    rows = pd.DataFrame({"a": ["p"] * 6 + ["q"] * 6 + ["r"]})
    values = np.r_[np.tile([0.0, 1.0], 6), 5.0]
    design = make_design(rows, ("a",))
    effects = estimate_effects(design, values)
    (found,) = estimated(effects.fit, design.mean(a="r")[None])
    assert found.value == pytest.approx(5.0)
    scale = 12 * 0.25 / 10
    assert found.high - found.value == pytest.approx(stats.t.ppf(0.975, 10) * np.sqrt(scale))


def test_levels_whose_runs_all_lie_at_the_floor_do_not_differ():
    """Equal numbers without scatter: what rounding leaves of their difference is no finding, small as its error is."""
    rows = pd.DataFrame({"a": [*"pppppqqqrrrrr"]})
    floor = np.log(1.43)
    effects = estimate_effects(make_design(rows, ("a",)), np.r_[[floor] * 5, 0.9, 1.3, 1.0, [floor] * 5])
    found = contrast(effects, "a", "r")
    assert (found.baseline, found.estimate.value, found.estimate.p) == ("p", 0.0, 1.0)
    assert contrast(effects, "a", "q").estimate.p < 0.05


@pytest.mark.parametrize(
    ("matrix", "message"),
    [
        (np.ones((3, 3)), r"design \(3 rows\) must have more rows than its 3 columns"),
        (np.ones((5, 2)), r"design \(2 columns\) must have columns that do not depend on each other"),
    ],
)
def test_what_cannot_be_fitted_is_refused(matrix, message):
    with pytest.raises(ValueError, match=message):
        least_squares(matrix, np.zeros(len(matrix)))


def test_a_factor_is_told_as_multiplication_or_division():
    assert Estimated(np.log(2.3), np.log(1.8), np.log(2.9), 0.0).times("error") == "error × 2.3 [1.8, 2.9]"
    assert Estimated(-np.log(2.0), -np.log(4.0), np.log(1.25), 0.1).times("t2") == "t2 / 2 [0.8, 4]"
