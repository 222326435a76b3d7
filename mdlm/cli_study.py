"""`mdlm study`: many runs of one design, from the plan to what they say together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from mdlm import cli_design

OVERVIEW = """\
Many runs of one design: which choice decides whether the slow timescales survive.

Usage: mdlm study ACTION [ARGUMENTS]

Actions:
  plan         the cells of a design, what is done already, and what the rest will take
  run          run what is not done, on this machine or a cluster; given again, it goes on
  submit       hand it to Slurm and return, or write a job array script
  status       how every cell stands, also while others run it
  cell         run one cell in its folder: what a cluster's tasks do
  sync         bring runs of machines without a network into MLflow
  analyse      effects of every choice with intervals, their ranking, and the published claims, in one page

`mdlm study ACTION --help` says more.
"""


def run(words: Sequence[str]) -> None:
    """Do one action.

    Raises:
        ValueError: The action or a field is wrong, or there is nothing to analyse.
    """
    action, *rest = words or ["--help"]
    if action in ("--help", "-h"):
        print(OVERVIEW.rstrip())
        return
    if action not in ACTIONS:
        from mdlm.build import suggestion

        raise ValueError(f"{action} is no action of mdlm study{suggestion(action, list(ACTIONS))}")
    ACTIONS[action](rest)


def cell(words: Sequence[str]) -> None:
    """Run one cell in its folder."""
    from mdlm import cli_cell

    cli_cell.run(words)


def analyse(words: Sequence[str]) -> None:
    """Analyse the runs below a directory and print the findings."""
    from mdlm import cli_analyse

    cli_analyse.run(words)


def sync(words: Sequence[str]) -> None:
    """Bring runs of machines without a network into MLflow."""
    from mdlm import cli_sync

    cli_sync.run(words)


ACTIONS: dict[str, Callable[[Sequence[str]], None]] = {
    **{name: partial(cli_design.act, name) for name in cli_design.USAGE},
    "cell": cell,
    "sync": sync,
    "analyse": analyse,
}
