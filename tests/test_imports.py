"""Imports go one way: cli -> experiment -> the parts -> trajectory. The table below is the rule."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "mdlm"

BASIS = {"trajectory", "progress", "errors", "cores"}
ALLOWED = {
    "__init__": set(),
    "trajectory": set(),
    "progress": set(),
    "errors": set(),
    "cores": set(),
    "data": {"errors", "progress"},
    "fingerprint": {""},
    "build": set(),
    "packing": set(),
    "cache": set(),
    "store": {"", "cache", "fingerprint", "packing"},
    "tracking": BASIS,
    # the parts: themselves, the basis, and at most another part's base
    "system": BASIS | {"data", "fingerprint"},  # a long simulation names what it keeps to go on after a kill
    "features": BASIS,
    # a partition may come from a Markov state model: of kinetics, the functions that make one of counts
    "partition": BASIS | {"kinetics.counts", "kinetics.msm", "kinetics.timescales"},
    "recrossing": BASIS | {"partition.base"},
    "macrostates": BASIS | {"features.base", "partition.base"},
    "tokens": BASIS,
    "model": BASIS,
    # training knows what all networks have in common, and no model by name
    "training": BASIS | {"model.base", "model.config", "model.likelihood", "model.network", "tokens.base"},
    "sampling": BASIS | {"model.base"},
    "kinetics": BASIS | {"system.base"},
    # baselines are models, sampled and judged like the one of the run
    "baselines": BASIS
    | {"macrostates.base", "tokens.base", "model.config", "model.markov", "model.semi_markov"}
    | {"training.context", "training.evaluate", "training.support", "sampling.sampling", "sampling.uniforms"}
    | {"kinetics.comparison", "kinetics.counts", "kinetics.judge", "kinetics.msm"},
    # above the parts
    "stages": BASIS
    | {"macrostates.base", "macrostates.own"}
    | {"fingerprint", "store", "system.base", "features.base", "partition.base", "recrossing.base"}
    | {"recrossing.effect", "recrossing.keep"},
    "evaluation": BASIS
    | {
        "kinetics.compare",
        "kinetics.comparison",
        "kinetics.details",
        "kinetics.judge",
        "kinetics.populations",
        "kinetics.unseen",
        "macrostates.base",
        "system.base",
    },
    "masking": BASIS | {"kinetics.comparison", "kinetics.masked", "training.support"},
    "backwards": BASIS | {"kinetics.detailed_balance"},
    "outcome": BASIS | {"evaluation", "stages", "kinetics.diagnosis"},
    "alongside": BASIS
    | {"fingerprint", "masking", "tokens.base", "training.evaluate", "training.fitted", "baselines.judgement"},
    "experiment": BASIS
    | {"", "alongside", "backwards", "build", "evaluation", "fingerprint", "outcome", "stages", "store", "tracking"}
    | {"system.base", "features.base", "partition.base", "recrossing.base", "recrossing.keep", "tokens.base"}
    | {"macrostates.base", "model.config", "baselines.chosen", "report.run_folder", "kinetics.compare"}
    | {"training.training", "training.checkpoint", "training.fitted", "sampling.sampling", "study.settings"},
    "report": BASIS
    | {
        "fingerprint",
        "kinetics.against_baselines",
        "kinetics.comparison",
        "kinetics.ratio_curve",
        "baselines.judgement",
    },
    "study": BASIS
    | {"", "build", "fingerprint", "kinetics.seeds"}
    | {"report.run_folder", "report.style", "report.table", "tracking.base"},
    # advice measures choices with what a run would use, and judges them by the same rules
    "advise": BASIS
    | {"backwards", "stages", "experiment", "baselines.judgement", "baselines.markov", "baselines.semi_markov"}
    | {"kinetics.comparison", "kinetics.estimate", "kinetics.judge", "model.lstm", "recrossing.coring"}
    | {"report.run_folder", "report.table", "sampling.sampling", "tokens.states", "training.evaluate"},
    "export": BASIS
    | {"build", "evaluation", "experiment", "outcome", "stages", "features.framewise", "features.molecule"}
    | {"model.base", "sampling.sampling", "tokens.base", "training.fitted", "training.training"}
    | {"partition.labels", "partition.metrics", "kinetics.estimate", "kinetics.events"}
    | {"report.partition_figures", "report.run_folder", "report.style"},
}
"""What each module, or each module of a package, may import of mdlm besides its own package; a dotted name is that
one module. Modules not listed stand at the top: nothing listed imports them."""

LIGHT = {"torch", "numpy", "numba", "llvmlite", "safetensors"}
"""All that models, training and sampling need, so that a model can be used without the rest."""

HEAVY_OR_FOREIGN = (
    "hydra",
    "omegaconf",
    "deeptime",
    "mlflow",
    "pydantic",
    "matplotlib",
    "scipy",
    "pandas",
    "statsmodels",
)


def modules():
    """Dotted name inside mdlm and syntax tree of every file; a package goes by its own name."""
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" and len(parts) > 1 else parts)
        yield name, ast.parse(path.read_text())


def imports(tree):
    """Full names a file imports when it runs; what only a type checker sees does not count.

    ``from mdlm import build`` is an import of mdlm.build, ``from mdlm import __version__`` one of mdlm.
    """

    class Collector(ast.NodeVisitor):
        def __init__(self):
            self.names = set()

        def visit_If(self, node):
            if ast.unparse(node.test).rpartition(".")[2] != "TYPE_CHECKING":
                self.generic_visit(node)

        def visit_Import(self, node):
            self.names.update(alias.name for alias in node.names)

        def visit_ImportFrom(self, node):
            assert not node.level, "imports are absolute here"
            for alias in node.names:
                inside = PACKAGE.parent.joinpath(*node.module.split("."), alias.name)
                is_module = node.module.startswith("mdlm") and (inside.is_dir() or inside.with_suffix(".py").is_file())
                self.names.add(f"{node.module}.{alias.name}" if is_module else node.module)

    collector = Collector()
    collector.visit(tree)
    return collector.names


MODULES = {name: imports(tree) for name, tree in modules()}


def of_mdlm(names):
    return {name.partition(".")[2] for name in names if name.split(".")[0] == "mdlm"}


def outside(names):
    """Top-level packages that are neither mdlm nor Python's own."""
    return {name.split(".")[0] for name in names} - {"mdlm"} - sys.stdlib_module_names


def wrong_arrows(module, names):
    """What a module imports of mdlm against the table."""
    own = module.split(".")[0]
    if own not in ALLOWED:
        return set() if own.startswith("cli") or own == "__main__" else {n for n in of_mdlm(names) if n[:3] == "cli"}
    return {n for n in of_mdlm(names) if n.split(".")[0] != own and n not in ALLOWED[own]}


def test_the_walk_sees_what_is_there():
    """Or every test below would pass on nothing."""
    assert {"trajectory", "cli", "experiment", "model.lstm", "training", "system.chain"} <= MODULES.keys()
    assert "mdlm.model.base" in MODULES["model.lstm_model"]
    assert "mdlm.training.checkpoint" in MODULES["training.fit"]  # from mdlm.training import checkpoint
    assert "mdlm.system.chain_kernels" in MODULES["system.chain"]  # inside a method
    assert "hydra" in MODULES["cli"]
    assert "mdlm.experiment" not in MODULES["report.table"]  # for type checkers only
    assert ALLOWED.keys() <= {name.split(".")[0] for name in MODULES}


@pytest.mark.parametrize("module", MODULES)
def test_imports_go_one_way(module):
    assert not wrong_arrows(module, MODULES[module])


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("trajectory", "mdlm.model.base"),
        ("partition.wells", "mdlm.features.columns"),
        ("partition.pcca", "mdlm.kinetics.compare"),
        ("kinetics.msm", "mdlm.partition.pcca"),
        ("training.training", "mdlm.model.lstm"),
        ("kinetics.msm", "mdlm.system.chain"),
        ("model.base", "mdlm.experiment"),
        ("store", "mdlm.stages"),
        ("experiment", "mdlm.cli"),
        ("study.table", "mdlm.cli_help"),
    ],
)
def test_an_arrow_that_runs_back_would_be_found(module, name):
    assert wrong_arrows(module, {name, "numpy"}) == {name.removeprefix("mdlm.")}


def test_only_the_command_line_touches_hydra():
    using = {name for name, names in MODULES.items() if outside(names) & {"hydra", "omegaconf"}}
    assert using
    assert all(name.startswith("cli") for name in using)


def test_only_tracking_imports_mlflow():
    using = {name for name, names in MODULES.items() if "mlflow" in outside(names)}
    assert using
    assert {name.split(".")[0] for name in using} == {"tracking"}


@pytest.mark.parametrize("part", ["model", "training", "sampling"])
def test_models_training_and_sampling_need_little_besides_torch(part):
    for name, names in MODULES.items():
        if name.split(".")[0] == part:
            assert outside(names) <= LIGHT


def loaded_by(*names, then="", cwd=PACKAGE.parent):
    """Top-level modules in a fresh interpreter after these imports, and after some code more."""
    code = f"import {', '.join(names)}, sys\n{then}\nprint(*{{name.split('.')[0] for name in sys.modules}})"
    environment = os.environ | {"PYTHONPATH": str(PACKAGE.parent)}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=cwd, env=environment)
    return set(done.stdout.splitlines()[-1].split())


def test_models_training_and_sampling_load_none_of_the_rest():
    names = [f"mdlm.{name}" for name in MODULES if name.split(".")[0] in ("model", "training", "sampling")]
    names = [name for name in names if not name.endswith("_kernels")]  # loaded on use; numba looks for scipy itself
    loaded = loaded_by(*names)
    assert {"torch", "safetensors"} <= loaded
    assert not loaded & set(HEAVY_OR_FOREIGN)


def test_the_command_line_starts_without_anything_heavy():
    loaded = loaded_by("mdlm.cli")
    assert "mdlm" in loaded
    assert not loaded & {"torch", "numpy", "numba", *HEAVY_OR_FOREIGN}


def test_planning_a_study_loads_nothing_that_computes(tmp_path):
    """Its thousands of cells are composed, built, checked and named, which must not wait for any of these."""
    plan = "mdlm.cli.main(['study', 'plan', 'experiment=demo'])"
    loaded = loaded_by("mdlm.cli", then=plan, cwd=tmp_path)
    assert {"numpy", "hydra", "pydantic"} <= loaded
    assert not loaded & {"torch", "numba", "scipy", "pandas", "matplotlib", "mlflow", "deeptime"}
