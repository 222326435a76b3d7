"""`mdlm evaluate`: judge a finished run anew, or any state sequences, without a model."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mdlm.cli_parser import Parser, own_modules

if TYPE_CHECKING:
    from mdlm.kinetics.compare import Kinetics
    from mdlm.outcome import Outcome

USAGE = """\
Judge sequences of states without training anything: a finished run anew, or sequences from any program.

Usage: mdlm evaluate run=DIR [kinetics.FIELD=VALUE ...]
       mdlm evaluate reference=FILE sampled=FILE frame_time=T time_unit=UNIT lag_time=TAU [FIELD=VALUE ...]

A finished run:
  run=DIR              its folder; training data and states come from the cache, the sampled chains from the folder
  cache_dir=DIR        where the run kept its finished stages, where that is not to be found from here
  --config-dir DIR     that of the run, where it had options of your own

Any sequences of states (npy; npz: one array per trajectory; text: one whole number per line; negative or empty: a gap):
  reference=FILE       what is judged against: FILE, 'md*.npy' or [A.npz,B.npz]
  sampled=FILE         what is judged, in the same states
  training=FILE        what the sample was made from, where that is less than the reference
  frame_time=T         between neighbouring states of the reference, in time_unit
  sampled_frame_time=T the same of the sample, a whole multiple (frame_time)
  time_unit=UNIT       of every time, such as ps, ns or frames; never guessed
  lag_time=TAU         at which both are judged: shorter than the slow process, longer than the fast ones
  macrostates=own      own: the states themselves; pcca: metastable sets of the reference at lag_time; FILE: text, with
                       a line 'state macrostate' for each state
  n_macrostates=N      of macrostates=pcca; as many as the spectrum supports unless given

Both:
  kinetics.FIELD=VALUE any field of `mdlm train kinetics=msm --cfg job`, such as kinetics.n_resamples=500
  seed=0               of the bootstrap (of a run: its own)
  tracking=none        none, or mlflow: also written to the store that `mdlm ui` shows
  out=DIR              where everything is written: report.html, metrics.json, summary.txt, figures/
                       (outputs/evaluate/DATE/TIME)

The verdict compares the slowest relaxation time of the sample with that of the reference, with intervals from both, and
is "undecided" where either holds fewer than kinetics.min_events (10) slow events.

Examples:
  mdlm evaluate run=outputs/2025-01-31/12-00-00 kinetics.lag_time=500
  mdlm evaluate reference=md.npy sampled=generated.npz frame_time=10 time_unit=ps lag_time=500
  mdlm evaluate reference='md*.txt' sampled='gen*.txt' frame_time=1 time_unit=ns lag_time=20 macrostates=pcca \\
      n_macrostates=4
"""

FOLDER = Path("outputs/evaluate")
A_TIME = (float, "a time in time_unit, such as 10")
A_FILE = (lambda text: files(text), "a file, a pattern such as 'md*.npy', or [A.npz,B.npz]")
OWN: dict[str, tuple[Callable[[str], object], str]] = {
    "reference": A_FILE,
    "sampled": A_FILE,
    "training": A_FILE,
    "frame_time": A_TIME,
    "sampled_frame_time": A_TIME,
    "time_unit": (str, "a unit, such as ps"),
    "lag_time": A_TIME,
    "macrostates": (str, "own, pcca or a file"),
    "n_macrostates": (int, "a whole number"),
}
"""Fields of sequences from anywhere: how each is read, and what it must be."""

FIELDS: dict[str, tuple[Callable[[str], object], str]] = {
    "run": (Path, "the folder of a finished run"),
    "cache_dir": (Path, "a directory"),
    **OWN,
    "seed": (int, "a whole number"),
    "tracking": (str, "none or mlflow"),
    "out": (Path, "a directory"),
}
REQUIRED = ("reference", "sampled", "frame_time", "time_unit", "lag_time")


def run(words: Sequence[str]) -> None:
    """Judge, write everything into a folder and print the table.

    Raises:
        ValueError: A field is wrong, or what it names cannot be judged.
    """
    if any(word in ("--help", "-h") for word in words):
        print(USAGE.rstrip())
        return
    fields, kinetics, trusted = _parsed(words)
    from mdlm.report.run_folder import check_writable
    from mdlm.report.table import show

    tracking = _tracking(fields.pop("tracking", "none"))
    directory = fields.pop("out", None) or FOLDER / f"{datetime.now():%Y-%m-%d/%H-%M-%S}"
    if "run" in fields and directory.resolve() == fields["run"].resolve():
        raise ValueError(f"out ({directory}) must be another folder than that of the run")
    check_writable(directory, "out")
    command = shlex.join(["mdlm", "evaluate", *words])
    if "run" in fields:
        outcome = of_run(directory, command, kinetics, trusted, **fields)
    else:
        outcome = _of_files(directory, command, kinetics, fields)
    _write(outcome, tracking)
    show(outcome)


def of_run(
    directory: Path,
    command: str,
    kinetics: dict[str, Any],
    trusted: set[str],
    run: Path,
    cache_dir: Path | None = None,
    seed: int | None = None,
) -> Outcome:
    """Judge the sampled chains of a finished run."""
    from mdlm.alongside import alongside
    from mdlm.export.finished import About, FinishedRun, learning_of
    from mdlm.outcome import Outcome
    from mdlm.training.fitted import load

    finished = FinishedRun.read(run, cache_dir, trusted)
    experiment = finished.experiment
    judged = _kinetics({**asdict(experiment.kinetics), **kinetics})
    experiment = replace(experiment, kinetics=judged, seed=experiment.seed if seed is None else seed)
    header = experiment.system.header
    judged.check(header.frame_time, experiment.stride, header.time_unit)
    if not finished.experiment.stages().has_states():
        raise ValueError(
            f"run ({run}): its states are no longer in the cache ({experiment.cache_dir}), or the code that made them "
            "has changed; give cache_dir=DIR, or train again"
        )
    evaluation = experiment.evaluate(finished.stages, finished.chains)
    learning = learning_of(run, finished.stages, evaluation.sequences, judged.lag_time)
    if learning is not None:
        read = experiment.tokenised(finished.stages)
        model = load(run / "checkpoint" / "best.safetensors", experiment.model)
        about = About.read(run / "sampled.npz")
        learning = alongside(experiment, learning, read, evaluation, model, (about.prompts, about.sampling_seed))
    config = {**finished.config, "kinetics": {**finished.config["kinetics"], **kinetics}}
    return Outcome(directory, evaluation, config, command, learning)


def _of_files(directory: Path, command: str, kinetics: dict[str, Any], fields: dict[str, Any]) -> Outcome:
    """Judge sequences from anywhere."""
    seed = fields.pop("seed", 0)
    from mdlm.evaluation import evaluate
    from mdlm.outcome import Outcome
    from mdlm.own_sequences import OwnSequences

    judged = _kinetics({**kinetics, "lag_time": fields["lag_time"]})
    sequences, notes = OwnSequences(**fields).read()
    judged.check(sequences.tokens.frame_time, 1, sequences.tokens.time_unit, len(sequences.lumping.names))
    evaluation = evaluate(judged, sequences, truth=None, seed=seed, notes=notes)
    given = {name: list(value) if isinstance(value, tuple) else value for name, value in fields.items()}
    return Outcome(directory, evaluation, {**given, "seed": seed, "kinetics": asdict(judged)}, command)


def _write(outcome: Outcome, tracking: Any) -> None:  # noqa: ANN401
    """Write the folder, and the run in MLflow where that is wanted."""
    from mdlm.build import flat
    from mdlm.fingerprint import made_with
    from mdlm.report.run_folder import write_results

    with tracking.run(outcome.directory, f"evaluate-{outcome.directory.name}", flat(outcome.config), made_with()) as to:
        files = write_results(outcome)
        to.metrics(outcome.metrics)
        to.tags({"verdict": outcome.verdict, "command": outcome.command})
        to.files(files)


def _kinetics(values: dict[str, Any]) -> Kinetics:
    from mdlm.build import TARGET, build

    made: Kinetics = build({TARGET: "mdlm.kinetics.compare.Kinetics", **values}, path="kinetics")
    return made


def _tracking(name: str) -> Any:  # noqa: ANN401
    """The store of `mdlm train`, or nothing."""
    import os

    from mdlm.tracking import MLflow, NoTracking

    if name not in ("none", "mlflow"):
        raise ValueError(f"tracking ({name}) must be none or mlflow")
    if name == "none":
        return NoTracking()
    store = MLflow(None, Path(os.environ.get("MDLM_MLFLOW_DIR", "outputs/mlflow")), "mdlm")
    store.check()
    return store


def files(text: str) -> tuple[str, ...]:
    """One file or pattern, or several in brackets.

    Example:
        >>> files("[a.npy, b.npy]"), files("md*.npy")
        (('a.npy', 'b.npy'), ('md*.npy',))
    """
    inside = text[1:-1].split(",") if text.startswith("[") and text.endswith("]") else [text]
    return tuple(name.strip() for name in inside if name.strip())


def _parsed(words: Sequence[str]) -> tuple[dict[str, Any], dict[str, Any], set[str]]:
    """Fields by name, those of kinetics, and the modules that a run's configuration may name."""
    parser = Parser(prog="mdlm evaluate", add_help=False, allow_abbrev=False)
    parser.add_argument("words", nargs="*")
    parser.add_argument("--config-dir", type=Path)
    options = parser.parse_intermixed_args(list(words))
    fields: dict[str, Any] = {}
    kinetics: dict[str, Any] = {}
    for word in options.words:
        name, _, value = word.partition("=")
        if name.startswith("kinetics."):
            kinetics[name.partition(".")[2]] = _yaml(name, value)
        else:
            fields[name] = _field(name, value)
    if "run" in fields and fields.keys() & OWN.keys():
        wrong = min(fields.keys() & OWN.keys())
        hint = "; write kinetics.lag_time=..." if wrong == "lag_time" else ""
        raise ValueError(f"{wrong} is no field of a finished run: give run or reference and sampled{hint}")
    if "run" not in fields:
        if "lag_time" in kinetics:
            fields["lag_time"] = kinetics.pop("lag_time")
        missing = [name for name in REQUIRED if name not in fields]
        if missing:
            given = " ".join(f"{name}=..." for name in missing)
            either = "" if "reference" in fields or "sampled" in fields else " (or run=DIR of a finished run)"
            raise ValueError(f"{', '.join(missing)} missing: give {given}{either}")
    return fields, kinetics, {"mdlm", *own_modules(options.config_dir)}


def _field(name: str, value: str) -> object:
    from mdlm.build import suggestion

    if name not in FIELDS:
        raise ValueError(f"{name} is no field of mdlm evaluate{suggestion(name, [*FIELDS, 'kinetics.lag_time'])}")
    read, allowed = FIELDS[name]
    if not value:
        raise ValueError(f"{name} must be {allowed}: {name}=...")
    try:
        return read(value)
    except ValueError:
        raise ValueError(f"{name} ({value}) must be {allowed}") from None


def _yaml(name: str, value: str) -> object:
    import yaml

    try:
        return yaml.safe_load(value)
    except yaml.YAMLError:
        raise ValueError(f"{name} ({value}) cannot be read") from None
