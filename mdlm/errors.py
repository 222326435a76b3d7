"""Errors that name the whole field, however deep the part that raised them is nested, and the checks parts share."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


class MissingData(ValueError):
    """Data that are not there: it names a file and no field, so that `named` leaves it as it is."""


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
    except MissingData:
        raise
    except ValueError as error:
        raise ValueError(f"{part}.{error}") from error


def check_at_least(minimum: float, **values: float) -> None:
    """Raise `ValueError` naming the first value below ``minimum``."""
    for name, value in values.items():
        if not value >= minimum:
            raise ValueError(f"{name} ({value:g}) must be at least {minimum:g}")


def check_probability(**values: float) -> None:
    """Raise `ValueError` naming the first value outside [0, 1)."""
    for name, value in values.items():
        if not 0 <= value < 1:
            raise ValueError(f"{name} ({value:g}) must lie in [0, 1)")
