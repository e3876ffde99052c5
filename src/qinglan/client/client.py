"""The client: one method for each operation, lists as iterators over all pages, errors of our own tree."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import date, datetime
from typing import TYPE_CHECKING, Any, Literal, Self, TypeVar

import httpx

from qinglan.core.errors import NotFound, QinglanError, UsageError

if TYPE_CHECKING:
    import polars as pl
    import pyarrow as pa

Row = dict[str, Any]
T = TypeVar("T")

#: Hours that one question brings.
_PAGE = 10_000


class ApiError(QinglanError):
    """The server refused or failed; `status` is that of HTTP, `problem` the document of RFC 9457 it sent."""

    def __init__(self, status: int, problem: Mapping[str, Any]) -> None:
        self.status, self.problem = status, problem
        detail = str(problem.get("detail") or problem.get("title") or f"the server answered {status}.")
        super().__init__(detail, remedy=str(problem.get("remedy", "")))


@dataclass(frozen=True, slots=True)
class Place:
    """A place by its division code."""

    place: str
    name: str
    name_en: str | None
    level: str


@dataclass(frozen=True, slots=True)
class Station:
    """A station of the register; degrees are WGS-84."""

    station: str
    name: str
    place: str
    county: str | None
    kind: str
    lon: float | None
    lat: float | None
    altitude: float | None
    control_point: bool


@dataclass(frozen=True, slots=True)
class Latest:
    """A station's hour: concentrations [µg/m³; CO mg/m³] and index. `time` is its end (UTC)."""

    station: str
    name: str | None
    place: str | None
    time: datetime
    so2: float | None
    no2: float | None
    co: float | None
    o3: float | None
    pm10: float | None
    pm2_5: float | None
    aqi: int | None
    level: int | None
    primary_pollutant: str | None


@dataclass(frozen=True, slots=True)
class Hours:
    """Hours of a station as columns: `time` (ends, UTC) and items, None where there is no usable value."""

    station: str
    run: str
    units: Mapping[str, str]
    columns: Mapping[str, list[Any]]

    def __len__(self) -> int:
        return len(self.columns["time"])

    def to_arrow(self) -> pa.Table:
        """As an Arrow table."""
        import pyarrow as pa

        times = pa.array(self.columns["time"], pa.timestamp("us", "UTC"))
        items = {k: pa.array(v, pa.float64()) for k, v in self.columns.items() if k != "time"}
        return pa.table({"time": times, **items})

    def to_polars(self) -> pl.DataFrame:
        """As a polars frame."""
        import polars as pl

        found = pl.from_arrow(self.to_arrow())
        assert isinstance(found, pl.DataFrame)
        return found


class Client:
    """A client of one server.

    base_url : its address, without ``/api/v1``. key : an API key; without one, as the public.
    http : an httpx client of your own (proxies, certificates, tests).
    """

    def __init__(
        self, base_url: str, key: str | None = None, *, timeout: float = 30.0, http: httpx.Client | None = None
    ) -> None:
        self._root = base_url.rstrip("/") + "/api/v1"
        self._headers = {"Accept": "application/json"} | ({"Authorization": f"Bearer {key}"} if key else {})
        self._http = http or httpx.Client(timeout=timeout)
        self._own = http is None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections, if they are our own."""
        if self._own:
            self._http.close()

    def get(self, path: str, **query: Any) -> Row:
        """Any operation by its path under ``/api/v1``; None among the parameters is left out.

        Raises NotFound (404), UsageError (422), ApiError otherwise, also when nobody answers (status 0).
        """
        given = {k: _text(v) for k, v in query.items() if v is not None}
        try:
            answer = self._http.get(self._root + path, params=given, headers=self._headers)
        except httpx.HTTPError as cause:
            problem = {"detail": f"{self._root} does not answer: {cause}.", "remedy": "Is the server running?"}
            raise ApiError(0, problem) from cause
        if answer.status_code == 200:
            found: Row = answer.json()
            return found
        problem = answer.json() if "json" in answer.headers.get("content-type", "") else {}
        kinds: dict[int, type[NotFound] | type[UsageError]] = {404: NotFound, 422: UsageError}
        if answer.status_code in kinds:
            known = f"Known: {', '.join(problem['known'])}." if problem.get("known") else ""
            said = str(problem.get("detail", path))
            raise kinds[answer.status_code](said, remedy=str(problem.get("remedy", "")) or known)
        raise ApiError(answer.status_code, problem)

    def rows(self, path: str, **query: Any) -> Iterator[Row]:
        """All rows of a list, page by page as they are taken."""
        cursor: str | None = None
        while True:
            page = self.get(path, **query, cursor=cursor)
            yield from page["items"]
            cursor = page["next"]
            if cursor is None:
                return

    def places(self, *, level: Literal["province", "prefecture", "county"] | None = None) -> list[Place]:
        """Places that the run judged."""
        return [_made(Place, row) for row in self.rows("/places", level=level)]

    def stations(self, *, place: str | None = None) -> list[Station]:
        """The station register."""
        return [_made(Station, row) for row in self.rows("/stations", place=place)]

    def latest(self, *, place: str | None = None, time: datetime | None = None) -> list[Latest]:
        """The last hour of every station, or one hour of all."""
        rows = self.rows("/stations/latest", place=place, time=time)
        return [_made(Latest, {**row, "time": datetime.fromisoformat(row["time"])}) for row in rows]

    def hours(
        self,
        station: str,
        start: datetime | None = None,
        end: datetime | None = None,
        *,
        items: Sequence[str] | None = None,
    ) -> Hours:
        """Hours of a station that end between two aware instants (both included); the last 24 without any."""
        wanted = ",".join(items) if items else None
        cursor: str | None = None
        columns: dict[str, list[Any]] = {}
        while True:
            page = self.get(f"/stations/{station}/hours", start=start, end=end, items=wanted, format="columns",
                            limit=_PAGE, cursor=cursor)  # fmt: skip
            for name, values in page["columns"].items():
                columns.setdefault(name, []).extend(values)
            cursor = page["next"]
            if cursor is None:
                break
        columns["time"] = [datetime.fromisoformat(time) for time in columns["time"]]
        return Hours(station, page["run"], page["units"], columns)

    def station_days(self, station: str, start: date | None = None, end: date | None = None) -> Iterator[Row]:
        """Daily values of a station."""
        return self.rows(f"/stations/{station}/days", start=start, end=end)

    def place_days(self, place: str, start: date | None = None, end: date | None = None) -> Iterator[Row]:
        """Daily values of a place."""
        return self.rows(f"/places/{place}/days", start=start, end=end)

    def place_aqi(self, place: str, start: date | None = None, end: date | None = None) -> Iterator[Row]:
        """Daily index of a place under the edition in force."""
        return self.rows(f"/places/{place}/aqi", start=start, end=end, in_force=True)

    def evaluation(self, **where: Any) -> Iterator[Row]:
        """Statistics against limits; `period`, `place`, `item`, `dust` narrow them."""
        return self.rows("/evaluation", **where)

    def ranking(self, **where: Any) -> Iterator[Row]:
        """Rankings; `period`, `dust`, `field` narrow them."""
        return self.rows("/ranking", **where)

    def targets(self) -> list[Row]:
        """Targets of the plan with how they stand."""
        return list(self.rows("/targets"))

    def tasks(self, *, status: str | None = None, department: str | None = None) -> Iterator[Row]:
        """Tasks of the plan."""
        return self.rows("/tasks", status=status, department=department)

    def run(self) -> Row:
        """What all answers stand on."""
        return self.get("/runs/current")


def _made(kind: type[T], row: Row) -> T:
    """A record of the columns that it knows; a later server may send more."""
    return kind(**{f.name: row.get(f.name) for f in fields(kind)})  # type: ignore[arg-type]


def _text(value: Any) -> Any:
    """A query value as the API writes it.

    >>> _text(date(2025, 1, 2)), _text(True), _text(3)
    ('2025-01-02', 'true', 3)
    """
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, datetime) and value.tzinfo is None:
        raise UsageError(f"{value.isoformat()} has no time zone.", remedy="Give it one: .replace(tzinfo=UTC).")
    return value.isoformat() if isinstance(value, date) else value
