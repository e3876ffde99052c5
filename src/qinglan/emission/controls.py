"""The end of the pipe: what the devices of a source keep from the air."""

from __future__ import annotations

from functools import cache

import polars as pl

from qinglan.emission import equations
from qinglan.emission.categories import NONE
from qinglan.emission.tables import read_table

_COLUMNS = (
    *("control", "kind", "zh", "en", "so2", "nox", "nmvoc", "pm2_5", "pm2_5_10", "bc", "oc"),
    *("capture", "source", "certainty"),
)
KINDS = ("flue", "voc", "capture", "dust")

#: What each slot of a source is there for; its measured removal holds for these. A scrubber takes dust along, so
#: every slot may remove anything by the table.
SLOTS = {
    "so2": ("so2",),
    "nox": ("nox",),
    "dust": ("pm2_5", "pm2_5_10", "bc", "oc"),
    "voc": ("nmvoc",),
}
#: Columns of controls.csv that are removals. `pm2_5_10` is the coarse part of PM10.
REMOVED = ("so2", "nox", "nmvoc", "pm2_5", "pm2_5_10", "bc", "oc")


@cache
def controls() -> pl.DataFrame:
    """Devices with their removal by species as fractions of 1; ContentError lists every fault of controls.csv."""
    table = read_table("controls.csv", _COLUMNS)
    rows = []
    for row in table.rows:
        table.told(row)
        table.among(row, "kind", KINDS)
        numbers = {name: table.number(row, name, high=1.0) for name in (*REMOVED, "capture")}
        rows.append({**{k: row[k] for k in ("control", "kind", "zh", "en", "source", "certainty")}, **numbers})
    table.unique(lambda row: row["control"], "control")
    table.close()
    return pl.DataFrame(rows, schema_overrides=dict.fromkeys((*REMOVED, "capture"), pl.Float64))


def unknown_controls(activities: pl.DataFrame) -> pl.DataFrame:
    """_row, detail: rows that name a device which controls.csv does not hold."""
    named = pl.concat(
        [
            activities.select("_row", pl.col(name).alias("control"), pl.lit(name).alias("slot"))
            for name in (*(f"{slot}_control" for slot in SLOTS), "capture_kind")
        ]
    )
    split = _devices(named).join(controls().select("control"), on="control", how="anti")
    said = pl.format("{} {}", "slot", "control")
    return split.group_by("_row", maintain_order=True).agg(detail=said.str.join("; "))


def _devices(named: pl.DataFrame) -> pl.DataFrame:
    """One row for each device of cells such as ``limestone_gypsum+bag``."""
    return (
        named.filter(pl.col("control").is_not_null() & (pl.col("control") != ""))
        .with_columns(pl.col("control").str.split("+"))
        .explode("control")
        .with_columns(pl.col("control").str.strip_chars())
    )


def kept(activities: pl.DataFrame) -> pl.DataFrame:
    """What the devices of each row remove: `_row, removed` (of REMOVED), `removal, running, capture, removal_id`.

    removal : of all devices while they run, 1 - product of (1 - eta); a measured one stands for its slot.
    running : what is left of it over the year, by the running rate (100 % where none is told).
    capture : share of the gas that reaches a VOC device; 1 for everything else. Where a row has a VOC device and
        tells no capture, solvents count as under an outer hood, pipes as closed.
    removal_id : the devices, with ``@source`` where a removal was measured there; equal ids err together.
    """
    parts = [_slot(activities, slot) for slot in SLOTS]
    together = pl.concat(parts).filter(pl.col("share") > 0)
    measured = pl.col("measured").any()
    whole = together.group_by("_row", "removed", maintain_order=True).agg(
        removal=1.0 - (1.0 - pl.col("share")).product(),
        devices=pl.col("devices").sort().str.join("+"),
        measured=measured,
        running=pl.col("running").first(),
    )
    captured = whole.join(_capture(activities), on="_row", how="left")
    own = pl.format("{}@{}", "devices", "source_id")
    return captured.select(
        "_row",
        "removed",
        "removal",
        pl.col("running").fill_null(1.0),
        capture=pl.when(pl.col("removed") == "nmvoc").then("capture").otherwise(1.0),
        removal_id=pl.when("measured").then(own).otherwise(pl.col("devices")),
        measured="measured",
    )


def _slot(activities: pl.DataFrame, slot: str) -> pl.DataFrame:
    """_row, removed, share, devices, measured, running of one slot's devices, all of them running."""
    control, given = f"{slot}_control", f"{slot}_removal"
    asked = activities.select("_row", pl.col(control).alias("control"), given, "running_rate")
    held = _devices(asked).join(controls().select("control", *REMOVED), on="control")
    by_table = held.unpivot(REMOVED, index=["_row", "control"], variable_name="removed", value_name="eta")
    shares = by_table.group_by("_row", "removed", maintain_order=True).agg(
        share=1.0 - (1.0 - pl.col("eta")).product(), devices=pl.col("control").sort().str.join("+")
    )
    rates = asked.select("_row", given, running=pl.col("running_rate") / 100)
    told = rates.filter(pl.col(given).is_not_null())
    targets = pl.DataFrame({"removed": SLOTS[slot]})
    told = told.join(targets, how="cross").select("_row", "removed", measured_share=pl.col(given) / 100)
    met = shares.join(told, on=["_row", "removed"], how="full", coalesce=True)
    return met.join(rates.select("_row", "running"), on="_row").select(
        "_row",
        "removed",
        share=pl.coalesce("measured_share", "share"),
        devices=pl.col("devices").fill_null(f"{slot}_removal"),
        measured=pl.col("measured_share").is_not_null(),
        running="running",
    )


def _capture(activities: pl.DataFrame) -> pl.DataFrame:
    """_row, capture: told in %, or by kind, or by what is usual where nothing is told."""
    kinds = controls().filter(kind="capture").select(capture_kind="control", by_kind="capture")
    hood = float(controls().filter(control="capture_hood")["capture"][0])
    usual = pl.when(pl.col("kind") == "solvent").then(hood).otherwise(1.0)
    return activities.join(kinds, on="capture_kind", how="left").select(
        "_row", "source_id", capture=pl.coalesce(pl.col("capture") / 100, "by_kind", usual)
    )


def apply(candidates: pl.DataFrame, activities: pl.DataFrame) -> pl.DataFrame:
    """Adds `removal, running, capture, removal_id, measured, emission_t` to candidates with `uncontrolled_t`.

    candidates : `_row, species, method, uncontrolled_t, after` (true: already measured behind the devices).
    PM10 is held back in its two parts, each with its own removal (T/CSES 144-2024 table A.1).
    """
    devices = kept(activities).drop("measured")
    fine = candidates.filter(species="pm2_5").select("_row", "method", fine_t="uncontrolled_t")
    plain = candidates.join(devices.rename({"removed": "species"}), on=["_row", "species"], how="left")
    coarse = devices.filter(removed="pm2_5_10").select("_row", coarse="removal", coarse_id="removal_id")
    of_fine = devices.filter(removed="pm2_5").select("_row", fine="removal", fine_id="removal_id")
    rates = (
        devices.filter(pl.col("removed").is_in(["pm2_5", "pm2_5_10"]))
        .group_by("_row")
        .agg(rate=pl.col("running").first())
    )
    split = (
        plain.join(fine, on=["_row", "method"], how="left", maintain_order="left")
        .join(coarse, on="_row", how="left", maintain_order="left")
        .join(of_fine, on="_row", how="left", maintain_order="left")
        .join(rates, on="_row", how="left", maintain_order="left")
    )
    pm10 = (pl.col("species") == "pm10") & pl.col("rate").is_not_null()
    both = equations.pm10_kept(
        pl.col("uncontrolled_t"),
        pl.coalesce("fine_t", "uncontrolled_t"),
        pl.col("fine").fill_null(0.0),
        pl.col("coarse").fill_null(0.0),
    )
    shared = pl.when(pl.col("uncontrolled_t") > 0).then(both).otherwise(pl.col("fine").fill_null(0.0))
    bare = pl.col("after")
    made = split.with_columns(
        removal=pl.when(bare).then(None).when(pm10).then(shared).otherwise(pl.col("removal").fill_null(0.0)),
        running=pl.when(bare).then(None).when(pm10).then("rate").otherwise(pl.col("running").fill_null(1.0)),
        capture=pl.when(bare).then(None).when(pm10).then(1.0).otherwise(pl.col("capture").fill_null(1.0)),
        removal_id=pl.when(bare)
        .then(None)
        .when(pm10)
        .then(pl.coalesce("fine_id", "coarse_id"))
        .otherwise(pl.col("removal_id").fill_null(NONE)),
    )
    effective = equations.effective(pl.col("removal"), pl.col("running"), pl.col("capture")).fill_null(0.0)
    return made.with_columns(emission_t=equations.controlled(pl.col("uncontrolled_t"), effective)).drop(
        "fine_t", "coarse", "coarse_id", "fine", "fine_id", "rate"
    )
