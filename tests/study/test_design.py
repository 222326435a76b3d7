import itertools

import numpy as np
import pandas as pd
import pytest

from mdlm.study.design import make_design
from mdlm.study.levels import factor

LEVELS = {"a": (1, 2), "b": ("x", "y"), "c": ("keep", "coring", "core_set")}


def notes_of(design):
    return "; ".join(design.notes)


def test_numbers_stand_in_their_order_and_nothing_done_stands_first():
    rows = pd.DataFrame({"stride": [100, 1, 10.0], "recrossing": ["core_set", "keep", "coring"]})
    assert factor(rows, "stride").levels == ("1", "10", "100")
    assert factor(rows, "recrossing").levels == ("keep", "core_set", "coring")
    assert factor(rows, "stride").index.tolist() == [2, 0, 1]


def test_a_full_factorial_has_all_main_effects_and_pairs(factorial):
    design = make_design(factorial(LEVELS), tuple(LEVELS))
    assert [t.name for t in design.terms] == ["a", "b", "c", "a:b", "a:c", "b:c"]
    assert [t.df for t in design.terms] == [1, 1, 2, 1, 2, 2]
    assert np.linalg.matrix_rank(design.matrix) == design.matrix.shape[1] == 10
    assert design.notes == ()


def test_one_level_is_named_and_left_out(factorial):
    design = make_design(factorial(LEVELS | {"d": (7,)}), ("d", *LEVELS))
    assert [f.name for f in design.factors] == ["a", "b", "c"]
    assert notes_of(design) == "d has one level (7) in the runs analysed: no effect to estimate"


def test_factors_that_vary_together_are_named_and_not_told_apart(factorial):
    rows = factorial(LEVELS).assign(context=lambda r: r["a"] * 100)
    design = make_design(rows, ("a", "context", "b"))
    assert [f.name for f in design.factors] == ["a", "b"]
    assert design.factor("a").aliases == ("context",)
    assert notes_of(design) == "context is confounded with a: its effect cannot be told from that of a"


@pytest.mark.parametrize("order", [("c", "kind"), ("kind", "c")])
def test_a_factor_that_a_finer_one_determines_is_confounded_with_it(factorial, order):
    rows = factorial(LEVELS).assign(kind=lambda r: np.where(r["c"] == "keep", "raw", "treated"))
    design = make_design(rows, (*order, "a"))
    assert design.factor("kind") is None
    assert design.factor("c").aliases == ("kind",)


def test_factors_of_which_few_combinations_go_together_are_one(factorial):
    """Angles go with bins, coordinates with two other partitions: only the latter two can be compared by themselves."""
    rows = factorial({"at": (("phi", "sin"), ("psi", "sin"), ("xyz", "rmsd"), ("xyz", "pcca")), "b": ("x", "y")})
    rows[["features", "partition"]] = rows["at"].tolist()
    design = make_design(rows, ("features", "b", "partition"))
    assert [f.name for f in design.factors] == ["features/partition", "b"]
    assert design.factor("partition") is design.factor("features") is design.factors[0]
    assert design.factors[0].levels == ("phi/sin", "psi/sin", "xyz/pcca", "xyz/rmsd")
    assert np.linalg.matrix_rank(design.matrix) == design.matrix.shape[1] == 8
    assert "of the 9 combinations of features and partition only 4 have a decided run" in notes_of(design)


def test_a_combination_that_is_lacking_does_not_join_what_can_be_told_apart(factorial):
    """Three of four corners: additive effects can be told apart, their interaction cannot."""
    rows = factorial(LEVELS)
    rows = rows[~((rows["a"] == 2) & (rows["b"] == "y"))]
    assert [f.name for f in make_design(rows, tuple(LEVELS)).factors] == ["a", "b", "c"]


def test_a_factor_that_others_determine_together_is_confounded_with_them():
    """The last level differs by one wherever the first two do: no pair decides it, both together do."""
    rows = pd.DataFrame({"a": [0, 1, 0, 1], "b": [0, 0, 1, 1], "c": [0, 1, 1, 2]})
    rows = pd.concat([rows] * 4)
    design = make_design(rows, ("a", "b", "c"))
    names = {f.name for f in design.factors}
    assert len(names) == 2
    assert "confounded with" in notes_of(design)


def half_fraction(*others):
    """2^(3-1) with c = a b, three seeds, crossed with other factors."""
    corners = [(a, b, a * b) for a in (-1, 1) for b in (-1, 1)]
    rows = [(*corner, *rest) for corner, *rest, _ in itertools.product(corners, *others, range(3))]
    return pd.DataFrame(rows, columns=list("abcde")[: 3 + len(others)])


def test_in_a_half_fraction_the_interactions_are_named_with_their_aliases():
    """Each main effect is aliased with the interaction of the two others; 36 combinations tell 24 columns apart."""
    design = make_design(half_fraction(range(3), range(3)), tuple("abcde"))
    assert design.matrix.shape == (108, 24)
    assert [t.name for t in design.terms] == [*"abcde", "a:d", "a:e", "b:d", "b:e", "c:d", "c:e", "d:e"]
    for pair, main in (("a:b", "c"), ("a:c", "b"), ("b:c", "a")):
        assert f"interaction {pair} is not estimated: it is aliased with {main}, which are read" in notes_of(design)


@pytest.mark.parametrize(
    ("others", "given", "least"), [((), 4, 9), ((range(2),), 8, 13), ((range(2), range(2)), 16, 18)]
)
def test_replicates_do_not_stand_in_for_combinations_that_a_fraction_lacks(others, given, least):
    """By hand: 4, 8 and 13 columns. Seeds scatter little where runs lie at the floor, and would be all the error."""
    names = tuple("abcde"[: 3 + len(others)])
    with pytest.raises(
        ValueError, match=rf"^combinations of levels \({given} decided\) must be at least {least} to tell"
    ):
        make_design(half_fraction(*others), names)


def test_a_pair_with_an_empty_combination_is_named_and_taken_as_independent(factorial):
    rows = factorial(LEVELS)
    rows = rows[~((rows["b"] == "y") & (rows["c"] == "coring"))]
    design = make_design(rows, tuple(LEVELS))
    assert [t.name for t in design.terms] == ["a", "b", "c", "a:b", "a:c"]
    assert "interaction b:c is not estimated: no decided run has y with coring; the two are taken" in notes_of(design)


def test_too_few_runs_for_the_interactions_leave_the_main_effects(factorial):
    design = make_design(factorial(LEVELS, n_seeds=1), tuple(LEVELS))
    assert [t.name for t in design.terms] == ["a", "b", "c"]
    assert notes_of(design) == "no interaction is estimated: 12 runs are too few for them; they count as error"


def test_too_few_runs_for_the_main_effects_are_an_error(factorial):
    with pytest.raises(ValueError, match=r"^runs \(4 decided\) must be at least 8: the main effects of a, b take 3"):
        make_design(factorial({"a": (1, 2), "b": (1, 2)}, n_seeds=1), ("a", "b"))


def test_nothing_that_varies_is_an_error(factorial):
    with pytest.raises(ValueError, match=r"a has one level \(1\)"):
        make_design(factorial({"a": (1,)}), ("a",))
    with pytest.raises(ValueError, match=r"^factors \(\) must name at least one"):
        make_design(factorial({"a": (1,)}), ())
