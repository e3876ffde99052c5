"""The mapping file: what it may say, and all that is wrong with one at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from qinglan.connect.reading import MISSING_TOKENS
from qinglan.connect.table.instants import format_works
from qinglan.connect.units import State, factor, needs_state
from qinglan.core.clock import HourLabel, TimeConvention
from qinglan.core.errors import ContentError, QinglanError, UsageError
from qinglan.core.tables import dataset

DATASETS = ("hours", "weather", "published", "city_days")
SHAPES = ("long", "tall", "wide")

#: Keys of each block of a mapping, with their meaning ("zh / en"); the how-to prints this table.
KEYS: Mapping[str, Mapping[str, str]] = {
    "": {
        "dataset": "数据集 / data set: hours, weather, published, city_days",
        "shape": "形状 / shape: long, tall, wide",
        "file": "文件 / how the file is laid out",
        "time": "时间 / how time is written",
        "station": "站点 / which station",
        "place": "地区（city_days） / which place (city_days)",
        "items": "列与项目 / columns and items",
        "item_column": "项目名称列（tall；wide 可选） / column that names the item (tall; optional in wide)",
        "value_column": "数值列（tall） / column with the value (tall)",
        "missing": "表示缺测的值 / what stands for missing",
        "reference_state": "混合比换算状态 / state for ppb and ppm: temperature K, pressure hPa",
    },
    "file": {
        "sheet": "工作表 / sheet (Excel)",
        "header_row": "表头首行，从1起 / first row of the header, from 1",
        "header_rows": "表头行数 / rows of the header",
        "separator": "分隔符 / separator",
        "decimal": "小数点 / decimal sign: . or ,",
        "thousands": "千位分隔符 / sign between thousands",
    },
    "time": {
        "column": "日期时刻列 / column of date and hour",
        "date": "日期列 / column of the date",
        "hour": "小时列 / column of the hour",
        "format": "格式（strptime） / format (strptime)",
        "label": "end 或 begin / end or begin",
        "utc_offset": "比UTC快的小时数 / hours ahead of UTC",
    },
    "station": {
        "column": "站点列 / column of the station",
        "fixed": "固定站点 / one station for all rows",
        "city_column": "城市列 / column of its city",
        "city": "固定城市 / one city for all rows",
    },
    "place": {"column": "地区列 / column of the place", "fixed": "固定地区 / one place for all rows"},
    "reference_state": {"temperature": "温度 / temperature [K]", "pressure": "气压 / pressure [hPa]"},
    "items.*": {"item": "项目 / item", "unit": "单位 / unit"},
}


@dataclass(frozen=True, slots=True)
class Item:
    """What a column (or a name in `item_column`) is: the item, its unit and how to convert it."""

    item: str
    unit: str
    scale: float = 1.0
    offset: float = 0.0


@dataclass(frozen=True, slots=True)
class Layout:
    """The block `file`."""

    sheet: str | None = None
    header_row: int = 1
    header_rows: int = 1
    separator: str = ""
    decimal: str = "."
    thousands: str = ""


@dataclass(frozen=True, slots=True)
class Who:
    """The block `station` or `place`."""

    column: str | None = None
    fixed: str | None = None
    city_column: str | None = None
    city: str | None = None


@dataclass(frozen=True, slots=True)
class When:
    """The block `time`."""

    column: str | None = None
    date: str | None = None
    hour: str | None = None
    format: str | None = None
    label: str = "end"
    utc_offset: float = 8.0

    @property
    def convention(self) -> TimeConvention:
        """For the clock."""
        return TimeConvention(HourLabel(self.label), self.utc_offset)


@dataclass(frozen=True)
class Description:
    """A mapping that has been checked."""

    dataset: str
    shape: str
    time: When
    who: Who
    items: Mapping[str, Item]
    file: Layout = field(default_factory=Layout)
    item_column: str | None = None
    value_column: str | None = None
    missing: Sequence[str] = MISSING_TOKENS

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns the file must have."""
        named = (
            self.time.column,
            self.time.date,
            self.time.hour,
            self.who.column if self.shape != "wide" else None,
            self.who.city_column,
            self.item_column,
            self.value_column,
        )
        items = tuple(self.items) if self.shape == "long" else ()
        return tuple(dict.fromkeys(c for c in (*named, *items) if c))


def load(source: Any) -> Description:
    """A mapping from a YAML file's path or from a dict; ContentError lists every fault."""
    if source is None:
        raise UsageError(
            "layout table needs a mapping.", remedy="Give mapping=FILE.yaml; docs/how-to/load-your-data.md."
        )
    where = "mapping"
    if not isinstance(source, Mapping):
        where = str(source)
        try:
            source = yaml.safe_load(Path(str(source)).read_text(encoding="utf-8"))
        except OSError as cause:
            raise UsageError(f"mapping {where} cannot be opened: {cause.strerror}.") from cause
        except (yaml.YAMLError, UnicodeDecodeError) as cause:
            raise ContentError(where, [f"is not YAML: {cause}"]) from cause
    if not isinstance(source, Mapping):
        raise ContentError(where, ["must be a mapping of keys to values"])
    problems: list[str] = []
    _unknown_keys(source, problems)
    description = _describe(source, problems)
    if problems or description is None:
        raise ContentError(where, problems)
    return description


def _block(source: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    block = source.get(name)
    return block if isinstance(block, Mapping) else {}


def _unknown_keys(source: Mapping[str, Any], problems: list[str]) -> None:
    for name, known in KEYS.items():
        if name == "items.*":
            blocks = {f"items.{k}": v for k, v in _block(source, "items").items() if isinstance(v, Mapping)}
        else:
            blocks = {name: source if name == "" else source.get(name, {})}
        for where, block in blocks.items():
            if not isinstance(block, Mapping):
                problems.append(f"{where}: must be a block of keys")
                continue
            for key in block:
                if key not in known:
                    path = f"{where}.{key}".lstrip(".")
                    problems.append(f"{path}: unknown key (known: {', '.join(known)})")


def _describe(source: Mapping[str, Any], problems: list[str]) -> Description | None:
    kind, shape = source.get("dataset", "hours"), source.get("shape", "long")
    if kind not in DATASETS:
        problems.append(f"dataset: {kind!r} is not one of {', '.join(DATASETS)}")
        return None
    if shape not in SHAPES:
        problems.append(f"shape: {shape!r} is not one of {', '.join(SHAPES)}")
        return None
    time, who = _time(source, kind, problems), _who(source, kind, shape, problems)
    items = _items(source, kind, problems)
    file = _file(source, problems)
    item_column, value_column = source.get("item_column"), source.get("value_column")
    if shape == "tall" and not (item_column and value_column):
        problems.append("shape tall needs item_column and value_column")
    if shape == "wide" and not item_column and len(items) != 1:
        problems.append("shape wide needs item_column, or exactly one entry in items")
    missing = source.get("missing", [])
    if not isinstance(missing, list):
        problems.append("missing: must be a list")
        missing = []
    tokens = (*MISSING_TOKENS, *(str(m) for m in missing))
    if problems or time is None:
        return None
    return Description(kind, shape, time, who, items, file, item_column, value_column, tokens)


def _time(source: Mapping[str, Any], kind: str, problems: list[str]) -> When | None:
    block = {k: v for k, v in _block(source, "time").items() if k in KEYS["time"]}
    daily = kind == "city_days"
    if not block.get("column") and not (block.get("date") and (daily or block.get("hour"))):
        problems.append("time: give column, or date" + ("" if daily else " and hour"))
    if block.get("label", "end") not in ("end", "begin"):
        problems.append(f"time.label: {block['label']!r} is not end or begin")
    offset = block.get("utc_offset", 8)
    if isinstance(offset, bool) or not isinstance(offset, int | float) or not -12 <= offset <= 14:
        problems.append(f"time.utc_offset: {offset!r} is not hours between -12 and 14")
    if block.get("format") and not format_works(str(block["format"])):
        problems.append(f"time.format: {block['format']!r} is not a format such as %Y-%m-%d %H:%M")
    return None if problems else When(**block)


def _who(source: Mapping[str, Any], kind: str, shape: str, problems: list[str]) -> Who:
    name = "place" if kind == "city_days" else "station"
    block = {k: v for k, v in _block(source, name).items() if k in KEYS[name]}
    if shape != "wide" and bool(block.get("column")) == bool(block.get("fixed")):
        problems.append(f"{name}: give either column or fixed")
    return Who(**{k: str(v) for k, v in block.items()})


def _file(source: Mapping[str, Any], problems: list[str]) -> Layout:
    block = {k: v for k, v in _block(source, "file").items() if k in KEYS["file"]}
    for key in ("header_row", "header_rows"):
        if not isinstance(block.get(key, 1), int) or block.get(key, 1) < 1:
            problems.append(f"file.{key}: {block[key]!r} is not a row count of 1 or more")
            block.pop(key)
    if block.get("decimal", ".") not in (".", ","):
        problems.append(f"file.decimal: {block['decimal']!r} is not . or ,")
    if block.get("thousands") and block["thousands"] == block.get("decimal", "."):
        problems.append("file.thousands: is the same as file.decimal")
    return Layout(**block)


def _items(source: Mapping[str, Any], kind: str, problems: list[str]) -> dict[str, Item]:
    block = _block(source, "items")
    if not block:
        problems.append("items: name at least one column with its item and unit")
    state = _state(source, problems)
    contract, result = dataset(kind), {}
    for column, entry in block.items():
        where = f"items.{column}"
        if not isinstance(entry, Mapping) or "item" not in entry:
            problems.append(f"{where}: needs item and unit")
            continue
        item, unit = str(entry["item"]), str(entry.get("unit", ""))
        if item not in contract.values:
            problems.append(f"{where}.item: {item!r} is not a column of {kind} ({', '.join(contract.values)})")
            continue
        if contract.column(item).kind == "str":
            result[str(column)] = Item(item, "")
            continue
        if not unit and contract.column(item).unit:
            problems.append(f"{where}.unit: say the unit, such as {contract.column(item).unit}")
            continue
        try:
            scale, offset = factor(item, unit, state)
        except QinglanError as error:
            problems.append(f"{where}.unit: {error}")
            continue
        result[str(column)] = Item(item, unit, scale, offset)
    doubled = [i for i in {v.item for v in result.values()} if sum(v.item == i for v in result.values()) > 1]
    if source.get("shape", "long") == "long":
        problems.extend(f"items: {item} is given by more than one column" for item in doubled)
    return result


def _state(source: Mapping[str, Any], problems: list[str]) -> State | None:
    block = _block(source, "reference_state")
    units = [e.get("unit", "") for e in _block(source, "items").values() if isinstance(e, Mapping)]
    if not block or not any(needs_state(str(u)) for u in units):
        return None
    try:
        state = State(float(block["temperature"]), float(block["pressure"]))
    except (KeyError, TypeError, ValueError):
        problems.append("reference_state: needs temperature [K] and pressure [hPa]")
        return None
    if not (200 <= state.temperature <= 330 and 300 <= state.pressure <= 1_100):
        problems.append(
            f"reference_state: {state.temperature:g} K, {state.pressure:g} hPa is no state of ambient air"
        )
    return state
