"""What every result carries: the run that made it and how complete its input was."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

from qinglan import __version__


@dataclass(frozen=True, slots=True)
class Coverage:
    """How much of what should have been observed was.

    >>> Coverage(365, 350).percent
    95.9
    """

    expected: int
    observed: int

    @property
    def percent(self) -> float:
        """Observed share, one decimal [%]; 0 when nothing was expected."""
        return round(100 * self.observed / self.expected, 1) if self.expected else 0.0

    def as_dict(self) -> dict[str, float]:
        """For JSON: expected, observed, percent."""
        return {"expected": self.expected, "observed": self.observed, "percent": self.percent}


@dataclass(frozen=True, slots=True)
class RuleUse:
    """Which text of which rule book judged a result, with the options that were chosen in it."""

    book: str
    edition: str
    valid_from: str
    content_hash: str
    options: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Run:
    """The making of a result. Equal inputs, rules, arguments and code give an equal `id`."""

    kind: str
    started_at: datetime
    inputs: Mapping[str, str]
    rules: tuple[RuleUse, ...]
    arguments: Mapping[str, Any]
    code_version: str = __version__

    @property
    def id(self) -> str:
        """16 hex digits of SHA-256 over everything but the time."""
        return fingerprint(
            {
                "kind": self.kind,
                "inputs": dict(self.inputs),
                "rules": [asdict(r) for r in self.rules],
                "arguments": dict(self.arguments),
                "code_version": self.code_version,
            }
        )[:16]

    def as_dict(self) -> dict[str, Any]:
        """For JSON and the registry."""
        return {
            "id": self.id,
            "kind": self.kind,
            "started_at": self.started_at.isoformat(),
            "inputs": dict(self.inputs),
            "rules": [{**asdict(r), "options": dict(r.options)} for r in self.rules],
            "arguments": dict(self.arguments),
            "code_version": self.code_version,
        }


def fingerprint(value: Any) -> str:
    """SHA-256 of a JSON-able value, independent of key order.

    >>> fingerprint({"a": 1, "b": 2}) == fingerprint({"b": 2, "a": 1})
    True
    """
    text = json.dumps(value, sort_keys=True, ensure_ascii=False, default=str)
    return hashlib.sha256(text.encode()).hexdigest()
