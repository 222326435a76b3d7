"""How chains are advanced: what every engine is, and the plain one, step by step through torch.

An engine holds the chains' state and is told only the frame; random numbers are counted (`mdlm.sampling.uniforms`).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from contextlib import nullcontext

import torch
from torch import Tensor

from mdlm.model.base import Stepper
from mdlm.sampling.uniforms import Keys, uniforms
from mdlm.trajectory import IntArray


class Engine(ABC):
    """Chains on their way.

    Every engine draws by inverting the cumulative distribution with the same random numbers, so that two engines
    differ by the rounding of the logits only.
    """

    @abstractmethod
    def advance(self, first: int, chains_BT: IntArray) -> None:
        """Draw the frames ``first``, ``first + 1``, ... of every chain, in turn, into ``chains_BT``."""

    @abstractmethod
    def tensors(self) -> tuple[Tensor, ...]:
        """All that changes from frame to frame."""

    @abstractmethod
    def take(self, tensors: tuple[Tensor, ...]) -> None:
        """Go on, bit for bit, from what `tensors` gave, here or in another process."""


class TorchEngine(Engine):
    """The plain one: a model's stepper for all chains at once, on the model's device.

    Args:
        stepper: Past the prompts.
        keys_B: Of the chains' random numbers.
        temperature: Divides the logits.
        bfloat16: Compute products in bfloat16; the output layer stays in single precision.
    """

    def __init__(self, stepper: Stepper, keys_B: Keys, temperature: float, bfloat16: bool = False) -> None:
        self.stepper, self.keys_B, self.temperature = stepper, keys_B, temperature
        self.device = stepper.logits_BV.device
        self.autocast = torch.autocast(self.device.type, torch.bfloat16) if bfloat16 else nullcontext()

    @torch.inference_mode()
    def advance(self, first: int, chains_BT: IntArray) -> None:
        """See `Engine.advance`."""
        drawn_BT = torch.empty(chains_BT.shape, dtype=torch.int64, device=self.device)
        uniforms_TB = torch.from_numpy(uniforms(self.keys_B, first, chains_BT.shape[1])).to(self.device)
        with self.autocast:
            for frame, uniform_B in enumerate(uniforms_TB):
                tokens_B = inverse_cdf(self.stepper.logits_BV / self.temperature, uniform_B)
                drawn_BT[:, frame] = tokens_B
                self.stepper.step(tokens_B)
        chains_BT[...] = drawn_BT.cpu().numpy()

    def tensors(self) -> tuple[Tensor, ...]:
        """See `Engine.tensors`."""
        return self.stepper.tensors()

    def take(self, tensors: tuple[Tensor, ...]) -> None:
        """See `Engine.take`."""
        self.stepper.take(tuple(tensor.to(self.device) for tensor in tensors))


def inverse_cdf(logits_BV: Tensor, uniform_B: Tensor) -> Tensor:
    """Draw one state per row by inverting its cumulative distribution.

    In double precision: in single precision a probability of 1e-6 is resolved to a few percent only, and rare
    events are the point. A state of probability zero is never drawn, whatever the rounding.

    Args:
        logits_BV: Unnormalised log probabilities; ``-inf`` forbids a state.
        uniform_B: Uniform in [0, 1), double precision.

    Returns:
        States, shape (B,).
    """
    cumulative_BV = torch.softmax(logits_BV.double(), dim=-1).cumsum(dim=-1)
    total_B = cumulative_BV[:, -1]
    below_B = torch.minimum(uniform_B * total_B, torch.nextafter(total_B, torch.zeros_like(total_B)))
    return (cumulative_BV <= below_B[:, None]).sum(dim=-1)
