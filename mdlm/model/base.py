"""What every model is: logits for the next state, given the states so far.

Shape suffixes: B chains or batch rows, T frames, V states of the alphabet, L layers, H units, D model width.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from mdlm.model.likelihood import summed_nll
from mdlm.model.slow_memory import SlowMemory
from mdlm.trajectory import IntArray

State = tuple[Tensor, ...]
"""What a model carries from frame to frame. Every tensor has the chain as its second axis; all zeros is a fresh
start, which makes resetting single chains one multiplication for every model."""


@dataclass(frozen=True)
class GatedLayer:
    """One layer of a recurrent network as its sampling engines want it; G = 4 H gates (LSTM) or 3 H (GRU).

    Attributes:
        joint_HN: ``[W_hh.T, W_next.T]``, where W_next is what reads this layer: the next layer's W_ih, or the head. One
            product gives the recurrent part of this layer's next gates, and what the reader gets from it now. The last
            layer's has M rows more, of the means of the slow modes, which the head reads and the gates do not.
        input_bias_G: b_ih, in torch's order of the gates.
        recurrent_bias_G: b_hh, which a GRU's reset gate multiplies too.
    """

    joint_HN: Tensor
    input_bias_G: Tensor
    recurrent_bias_G: Tensor


@dataclass(frozen=True)
class GatedTables:
    """A recurrent network as its sampling engines want it.

    Attributes:
        cell: Which equations.
        input_VG: Each token's part of the first layer's gates, without biases: no product is left to do.
        layers: From the first to the last.
        head_bias_V: Of the logits.
        mean_value_VM: What each token puts into each running mean (`mdlm.model.slow_memory`); M may be 0.
        mean_keep_M: Share of each mean that is kept from token to token.
    """

    cell: Literal["lstm", "gru"]
    input_VG: Tensor
    layers: tuple[GatedLayer, ...]
    head_bias_V: Tensor
    mean_value_VM: Tensor
    mean_keep_M: Tensor


class LanguageModel(nn.Module, ABC):
    """A model of the next state.

    Attributes:
        n_states: Size of the alphabet, V.
        added_VV: What is added to the logits of the next token (column) after each one (row); minus infinity makes a
            jump impossible.
        slow_memory: Of slow modes; of no means in most models.
    """

    added_VV: Tensor

    def __init__(self, n_states: int, n_slow_modes: int = 0) -> None:
        super().__init__()
        self.n_states = n_states
        self.slow_memory = SlowMemory(n_states, n_slow_modes)
        self.register_buffer("added_VV", torch.zeros(n_states, n_states))

    def forbid(self, jumps_VV: Tensor) -> None:
        """Give these jumps too (row: from, column: to) probability zero from now on."""
        self.added_VV.masked_fill_(jumps_VV.to(self.device), -torch.inf)

    def anchor_to(self, probability_VV: Tensor) -> None:
        """Let the logits be residuals over a Markov chain from now on, and forbid the jumps it holds to be impossible.

        Args:
            probability_VV: Its transition matrix, row: from, column: to.
        """
        self.added_VV.copy_(probability_VV.log())

    def allowed(self, logits_BTV: Tensor, tokens_BT: Tensor) -> Tensor:
        """The logits after ``tokens_BT``, with what is added to them."""
        return logits_BTV + self.added_VV[tokens_BT]

    @abstractmethod
    def initial_state(self, n_chains: int) -> State:
        """A fresh state for ``n_chains`` chains: all zeros."""

    @abstractmethod
    def forward(self, tokens_BT: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """Logits of the state after each given one.

        Args:
            tokens_BT: States, integers in ``[0, V)``.
            state: What the same chains carried away from the frame before; None starts afresh.

        Returns:
            ``logits_BTV`` (entry t belongs to the frame after t) and the state to carry on.
        """

    def nll(self, tokens_BT: Tensor, targets_BT: Tensor, state: State) -> tuple[Tensor, State]:
        """The loss of what came after each given state.

        Args:
            tokens_BT: See `forward`.
            targets_BT: What came, or `mdlm.model.likelihood.IGNORED`.
            state: See `forward`.

        Returns:
            Negative log-likelihood in nats, summed over the targets, and the state to carry on.
        """
        logits_BTV, state = self(tokens_BT, state)
        return summed_nll(logits_BTV, targets_BT), state

    def step(self, tokens_B: Tensor, state: State) -> tuple[Tensor, State]:
        """One frame of `forward`, for sampling: ``logits_BV`` and the state to carry on."""
        logits_B1V, state = self(tokens_B[:, None], state)
        return logits_B1V[:, 0], state

    def stepper(self, prompts_BT: Tensor) -> Stepper:
        """Chains that continue these prompts, for sampling; a model may have a faster way than `step`."""
        return StateStepper(self, prompts_BT)

    def gated_tables(self) -> GatedTables | None:
        """The tables of a recurrent network of gates; None for every other model."""
        return None

    @property
    def device(self) -> torch.device:
        """Where the model lives; one without weights has its table."""
        return self.added_VV.device

    @property
    def n_parameters(self) -> int:
        """Number of trained values."""
        return sum(parameter.numel() for parameter in self.parameters())

    @property
    def n_state_parameters(self) -> int:
        """How many of them belong to a single state: more states are more of these."""
        return 0

    @property
    def is_small(self) -> bool:
        """Whether one thread is as fast as several, however many states there are."""
        return self.n_parameters - self.n_state_parameters < SMALL


class Stepper(ABC):
    """Chains on their way, token by token.

    Attributes:
        logits_BV: Of each chain's next token.
        fixed: Whether every step is the same work on `tensors` alone, so that a GPU may record some and replay them.
    """

    logits_BV: Tensor
    fixed: bool = False

    @abstractmethod
    def step(self, tokens_B: Tensor) -> None:
        """Append a token to each chain; ``logits_BV`` are then those of the next."""

    @abstractmethod
    def tensors(self) -> tuple[Tensor, ...]:
        """All that changes from token to token, the logits among it."""

    @abstractmethod
    def take(self, tensors: tuple[Tensor, ...]) -> None:
        """Go on from what `tensors` gave, here or in another process; the tensors are the stepper's from now on."""


class StateStepper(Stepper):
    """The plain one: it carries what `LanguageModel.step` carries."""

    def __init__(self, model: LanguageModel, prompts_BT: Tensor) -> None:
        self.model = model
        logits_BTV, self.state = model(prompts_BT, model.initial_state(len(prompts_BT)))
        self.logits_BV = logits_BTV[:, -1]

    def step(self, tokens_B: Tensor) -> None:
        """See `Stepper.step`."""
        self.logits_BV, self.state = self.model.step(tokens_B, self.state)

    def tensors(self) -> tuple[Tensor, ...]:
        """See `Stepper.tensors`."""
        return self.logits_BV, *self.state

    def take(self, tensors: tuple[Tensor, ...]) -> None:
        """See `Stepper.take`."""
        self.logits_BV, *state = tensors
        self.state = tuple(state)


class CountedModel(LanguageModel):
    """A model that is counted from data, not trained by gradients."""

    @abstractmethod
    def count(self, pieces: Sequence[IntArray]) -> None:
        """Set the model's tables from discrete trajectories; no count crosses from one to the next."""


def masked(state: State, keep_B: Tensor) -> State:
    """Zero the state of the chains whose ``keep_B`` is False."""
    return tuple(part * keep_B.view(1, -1, *(1,) * (part.ndim - 2)) for part in state)


def detached(state: State) -> State:
    """The same values without their history, which ends back-propagation here."""
    return tuple(part.detach() for part in state)


SMALL = 300_000
"""Parameters, those of single states apart, below which a step is too short to be shared out to several threads.

Those of states do not count, as the logits are computed slice by slice (`mdlm.model.likelihood`): with 4000 states two
threads gained 8 % on two idle cores, and took three times as long as one where another job kept one core busy."""


@contextmanager
def fitting_threads(model: LanguageModel) -> Iterator[None]:
    """Compute a small model on one thread.

    On a busy machine several threads that wait for each other hundreds of times per step were measured to be
    ten times slower than one, and on an idle one no faster.
    """
    before = torch.get_num_threads()
    if model.is_small:
        torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def can_bfloat16(device: torch.device) -> bool:
    """Whether a device multiplies bfloat16 at all, be it slowly: older processors have no LSTM in it."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported())
    try:
        return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
    except (AttributeError, RuntimeError):
        return False


def has_bfloat16(device: torch.device) -> bool:
    """Whether a device multiplies bfloat16 natively, without which it only costs time."""
    if device.type == "cuda" or not can_bfloat16(device):
        return can_bfloat16(device)
    try:
        # oneDNN says yes to every processor with AVX-512, and emulates the products where there are no instructions for
        # them: training is then 1.4 to 1.9 times, sampling 1.6 to 2.9 times slower than in float32
        emulated = torch.cpu._is_avx512_supported() and not (
            torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
        )
    except (AttributeError, RuntimeError):
        return False
    return not emulated


def full_precision(layer: nn.Linear, x: Tensor) -> Tensor:
    """Apply the output layer in float32 whatever the autocast around it.

    A rare jump has a logit near -10, where bfloat16 resolves 0.06: a 6 % error of its rate.
    """
    with torch.autocast(x.device.type, enabled=False):
        return layer(x.float())  # type: ignore[no-any-return]
