"""Answers kept as bytes: what is a pure function of the run, the address and the reader's rights is made once.

Bounded in bytes, least recently used goes first. A body is packed when somebody first takes gzip, and both are
kept. Each process has its own.
"""

from __future__ import annotations

import asyncio
import os
import threading
import zlib
from collections import OrderedDict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Protocol

#: Bytes kept in a process [MB], and the largest share that one answer may take.
MEGABYTES = int(os.environ.get("QINGLAN_CACHE_MB", "64"))
_LARGEST = 8
#: Answers shorter than this are not worth packing [bytes].
PACK_FROM = 1024
PACK_LEVEL = 3

Headers = tuple[tuple[bytes, bytes], ...]


class Sized(Protocol):
    """Whatever can be kept."""

    @property
    def size(self) -> int:
        """Bytes that it takes."""


@dataclass(slots=True)
class Kept:
    """An answer: its headers (no length, no encoding), its body, and the body packed once somebody wanted that."""

    headers: Headers
    body: bytes
    packed: bytes | None = None

    def sent(self, accepts: str) -> tuple[list[tuple[bytes, bytes]], bytes]:
        """Headers and body for a reader who accepts these encodings."""
        headers, body = list(self.headers), self.body
        if len(body) >= PACK_FROM:
            headers.append((b"vary", b"Accept-Encoding"))
            if "gzip" in accepts:
                if self.packed is None:
                    self.packed = pack(body)
                body = self.packed
                headers.append((b"content-encoding", b"gzip"))
        headers.append((b"content-length", str(len(body)).encode()))
        return headers, body

    @property
    def size(self) -> int:
        """Bytes that it takes, packed or not yet."""
        return len(self.body) + len(self.body) // 4 + 512


def pack(body: bytes) -> bytes:
    """A gzip stream; quick rather than small.

    >>> zlib.decompress(pack(b"abc" * 900), 31) == b"abc" * 900
    True
    """
    press = zlib.compressobj(PACK_LEVEL, zlib.DEFLATED, 31)
    return press.compress(body) + press.flush()


class Turns:
    """Who asks for what is being made right now waits for it, instead of making it as well."""

    def __init__(self) -> None:
        self._making: dict[str, asyncio.Event] = {}

    @asynccontextmanager
    async def of(self, key: str) -> AsyncIterator[asyncio.Event | None]:
        """For the first with this key what to set as soon as the answer is there (at the latest when leaving);
        everybody else comes in then, with None.
        """
        made = self._making.get(key)
        if made is not None:
            await made.wait()
            yield None
            return
        made = self._making[key] = asyncio.Event()
        try:
            yield made
        finally:
            del self._making[key]
            made.set()


class Answers:
    """Kept answers by key, bounded in bytes; safe to use from several threads."""

    def __init__(self, megabytes: int = MEGABYTES) -> None:
        self.room = megabytes * 2**20
        self.used = 0
        #: For those who make what is kept here.
        self.turns = Turns()
        self._kept: OrderedDict[str, Sized] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: str) -> Sized | None:
        """An answer, which becomes the most recent one."""
        with self._lock:
            found = self._kept.get(key)
            if found is not None:
                self._kept.move_to_end(key)
            return found

    def put(self, key: str, answer: Sized) -> None:
        """Keep an answer; others leave until there is room. One that is too large is not kept."""
        if answer.size * _LARGEST > self.room:
            return
        with self._lock:
            before = self._kept.pop(key, None)
            self.used += answer.size - (before.size if before else 0)
            self._kept[key] = answer
            while self.used > self.room:
                self.used -= self._kept.popitem(last=False)[1].size

    def __len__(self) -> int:
        return len(self._kept)
