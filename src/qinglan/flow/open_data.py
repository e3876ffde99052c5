"""Open data of a run: its tables as CSV, Parquet and GeoJSON with dictionary, licence, checksums and provenance.

Everything is a pure function of the run and the licence. ``datapackage.json`` follows the Data Package standard
(https://datapackage.org, version 1): whoever has only the folder knows what each column is, who may use it, which
run and which rule books made it, and whether a file is whole.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import polars as pl

from qinglan.core.errors import NotFound, UnknownName, UsageError
from qinglan.core.names import HOURLY_ITEMS, QUANTITIES
from qinglan.flow import views
from qinglan.plan import content

Row = dict[str, Any]

MEDIA: Mapping[str, str] = {
    "csv": "text/csv; charset=utf-8",
    "parquet": "application/vnd.apache.parquet",
    "geojson": "application/geo+json",
    "json": "application/json",
    "txt": "text/plain; charset=utf-8",
}
PACKAGE, SUMS, LICENCE, DICTIONARY = "datapackage.json", "SHA256SUMS.txt", "LICENCE.txt", "dictionary.csv"
#: Finished files are kept in memory while the run is current; a package of a province has some fifty.
_KEPT = 160
_DAYS = (
    "place", "day", "so2", "no2", "co", "mda8", "pm10", "pm2_5", "o3_1h", "aqi", "level", "primary_pollutant",
    "aqi_state", "edition", "source",
)  # fmt: skip
_LATEST = ("place", "station", "time", "day", "hour", "aqi", "level", "primary_pollutant", "aqi_state", "edition",
           *HOURLY_ITEMS)  # fmt: skip
_TARGETS = ("id", "article", "title", "title_en", "status", "value", "shown", "comparison", "limit", "unit",
            "period", "due", "dust", "edition", "judged_by")  # fmt: skip
_NAME = re.compile(r"(?P<table>[a-z]+)(?:-(?P<year>\d{4}))?(?:-(?P<place>\d{6}))?\.(?P<form>csv|parquet|geojson)")
#: Text that a spreadsheet would run; in CSV an apostrophe goes before it.
_FORMULA = r"^[=+\-@\t\r].+"
#: Tables that come by year, because a reader rarely wants all and a file should stay small.
_YEARLY = ("days", "evaluation")


@dataclass(frozen=True, slots=True)
class File:
    """One file of the package. `year` is None for tables that come whole."""

    name: str
    table: str
    form: str
    year: int | None = None


@cache
def dictionary() -> Mapping[str, Any]:
    """Tables and columns with their meaning in both languages."""
    found: Mapping[str, Any] = content.read("open_data", "dictionary")
    return found


@cache
def _licences() -> Mapping[str, Any]:
    found: Mapping[str, Any] = content.read("open_data", "licences")
    return found


def licence(workspace: Any) -> Row:
    """The licence that the office chose: ``name, title, path, statement``; UnknownName lists the choices."""
    chosen = getattr(getattr(workspace, "settings", None), "licence", "") or _licences()["default"]
    known = _licences()["licences"]
    if chosen not in known:
        raise UnknownName("licence", chosen, tuple(known))
    return {"name": chosen, **known[chosen]}


def column(name: str) -> Row:
    """Meaning of a column: ``zh, en, unit``; quantities take theirs from the vocabulary."""
    if name in QUANTITIES:
        quantity = QUANTITIES[name]
        return {"zh": quantity.zh, "en": quantity.en, "unit": quantity.unit}
    known = dictionary()["columns"]
    if name not in known:
        raise UnknownName("column of open data", name, tuple(known))
    return {"unit": "", **known[name]}


def columns(result: views.Result) -> dict[str, dict[str, Row]]:
    """The meaning of every column of every table of the run; found once for each run."""
    known = _columns_of.get(result.key)
    if known is None:
        known = {
            each.table: {name: column(name) for name in frame(result, each.table, each.year).columns}
            for each in {f.table: f for f in reversed(files(result)) if f.form == "csv"}.values()
        }
        _columns_of.clear()
        _columns_of[result.key] = known
    return known


_columns_of: dict[str, dict[str, dict[str, Row]]] = {}


def years(result: views.Result) -> list[int]:
    """Years that the run has days of, newest first."""
    rows = result.rows("place_days", "true qualify row_number() over (partition by year(day)) = 1", "day desc")
    return [row["day"].year for row in rows]


def files(result: views.Result) -> list[File]:
    """The tables of the package in all their forms; tables that the run did not write are left out."""
    found: list[File] = []
    for table, about in dictionary()["tables"].items():
        if not _there(result, table):
            continue
        for year in years(result) if table in _YEARLY else [None]:
            stem = table if year is None else f"{table}-{year}"
            found += [File(f"{stem}.{form}", table, form, year) for form in about["forms"]]
    return found


def _there(result: views.Result, table: str) -> bool:
    written = {"latest": "hourly_aqi", "days": "place_days", "places": "summary", "targets": ""}.get(table, table)
    return not written or result.has(written)


def frame(result: views.Result, table: str, year: int | None = None, place: str | None = None) -> pl.DataFrame:
    """A table of open data: the columns that the dictionary explains; what is not explained is not handed out.

    year : only for tables that come by year. place : only that place's rows.
    """
    if table == "days":
        made = _days(result, year)
    elif table == "latest":
        made = _latest(result)
    elif table == "targets":
        made = _targets(result)
    elif table == "places":
        rows = views.places(result).values()
        names = ("place", "name", "name_en", "administrative_level")
        made = _frame([{**row, "administrative_level": row["level"]} for row in rows], names)
    else:
        made = pl.read_parquet(result.folder / f"{table}.parquet")
        if year is not None:
            made = made.filter(pl.col("period").str.starts_with(str(year)))
    if place is not None:
        if "place" not in made.columns:
            raise NotFound(f"table {table} has no places.")
        made = made.filter(pl.col("place") == place)
    key = [name for name in dictionary()["tables"][table]["key"] if name in made.columns]
    told = [c for c in made.columns if c in QUANTITIES or c in dictionary()["columns"]]
    return made.select([*key, *(c for c in told if c not in key)]).sort(key, nulls_last=True)


def _frame(rows: list[Row], names: tuple[str, ...]) -> pl.DataFrame:
    """Rows as a table of named columns, each of one type."""
    return pl.DataFrame([{n: row.get(n) for n in names} for row in rows], infer_schema_length=None)


def _days(result: views.Result, year: int | None) -> pl.DataFrame:
    """Days of places with the AQI under the edition in force."""
    days = pl.read_parquet(result.folder / "place_days.parquet")
    if result.has("place_aqi"):
        judged = pl.read_parquet(result.folder / "place_aqi.parquet")
        if "in_force" in judged.columns:
            judged = judged.filter(pl.col("in_force"))
        judged = judged.unique(["place", "day"], keep="last", maintain_order=True)
        keep = [c for c in ("aqi", "level", "primary_pollutant", "aqi_state", "edition") if c in judged.columns]
        days = days.join(judged.select("place", "day", *keep), on=["place", "day"], how="left")
    if year is not None:
        days = days.filter(pl.col("day").dt.year() == year)
    return days.select([c for c in _DAYS if c in days.columns])


def _latest(result: views.Result) -> pl.DataFrame:
    """The newest hour of each place (station empty) and of each station."""
    found = views.now(result)
    rows = [*({**r, "station": None} for r in found["places"]), *found["stations"]]
    return _frame(rows, _LATEST)


def _targets(result: views.Result) -> pl.DataFrame:
    rows = []
    for target in views.targets_of(result):
        title = target["title"]
        shown = None if target["shown"] is None else str(target["shown"])
        rows.append({**target, "title": title["zh"], "title_en": title["en"], "shown": shown})
    return _frame(rows, _TARGETS)


def file(workspace: Any, result: views.Result, name: str) -> tuple[bytes, str]:
    """A file by name and its kind; NotFound lists what there is.

    Beside the package's own files, ``days-2025-630100.csv`` is one place's part of a table by year.
    """
    chosen = licence(workspace)["name"]
    if name in (PACKAGE, SUMS, LICENCE, DICTIONARY):
        return _described(result, chosen, name), MEDIA[name.rpartition(".")[2]]
    parts = _NAME.fullmatch(name)
    if parts is None:
        raise NotFound(f"there is no open data file {name[:80]!r}.", remedy=f"{PACKAGE} lists them.")
    whole = name.replace(f"-{parts['place']}", "") if parts["place"] else name
    found = next((f for f in files(result) if f.name == whole), None)
    if found is None or (parts["place"] and (found.year is None or parts["place"] not in views.places(result))):
        raise NotFound(f"there is no open data file {name[:80]!r}.", remedy=f"{PACKAGE} lists them.")
    return _bytes(result.key, _Held(result), found, parts["place"]), MEDIA[found.form]


class _Held:
    """A run as the argument of a cache that is keyed by the run's key."""

    def __init__(self, result: views.Result) -> None:
        self.result = result

    def __hash__(self) -> int:
        return hash(self.result.key)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Held) and other.result.key == self.result.key


@lru_cache(maxsize=_KEPT)
def _bytes(key: str, held: _Held, which: File, place: str | None) -> bytes:
    """A table in its form."""
    table = frame(held.result, which.table, which.year, place)
    out = io.BytesIO()
    if which.form == "parquet":
        table.write_parquet(out, compression="zstd", statistics=True)
        return out.getvalue()
    if which.form == "geojson":
        return _geojson(held.result, table)
    texts = [pl.col(pl.String).str.replace(_FORMULA, "'${0}")]
    table.with_columns(texts).write_csv(
        out, datetime_format="%Y-%m-%dT%H:%M:%SZ", date_format="%Y-%m-%d", line_terminator="\r\n"
    )
    return out.getvalue()


def _geojson(result: views.Result, table: pl.DataFrame) -> bytes:
    """Points (RFC 7946, WGS-84): the stations, with the row's values. Rows without coordinates have no point."""
    known = {s["station"]: s for s in views.stations(result)}
    features = []
    for row in table.filter(pl.col("station").is_not_null()).to_dicts():
        where = known.get(row["station"], {})
        lon, lat = where.get("lon"), where.get("lat")
        point = None if lon is None or lat is None else {"type": "Point", "coordinates": [lon, lat]}
        told = {k: _plain(v) for k, v in {"name": where.get("name"), **row}.items() if k not in ("lon", "lat")}
        features.append({"type": "Feature", "geometry": point, "properties": told})
    text = json.dumps({"type": "FeatureCollection", "features": features}, ensure_ascii=False)
    return text.encode()


def _plain(value: Any) -> Any:
    """A value as JSON holds it."""
    return value.isoformat() if isinstance(value, date) else value


def _described(result: views.Result, chosen: str, name: str) -> bytes:
    """The files that speak about the others."""
    return _descriptions(result.key, _Held(result), chosen)[name]


@lru_cache(maxsize=4)
def _descriptions(key: str, held: _Held, chosen: str) -> Mapping[str, bytes]:
    result, rights = held.result, {"name": chosen, **_licences()["licences"][chosen]}
    made = {f: _bytes(key, held, f, None) for f in files(result)}
    words = dictionary()["tables"]
    lines = [["table", "column", "type", "unit", "zh", "en"]]
    resources = []
    for which, data in made.items():
        schema = _schema(frame(result, which.table, which.year), words[which.table]["key"])
        resources.append(_resource(which, data, schema))
        if which.form == "csv" and (which.year is None or which.year == max(years(result))):
            for field in schema["fields"]:
                told = [field["name"], field["type"], field["unit"], field["title"], field["title_en"]]
                lines.append([which.table, *told])
    out = io.StringIO()
    csv.writer(out, lineterminator="\r\n").writerows(lines)
    text = f"{rights['title']['zh']} / {rights['title']['en']} ({chosen})\n{rights['path']}\n\n"
    text += f"{rights['statement']['zh']}\n{rights['statement']['en']}\n"
    described = {
        DICTIONARY: out.getvalue().encode(),
        LICENCE: text.encode(),
        PACKAGE: json.dumps(_package(result, rights, resources), ensure_ascii=False, indent=1).encode(),
    }
    every = {f.name: data for f, data in made.items()} | described
    sums = "".join(f"{hashlib.sha256(data).hexdigest()}  {name}\n" for name, data in sorted(every.items()))
    return described | {SUMS: sums.encode()}


def _resource(which: File, data: bytes, schema: Row) -> Row:
    """A resource of the Data Package; only CSV carries a schema, the other forms carry their own types."""
    about = dictionary()["tables"][which.table]
    year = "" if which.year is None else f" {which.year}"
    found = {
        "name": which.name.replace(".", "-"),
        "path": which.name,
        "title": f"{about['zh']}{year}",
        "title_en": f"{about['en']}{year}",
        "format": which.form,
        "mediatype": MEDIA[which.form].partition(";")[0],
        "bytes": len(data),
        "hash": f"sha256:{hashlib.sha256(data).hexdigest()}",
    }
    if which.form == "csv":
        found |= {"profile": "tabular-data-resource", "encoding": "utf-8", "schema": schema}
        found["dialect"] = {"delimiter": ",", "lineTerminator": "\r\n", "header": True}
    return found


def _schema(table: pl.DataFrame, key: list[str]) -> Row:
    """Table Schema: fields with type, title and unit; empty cells are missing values."""
    fields = []
    for name, kind in table.schema.items():
        told = column(name)
        fields.append(
            {"name": name, "type": _type(kind), "title": told["zh"], "title_en": told["en"], "unit": told["unit"]}
        )
    found: Row = {"fields": fields, "missingValues": [""]}
    if not any(table[name].null_count() for name in key if name in table.columns):
        found["primaryKey"] = key
    return found


def _type(kind: pl.DataType) -> str:
    """Type of Table Schema."""
    if kind == pl.Boolean:
        return "boolean"
    if kind.is_integer():
        return "integer"
    if kind.is_numeric():
        return "number"
    return {"Date": "date", "Datetime": "datetime"}.get(kind.base_type().__name__, "string")


def _package(result: views.Result, rights: Row, resources: list[Row]) -> Row:
    """``datapackage.json``: what it is, who may use it, and what made it."""
    run = result.verdict["run"]
    invented = bool(result.verdict.get("simulated"))
    title = {"zh": "青蓝空气质量开放数据", "en": "Open air-quality data of Qinglan"}
    warning = "模拟数据，不是真实观测。Simulated data, not observed. " if invented else ""
    return {
        "profile": "data-package",
        "name": "qinglan-open-data",
        "id": result.run_id,
        "title": title["zh"],
        "title_en": title["en"],
        "description": f"{warning}截至 {result.verdict['as_of']}。Data to {result.verdict['as_of']}.",
        "version": result.run_id,
        "created": run["started_at"],
        "simulated": invented,
        "licenses": [{"name": rights["name"], "path": rights["path"], "title": rights["title"]["en"]}],
        "licence_statement": rights["statement"],
        "sources": [{"title": f"Qinglan run {result.run_id}"}],
        "provenance": {
            name: run.get(name)
            for name in ("id", "kind", "started_at", "code_version", "inputs", "rules", "arguments")
        },
        "resources": resources,
    }


def export(workspace: Any, folder: Path) -> list[Path]:
    """Write the whole package of the current run into a new or empty folder; returns the files.

    UsageError when the folder holds something: an old file beside new ones would belong to no package.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError(f"{folder} is not an empty folder.", remedy="Choose a new one.")
    result = views.current(workspace)
    names = [*(f.name for f in files(result)), DICTIONARY, LICENCE, SUMS, PACKAGE]
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:  # the package file comes last: a folder without it is not whole
        (folder / name).write_bytes(file(workspace, result, name)[0])
    return [folder / name for name in names]
