"""What published training codes do and a correct one must not, as switches, to measure how much of a result is theirs.

Found in the code behind Zeng, Cao, Huang & Yao, arXiv 2107.06573 (2021). Three more of its defects are not of training:
``offsets=interleaved`` (`mdlm.trajectory.Clocked.strided`), ``recrossing=window_filter`` and
``model.encoder_sees_target=true`` (`mdlm.model.encoder_decoder`). What the switches do is in `mdlm.training.defects`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

    from mdlm.model.base import LanguageModel


@dataclass(frozen=True)
class Defects:
    """Published defects of training; all off unless asked for.

    Attributes:
        kernel_l2: Times the sum of squares of what Keras calls the kernels of recurrent layers, the weights of their
            inputs; added to the mean loss. In a given number of epochs it leaves the learned probabilities flatter
            than those of the data, more so where they depend on the past. Published: 0.01.
        recurrent_kernel_l2: The same of the recurrent kernels, the weights of their own last output.
        stateful_windows: The state at the end of a window is carried into the next one in the same row, which is
            another, unrelated piece of trajectory. Needs ``batching=windows``.
        validation_gradients: The gradients of the validation pass are not cleared before the first update of the
            next epoch, so that the model learns from what is to decide when to stop.
    """

    kernel_l2: float = 0.0
    recurrent_kernel_l2: float = 0.0
    stateful_windows: bool = False
    validation_gradients: bool = False

    def __post_init__(self) -> None:
        for name in ("kernel_l2", "recurrent_kernel_l2"):
            if not 0 <= getattr(self, name) < math.inf:
                raise ValueError(f"{name} ({getattr(self, name):g}) must be at least 0 and finite")

    def penalty(self, model: LanguageModel) -> Tensor:
        """The L2 terms of all recurrent layers; zero where there are none."""
        from mdlm.training.defects import kernel_penalty

        return kernel_penalty(model, self.kernel_l2, self.recurrent_kernel_l2)
