import math
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from mdlm.study.analysis import analyse
from mdlm.study.design import make_design
from mdlm.study.effects import estimate_effects

NAMES = ("partition", "recrossing", "stride", "model")
SMALL = {"recrossing": ("keep", "coring"), "stride": (1, 10), "model": ("lstm", "transformer")}


def test_planted_effects_of_a_500_cell_study_are_found_ranked_and_the_rest_is_undecided(factorial, with_errors):
    """In 20 studies the planted two are always found; any other in 5 % of the studies, which Holm allows."""
    rows = factorial()
    planted = 2 + 0.8 * (rows["recrossing"] == "keep") + 0.3 * np.log10(rows["stride"])
    noise = np.random.default_rng(11).normal(0, 0.3, (20, 500))
    design = make_design(rows, NAMES)
    found = [estimate_effects(design, (planted + one).to_numpy()).terms for one in noise]
    names = [{term.name for term in terms if term.conclusion == "matters"} for terms in found]
    assert all({"recrossing", "stride"} <= matter for matter in names)
    assert sum(len(matter) > 2 for matter in names) <= stats.binom.ppf(0.999, 20, 0.05)
    analysis = analyse(with_errors(rows, planted + noise[0]))
    (found,) = [c for c in analysis.effects.contrasts if c.factor == "recrossing"]
    assert found.estimate.low < -0.8 < found.estimate.high
    assert found.sentence("error").startswith("recrossing keep → coring: error / 2.")
    assert [r.factor for r in analysis.ranking[:2]] == ["recrossing", "stride"]
    # standard deviations of the levels: 0.8 / sqrt 2, and 0.3 times that of 0, 1, 2, 3, 4
    assert analysis.ranking[0].spread == pytest.approx(0.8 / math.sqrt(2), abs=0.05)
    assert analysis.ranking[1].spread == pytest.approx(0.3 * math.sqrt(2.5), abs=0.05)
    for ranked in analysis.ranking:
        assert sum(ranked.probabilities) == pytest.approx(1)


def test_factors_of_one_importance_share_the_places(factorial, with_errors):
    """Neither of two equal effects is first for sure; both are before one without."""
    rows = factorial(SMALL, n_seeds=10)
    planted = 0.5 * (rows["recrossing"] == "keep") + 0.5 * (rows["stride"] == 1)
    noise = np.random.default_rng(2).normal(0, 0.3, 80)
    # without the part of the noise that the two effects see, they are equal exactly
    for name in ("recrossing", "stride"):
        noise -= noise @ (side := np.where(rows[name] == SMALL[name][0], 1.0, -1.0)) / 80 * side
    ranking = analyse(with_errors(rows, 2 + planted + noise)).ranking
    assert {r.factor for r in ranking[:2]} == {"recrossing", "stride"}
    for ranked in ranking[:2]:
        assert ranked.probabilities[0] == pytest.approx(0.5, abs=0.08)
    assert ranking[2].probabilities[2] > 0.99


def test_shared_seeds_are_found_by_the_mixed_model(factorial, with_errors):
    """In a balanced design its contrasts are those of least squares; their errors lack what the seeds share.

    Variance components have a closed form there: (mean square of blocks - residual one) / runs per block.
    """
    rows = factorial(SMALL, n_seeds=12)
    rng = np.random.default_rng(4)
    shared = rng.normal(0, 0.5, 12)[rows["seed"]]
    errors = 3 + 0.4 * (rows["model"] == "lstm") + shared + rng.normal(0, 0.2, len(rows))
    analysis = analyse(with_errors(rows, errors))
    (mixed,) = analysis.mixed
    assert (mixed.block, mixed.n_blocks, mixed.warning) == ("seed", 12, "")
    fit, design = analysis.effects.fit, analysis.effects.design
    within = fit.residuals - np.array([fit.residuals[rows["seed"] == s].mean() for s in rows["seed"]])
    residual = (within**2).sum() / (len(rows) - design.matrix.shape[1] - 11)
    blocks = errors.groupby(rows["seed"]).mean()
    between = (8 * blocks.var() - residual) / 8
    assert mixed.share == pytest.approx(between / (between + residual), rel=1e-3)
    for ours, theirs in zip(analysis.effects.contrasts, mixed.contrasts, strict=True):
        assert theirs.value == pytest.approx(ours.estimate.value, abs=1e-6)
        error = math.sqrt(residual * 2 / (len(rows) / 2))
        assert theirs.high - theirs.value == pytest.approx(1.959964 * error, rel=1e-3)


def test_departures_from_the_assumptions_are_told(factorial, with_errors):
    rows = factorial(SMALL, n_seeds=30)
    rng = np.random.default_rng(0)
    well = analyse(with_errors(rows, 5 + rng.normal(0, 0.3, 240)), seed=1)
    assert all(check.is_met for check in well.checks)
    scale = np.where(rows["model"] == "lstm", 0.1, 1.0)
    checks = {c.name: c for c in analyse(with_errors(rows, 5 + scale * rng.normal(size=240))).checks}
    assert not checks["equal variances"].is_met
    assert "some levels scatter more" in checks["equal variances"].meaning
    checks = {c.name: c for c in analyse(with_errors(rows, 5 + rng.exponential(size=240))).checks}
    assert not checks["normal residuals"].is_met
    assert "skewness +" in checks["normal residuals"].meaning


def test_everything_undecided_is_said_and_every_claim_is_undecided(factorial, with_errors):
    table = with_errors(factorial(SMALL).assign(status="undecided"), np.full(40, 2.0))
    analysis = analyse(table)
    assert analysis.effects is None
    assert analysis.undecided.startswith("undecided: ")
    assert {claim.outcome for claim in analysis.claims} == {"undecided"}


def test_runs_that_all_agree_leave_nothing_to_tell_apart(factorial, with_errors):
    analysis = analyse(with_errors(factorial(SMALL), np.full(40, 2.0)))
    assert analysis.undecided == "undecided: all 40 decided runs have the same response: there is nothing to tell apart"


def test_runs_that_are_all_as_good_as_the_data_allow_leave_nothing_to_tell_apart(factorial, with_errors):
    """Although those of one stride have shorter samples, and so a higher floor."""
    table = with_errors(rows := factorial(SMALL), np.full(40, 0.05))
    floor = np.where(rows["stride"] == 1, 1.6, 1.2)
    analysis = analyse(replace(table, rows=table.rows.assign(t2_ratio_floor_factor=floor)))
    assert analysis.undecided.startswith(
        "undecided: all 40 decided runs lie at the data-limited floor: there is nothing"
    )
    assert {claim.outcome for claim in analysis.claims} == {"undecided"}


def test_undecided_runs_bound_an_effect_by_their_intervals(factorial, with_errors):
    """Two groups of ten; two of one are open by a factor of two each way: its mean moves by 2/10 of ln 2."""
    rows = factorial({"model": ("lstm", "transformer")}, n_seeds=10)
    errors = 3 + 0.5 * (rows["model"] == "lstm") + 0.01 * np.tile([1, -1], 10)
    table = with_errors(rows, errors)
    open_rows = [0, 1]
    table.rows.loc[open_rows, "status"] = "undecided"
    for end, factor in (("_low", 0.5), ("_high", 2.0)):
        table.rows.loc[open_rows, f"t2_ratio_to_data{end}"] = np.exp(-errors[open_rows]) * factor
    analysis = analyse(table)
    (contrast,), (sensitivity,) = analysis.effects.contrasts, analysis.sensitivity
    assert sensitivity.bounds == pytest.approx((-0.5 - 0.2 * math.log(2), -0.5 + 0.2 * math.log(2)))
    assert sensitivity.holds(contrast)
    for end, factor in (("_low", 1e-3), ("_high", 1e3)):
        table.rows.loc[open_rows, f"t2_ratio_to_data{end}"] = factor
    weak = analyse(table)
    assert not weak.sensitivity[0].holds(weak.effects.contrasts[0])


def test_errors_below_the_floor_are_shown_as_they_are_beside(factorial, with_errors):
    rows = factorial({"model": ("lstm", "transformer")}, n_seeds=10)
    errors = np.where(rows["model"] == "lstm", 0.02, 1.0) + 0.001 * np.tile([1, -1], 10)
    analysis = analyse(with_errors(rows, errors, half_width=0.1))
    (contrast,), (sensitivity,) = analysis.effects.contrasts, analysis.sensitivity
    assert contrast.estimate.value == pytest.approx(0.9)
    assert sensitivity.without_floor.value == pytest.approx(0.98)


def test_the_signed_ratio_says_which_way_and_judges_no_claim(factorial, with_errors):
    rows = factorial(SMALL)
    errors = 1 + 0.2 * (rows["model"] == "lstm") + 0.01 * (rows.index % 3)
    analysis = analyse(with_errors(rows, errors), "ratio")
    (contrast,) = [c for c in analysis.effects.contrasts if c.factor == "model"]
    assert contrast.sentence("t2").startswith("model lstm → transformer: t2 × 1.22 [")
    assert analysis.claims == ()
