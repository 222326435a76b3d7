"""How dense the table of possible jumps is: what an anchor with a sparse one would leave out.

For each number of states: which share of all V x V jumps the training data, as they are read, made or would make in two
or three steps on the symmetrised counts, and how many jumps of test data lie beyond. And the smallest share of the
table that leaves out no more than one jump that the anchor's prior expects in as many tokens as the training data have.

Usage: ``python scripts/fidelity_support.py FILE.csv RUNG OVERRIDE=VALUE,... [override ...]``, with a rung of
``scripts/fidelity.py`` and the values of the number of states, such as ``partition.n_states=200,2000``.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from fidelity import RUNGS, append, experiment

from mdlm.training.anchor import markov_anchor
from mdlm.training.support import jump_counts
from mdlm.trajectory import IntArray


def measured(train: IntArray, test: IntArray, anchor: np.ndarray) -> dict[str, object]:
    """A row, of counts and of the anchor's probabilities, both of shape (V, V)."""
    seen = train > 0
    neighbours = ((train + train.T) > 0).astype(np.float32)
    two = seen | (neighbours @ neighbours > 0)
    three = two | (two.astype(np.float32) @ neighbours > 0)
    expected = np.sort((train.sum(axis=1, keepdims=True) * anchor)[~seen])
    n_left_out = np.searchsorted(np.cumsum(expected), 1)
    row: dict[str, object] = {"n_states": len(train), "n_training_jumps": train.sum(), "n_test_jumps": test.sum()}
    row |= {"seen_per_state": f"{seen.sum(axis=1).mean():.1f}", "unseen_in_test": test[~seen].sum()}
    for name, kept in (("two_steps", two), ("three_steps", three)):
        row |= {f"table_{name}": f"{kept.mean():.3f}", f"test_beyond_{name}": test[~kept].sum()}
    return row | {"table_but_one_jump": f"{1 - n_left_out / seen.size:.3f}"}


def main(path: Path, rung: str, n_states: str, extra: list[str]) -> None:
    """Append a row for each number of states."""
    name, _, values = n_states.partition("=")
    for value in values.split(","):
        run = experiment([*RUNGS[rung], *extra, f"{name}={value}"])
        tokens = run.tokenised(run.stages()).tokens
        counts = [jump_counts(part.pieces, tokens.train.n_tokens) for part in (tokens.train, tokens.test)]
        anchor = markov_anchor(tokens.train.pieces, tokens.validation.pieces, tokens.train.n_tokens, "seen")
        append(path, {"rung": rung, "overrides": " ".join([*extra, f"{name}={value}"])} | measured(*counts, anchor))


if __name__ == "__main__":
    if len(sys.argv) < 4 or "=" not in sys.argv[3]:
        raise SystemExit(__doc__)
    main(Path(sys.argv[1]), sys.argv[2], sys.argv[3], sys.argv[4:])
