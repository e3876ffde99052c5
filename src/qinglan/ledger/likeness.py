"""Rows that likely mean the same enterprise under two spellings. Pairs are proposed with reasons, never merged.

Compared are only rows that share something rare (half of the credit code, three characters of the bare name, a
place on the ground), so that tens of thousands of rows take seconds.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

import polars as pl
from rapidfuzz import fuzz
from rapidfuzz.distance import DamerauLevenshtein

from qinglan.ledger.declare import Ledger
from qinglan.ledger.identifiers import uscc_fault
from qinglan.plan.places import Places, load_places

#: Forms of companies and what comes after them; what stands in brackets says where or what kind.
_FORMS = (
    "有限责任公司", "股份有限公司", "集团有限公司", "有限公司", "股份公司", "集团公司", "总公司", "分公司",
    "责任公司", "公司", "集团", "总厂", "分厂", "厂", "个体工商户", "合作社", "经营部", "门市部", "(模拟)",
)  # fmt: skip
_BRACKETS = re.compile(r"\([^)]*\)")
_NUMBER = re.compile(r"[0-9]+|[一二三四五六七八九十]+(?=号|厂|分)")
_SIGNS = re.compile(r"[\s·,.\-_/、，。()]+")
#: Rows that share one thing and are more than this share nothing that tells them apart.
_CROWD = 60
_NEAR = 500.0
_EARTH = 6_371_008.8
#: Points of a pair: a name of likeness 100 alone is 70; what speaks for or against is added.
_LEAST, _SURE = 60.0, 100.0


@dataclass
class _Rows:
    """What is compared, row by row: `key`, bare `name`, credit `code`, `lon`, `lat`, `place`, other identity."""

    key: list[str]
    name: list[str]
    code: list[str]
    lon: list[float]
    lat: list[float]
    place: list[str]
    numbers: list[list[str]]
    blocks: dict[tuple[str, str], list[int]] = field(default_factory=dict)


def likely_same(
    ledger: Ledger, rows: pl.DataFrame, *, names: str = "", least: float = _LEAST, places: Places | None = None
) -> pl.DataFrame:
    """Pairs of rows that likely mean the same, the likeliest first: `a`, `b` (keys), `score` (to 100), `reasons`.

    rows : typed, with `_key`; names : column of the name (default: the ledger's ``name``, else its label)
    reasons : of ``same_code``, ``code_one_off`` (and one of the two fails its check digit), ``other_code``,
    ``same_name``, ``like_name``, ``other_number`` (No. 1 and No. 2), ``near`` (less than 500 m), ``far`` (over
    20 km), ``same_place``, ``other_place``
    """
    column = names or ("name" if "name" in ledger.schema else ledger.label)
    code = ledger.enterprise if ledger.enterprise and ledger.column(ledger.enterprise).type == "uscc" else ""
    told = _told(ledger, rows, column, code, places or load_places())
    seen: set[tuple[int, int]] = set()
    found: list[tuple[str, str, float, list[str]]] = []
    for first, second in _candidates(told):
        pair = (min(first, second), max(first, second))
        if pair in seen:
            continue
        seen.add(pair)
        score, reasons = _judge(told, *pair, unique=bool(code) and code in ledger.identity)
        if score >= least:
            found.append((told.key[pair[0]], told.key[pair[1]], round(score, 1), reasons))
    schema = {"a": pl.String(), "b": pl.String(), "score": pl.Float64(), "reasons": pl.List(pl.String())}
    made = pl.DataFrame(found, schema=schema, orient="row")
    return made.sort("score", "a", "b", descending=[True, False, False])


def bare_name(name: str, places: Places) -> str:
    """A name without the form of the company, brackets and the regions it begins with.

    >>> bare_name("青海省西宁市高原热力有限责任公司（模拟）", load_places())
    '高原热力'
    """
    text = unicodedata.normalize("NFKC", name).casefold()
    text = _SIGNS.sub("", _BRACKETS.sub("", text))
    regions = _regions(places)
    kept = text
    while True:
        begins = next(
            (r for r in regions.get(kept[:2], ()) if kept.startswith(r) and len(kept) > len(r) + 1), None
        )
        if begins is None:
            break
        kept = kept[len(begins) :]
    changed = True
    while changed:
        changed = False
        for form in _FORMS:
            if kept.endswith(form) and len(kept) > len(form) + 1:
                kept, changed = kept[: -len(form)], True
    return kept


@lru_cache(maxsize=4)
def _regions(places: Places) -> Mapping[str, Sequence[str]]:
    """Names of provinces, prefectures and counties (with and without 省市县区), by their first two characters."""
    names = {
        name
        for place in places
        if place.level in ("province", "prefecture", "county")
        for name in (place.name, *place.aliases)
        if len(name) > 1 and not name.isascii()
    }
    names |= {name.rstrip("省市县区") for name in names if len(name.rstrip("省市县区")) > 1} | {"中国"}
    found: dict[str, list[str]] = {}
    for name in sorted(names, key=lambda n: (-len(n), n)):
        found.setdefault(name[:2], []).append(name)
    return found


def _told(ledger: Ledger, rows: pl.DataFrame, name: str, code: str, places: Places) -> _Rows:
    geometry = ledger.geometry
    empty = pl.lit(None, pl.Float64)
    frame = rows.select(
        "_key",
        name=pl.col(name).cast(pl.String).fill_null(""),
        code=pl.col(code).fill_null("") if code else pl.lit(""),
        lon=pl.col(geometry["lon"]) if "lon" in geometry else empty,
        lat=pl.col(geometry["lat"]) if "lat" in geometry else empty,
        place=pl.col(ledger.place).fill_null("") if ledger.place else pl.lit(""),
    )
    bare = {text: bare_name(text, places) for text in frame["name"].unique().to_list()}
    names = [bare[text] for text in frame["name"].to_list()]
    told = _Rows(
        frame["_key"].to_list(),
        names,
        frame["code"].to_list(),
        frame["lon"].fill_null(math.nan).to_list(),
        frame["lat"].fill_null(math.nan).to_list(),
        frame["place"].to_list(),
        [_NUMBER.findall(text) for text in names],
    )
    for n in range(frame.height):
        for block in _shared(told, n):
            told.blocks.setdefault(block, []).append(n)
    return told


def _shared(told: _Rows, n: int) -> Iterator[tuple[str, str]]:
    """What a row shares with rows that may be the same."""
    name, code = told.name[n], told.code[n]
    if name:
        yield "name", name
        for start in range(len(name) - 2):
            yield "three", name[start : start + 3]
            yield "three_there", name[start : start + 3] + told.place[n]
        if 2 <= len(name) <= 4:
            yield "short", name[:2]
            yield "short_end", name[-2:]
    if code:
        yield "code", code
        yield "code_head", code[:9]
        yield "code_tail", code[8:17]
    if math.isfinite(told.lon[n]) and math.isfinite(told.lat[n]):
        east, north = round(told.lon[n] * 100), round(told.lat[n] * 100)
        for dx in (0, 1):
            for dy in (0, 1):
                yield "cell", f"{east + dx},{north + dy}"


def _candidates(told: _Rows) -> Iterator[tuple[int, int]]:
    for (kind, _), rows in told.blocks.items():
        if len(rows) < 2 or (len(rows) > _CROWD and kind != "name"):
            continue
        for i, first in enumerate(rows[:_CROWD]):
            for second in rows[i + 1 : _CROWD]:
                yield first, second


def _judge(told: _Rows, a: int, b: int, *, unique: bool) -> tuple[float, list[str]]:
    """Score of a pair and why. `unique`: the credit code identifies rows, so that two good ones are two units."""
    reasons: list[str] = []
    one, other = told.code[a], told.code[b]
    like = fuzz.ratio(told.name[a], told.name[b]) if told.name[a] and told.name[b] else 0.0
    score = 0.7 * like
    if like >= 99.9:
        reasons.append("same_name")
    elif like >= 70:
        reasons.append("like_name")
    if one and one == other:
        reasons.append("same_code")
        score += 15
    elif one and other and DamerauLevenshtein.distance(one, other, score_cutoff=1) <= 1:
        if uscc_fault(one) is not None or uscc_fault(other) is not None:
            reasons.append("code_one_off")
            score = max(score + 25, 75.0)
    elif one and other:
        reasons.append("other_code")
        score -= 25 if unique else 40
    if told.numbers[a] != told.numbers[b]:
        reasons.append("other_number")
        score -= 30
    meters = _meters(told, a, b)
    if meters is not None and meters < _NEAR:
        reasons.append("near")
        score += 15
    elif meters is not None and meters > 20_000:
        reasons.append("far")
        score -= 20
    if told.place[a] and told.place[b]:
        same = told.place[a] == told.place[b]
        reasons.append("same_place" if same else "other_place")
        score += 5 if same else -10
    return max(0.0, min(_SURE, score)), reasons


def _meters(told: _Rows, a: int, b: int) -> float | None:
    """Distance on the ground [m]; None where a row has no point."""
    lat = (told.lat[a] + told.lat[b]) / 2
    east = math.radians(told.lon[b] - told.lon[a]) * math.cos(math.radians(lat))
    meters = _EARTH * math.hypot(east, math.radians(told.lat[b] - told.lat[a]))
    return meters if math.isfinite(meters) else None
