"""Which partitions, recrossing treatments and strides a scan tries, as words of `mdlm train`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

from mdlm.advise.evidence import KEEP, Choice
from mdlm.trajectory import Header

PARTITIONS = {
    "kmeans 50": ("partition=kmeans", "partition.n_states=50"),
    "kmeans 200": ("partition=kmeans", "partition.n_states=200"),
    "pcca": ("partition=pcca",),
}
OF_LABELS = {"pcca of labels": ("partition=pcca", "partition@partition.micro=labels")}
"""Where the data are states already, coordinates to cluster there are none."""

STRIDES = (1, 10, 100)
RESIDENCE_SHARE = 0.1
"""Of the judged lag: what crosses back within that is no transition at the lag."""

MIN_RESIDENCE = 2  # frames; one frame changes nothing


@dataclass(frozen=True)
class Given:
    """What the user's own words choose.

    Attributes:
        words: All of them.
        partition: The option of that group.
        recrossing: The option of that group.
        stride: The number.
        header: Of the system.
        lag_time: The judged one.
    """

    words: tuple[str, ...]
    partition: str
    recrossing: str
    stride: int
    header: Header
    lag_time: float


def choices(given: Given) -> list[Choice]:
    """Every combination to try, the user's own first."""
    partitions, own_stride_first = _partitions(given), sorted(strides(given), key=lambda n: n != given.stride)
    found = []
    for partition, recrossing, stride in product(partitions, _recrossings(given), own_stride_first):
        (name, partition_words), (treatment, recrossing_words) = partition, recrossing
        words = (*_others(given.words), *partition_words, *recrossing_words, f"stride={stride}")
        found.append(Choice(name, treatment, stride, words, is_given=partition == partitions[0]))
    return found


def strides(given: Given) -> list[int]:
    """1, about 10, about 100 and the given one; all below the lag, which must be a whole number of each.

    Example:
        >>> strides(Given((), "pcca", "keep", 4, Header(("x",), (1000,), 0.5, "ps"), lag_time=12.0))
        [1, 4, 12]
    """
    lag = round(given.lag_time / given.header.frame_time)
    allowed = [n for n in range(1, lag) if lag % n == 0] or [1]
    nearest = {min(allowed, key=lambda n: abs(math.log(n / wanted))) for wanted in STRIDES}
    return sorted(nearest | {given.stride})


def residence_time(given: Given) -> float:
    """A tenth of the lag, in whole frames, at least two."""
    frames = round(RESIDENCE_SHARE * given.lag_time / given.header.frame_time)
    return max(MIN_RESIDENCE, frames) * given.header.frame_time


def _partitions(given: Given) -> list[tuple[str, tuple[str, ...]]]:
    own = tuple(word for word in given.words if _is_of(word, "partition"))
    of_labels = given.partition == "labels"
    others = [(name, words) for name, words in (OF_LABELS if of_labels else PARTITIONS).items() if words != own]
    name = " ".join([given.partition, *_fields(own, "partition")])
    same = {"pcca"} if name == "pcca" else set()
    return [(name, own), *(other for other in others if other[0] not in same)]


def _recrossings(given: Given) -> list[tuple[str, tuple[str, ...]]]:
    """The given one, none, and coring for a tenth of the lag."""
    own = tuple(word for word in given.words if _is_of(word, "recrossing"))
    time, unit = residence_time(given), given.header.time_unit
    found = {" ".join([given.recrossing, *_fields(own, "recrossing")]): own} if given.recrossing != KEEP else {}
    found[KEEP] = ("recrossing=keep",)
    found[f"coring {time:g} {unit}"] = ("recrossing=coring", f"recrossing.residence_time={time:g}")
    return list(found.items())


def _fields(words: Sequence[str], group: str) -> list[str]:
    """The fields of an option that were given."""
    return [word.removeprefix(f"{group}.") for word in words if word.startswith(f"{group}.")]


def _others(words: Sequence[str]) -> list[str]:
    return [word for word in words if not any(_is_of(word, name) for name in ("partition", "recrossing", "stride"))]


def _is_of(word: str, group: str) -> bool:
    """Whether an override is of a group, of its options or of its fields.

    Example:
        >>> [_is_of(word, "partition") for word in ("partition=pcca", "+partition.n=2", "partition@partition.micro=x")]
        [True, True, True]
        >>> _is_of("partition@macrostates.partition.micro=labels", "partition")
        False
    """
    key = word.lstrip("+~").partition("=")[0]
    return key == group or key.startswith((f"{group}.", f"{group}@{group}."))
