"""The bodies of the API, for its OpenAPI document. Answers are written directly; tests hold them to these."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, create_model

from qinglan.core.names import DAILY_ITEMS, HOURLY_ITEMS, QUANTITIES


def _amount(name: str, what: str) -> Any:
    q = QUANTITIES[name]
    return (float | None, Field(None, description=f"{q.en}, {what} [{q.unit}] / {q.zh}"))


class Problem(BaseModel):
    """An error (RFC 9457)."""

    type: str = Field(description="Kind of problem: an address of these docs.")
    title: str
    status: int
    detail: str = Field(description="What is wrong, naming the thing and its value.")
    instance: str = ""
    remedy: str = Field("", description="What can be done about it.")
    known: list[str] = Field([], description="Names that would have been known.")
    errors: list[dict[str, Any]] = Field([], description="Each parameter that is wrong.")


class Row(BaseModel):
    """A row; `fields` may leave columns out."""

    model_config = ConfigDict(extra="allow")


class Place(Row):
    """A place of the run."""

    place: str = Field(description="Division code (GB/T 2260).", examples=["630100"])
    name: str | None = None
    name_en: str | None = None
    level: str | None = Field(None, description="province, prefecture or county")


class Station(Row):
    """A station of the register."""

    station: str = Field(examples=["1480A"])
    name: str | None = None
    place: str | None = Field(None, description="Division code of what the station is judged as.")
    county: str | None = None
    lon: float | None = Field(None, description="Longitude, WGS-84 [°]")
    lat: float | None = Field(None, description="Latitude, WGS-84 [°]")
    altitude: float | None = Field(None, description="[m]")
    kind: str | None = None
    control_point: bool | None = Field(
        None, description="A control point (clean background) stays out of the city's mean."
    )
    valid_from: date | None = None
    valid_to: date | None = None


_hourly = {item: _amount(item, "hourly mean after control; null: not usable") for item in HOURLY_ITEMS}
_daily = {item: _amount(item, "daily value; null: the rule of validity is not met") for item in DAILY_ITEMS}
_index: dict[str, Any] = {
    "edition": (str | None, Field(None, description="Edition of HJ 633.")),
    "aqi": (int | None, None),
    "level": (int | None, Field(None, description="1 (best) to 6")),
    "primary_pollutant": (str | None, Field(None, description="Joined by commas; empty: none")),
    "aqi_state": (str | None, Field(None, description="complete, incomplete or unavailable")),
}

Hour = create_model(
    "Hour", __base__=Row, __doc__="One hour of a station.",
    time=(datetime, Field(description="End of the hour, UTC.")), **_hourly,
)  # fmt: skip
Latest = create_model(
    "Latest", __base__=Row, __doc__="The last hour of a station.", station=(str, ...),
    time=(datetime | None, Field(None, description="End of the hour, UTC.")),
    name=(str | None, None), place=(str | None, None), lon=(float | None, None), lat=(float | None, None),
    **_hourly, **_index,
)  # fmt: skip
StationDay = create_model("StationDay", __base__=Row, station=(str, ...), day=(date, ...), **_daily)
PlaceDay = create_model("PlaceDay", __base__=Row, place=(str, ...), day=(date, ...), **_daily)
PlaceAqi = create_model("PlaceAqi", __base__=Row, place=(str, ...), day=(date, ...), **_index)


class Evaluation(Row):
    """A statistic of a place and a period (HJ 663)."""

    place: str
    period: str
    item: str
    statistic: str
    dust: str
    value: float | None = None
    limit: float | None = None
    attained: bool | None = None


class Ranking(Row):
    """A place in a ranking by the composite index."""

    field: str
    period: str
    dust: str
    rank: int
    place: str
    composite_index: float | None = None


class Flag(Row):
    """A flag of quality control."""

    station: str
    time: datetime
    item: str
    rule: str
    state: str | None = None
    detail: str | None = None


class Listing(BaseModel):
    """What every list says beside its rows."""

    run: str = Field(description="Identity of the run that was read.", examples=["0f3a9c51d2e84b67"])
    next: str | None = Field(None, description="Cursor of the next page; null on the last.")


def listing(row: type[BaseModel]) -> type[BaseModel]:
    """A page of rows, or of columns with ``format=columns``."""
    many: Any = list[row]  # type: ignore[valid-type]
    return create_model(
        f"{row.__name__}List",
        __base__=Listing,
        items=(many, Field([], description="Rows (`format=rows`).")),
        columns=(dict[str, list[Any]], Field({}, description="Columns (`format=columns`).")),
        station=(str, Field("", description="The station, where all rows are of one.")),
        units=(dict[str, str], Field({}, description="Unit of each item.")),
    )
