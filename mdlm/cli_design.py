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
    _launch(action, words)


def _show(directory: Path, watch: bool) -> None:
    from mdlm.study.study import Study
    from mdlm.study.table import show_status, watch_status

    (watch_status if watch else show_status)(Study.read(directory))


def _launch(action: str, words: Sequence[str]) -> None:
    """Hand the cells that the words describe to the launcher that they, or the experiment, choose.

    `hydra.main` would compose the design once more, only to see that it is a sweep.
    """
    from hydra import version
    from hydra._internal.hydra import Hydra
    from hydra._internal.utils import create_automatic_config_search_path
    from hydra.core.config_search_path import SearchPathQuery
    from hydra.core.global_hydra import GlobalHydra
    from hydra.types import RunMode

    from mdlm.cli import conf_directory, hydra_runs, train_one
    from mdlm.cli_compose import read_once
    from mdlm.cli_help import parsed

    script, others = _script(action, words)
    options, overrides = parsed(others)
    given = dict(option.partition("=")[::2] for option in options)
    unknown = [name for name in given if name not in ("--config-dir", "--config-name", "--multirun")]
    if unknown:
        raise ValueError(f"{unknown[0]} is no option of mdlm study {action}; there are --config-dir, --config-name")
    path = create_automatic_config_search_path(None, None, str(conf_directory()))
    if "--config-dir" in given:
        theirs = Path(given["--config-dir"]).resolve()
        path.prepend("command-line", f"file://{theirs}", SearchPathQuery(provider="schema"))
    name = given.get("--config-name", "config")

    def start() -> None:
        version.setbase("1.3")
        try:
            hydra = Hydra.create_main_hydra2("mdlm", path)
            read_once(hydra.config_loader)
            chosen = [word for word in overrides if word.startswith("experiment=")]
            settings = hydra.compose_config(name, chosen, RunMode.MULTIRUN).hydra.launcher
            launcher = _launcher(action, overrides, is_ours="action" in settings)
            hydra.multirun(name, train_one, [*overrides, *launcher, *script, f"hydra.launcher.action={action}"])
        finally:
            GlobalHydra.instance().clear()

    hydra_runs(start, overrides, is_sweep=True)


def _script(action: str, words: Sequence[str]) -> tuple[list[str], list[str]]:
    """The override for the file that ``script=FILE`` asks for, and the other words."""
    scripts = [word.partition("=")[2] for word in words if word.startswith("script=")]
    if scripts and action != "submit":
        raise ValueError("script belongs to `mdlm study submit`")
    if scripts and not scripts[-1]:
        raise ValueError("script is empty; give the file to write")
    override = [f"hydra.launcher.pool.script={_quoted(script)}" for script in scripts[-1:]]
    return override, [word for word in words if not word.startswith("script=")]


def _launcher(action: str, overrides: Sequence[str], *, is_ours: bool) -> list[str]:
    """The launcher the action needs, where the overrides name none, and the experiment none of ours."""
    if any(word.startswith("hydra/launcher=") for word in overrides):
        return []
    if action == "submit":
        return ["hydra/launcher=slurm"]
    return [] if is_ours else ["hydra/launcher=local"]


def _quoted(text: str) -> str:
    """A text as Hydra's grammar takes it."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
