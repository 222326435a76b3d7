"""A run's folder: held by one process, filled with numbers, chains, configuration and figures."""

from __future__ import annotations

import json
import math
import os
import shlex
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from mdlm.evaluation import Sequences
    from mdlm.outcome import Learning, Outcome
    from mdlm.sampling.sampling import Sampled
    from mdlm.tokens.base import Tokeniser

LEARNING_FILE = "learning.json"


def write_results(outcome: Outcome, figures: bool = True) -> list[Path]:
    """Write everything a judgement leaves behind; each file appears whole or not at all.

    Args:
        outcome: What to write.
        figures: Whether to draw, and to write the report, which is made of figures. `mdlm report` does both later.

    Returns:
        The files and directories to keep with the run elsewhere.
    """
    from mdlm.report.table import as_text

    directory = outcome.directory
    write_config(directory, outcome.config)
    write_atomically(directory / "metrics.json", lambda path: path.write_text(_json(outcome)))
    write_atomically(directory / "summary.txt", lambda path: path.write_text(as_text(outcome)))
    if outcome.learning:
        text = json.dumps(_described(outcome.learning), indent=2) + "\n"
        write_atomically(directory / LEARNING_FILE, lambda path: path.write_text(text))
    names = ["config.yaml", "metrics.json", "summary.txt", LEARNING_FILE, "checkpoint/best.safetensors"]
    if figures:
        from mdlm.report.figures import draw_all
        from mdlm.report.page import write_page

        draw_all(outcome, directory / "figures")
        write_page(outcome)
        names += ["report.html", "figures"]
    return [path for name in names if (path := directory / name).exists()]


def _described(learning: Learning) -> dict[str, Any]:
    """What only the training process knows, and a later judgement of the same chains wants to show."""
    return {"costs": dict(learning.costs), **asdict(learning.curve)}


def trained_by(directory: Path) -> str:
    """The command that made a run: as typed, where Hydra wrote that down in its folder, else by its configuration."""
    import yaml

    try:
        overrides = yaml.safe_load((directory / ".hydra" / "overrides.yaml").read_text())
        sources = yaml.safe_load((directory / ".hydra" / "hydra.yaml").read_text())["hydra"]["runtime"][
            "config_sources"
        ]
    except (OSError, KeyError):
        return shlex.join(["mdlm", "train", "--config-dir", str(directory), "--config-name", "config"])
    theirs = [
        source["path"] for source in sources if source["schema"] == "file" and source["provider"] == "command-line"
    ]
    return shlex.join(["mdlm", "train", *(word for path in theirs for word in ("--config-dir", path)), *overrides])


def write_config(directory: Path, config: Mapping[str, Any]) -> None:
    """Write the resolved configuration, ready to be used again."""
    import yaml

    text = yaml.safe_dump(dict(config), sort_keys=False, allow_unicode=True)
    write_atomically(directory / "config.yaml", lambda path: path.write_text(text))


def write_atomically(path: Path, write: Callable[[Path], object]) -> None:
    """Let ``write`` fill a temporary file of the same suffix, then rename it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.stem}.{os.getpid()}.tmp{path.suffix}")
    try:
        write(temporary)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def only_run_in(directory: Path) -> Iterator[None]:
    """Hold a run's folder, since two runs in one would write over each other.

    Raises:
        ValueError: Another process holds it, or it cannot be written.
    """
    from filelock import FileLock, Timeout

    check_writable(directory, "hydra.run.dir")
    try:
        with FileLock(directory / ".lock", timeout=0):
            for leftover in directory.rglob(".*.tmp*"):  # of a run that was killed while it wrote
                leftover.unlink(missing_ok=True)
            yield
    except Timeout:
        raise ValueError(f"hydra.run.dir ({directory}) is in use by another run; give this one its own") from None


def check_writable(directory: Path, field: str) -> None:
    """Raise `ValueError`, naming the configured field, where a directory cannot be made or written."""
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ValueError(f"{field} ({directory}) cannot be made: {error.strerror}") from error
    if not os.access(directory, os.W_OK):
        raise ValueError(f"{field} ({directory}) cannot be written")


def _json(outcome: Outcome) -> str:
    """Metrics under their logged names, null where there is no finite value, with verdict and notes."""
    metrics = {k: v if math.isfinite(v) else None for k, v in outcome.metrics.items()}
    evaluation = outcome.evaluation
    texts = {
        "verdict": outcome.verdict,
        "notes": evaluation.notes,
        "reference": evaluation.comparison.reference_source,
    }
    return json.dumps(metrics | texts, indent=2) + "\n"


def write_chains(directory: Path, sequences: Sequences, tokeniser: Tokeniser, sampled: Sampled) -> None:
    """Write what is needed to read the sampled tokens, in ``chains.npy`` beside it, without the run's configuration.

    Where a token stands for several frames, the states they were decoded to are beside them, chain after chain.
    """
    states, lumping = sequences.sampled, sequences.lumping
    decoded: dict[str, Any] = {}
    if tokeniser.frames_per_token != 1:
        decoded = {"decoded_states": np.concatenate(states.pieces), "decoded_lengths": np.array(states.lengths)}
    content: dict[str, Any] = {
        "prompts": sampled.prompts.astype(sampled.chains.dtype),
        "sampling_seed": sampled.seed,
        "token_names": np.array(tokeniser.token_names),
        "frame_time": states.frame_time,
        "time_unit": states.time_unit,
        "state_names": np.array(sequences.state_names),
        "macrostate_of_state": lumping.of_state,
        "macrostate_names": np.array(lumping.names),
    }
    write_atomically(directory / "sampled.npz", lambda path: np.savez_compressed(path, **content, **decoded))
