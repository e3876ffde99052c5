"""The last hours of a place as a small inline picture, light enough for a public page: one path for each level."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup, escape

WIDTH, HEIGHT, FOOT = 240, 46, 3
#: The strip's top is at least this AQI, so that a clean day looks clean.
LEAST = 150


def strip(points: Sequence[tuple[int | None, int | None]], title: str) -> Markup:
    """Hourly AQI as bars, oldest first: (AQI, level). Taller is worse; an hour without AQI is a dash at the foot.

    >>> strip([(None, None), (50, 1)], "x").count("<path")
    2
    """
    step = WIDTH / max(len(points), 1)
    room = HEIGHT - FOOT
    high = max([aqi for aqi, _ in points if aqi is not None] + [LEAST])
    drawn: dict[str, list[str]] = {}
    for k, (aqi, level) in enumerate(points):
        x, wide = round(k * step + 1), round(step - 2)
        if aqi is None:
            drawn.setdefault("gap", []).append(f"M{x + 2} {HEIGHT - 3}h{wide - 4}v1h-{wide - 4}z")
            continue
        tall = max(round(aqi / high * room), 2)
        drawn.setdefault(f"lv{level or 0}", []).append(f"M{x} {HEIGHT}v-{tall}h{wide}v{tall}z")
    paths = "".join(f'<path class="{name}" d="{"".join(d)}"/>' for name, d in sorted(drawn.items()))
    return Markup(
        f'<svg class="strip" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(title)}">{paths}</svg>'
    )
