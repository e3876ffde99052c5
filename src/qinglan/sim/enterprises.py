"""The invented enterprises that all simulated ledgers share, and the real counties they stand in. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

import polars as pl

from qinglan.plan.content import read
from qinglan.plan.outlines import county_outlines
from qinglan.plan.places import load_places
from qinglan.sim.recipes import Drawer, stream

#: Signs of a credit code (GB 32100-2015 table 1) and the weights of its first 17.
SIGNS = "0123456789ABCDEFGHJKLMNPQRTUWXY"
_WEIGHTS = (1, 3, 9, 27, 19, 26, 16, 17, 20, 29, 25, 13, 8, 24, 10, 30, 28)
#: Weights of an organisation code (GB 11714-1997), whose signs run through the whole alphabet.
_BODY_WEIGHTS = (3, 7, 9, 10, 5, 8, 4, 2)
_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"

_COUNTY = ("lon", "lat", "altitude", "people", "urban", "cropland", "yak", "cattle", "sheep", "pigs", "rain")


def credit_code(district: str, number: int) -> str:
    """An invented unified credit code of an enterprise, with right check digits (GB 32100-2015, GB 11714-1997).

    >>> credit_code("630105", 17)
    '91630105MAQL00177K'
    """
    body = f"MAQL{number:04d}"
    rest = (11 - sum(_ALPHABET.index(s) * w for s, w in zip(body, _BODY_WEIGHTS, strict=True)) % 11) % 11
    code = f"91{district}{body}{'X' if rest == 10 else rest}"
    total = sum(SIGNS.index(s) * w for s, w in zip(code, _WEIGHTS, strict=True))
    return code + SIGNS[(31 - total % 31) % 31]


@cache
def cast() -> Mapping[str, Any]:
    """``content/sim/ledgers/cast.yaml``."""
    found: Mapping[str, Any] = read("sim", "ledgers", "cast")
    return found


@cache
def counties() -> pl.DataFrame:
    """county, county_name, prefecture, prefecture_name and the figures of cast.yaml, one row a county."""
    places, rows = load_places(), []
    for code, figures in cast()["counties"].items():
        prefecture = places.prefecture_of(code)
        rows.append(
            {
                "county": code,
                "county_name": places[code].name,
                "short": places[code].aliases[0] if places[code].aliases else places[code].name,
                "prefecture": prefecture.place if prefecture else "",
                "prefecture_name": prefecture.name if prefecture else "",
                **{name: float(v) for name, v in zip(_COUNTY, figures, strict=True)},
            }
        )
    key = pl.col("prefecture").is_in(["630100", "630200"]) | pl.col("county").is_in(
        ["632802", "632801", "632521", "632701", "632621", "632301"]
    )
    return pl.DataFrame(rows).with_columns(key_region=key)


@cache
def prefectures() -> pl.DataFrame:
    """place, place_name and people [10⁴], one row a prefecture."""
    return (
        counties()
        .group_by("prefecture", "prefecture_name", maintain_order=True)
        .agg(pl.col("people").sum())
        .rename({"prefecture": "place", "prefecture_name": "place_name"})
    )


@cache
def enterprises(seed: int) -> pl.DataFrame:
    """kind, uscc, enterprise, number, size (1 is usual), status, the county's columns; about 300 rows."""
    rng = stream(seed, "enterprises")
    about = cast()
    rows: list[dict[str, Any]] = []
    taken: set[tuple[str, str, str]] = set()
    syllables = about["syllables"]
    for kind, told in about["kinds"].items():
        for county, count in told["where"].items():
            for _ in range(count):
                number = len(rows) + 1
                first, second = "", ""
                while not first or (first, second, kind) in taken:
                    first, second = (syllables[i] for i in rng.choice(len(syllables), 2, replace=False))
                taken.add((first, second, kind))
                name = about.get("named", {}).get(kind, f"{first}{second}{told['stem']}")
                rows.append(
                    {
                        "kind": kind,
                        "county": county,
                        "number": number,
                        "uscc": credit_code(county, number),
                        "enterprise": name,
                        "name_of": name,
                        "size": float(min(max(rng.lognormal(0, 0.45), 0.35), 2.6)),
                        **{k: told[k] for k in ("division", "class", "sector", "permit", "condition", "makes")},
                    }
                )
    frame = pl.DataFrame(rows).join(counties(), on="county", how="left", maintain_order="left")
    drawer = Drawer("enterprises", seed, county_outlines())
    return drawer.columns(frame, {"point": {"near": 5}}).drop("point", strict=False)
