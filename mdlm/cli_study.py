"""`mdlm study`: many runs of one design, from the plan to what they say together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from mdlm import cli_design
from mdlm.cli_parser import Parser

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
ANALYSE = """\
Say which choice decides the slow timescale, by what factor and how surely, from the folders of finished runs.

Usage: mdlm study analyse DIR [FIELD=VALUE ...]
       mdlm study analyse experiment=NAME [FIELD=VALUE ...]

Every choice that differs between the runs is a factor, seeds are replicates. The factor by which the slowest timescale
t2 is off, of the sample against the training data at equal lag, is what the effects multiply or divide:
"recrossing keep → coring: error / 2.3 [1.8, 2.9]".

Fields:
  DIR                where the runs are, at any depth
  experiment=NAME    only runs of this conf/experiment; below outputs unless DIR is given
  response=error     error: by what factor t2 is off, either way
                     ratio: t2 of the sample over that of the data, with its direction
                     any metric of metrics.json, such as mfpt_log_error_rms
  seed=0             of the bootstrap behind the ranking
  out=DIR/study      where report.html, effects.json, runs.csv, runs.parquet and figures/ go

Runs that failed, are missing or undecided are listed with their reason. Undecided ones are not in the main analysis,
but the report says how far each effect could move whatever they are.

Examples:
  mdlm train -m seed=0,1,2 model=lstm,markov stride=1,10
  mdlm study analyse outputs/multirun/2025-01-31/12-00-00
  mdlm study analyse experiment=memory response=ratio out=memory_ratio
"""
FIELDS = ("experiment", "response", "seed", "out")


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


def analyse(words: Sequence[str]) -> None:
    """Analyse the runs below a directory and print the findings."""
    if any(word in ("--help", "-h") for word in words):
        print(ANALYSE.rstrip())
        return
    root, fields = _parsed(words)
    from mdlm.report.run_folder import check_writable
    from mdlm.study.runs import find_runs
    from mdlm.study.tidy import study_table

    out = Path(fields.get("out") or root / "study")
    runs = find_runs(root, fields.get("experiment"))
    check_writable(out, "out")
    table = study_table(runs)
    from mdlm.study import analysis
    from mdlm.study.report import headline, write_report
    from mdlm.study.response import ERROR, RATIO

    response = fields.get("response", ERROR)
    found = analysis.analyse(table, response, int(fields.get("seed", "0")))
    signed = analysis.analyse(table, RATIO) if response == ERROR else None
    page, *_ = write_report(found, signed, out)
    print(", ".join(f"{number} {status}" for status, number in table.counts.items()))
    for sentence in [*headline(found), *(claim.sentence for claim in found.claims)]:
        print(sentence)
    print(f"Report: {page}")


def _parsed(words: Sequence[str]) -> tuple[Path, dict[str, str]]:
    """The directory of the runs, and the fields."""
    from mdlm.build import suggestion

    parser = Parser(prog="mdlm study analyse", add_help=False, allow_abbrev=False)
    parser.add_argument("words", nargs="*")
    fields: dict[str, str] = {}
    directories: list[str] = []
    for word in parser.parse_args(list(words)).words:
        name, equals, value = word.partition("=")
        if not equals or "/" in name:
            directories.append(word)
            continue
        if name not in FIELDS:
            raise ValueError(f"{name} is no field of mdlm study analyse{suggestion(name, FIELDS)}")
        if not value:
            raise ValueError(f"{name} is empty; see `mdlm study analyse --help`")
        fields[name] = value
    if len(directories) > 1:
        raise ValueError(f"DIR ({' '.join(directories)}) must be one directory")
    if not directories and "experiment" not in fields:
        raise ValueError("DIR is missing; give the directory of the runs, or experiment=NAME")
    if not fields.get("seed", "0").isdecimal():
        raise ValueError(f"seed ({fields['seed']}) must be a whole number")
    return Path(*directories or ["outputs"]), fields


def cell(words: Sequence[str]) -> None:
    """Run one cell in its folder."""
    from mdlm import cli_cell

    cli_cell.run(words)


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
