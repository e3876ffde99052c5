"""One identity for each enterprise out of ledgers, permits, monitoring and statistics; who said what, who won.

An identity is a unified social credit code whose check digit is right (GB 32100-2015), told by the row itself or
by its permit's number, which begins with it. Likeness of names and places only proposes. Nothing is averaged: of
each fact the first in a declared order of trust wins, or whom a person decided for, and all others stay listed.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import polars as pl

from qinglan.core.errors import UnknownName, UsageError
from qinglan.ledger.declare import load_ledger
from qinglan.ledger.identifiers import permit_fault, uscc_fault
from qinglan.ledger.likeness import bare_name, likely_same
from qinglan.plan.content import read
from qinglan.plan.places import load_places

#: Why a row has no identity: it tells no code; its code or its permit's number is wrong; code and permit differ.
REASONS = ("no_code", "bad_code", "bad_permit", "two_codes")
#: What became of a value: it won, says the same within tolerance, differs, or is a sum of which parts lack.
STATES = ("won", "agrees", "differs", "incomplete")
#: A column of records: parts of a sum (months of a year) that are not there, told on one row of those that are.
LACKING = "_lacking"
#: Mean radius of the Earth [m].
EARTH = 6_371_008.8
_TOLD = ("row_key", "uscc", "permit_no", "name", "county")
_MEMBER = {n: pl.String() for n in ("identity", "origin", "row_key", "by", "name", "county", "uscc", "permit_no")}
_UNMATCHED = {n: pl.String() for n in ("origin", "row_key", "name", "county", "uscc", "permit_no", "reason")}
_PROPOSAL = {"origin": pl.String(), "row_key": pl.String(), "identity": pl.String(), "score": pl.Float64(),
             "reasons": pl.List(pl.String())}  # fmt: skip
_FACT = {"identity": pl.String(), "fact": pl.String(), "origin": pl.String(), "row_key": pl.String(),
         "value": pl.String(), "number": pl.Float64(), "parts": pl.Int64(), "lacking": pl.Int64(),
         "state": pl.String()}  # fmt: skip
_CONFLICT = {"identity": pl.String(), "fact": pl.String(), "winner": pl.String(), "value": pl.String(),
             "other": pl.String(), "other_row": pl.String(), "other_value": pl.String(),
             "difference": pl.Float64(), "measure": pl.String(), "tolerance": pl.Float64(),
             "decided_by": pl.String(), "zh": pl.String(),
             "en": pl.String()}  # fmt: skip
_IDENTITY = {"identity": pl.String(), "name": pl.String(), "county": pl.String(), "names": pl.List(pl.String()),
             "origins": pl.List(pl.String()), "rows": pl.Int64(), "conflicts": pl.Int64()}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Fused:
    """What is one enterprise, and what is said about it.

    identities : identity, name, county, names (all that it is called), origins, rows, conflicts
    members : identity, origin, row_key, by (``code|permit|decision``) and what the row told
    facts : identity, fact, origin, row_key (of the first row), value, number, parts, lacking, state (`STATES`)
    conflicts : identity, fact, winner, value, other, other_row, other_value, difference and tolerance in `measure`
        (``share`` of the winner's, ``m``, or ``""``), decided_by, zh, en (why the winner won)
    unmatched : rows without identity and the reason (`REASONS`); proposals : whose they may be, by likeness
    unused : decisions that nothing answers to any more
    """

    identities: pl.DataFrame
    members: pl.DataFrame
    facts: pl.DataFrame
    conflicts: pl.DataFrame
    unmatched: pl.DataFrame
    proposals: pl.DataFrame
    unused: tuple[Mapping[str, str], ...]


@dataclass(slots=True)
class _Said:
    """A value of a fact as an origin tells it."""

    origin: str
    row_key: str
    value: str
    number: float | None = None
    point: tuple[float, float] | None = None
    parts: int = 1
    lacking: int = 0


@cache
def trust() -> Mapping[str, Any]:
    """The order of trust and the tolerances: content/linkage/trust.yaml (`origins`, `facts`)."""
    found: Mapping[str, Any] = read("linkage", "trust")
    return found


def fuse(
    records: Mapping[str, pl.DataFrame],
    *,
    priority: Mapping[str, Any] | None = None,
    decisions: Sequence[Mapping[str, str]] = (),
    bindings: Sequence[Mapping[str, str]] = (),
) -> Fused:
    """Fuse rows of several origins into enterprises.

    records : by origin a frame with `row_key` and any of `uscc, permit_no, name, county, lon, lat`, the facts and
        `LACKING`
    priority : as :func:`trust`; decisions : `identity, fact, origin, by, reason`, the last of a fact holds;
    bindings : `origin, row_key, identity, by, reason`, rows without a good code that a person knows.
    Raises UnknownName (origin, fact) and UsageError (a decision without reason, a binding to no good code or of a
    row whose good code is another's: two codes never become one).
    """
    book = trust() if priority is None else priority
    for origin in records:
        if origin not in book["origins"]:
            raise UnknownName("origin", origin, tuple(book["origins"]))
    _hold_reasons([*decisions, *bindings])
    bound = {(b["origin"], b["row_key"]): b for b in bindings}
    frames = {origin: _told(origin, frame) for origin, frame in records.items()}
    members, unmatched, used = _members(frames, bound)
    named = {(m["origin"], m["row_key"]): m["identity"] for m in members}
    said = _said(frames, named, book)
    held, facts, conflicts = _judged(said, book, decisions)
    unused = [d for key, d in held.items() if key not in {(f["identity"], f["fact"], f["origin"]) for f in facts}]
    unused += [b for key, b in bound.items() if key not in used]
    identities = _identities(members, facts, conflicts)
    return Fused(
        pl.DataFrame(identities, schema=_IDENTITY),
        pl.DataFrame(members, schema=_MEMBER),
        pl.DataFrame(facts, schema=_FACT),
        pl.DataFrame(conflicts, schema=_CONFLICT),
        pl.DataFrame(unmatched, schema=_UNMATCHED),
        _proposals(identities, facts, unmatched, frames),
        tuple(unused),
    )


def coverage(fused: Fused, origins: Sequence[str]) -> pl.DataFrame:
    """By identity which origins know it: `identity, name, county`, and true or false for each origin asked."""
    return fused.identities.select(
        "identity", "name", "county", *(pl.col("origins").list.contains(o).alias(o) for o in origins)
    )


def _hold_reasons(decided: Sequence[Mapping[str, str]]) -> None:
    for one in decided:
        if not one.get("reason", "").strip() or not one.get("by", "").strip():
            raise UsageError(
                f"a decision about {one.get('identity', '')!r} tells no reason or nobody.",
                remedy="Say who and why.",
            )


def _told(origin: str, frame: pl.DataFrame) -> pl.DataFrame:
    """A frame of an origin with all of `_TOLD`, `lon` and `lat`; its rows by key."""
    if "row_key" not in frame.columns:
        raise UsageError(f"the rows of {origin} have no row_key.", remedy="Give each row the key of its ledger.")
    empty = [pl.lit(None, pl.String).alias(n) for n in _TOLD if n not in frame.columns]
    empty += [pl.lit(None, pl.Float64).alias(n) for n in ("lon", "lat") if n not in frame.columns]
    return frame.with_columns(*empty).sort("row_key", maintain_order=True)


def identity_of(row: Mapping[str, Any]) -> tuple[str, str]:
    """The identity that a row (`uscc, permit_no`) tells and by what (``code|permit``), or nothing and why."""
    code, permit = row.get("uscc") or "", row.get("permit_no") or ""
    good = code if code and uscc_fault(code) is None else ""
    licensed = permit[:18] if permit and permit_fault(permit) is None else ""
    if good and licensed and good != licensed:
        return "", "two_codes"
    if good or licensed:
        return good or licensed, "code" if good else "permit"
    return "", "bad_code" if code else "bad_permit" if permit else "no_code"


def _members(
    frames: Mapping[str, pl.DataFrame], bound: Mapping[tuple[str, str], Mapping[str, str]]
) -> tuple[list[dict[str, str]], list[dict[str, str]], set[tuple[str, str]]]:
    members, unmatched, used = [], [], set()
    for origin, frame in frames.items():
        for row in frame.select(_TOLD).iter_rows(named=True):
            identity, how = identity_of(row)
            binding = bound.get((origin, row["row_key"]))
            if binding is not None:
                used.add((origin, row["row_key"]))
                _hold_binding(binding, identity, row)
                identity, how = binding["identity"], "decision"
            if identity:
                members.append({"identity": identity, "origin": origin, "by": how, **row})
            else:
                unmatched.append({"origin": origin, "reason": how, **row})
    return members, unmatched, used


def _hold_binding(binding: Mapping[str, str], told: str, row: Mapping[str, Any]) -> None:
    """A person may give a row an identity that it lacks, or choose between its own two; never another's."""
    goal = binding["identity"]
    if uscc_fault(goal) is not None or (told and told != goal):
        raise UsageError(
            f"row {row['row_key']!r} cannot be bound to {goal!r}: it has the code {told or 'of no enterprise'!r}.",
            remedy="Name a credit code with a right check digit; correct the row where its own code is wrong.",
        )


def _said(
    frames: Mapping[str, pl.DataFrame], named: Mapping[tuple[str, str], str], book: Mapping[str, Any]
) -> dict[tuple[str, str], list[_Said]]:
    """By identity and fact what the origins say, in the order of trust; a sum over parts is one value."""
    found: dict[tuple[str, str], list[_Said]] = {}
    for fact, rule in book["facts"].items():
        for origin in rule["order"]:
            frame = frames.get(origin)
            if frame is None or (fact not in frame.columns and fact != "point"):
                continue
            by: dict[str, list[_Said | None]] = {}
            absent: dict[str, int] = {}
            lacking = dict(frame.select("row_key", LACKING).iter_rows()) if LACKING in frame.columns else {}
            columns = ["row_key", "lon", "lat"] if fact == "point" else ["row_key", fact]
            for row in frame.select(columns).iter_rows():
                identity = named.get((origin, row[0]))
                if identity is not None:
                    by.setdefault(identity, []).append(_one(origin, row, rule["kind"]))
                    absent[identity] = absent.get(identity, 0) + lacking.get(row[0], 0)
            for identity, values in by.items():
                told = _summed(values, absent[identity]) if rule.get("parts") == "sum" else _distinct(values)
                if told:
                    found.setdefault((identity, fact), []).extend(told)
    return found


def _one(origin: str, row: tuple[Any, ...], kind: str) -> _Said | None:
    if any(v is None for v in row[1:]):
        return None
    if kind == "point":
        return _Said(origin, row[0], f"{row[1]:.5f}, {row[2]:.5f}", point=(row[1], row[2]))
    if kind == "number":
        return _Said(origin, row[0], f"{row[1]:.12g}", float(row[1])) if math.isfinite(row[1]) else None
    return _Said(origin, row[0], str(row[1]))


def _distinct(values: Sequence[_Said | None]) -> list[_Said]:
    return list({v.value: v for v in reversed(values) if v is not None}.values())[::-1]


def _summed(values: Sequence[_Said | None], absent: int) -> list[_Said]:
    known = [v for v in values if v is not None]
    if not known:
        return []
    total = math.fsum(v.number or 0.0 for v in known)
    first, parts = known[0], len(values) + absent
    return [_Said(first.origin, first.row_key, f"{total:.12g}", total, None, parts, parts - len(known))]


def _judged(
    said: Mapping[tuple[str, str], list[_Said]], book: Mapping[str, Any], decisions: Sequence[Mapping[str, str]]
) -> tuple[dict[tuple[str, str, str], Mapping[str, str]], list[dict[str, Any]], list[dict[str, Any]]]:
    """The decisions that hold by what they choose, every value with its state, and those that differ."""
    chosen: dict[tuple[str, str], Mapping[str, str]] = {}
    for one in decisions:
        if one["fact"] not in book["facts"]:
            raise UnknownName("fact", one["fact"], tuple(book["facts"]))
        chosen[one["identity"], one["fact"]] = one
    facts: list[dict[str, Any]] = []
    conflicts: list[dict[str, Any]] = []
    for (identity, fact), values in sorted(said.items()):
        rule, decision = book["facts"][fact], chosen.get((identity, fact))
        whole = [v for v in values if not v.lacking]
        wanted = [v for v in whole if decision is not None and v.origin == decision["origin"]]
        winner = next(iter(wanted or whole), None)
        why = dict.fromkeys(("zh", "en"), decision["reason"]) if wanted and decision else rule["why"]
        for value in values:
            state, gap, measure, tolerance = _state(value, winner, rule)
            facts.append({
                "identity": identity, "fact": fact, "origin": value.origin, "row_key": value.row_key,
                "value": value.value, "number": value.number, "parts": value.parts, "lacking": value.lacking,
                "state": state,
            })  # fmt: skip
            if state == "differs" and winner is not None:
                conflicts.append({
                    "identity": identity, "fact": fact, "winner": winner.origin, "value": winner.value,
                    "other": value.origin, "other_row": value.row_key, "other_value": value.value,
                    "difference": gap, "measure": measure, "tolerance": tolerance,
                    "decided_by": decision["by"] if wanted and decision else "", "zh": why["zh"], "en": why["en"],
                })  # fmt: skip
    return {(*key, d["origin"]): d for key, d in chosen.items()}, facts, conflicts


def _state(
    value: _Said, winner: _Said | None, rule: Mapping[str, Any]
) -> tuple[str, float | None, str, float | None]:
    """State of a value against the winner's, their difference, what it is measured in, and what is tolerated."""
    if value.lacking or winner is None:
        return "incomplete", None, "", None
    if value is winner:
        return "won", None, "", None
    if rule["kind"] == "name":
        places = load_places()
        same = bare_name(value.value, places) == bare_name(winner.value, places)
        return "agrees" if same else "differs", None, "", None
    if value.point is not None and winner.point is not None:
        apart, most = meters(value.point, winner.point), float(rule["absolute"])
        return "agrees" if apart <= most else "differs", apart, "m", most
    if value.number is not None and winner.number is not None:
        gap, most = value.number - winner.number, float(rule["relative"])
        share = gap / abs(winner.number) if winner.number else None  # no share of zero: it differs
        same = gap == 0 or (share is not None and abs(share) <= most)
        return "agrees" if same else "differs", share, "share", most
    return "agrees" if value.value == winner.value else "differs", None, "", None


def meters(a: tuple[float, float], b: tuple[float, float]) -> float:
    """Distance of two points (lon, lat in degrees) on the sphere [m], by haversines."""
    (x1, y1), (x2, y2) = (tuple(map(math.radians, p)) for p in (a, b))
    h = math.sin((y2 - y1) / 2) ** 2 + math.cos(y1) * math.cos(y2) * math.sin((x2 - x1) / 2) ** 2
    return 2 * EARTH * math.asin(min(1.0, math.sqrt(h)))


def _identities(
    members: Sequence[Mapping[str, str]],
    facts: Sequence[Mapping[str, Any]],
    conflicts: Sequence[Mapping[str, Any]],
) -> list[dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for member in sorted(members, key=lambda m: m["identity"]):
        one = found.setdefault(member["identity"], {
            "identity": member["identity"], "name": None, "county": None, "names": [], "origins": [], "rows": 0,
            "conflicts": 0,
        })  # fmt: skip
        one["rows"] += 1
        if member["origin"] not in one["origins"]:
            one["origins"].append(member["origin"])
    for fact in facts:
        one = found[fact["identity"]]
        if fact["fact"] == "name" and fact["value"] not in one["names"]:
            one["names"].append(fact["value"])
        if fact["fact"] in ("name", "county") and fact["state"] == "won":
            one[fact["fact"]] = fact["value"]
    for conflict in conflicts:
        found[conflict["identity"]]["conflicts"] += 1
    return list(found.values())


def _proposals(
    identities: Sequence[Mapping[str, Any]],
    facts: Sequence[Mapping[str, Any]],
    unmatched: Sequence[Mapping[str, str]],
    frames: Mapping[str, pl.DataFrame],
) -> pl.DataFrame:
    """Identities that rows without one may belong to, by likeness, the likeliest first. Nothing follows."""
    if not unmatched:  # likeness is looked for among all of them: the dearest step
        return pl.DataFrame(schema=_PROPOSAL)
    points = {f["identity"]: f["value"].split(", ") for f in facts if f["fact"] == "point" and f["state"] == "won"}
    rows: list[tuple[Any, ...]] = []
    for one in identities:
        lon, lat = points.get(one["identity"], (None, None))
        place = lon and float(lon), lat and float(lat)
        rows.append((f"=\t{one['identity']}", one["name"], one["identity"], one["county"], *place))
    spots = {
        (origin, r[0]): r[1:]
        for origin, f in frames.items()
        for r in f.select("row_key", "lon", "lat").iter_rows()
    }
    for row in unmatched:
        key = row["origin"], row["row_key"]
        rows.append(("\t".join(key), row["name"], row["uscc"], row["county"], *spots[key]))
    schema = {"_key": pl.String(), "name": pl.String(), "uscc": pl.String(), "county": pl.String(),
              "lon": pl.Float64(), "lat": pl.Float64()}  # fmt: skip
    pairs = likely_same(load_ledger("air-enterprises"), pl.DataFrame(rows, schema=schema, orient="row"))
    found = []
    for a, b, score, reasons in pairs.iter_rows():
        known = [k for k in (a, b) if k.startswith("=\t")]
        if len(known) == 1:
            origin, _, row_key = (b if known[0] == a else a).partition("\t")
            found.append((origin, row_key, known[0][2:], score, reasons))
    return pl.DataFrame(found, schema=_PROPOSAL, orient="row")
