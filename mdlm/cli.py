"""The command line: `mdlm COMMAND ...`. The only file that touches hydra and omegaconf.

Heavy packages are imported by the commands that need them, so that `mdlm --help` answers at once.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from mdlm import __version__, cli_help
from mdlm.cli_errors import in_one_line

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from mdlm.experiment import Experiment

PACKAGE = Path(__file__).parent


class RunError(ValueError):
    """A run that failed in a launcher's worker process, told in one line."""


_home: int | None = None  # the process of `mdlm train`; a launcher's workers are others
_failed: list[str] = []  # what went wrong with the runs in that process


def conf_directory() -> Path:
    """The configuration files: inside the package where it was installed from a wheel, else beside it."""
    inside = PACKAGE / "conf"
    return inside if inside.is_dir() else PACKAGE.parent / "conf"


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one command; the process ends with its exit code."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    command = words[0] if words else "--help"
    if command in ("--help", "-h", "help"):
        print(cli_help.overview())
        return
    if command in ("--version", "-V"):
        print(f"mdlm {__version__}")
        return
    if command not in COMMANDS:
        from mdlm.build import suggestion

        fail(f"{command!r} is no command of mdlm{suggestion(command, list(COMMANDS))}")
    for number in (signal.SIGTERM, signal.SIGHUP):
        with suppress(ValueError):  # not in the main thread
            if signal.getsignal(number) == signal.SIG_DFL:  # nohup asks to be left alone
                signal.signal(number, _terminated)
    try:
        COMMANDS[command](words[1:])
    except KeyboardInterrupt:
        fail("interrupted", code=130)


def _terminated(signal_number: int, frame: object) -> NoReturn:
    """End like after Ctrl-C, so that the run is written down as stopped and no server stays behind."""
    fail("terminated", code=128 + signal_number)


def fail(message: str, code: int = 1) -> NoReturn:
    """Say what is wrong in one line and end."""
    print(f"mdlm: error: {' '.join(message.split())}", file=sys.stderr)
    raise SystemExit(code)


def train(words: Sequence[str]) -> None:
    """Train, sample and judge a model; with ``-m`` one run per combination of comma-separated values."""
    if any(word in ("--help", "-h") for word in words):
        print(cli_help.train(conf_directory(), cli_help.user_conf(words)))
        return
    _with_hydra("train", words, train_one)


def simulate(words: Sequence[str]) -> None:
    """Make only the trajectories of a run and keep them in the cache."""
    from mdlm.cli_simulate import USAGE, WITHOUT_FOLDER

    if any(word in ("--help", "-h") for word in words):
        print(USAGE.rstrip())
        return
    _with_hydra("simulate", words, _simulate_one, WITHOUT_FOLDER)


def advise(words: Sequence[str]) -> None:
    """Say what to train on, after a quick scan of the data."""
    from mdlm import cli_advise
    from mdlm.cli_simulate import WITHOUT_FOLDER

    if any(word in ("--help", "-h") for word in words):
        print(cli_advise.USAGE.rstrip())
        return
    try:
        request = cli_advise.Request.of(words)
    except ValueError as error:
        fail(str(error))

    def scan(config: DictConfig) -> None:
        _one(config, lambda experiment, plain: cli_advise.advise(experiment, request))

    _with_hydra("advise", request.words, scan, WITHOUT_FOLDER)


def _with_hydra(
    command: str, words: Sequence[str], task: Callable[[DictConfig], None], settings: Sequence[str] = ()
) -> None:
    """Let Hydra compose the configuration and hand it to a task, once or, with ``-m``, for each combination."""
    if "--version" in words:
        print(f"mdlm {__version__}")
        return
    options, overrides = cli_help.parsed(words)
    import hydra

    sys.argv = [f"mdlm {command}", *options, *settings, *overrides]
    os.environ["HYDRA_FULL_ERROR"] = "1"  # errors reach us instead of being printed by Hydra
    decorate = hydra.main(version_base="1.3", config_path=str(conf_directory()), config_name="config")
    hydra_runs(decorate(task), overrides, is_sweep="--multirun" in options)


def hydra_runs(start: Callable[[], object], overrides: Sequence[str], *, is_sweep: bool) -> None:
    """Let Hydra start its runs; whatever fails, in composing or in one of them, ends the process with one line."""
    global _home
    _home = os.getpid()
    _failed.clear()
    try:
        start()
    except Exception as error:
        if os.environ.get("MDLM_DEBUG"):
            raise
        fail(in_one_line(error, overrides))
    if is_sweep and _failed:
        fail(f"{len(_failed)} of the runs failed, see above; the others are finished")
    if _failed:
        fail(_failed[0])


def train_one(config: DictConfig) -> None:
    """One run of `mdlm train`, in the folder Hydra made for it."""
    from hydra.core.hydra_config import HydraConfig

    def run(experiment: Experiment, plain: dict[str, Any]) -> None:
        from mdlm.report.table import show

        show(experiment.run(Path(HydraConfig.get().runtime.output_dir), plain))

    _one(config, run)


def _simulate_one(config: DictConfig) -> None:
    """One system of `mdlm simulate`."""
    from mdlm.cli_simulate import report

    _one(config, lambda experiment, plain: print(report(experiment)))


def _one(config: DictConfig, run: Callable[[Experiment, dict[str, Any]], None]) -> None:
    """Build the experiment and run it; of several, one that fails does not stop the others."""
    from hydra.core.hydra_config import HydraConfig
    from hydra.types import RunMode

    try:
        run(*_built(config))
    except Exception as error:
        if os.environ.get("MDLM_DEBUG"):
            raise
        message = in_one_line(error)
        job = HydraConfig.get()
        if job.mode == RunMode.MULTIRUN:
            message = f"run {job.job.num} ({' '.join(job.overrides.task)}): {message}"
            print(f"mdlm: error: {message}", file=sys.stderr, flush=True)
        if os.getpid() != _home:  # what a worker raises, its launcher hands on
            raise RunError(message) from None
        _failed.append(message)


def _built(config: DictConfig) -> tuple[Experiment, dict[str, Any]]:
    """The experiment a configuration describes, and the configuration in plain Python."""
    from omegaconf import OmegaConf

    plain: Any = OmegaConf.to_container(config, resolve=True, throw_on_missing=True)
    from hydra.core.hydra_config import HydraConfig

    trusted, _ = trusted_modules(HydraConfig.get())
    from mdlm.build import build

    return build(plain, trusted), plain


def trusted_modules(hydra: DictConfig) -> tuple[set[str], tuple[str, ...]]:
    """Top-level modules whose classes a configuration may name, and the user's folders, now importable, they are in."""
    found = [Path(source.path) for source in hydra.runtime.config_sources if source.schema == "file"]
    theirs = [directory for directory in found if directory != conf_directory()]
    sys.path += [str(directory) for directory in theirs if str(directory) not in sys.path]
    user_modules = {file.stem for directory in theirs for file in directory.glob("*.py")}
    return {"mdlm", *user_modules}, tuple(map(str, theirs))


def ui(words: Sequence[str]) -> None:
    """Start the MLflow UI on the store that `mdlm train` writes to."""
    from mdlm import cli_ui

    try:
        cli_ui.run(words)
    except ValueError as error:
        fail(str(error))


def cache(words: Sequence[str]) -> None:
    """List or delete the finished stages that `mdlm train` keeps."""
    from mdlm import cli_cache

    try:
        cli_cache.run(words)
    except OSError as error:
        fail(f"{error.filename or 'the cache'}: {error.strerror or error}")


def export(words: Sequence[str]) -> None:
    """Write a sampled chain as a movie of training frames."""
    from mdlm import cli_export

    _told_in_one_line(cli_export.run, words)


def evaluate(words: Sequence[str]) -> None:
    """Judge a finished run anew, or any state sequences."""
    from mdlm import cli_evaluate

    _told_in_one_line(cli_evaluate.run, words)


def report(words: Sequence[str]) -> None:
    """Open the report of a finished run."""
    from mdlm import cli_report

    _told_in_one_line(cli_report.run, words)


def _told_in_one_line(run: Callable[[Sequence[str]], None], words: Sequence[str]) -> None:
    try:
        run(words)
    except Exception as error:
        if os.environ.get("MDLM_DEBUG"):
            raise
        fail(in_one_line(error))


def sample(words: Sequence[str]) -> None:
    """Draw more tokens from the model of a finished run."""
    from mdlm import cli_sample

    _told_in_one_line(cli_sample.run, words)


def study(words: Sequence[str]) -> None:
    """Say what many runs of one design have found together."""
    from mdlm import cli_study

    _told_in_one_line(cli_study.run, words)


def fetch(words: Sequence[str]) -> None:
    """Fetch published data to where runs look for them, so that a machine without a network finds them."""
    from mdlm import cli_fetch

    try:
        cli_fetch.run(words)
    except ValueError as error:
        fail(str(error))
    except OSError as error:
        fail(f"{error.filename or 'the data directory'}: {error.strerror or error}")


def completion(words: Sequence[str]) -> None:
    """Print a script that completes commands, groups, options and fields in bash, zsh or fish."""
    from mdlm import cli_completion

    if len(words) == 1 and words[0] in cli_completion.SCRIPTS:
        print(cli_completion.SCRIPTS[words[0]])
    elif words and words[0] == "--words":  # called by those scripts
        print("\n".join(cli_completion.candidates(words[1:], list(COMMANDS), conf_directory())))
    else:
        fail(f"completion needs one of {', '.join(cli_completion.SCRIPTS)}, for example: mdlm completion bash")


COMMANDS: dict[str, Callable[[Sequence[str]], None]] = {
    "train": train,
    "simulate": simulate,
    "advise": advise,
    "sample": sample,
    "evaluate": evaluate,
    "report": report,
    "export": export,
    "study": study,
    "ui": ui,
    "cache": cache,
    "fetch": fetch,
    "completion": completion,
}
