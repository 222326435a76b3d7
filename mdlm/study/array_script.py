"""A job array as a plain shell script: no process of ours needs to live while it runs."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mdlm.report.run_folder import write_atomically

if TYPE_CHECKING:
    from mdlm.study.slurm import Slurm

TASK = """\
# Task n runs the cell in line n of the list. For another scheduler, replace the #SBATCH lines, SLURM_ARRAY_TASK_ID, and
# the line with scontrol, which puts a task back into the queue.
folder=$(sed -n "${{SLURM_ARRAY_TASK_ID}}p" {listed})

# Slurm warns this shell before the time limit and before a preemption; the cell saves a checkpoint and ends with 75.
trap 'warned=yes; kill -USR2 "$cell" 2>/dev/null' USR2
trap 'kill -TERM "$cell" 2>/dev/null' TERM
{python} -m mdlm study cell "$folder" & cell=$!
while kill -0 "$cell" 2>/dev/null; do wait "$cell"; done  # a signal to this shell cuts a wait short
wait "$cell"; code=$?  # what it ended with is remembered
if [ "$code" = 75 ] && [ -n "$warned" ]; then exec scontrol requeue "${{SLURM_ARRAY_JOB_ID}}_$SLURM_ARRAY_TASK_ID"; fi
exit "$code"
"""


def write_script(slurm: Slurm, path: Path, folders: Sequence[Path]) -> str:
    """Write a job array script and the list of cells it reads.

    Args:
        slurm: What each task asks for.
        path: Of the script; the list lies beside it as ``PATH.cells``.
        folders: Of the cells.

    Returns:
        What to do with it.
    """
    listed = path.resolve().with_name(path.name + ".cells")
    lines = "".join(f"{folder.resolve()}\n" for folder in folders)
    write_atomically(listed, lambda temporary: temporary.write_text(lines))
    python = slurm.python or shlex.quote(sys.executable)
    text = "\n".join(
        [
            "#!/bin/bash",
            *_options(slurm, path, len(folders)),
            "",
            f"cd {shlex.quote(str(Path.cwd()))} || exit 1",
            *slurm.setup,
            *slurm.threads,
            "",
            TASK.format(listed=shlex.quote(str(listed)), python=python),
        ]
    )
    write_atomically(path, lambda temporary: temporary.write_text(text))
    return f"{path} written, with {len(folders)} cells in {listed.name} beside it; submit it with: sbatch {path}"


def _options(slurm: Slurm, path: Path, n_cells: int) -> list[str]:
    """The #SBATCH lines."""
    memory = None if slurm.mem_gb is None else f"{round(1024 * slurm.mem_gb)}M"
    options: dict[str, object] = {
        "job-name": path.stem,
        "array": f"1-{n_cells}%{slurm.array_parallelism}",
        "time": slurm.timeout_min,
        "cpus-per-task": slurm.cpus_per_task,
        "signal": f"B:USR2@{slurm.signal_delay_s}",
        "requeue": True,
        "open-mode": "append",
        "output": f"{path.resolve()}.%a.log",
        "mem": memory,
        "gpus-per-node": slurm.gpus_per_node,
        "partition": slurm.partition,
        "account": slurm.account,
        "qos": slurm.qos,
        **slurm.more,
    }
    given = {name: value for name, value in options.items() if value is not None}
    return [f"#SBATCH --{name}" + ("" if value is True else f"={value}") for name, value in given.items()]
