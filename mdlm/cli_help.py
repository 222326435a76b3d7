"""What `--help` prints, and Hydra's errors in one line. Reads the configuration files, imports nothing heavy."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

FLAGS = ("--multirun", "--resolve", "--hydra-help")
VALUED = {
    "--config-dir": "a directory",
    "--config-name": "the name of a configuration file in --config-dir",
    "--cfg": "job, hydra or all",
    "--info": "all, config, defaults, defaults-tree, plugins or searchpath",
    "--package": "a part of the configuration, for example model",
}
SHORT = {
    "-m": "--multirun",
    "-cd": "--config-dir",
    "-cn": "--config-name",
    "-c": "--cfg",
    "-i": "--info",
    "-p": "--package",
}

OVERVIEW = """\
mdlm: language models on discretised molecular dynamics, judged by the slow timescales they keep.

Usage: mdlm COMMAND [ARGUMENTS]

Commands:
  train        train a model, sample it, and judge its kinetics (try: mdlm train)
  simulate     only make a system's trajectories and keep them for later runs
  advise       scan your data: which partition, recrossing treatment and stride to train on
  sample       draw more tokens from the model of a finished run
  evaluate     judge a finished run anew, or any state sequences, without training
  report       open a run's report: verdict, table, figures, how to reproduce it
  export       write a sampled chain as a movie of training frames
  study        plan, run and watch many runs of one design, and say which choice decides
  ui           open the table of all runs in MLflow
  cache        list or delete the finished stages that later runs would use again
  fetch        fetch published data beforehand, for machines without a network
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
  --config-dir DIR --config-name NAME
                           run DIR/NAME.yaml, for example a copy of a finished run's config.yaml
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
    """The options of a group with the first comment line of their files, which says what they are."""
    files = [file for directory in directories for file in sorted((directory / group).glob("*.yaml"))]
    found = {}
    for file in files:
        lines = (line for line in file.read_text().splitlines() if not line.startswith("# @package"))
        found[file.stem] = next(lines, "").lstrip("# ")
    return found


def plain_fields(conf: Path) -> Iterator[tuple[str, str, str]]:
    """Name, default and meaning of every field of the root configuration."""
    for line in (conf / "config.yaml").read_text().splitlines():
        found = re.match(r"^([a-z]\w*): ([^#]+?)\s+# (.*)$", line)
        if found:
            yield found[1], found[2], found[3]


def parsed(words: Sequence[str]) -> tuple[list[str], list[str]]:
    """Options and overrides apart, in whatever order they were typed; Hydra's own parser insists on one.

    Example:
        >>> parsed(["stride=2", "-m", "seed=0,1"])
        (['--multirun'], ['stride=2', 'seed=0,1'])
    """
    from mdlm.build import suggestion
    from mdlm.cli import fail

    options, overrides = [], []
    rest = iter(words)
    for word in rest:
        name, equals, value = word.partition("=")
        name = SHORT.get(name, name)
        if not word.startswith("-"):
            overrides.append(word)
        elif name in FLAGS and not equals:
            options.append(name)
        elif name in VALUED:
            value = value if equals else next(rest, "")
            if not value or (name == "--cfg" and value not in ("job", "hydra", "all")):
                fail(f"{name} ({value}) needs {VALUED[name]}" if value else f"{name} needs {VALUED[name]}")
            if name == "--config-dir" and not Path(value).is_dir():
                fail(f"{name} ({value}) must be an existing directory")
            options.append(f"{name}={value}")
        elif equals:
            fail(f"{word} is no option of mdlm train; a field is given without dashes: {word.lstrip('-')}")
        else:
            fail(f"{name} is no option of mdlm train{suggestion(name, [*FLAGS, *VALUED, '--help'])}")
    return options, overrides


def user_conf(words: Sequence[str]) -> Path | None:
    """The directory given by ``--config-dir``, or None."""
    options, _ = parsed([word for word in words if word not in ("--help", "-h")])
    given = [option.partition("=")[2] for option in options if option.startswith("--config-dir=")]
    return Path(given[-1]) if given else None


def hydra_message(error: Exception, conf: Path, overrides: Sequence[str] = ()) -> str:
    """Hydra's error in one line: the field, what was given, what is allowed."""
    from mdlm.build import suggestion

    text = str(error)
    missing = re.search(r"Could not find '(.+)/([^/']+)'", text)
    if missing:
        group, name = missing[1], missing[2]
        known = re.findall(r"^\t(\S+)$", text.partition("Available options")[2], flags=re.MULTILINE)
        known = [option for option in known if "=" not in option] or list(options(group, [conf]))
        return f"{group} ({name}) is no option; there are {', '.join(known) or 'none'}"
    unknown = re.search(r"Could not override '([^']+)'", text)
    if unknown:
        name = unknown[1]
        group, _, field = name.rpartition(".")
        known = list(group_defaults(conf)) + [f for f, _, _ in plain_fields(conf)] if not group else []
        hint = suggestion(name, known) if known else _fields_hint(group, field, conf)
        return f"{name} is no field{hint}"
    if "Config group override must be" in text:
        return _no_option(conf, overrides)
    several = re.search(r"Ambiguous value for argument '([^']+)'", text)
    if several:
        return f"{several[1]} holds several values; add -m for one run of each, or write [...] for a list"
    unreadable = getattr(error, "override", None)
    if unreadable is not None:
        return f"{unreadable!r} cannot be read; write FIELD=VALUE, see `mdlm train --help` ({_reason(text)})"
    field = getattr(error, "full_key", None)
    if field:
        return f"{field} has no value: {_reason(text)}"
    return " ".join(text.split())


def _reason(text: str) -> str:
    """The first line that says something."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return next((line for line in lines if not line.startswith("Error parsing override")), text)


def _no_option(conf: Path, overrides: Sequence[str]) -> str:
    """A group was given a number or nothing."""
    for override in overrides:
        name, _, value = override.partition("=")
        known = options(name, [conf]) if name else {}
        if known and value not in known:
            return f"{name} ({value}) is no option; there are {', '.join(known)}"
    wrong = next((override for override in overrides if override.startswith("=")), "an override")
    return f"{wrong} names no field; write FIELD=VALUE"


def _fields_hint(group: str, field: str, conf: Path) -> str:
    """Fields of the options of a group that look like ``field``."""
    from mdlm.build import suggestion

    if group.split(".")[0] == "hydra":
        return "; `mdlm train --cfg hydra` prints those of Hydra"
    files = (conf / group.split(".")[0]).glob("*.yaml")
    fields = {file.stem: re.findall(r"^([a-z]\w*):", file.read_text(), re.MULTILINE) for file in files}
    owners = [f"{group}={option}" for option, names in fields.items() if field in names]
    if owners:
        return f" here; it belongs to {', '.join(owners)}"
    known = {name for names in fields.values() for name in names} - {"defaults"}
    return suggestion(field, sorted(known)) if known else f"; {group} is no group, see `mdlm train --help`"
