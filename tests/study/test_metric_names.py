"""The metrics a study reads are those a run writes, under the same names."""

import ast
import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from mdlm.study import metrics
from mdlm.study.analysis import analyse
from mdlm.study.response import make_response
from mdlm.study.runs import read_run
from mdlm.study.tidy import study_table

STUDY = Path(metrics.__file__).parent
BOUNDS = ("", "_low", "_high")
READ = [
    *(metrics.T2_RATIO + bound for bound in BOUNDS),
    *(f"{name}_UNIT{bound}" for name in (metrics.T2_SAMPLED, metrics.T2_DATA) for bound in BOUNDS),
    metrics.T2_RATIO_FLOOR,
    metrics.N_STATES,
    metrics.N_FEATURES,
    metrics.CHANGED,
    *metrics.COSTS,
]


@pytest.fixture(scope="module")
def written(finished):
    """All numbers of a real run."""
    return json.loads((finished[0] / "run" / "metrics.json").read_text())


@pytest.mark.parametrize("name", READ)
def test_a_run_writes_what_a_study_reads(written, name):
    pattern = re.compile(name.replace("UNIT", "(ps|reduced)"))
    assert any(pattern.fullmatch(key) for key in written)


def test_all_names_of_metrics_are_in_one_place(written):
    """A name that is read but not listed above would go untested."""
    listed = {value for name in vars(metrics) if name.isupper() for value in _texts(getattr(metrics, name))}
    assert {name.partition("_UNIT")[0].removesuffix("_low").removesuffix("_high") for name in READ} == listed
    for path in STUDY.glob("*.py"):
        constants = {
            node.value
            for node in ast.walk(ast.parse(path.read_text()))
            if isinstance(node, ast.Constant) and isinstance(node.value, str)
        }
        if path.name != "metrics.py":
            assert not constants & ({*written, *listed} - {"verdict", "notes", "reference"})


def test_columns_are_read_by_the_names_in_that_place():
    """A column of the table is one of its own, or its name is no literal: an invented one has nowhere to hide."""
    own = {"status", "reason", "verdict", "run"}
    read = {
        (path.name, node.slice.value)
        for path in STUDY.glob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Subscript)
        and isinstance(node.slice, ast.Constant)
        and isinstance(node.slice.value, str)
        and "rows" in ast.unparse(node.value)
    }
    assert read
    assert {name for _, name in read} <= own


def test_the_floor_of_a_real_run_is_a_factor_whose_logarithm_is_taken(finished, written):
    factor = written[metrics.T2_RATIO_FLOOR]
    assert factor >= 1
    rows = study_table([read_run(finished[0] / "run")]).rows.assign(status="finished")
    response = make_response(rows)
    assert f"a factor of {factor:.3g} (the most that molecular dynamics" in response.rules[1]


def test_the_number_of_features_reaches_the_first_claim_from_a_real_runs_metrics(finished):
    """Of runs that differ from it in nothing but features, seed and result."""
    run = read_run(finished[0] / "run")
    assert run.metrics[metrics.N_FEATURES] == 1  # the chain's one column
    changed = [
        replace(
            run,
            choices={**run.choices, "features": features},
            leaves={**run.leaves, "seed": seed},
            metrics=run.metrics | {metrics.N_FEATURES: number, metrics.T2_RATIO: 0.5 / number + 0.01 * seed},
            status="finished",
        )
        for features, number in (("coordinates", 1.0), ("contacts", 30.0))
        for seed in range(4)
    ]
    claim = analyse(study_table(changed)).claims[0]
    assert "from 1 to 30 features (features): error × " in claim.numbers
    assert claim.outcome == "supported"


def _texts(value):
    return value if isinstance(value, tuple) else (value,)
