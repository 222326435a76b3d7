"""`mdlm ui`: the table of all runs in MLflow, and that of a study."""

from __future__ import annotations

import os
from argparse import RawDescriptionHelpFormatter
from collections.abc import Sequence
from pathlib import Path

from mdlm.cli_parser import Parser

ABOUT = """\
Start the MLflow UI on the store that `mdlm train` writes to, and say where to look.

With study=NAME that is the study's own table, the best run first, with what varies and what came of it as columns,
and its charts. Both are kept in MLflow as the view "study NAME", which is made anew each time: what you change
there, save as a view of another name. Without study=NAME, the address of every study's table is among those printed.
"""
EXAMPLES = """\
Examples:
  mdlm ui
  mdlm ui study=demo                           after `mdlm train -m experiment=demo`, or while it runs
  mdlm ui study=demo --uri http://HOST:5000    on a server that runs already
"""


def run(words: Sequence[str]) -> None:
    """Start the MLflow UI and say where to look.

    Raises:
        ValueError: There is no store to show, or no such study in it.
    """
    parser = Parser(prog="mdlm ui", description=ABOUT, epilog=EXAMPLES, formatter_class=RawDescriptionHelpFormatter)
    parser.add_argument("study", nargs="?", metavar="study=NAME", help="only this study: its table and its charts")
    directory = os.environ.get("MDLM_MLFLOW_DIR", "outputs/mlflow")
    parser.add_argument("--directory", default=directory, help="tracking.directory of the runs (%(default)s)")
    parser.add_argument("--uri", default=None, help="tracking.uri of the runs, where it was set")
    parser.add_argument("--experiment", default="mdlm", help="tracking.experiment of the runs (%(default)s)")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (%(default)s)")
    parser.add_argument("--port", type=int, default=5000, help="port to listen on (%(default)s)")
    options = parser.parse_args(list(words))
    study = None if options.study is None else _name(options.study)
    from mdlm.tracking import MLflow

    MLflow(options.uri, Path(options.directory), options.experiment).serve(options.host, options.port, study)


def _name(word: str) -> str:
    field, _, name = word.partition("=")
    if field != "study" or not name:
        raise ValueError(f"{word} is no field of mdlm ui; write study=NAME, or see `mdlm ui --help`")
    return name
