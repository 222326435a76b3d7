"""In which floating-point format a device is to compute."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch


def device_has_bfloat16(device: torch.device) -> bool:
    """Whether this device multiplies bfloat16 natively, without which autocast only costs time."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported())
    try:
        return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
    except (AttributeError, RuntimeError):
        return False


def autocast(device: torch.device, bfloat16: bool) -> AbstractContextManager[object]:
    """Matrix products in bfloat16 or, as they are, in float32; may be entered again and again."""
    return torch.autocast(device.type, torch.bfloat16) if bfloat16 else nullcontext()
