"""`mdlm study sync`: runs of machines that could not reach the MLflow store, brought there from their files."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

USAGE = """\
Import runs that were made with tracking=files into MLflow. Given twice, it adds nothing; cut off, it goes on.

Usage: mdlm study sync DIR [tracking.FIELD=VALUE ...]

Fields:
  DIR                  where the runs are, at any depth, such as outputs/study/NAME
  tracking.uri         http://server:5000, postgresql+psycopg2://..., default: sqlite in tracking.directory
  tracking.directory   of the sqlite store and of the artifacts, default: outputs/mlflow
  tracking.experiment  name of the MLflow experiment, default: mdlm

Runs that are still running are left for the next time.

Examples:
  mdlm study run experiment=demo tracking=files
  mdlm study sync outputs/study/demo tracking.uri=http://server:5000
"""
FIELDS = ("tracking.uri", "tracking.directory", "tracking.experiment")


def run(words: Sequence[str]) -> None:
    """Import the runs below a directory.

    Raises:
        ValueError: There are none, or the store cannot be used.
    """
    if any(word in ("--help", "-h") for word in words):
        print(USAGE.rstrip())
        return
    directories = [word for word in words if "=" not in word]
    if len(directories) != 1:
        raise ValueError(f"DIR ({' '.join(directories)}) must be one directory; see `mdlm study sync --help`")
    fields = dict(word.split("=", 1) for word in words if "=" in word)
    for name in fields:
        if name not in FIELDS:
            from mdlm.build import suggestion

            raise ValueError(f"{name} is no field of mdlm study sync{suggestion(name, FIELDS)}")
    from mdlm.tracking import MLflow
    from mdlm.tracking.sync import sync

    directory = Path(fields.get("tracking.directory") or os.environ.get("MDLM_MLFLOW_DIR", "outputs/mlflow"))
    store = MLflow(fields.get("tracking.uri"), directory, fields.get("tracking.experiment", "mdlm"))
    counted = sync(Path(directories[0]), store)
    print(", ".join(f"{number} {what}" for what, number in counted.items()))
