"""Cells of a design: identity, factors, fractions."""

import itertools
from dataclasses import replace
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from mdlm.build import build
from mdlm.study.cells import cells, fraction, identity_of, varying
from mdlm.study.settings import StudySettings

CONF = Path(__file__).parents[2] / "conf"


@pytest.fixture(scope="module")
def composed():
    def of(*overrides):
        with initialize_config_dir(str(CONF), version_base="1.3"):
            return OmegaConf.to_container(compose("config", list(overrides)), resolve=True, throw_on_missing=True)

    return of


@pytest.fixture(scope="module")
def experiment(composed):
    return lambda *overrides: build(composed(*overrides))


def test_what_decides_a_result_decides_the_identity(experiment):
    plain = identity_of(experiment())
    others = [
        ["stride=2"],
        ["seed=1"],
        ["model=gru"],
        ["model.hidden=32"],
        ["kinetics.lag_time=300"],
        ["offsets=first"],
    ]
    found = {identity_of(experiment(*overrides)) for overrides in others}
    assert len(found | {plain}) == len(others) + 1


def test_where_things_are_kept_and_how_they_are_said_does_not(experiment):
    plain = identity_of(experiment())
    for overrides in (
        ["tracking=none"],
        ["cache_dir=elsewhere"],
        ["figures=false"],
        ["study.name=other"],
        ["model=lstm", "stride=1"],
    ):
        assert identity_of(experiment(*overrides)) == plain


def test_an_edit_of_a_parts_code_is_another_cell(experiment, edited):
    before = identity_of(experiment())
    edited("mdlm.training.batches")
    assert identity_of(experiment()) != before


def test_cells_that_cannot_run_say_why_and_the_others_are_named_by_their_levels(composed):
    design = [["model=markov", "stride=1"], ["model=markov", "stride=3"]]

    def made(overrides):
        return composed(*overrides), {"model": "markov"}

    good, bad = cells(made, design, {"mdlm"})
    assert good.problem is None
    assert good.levels == {"stride": "1"}
    assert "kinetics.lag_time" in bad.problem  # 200 frames are no whole number of tokens of 3
    assert bad.identity == ""


def test_names_that_collide_keep_their_group():
    design = [["model.dropout=0", "other.dropout=0"], ["model.dropout=1", "other.dropout=1"]]
    assert varying(design) == {"model.dropout": "model.dropout", "other.dropout": "other.dropout"}


@pytest.mark.parametrize(("levels", "n"), [((2, 2, 2), 2), ((3, 3, 3), 3), ((4, 2), 2)])
def test_a_regular_fraction_holds_every_pair_of_levels_equally_often_with_every_seed(levels, n):
    """So main effects are not mixed with each other; two-factor interactions are, with those of the others."""
    full = [
        [*(f"f{i}={level}" for i, level in enumerate(cell)), f"seed={seed}"]
        for *cell, seed in itertools.product(*map(range, levels), range(3))
    ]
    kept = fraction(full, n)
    assert len(kept) == len(full) // n
    for cell in itertools.chain.from_iterable(full):
        factor = cell.partition("=")[0]
        of_factor = len({text for row in full for text in row if text.startswith(factor)})
        assert sum(cell in row for row in kept) == len(kept) // of_factor


@pytest.mark.parametrize("n", [4, 9])
def test_a_fraction_that_would_lose_levels_is_refused(n):
    full = [[f"a={a}", f"b={b}", f"seed={seed}"] for a, b, seed in itertools.product(range(2), range(3), range(9))]
    with pytest.raises(ValueError, match=rf"^study.fraction \({n}\) must divide .* a factor \(here: 2, 3\)$"):
        fraction(full, n)


def test_settings_refuse_names_that_are_no_folder():
    good = StudySettings("demo-2.1", "none", keep_going=True, fraction=1)
    for name in ("", "../demo", "a b", ".hidden"):
        with pytest.raises(ValueError, match="name"):
            replace(good, name=name)
    with pytest.raises(ValueError, match="fraction"):
        replace(good, fraction=0)
