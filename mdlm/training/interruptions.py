"""Ctrl-C, SIGTERM and the like between updates, never within one: what is saved then is a point to go on from."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGUSR2") if hasattr(signal, name))


class Interruptions:
    """While entered, lets signals wait for the end of what is `held`; their own handlers then do as ever.

    Only handlers that raise are worth waiting for: a signal that ends the process at once, or is ignored, still does.
    Signals reach the main thread alone, so in any other this does nothing.
    """

    def __init__(self) -> None:
        self._handlers: dict[int, Callable[[int, FrameType | None], object]] = {}
        self._holding = False
        self._waiting: list[tuple[int, FrameType | None]] = []

    def __enter__(self) -> Interruptions:
        if threading.current_thread() is threading.main_thread():
            for number in SIGNALS:
                handler = signal.getsignal(number)
                if callable(handler):
                    self._handlers[number] = handler
                    signal.signal(number, self._arrived)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._handlers.items():
            signal.signal(number, handler)

    def _arrived(self, number: int, frame: FrameType | None) -> None:
        if self._holding:
            self._waiting.append((number, frame))
        else:
            self._handlers[number](number, frame)

    @contextmanager
    def held(self) -> Iterator[None]:
        """What must be done whole or not at all; a signal that arrived meanwhile is handled right after it."""
        self._holding = True
        self._waiting.clear()
        try:
            yield
        finally:
            self._holding = False
        for number, frame in self._waiting:
            self._handlers[number](number, frame)
