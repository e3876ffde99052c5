"""Charts as inline SVG, made by pure functions. Colours come from the style sheet's classes, never from here.

Every chart carries a title for screen readers, and a page that shows one also shows its numbers as text.
"""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup, escape

Point = tuple[str, float | None]


def _n(value: float) -> str:
    """A coordinate with at most one decimal.

    >>> _n(3.14159), _n(2.0)
    ('3.1', '2')
    """
    return f"{value:.1f}".rstrip("0").rstrip(".")


def _frame(kind: str, width: int, height: int, title: str, body: Sequence[str]) -> Markup:
    return Markup(
        f'<svg class="chart {kind}" viewBox="0 0 {width} {height}" role="img" aria-label="{escape(title)}">'
        f"<title>{escape(title)}</title>{''.join(body)}</svg>"
    )


def span(values: Sequence[float], *, floor: float | None = None) -> tuple[float, float]:
    """A plotting range that shows the differences: from zero unless the values crowd far above it.

    >>> span([20.4, 21, 23.1]), span([0])
    ((0.0, 27.72), (0.0, 1.0))
    >>> low, high = span([95.8, 96.3, 97.1]); low > 90 and high < 100
    True
    """
    low, high = min(values), max(values)
    if high <= 0 and low >= 0:
        return 0.0, 1.0
    spread = max(high - low, abs(high) * 0.004)
    if low > 0 and spread < 0.1 * high:
        return round(low - 1.2 * spread, 6), round(high + 1.2 * spread, 6)
    base = min(low * 1.2, 0.0) if floor is None else floor
    return base, round(high * 1.2, 6)


def distance_bar(
    value: float,
    limit: float,
    comparison: str,
    others: Sequence[Point],
    projection: tuple[float, float] | None,
    title: str,
) -> Markup:
    """Where a value stands against its limit: the side that keeps the target is tinted, the limit is a line,
    the value a dot, other treatments hollow dots, the projection to year end a band.
    """
    width, height, pad, mid = 420, 46, 8, 27
    numbers = [value, limit, *(v for _, v in others if v is not None), *(projection or ())]
    low, high = span(numbers)

    def x(number: float) -> float:
        return pad + (number - low) / (high - low) * (width - 2 * pad)

    at_most = comparison.startswith("<")
    start, end = (pad, x(limit)) if at_most else (x(limit), width - pad)
    body = [
        f'<rect class="track" x="{pad}" y="{mid - 5}" width="{width - 2 * pad}" height="10" rx="5"/>',
        f'<rect class="keep" x="{_n(start)}" y="{mid - 5}" width="{_n(max(end - start, 0))}" height="10" rx="5"/>',
    ]
    if projection and projection[1] > projection[0]:
        a, b = x(projection[0]), x(projection[1])
        body.append(
            f'<path class="whisker" d="M{_n(a)} {mid}H{_n(b)}M{_n(a)} {mid - 5}v10M{_n(b)} {mid - 5}v10"/>'
        )
    body.append(f'<path class="limit" d="M{_n(x(limit))} 8V42"/>')
    for name, other in others:
        if other is not None and other != value:
            mark = f'<circle class="other" cx="{_n(x(other))}" cy="{mid}" r="5">'
            body.append(f"{mark}<title>{escape(name)}</title></circle>")
    kept = value <= limit if at_most else value >= limit
    body.append(f'<circle class="dot {"good" if kept else "bad"}" cx="{_n(x(value))}" cy="{mid}" r="7"/>')
    return _frame("distance", width, height, title, body)


def trend_line(points: Sequence[Point], limit: float | None, title: str) -> Markup:
    """A short series with its limit; the last point is marked."""
    known = [(k, v) for k, (_, v) in enumerate(points) if v is not None]
    if len(known) < 2:
        return Markup("")
    width, height, pad = 120, 34, 4
    low, high = span([v for _, v in known] + ([limit] if limit is not None else []))
    lowest = min(v for _, v in known) if limit is None else min(min(v for _, v in known), limit)
    low = max(low, lowest - (high - lowest)) if low == 0 else low

    def place(k: int, v: float) -> tuple[str, str]:
        x = pad + k / (len(points) - 1) * (width - 2 * pad)
        return _n(x), _n(height - pad - (v - low) / (high - low) * (height - 2 * pad))

    path = "L".join(" ".join(place(k, v)) for k, v in known)
    x, y = place(*known[-1])
    body = [f'<path class="series" d="M{path}"/>', f'<circle class="end" cx="{x}" cy="{y}" r="3"/>']
    if limit is not None:
        _, at = place(0, limit)
        body.insert(0, f'<path class="limit" d="M0 {at}H{width}"/>')
    return _frame("spark", width, height, title, body)


def month_bars(points: Sequence[Point], limit: float | None, title: str) -> Markup:
    """Twelve bars with the year's limit as a line; a month without a value is a short dash, not a zero."""
    width, height, top, foot = 360, 132, 18, 18
    values = [v for _, v in points if v is not None]
    high = max([*values, limit or 0, 1e-9]) * 1.08
    step = width / max(len(points), 1)

    def y(number: float) -> float:
        return top + (1 - number / high) * (height - top - foot)

    body = [f'<path class="axis" d="M0 {height - foot}H{width}"/>']
    for k, (name, value) in enumerate(points):
        middle = step * (k + 0.5)
        body.append(f'<text class="tick" x="{_n(middle)}" y="{height - 5}">{k + 1}</text>')
        if value is None:
            body.append(f'<path class="gap" d="M{_n(middle - 4)} {height - foot - 4}h8"/>')
            continue
        over = limit is not None and value > limit
        body.append(
            f'<rect class="bar{" over" if over else ""}" x="{_n(middle - step * 0.34)}" y="{_n(y(value))}" '
            f'width="{_n(step * 0.68)}" height="{_n(height - foot - y(value))}" rx="1.5">'
            f"<title>{escape(name)}</title></rect>"
        )
    if limit is not None:
        body.append(f'<path class="limit" d="M0 {_n(y(limit))}H{width}"/>')
    return _frame("months", width, height, title, body)


def hour_bars(points: Sequence[tuple[str, int | None, int | None, str]], title: str) -> Markup:
    """Hourly AQI as thin bars: (tick or empty, AQI, level, words) of each hour, oldest first."""
    width, height, top, foot = 1080, 150, 8, 18
    high = max([aqi for _, aqi, _, _ in points if aqi is not None] + [100]) * 1.08
    step = width / max(len(points), 1)
    body = [f'<path class="axis" d="M0 {height - foot}H{width}"/>']
    for k, (tick, aqi, level, words) in enumerate(points):
        middle = step * (k + 0.5)
        if tick:
            body.append(f'<text class="tick" x="{_n(middle)}" y="{height - 4}">{escape(tick)}</text>')
        if aqi is None:
            body.append(f'<path class="gap" d="M{_n(middle - 2)} {height - foot - 3}h4"/>')
            continue
        tall = aqi / high * (height - top - foot)
        body.append(
            f'<rect class="bar lv{level or 0}" x="{_n(middle - step * 0.36)}" y="{_n(height - foot - tall)}" '
            f'width="{_n(step * 0.72)}" height="{_n(tall)}" rx="1"><title>{escape(words)}</title></rect>'
        )
    return _frame("hours", width, height, title, body)


def share_bar(parts: Sequence[tuple[str, int, str]], title: str) -> Markup:
    """Counts side by side in one bar: (class, count, words)."""
    width, height, gap = 600, 10, 3
    shown = [part for part in parts if part[1] > 0]
    total = sum(count for _, count, _ in shown)
    if not total:
        return Markup("")
    room, x, body = width - gap * (len(shown) - 1), 0.0, []
    for name, count, words in shown:
        wide = room * count / total
        body.append(
            f'<rect class="{escape(name)}" x="{_n(x)}" y="0" width="{_n(wide)}" height="{height}" rx="2">'
            f"<title>{escape(words)}</title></rect>"
        )
        x += wide + gap
    return _frame("share", width, height, title, body)
