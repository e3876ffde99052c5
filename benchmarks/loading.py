"""A load of HTTP requests over kept-alive connections, light enough not to be what is measured.

Requests are written and answers read on asyncio streams; an answer must carry `Content-Length` or be chunked.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field


@dataclass
class Marks:
    """What a load met: latencies [s] of answers with status 200, the number of others, the time it took [s]."""

    latencies: list[float] = field(default_factory=list)
    failed: int = 0
    seconds: float = 0.0
    bytes: int = 0

    def add(self, status: int, took: float, size: int) -> None:
        """One answer: its status, how long it took [s], and its size [bytes]."""
        if status == 200:
            self.latencies.append(took)
            self.bytes += size
        else:
            self.failed += 1

    @property
    def rate(self) -> float:
        """Good answers in a second."""
        return len(self.latencies) / self.seconds if self.seconds else 0.0

    def percentile(self, percent: float) -> float:
        """A percentile of the latencies [ms]."""
        ordered = sorted(self.latencies)
        return (
            1000 * ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))] if ordered else float("nan")
        )

    def line(self) -> str:
        """One line of text."""
        failed = f", {self.failed} failed" if self.failed else ""
        size = self.bytes / max(1, len(self.latencies)) / 1024
        return (f"{self.rate:7.0f} requests/s  p50 {self.percentile(50):6.1f} ms  p95 {self.percentile(95):6.1f} "
                f"ms {size:7.1f} kB{failed}")  # fmt: skip


@dataclass
class Load:
    """A load on one server.

    clients : connections, each of which waits for its answer before it asks again.
    paths : addresses, or pairs of a name and an address; they may end before the time does.
    rate : requests a second in all, begun at even distances (latency counts from when a request was due); None: as
        fast as they come. watch : called each second.
    """

    port: int
    paths: Iterator[str] | Iterator[tuple[str, str]]
    clients: int = 4
    seconds: float = 5.0
    rate: float | None = None
    gzip: bool = False
    host: str = "127.0.0.1"
    headers: Mapping[str, str] = field(default_factory=dict)
    watch: Callable[[], None] | None = None
    #: Marks of each name, where paths come with names.
    by_name: dict[str, Marks] = field(default_factory=dict)

    def run(self) -> Marks:
        """Load the server and wait until it is over."""
        return asyncio.run(self._run())

    async def _run(self) -> Marks:
        marks = Marks()
        began = time.perf_counter()
        self._due = began
        until = began + self.seconds
        watching = asyncio.create_task(self._watch())
        await asyncio.gather(*(self._client(marks, until) for _ in range(self.clients)))
        watching.cancel()
        marks.seconds = time.perf_counter() - began
        return marks

    async def _watch(self) -> None:
        while self.watch is not None:
            self.watch()
            await asyncio.sleep(1)

    async def _client(self, marks: Marks, until: float) -> None:
        reader, writer = await asyncio.open_connection(self.host, self.port, limit=2**22)
        accept = "gzip" if self.gzip else "identity"
        more = "".join(f"{name}: {value}\r\n" for name, value in self.headers.items())
        tail = f" HTTP/1.1\r\nHost: {self.host}\r\nAccept-Encoding: {accept}\r\n{more}\r\n"
        try:
            while (begun := await self._turn(until)) is not None:
                if (asked := next(self.paths, None)) is None:
                    return
                name, path = asked if isinstance(asked, tuple) else ("", asked)
                writer.write(f"GET {path}{tail}".encode())
                status, size = await _answer(reader)
                took = time.perf_counter() - begun
                for each in (marks, self.by_name.setdefault(name, Marks())):
                    each.add(status, took, size)
        finally:
            writer.close()

    async def _turn(self, until: float) -> float | None:
        """The moment that the next request counts from; None when it is over."""
        if self.rate is None:
            now = time.perf_counter()
            return now if now < until else None
        due, self._due = self._due, self._due + 1 / self.rate
        if due >= until:
            return None
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        return due


async def _answer(reader: asyncio.StreamReader) -> tuple[int, int]:
    """Status and size of the body of one answer, which is read to its end."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    status = int(head[0].split(" ")[1])
    fields = {k.lower(): v.strip() for k, _, v in (line.partition(":") for line in head[1:] if line)}
    if "content-length" in fields:
        size = int(fields["content-length"])
        await reader.readexactly(size)
        return status, size
    if fields.get("transfer-encoding") != "chunked":
        return status, 0
    size = 0
    while part := int((await reader.readline()).split(b";")[0], 16):
        await reader.readexactly(part + 2)
        size += part
    await reader.readline()
    return status, size
