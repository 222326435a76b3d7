"""Where the time of a whole `mdlm train` goes, stage by stage, with an empty cache and again with a warm one.

The rest is what no progress bar covers: reading the configuration, tracking, figures and the report. The time to the
first useful second is that of a process which imports everything and composes, builds and checks the run.

Usage: ``python benchmarks/whole_run.py [OVERRIDE ...]``
"""

from __future__ import annotations

import contextlib
import io
import os
import platform
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime

import torch

from mdlm.cli import main
from mdlm.cores import available_cores
from mdlm.progress import timed

CHECKS = """
import sys, time
start = time.perf_counter()
from mdlm.progress import bar
import mdlm.stages
real, first = mdlm.stages.Stages._result, []
def result(self, stage, *rest):
    if not first:
        first.append(time.perf_counter() - start)
        print(first[0])
        sys.stdout.flush()
        import os
        os._exit(0)
    return real(self, stage, *rest)
mdlm.stages.Stages._result = result
from mdlm.cli import main
main(["train", *sys.argv[1:]])
"""


def run(overrides: list[str]) -> tuple[float, dict[str, float]]:
    """Seconds of one whole run, and those of its stages."""
    start = time.perf_counter()
    with timed() as spent, contextlib.redirect_stdout(io.StringIO()):
        main(["train", *overrides])
    return time.perf_counter() - start, dict(spent)


def first_second(overrides: list[str]) -> float:
    """Seconds from the start of a process to the first stage of its run, with a warm file system."""
    command = [sys.executable, "-c", CHECKS, *overrides]
    return min(float(subprocess.run(command, capture_output=True, text=True, check=True).stdout) for _ in range(3))


def table(overrides: list[str]) -> str:
    """Rows of markdown."""
    cold, first = run(overrides)
    warm, again = run(overrides)
    rows = [f"| {stage} | {first.get(stage, 0.0):.1f} | {again.get(stage, 0.0):.1f} |" for stage in first | again]
    rest = (cold - sum(first.values()), warm - sum(again.values()))
    return "\n".join(
        [
            f"{datetime.now(UTC):%Y-%m-%d}, {available_cores()} cores of {_processor()}, torch {torch.__version__}, "
            f"load {os.getloadavg()[0]:.1f}",
            "",
            "| stage | cold, s | warm, s |",
            "|---|---|---|",
            *rows,
            f"| the rest | {rest[0]:.1f} | {rest[1]:.1f} |",
            f"| **whole run** | **{cold:.1f}** | **{warm:.1f}** |",
            "",
            f"From the start of a process to the first stage: {first_second(overrides):.1f} s.",
        ]
    )


def _processor() -> str:
    try:
        with open("/proc/cpuinfo") as file:
            return next(line.partition(":")[2].strip() for line in file if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        os.environ["MDLM_CACHE_DIR"] = f"{folder}/cache"
        print(table(sys.argv[1:]))
