"""What an inventory's species are in a chemical mechanism: shares of mass, and the weights that make moles.

Nothing is lost: what a profile leaves of 1 is an unreactive or other species. NOx is split as NO2 and SO2 as SO2,
so that the moles of nitrogen and sulphur are right; `basis` is the weight that such a tonne is counted by.
Source: content/profiles/species.yaml, each part with its certainty.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import polars as pl

from qinglan.core.errors import ContentError, LayoutError, UnknownName
from qinglan.emission.categories import SPECIES, categories
from qinglan.emission.shape.sectors import by_sector
from qinglan.plan.content import read

#: `inventory`: the inventory's own species. CMAQ's gas mechanisms with aerosols of AERO7.
MECHANISMS = ("inventory", "cb6_ae7", "saprc07_ae7")
#: Where PEC and POC come from: shares of PM2.5, or the inventory's own BC and OC with the rest of PM2.5 beside.
CARBON = ("profile", "inventory")
#: Parts of particulate matter that do not overlap, made of the inventory's by :func:`parted`.
COARSE, FINE_REST = "pm_coarse", "pm_fine_rest"

Shares = Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Splits:
    """Species of a mechanism and how inventory species become them.

    names : species of the mechanism. basis : weight by which tonnes become moles [g/mol], NaN for aerosols.
    molar : weight of the species itself [g/mol]. shares : (group, inventory species) -> shares of mass by name.
    of_sector : group of each sector. nested : whether the inventory's PM is to be parted first.
    """

    mechanism: str
    names: tuple[str, ...]
    basis: tuple[float, ...]
    molar: tuple[float, ...]
    shares: Mapping[tuple[str, str], Shares]
    of_sector: Mapping[str, str]
    nested: bool
    carbon: str = "profile"


def splits(
    mechanism: str = "inventory",
    *,
    carbon: str = "profile",
    profiles: Mapping[tuple[str, str], Shares] | None = None,
) -> Splits:
    """Splits of a mechanism.

    profiles : shares by (group, inventory species) that replace those of the content, such as of :func:`speciate`;
        a rest to 1 goes to the content's species for what is left, where there is one.
    Raises UnknownName for a mechanism or option that is not known, ContentError for shares above 1.
    """
    if mechanism not in MECHANISMS:
        raise UnknownName("mechanism", mechanism, MECHANISMS)
    if carbon not in CARBON:
        raise UnknownName("source of carbon", carbon, CARBON)
    if mechanism == "inventory":
        molar = read("profiles", "species")["molar"]["gases"]
        weight = {"so2": "SO2", "nox": "NO2", "co": "CO", "nh3": "NH3", "co2": "CO2", "ch4": "CH4"}
        own = tuple(float(molar[weight[s]]) if s in weight else np.nan for s in SPECIES)
        whole = {("all", s): {s: 1.0} for s in SPECIES}
        everywhere = dict.fromkeys(categories().sectors, "all")
        return Splits(mechanism, SPECIES, own, own, whole, everywhere, False)
    raw = read("profiles", "species")
    of_sector = by_sector(raw["groups"], "profiles/species.yaml")
    shares = {}
    for group in raw["groups"]:
        made = _of_group(raw, group, mechanism, carbon)
        shares.update({(group, species): filled for species, filled in made.items()})
    for key, given in (profiles or {}).items():
        if key not in shares:
            raise UnknownName("group and species", key, tuple(shares))
        shares[key] = _whole(given, _rest(raw, key[1], mechanism), f"profile of {key[0]} {key[1]}")
    weights, basis = _molar(raw, mechanism)
    names = tuple(dict.fromkeys(name for filled in shares.values() for name in filled))
    own = tuple(weights.get(name, np.nan) for name in names)
    counted = tuple(float(basis.get(name, weight)) for name, weight in zip(names, own, strict=True))
    return Splits(mechanism, names, counted, own, shares, of_sector, True, carbon)


def _of_group(raw: Mapping[str, Any], group: str, mechanism: str, carbon: str) -> dict[str, Shares]:
    where = f"profiles/species.yaml {group}"
    sulphate = float(raw["sulphate"]["shares"][group])
    fine = _whole(raw["pm2_5"]["shares"][group], raw["pm2_5"]["rest"], where)
    made: dict[str, Shares] = {
        "so2": _whole({"SULF": sulphate} if sulphate else {}, "SO2", where),
        "nox": _whole(raw["nox"]["shares"], raw["nox"]["rest"], where),
        "nmvoc": _voc(raw, _whole(raw["nmvoc"]["shares"][group], raw["nmvoc"]["rest"], where), mechanism),
        **{s: {s.upper(): 1.0} for s in ("co", "nh3", "co2", "ch4")},
        COARSE: {"PMC": 1.0},
    }
    if carbon == "inventory":
        return made | {FINE_REST: fine, "bc": {"PEC": 1.0}, "oc": {"POC": 1.0}}
    first = raw["carbon"]["shares"][group]
    left = 1 - sum(first.values())
    return made | {"pm2_5": {**first, **{name: share * left for name, share in fine.items()}}}


def _whole(shares: Mapping[str, float], rest: str, where: str) -> Shares:
    """Shares with what is left of 1 as `rest`."""
    left = 1.0 - sum(shares.values())
    if left < -1e-6 or min(shares.values(), default=0.0) < 0:
        raise ContentError(where, [f"shares sum to {1 - left:g}; wanted at most 1, none below 0."])
    if left <= 1e-12:
        total = sum(shares.values())
        return {name: share / total for name, share in shares.items()}
    return {**shares, rest: shares.get(rest, 0.0) + left}


def _voc(raw: Mapping[str, Any], shares: Shares, mechanism: str) -> Shares:
    if mechanism == "cb6_ae7":
        return shares
    made: dict[str, float] = {}
    for name, share in shares.items():
        for lump, part in raw["saprc07"]["lumps"][name].items():
            made[lump] = made.get(lump, 0.0) + share * part
    return made


def _rest(raw: Mapping[str, Any], species: str, mechanism: str) -> str:
    if species == "nmvoc":
        return next(iter(_voc(raw, {raw["nmvoc"]["rest"]: 1.0}, mechanism)))
    return str({"nox": raw["nox"]["rest"], "so2": "SO2"}.get(species, raw["pm2_5"]["rest"]))


def _molar(raw: Mapping[str, Any], mechanism: str) -> tuple[dict[str, float], dict[str, float]]:
    own = raw["molar"]["cb6" if mechanism == "cb6_ae7" else "saprc07"]
    return {**raw["molar"]["gases"], **own}, raw["molar"]["basis"]


def parted(emissions: pl.DataFrame, carbon: str = "profile") -> tuple[pl.DataFrame, pl.DataFrame]:
    """Emissions whose particulate matter does not overlap, and what did not fit.

    PM10 becomes `pm_coarse` = PM10 - PM2.5 of the same unit; BC and OC are inside PM2.5 and leave (`profile`), or
    stay and PM2.5 becomes `pm_fine_rest` = PM2.5 - BC - OC (`inventory`).

    Returns
    -------
    (emissions, faults) : faults `ledger, row_key, activity, species, short_t`, where a part would be below zero
        [t]; it is then zero, so that the sum is larger than the inventory's by `short_t`.
    """
    unit = ["ledger", "row_key", "activity"]
    mass = emissions.group_by(*unit, "species").agg(pl.col("emission_t").sum())
    inner = {"pm10": ("pm2_5",), "pm2_5": ("bc", "oc") if carbon == "inventory" else ()}
    parts, faults = [emissions.filter(~pl.col("species").is_in(["pm10", "pm2_5", "bc", "oc"]))], []
    names = {"pm10": COARSE, "pm2_5": FINE_REST if carbon == "inventory" else "pm2_5"}
    for whole, inside in inner.items():
        within = (
            mass.filter(pl.col("species").is_in(list(inside)))
            .group_by(unit)
            .agg(inside_t=pl.col("emission_t").sum())
        )
        rows = emissions.filter(pl.col("species") == whole).join(
            within, on=unit, how="left", nulls_equal=True, maintain_order="left"
        )
        total = pl.col("emission_t").sum().over(unit)
        left = total - pl.col("inside_t").fill_null(0.0)
        short = rows.filter(left < 0).select(*unit, "species", short_t=-left).unique(maintain_order=True)
        faults.append(short.filter(pl.col("short_t") > 0))
        share = pl.when(total > 0).then(pl.col("emission_t") / total).otherwise(0.0)
        parts.append(
            rows.with_columns(emission_t=share * left.clip(0), species=pl.lit(names[whole])).drop("inside_t")
        )
    if carbon == "inventory":
        parts.append(emissions.filter(pl.col("species").is_in(["bc", "oc"])))
    return pl.concat(parts), pl.concat(faults)


def speciate(frame: pl.DataFrame) -> tuple[dict[str, Shares], pl.DataFrame]:
    """Profiles of SPECIATE form -> shares of mass by profile code, and the profiles kept aside.

    frame : one row for each profile and species with `PROFILE_CODE`, `SPECIES_NAME` (a species of the mechanism)
        and `WEIGHT_PERCENT` [%], in any case of the letters. Raises LayoutError when a column is missing.

    A profile above 101 % or with a species below 0 is kept aside: `profile_code`, `total` [%], `lowest` [%],
    `species` (of the lowest) and `remedy`. One between 100 and 101 % is brought to 1.
    """
    wanted = ("profile_code", "species_name", "weight_percent")
    named = frame.rename({name: name.lower() for name in frame.columns})
    missing = [name for name in wanted if name not in named.columns]
    if missing:
        raise LayoutError(f"profiles have no column {', '.join(missing)}.", remedy=f"Needed: {', '.join(wanted)}.")
    summed = named.group_by("profile_code", "species_name", maintain_order=True).agg(
        pl.col("weight_percent").cast(pl.Float64).sum()
    )
    weight = pl.col("weight_percent")
    judged = summed.group_by("profile_code", maintain_order=True).agg(
        total=weight.sum(), lowest=weight.min(), species=pl.col("species_name").get(weight.arg_min())
    )
    faulty = (pl.col("total") > 101) | (pl.col("lowest") < 0)
    aside = judged.filter(faulty).with_columns(
        remedy=pl.when(pl.col("lowest") < 0)
        .then(pl.format("{} is {} %: weigh what it was subtracted from again", "species", "lowest"))
        .otherwise(pl.lit("a profile sums to at most 100 %: leave out species that are parts of others"))
    )
    good = summed.join(judged.filter(~faulty), on="profile_code", maintain_order="left")
    shares = good.with_columns(share=weight / pl.max_horizontal("total", pl.lit(100.0)))
    made: dict[str, Shares] = {
        str(code): dict(rows.select("species_name", "share").iter_rows())
        for (code,), rows in shares.partition_by("profile_code", as_dict=True, maintain_order=True).items()
    }
    return made, aside


@cache
def groups() -> tuple[str, ...]:
    """Groups of sectors that share their splits."""
    return tuple(read("profiles", "species")["groups"])
