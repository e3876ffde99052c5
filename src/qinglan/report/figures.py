"""Pictures of a bulletin, drawn with Matplotlib in a Chinese face, the same bytes for the same numbers."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from functools import cache
from itertools import pairwise
from math import cos, radians
from typing import Any

from matplotlib import font_manager
from matplotlib.collections import PatchCollection
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Patch, PathPatch
from matplotlib.path import Path
from matplotlib.text import Text as Drawn

from qinglan.core.errors import NotFound

FONT = "Noto Sans CJK SC"
#: Ships with Matplotlib and has the subscript digits that the Chinese face lacks.
_SUBSCRIPTS = "DejaVu Sans"
INK, QUIET, MAIN, PALE = "#1f2a33", "#8a949c", "#2b6c8f", "#b9c6ce"
#: Classes of a good-day rate on the map: at least this share [%], and its colour (one hue, light to dark).
RATE_STEPS: tuple[tuple[float, str], ...] = (
    (98, "#1b6e8c"), (95, "#4a97b0"), (90, "#86bccb"), (80, "#bddbe2"), (0, "#e6eff1"),
)  # fmt: skip
_HATCH = ("", "//", "\\\\", "xx", "..", "++")
Colour = tuple[float, ...] | None


@cache
def chinese_font() -> str:
    """The face that figures are drawn in; NotFound with the remedy when this machine has none."""
    if FONT not in {f.name for f in font_manager.fontManager.ttflist}:
        raise NotFound(
            f"no font {FONT!r} on this machine.",
            remedy="Install Noto Sans CJK and Noto Serif CJK (Debian: fonts-noto-cjk), then try again.",
        )
    return FONT


def _figure(width: float, height: float) -> tuple[Figure, Any]:
    made = Figure(figsize=(width, height), dpi=180, layout="constrained")
    axes = made.add_subplot()
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color(QUIET)
    axes.tick_params(colors=INK, labelsize=8, length=0)
    return made, axes


def _png(made: Figure) -> bytes:
    faces = [chinese_font(), _SUBSCRIPTS]
    for text in made.findobj(Drawn):
        text.set_fontfamily(faces)
    out = io.BytesIO()
    made.savefig(out, format="png", metadata={"Software": None})
    return out.getvalue()


def bars(labels: Sequence[str], values: Sequence[float], axis: str, *, decimals: int) -> bytes:
    """Lying bars in the order given, the first on top, each with its number."""
    made, axes = _figure(6.3, 0.5 + 0.3 * len(labels))
    places = range(len(labels))[::-1]
    axes.barh(list(places), list(values), color=MAIN, height=0.62)
    axes.set_yticks(list(places), list(labels))
    for at, value in zip(places, values, strict=True):
        axes.text(value, at, f" {value:.{decimals}f}", va="center", fontsize=8, color=INK)
    axes.set_xlim(0, max(values) * 1.12 or 1)
    axes.set_xlabel(axis, fontsize=8, color=INK)
    axes.xaxis.grid(visible=True, color=PALE, linewidth=0.5)
    axes.set_axisbelow(True)
    return _png(made)


def paired_bars(
    labels: Sequence[str],
    now: Sequence[float | None],
    last: Sequence[float | None],
    axis: str,
    words: tuple[str, str],
) -> bytes:
    """Two bars for each label: this period and the one before; a missing value leaves its place empty."""
    made, axes = _figure(6.3, 2.6)
    for shift, values, colour, word in ((-0.2, now, MAIN, words[0]), (0.2, last, PALE, words[1])):
        found = [(i + shift, v) for i, v in enumerate(values) if v is not None]
        axes.bar([x for x, _ in found], [v for _, v in found], width=0.38, color=colour, label=word)
        for x, v in found:
            axes.text(x, v, f"{v:.0f}", ha="center", va="bottom", fontsize=7, color=INK)
    axes.set_xticks(range(len(labels)), list(labels), rotation=0 if max(map(len, labels)) < 8 else 20)
    axes.set_ylabel(axis, fontsize=8, color=INK)
    axes.yaxis.grid(visible=True, color=PALE, linewidth=0.5)
    axes.set_axisbelow(True)
    axes.legend(fontsize=8, frameon=False, ncols=2, loc="lower right", bbox_to_anchor=(1, 1))
    return _png(made)


def level_stack(
    labels: Sequence[str],
    levels: Sequence[Sequence[int]],
    scale: Sequence[Mapping[str, Any]],
    axis: str,
    language: str,
) -> bytes:
    """Days of each level, stacked in the standard's colours; a hatching tells them apart without colour."""
    made, axes = _figure(6.3, 0.8 + 0.3 * len(labels))
    places = list(range(len(labels))[::-1])
    left = [0] * len(labels)
    for n, level in enumerate(scale):
        days = [row[n] for row in levels]
        if not any(days):
            continue
        axes.barh(
            places, days, left=left, height=0.62, color=_rgb(level["rgb"]), edgecolor=INK, linewidth=0.4,
            hatch=_HATCH[n], label=level[language],
        )  # fmt: skip
        for at, start, count in zip(places, left, days, strict=True):
            if count:
                box = {"facecolor": "white", "edgecolor": "none", "pad": 0.6, "alpha": 0.75}
                axes.text(start + count / 2, at, str(count), ha="center", va="center", fontsize=7, bbox=box)
        left = [a + b for a, b in zip(left, days, strict=True)]
    axes.set_yticks(places, list(labels))
    axes.set_xlabel(axis, fontsize=8, color=INK)
    axes.legend(fontsize=7, frameon=False, ncols=6, loc="lower right", bbox_to_anchor=(1, 1))
    return _png(made)


def rate_colour(rate: float) -> Colour:
    """The map's colour of a good-day rate [%]."""
    return to_rgb(next(colour for least, colour in RATE_STEPS if rate >= least))


def _rgb(rgb: Sequence[int]) -> tuple[float, float, float]:
    return rgb[0] / 255, rgb[1] / 255, rgb[2] / 255


def area_map(
    boundaries: Mapping[str, Any],
    colours: Mapping[str, Colour],
    labels: Mapping[str, str],
    steps: Sequence[tuple[float, str]] | None,
    language: str,
) -> bytes:
    """Places filled with their colour and labelled, in a plate carrée narrowed at the middle latitude.

    Only features whose ``properties.place`` is among the labels are drawn; None hatches a place without data.
    """
    made = Figure(figsize=(6.3, 4.2), dpi=180, layout="constrained")
    axes = made.add_subplot()
    axes.set_axis_off()
    low, high = 90.0, -90.0
    for feature in boundaries["features"]:
        code = str(feature["properties"]["place"])
        if code not in labels:
            continue
        rings = _rings(feature["geometry"])
        colour = colours.get(code)
        patches = [PathPatch(_path(polygon)) for polygon in rings]
        axes.add_collection(
            PatchCollection(
                patches, facecolor=colour or "white", edgecolor="#50606a", linewidth=0.5,
                hatch=None if colour else "//",
            )
        )  # fmt: skip
        largest = max((polygon[0] for polygon in rings), key=_area)
        x, y = _centre(largest)
        box = {"facecolor": "white", "edgecolor": "none", "pad": 1.0, "alpha": 0.75}
        axes.text(x, y, labels[code], ha="center", va="center", fontsize=6.5, color=INK, bbox=box)
        low, high = min(low, *(p[1] for p in largest)), max(high, *(p[1] for p in largest))
    axes.autoscale_view()
    axes.set_aspect(_narrowing((low + high) / 2))
    if steps:
        tops = [None, *(least for least, _ in steps)]
        handles = [
            Patch(facecolor=c, edgecolor=QUIET, label=f"≥{s:g}%" if s else f"<{t:g}%")
            for (s, c), t in zip(steps, tops, strict=False)
        ]
        axes.legend(handles=handles, fontsize=7, frameon=False, loc="lower left")
    return _png(made)


def _narrowing(latitude: float) -> float:
    return 1 / cos(radians(latitude))


Ring = Sequence[Sequence[float]]


def _rings(geometry: Mapping[str, Any]) -> list[list[Ring]]:
    parts = geometry["coordinates"]
    return [list(parts)] if geometry["type"] == "Polygon" else [list(p) for p in parts]


def _path(polygon: Sequence[Ring]) -> Path:
    points, codes = [], []
    for ring in polygon:
        points += [(p[0], p[1]) for p in ring]
        codes += [Path.MOVETO, *[Path.LINETO] * (len(ring) - 2), Path.CLOSEPOLY]
    return Path(points, codes)


def _area(ring: Ring) -> float:
    return abs(sum(a[0] * b[1] - b[0] * a[1] for a, b in pairwise(ring))) / 2


def _centre(ring: Ring) -> tuple[float, float]:
    """Centroid of a closed ring."""
    cross = [a[0] * b[1] - b[0] * a[1] for a, b in pairwise(ring)]
    total = sum(cross) or 1.0
    x = sum((a[0] + b[0]) * c for a, b, c in zip(ring, ring[1:], cross, strict=False))
    y = sum((a[1] + b[1]) * c for a, b, c in zip(ring, ring[1:], cross, strict=False))
    return x / (3 * total), y / (3 * total)
