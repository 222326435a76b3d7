"""How a model is trained: the settings, and the way from them to a fitted model."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args, get_type_hints

from mdlm.errors import check_at_least
from mdlm.model.config import ModelConfig
from mdlm.progress import Progress, silent
from mdlm.tokens.base import Tokens
from mdlm.training.published import Defects
from mdlm.training.support import Support
from mdlm.trajectory import IntArray, Split

if TYPE_CHECKING:
    import torch

    from mdlm.training.batches import Batches
    from mdlm.training.fitted import Fitted
    from mdlm.training.objective import Objective, Penalty


Directions = Literal["auto", "both", "forward"]
"""In which direction of time training data are read."""


@dataclass(frozen=True)
class Training:
    """How a model is trained.

    Attributes:
        batching: ``streams`` (contiguous runs, state carried) or ``windows`` (random starts, fresh state: the way
            published codes train, which loses the slow process).
        context_length: Tokens per window, or at most per chunk of truncated back-propagation through time; a chunk is
            no longer than the longest trajectory.
        batch_size: Windows, or streams side by side.
        directions: ``both``: everything that learns from the training data reads them forward and backward in time;
            ``auto``: unless they violate detailed balance (`mdlm.backwards`); ``forward``.
        max_epochs: An epoch is as many tokens as the training data hold, in all directions they are read in.
        patience: Epochs without a better validation loss before training stops.
        learning_rate: Peak of the schedule; None: what suits the model, `mdlm.model.config.ModelConfig.learning_rate`.
        warmup_fraction: Share of all steps over which the learning rate rises from zero.
        weight_decay: Of AdamW, on matrices only.
        gradient_clip: Largest norm of the gradient.
        precision: ``bfloat16`` (autocast), ``float32``, or ``auto``: bfloat16 where the hardware has it.
        support: ``seen`` rules out jumps that the training data rule out (`mdlm.training.support.unseen_jumps`);
            ``all`` leaves every jump possible, ``counted`` only those that were seen. With an anchor they say what the
            Markov chain's prior is (`mdlm.training.anchor.markov_anchor`).
        device: ``auto`` (a GPU where there is one), ``cpu``, ``cuda``, ``cuda:1`` ...
        micro_batch_size: Rows computed at once, whose gradients add up to that of the batch; None computes all.
        deterministic: Only algorithms that give the same bits every time. On a CPU the same seed and number of
            threads do so anyway; on a GPU it costs some speed.
        checkpoint_minutes: A run that dies loses at most these; None saves at the end of each epoch only.
        schedule: What follows the warm-up: ``cosine`` (down to zero) or ``constant``.
        averaged_epochs: The weights that are judged and kept are a running mean over about so many epochs
            (`mdlm.training.running_mean`), fewer at first; 0 keeps those of the last update.
        scheduled_sampling: Probability that an input token is a sample of the model's own prediction, once its ramp
            is over (`mdlm.training.scheduled_sampling`); 0 trains on the data alone.
        scheduled_sampling_ramp: Share of all updates over which that probability rises from zero.
        defects: Published defects, to measure their effect; none by default.
    """

    batching: Literal["streams", "windows"]
    context_length: int
    batch_size: int
    max_epochs: int
    patience: int
    learning_rate: float | None
    warmup_fraction: float
    weight_decay: float
    gradient_clip: float
    precision: Literal["auto", "float32", "bfloat16"]
    device: str
    support: Support = "seen"
    micro_batch_size: int | None = None
    deterministic: bool = False
    checkpoint_minutes: float | None = 2.0
    schedule: Literal["cosine", "constant"] = "cosine"
    averaged_epochs: float = 0.0
    directions: Directions = "forward"
    scheduled_sampling: float = 0.0
    scheduled_sampling_ramp: float = 0.5
    defects: Defects = field(default_factory=Defects)

    def __post_init__(self) -> None:
        check_at_least(1, batch_size=self.batch_size, max_epochs=self.max_epochs, patience=self.patience)
        check_at_least(2, context_length=self.context_length)
        check_at_least(0, weight_decay=self.weight_decay, averaged_epochs=self.averaged_epochs)
        for name in ("learning_rate", "gradient_clip"):
            if getattr(self, name) is not None and not 0 < getattr(self, name) < math.inf:
                raise ValueError(f"{name} ({getattr(self, name):g}) must be above 0 and finite")
        if self.micro_batch_size is not None:
            check_at_least(1, micro_batch_size=self.micro_batch_size)
        if self.checkpoint_minutes is not None and not self.checkpoint_minutes > 0:
            raise ValueError(f"checkpoint_minutes ({self.checkpoint_minutes:g}) must be above 0, or null")
        for name in ("warmup_fraction", "scheduled_sampling", "scheduled_sampling_ramp"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} ({getattr(self, name):g}) must lie in [0, 1]")
        if self.defects.stateful_windows and self.batching != "windows":
            raise ValueError(
                "defects.stateful_windows (true) needs batching=windows; streams carry state as they should"
            )
        for name in ("batching", "precision", "support", "schedule", "directions"):
            allowed = get_args(get_type_hints(Training)[name])
            if getattr(self, name) not in allowed:
                raise ValueError(f"{name} ({getattr(self, name)}) must be one of {', '.join(allowed)}")
        if self.device not in ("auto", "cpu"):  # those are everywhere, and torch takes seconds to load
            self._check_device()

    def _check_device(self) -> None:
        import torch

        if self.torch_device().type == "cuda" and not torch.cuda.is_available():
            raise ValueError(f"device ({self.device}) is not there: torch sees no GPU; use auto or cpu")

    def torch_device(self) -> torch.device:
        """The device to compute on."""
        import torch

        if self.device == "auto":
            return torch.device("cuda" if torch.cuda.is_available() else "cpu")
        try:
            device = torch.device(self.device)
        except RuntimeError:
            device = None
        if device is None or device.type not in ("cpu", "cuda"):
            raise ValueError(f"device ({self.device}) must be auto, cpu, cuda or cuda:N")
        return device

    def uses_bfloat16(self) -> bool:
        """Whether matrix products run in bfloat16.

        Raises:
            ValueError: They shall, and this machine cannot; known here only, as a study may be planned on another.
        """
        from mdlm.model.base import can_bfloat16, has_bfloat16

        device = self.torch_device()
        if self.precision == "auto":
            return has_bfloat16(device)
        if self.precision == "bfloat16" and not can_bfloat16(device):
            raise ValueError(
                f"training.precision (bfloat16) is not what this {device.type} computes in; use auto or float32"
            )
        return self.precision == "bfloat16"

    def batches(self, pieces: Sequence[IntArray]) -> Batches:
        """How the training data reach the model."""
        from mdlm.training.batches import Streams, Windows
        from mdlm.training.defects import StatefulWindows

        if self.batching == "streams":
            length = min(self.context_length, max(map(len, pieces)) - 1)  # longer ones would be padding
            return Streams(pieces, length, self.batch_size, self.torch_device())
        windows = Windows(pieces, self.context_length, self.batch_size, self.torch_device())
        return StatefulWindows(windows) if self.defects.stateful_windows else windows

    def objective(self, validation: Sequence[IntArray]) -> Objective:
        """How the loss of a batch is computed; the validation data matter only where they leak into it."""
        from mdlm.training.defects import LeakingValidation
        from mdlm.training.objective import Likelihood
        from mdlm.training.scheduled_sampling import ScheduledSampling

        objective: Objective = Likelihood()
        if self.scheduled_sampling:
            objective = ScheduledSampling(self.scheduled_sampling, self.scheduled_sampling_ramp)
        if self.defects.validation_gradients:
            objective = LeakingValidation(objective, self.batches(validation), self.max_epochs)
        return objective

    def penalty(self) -> Penalty | None:
        """What is added to the loss for the weights themselves; None adds nothing."""
        penalised = self.defects.kernel_l2 or self.defects.recurrent_kernel_l2
        return self.defects.penalty if penalised else None

    def check(self, lengths: tuple[int, ...]) -> None:
        """Raise `ValueError` where training pieces of these lengths hold no window, or nothing to predict."""
        longest = max(lengths)
        if longest < 2:
            raise ValueError(
                "every training trajectory is a single token: there is no next one to learn; see tokens, stride"
            )
        if self.batching == "windows" and self.context_length + 1 > longest:
            raise ValueError(
                f"context_length ({self.context_length}) must be below the longest training trajectory, "
                f"{longest} frames after the stride, with batching=windows"
            )

    def check_model(self, config: ModelConfig) -> None:
        """Raise `ValueError` where windows are too short for the distances a model will look back over."""
        if self.batching == "windows" and self.context_length < config.reach:
            raise ValueError(
                f"context_length ({self.context_length}) must be at least the model's window ({config.reach}) with "
                "batching=windows: the model would sample over distances it never met in training"
            )

    def fit(
        self,
        config: ModelConfig,
        tokens: Split[Tokens],
        seed: int,
        directory: Path,
        identity: Mapping[str, Any],
        progress: Progress = silent,
    ) -> Fitted:
        """Train a model, or take up an earlier attempt where its last checkpoint left it.

        Args:
            config: What to build; its initial weights come from ``seed``.
            tokens: Training data, and validation data that decide when to stop.
            seed: Of weights, order of the data, and dropout.
            directory: Gets ``best.safetensors`` (the model) and ``last.safetensors`` (to resume from).
            identity: What made the tokens and the model; a checkpoint of another identity is refused.
            progress: Told the epochs done, the losses and the speed.

        Returns:
            The model of the best validation loss, in evaluation mode.
        """
        from mdlm.training.fit import fit

        return fit(self, config, tokens, seed, directory, identity, progress)
