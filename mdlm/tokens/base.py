"""What every form of tokens gives: a rule, fitted on training data only, from state sequences to tokens and back."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

from mdlm.trajectory import Dtraj, Header, IntArray


@dataclass(frozen=True)
class Tokens:
    """What a model reads.

    Attributes:
        pieces: Token sequences, integers in ``[0, n_tokens)``; independent of each other.
        token_names: Name of each token of the alphabet, in order.
        n_unseen: Entries of ``pieces`` that stand for something that never occurs in training.
    """

    pieces: tuple[IntArray, ...]
    token_names: tuple[str, ...]
    n_unseen: int

    @property
    def n_tokens(self) -> int:
        """Size of the alphabet."""
        return len(self.token_names)

    @property
    def lengths(self) -> tuple[int, ...]:
        """Tokens in each piece."""
        return tuple(len(piece) for piece in self.pieces)


@dataclass(frozen=True)
class Tokeniser(ABC):
    """A fitted form of tokens.

    Attributes:
        n_states: Size of the states' alphabet.
        frame_time: Of the states it was fitted on, in ``time_unit``.
        time_unit: Unit of ``frame_time``.
        token_names: Name of each token, in order.
        frames_per_token: Mean number of frames that one token of the training data stands for.
    """

    n_states: int
    frame_time: float
    time_unit: str
    token_names: tuple[str, ...]
    frames_per_token: float

    @property
    def n_tokens(self) -> int:
        """Size of the tokens' alphabet."""
        return len(self.token_names)

    @abstractmethod
    def encode(self, states: Dtraj) -> Tokens:
        """Tokens of each piece; none spans two pieces.

        Raises:
            ValueError: The states have another alphabet or clock than those it was fitted on, or leave no two
                tokens in a row.
        """

    @abstractmethod
    def decode(self, chains: IntArray | Sequence[IntArray], max_frames: int | None = None) -> Dtraj:
        """States of each chain of tokens, with the clock and the alphabet of the states.

        Args:
            chains: Shape ``(n_chains, chain_length)``, or arrays of different lengths.
            max_frames: Where to cut a chain that becomes longer; None leaves all whole.
        """

    def n_violations(self, chains: IntArray | Sequence[IntArray]) -> int:
        """Places in sampled chains that no encoded sequence can have, so that decoding has to mend them."""
        return 0

    def check(self, states: Dtraj) -> None:
        """Raise `ValueError` where states have another alphabet or clock than those it was fitted on."""
        given, fitted = (
            f"{part.n_states} states every {part.frame_time:g} {part.time_unit}" for part in (states, self)
        )
        if given != fitted:
            raise ValueError(f"the tokens were fitted on {fitted}; these trajectories have {given}")


@dataclass(frozen=True)
class Tokenisation(ABC):
    """A form in which a model reads state sequences."""

    @abstractmethod
    def check(self, header: Header) -> None:
        """Raise `ValueError` where training pieces of these lengths cannot be put into this form; cheap."""

    @abstractmethod
    def fit(self, train: Dtraj) -> Tokeniser:
        """Learn what has to be learned from training states."""
