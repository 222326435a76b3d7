"""The loss of a network: its output layer, and the negative log-likelihood of the tokens that came."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

IGNORED = -100
"""Target of a padded frame, which counts nothing."""

SLICE = {"cpu": 2**18, "cuda": 2**26}
"""Logits in flight at once: on a processor as many as its caches hold, on a GPU as many as keep it busy."""


def summed_nll(logits_BTV: Tensor, targets_BT: Tensor) -> Tensor:
    """Negative log-likelihood of the targets in nats, summed; `IGNORED` targets count nothing."""
    return F.cross_entropy(logits_BTV.flatten(0, 1), targets_BT.flatten(), ignore_index=IGNORED, reduction="sum")


@dataclass(frozen=True)
class LinearOutput:
    """The logits ``x W^T + b + added[tokens]`` of N frames, which are never all held.

    They are by far the largest arrays of a small network with many tokens, and a pass over them that leaves the caches
    costs more than the network. So each slice of frames is taken all the way before the next.

    Attributes:
        x_NH: What the output layer reads, float32.
        weight_VH: Of the output layer.
        bias_V: Of the output layer.
        added_VV: Added to the logits after each token (row); minus infinity rules a jump out. Takes no gradient.
        tokens_N: The last token of each frame.
        targets_N: The token that followed, or `IGNORED`.
    """

    x_NH: Tensor
    weight_VH: Tensor
    bias_V: Tensor
    added_VV: Tensor
    tokens_N: Tensor
    targets_N: Tensor

    def nll(self) -> Tensor:
        """Negative log-likelihood of the targets in nats, summed; infinite where one was ruled out.

        Its gradient is of first order only; a second one is refused.
        """
        with torch.autocast(self.x_NH.device.type, enabled=False):  # see `mdlm.model.base.full_precision`
            if torch.is_grad_enabled():
                arguments = (getattr(self, field.name) for field in fields(self))
                return _LinearNLL.apply(*arguments)  # type: ignore[no-any-return, no-untyped-call]
            return torch.stack([nll_n.sum() for nll_n, _ in self.slopes()]).sum()

    def slopes(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Some frames after the other: the negative log-likelihood, (n,), and its gradient by the logits, (n, V).

        That is the probability of every token, less one at the target; zeros where the target is `IGNORED`.
        """
        size = max(1, SLICE[self.x_NH.device.type] // len(self.bias_V))
        parts = (torch.split(part, size) for part in (self.x_NH, self.tokens_N, self.targets_N))
        for x_nH, tokens_n, targets_n in zip(*parts, strict=True):
            logits_nV = torch.addmm(self.bias_V, x_nH, self.weight_VH.T).add_(F.embedding(tokens_n, self.added_VV))
            slope_nV = logits_nV.softmax(1)
            # from the likeliest token, whose probability cannot vanish; `exp` itself is slow with logits of -inf
            normaliser_n = logits_nV.amax(1) - slope_nV.amax(1).log()
            real_n, target_n1 = targets_n != IGNORED, targets_n.clamp(min=0)[:, None]
            nll_n = torch.where(real_n, normaliser_n - logits_nV.gather(1, target_n1)[:, 0], 0)
            slope_nV.scatter_(1, target_n1, slope_nV.gather(1, target_n1) - 1)
            yield nll_n, slope_nV.mul_(real_n[:, None])


class _LinearNLL(torch.autograd.Function):
    """Computes the gradient at once, while the logits are there."""

    @staticmethod
    def forward(ctx: Any, x_NH: Tensor, weight_VH: Tensor, bias_V: Tensor, *rest: Tensor) -> Tensor:  # noqa: ANN401 - torch's
        total, done = x_NH.new_zeros(()), 0
        of_x, of_weight, of_bias = torch.empty_like(x_NH), torch.zeros_like(weight_VH), torch.zeros_like(bias_V)
        for nll_n, slope_nV in LinearOutput(x_NH, weight_VH, bias_V, *rest).slopes():
            rows = slice(done, done := done + len(nll_n))
            total += nll_n.sum()
            torch.mm(slope_nV, weight_VH, out=of_x[rows])
            of_weight.addmm_(slope_nV.T, x_NH[rows])
            of_bias += slope_nV.sum(0)
        ctx.save_for_backward(of_x, of_weight, of_bias)
        return total

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, slope: Tensor) -> tuple[Tensor | None, ...]:  # noqa: ANN401 - torch's
        return *(slope * part for part in ctx.saved_tensors), None, None, None
