"""Ask the API and record its answers. The network is the caller's: `get` and `sleep` are arguments."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from qinglan.core.errors import LayoutError

#: Most results a page may hold.
PAGE = 1_000
_ATTEMPTS = 6
_FIRST_WAIT, _LONGEST_WAIT = 2.0, 120.0


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer: status, headers (any case) and the decoded JSON body."""

    status: int
    body: Any
    headers: Mapping[str, str] = field(default_factory=dict)


Get = Callable[[str, Mapping[str, Any]], Answer]


def fetch(
    location: int,
    start: datetime,
    end: datetime,
    folder: Path,
    *,
    get: Get,
    sleep: Callable[[float], None],
) -> list[Path]:
    """Record all hourly means of a location's sensors between two instants; paths of the recordings.

    get : (path, query) -> Answer, with the caller's key and address in it
    sleep : waits some seconds; called when the API asks for patience (429) or stumbles (5xx)

    Pages already on disk are not asked for again, so a broken fetch goes on where it stopped. The last page of a
    sensor is asked for anew, because it may have grown.
    """
    if start.tzinfo is None or end.tzinfo is None:
        raise LayoutError("start and end of an OpenAQ fetch must carry a zone.")
    found = ask(f"/v3/locations/{location}", {}, get, sleep)
    results = found.get("results") or []
    if not results:
        raise LayoutError(
            f"OpenAQ knows no location {location}.", remedy="Check the number on explore.openaq.org."
        )
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    span = {"datetime_from": start.isoformat(), "datetime_to": end.isoformat()}
    stamp = f"{start:%Y%m%dT%H}_{end:%Y%m%dT%H}"
    for sensor in results[0].get("sensors", []):
        page = 1
        while True:
            path = folder / f"location-{location}_sensor-{sensor['id']}_{stamp}_page-{page}.json"
            answer = _recorded(path)
            if answer is None:
                query = {**span, "limit": PAGE, "page": page}
                answer = ask(f"/v3/sensors/{sensor['id']}/hours", query, get, sleep)
                record = {"location": results[0], "sensor": sensor, "query": query, "answer": answer}
                partial = path.with_suffix(".part")
                partial.write_text(json.dumps(record, ensure_ascii=False), encoding="utf-8")
                partial.replace(path)
            paths.append(path)
            if len(answer.get("results") or []) < PAGE:
                break
            page += 1
    return paths


def _recorded(path: Path) -> dict[str, Any] | None:
    """The answer recorded at a path if it is a full page, which cannot grow any more."""
    try:
        answer: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))["answer"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return answer if len(answer.get("results") or []) >= PAGE else None


def ask(path: str, query: Mapping[str, Any], get: Get, sleep: Callable[[float], None]) -> dict[str, Any]:
    """One question, patiently: 429 and 5xx are asked again after the wait that the answer names."""
    wait = _FIRST_WAIT
    for attempt in range(1, _ATTEMPTS + 1):
        answer = get(path, query)
        if answer.status == 200 and isinstance(answer.body, dict):
            return answer.body
        if answer.status not in (429, 500, 502, 503, 504):
            raise LayoutError(
                f"OpenAQ answered {answer.status} to {path}.",
                remedy={401: "Check the API key.", 404: "Check the number."}.get(answer.status, ""),
            )
        if attempt < _ATTEMPTS:
            sleep(_patience(answer.headers, wait))
            wait = min(2 * wait, _LONGEST_WAIT)
    raise LayoutError(
        f"OpenAQ did not answer {path} in {_ATTEMPTS} attempts (last: {answer.status}).", remedy="Try again later."
    )


def _patience(headers: Mapping[str, str], wait: float) -> float:
    """Seconds to wait: Retry-After, else the rate limit's reset, else our own growing wait."""
    lower = {k.lower(): v for k, v in headers.items()}
    for name in ("retry-after", "x-ratelimit-reset"):
        try:
            return min(max(float(lower[name]), 0.0), 3_600.0)
        except (KeyError, ValueError):
            continue
    return wait
