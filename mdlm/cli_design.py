"""`mdlm study plan|run|submit|status`: a design of experiments as a whole, before, while and after it runs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

USAGE = {
    "plan": """\
Say what a study would do: its factors and cells, which are done, which cannot be run and why, and what the rest takes.

Usage: mdlm study plan experiment=NAME [FIELD=VALUE[,VALUE ...] ...]

Examples:
  mdlm study plan experiment=demo
  mdlm study plan experiment=demo seed=0,1,2 study.fraction=2
  mdlm study plan model=lstm,markov stride=1,10 study.name=mine
""",
    "run": """\
Run the cells of a study that are not done; the same command goes on after whatever stopped it.

Usage: mdlm study run experiment=NAME [FIELD=VALUE[,VALUE ...] ...]

Without a launcher of the experiment's own it runs on this machine (hydra/launcher=local). With hydra/launcher=slurm the
cells become jobs of a cluster, and this command waits for them: it may be stopped and given again, and submits only
what no job has. The exit code is not 0 where a cell failed; study.retry=failed runs those again.

Examples:
  mdlm study run experiment=demo
  mdlm study run experiment=demo hydra.launcher.pool.n_workers=4
  mdlm study run experiment=demo hydra/launcher=slurm hydra.launcher.pool.partition=gpu
""",
    "submit": """\
Submit the cells of a study to Slurm and return; no process has to live here while they run.

Usage: mdlm study submit experiment=NAME [script=FILE] [FIELD=VALUE[,VALUE ...] ...]

With script=FILE nothing is submitted: a plain job array script is written, to be read, adapted to any scheduler, and
submitted by hand. Given again, it submits only what is neither done nor in the queue.

Examples:
  mdlm study submit experiment=demo hydra.launcher.pool.timeout_min=60
  mdlm study submit experiment=demo script=demo.sh && sbatch demo.sh
""",
    "status": """\
Say how every cell of a study stands: queued, running with its progress, done, interrupted, or failed with its error.

Usage: mdlm study status DIR [--watch]
       mdlm study status experiment=NAME [FIELD=VALUE[,VALUE ...] ...] [--watch]

Fields:
  DIR        outputs/study/NAME; quick, as nothing is composed
  --watch    look again every two seconds until all are done

Examples:
  mdlm study status outputs/study/demo --watch
  mdlm study status experiment=demo
""",
}


def act(action: str, words: Sequence[str]) -> None:
    """Do one action on the design that the words describe, or on a study's folder."""
    if any(word in ("--help", "-h") for word in words):
        print(USAGE[action].rstrip())
        return
    if action == "status":
        watch = "--watch" in words
        words = [word for word in words if word != "--watch"]
        if len(words) == 1 and "=" not in Path(words[0]).name and not words[0].startswith("-"):
            _show(Path(words[0]), watch)
            return
        action = "watch" if watch else "status"
    if not words:
        raise ValueError(f"experiment is missing; see `mdlm study {action} --help`")
    from mdlm.cli import compose_and_launch

    compose_and_launch([*_overrides(action, words), f"hydra.launcher.action={action}"])


def _show(directory: Path, watch: bool) -> None:
    from mdlm.study.study import Study
    from mdlm.study.table import show_status, watch_status

    (watch_status if watch else show_status)(Study.read(directory))


def _overrides(action: str, words: Sequence[str]) -> list[str]:
    """The words, with the launcher the action needs where they and the experiment choose none of ours."""
    from mdlm.cli import launcher_of

    others = [word for word in words if not word.startswith("script=")]
    chosen = any(word.startswith("hydra/launcher=") for word in others)
    if action == "submit":
        scripts = [word.partition("=")[2] for word in words if word.startswith("script=")]
        if scripts and not scripts[-1]:
            raise ValueError("script is empty; give the file to write")
        given = [f"hydra.launcher.pool.script={_quoted(script)}" for script in scripts[-1:]]
        return [*others, *([] if chosen else ["hydra/launcher=slurm"]), *given]
    if len(others) < len(words):
        raise ValueError("script belongs to `mdlm study submit`")
    ours = chosen or "action" in launcher_of(others)
    return [*others, *([] if ours else ["hydra/launcher=local"])]


def _quoted(text: str) -> str:
    """A text as Hydra's grammar takes it."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
