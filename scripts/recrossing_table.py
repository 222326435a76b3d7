"""Slowest timescale of a Markov chain counted at one token, over the true one: partition x recrossing x stride.

Simulates the four-state system (or takes it from the cache) and prints a Markdown table.

Usage: ``python scripts/recrossing_table.py [million_steps]``
"""

from __future__ import annotations

import sys
from pathlib import Path

from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from mdlm.build import build
from mdlm.experiment import Experiment
from mdlm.kinetics.estimate import markov_state_model, model_timescales
from mdlm.kinetics.events import slow_sides

CONF = Path(__file__).parent.parent / "conf"
PARTITIONS = {
    "basins": ["partition=basins"],
    "wells": ["partition=wells"],
    "pcca of a 30 x 30 grid": ["partition=pcca", "partition@partition.micro=grid"],
    "wells in x alone": ["partition=wells", "features=x"],
}
RECROSSINGS = {
    "keep": ["recrossing=keep"],
    "coring, 20": ["recrossing=coring"],
    "core sets, 0.8": ["recrossing=core_set"],
}
STRIDES = (1, 10, 100)


def experiment(*overrides: str) -> Experiment:
    """The experiment `mdlm train` would run with these overrides."""
    with initialize_config_dir(str(CONF.resolve()), version_base="1.3"):
        config = OmegaConf.to_container(compose("config", list(overrides)), resolve=True)
    return build(config)


def main(million_steps: int) -> None:
    """Print the table."""
    print(f"| partition | recrossing | {' | '.join(f'stride {stride}' for stride in STRIDES)} |")
    print("|---|---|" + "---|" * len(STRIDES))
    for partition, chosen in PARTITIONS.items():
        for recrossing, treated in RECROSSINGS.items():
            try:
                ratios = row(*chosen, *treated, f"system.n_steps={million_steps}_000_000", "tracking=none")
            except ValueError as error:
                ratios = [f"no: {str(error).partition(';')[0]}", *[""] * (len(STRIDES) - 1)]
            print(f"| {partition} | {recrossing} | {' | '.join(ratios)} |", flush=True)


def row(*overrides: str) -> list[str]:
    """The ratio at each stride."""
    run = experiment(*overrides)
    run.check()
    truth = run.system.truth()
    assert truth is not None, "the default system's truth is known"
    treated = run.stages().treated
    states = treated.train.joined(treated.validation, treated.test)
    ratios = []
    for stride in STRIDES:
        tokens = states.strided(stride, "all")
        model = markov_state_model(tokens, tokens.frame_time)
        (t2,) = model_timescales(model, tokens.frame_time, 1, slow_sides(model))
        ratios.append(f"{t2 / truth.timescales[0]:.2f}")
    return ratios


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 100)
