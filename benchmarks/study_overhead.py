"""Processor time of the cells of a study beyond their own computation, and of planning and analysing a large design.

Cells run one after the other in this process, as in a worker of `mdlm study run`; the first of each kind pays for
imports and compiling and is not counted. Times are processor seconds, since wall clock times say more about the
neighbours than about the code.

Usage: ``python benchmarks/study_overhead.py [OVERRIDE ...]``
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import io
import json
import math
import os
import random
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from mdlm.cli import main
from mdlm.cli_errors import in_one_line
from mdlm.study.execute import execute

DESIGN = ["experiment=four_state_factorial", "features=x", "partition=grid", "recrossing=coring", "stride=100"]
MODELS = ("markov", "lstm")
N_CELLS = 3  # of each model, the first not counted
LARGE = ["experiment=four_state_factorial", "seed=0,1,2,3,4"]
RESULTS = {"done.json", "metrics.json", "learning.json", "summary.txt"}

COMPUTE = {
    "tokens": ["mdlm.experiment:Experiment.tokenised"],
    "training": ["mdlm.experiment:Experiment._train"],
    "sampling": ["mdlm.experiment:Experiment._sample"],
    "kinetics": ["mdlm.experiment:evaluate", "mdlm.experiment:learned", "mdlm.experiment:costs_of"],
    "baselines, memory": ["mdlm.experiment:alongside"],
}
BEYOND = {
    "checks": ["mdlm.experiment:Experiment.check", "mdlm.build:build"],
    "names and versions": ["mdlm.experiment:made_with", "mdlm.experiment:Experiment._identity"],
    "reading the cache": ["mdlm.store:Store._read"],
    "chains": ["mdlm.experiment:write_chains"],
    "figures": ["mdlm.report.figures:draw_all"],
    "page": ["mdlm.report.page:write_page"],
    "numbers, table": ["mdlm.experiment:write_results", "mdlm.report.table:show"],
    "tracking": [
        "mdlm.tracking.mlflow:MLflow.open",
        "mdlm.tracking.mlflow:_unfinished",
        "mdlm.tracking.mlflow:log_parameters",
        *(f"mdlm.tracking.writer:RunWriter.{name}" for name in ("curve", "metrics", "tags", "files")),
    ],
}


class Watch:
    """Processor seconds spent in some functions, each without those of the others that it calls."""

    def __init__(self) -> None:
        self.spent: defaultdict[str, float] = defaultdict(float)
        self.labels = ["the rest"]
        self.last = time.process_time()

    def switch(self) -> None:
        """Book the time until now."""
        now = time.process_time()
        self.spent[self.labels[-1]] += now - self.last
        self.last = now

    def watched(self, label: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """The same function, timed."""

        @functools.wraps(function)
        def timed(*given: Any, **named: Any) -> Any:  # noqa: ANN401
            self.switch()
            self.labels.append(label)
            try:
                return function(*given, **named)
            finally:
                self.switch()
                self.labels.pop()

        return timed


def watch() -> Watch:
    """Time every function that is listed above, wherever it is called from."""
    found = Watch()
    for label, places in (COMPUTE | BEYOND).items():
        for place in places:
            module, _, path = place.partition(":")
            *owner, name = path.split(".")
            holder = functools.reduce(getattr, owner, importlib.import_module(module))
            setattr(holder, name, found.watched(label, getattr(holder, name)))
    return found


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Nothing on the terminal."""
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        yield


def cells_of(model: str, overrides: list[str]) -> list[Path]:
    """The folders of some cells that differ in the seed, ready to run."""
    seeds = "seed=" + ",".join(map(str, range(N_CELLS)))
    words = [*DESIGN, "training.batching=streams", f"model={model}", seeds, f"study.name={model}", *overrides]
    with quiet():
        main(["study", "submit", *words, "script=array.sh"])
    return sorted(path.parent for path in Path("outputs/study", model, "cells").glob("*/cell.json"))


def overhead(overrides: list[str]) -> str:
    """Rows of markdown: processor seconds of a cell by what they are spent on."""
    found = watch()
    columns = []
    for model in MODELS:
        first, *others = cells_of(model, overrides)
        with quiet():
            assert execute(first, in_one_line) is None
            found.switch()
            found.spent.clear()
            assert all(execute(folder, in_one_line) is None for folder in others)
        found.switch()
        columns.append({label: seconds / len(others) for label, seconds in found.spent.items()})
    labels = [*COMPUTE, *BEYOND, "the rest"]
    rows = [
        f"| {label} | " + " | ".join(f"{column.get(label, 0.0):.2f}" for column in columns) + " |" for label in labels
    ]
    beyond = [sum(column.get(label, 0.0) for label in [*BEYOND, "the rest"]) for column in columns]
    computed = [sum(column.get(label, 0.0) for label in COMPUTE) for column in columns]
    shares = [f"{b:.2f} ({b / c:.0%} of {c:.2f})" for b, c in zip(beyond, computed, strict=True)]
    heading = ["| processor seconds per cell | " + " | ".join(MODELS) + " |", "|---" * (len(MODELS) + 1) + "|"]
    return "\n".join([*heading, *rows, "| **beyond computing** | " + " | ".join(shares) + " |"])


def planning() -> str:
    """A plan of 1080 cells, the second of two."""
    timed("plan", *LARGE)
    return f"`mdlm study plan` of 1080 cells: {timed('plan', *LARGE)}."


def analysing(finished: Path) -> str:
    """The analysis of 1080 cells, each with the results of a finished one, but for the timescales."""
    with quiet():
        main(["study", "submit", *LARGE, "script=large.sh", "study.name=large"])
    noise = random.Random(0)
    for task in Path("outputs/study/large/cells").glob("*/cell.json"):
        shutil.copytree(
            finished, task.parent, dirs_exist_ok=True, ignore=lambda _, names: {"cell.json", *names} - RESULTS
        )
        cell = json.loads(task.read_text())
        ratio = math.exp(-2 / math.sqrt(float(cell["levels"]["stride"])) + noise.gauss(0, 0.1))
        metrics = json.loads((finished / "metrics.json").read_text())
        metrics |= {"verdict": "planted"} | {
            f"t2_ratio_to_data{end}": ratio * by for end, by in {"": 1, "_low": 0.8, "_high": 1.25}.items()
        }
        (task.parent / "metrics.json").write_text(json.dumps(metrics))
    return f"`mdlm study analyse` of 1080 cells: {timed('analyse', 'outputs/study/large')}."


def timed(*words: str) -> str:
    """Wall clock and processor seconds of `mdlm study` in a process of its own."""
    start, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-m", "mdlm", "study", *words], capture_output=True, check=True)
    wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return f"{wall:.1f} s, {spent:.1f} s of processor time, load {os.getloadavg()[0]:.1f}"


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        os.environ["MDLM_CACHE_DIR"] = f"{folder}/cache"
        print(overhead(sys.argv[1:]))
        print(planning())
        print(analysing(next(Path("outputs/study").glob("*/cells/*/done.json")).parent))
