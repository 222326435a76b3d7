"""Completion, driven in a real shell where it is installed."""

import shlex
import shutil
import subprocess
import sys

import pytest

from mdlm.cli import conf_directory


def complete(line, cwd):
    """What bash offers when the line is typed and Tab is pressed."""
    script = (
        f'mdlm() {{ {shlex.quote(sys.executable)} -m mdlm "$@"; }}\n'
        "compopt() { :; }\n"  # only allowed while readline completes
        "source <(mdlm completion bash)\n"
        f"COMP_LINE={shlex.quote(line)}; COMP_POINT=${{#COMP_LINE}}; _mdlm\n"
        'printf "%s\\n" "${COMPREPLY[@]}"\n'
    )
    ended = subprocess.run(["bash", "-c", script], capture_output=True, text=True, cwd=cwd, check=True)
    assert ended.stderr == ""
    return ended.stdout.split()


@pytest.mark.skipif(shutil.which("bash") is None, reason="bash is not installed")
@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (
            "mdlm ",
            [
                *("train", "simulate", "advise", "sample", "evaluate", "report", "export", "study"),
                *("ui", "cache", "fetch", "completion", "--help", "--version"),
            ],
        ),
        ("mdlm tr", ["train"]),
        ("mdlm completion ", ["bash", "zsh", "fish"]),
        ("mdlm export run=x fr", ["frames="]),
        ("mdlm sample run=x ch", ["chain_length="]),
        ("mdlm advise bud", ["budget_minutes="]),
        ("mdlm advise recrossing=ke", ["keep"]),
        ("mdlm export draw=", ["nearest", "random"]),
        ("mdlm study ", ["plan", "run", "submit", "status", "cell", "sync", "analyse"]),
        ("mdlm study plan strid", ["stride="]),
        ("mdlm study submit sc", ["script="]),
        ("mdlm study sync tracking.u", ["tracking.uri="]),
        ("mdlm study analyse re", ["response="]),
        ("mdlm cache ", ["list", "prune", "--directory"]),
        ("mdlm cache list ", ["--directory"]),
        ("mdlm cache prune --o", ["--older-than"]),
        (
            "mdlm cache prune --stage ",
            ["trajectories", "features", "partition", "recrossing", "macrostates", "baselines"],
        ),
        ("mdlm cache prune --all --stage p", ["partition"]),
        ("mdlm fetch ", ["alanine_dipeptide_mdshare", "1PIN", "--all"]),
        ("mdlm fetch 1PIN a", ["alanine_dipeptide_mdshare"]),
        ("mdlm train stri", ["stride="]),
        (
            "mdlm train recrossing=co",
            ["core_set", "core_set_density", "core_set_membership", "coring", "coring_1"],
        ),  # bash replaces what follows the equals sign
        ("mdlm train stride=2 model=lstm_t", ["lstm_tsai2020"]),
        ("mdlm train model.hid", ["model.hidden="]),
        ("mdlm simulate system=ch", ["chain"]),
        ("mdlm train nonsense.", []),
        ("mdlm ui s", ["study="]),
        ("mdlm nonsense ", []),
    ],
)
def test_bash_offers_commands_groups_options_and_fields(line, expected, tmp_path):
    assert complete(line, tmp_path) == expected


def test_every_group_is_offered(tmp_path):
    offered = complete("mdlm train ", tmp_path)
    for directory in conf_directory().iterdir():
        if directory.is_dir() and directory.name != "hydra":
            assert f"{directory.name}=" in offered


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_is_valid_in_its_shell(shell, mdlm, tmp_path):
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    script = tmp_path / "script"
    script.write_text(mdlm("completion", shell, cwd=tmp_path).out)
    subprocess.run([shell, "-n", str(script)], check=True)
