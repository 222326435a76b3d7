"""Constructed studies in which each claim holds, fails, or cannot be told."""

from dataclasses import replace

import numpy as np
import pytest

from mdlm.study.analysis import analyse
from mdlm.study.claims import CLAIMS

LARGE = {"wells": 0, "pcca": 0, "grid n_bins=10": 1, "kmeans": 2, "grid n_bins=30": 1.5}


@pytest.fixture
def outcome(factorial, with_errors):
    """Claims by name for a study whose errors are some function of its rows, with noise."""

    def judge(effect, levels=None, n_seeds=3, noise=0.1, names=("partition", "recrossing", "stride", "model")):
        rows = factorial(levels, n_seeds)
        errors = 2 + effect(rows) + noise * np.random.default_rng(0).normal(size=len(rows))
        claims = analyse(with_errors(rows, errors, factors=names)).claims
        assert [claim.name for claim in claims] == list(CLAIMS)
        return {claim.name: claim for claim in claims}

    return judge


def fineness(sign):
    return lambda rows: sign * 0.2 * rows["partition"].map(LARGE)


def stride(sign):
    return lambda rows: sign * 0.1 * np.log10(rows["stride"])


def cured(sign):
    def effect(rows):
        return sign * (0.3 * rows["partition"].isin(["wells", "pcca"]) + 0.3 * (rows["recrossing"] != "keep"))

    return effect


def transformer(size):
    return lambda rows: size * (rows["model"] == "transformer")


@pytest.mark.parametrize(
    ("name", "effect", "expected"),
    [
        ("C1", fineness(1), "supported"),
        ("C1", fineness(-1), "refuted"),
        ("C1", fineness(0), "undecided"),
        ("C2", stride(-1), "supported"),
        ("C2", stride(1), "refuted"),
        ("C2", stride(0), "undecided"),
        ("C3", cured(-1), "supported"),
        ("C3", cured(1), "refuted"),
        ("C3", cured(0), "undecided"),
        ("C4", transformer(0.0), "supported"),
        ("C4", transformer(0.5), "supported"),
        ("C4", transformer(-0.5), "refuted"),
    ],
)
def test_each_claim_can_have_each_outcome(outcome, name, effect, expected):
    claim = outcome(effect)[name]
    assert claim.outcome == expected
    assert claim.sentence.startswith(f"{name}, {CLAIMS[name]}: {expected}; ")
    assert "error" in claim.numbers


def test_the_numbers_of_a_claim_are_those_planted(outcome):
    """The change from the smallest stride to the largest, lumping and treatment together, without noise to speak of."""
    found = outcome(lambda rows: stride(-1)(rows) + cured(-1)(rows) + transformer(0.2)(rows), noise=1e-6)
    assert f"from 1 to 10000 frames (stride): error / {np.exp(0.4):.3g} [" in found["C2"].numbers
    assert f"both together: error / {np.exp(0.6):.3g} [" in found["C3"].numbers
    against = "partition pcca and wells against grid n_bins=10 and grid n_bins=30 and kmeans"
    assert f"lumping ({against}): error / {np.exp(0.3):.3g} [" in found["C3"].numbers
    assert f"transformer instead of LSTM: error × {np.exp(0.2):.3g} [" in found["C4"].numbers


def test_a_transformer_better_by_less_than_the_margin_is_not_better(outcome):
    claim = outcome(transformer(-0.1), noise=0.05)["C4"]
    assert claim.outcome == "supported"
    assert "at best it divides the error by 1.1" in claim.numbers


def test_too_few_seeds_leave_the_transformer_undecided(outcome):
    assert outcome(transformer(0.0), {"model": ("lstm", "transformer")}, n_seeds=4, noise=0.5)["C4"].outcome == (
        "undecided"
    )


def test_one_half_that_harms_leaves_the_cure_undecided(outcome):
    def effect(rows):
        return -1.0 * rows["partition"].isin(["wells", "pcca"]) + 0.3 * (rows["recrossing"] != "keep")

    claim = outcome(effect)["C3"]
    assert claim.outcome == "undecided"
    assert "recrossing removal (recrossing coring against keep): error × 1.3" in claim.numbers


def test_a_cure_of_which_one_half_does_nothing_is_not_supported(outcome):
    """Both together are better, but only by the one."""
    claim = outcome(lambda rows: -0.5 * (rows["recrossing"] != "keep"))["C3"]
    assert claim.outcome == "undecided"
    assert "both together: error / 1.6" in claim.numbers


def test_what_was_not_varied_is_named(outcome):
    found = outcome(lambda rows: 0 * rows["stride"], {"stride": (1, 10), "partition": ("kmeans", "grid n_bins=10")})
    assert "recrossing does not vary" in found["C3"].numbers
    assert "partition (grid n_bins=10, kmeans) does not hold both kinds of level" in found["C3"].numbers
    assert "model does not vary" in found["C4"].numbers
    found = outcome(lambda rows: 0 * rows["stride"], {"stride": (1, 10), "model": ("lstm", "markov")})
    assert "model (lstm, markov) does not hold both kinds of level" in found["C4"].numbers


ZENG = {  # what goes together in the published design, with the numbers of states and features
    ("phi", "sin_bins"): (20, 1),
    ("psi", "sin_bins"): (20, 1),
    ("coordinates", "rmsd"): (100, 30),
    ("coordinates", "pcca_rmsd"): (4, 30),
}


def published(factorial, removal, residence, noise=0.05):
    """A study as conf/experiment/zeng2021 plans it: removal varies through a value, few features and partitions fit."""
    rows = factorial({"at": tuple(ZENG), removal: residence, "model": ("lstm_zeng2021", "transformer_zeng2021")}, 3)
    n_states, n_features = zip(*rows["at"].map(ZENG), strict=True)
    features, partition = zip(*rows.pop("at"), strict=True)
    rows = rows.assign(features=features, partition=partition, n_states=n_states, n_features=n_features)
    smallest = rows[removal] == min(residence)
    rows = rows.assign(recrossing_fraction_changed=np.where(smallest, 0.0, 0.01 * rows[removal]))
    effect = -0.4 * (rows["partition"] == "pcca_rmsd") - 0.5 * ~smallest + 1.0 * (rows["features"] == "psi")
    return rows, 2 + effect + noise * np.random.default_rng(1).normal(size=len(rows))


@pytest.mark.parametrize(
    ("removal", "levels"), [("recrossing.residence_time", (0.1, 0.2, 5.0)), ("recrossing.window", (1, 20, 50))]
)
def test_removal_that_varies_through_a_value_counts_and_like_is_compared_with_like(
    factorial, with_errors, removal, levels
):
    """Macrostates of coordinates are compared with microstates of coordinates, not with bins of a bad angle."""
    rows, errors = published(factorial, removal, levels, noise=1e-6)
    table = with_errors(rows, errors, factors=("features", "partition", removal, "model"))
    table = replace(table, rows=table.rows.assign(n_states=rows["n_states"]))
    claims = {claim.name: claim for claim in analyse(table).claims}
    least, *more = (f"{level:g}" for level in levels)
    for text in (
        f"both together: error / {np.exp(0.9):.3g} [",
        f"lumping (partition coordinates/pcca_rmsd against coordinates/rmsd): error / {np.exp(0.4):.3g} [",
        f"recrossing removal ({removal} {' and '.join(more)} against {least}): error / {np.exp(0.5):.3g} [",
    ):
        assert text in claims["C3"].numbers
    assert claims["C3"].outcome == "supported"
    assert f"from 4 to 100 states (partition): error × {np.exp(0.4):.3g} [" in claims["C1"].numbers
    assert "number of features is not known or the same at all levels of features that" in claims["C1"].numbers
    assert claims["C4"].outcome == "supported"


def test_a_residence_time_that_changes_something_at_every_level_compares_nothing_with_none(factorial, with_errors):
    rows, errors = published(factorial, "recrossing.residence_time", (0.2, 5.0))
    rows = rows.assign(recrossing_fraction_changed=0.01)
    claim = analyse(with_errors(rows, errors, factors=("partition", "recrossing.residence_time"))).claims[2]
    assert claim.outcome == "undecided"
    assert "recrossing.residence_time (0.2, 5) does not hold both kinds of level" in claim.numbers


def test_more_features_are_judged_by_their_number(factorial, with_errors):
    """Ten features are worse than one by 0.3 per tenfold."""
    rows = factorial({"features": ("x", "coordinates", "contacts"), "model": ("lstm", "markov")}, 3)
    number = rows["features"].map({"x": 1, "coordinates": 10, "contacts": 100})
    errors = 1 + 0.3 * np.log10(number) + 0.01 * np.random.default_rng(0).normal(size=len(rows))
    table = with_errors(rows.assign(n_features=number), errors, factors=("features", "model"))
    claim = analyse(table).claims[0]
    assert claim.outcome == "supported"
    assert "from 1 to 100 features (features): error × 1.8" in claim.numbers


def test_claims_are_judged_on_the_error_of_t2_alone(factorial, with_errors):
    rows = factorial({"stride": (1, 10)}).assign(mfpt_log_error_rms=lambda r: 0.1 * r["stride"] + 0.01 * r["seed"])
    table = with_errors(rows, rows["mfpt_log_error_rms"], factors=("stride",))
    assert analyse(table).claims
    assert analyse(table, "mfpt_log_error_rms").effects is not None
    assert analyse(table, "mfpt_log_error_rms").claims == ()


def test_a_confounded_factor_supports_nothing(factorial, with_errors):
    rows = factorial({"stride": (1, 10, 100), "model": ("lstm", "transformer")})
    rows = rows.assign(context=rows["stride"] * 7)
    errors = 2 - np.log10(rows["stride"])
    names = ("stride", "context", "model")
    claims = {c.name: c for c in analyse(with_errors(rows, errors + 0.01 * (rows.index % 3), factors=names)).claims}
    assert claims["C2"].outcome == "undecided"
    assert "stride is confounded with context" in claims["C2"].numbers


def test_noise_decides_none_of_the_first_three(outcome):
    found = outcome(lambda rows: 0.0, noise=1.0, n_seeds=5)
    assert [found[name].outcome for name in ("C1", "C2", "C3")] == ["undecided"] * 3
