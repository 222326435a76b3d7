"""Whether a model keeps the slowest timescale at the saving interval: rung x candidate x subset x seed, a row each.

A rung is a system with its tokens: overrides of `mdlm train`. A candidate is a network, overrides too; a baseline,
``markov``, ``markov_k``, ``semi_markov`` or ``hmm``; or ``exact``, the system itself, simulated many times as long (of
those that can be): what a model that knows it, and not these data, would come out like; or ``all_data``, all molecular
dynamics there is, what was left out and held out among it: as near to that as real data come. Subset 0, 1 or 2 is the
training data without every third trajectory, beginning with that one, ``all`` is all of them; the sample is judged by
what is left. ``twin0``, ``twin1`` ... put in place of all data as many of a process that is known, the hidden Markov
model of the training data, each from other random numbers, ``twin0x4`` four times as many; ``exact`` is then that
process itself. Rows that are in the CSV file already are not computed again. The pentapeptide needs
``system.topology=FILE`` and ``system.path=FILES``.

Usage: ``python scripts/fidelity.py FILE.csv RUNG,... CANDIDATE,... SUBSET,... SEED,... [override ...]``
"""

from __future__ import annotations

import csv
import itertools
import math
import re
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from mdlm.alongside import Tokenised
from mdlm.baselines.base import Wanted
from mdlm.build import build
from mdlm.evaluation import Evaluation
from mdlm.experiment import Experiment
from mdlm.kinetics.counts import transition_counts
from mdlm.kinetics.msm import reversible_transition_matrix
from mdlm.kinetics.timescales import implied_timescales
from mdlm.masking import without_unseen
from mdlm.model.base import LanguageModel
from mdlm.progress import silent
from mdlm.sampling.sampling import prompts
from mdlm.stages import Stages
from mdlm.system.walkers import WalkerSystem
from mdlm.tokens.base import Tokens
from mdlm.training.evaluate import nll_nats_per_token
from mdlm.training.support import jump_counts
from mdlm.trajectory import Dtraj, Split

CONF = Path(__file__).parent.parent / "conf"
ALANINE = ["system=alanine_dipeptide_mdshare", "kinetics.lag_time=10"]
PENTAPEPTIDE = ["system=files", "features=tica_torsions", "kinetics.lag_time=2000"]
RUNGS = {
    "grid": ["partition=grid"],
    "basins": [],
    "x_only": ["features=x", "kinetics.lag_time=1000"],
    "alanine_kmeans": [*ALANINE, "partition=kmeans", "partition.n_states=50"],
    "alanine_sin_phi": [*ALANINE, "features=x", "features.columns=[phi]", "partition=sin_bins"],
    "alanine_simulated": [
        *("system=alanine_dipeptide", "system.n_trajectories=40", "system.trajectory_length_ps=1000"),
        *("partition=kmeans", "partition.n_states=50"),
    ],
    "pentapeptide_kmeans": [*PENTAPEPTIDE, "partition=kmeans", "partition.n_states=200"],
    "pentapeptide_pcca": PENTAPEPTIDE,
    "ww_kmeans": ["system=ww_domain", "partition=kmeans", "partition.n_states=200"],
    "ww_pcca": ["system=ww_domain"],
}
NETWORKS = {
    f"{model}{name}": [f"model={model}", *overrides]
    for model in ("lstm", "gru", "transformer")
    for name, overrides in {
        "": ["model.anchor=none"],
        "_markov": ["model.anchor=markov"],
        "_slow_modes": ["model.anchor=slow_modes"],
    }.items()
}
BASELINES = ("markov", "markov_k", "semi_markov", "hmm")
LONGER = {"ww_domain": 10, "four_state": 40}
"""How many times its data the simulation of ``exact`` is."""
LONG_TWIN = (1000, 10_000, -1)
"""Pieces, frames of each and number of the simulation of ``exact`` for twins."""
TWIN_SEED = 1000
SUBSET = re.compile(r"[012]|all|twin(?P<number>\d{1,3})(x(?P<times>[1-9]\d?))?")

CELL = ("rung", "candidate", "subset", "seed", "overrides")
RESULTS = (
    *("n_tokens", "n_training_tokens", "epochs", "best_epoch", "train_seconds"),
    *("nll_validation", "nll_test", "forbidden_test_share", "sample_seconds"),
    *("unseen_per_token", "unseen_test_per_token", "t2_data", "t2_sampled", "lags", "ratios", "low", "high", "worst"),
    *("population_tv_distance", "free_energy_error_kT", "mfpt_log_error_rms", "masked_ratios"),
    "t2_times_without_unseen",
)
ALWAYS = ["tracking=none", "kinetics.n_resamples=50", "sampling.chain_length=20000"]


def experiment(overrides: Sequence[str]) -> Experiment:
    """The experiment `mdlm train` would run with these overrides."""
    with initialize_config_dir(str(CONF.resolve()), version_base="1.3"):
        config = OmegaConf.to_container(compose("config", [*ALWAYS, *overrides]), resolve=True)
    return build(config)


def main(path: Path, lists: list[list[str]], extra: list[str]) -> None:
    """Compute the rows that are missing."""
    for name, given, allowed in (
        ("rung", lists[0], RUNGS),
        ("candidate", lists[1], (*NETWORKS, *BASELINES, "exact", "all_data")),
    ):
        if unknown := set(given) - set(allowed):
            raise SystemExit(f"{name} ({', '.join(sorted(unknown))}) must be among {', '.join(allowed)}")
    if unknown := [subset for subset in lists[2] if not SUBSET.fullmatch(subset)]:
        raise SystemExit(f"subset ({', '.join(unknown)}) must be among 0, 1, 2, all, twinN, twinNxTIMES")
    for cell in itertools.product(*lists):
        rung, candidate, subset, seed = cell
        named = dict(zip(CELL, (*cell, " ".join(extra)), strict=True))
        if any(row.items() >= named.items() for row in rows(path)):
            continue
        overrides = [*RUNGS[rung], *NETWORKS.get(candidate, []), *extra, f"seed={seed}"]
        append(path, named | measured(experiment(overrides), candidate, subset))


def rows(path: Path) -> list[dict[str, str]]:
    """What an earlier call left."""
    if not path.exists():
        return []
    with path.open(newline="") as file:
        found = csv.DictReader(file)
        if tuple(found.fieldnames or ()) != CELL + RESULTS:
            raise SystemExit(f"{path} has other columns than this script writes: give another file")
        return list(found)


def append(path: Path, row: dict[str, object]) -> None:
    """Write a row, and the head before the first one."""
    is_new = not path.exists()
    with path.open("a", newline="") as file:
        writer = csv.DictWriter(file, list(row))
        if is_new:
            writer.writeheader()
        writer.writerow(row)
    print({name: value for name, value in row.items() if name not in ("low", "high")}, flush=True)


def reduced(split: Split[Dtraj], subset: str) -> Split[Dtraj]:
    """The training data of a subset, the rest as it is."""
    kept = tuple(piece for number, piece in enumerate(split.train.pieces) if str(number % 3) != subset)
    return replace(split, train=replace(split.train, pieces=kept))


def twin_named(subset: str) -> tuple[int, int] | None:
    """Number and times of a twin; None for subsets of the data."""
    matched = SUBSET.fullmatch(subset)
    return (int(matched["number"]), int(matched["times"] or 1)) if matched and matched["number"] else None


def twin(run: Experiment, number: int, times: int) -> Split[Dtraj]:
    """States of a process that is known, in pieces as long as those of the data, of each so many ``times``."""
    parts = run.stages().treated.parts
    n_frames = max(len(piece) for part in parts for piece in part.pieces)
    drawn = iter(known_process(run, times * sum(len(part.pieces) for part in parts), n_frames, number).pieces)
    made = [tuple(next(drawn)[: len(piece)] for piece in part.pieces * times) for part in parts]
    return Split(*(replace(part, pieces=pieces) for part, pieces in zip(parts, made, strict=True)))


def known_process(run: Experiment, n_pieces: int, n_frames: int, number: int) -> Dtraj:
    """Drawn from the hidden Markov model of all training data; the first half of every piece is let go."""
    stages = run.stages()
    states, seed = run.tokenised(stages).strided, TWIN_SEED + number
    cut = prompts(states.test.pieces, n_pieces, run.sampling.prompt_length, np.random.default_rng(seed))
    wanted = Wanted(cut, 2 * n_frames, run.kinetics.lag_time, stages.lumping.n_macrostates, seed)
    chains = run.baselines.methods["hmm"].draw(states, wanted).chains
    return replace(chains, pieces=tuple(piece[n_frames:].copy() for piece in chains.pieces))


def measured(run: Experiment, candidate: str, subset: str) -> dict[str, object]:
    """Train or fit, sample, judge."""
    run.check()
    stages, known = run.stages(), twin_named(subset)
    everything = twin(run, *known) if known else stages.treated
    whole = everything.train.joined(everything.validation, everything.test)
    if known:
        stages.__dict__["_judged"] = stages.lumping, stages.lumping.lump(whole)
    states = everything if known else reduced(everything, subset)
    stages.__dict__["_recrossed"] = states, stages.effect  # as if that were all
    read = run.tokenised(stages)
    row: dict[str, object] = dict.fromkeys(RESULTS, "")
    row |= {"n_tokens": read.tokens.train.n_tokens, "n_training_tokens": read.n_training_tokens}
    if candidate in NETWORKS:
        return row | of_network(run, stages, read)
    begin = time.perf_counter()
    if candidate == "exact":
        chains, nll = known_process(run, *LONG_TWIN) if known else simulated(run, stages), math.nan
        row["t2_times_without_unseen"] = f"{times_without_unseen(read.strided.train, chains):.3g}"
    elif candidate == "all_data":
        chains, nll = whole, math.nan
    else:
        sampling, n_macrostates = run.sampling, stages.lumping.n_macrostates
        rng = np.random.default_rng(run.seed)
        cut = prompts(read.strided.test.pieces, sampling.n_chains, sampling.prompt_length, rng)
        wanted = Wanted(cut, sampling.chain_length, run.kinetics.lag_time, n_macrostates, int(rng.integers(2**62)))
        drawn = run.baselines.methods[candidate].draw(read.strided, wanted)
        chains, nll = drawn.chains, drawn.nll
    row |= {"sample_seconds": round(time.perf_counter() - begin, 1), "nll_test": f"{nll:.5f}"}
    return row | judged(run.evaluate(stages, chains))


def simulated(run: Experiment, stages: Stages) -> Dtraj:
    """The states of a long simulation, made in parts as long as the data."""
    name = type(run.system).__module__.rpartition(".")[2]
    if not isinstance(run.system, WalkerSystem) or name not in LONGER:
        raise SystemExit(f"exact: {name} cannot be simulated here; allowed are {', '.join(LONGER)}")

    def compute() -> Dtraj:
        parts = []
        for part in range(LONGER[name]):
            system = replace(run.system, seed=1_000_000 + 1000 * run.seed + part)
            described = stages.fitted_features.transform(system.trajectories(silent))
            parts.append(stages.discretiser.assign(described))
        return parts[0].joined(*parts[1:])

    return stages.after("exact", run.system, {"times": LONGER[name], "seed": run.seed}, compute)


def times_without_unseen(train: Dtraj, exact: Dtraj) -> float:
    """How many times longer t2 of the transitions over one frame is without those that training never made."""
    counts = transition_counts(exact.pieces, exact.n_states)
    seen = transition_counts(train.pieces, exact.n_states) > 0
    masked, whole = (
        implied_timescales(reversible_transition_matrix(part).matrix, exact.frame_time, 1)[0]
        for part in (np.where(seen, counts, 0), counts)
    )
    return float(masked / whole)


def of_network(run: Experiment, stages: Stages, read: Tokenised) -> dict[str, object]:
    """Train, sample, judge; then sample once more without the jumps that training never saw."""
    tokens = read.tokens
    with tempfile.TemporaryDirectory() as folder:
        fitted = run.training.fit(run.model, tokens, run.seed, Path(folder), {}, silent)
    model = fitted.model
    row: dict[str, object] = {
        "epochs": len(fitted.history),
        "best_epoch": fitted.best_epoch,
        "train_seconds": round(fitted.seconds, 1),
    } | likelihoods(model, tokens)

    def chains() -> Dtraj:
        return read.tokeniser.decode(run.sampling.draw(model, tokens.test.pieces, run.seed).chains)

    begin = time.perf_counter()
    sampled = chains()
    row["sample_seconds"] = round(time.perf_counter() - begin, 1)
    evaluation = run.evaluate(stages, sampled)
    row |= judged(evaluation)
    if evaluation.unseen.n_jumps and tokens.train.n_tokens == read.tokeniser.n_states:
        with without_unseen(model, tokens.train.pieces):
            masked = run.evaluate(stages, chains())
        row["masked_ratios"] = listed(masked.comparison.t2_ratio_curve.ratios)
    return row


def judged(evaluation: Evaluation) -> dict[str, object]:
    """What is asked of a sample."""
    curve, unseen, metrics = evaluation.comparison.t2_ratio_curve, evaluation.unseen, evaluation.metrics()
    return {
        "unseen_per_token": f"{unseen.rate:.3g}",
        "unseen_test_per_token": f"{unseen.held_out_rate:.3g}",
        **{name: f"{metrics[f'{name}_{evaluation.comparison.time_unit}']:.4g}" for name in ("t2_data", "t2_sampled")},
        "lags": listed(curve.lag_times),
        "ratios": listed(curve.ratios),
        "low": listed(curve.low),
        "high": listed(curve.high),
        "worst": f"{curve.worst[0]:.3g}",
        "population_tv_distance": f"{metrics['population_tv_distance']:.3g}",
        "free_energy_error_kT": f"{metrics['free_energy_error_max_well_visited_kT']:.3g}",
        "mfpt_log_error_rms": f"{metrics['mfpt_log_error_rms']:.3g}",
    }


def likelihoods(model: LanguageModel, tokens: Split[Tokens]) -> dict[str, object]:
    """Held-out loss in nats per token, and the share of the test data that is ruled out."""
    seen = jump_counts(tokens.test.pieces, model.n_states)
    forbidden = seen[model.added_VV.numpy() == -np.inf].sum() / seen.sum()
    return {
        "nll_validation": f"{nll_nats_per_token(model, tokens.validation.pieces):.5f}",
        "nll_test": f"{nll_nats_per_token(model, tokens.test.pieces):.5f}",
        "forbidden_test_share": f"{forbidden:.2g}",
    }


def listed(values: np.ndarray) -> str:
    """Three digits of each."""
    return " ".join(f"{value:.3g}" for value in values)


if __name__ == "__main__":
    if len(sys.argv) < 6:
        raise SystemExit(__doc__)
    main(Path(sys.argv[1]), [text.split(",") for text in sys.argv[2:6]], sys.argv[6:])
