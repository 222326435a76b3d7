"""The command line: `mdlm COMMAND ...`. The only file that touches hydra and omegaconf.

Heavy packages are imported by the commands that need them, so that `mdlm --help` answers at once.
"""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from mdlm import __version__, cli_help

if TYPE_CHECKING:
    from omegaconf import DictConfig

PACKAGE = Path(__file__).parent


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
    try:
        COMMANDS[command](words[1:])
    except KeyboardInterrupt:
        fail("interrupted", code=130)


def fail(message: str, code: int = 1) -> NoReturn:
    """Say what is wrong in one line and end."""
    print(f"mdlm: error: {' '.join(message.split())}", file=sys.stderr)
    raise SystemExit(code)


def train(words: Sequence[str]) -> None:
    """Train, sample and judge a model; with ``-m`` one run per combination of comma-separated values."""
    if any(word in ("--help", "-h") for word in words):
        print(cli_help.train(conf_directory(), _user_conf(words)))
        return
    import hydra

    sys.argv = ["mdlm train", *words]
    os.environ["HYDRA_FULL_ERROR"] = "1"  # errors reach us instead of being printed by Hydra
    user_conf = _user_conf(words)
    if user_conf is not None:
        sys.path.insert(0, str(user_conf))
    decorate = hydra.main(version_base="1.3", config_path=str(conf_directory()), config_name="config")
    try:
        decorate(_run_one)()
    except Exception as error:
        _explain(error)


def _run_one(config: DictConfig) -> None:
    """One run of `mdlm train`, in the folder Hydra made for it."""
    from hydra.core.hydra_config import HydraConfig
    from omegaconf import OmegaConf

    plain: Any = OmegaConf.to_container(config, resolve=True, throw_on_missing=True)
    hydra_config = HydraConfig.get()
    sources = [Path(source.path) for source in hydra_config.runtime.config_sources if source.schema == "file"]
    user_modules = {file.stem for source in sources if source != conf_directory() for file in source.glob("*.py")}
    from mdlm.build import build
    from mdlm.report.table import show

    experiment = build(plain, trusted={"mdlm", *user_modules})
    show(experiment.run(Path(hydra_config.runtime.output_dir), plain))


def ui(words: Sequence[str]) -> None:
    """Start the MLflow UI on the store that `mdlm train` writes to."""
    import argparse

    parser = argparse.ArgumentParser(prog="mdlm ui", description=ui.__doc__)
    directory = os.environ.get("MDLM_MLFLOW_DIR", "outputs/mlflow")
    parser.add_argument("--directory", default=directory, help="tracking.directory of the runs (%(default)s)")
    parser.add_argument("--uri", default=None, help="tracking.uri of the runs, where it was set")
    parser.add_argument("--experiment", default="mdlm", help="tracking.experiment of the runs (%(default)s)")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (%(default)s)")
    parser.add_argument("--port", type=int, default=5000, help="port to listen on (%(default)s)")
    options = parser.parse_args(list(words))
    from mdlm.tracking import MLflow

    try:
        store = MLflow(options.uri, Path(options.directory), options.experiment)
        store.serve(options.host, options.port)
    except ValueError as error:
        fail(str(error))


def completion(words: Sequence[str]) -> None:
    """Print a script that completes commands, groups, options and fields in bash, zsh or fish."""
    from mdlm import cli_completion

    if len(words) == 1 and words[0] in cli_completion.SCRIPTS:
        print(cli_completion.SCRIPTS[words[0]])
    elif words and words[0] == "--words":  # called by those scripts
        print("\n".join(cli_completion.candidates(words[1:], list(COMMANDS), conf_directory())))
    else:
        fail(f"completion needs one of {', '.join(cli_completion.SCRIPTS)}, for example: mdlm completion bash")


COMMANDS: dict[str, Callable[[Sequence[str]], None]] = {"train": train, "ui": ui, "completion": completion}


def _user_conf(words: Sequence[str]) -> Path | None:
    """The directory given by ``--config-dir``, absolute."""
    for position, word in enumerate(words):
        if word in ("--config-dir", "-cd") and position + 1 < len(words):
            return Path(words[position + 1]).resolve()
        if word.startswith("--config-dir="):
            return Path(word.partition("=")[2]).resolve()
    return None


def _explain(error: Exception) -> NoReturn:
    """Turn what a user can mend into one line, and show everything else in full."""
    if os.environ.get("MDLM_DEBUG"):
        raise error
    message = _users_fault(error)
    if message is None:
        traceback.print_exception(error)
        fail(f"{type(error).__name__} is a defect in mdlm (see above); please report it")
    fail(message)


def _users_fault(error: Exception) -> str | None:
    """The message of an error a user can mend, or None."""
    from hydra.errors import HydraException
    from omegaconf.errors import OmegaConfBaseException

    if isinstance(error, HydraException | OmegaConfBaseException):
        return cli_help.hydra_message(error, conf_directory())
    if isinstance(error, OSError):
        return f"{error.filename or 'a file'}: {error.strerror or error}"
    raised_in = traceback.extract_tb(error.__traceback__)[-1].filename
    ours = Path(raised_in).is_relative_to(PACKAGE) or not _installed(raised_in)
    return str(error) if ours and isinstance(error, ValueError | FloatingPointError) else None


def _installed(filename: str) -> bool:
    return "site-packages" in filename or filename.startswith((sys.prefix, sys.base_prefix, "<"))
