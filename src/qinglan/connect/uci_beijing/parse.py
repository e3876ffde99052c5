"""Read the Beijing multi-site table into stations, hours and weather."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import resources
from pathlib import Path

import polars as pl
import pyarrow as pa

from qinglan.connect.cells import (
    TIME_OPTIONS,
    convention,
    finish,
    numbers,
    reject_names,
    reject_rows,
    sector_degrees,
    utc_end,
)
from qinglan.connect.reading import RECORD, Records, columns_of, read_records
from qinglan.core.batch import Batch, LayoutInfo, ReadContext, Reject
from qinglan.core.clock import HourLabel, TimeConvention
from qinglan.core.tables import STATIONS

_TIME = ("year", "month", "day", "hour")
_HOURS: Mapping[str, str] = {
    "PM2.5": "pm2_5",
    "PM10": "pm10",
    "SO2": "so2",
    "NO2": "no2",
    "CO": "co",
    "O3": "o3",
}
_WEATHER: Mapping[str, str] = {
    "TEMP": "temperature",
    "PRES": "pressure",
    "DEWP": "dew_point",
    "RAIN": "precipitation",
    "WSPM": "wind_speed",
}
_BEIJING = "110000"

LAYOUT = LayoutInfo(
    name="uci_beijing",
    title_zh="北京十二站点小时数据（UCI 501）",
    title_en="Beijing multi-site hours with weather (UCI 501)",
    datasets=("stations", "hours", "weather"),
    extensions=(".csv", ".csv.gz"),
    description_zh="12个站点2013年3月至2017年2月小时浓度与气象；时刻为小时初；CO 由 µg/m³ 换算为 mg/m³。",
    description_en="12 stations, hours and weather; labels are hour beginnings; CO in µg/m³ becomes mg/m³.",
    convention=TimeConvention(HourLabel.BEGIN, 8),
    units=dict.fromkeys(_HOURS.values(), "µg/m³"),
    options=TIME_OPTIONS,
)


def sniff(path: Path) -> bool:
    """Whether the header has the layout's columns."""
    return {*_TIME, "TEMP", "DEWP", "WSPM", "station"} <= set(columns_of(path))


def read(path: Path, context: ReadContext) -> Iterator[Batch]:
    """`stations` (those not registered yet), `hours` and `weather` of one file."""
    time = convention(context, LAYOUT)
    needed = (*_TIME, *_HOURS, *_WEATHER, "wd", "station")
    records = read_records(path, needed, layout=LAYOUT.name)
    register = _register()
    strangers = [code for code in register["station"].to_list() if context.station(code) is None]
    if strangers:  # what the register already says of a station stays as it is
        new = register.filter(pl.col("station").is_in(strangers))
        yield Batch("stations", _stations(new), records.path.name)
    frame, rejects = _timed(records, time)
    codes = dict(zip(register["written"].to_list(), register["station"].to_list(), strict=True))
    code = pl.col("station").str.strip_chars().replace_strict(codes, default=None, return_dtype=pl.String)
    frame = frame.with_columns(code.alias("_code"))
    rejects += reject_names(records, frame.filter(pl.col("_code").is_null()), "unknown_station", "station")
    frame = frame.filter(pl.col("_code").is_not_null()).drop("station").rename({"_code": "station"})
    frame, bad = numbers(records, frame, {**_HOURS, **_WEATHER})
    frame = frame.with_columns(pl.col("co") / 1000)
    hours = frame.select("station", "time", RECORD, *_HOURS.values())
    yield finish("hours", hours, records, rejects=[*records.rejects, *rejects, *bad], units=LAYOUT.units)
    weather, odd = _weather(records, frame)
    yield finish("weather", weather, records, rejects=odd, keep_empty=False)


def _register() -> pl.DataFrame:
    text = resources.files("qinglan.connect.uci_beijing").joinpath("stations.csv").read_bytes()
    return pl.read_csv(text, schema_overrides={"county": pl.String})


def _stations(register: pl.DataFrame) -> pa.Table:
    """The twelve as rows of the station register."""
    none = pl.lit(None)
    frame = register.select(
        "station",
        "name",
        pl.lit(_BEIJING).alias("place"),
        "county",
        "lon",
        "lat",
        none.cast(pl.Float64).alias("altitude"),
        pl.lit("ambient").alias("kind"),
        "control_point",
        none.cast(pl.Date).alias("valid_from"),
        none.cast(pl.Date).alias("valid_to"),
        pl.concat_list("written").alias("aliases"),
    )
    schema = pa.schema([pa.field(c.name, c.arrow, nullable=c.nullable) for c in STATIONS])
    return frame.to_arrow(compat_level=pl.CompatLevel.oldest()).cast(schema)


def _timed(records: Records, time: TimeConvention) -> tuple[pl.DataFrame, list[Reject]]:
    last = 24 if time.label is HourLabel.END else 23
    parts = [pl.col(c).str.strip_chars().cast(pl.Int32, strict=False) for c in _TIME]
    stamp = pl.concat_str([p.cast(pl.String) for p in parts[:3]], separator="-").str.to_date(
        "%Y-%m-%d", strict=False
    )
    frame = records.frame.with_columns(
        _day=stamp,
        _hour=parts[3],
        label=pl.concat_str([pl.col(c).fill_null("") for c in _TIME], separator=" "),
    )
    fine = frame["_day"].is_not_null() & frame["_hour"].is_between(0, last).fill_null(False)
    rejects = reject_rows(records, frame.filter(~fine), "bad_time", "label", detail=f"hour 0 to {last}")
    written = pl.col("_day").cast(pl.Datetime("us")) + pl.duration(hours="_hour")
    return frame.filter(fine).with_columns(utc_end(written, time).alias("time")), rejects


def _weather(records: Records, frame: pl.DataFrame) -> tuple[pl.DataFrame, list[Reject]]:
    """Weather of each hour; a wind sector that is none is emptied and set aside."""
    frame = frame.with_columns(wind_direction=sector_degrees(pl.col("wd")))
    odd = frame.filter(pl.col("wd").is_not_null() & pl.col("wind_direction").is_null())
    rejects = reject_rows(records, odd, "bad_number", "wd", detail="not one of 16 wind sectors", rows=0)
    return frame.select("station", "time", RECORD, *_WEATHER.values(), "wind_direction"), rejects
