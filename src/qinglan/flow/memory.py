"""What a process keeps of what it has computed: the newest few, under a key that names all it was made of."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

V = TypeVar("V")


class Memory(Generic[V]):
    """At most `most` values, each made once; what was made longest ago goes first.

    One thread makes at a time: who asks meanwhile for the same waits, instead of making it too. What raises is not
    kept.

    >>> memory = Memory[str](2)
    >>> memory.get(1, lambda: "made"), memory.get(1, lambda: "made again")
    ('made', 'made')
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._kept: dict[Hashable, V] = {}
        self._lock = threading.Lock()

    def get(self, key: Hashable, make: Callable[[], V]) -> V:
        """The value under a key, made now where there is none."""
        with self._lock:
            if key not in self._kept:
                self._keep(key, make())
            return self._kept[key]

    def has(self, key: Hashable) -> bool:
        """Whether the value under a key was made already."""
        with self._lock:
            return key in self._kept

    def put(self, key: Hashable, value: V) -> None:
        """Keep a value that was made together with others."""
        with self._lock:
            self._keep(key, value)

    def _keep(self, key: Hashable, value: V) -> None:
        while len(self._kept) >= self._most:
            del self._kept[next(iter(self._kept))]
        self._kept[key] = value
