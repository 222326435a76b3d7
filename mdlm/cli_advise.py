"""`mdlm advise`: which partition, recrossing treatment and stride to train on."""

from __future__ import annotations

import math
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mdlm.advise.candidates import Given
    from mdlm.advise.evidence import Choice
    from mdlm.advise.measure import Subject
    from mdlm.advise.rules import Advice
    from mdlm.advise.scan import Clock
    from mdlm.experiment import Experiment

USAGE = """\
Scan your data for some minutes and say which partition, recrossing treatment and stride to train on, and why.

Usage: mdlm advise [FIELD=VALUE ...] [OPTIONS]

It takes whatever `mdlm train` takes: system and its fields say where the data are, partition, recrossing and stride
what you would choose yourself. Your choice is looked at beside k-means with 50 and 200 states and PCCA+, no treatment
and coring for a tenth of the lag, and strides of about 1, 10 and 100: first what is cheap (slow events, how much of t2
the states keep, what a Markov chain makes of them), then baselines, then a small LSTM on the best and on your own
choice. With fewer than 10 slow events in the data the advice is more data. docs/advise.md has the rules.

Fields of its own:
  budget_minutes=10  when to stop; what is known by then decides (a clustering under way is finished first)
  out=DIR            where advise.json and advise.txt go; outputs/advise/DATE/TIME

What is computed on the way stays in the cache, where `mdlm train` finds it.

Examples:
  mdlm advise system=files system.topology=top.pdb 'system.path=run*.xtc' system.lag_time=1000
  mdlm advise system=arrays system.path=features.npz system.frame_time=10 system.time_unit=ps budget_minutes=5
  mdlm advise system=four_state features=x kinetics.lag_time=1000
"""
FIELDS = ("budget_minutes", "out")
BUDGET_MINUTES = 10.0


@dataclass(frozen=True)
class Request:
    """The fields of `mdlm advise` itself.

    Attributes:
        words: All others, for Hydra.
        budget_minutes: How long the scan may take.
        out: Where the advice goes.
    """

    words: tuple[str, ...]
    budget_minutes: float
    out: Path

    @classmethod
    def of(cls, words: Sequence[str]) -> Request:
        """Take them out of the words typed.

        Raises:
            ValueError: One of them cannot be.
        """
        own = {name: value for name, _, value in (word.partition("=") for word in words) if name in FIELDS}
        others = tuple(word for word in words if word.partition("=")[0] not in FIELDS)
        given = own.get("budget_minutes", str(BUDGET_MINUTES))
        try:
            minutes = float(given)
        except ValueError:
            minutes = math.nan
        if not 0 < minutes < math.inf:
            raise ValueError(f"budget_minutes ({given}) must be a number of minutes above 0")
        if own.get("out") == "":
            raise ValueError("out is empty; give a directory")
        if any(word in ("-m", "--multirun") for word in words):
            raise ValueError("--multirun is no option of mdlm advise: it tries the choices by itself")
        default = f"outputs/advise/{datetime.now():%Y-%m-%d/%H-%M-%S}"
        return cls(others, minutes, Path(own.get("out", default)))


def advise(experiment: Experiment, request: Request) -> None:
    """Scan the data of an experiment, print the advice and write it down."""
    from rich.console import Console

    from mdlm.advise import page
    from mdlm.progress import bar
    from mdlm.report.run_folder import check_writable

    check_writable(request.out, "out")
    with bar("scanning") as progress:
        from mdlm.advise.scan import Clock

        clock = Clock(60 * request.budget_minutes, progress)
        advice = _scanned(experiment, clock)
    command = _command(advice)
    console = Console()
    if not console.is_terminal:
        console.width = page.WIDTH
    page.show(advice, command, console)
    page.write(advice, command, request.out)
    print(f"\nEvidence: {request.out}")


def _scanned(own: Experiment, clock: Clock) -> Advice:
    from hydra.core.hydra_config import HydraConfig

    from mdlm.advise.candidates import Given
    from mdlm.advise.scan import Scan

    hydra = HydraConfig.get()
    own.check()
    words, options = tuple(hydra.overrides.task), dict(hydra.runtime.choices)
    if not {"partition", "recrossing"} <= options.keys():
        raise ValueError(
            f"--config-name ({hydra.job.config_name}) leaves nothing to choose; give the overrides instead"
        )
    taken = (options["partition"], options["recrossing"], own.stride)
    given = Given(words, *taken, own.system.header, own.kinetics.lag_time)
    subjects, problems = _subjects(given)
    return Scan(subjects, problems, clock, own.kinetics.min_events).run()


def _subjects(given: Given) -> tuple[dict[str, Subject], dict[Choice, str]]:
    """Every choice composed and checked; those that cannot be, with the reason."""
    from mdlm.advise.candidates import choices
    from mdlm.advise.measure import Subject

    subjects: dict[str, Subject] = {}
    problems: dict[Choice, str] = {}
    stages: dict[str, Any] = {}
    for choice in choices(given):
        try:
            experiment = _experiment(choice.words)
            experiment.check()
        except ValueError as error:
            problems[choice] = " ".join(str(error).split())
            continue
        made = experiment.stages()
        subjects[choice.name] = Subject(choice, experiment, stages.setdefault(made.digest, made))
    return subjects, problems


def _experiment(words: Sequence[str]) -> Experiment:
    """The experiment that these overrides describe."""
    from hydra import compose
    from hydra.core.hydra_config import HydraConfig
    from omegaconf import OmegaConf

    from mdlm.build import build
    from mdlm.cli import trusted_modules

    hydra = HydraConfig.get()
    composed = compose(hydra.job.config_name, list(words))
    plain: Any = OmegaConf.to_container(composed, resolve=True, throw_on_missing=True)
    trusted, _ = trusted_modules(hydra)
    experiment: Experiment = build(plain, trusted)
    return experiment


def _command(advice: Advice) -> str:
    """What to type."""
    return shlex.join(["mdlm", "train", *advice.choice.words]) if advice.choice else ""
