"""Shell completion: three small scripts that ask `mdlm completion --words` what may follow."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from mdlm import cli_export, cli_sample
from mdlm.cache import STAGES
from mdlm.cli_advise import FIELDS as ADVISE_FIELDS
from mdlm.cli_analyse import FIELDS as ANALYSE_FIELDS
from mdlm.cli_design import USAGE
from mdlm.cli_evaluate import FIELDS as EVALUATE_FIELDS
from mdlm.cli_help import group_defaults, options, plain_fields
from mdlm.cli_study import ACTIONS
from mdlm.cli_sync import FIELDS as SYNC_FIELDS
from mdlm.data import SOURCES

BASH = """\
# eval "$(mdlm completion bash)" in ~/.bashrc
_mdlm() {
    local words current
    current="${COMP_LINE:0:COMP_POINT}"; current="${current##* }"
    read -ra words <<< "${COMP_LINE:0:COMP_POINT}"
    [[ -z "$current" ]] && words+=("")
    mapfile -t COMPREPLY < <(mdlm completion --words "${words[@]:1}" 2>/dev/null)
    local before="${current%"${current##*[=:]}"}"  # bash splits words at = and replaces only what follows
    COMPREPLY=("${COMPREPLY[@]#"$before"}")
    [[ "${COMPREPLY[0]}" == *[=.] ]] && compopt -o nospace
}
complete -F _mdlm mdlm"""

ZSH = """\
# eval "$(mdlm completion zsh)" in ~/.zshrc, after compinit
_mdlm() {
    local -a found
    found=("${(@f)$(mdlm completion --words "${(@)words[2,CURRENT]}" 2>/dev/null)}")
    compadd -Q -S '' -- "${found[@]}"
}
compdef _mdlm mdlm"""

FISH = """\
# mdlm completion fish | source, in ~/.config/fish/config.fish
complete -c mdlm -f -a '(mdlm completion --words (commandline -opc)[2..] (commandline -ct) 2>/dev/null)'"""

SCRIPTS = {"bash": BASH, "zsh": ZSH, "fish": FISH}


def candidates(words: Sequence[str], commands: Sequence[str], conf: Path) -> list[str]:
    """What the last of the typed words may become.

    Args:
        words: Everything after ``mdlm``, the unfinished word last (possibly empty).
        commands: The first words there are.
        conf: The configuration files.
    """
    typed = words[-1] if words else ""
    if len(words) <= 1:
        found = [*commands, "--help", "--version"]
    elif words[0] == "completion":
        found = list(SCRIPTS)
    elif words[0] in ("train", "simulate"):
        found = _overrides(typed, conf)
    elif words[0] == "advise":
        found = [*(f"{name}=" for name in ADVISE_FIELDS), *_overrides(typed, conf)]
    elif words[0] == "export":
        found = _export(typed)
    elif words[0] == "sample":
        found = [*(f"{name}=" for name in cli_sample.FIELDS), "--config-dir"]
    elif words[0] == "study":
        found = _study(words[1:], conf)
    elif words[0] == "evaluate":
        found = _evaluate(typed, conf)
    elif words[0] == "report":
        found = ["run=", "cache_dir=", "--config-dir", "--no-browser"]
    elif words[0] == "ui":
        found = ["study=", "--directory", "--uri", "--experiment", "--host", "--port"]
    elif words[0] == "cache":
        found = _cache(words[1:-1])
    elif words[0] == "fetch":
        found = [name for name in (*SOURCES, "--all") if name not in words[1:-1]]
    else:
        found = []
    return [word for word in found if word.startswith(typed)]


def _export(typed: str) -> list[str]:
    """Fields of `mdlm export`; after ``draw=`` its values."""
    if typed.startswith("draw="):
        return ["draw=nearest", "draw=random"]
    return [*(f"{name}=" for name in cli_export.FIELDS), "--config-dir"]


def _evaluate(typed: str, conf: Path) -> list[str]:
    """Fields of `mdlm evaluate`; after some their values, after ``kinetics.`` its fields."""
    values = {"macrostates": ("own", "pcca"), "tracking": ("none", "mlflow")}
    name, equals, _ = typed.partition("=")
    if equals:
        return [f"{name}={value}" for value in values.get(name, ())]
    if typed.startswith("kinetics."):
        return _overrides(typed, conf)
    return [*(f"{field}=" for field in EVALUATE_FIELDS), "kinetics.", "--config-dir"]


def _study(words: Sequence[str], conf: Path) -> list[str]:
    """Actions of `mdlm study`, then the fields of one."""
    if len(words) == 1:
        return list(ACTIONS)
    if words[0] in USAGE:
        extra = {"submit": ["script="], "status": ["--watch"]}.get(words[0], [])
        return [*_overrides(words[-1], conf), *extra]
    names = {"analyse": ANALYSE_FIELDS, "sync": SYNC_FIELDS}.get(words[0], ())
    return [f"{name}=" for name in names]


def _cache(before: Sequence[str]) -> list[str]:
    """What may follow these words of `mdlm cache`."""
    if before and before[-1] == "--stage":
        return list(STAGES)
    if "prune" in before:
        return ["--older-than", "--stage", "--all", "--dry-run", "--directory"]
    return ["--directory"] if "list" in before else ["list", "prune", "--directory"]


def _overrides(typed: str, conf: Path) -> list[str]:
    """Groups and plain fields; after ``group=`` its options; after ``group.`` its fields."""
    groups = group_defaults(conf)
    name, equals, _ = typed.partition("=")
    if equals:
        return [f"{name}={option}" for option in options(name, [conf])]
    if "." in typed:
        group = typed.partition(".")[0]
        texts = [file.read_text() for file in (conf / group).glob("*.yaml")]
        fields = {field for text in texts for field in re.findall(r"^([a-z]\w*):", text, re.MULTILINE)}
        return sorted(f"{group}.{field}=" for field in fields - {"defaults"})
    plain = [f"{field}=" for field, _, _ in plain_fields(conf)]
    return [f"{group}=" for group in groups] + plain + [f"{group}." for group in groups]
