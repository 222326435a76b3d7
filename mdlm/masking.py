"""Some of a model's chains sampled once more, without the jumps that its training data never make."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from mdlm.kinetics.comparison import Interval
from mdlm.kinetics.masked import Masked, compare_masked
from mdlm.progress import bar
from mdlm.trajectory import IntArray

if TYPE_CHECKING:
    from mdlm.evaluation import Evaluation
    from mdlm.model.base import LanguageModel
    from mdlm.sampling.sampling import Sampling

SHARE = 0.1  # of the chains that are sampled again
FEWEST = 20  # of them, where there are as many
MOST_TOKENS = 20_000_000  # drawn again; longer chains are cut


def masked(
    evaluation: Evaluation,
    sampling: Sampling,
    frames_per_token: float,
    model: LanguageModel,
    began: tuple[IntArray, int],
) -> Masked:
    """Sample some chains of a model again with unseen jumps masked, and compare their t2 with that of the first time.

    Args:
        evaluation: Of the model's chains.
        sampling: How these were drawn.
        frames_per_token: Only where it is 1 are the jumps of tokens those of states.
        model: The model; in the end it is as before.
        began: Prompts of the chains, shape ``(n_chains, prompt_length)``, and the seed they were sampled with.
    """
    comparison, sampled = evaluation.comparison, evaluation.sequences.sampled
    unit = comparison.time_unit
    if not evaluation.unseen.n_jumps:
        (t2, *_), same = comparison.sampled.timescales, Interval(1.0, 1.0, 1.0)
        return Masked(unit, t2, same, comparison.t2_ratio_to_data, n_events=comparison.sampled.n_events)
    if frames_per_token != 1:
        return Masked(unit, skipped="since a token stands for several frames, and its jumps are not those of states")
    prompts_BT, seed = began
    n_chains = min(len(prompts_BT), max(FEWEST, math.ceil(SHARE * len(prompts_BT))))
    again = replace(sampling, n_chains=n_chains, chain_length=min(sampling.chain_length, MOST_TOKENS // n_chains))
    with bar("masked sampling") as progress, without_unseen(model, evaluation.sequences.read.pieces):
        drawn = again.continue_prompts(model, prompts_BT[:n_chains].astype(np.int64), seed, progress)
    first = tuple(chain[: again.chain_length] for chain in sampled.pieces[:n_chains])
    both = (replace(sampled, pieces=pieces) for pieces in (tuple(drawn.chains), first))
    return compare_masked(evaluation.judge, *map(evaluation.sequences.lumping.lump, both))


@contextmanager
def without_unseen(model: LanguageModel, pieces: Sequence[IntArray]) -> Iterator[None]:
    """Let a model make no jump, for a while, that these trajectories never make.

    Out of a state that they never leave it may go on as before, and so it may where it would be left no jump at all.

    Args:
        model: Of the states of ``pieces``.
        pieces: Discrete trajectories; no jump leads from one to the next.
    """
    import torch

    from mdlm.training.support import forbidden_jumps

    before_VV = model.added_VV.clone()
    model.forbid(torch.from_numpy(forbidden_jumps(pieces, model.n_states, "counted")))
    no_jump_left_V1 = (model.added_VV == -torch.inf).all(dim=1, keepdim=True)
    model.added_VV.copy_(torch.where(no_jump_left_V1, before_VV, model.added_VV))
    try:
        yield
    finally:
        model.added_VV.copy_(before_VV)
