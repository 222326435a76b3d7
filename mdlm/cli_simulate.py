"""`mdlm simulate`: fill the cache with a system's trajectories, for machines that cannot make them."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mdlm.experiment import Experiment

USAGE = """\
Simulate or read the system of a run and keep its trajectories, so that `mdlm train` finds them there.

Usage: mdlm simulate [FIELD=VALUE ...] [OPTIONS]

It takes whatever `mdlm train` takes; all that matters are system, the fields of system, and cache_dir. Where another
machine trains, give both the same cache_dir (or MDLM_CACHE_DIR). A simulation that was stopped goes on where the system
keeps what is finished; alanine_dipeptide does.

Examples:
  mdlm simulate system=alanine_dipeptide                     10 ns, a few minutes on two cores
  mdlm simulate system=alanine_dipeptide system.n_trajectories=100 cache_dir=/scratch/cache
  mdlm simulate -m system=four_state system.seed=0,1,2       three sets
"""

WITHOUT_FOLDER = (
    "hydra.run.dir=.",
    "hydra.output_subdir=null",
    f"hydra.job_logging.handlers.file.filename={os.devnull}",
)
"""What Hydra is told, for there is nothing to put into a run's folder."""


def report(experiment: Experiment) -> str:
    """Make or find the trajectories; says what they are and where."""
    trajectories = experiment.stages().trajectories
    name = type(experiment.system).__module__.rpartition(".")[2]
    n_pieces, duration, unit = len(trajectories.pieces), trajectories.duration, trajectories.time_unit
    return (
        f"{name}: {n_pieces} trajectories, {duration:g} {unit} and {trajectories.n_frames:,} frames together\n"
        f"In the cache: {experiment.cache_dir.resolve()}"
    )
