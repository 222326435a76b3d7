"""Cells that are put together from others: exactly what Hydra composes, and what cannot be is left to it."""

import itertools
import json
import random
from copy import copy

import pytest
from hydra import initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.types import RunMode
from omegaconf import OmegaConf, open_dict

from mdlm.cli import conf_directory
from mdlm.cli_compose import Composer
from mdlm.study.cells import cells, identity_of

DESIGNS = {
    "options, values and what they refer to": {
        "system": ["four_state"],
        "features": ["coordinates", "x"],
        "partition": ["wells", "grid"],
        "model": ["lstm", "markov"],
        "stride": ["1", "10"],
        "system.lag_time": ["100", "200"],  # kinetics.lag_time refers to it
        "cache_dir": ["a", "'b/${seed}'"],
        "seed": ["0", "1"],
    },
    "options that bring others along": {
        "experiment": ["demo"],
        "recrossing": ["keep", "coring_1"],
        "partition": ["wells", "pcca"],
        "model": ["lstm", "markov"],
        "training.batching": ["streams", "windows"],
        "seed": ["0", "1", "2"],
    },
    "overrides of all kinds": {
        "model": ["lstm", "gru"],
        "model.hidden": ["32", "64"],
        "training.max_epochs": ["5", "7"],
        "training": ["{max_epochs: 3}"],  # comes later, and so wins
        "+system.note": ["a"],
        "kinetics.sets": ["{left: [0, 1], right: [2, 3]}"],
        "seed": ["0", "1", "2", "3"],
    },
}


@pytest.fixture
def hydra():
    """The loader of a directory of configuration files, and the configuration of a sweep; counts what is composed."""

    def of(directory, *words):
        context = initialize_config_dir(str(directory), version_base="1.3")
        contexts.append(context)
        context.__enter__()
        loader, composed = copy(GlobalHydra.instance().config_loader()), []
        real = type(loader).load_sweep_config
        loader.load_sweep_config = lambda *given: composed.append(given) or real(loader, *given)
        return loader, loader.load_configuration("config", list(words), RunMode.MULTIRUN), composed

    contexts = []
    yield of
    for context in contexts:
        context.__exit__(None, None, None)


def combinations(design):
    return [[f"{k}={v}" for k, v in zip(design, values, strict=True)] for values in itertools.product(*design.values())]


def by_hydra(master, overrides):
    """One cell, composed as a whole and from files read anew."""
    config = GlobalHydra.instance().config_loader().load_sweep_config(master, list(overrides))
    choices = {group: str(option) for group, option in config.hydra.runtime.choices.items() if "/" not in group}
    with open_dict(config):
        del config["hydra"]
    return OmegaConf.to_container(config, resolve=True, throw_on_missing=True), choices


@pytest.mark.parametrize("name", DESIGNS)
def test_a_cell_is_what_hydra_composes(hydra, name):
    """To the byte, the order of keys included, in whatever order cells come."""
    loader, master, composed = hydra(conf_directory())
    design = combinations(DESIGNS[name])
    random.Random(0).shuffle(design)
    compose = Composer(loader, master, design)
    found = {number: json.dumps(compose(design[number])) for number in range(len(design))}
    assert 3 * len(composed) <= len(design)
    for number in random.Random(1).sample(range(len(design)), 3):
        assert found[number] == json.dumps(by_hydra(master, design[number]))


def test_a_cell_has_the_identity_of_the_same_run_built_by_itself(hydra):
    """Parts are shared between cells here, and nothing is there."""
    from mdlm.build import build

    loader, master, _ = hydra(conf_directory())
    design = combinations(
        {
            "system": ["four_state"],
            "partition": ["wells", "grid"],
            "model": ["lstm", "markov"],
            "stride": ["1", "3"],  # a lag of 200 is no whole number of tokens of 3
            "kinetics.n_resamples": ["20", "50"],
            "system.lag_time": ["200", "400"],
            "seed": ["0", "1"],
        }
    )
    found = list(cells(Composer(loader, master, design), design, {"mdlm"}))
    valid = [cell for cell in found if cell.problem is None]
    assert len({cell.identity for cell in valid}) == len(valid) == len(found) // 2
    for cell in random.Random(0).sample(valid, 3):
        config, choices = by_hydra(master, cell.overrides)
        assert cell.identity == identity_of(build(config))
        assert cell.choices == choices


FILES = {
    "a/one.yaml": "v: 1\nw: ${b.v}",
    "a/two.yaml": "v: 2\nw: ${b.v}\nextra: 1",
    "a/wide.yaml": "# @package _global_\na: {v: 3, w: 3}\nb: {v: 9}",
    "b/one.yaml": "v: 1",
    "b/two.yaml": "v: 2",
    "b/more.yaml": "defaults: [two, /c@c: three]",
    "b/elsewhere.yaml": "defaults: [two, /c@_global_.both: three]",
    "c/three.yaml": "v: 3",
    "c/four.yaml": "defaults: [three]\nw: ${b.v}",
    "both/two_two.yaml": "c: 1",
}


@pytest.fixture
def written(tmp_path):
    def write(defaults):
        files = FILES | {"config.yaml": f"defaults: {defaults}\nx: 0\nboth: {{c: 0}}"}
        for name, text in files.items():
            path = tmp_path / name
            path.parent.mkdir(exist_ok=True)
            path.write_text(text + "\n")
        return tmp_path

    return write


PLAIN, BOTH = "[_self_, a: one, b: one]", "[_self_, a: one, b: one, optional both: '${a}_${b}']"


@pytest.mark.parametrize(("defaults", "n_composed"), [(PLAIN, 3), (BOTH, 4)])
def test_options_that_decide_together_on_a_file_are_composed_in_every_combination(hydra, written, defaults, n_composed):
    """Else once for each: the first cell, the other `a` and the other `b`."""
    loader, master, composed = hydra(written(defaults))
    compose = Composer(loader, master)
    design = combinations({"a": ["one", "two"], "b": ["one", "two"], "x": ["0", "${a.w}"]})
    found = [compose(cell) for cell in design]
    assert len(composed) == n_composed
    assert found == [by_hydra(master, cell) for cell in design]


def test_a_value_may_refer_to_another_value_and_to_an_option(hydra, written):
    loader, master, _ = hydra(written(PLAIN))
    design = combinations({"a": ["one", "two"], "b": ["one", "two"], "x": ["0", "${b.v}", "${a.v}"], "b.v": ["5", "6"]})
    compose = Composer(loader, master, design)
    assert [compose(cell) for cell in design] == [by_hydra(master, cell) for cell in design]


def test_a_known_design_is_composed_as_often_as_its_longest_group_has_options(hydra, written):
    """Else once for every option but the first of each group."""
    loader, master, composed = hydra(written(PLAIN))
    design = combinations({"a": ["one", "two"], "b": ["one", "two"], "x": ["0", "1"]})
    compose = Composer(loader, master, design)
    assert [compose(cell) for cell in design] == [by_hydra(master, cell) for cell in design]
    assert len(composed) == 2


@pytest.mark.parametrize(("option", "n_composed"), [("more", 2), ("elsewhere", 4)])
def test_an_option_may_bring_along_files_for_its_own_parts(hydra, written, option, n_composed):
    """Where they stay inside its place, it is exchanged like any other; else its cells are composed apart."""
    loader, master, composed = hydra(written("[_self_, {b: one}, {a: one}]"))
    design = combinations({"a": ["one", "two"], "b": ["one", option], "x": ["0", "1"]})
    compose = Composer(loader, master, design)
    assert [compose(cell) for cell in design] == [by_hydra(master, cell) for cell in design]
    assert len(composed) == n_composed


def test_what_an_option_brings_along_may_be_chosen(hydra, written):
    loader, master, _ = hydra(written("[_self_, {a: one}, {b: more}]"))
    compose = Composer(loader, master)
    for cell in combinations({"a": ["one", "two"], "b": ["more"], "c@b.c": ["three", "four"], "b.v": ["2", "5"]}):
        assert compose(cell) == by_hydra(master, cell)


def test_options_in_a_folder_of_the_search_path_are_found(hydra, written, tmp_path_factory):
    """They are asked for before Hydra looks there."""
    folder = tmp_path_factory.mktemp("theirs")
    (folder / "a").mkdir()
    (folder / "a" / "mine.yaml").write_text("v: 7\n")
    loader, master, _ = hydra(written(PLAIN), f"hydra.searchpath=[file://{folder}]")
    compose = Composer(loader, master)
    for cell in combinations({"a": ["one", "mine"], "b": ["one", "two"]}):
        assert compose(cell) == by_hydra(master, cell)
    assert compose(["a=mine", "b=two"])[0]["a"] == {"v": 7}


def test_what_an_option_brings_along_and_where_it_puts_it_is_kept(hydra, written):
    loader, master, _ = hydra(written(PLAIN))
    compose = Composer(loader, master)
    for cell in combinations({"a": ["one", "wide", "two"], "b": ["two", "more"]}):
        assert compose(cell) == by_hydra(master, cell)


def test_a_name_that_an_option_does_not_have_is_refused_as_by_hydra(hydra, written):
    from hydra.errors import ConfigCompositionException

    loader, master, _ = hydra(written(PLAIN))
    compose = Composer(loader, master)
    assert compose(["a=two", "b=one", "a.extra=2"])[0]["a"]["extra"] == 2
    with pytest.raises(ConfigCompositionException, match=r"Could not override 'a.extra'"):
        compose(["a=one", "b=two", "a.extra=2"])
