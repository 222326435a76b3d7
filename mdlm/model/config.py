"""The settings that models share. Nothing here computes, or loads torch: a study checks thousands of them first."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar, Literal, get_args

from mdlm.errors import check_at_least, check_probability

if TYPE_CHECKING:
    from mdlm.model.base import LanguageModel

Smoothing = Literal["none", "contexts", "all"]
"""How a counted model treats what it saw rarely; see `mdlm.model.markov` and `mdlm.model.semi_markov`."""

Anchor = Literal["none", "markov", "slow_modes"]
"""What a network's logits start from: nothing, a counted chain, or that chain with a memory of its slow modes."""


@dataclass(frozen=True)
class ModelConfig(ABC):
    """The hyper-parameters of a model; ``build`` makes one for an alphabet.

    Attributes:
        learning_rate: Peak of the schedule that trains such a model well, where `mdlm.training.training.Training` is
            left to choose.
    """

    learning_rate: ClassVar[float] = 1e-2

    @property
    def reach(self) -> int:
        """Frames over which one layer looks back directly; training must show it all those distances."""
        return 1

    @property
    def anchored(self) -> bool:
        """Whether the logits are residuals over a counted chain; see `mdlm.model.network`."""
        return False

    @abstractmethod
    def build(self, n_states: int) -> LanguageModel:
        """A freshly initialised model; torch's global generator decides the weights."""


@dataclass(frozen=True)
class NeuralConfig(ModelConfig):
    """The hyper-parameters of a network.

    Attributes:
        anchor: ``markov``: the logits are the logarithms of the Markov chain counted from the training tokens, plus
            what the network makes of the history. It starts as that chain, its output layer being zero, and learns
            what the past adds. The table is dense: V x V in single precision, 16 MB for 2000 tokens. ``slow_modes``:
            after training, what the slow coordinates have been lately enters the logits, `mdlm.model.slow_memory`.
            ``none``: the network learns everything.
    """

    anchor: Anchor = field(default="none", kw_only=True)

    def __post_init__(self) -> None:
        if self.anchor not in get_args(Anchor):
            raise ValueError(f"anchor ({self.anchor}) must be one of {', '.join(get_args(Anchor))}")

    @property
    def anchored(self) -> bool:
        """See `ModelConfig.anchored`."""
        return self.anchor != "none"


@dataclass(frozen=True)
class RecurrentConfig(NeuralConfig):
    """Hyper-parameters of a recurrent network.

    Attributes:
        embedding: Width of the learned vector of each state.
        hidden: Units per layer.
        layers: Stacked layers.
        dropout: Between layers while training; needs two layers or more to act.
    """

    embedding: int
    hidden: int
    layers: int
    dropout: float

    def __post_init__(self) -> None:
        super().__post_init__()
        check_at_least(1, embedding=self.embedding, hidden=self.hidden, layers=self.layers)
        check_probability(dropout=self.dropout)
        if self.dropout and self.layers == 1:
            raise ValueError(f"dropout ({self.dropout:g}) acts between layers, so layers (1) must be at least 2")


def check_smoothing(smoothing: str) -> None:
    """Raise `ValueError` naming what is no `Smoothing`."""
    if smoothing not in get_args(Smoothing):
        raise ValueError(f"smoothing ({smoothing}) must be one of {', '.join(get_args(Smoothing))}")


ATTENTION_LEARNING_RATE = 1e-3
"""Of models made of attention. At the 1e-2 of recurrent networks a Transformer learned the WW domain's macrostates by
heart within two epochs, and t2 was 2.8 times too long (docs/fidelity.md); encoder-decoders were not measured."""


def check_attention(width: int, heads: int, window: int, dropout: float) -> None:
    """Raise `ValueError` naming the first hyper-parameter of attention that makes no sense."""
    check_at_least(1, width=width, heads=heads)
    check_at_least(2, window=window)
    check_probability(dropout=dropout)
    if width % (2 * heads):  # rotary positions turn pairs of channels
        raise ValueError(f"width ({width}) must be a multiple of 2 * heads ({2 * heads})")
