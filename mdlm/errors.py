"""Errors that name the whole field, however deep the part that raised them is nested."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def named(part: str) -> Iterator[None]:
    """Put a part's name before the field an error names.

    Example:
        >>> with named("partition"):
        ...     raise ValueError("n_bins (0) must be at least 1")
        Traceback (most recent call last):
        ValueError: partition.n_bins (0) must be at least 1
    """
    try:
        yield
    except ValueError as error:
        raise ValueError(f"{part}.{error}") from error
