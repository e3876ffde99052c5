"""The hash chain of the event log: each row carries the hash of the one before, so that no row changes unseen.

A hash is SHA-256 over the canonical JSON (sorted keys, no spaces, UTF-8) of `prev_hash`, `at`, `who`, `what`,
`subject` and `detail`; the first row follows ``GENESIS``. The idea is that of RFC 6962's logs without the tree:
one writer, and a reader who walks it all. What a chain cannot show is a tail cut off: keep the head that
`qinglan audit-log verify` prints somewhere else, and ask for it later.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

GENESIS = "0" * 64


@dataclass(frozen=True, slots=True)
class Chain:
    """What walking the log found: `count` rows hold, `head` is the hash of the last of them.

    broken : id of the first row that does not hold; `why` is ``content`` (the row is not what was hashed),
        ``link`` (the row before was taken away, changed or moved) or ``head`` (a known head is not in the log).
    """

    count: int
    head: str
    broken: int | None = None
    why: str = ""

    @property
    def holds(self) -> bool:
        """Whether every row is as it was written."""
        return not self.why

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self) | {"holds": self.holds}


def stored(detail: Mapping[str, Any]) -> dict[str, Any]:
    """A detail as the registry gives it back: through JSON, dates and the like as text."""
    found: dict[str, Any] = json.loads(json.dumps(dict(detail), ensure_ascii=False, default=str))
    return found


def event_hash(prev_hash: str, row: Mapping[str, Any]) -> str:
    """Hash of an event.

    row : `at` (aware instant), `who`, `what`, `subject`, `detail` (as :func:`stored` gives it).

    >>> row = {"at": datetime(2025, 1, 1, tzinfo=UTC), "who": "a", "what": "b", "subject": "c", "detail": {}}
    >>> event_hash(GENESIS, row)[:16]
    '3d11cbe217ad2b27'
    """
    at: datetime = row["at"]
    told = {name: row[name] for name in ("who", "what", "subject", "detail")}
    told |= {"at": at.astimezone(UTC).isoformat(timespec="microseconds"), "prev_hash": prev_hash}
    text = json.dumps(told, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def walk(rows: Iterable[Mapping[str, Any]], known: str = "") -> Chain:
    """Check events in their order; `known` is a head noted down earlier that must still be there."""
    count, head, seen = 0, GENESIS, known in ("", GENESIS)
    for row in rows:
        if row["prev_hash"] != head:
            return Chain(count, head, row["id"], "link")
        if event_hash(head, row) != row["hash"]:
            return Chain(count, head, row["id"], "content")
        count, head = count + 1, row["hash"]
        seen = seen or head == known
    return Chain(count, head) if seen else Chain(count, head, None, "head")
