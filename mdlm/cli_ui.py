"""`mdlm ui`: the table of all runs in MLflow."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from mdlm.cli_parser import Parser


def run(words: Sequence[str]) -> None:
    """Start the MLflow UI and say where to look.

    Raises:
        ValueError: There is no store to show.
    """
    parser = Parser(prog="mdlm ui", description="Start the MLflow UI on the store that `mdlm train` writes to.")
    directory = os.environ.get("MDLM_MLFLOW_DIR", "outputs/mlflow")
    parser.add_argument("--directory", default=directory, help="tracking.directory of the runs (%(default)s)")
    parser.add_argument("--uri", default=None, help="tracking.uri of the runs, where it was set")
    parser.add_argument("--experiment", default="mdlm", help="tracking.experiment of the runs (%(default)s)")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (%(default)s)")
    parser.add_argument("--port", type=int, default=5000, help="port to listen on (%(default)s)")
    options = parser.parse_args(list(words))
    from mdlm.tracking import MLflow

    MLflow(options.uri, Path(options.directory), options.experiment).serve(options.host, options.port)
