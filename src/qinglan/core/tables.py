"""The column contracts of the lake as data (docs/design/0002-contracts.md, section 1).

One `Dataset` drives the Arrow schema on disk, the check at the door (:mod:`qinglan.core.contracts`),
the merge in the store and the reference tables of the docs. `low` and `high` are limits of the *door*: what
no instrument can have meant. They are wide on purpose; whether a value is valid is judged by quality control,
which keeps the value and says why.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

import pyarrow as pa

from qinglan.core.errors import UnknownName
from qinglan.core.names import HOURLY_ITEMS, STATES, quantity

#: Optional column of a batch: 1-based line (or row) of the source a row came from. Never stored.
SOURCE_LINE = "source_line"

#: Arrow type of each kind of column. Times are UTC ends of hours.
ARROW_TYPES: Mapping[str, pa.DataType] = {
    "str": pa.string(),
    "float": pa.float64(),
    "int": pa.int32(),
    "hour": pa.int8(),
    "date": pa.date32(),
    "time": pa.timestamp("us", tz="UTC"),
    "bool": pa.bool_(),
    "strings": pa.list_(pa.string()),
}


@dataclass(frozen=True, slots=True)
class Column:
    """One column: its kind (a key of `ARROW_TYPES`), unit, meaning and the limits of the door.

    `usual` bounds the median of a batch's positive values: outside it the source probably wrote another unit
    (mg for µg, K for °C, Pa for hPa).
    """

    name: str
    kind: str
    zh: str
    en: str
    unit: str = ""
    low: float | None = None
    high: float | None = None
    nullable: bool = True
    choices: tuple[str, ...] = ()
    usual: tuple[float, float] | None = None

    @property
    def arrow(self) -> pa.DataType:
        """Its type on disk."""
        return ARROW_TYPES[self.kind]


@dataclass(frozen=True, slots=True)
class Dataset:
    """A table with its key. A folder of the lake holds one `partition` of it: a `month` or a `year`."""

    name: str
    zh: str
    en: str
    key: tuple[str, ...]
    columns: tuple[Column, ...]
    partition: str = "month"
    derived: bool = False

    @property
    def names(self) -> tuple[str, ...]:
        """All column names in order."""
        return tuple(c.name for c in self.columns)

    @property
    def written_at_door(self) -> tuple[str, ...]:
        """Columns that a connector must not hand over: the door writes them."""
        made = ("hour", "load_id") if "day" in self.key else ("day", "hour", "load_id")
        return tuple(n for n in self.names if n in made)

    @property
    def values(self) -> tuple[str, ...]:
        """The columns that say something: neither key nor written at the door."""
        return tuple(n for n in self.names if n not in self.key and n not in self.written_at_door)

    @property
    def handed(self) -> tuple[str, ...]:
        """What a connector hands over: key and values."""
        return self.key + self.values

    def column(self, name: str) -> Column:
        """A column by name; UnknownName lists the known ones."""
        for column in self.columns:
            if column.name == name:
                return column
        raise UnknownName(f"column of {self.name}", name, self.names)

    def schema(self) -> pa.Schema:
        """Arrow schema on disk.

        >>> dataset("city_days").schema().field("day").type
        DataType(date32[day])
        """
        return pa.schema([pa.field(c.name, c.arrow, nullable=c.nullable) for c in self.columns])


def _item(name: str) -> Column:
    q = quantity(name)
    milli = q.unit.startswith("m")
    high, usual = (10_000.0, (0.005, 30.0)) if milli else (100_000.0, (0.2, 5_000.0))
    return Column(name, "float", q.zh, q.en, q.unit, -1_000.0, high, usual=usual)


_STATION = Column("station", "str", "站点编码", "station code", nullable=False)
_PLACE = Column("place", "str", "行政区划代码", "division code", nullable=False)
_TIME = Column("time", "time", "小时末时刻（UTC）", "end of the hour (UTC)", nullable=False)
_DAY = Column("day", "date", "统计日", "statistical day", nullable=False)
_HOUR = Column("hour", "hour", "小时标签", "hour label", low=1, high=24, nullable=False)
_LOAD = Column("load_id", "str", "入库批次", "load that brought the row", nullable=False)
_HOURLY = (_STATION, _TIME, _DAY, _HOUR)
_ITEM = Column("item", "str", "项目", "item", nullable=False, choices=HOURLY_ITEMS)
_AQI_HIGH = 10_000

HOURS = Dataset(
    "hours",
    "小时浓度（原报）",
    "hours as reported, never edited",
    ("station", "time"),
    (*_HOURLY, *(_item(i) for i in HOURLY_ITEMS), _LOAD),
)

PUBLISHED = Dataset(
    "published",
    "来源公布值",
    "what a source printed beside the hours",
    ("station", "time"),
    (
        *_HOURLY,
        Column("aqi", "int", "公布的AQI", "published AQI", "", 0, _AQI_HIGH),
        Column("level", "str", "公布的级别", "published level"),
        Column("primary_pollutant", "str", "公布的首要污染物", "published primary pollutant"),
        _item("o3_8h"),
        _LOAD,
    ),
)

WEATHER = Dataset(
    "weather",
    "小时气象",
    "weather hours",
    ("station", "time"),
    (
        *_HOURLY,
        Column("temperature", "float", "气温", "air temperature", "°C", -90, 70, usual=(0, 60)),
        Column("pressure", "float", "本站气压", "station pressure", "hPa", 300, 1_100, usual=(400, 1_100)),
        Column("humidity", "float", "相对湿度", "relative humidity", "%", 0, 110, usual=(2, 110)),
        Column("wind_speed", "float", "风速", "wind speed", "m/s", 0, 120),
        Column("wind_direction", "float", "风向（来向）", "wind direction (from)", "°", 0, 360),
        Column("precipitation", "float", "降水量", "precipitation", "mm", 0, 500),
        Column("dew_point", "float", "露点温度", "dew point", "°C", -100, 50),
        _LOAD,
    ),
)

CITY_DAYS = Dataset(
    "city_days",
    "城市日值（原报）",
    "daily values reported for a city",
    ("place", "day"),
    (
        _PLACE,
        _DAY,
        *(_item(i) for i in ("so2", "no2", "co", "mda8", "pm10", "pm2_5")),
        Column("reported_aqi", "int", "公布的AQI", "reported AQI", "", 0, _AQI_HIGH),
        _LOAD,
    ),
    partition="year",
)

FLAGS = Dataset(
    "flags",
    "质控标记",
    "flags made by quality control",
    ("station", "time", "item", "rule"),
    (
        _STATION,
        _TIME,
        _ITEM,
        Column("rule", "str", "规则", "rule", nullable=False),
        Column("state", "str", "状态", "state", nullable=False, choices=STATES),
        Column("detail", "str", "说明", "detail"),
    ),
    derived=True,
)

CHECKED = Dataset(
    "checked",
    "审核后小时浓度",
    "hours after control and human decisions",
    ("station", "time"),
    (
        *_HOURLY,
        *(_item(i) for i in HOURLY_ITEMS),
        *(
            Column(f"{i}_state", "str", f"{quantity(i).zh}状态", f"state of {quantity(i).en}", choices=STATES)
            for i in HOURLY_ITEMS
        ),
    ),
    derived=True,
)

#: What the lake holds, by name.
DATASETS: Mapping[str, Dataset] = {d.name: d for d in (HOURS, PUBLISHED, WEATHER, CITY_DAYS, FLAGS, CHECKED)}

#: Station register (kept in the registry; written here so that all rooms use the same columns).
STATIONS: tuple[Column, ...] = (
    _STATION,
    Column("name", "str", "站点名称", "name", nullable=False),
    Column("place", "str", "所属地级行政区划代码", "division code of the prefecture-level city", nullable=False),
    Column("county", "str", "所属县级行政区划代码", "division code of the county"),
    Column("lon", "float", "经度（WGS-84）", "longitude (WGS-84)", "°", -180, 180),
    Column("lat", "float", "纬度（WGS-84）", "latitude (WGS-84)", "°", -90, 90),
    Column("altitude", "float", "海拔", "altitude", "m", -500, 9_000),
    Column("kind", "str", "站点类型", "kind of station", nullable=False),
    Column("control_point", "bool", "清洁对照点", "control point, outside the city mean", nullable=False),
    Column("valid_from", "date", "启用日期", "in service from"),
    Column("valid_to", "date", "停用日期", "in service until"),
    Column("aliases", "strings", "别名", "other names", nullable=False),
)

#: Places register.
PLACES: tuple[Column, ...] = (
    _PLACE,
    Column("name", "str", "名称", "name", nullable=False),
    Column("name_en", "str", "英文名称", "English name"),
    Column("level", "str", "级别", "level", nullable=False, choices=("province", "prefecture", "county")),
    Column("parent", "str", "上级区划代码", "division code above"),
    Column("aliases", "strings", "别名", "other names", nullable=False),
)


def dataset(name: str) -> Dataset:
    """A data set by name; UnknownName lists the known ones.

    >>> dataset("hours").values
    ('so2', 'no2', 'co', 'o3', 'pm10', 'pm2_5')
    """
    try:
        return DATASETS[name]
    except KeyError:
        raise UnknownName("data set", name, tuple(DATASETS)) from None


@cache
def superseded_schema(name: str) -> pa.Schema:
    """Arrow schema of `<name>_superseded`: the old row, the load that replaced it, when and why.

    `cause` is `changed` (a value was replaced) or `filled` (only empty cells were).
    """
    schema = dataset(name).schema()
    for field in (
        pa.field("superseded_by", pa.string(), nullable=False),
        pa.field("superseded_at", ARROW_TYPES["time"], nullable=False),
        pa.field("cause", pa.string(), nullable=False),
    ):
        schema = schema.append(field)
    return schema
