"""Constructed studies in which each claim holds, fails, or cannot be told."""

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
    """Slopes per tenfold, and lumping and treatment together, without noise to speak of."""
    found = outcome(lambda rows: stride(-1)(rows) + cured(-1)(rows) + transformer(0.2)(rows), noise=1e-6)
    assert f"error / {np.exp(0.1):.3g} [" in found["C2"].numbers
    assert f"both together: error / {np.exp(0.6):.3g} [" in found["C3"].numbers
    assert f"lumping: error / {np.exp(0.3):.3g} [" in found["C3"].numbers
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
    assert "recrossing removal: error × 1.3" in claim.numbers


def test_a_cure_of_which_one_half_does_nothing_is_not_supported(outcome):
    """Both together are better, but only by the one."""
    claim = outcome(lambda rows: -0.5 * (rows["recrossing"] != "keep"))["C3"]
    assert claim.outcome == "undecided"
    assert "both together: error / 1.6" in claim.numbers


def test_what_was_not_varied_is_named(outcome):
    found = outcome(lambda rows: 0 * rows["stride"], {"stride": (1, 10), "partition": ("kmeans", "grid n_bins=10")})
    assert "recrossing does not vary" in found["C3"].numbers
    assert "partition (grid n_bins=10, kmeans) does not hold both kinds of level" in found["C3"].numbers
    assert "do not hold both an LSTM and a transformer" in found["C4"].numbers


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
