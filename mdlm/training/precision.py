"""How exactly a device computes: floating-point format, and whether the same bits come out every time."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import torch


def autocast(device: torch.device, bfloat16: bool) -> AbstractContextManager[object]:
    """Matrix products in bfloat16 or, as they are, in float32; may be entered again and again."""
    return torch.autocast(device.type, torch.bfloat16) if bfloat16 else nullcontext()


@contextmanager
def deterministic_algorithms(wanted: bool) -> Iterator[None]:
    """Where wanted, only algorithms that give the same bits every time; an operation without one raises.

    A GPU's matrix products then keep a workspace of their own, which has to be asked for before the first of them.
    """
    if not wanted:
        yield
        return
    before = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    debugging: Any = torch.utils.deterministic
    filled = debugging.fill_uninitialized_memory
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(True)
    debugging.fill_uninitialized_memory = False  # was measured to cost up to 40 %
    try:
        with torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True):
            yield
    finally:
        torch.use_deterministic_algorithms(before[0], warn_only=before[1])
        debugging.fill_uninitialized_memory = filled


def forked_random_numbers(device: torch.device) -> AbstractContextManager[None]:
    """Leave torch's random numbers, on the CPU and on this device, afterwards as they were before."""
    return torch.random.fork_rng(devices=[device] if device.type == "cuda" else [])
