"""What `--help` prints, and Hydra's errors in one line. Reads the configuration files, imports nothing heavy."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

OVERVIEW = """\
mdlm: language models on discretised molecular dynamics, judged by the slow timescales they keep.

Usage: mdlm COMMAND [ARGUMENTS]

Commands:
  train        train a model, sample it, and judge its kinetics (try: mdlm train)
  ui           open the table of all runs in MLflow
  completion   print a completion script for bash, zsh or fish

Options:
  --help       this text; `mdlm COMMAND --help` says more
  --version    the version

First steps:
  mdlm train                                  four-state system, LSTM, about a minute
  mdlm train model=markov                     the baseline on the same tokens
  mdlm train -m model=lstm,markov stride=1,10 every combination, one run each
  mdlm ui                                     all runs side by side
"""

USAGE = """\
Train a model on a discretised trajectory, sample it, and judge whether the slow timescales survived.

Usage: mdlm train [FIELD=VALUE ...] [OPTIONS]

Choices (GROUP=OPTION; the default is marked *):
{groups}

Fields (FIELD=VALUE):
{fields}
  GROUP.FIELD=VALUE        any field of an option, for example training.max_epochs=20 kinetics.lag_time=1000;
                           `mdlm train GROUP=OPTION --cfg job` prints them all with their values

Options:
  -m, --multirun           one run for every combination of comma-separated values
  --config-dir DIR         more options of your own: DIR/GROUP/NAME.yaml, and DIR/*.py with their classes
  --cfg job --resolve      print the configuration and stop
  hydra.run.dir=DIR        the run's folder; the same command with the same folder goes on where it was stopped

Examples:
  mdlm train                                   everything at its default
  mdlm train features=x kinetics.lag_time=1000 tokens from x alone
  mdlm train system=chain stride=5             a known Markov chain through the whole pipeline
  mdlm train -m seed=0,1,2 model=lstm,markov   six runs
"""


def overview() -> str:
    """The text of `mdlm --help`."""
    return OVERVIEW.rstrip()


def train(conf: Path, user_conf: Path | None) -> str:
    """The text of `mdlm train --help`: every group with its options, every plain field."""
    directories = [conf] if user_conf is None else [conf, user_conf]
    lines = []
    defaults = group_defaults(conf)
    for group in defaults:
        lines.append(f"  {group}")
        for name, summary in options(group, directories).items():
            mark = "*" if name == defaults[group] else " "
            lines.append(f"   {mark} {name:<22} {summary}")
    fields = [f"  {f'{name}={value}':<24} {comment}" for name, value, comment in plain_fields(conf)]
    return USAGE.format(groups="\n".join(lines), fields="\n".join(fields)).rstrip()


def group_defaults(conf: Path) -> dict[str, str]:
    """The configuration groups in the order a run uses them, each with its default option."""
    text = (conf / "config.yaml").read_text()
    listed = dict(re.findall(r"^  - (\w+): (\S+)$", text, flags=re.MULTILINE))
    return {"system": listed.pop("system"), **listed}


def options(group: str, directories: list[Path]) -> dict[str, str]:
    """The options of a group with the first line of their files, which says what they are."""
    files = [file for directory in directories for file in sorted((directory / group).glob("*.yaml"))]
    return {file.stem: file.read_text().partition("\n")[0].lstrip("# ") for file in files}


def plain_fields(conf: Path) -> Iterator[tuple[str, str, str]]:
    """Name, default and meaning of every field of the root configuration."""
    for line in (conf / "config.yaml").read_text().splitlines():
        found = re.match(r"^([a-z]\w*): ([^#]+?)\s+# (.*)$", line)
        if found:
            yield found[1], found[2], found[3]


def hydra_message(error: Exception, conf: Path) -> str:
    """Hydra's error in one line: the field, what was given, what is allowed."""
    from mdlm.build import suggestion

    text = str(error)
    missing = re.search(r"Could not find '(\w+)/([^']+)'", text)
    if missing:
        group, name = missing[1], missing[2]
        known = re.findall(r"^\t(\S+)$", text.partition("Available options")[2], flags=re.MULTILINE)
        known = [option for option in known if "=" not in option] or list(options(group, [conf]))
        return f"{group} ({name}) is no option; there are {', '.join(known)}"
    unknown = re.search(r"Could not override '([^']+)'", text)
    if unknown:
        name = unknown[1]
        group, _, field = name.rpartition(".")
        known = list(group_defaults(conf)) + [f for f, _, _ in plain_fields(conf)] if not group else []
        hint = suggestion(name, known) if known else _fields_hint(group, field, conf)
        return f"{name} is no field{hint}"
    return " ".join(text.split())


def _fields_hint(group: str, field: str, conf: Path) -> str:
    """Fields of the options of a group that look like ``field``."""
    from mdlm.build import suggestion

    files = (conf / group.split(".")[0]).glob("*.yaml")
    known = {name for file in files for name in re.findall(r"^([a-z]\w*):", file.read_text(), re.MULTILINE)}
    known.discard("defaults")
    return suggestion(field, sorted(known)) if known else f"; {group} is no group, see `mdlm train --help`"
