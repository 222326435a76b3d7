"""`mdlm study analyse`: what the runs of a study say together, in one page, a table and an MLflow run."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mdlm.cli_parser import Parser

if TYPE_CHECKING:
    from mdlm.study.analysis import Analysis
    from mdlm.study.runs import Run
    from mdlm.tracking import MLflow

USAGE = """\
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
  tracking           mlflow: also into MLflow, as the artifacts of one run (tag kind = study report), which a later
                     analysis into the same folder replaces; none: not; default: what the analysed runs used
  tracking.uri, tracking.directory, tracking.experiment
                     of that MLflow store, default: that of the analysed runs

A study may be analysed while it runs. Cells that failed, are missing or undecided, or cannot be run are listed with
their reason. Undecided ones are not in the main analysis, but the report says how far each effect could move whatever
they are.

Examples:
  mdlm train -m seed=0,1,2 model=lstm,markov stride=1,10
  mdlm study analyse outputs/multirun/2025-01-31/12-00-00
  mdlm study analyse experiment=memory response=ratio out=memory_ratio
"""
TRACKING = ("tracking", "tracking.uri", "tracking.directory", "tracking.experiment")
FIELDS = ("experiment", "response", "seed", "out", *TRACKING)


def run(words: Sequence[str]) -> None:
    """Analyse the runs below a directory and print the findings.

    Raises:
        ValueError: A field is wrong, there is nothing to analyse, or the results cannot be written.
    """
    if any(word in ("--help", "-h") for word in words):
        print(USAGE.rstrip())
        return
    root, fields = _parsed(words)
    from mdlm.report.run_folder import check_writable
    from mdlm.study.runs import find_runs
    from mdlm.study.tidy import study_table

    out = Path(fields.get("out") or root / "study")
    runs = find_runs(root, fields.get("experiment"))
    check_writable(out, "out")
    store = _store(fields, runs)
    table = study_table(runs)
    from mdlm.study import analysis
    from mdlm.study.folder import read_json
    from mdlm.study.report import headline, write_report
    from mdlm.study.response import ERROR, RATIO
    from mdlm.study.study import DESIGN

    response = fields.get("response", ERROR)
    found = analysis.analyse(table, response, int(fields.get("seed", "0")))
    signed = analysis.analyse(table, RATIO) if response == ERROR else None
    planned = read_json(root / DESIGN) or {}
    name = fields.get("experiment") or planned.get("name") or root.resolve().name
    files = write_report(found, signed, out, name)
    print(", ".join(f"{number} {status}" for status, number in table.counts.items()))
    sentences = [*headline(found), *(claim.sentence for claim in found.claims)]
    print(*sentences, f"Report: {files[0]}", sep="\n")
    if isinstance(store, str):
        print(store)
    else:
        _keep(store, out, name, files, found, sentences)


def _keep(
    store: MLflow, out: Path, name: str, files: Sequence[Path], found: Analysis, sentences: Sequence[str]
) -> None:
    from mdlm.fingerprint import made_with
    from mdlm.tracking.base import KIND_TAG, REPORT, STUDY_TAG
    from mdlm.tracking.study_report import keep_report

    counts = {status: str(number) for status, number in found.table.counts.items()}
    claims = {f"claim.{claim.name}": claim.outcome for claim in found.claims}
    tags = {**made_with(), STUDY_TAG: name, "response": found.response.name, **counts, **claims}
    run_id = keep_report(store, out, f"{REPORT}: {name}", files, tags, "\n".join(f"- {s}" for s in sentences))
    print(f"In MLflow: run {run_id} of experiment {store.experiment} (tag {KIND_TAG} = {REPORT})")


def _store(fields: Mapping[str, str], runs: Sequence[Run]) -> MLflow | str:
    """Where the report is kept: as the fields say, else where the runs were written down; or why nowhere."""
    from mdlm.tracking import MLflow

    targets = [str(run.leaves.get("tracking._target_", "")) for run in runs]
    own = next((run.leaves for run, of in zip(runs, targets, strict=True) if of.endswith(".MLflow")), None)
    given = [name for name in TRACKING if name in fields]
    if fields.get("tracking") == "none" or (own is None and not given):
        return "Not in MLflow: tracking=none" if given else "Not in MLflow, as the runs are not; see tracking.directory"
    chosen = {name: fields.get(name) or (own or {}).get(name) for name in TRACKING[1:]}
    if "tracking.directory" in fields:  # a local store, though that of the runs may have been a server's
        chosen["tracking.uri"] = fields.get("tracking.uri")
    directory = Path(chosen["tracking.directory"] or os.environ.get("MDLM_MLFLOW_DIR", "outputs/mlflow"))
    store = MLflow(chosen["tracking.uri"], directory, chosen["tracking.experiment"] or "mdlm")
    if not given and store.uri is None and not (directory / "mlflow.db").exists():
        return f"Not in MLflow: {directory}, where the runs were written down, holds no store; see tracking.directory"
    store.check()
    return store


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
    if fields.get("tracking", "none") not in ("none", "mlflow"):
        raise ValueError(f"tracking ({fields['tracking']}) must be none or mlflow")
    if not fields.get("seed", "0").isdecimal():
        raise ValueError(f"seed ({fields['seed']}) must be a whole number")
    return Path(*directories or ["outputs"]), fields
