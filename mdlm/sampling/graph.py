"""The engine of a GPU: many steps as one CUDA graph, random numbers and tokens on the device."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import nullcontext

import numpy as np
import torch
from torch import Tensor

from mdlm.model.base import Stepper
from mdlm.sampling.engines import Engine, inverse_cdf
from mdlm.sampling.uniforms import Keys, uniforms_on_device
from mdlm.trajectory import IntArray

log = logging.getLogger(__name__)

UNROLLED = 32
"""Steps of one graph; a launch from Python costs as much as a step of a small network."""


class GraphEngine(Engine):
    """A model's stepper, captured; on a device without graphs the same steps run one by one.

    Args:
        stepper: Past the prompts.
        keys_B: Of the chains' random numbers.
        temperature: Divides the logits.
        bfloat16: Compute the products of a model that has none of its own bfloat16 so.
    """

    def __init__(self, stepper: Stepper, keys_B: Keys, temperature: float, bfloat16: bool = False) -> None:
        self.stepper, self.temperature = stepper, temperature
        device = stepper.logits_BV.device
        dtype = torch.bfloat16
        self.autocast = torch.autocast(device.type, dtype, cache_enabled=False) if bfloat16 else nullcontext()
        self.keys_B = torch.from_numpy(keys_B.view(np.int64).copy()).to(device)
        self.frame = torch.zeros((), dtype=torch.int64, device=device)
        self.drawn_TB = torch.zeros(UNROLLED, len(keys_B), dtype=torch.int64, device=device)
        self.fixed = tuple(tensor.clone() for tensor in stepper.tensors())
        self.stepper.take(self.fixed)
        self.many: Callable[[], object] = self._captured() if device.type == "cuda" else self._steps

    @torch.inference_mode()
    def advance(self, first: int, chains_BT: IntArray) -> None:
        """See `Engine.advance`."""
        n_frames = chains_BT.shape[1]
        chains_TB = torch.empty(n_frames, len(self.keys_B), dtype=torch.int64, device=self.frame.device)
        self.frame.fill_(first)
        n_whole = n_frames - n_frames % UNROLLED
        for begin in range(0, n_whole, UNROLLED):
            self.many()
            chains_TB[begin : begin + UNROLLED] = self.drawn_TB
        if n_whole < n_frames:
            self._steps(n_frames - n_whole)
            chains_TB[n_whole:] = self.drawn_TB[: n_frames - n_whole]
        chains_BT[...] = chains_TB.T.cpu().numpy()

    def _steps(self, n_steps: int = UNROLLED) -> None:
        """Steps that begin and end in the fixed tensors; nothing in here waits for the device."""
        frames_T = self.frame + torch.arange(n_steps, device=self.frame.device)
        uniforms_TB = uniforms_on_device(self.keys_B, frames_T[:, None])
        with self.autocast:
            for step in range(n_steps):
                tokens_B = inverse_cdf(self.stepper.logits_BV / self.temperature, uniforms_TB[step])
                self.drawn_TB[step] = tokens_B
                self.stepper.step(tokens_B)
        self.frame += n_steps
        for fixed, new in zip(self.fixed, self.stepper.tensors(), strict=True):
            if new is not fixed:
                fixed.copy_(new)
        self.stepper.take(self.fixed)

    def _captured(self) -> Callable[[], object]:
        """What replays the steps as one graph, or the steps themselves where they cannot be captured."""
        before = self.tensors()
        try:
            side = torch.cuda.Stream()  # type: ignore[no-untyped-call]
            side.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(side):  # libraries set themselves up in a first run, which cannot be captured
                self._steps()
            torch.cuda.current_stream().wait_stream(side)
            graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(graph):
                self._steps()
        except RuntimeError as error:
            log.warning("sampling goes step by step, for no CUDA graph can be made: %s", str(error).partition("\n")[0])
            return self._steps
        finally:
            self.take(before)
        return graph.replay

    def tensors(self) -> tuple[Tensor, ...]:
        """See `Engine.tensors`."""
        return tuple(tensor.clone() for tensor in self.fixed)

    def take(self, tensors: tuple[Tensor, ...]) -> None:
        """See `Engine.take`."""
        for fixed, tensor in zip(self.fixed, tensors, strict=True):
            fixed.copy_(tensor)
        self.stepper.take(self.fixed)
